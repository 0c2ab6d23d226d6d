"""A bound on work that holds on slow and busy machines: relative to loading plain rules just before
and just after.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from reconciler.core.manifest.load import load_manifests
from tests.support.written_manifests import HEAD

_RULES = 2_500


def plain_rules(count: int) -> str:
    """Return so many rules of four fields, as the items of a list in YAML."""
    return "".join(
        f"- {{intent: i{n}, queue: q, priority: {n}, minConfidence: 0.7}}\n"
        for n in range(count)
    )


@contextmanager
def takes_at_most(rules: int) -> Iterator[None]:
    """Fail if the work takes more CPU time than loading so many plain rules, of about 0.02 ms
    each.
    """
    load_before = _seconds_of_a_load()
    before = time.process_time()
    yield
    took = time.process_time() - before
    # a neighbour that came meanwhile slows the second load, too
    allowed = rules / _RULES * max(load_before, _seconds_of_a_load())
    assert took <= allowed, (
        f"{took:.2f} s of CPU time, where {allowed:.2f} s are allowed"
    )


def _seconds_of_a_load() -> float:
    with TemporaryDirectory() as directory:
        Path(directory, "a.yaml").write_text(HEAD + plain_rules(_RULES))
        before = time.process_time()
        load_manifests(Path(directory))
        return time.process_time() - before
