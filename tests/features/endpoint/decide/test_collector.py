"""The collector during a publication: off while one is in progress, and on afterwards."""

from __future__ import annotations

import gc

import pytest

from reconciler.features.endpoint.decide.collector import paused_collector


def test_the_last_of_overlapping_blocks_turns_it_on() -> None:
    """Also after an error; what was made is left out of later collections."""
    assert gc.isenabled()
    frozen = gc.get_freeze_count()
    first = paused_collector()
    second = paused_collector()
    first.__enter__()
    second.__enter__()
    assert not gc.isenabled()
    made = [[number] for number in range(1000)]
    first.__exit__(None, None, None)
    assert not gc.isenabled()
    with pytest.raises(ZeroDivisionError), paused_collector():
        raise ZeroDivisionError
    assert not gc.isenabled()
    second.__exit__(None, None, None)
    assert gc.isenabled()
    assert gc.get_freeze_count() >= frozen + len(made)
