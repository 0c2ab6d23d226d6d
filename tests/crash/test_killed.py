"""SIGKILL of the real process at its requests and at any time: the next run converges (R17, F39,
F40).
"""

from __future__ import annotations

import random
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.crash.killer import SIDES, Side
from tests.crash.stage import CrashRun, CrashSetup
from tests.tiers import FULL

SHARES: Final = 12 if FULL else 8
"""The requests of an apply are divided into so many shares, for parallel processes; the sample has
one of each."""
INSTANTS: Final = 100 if FULL else 6


@pytest.mark.parametrize("profile", ["A", "C"])
def test_the_scene_has_the_hard_cases(
    profile: str, stages: Callable[[str], CrashSetup]
) -> None:
    """30 changes, a temporary copy on the way, an adoption; every unmanaged rule is unchanged."""
    requests_sent = [
        request
        for request in stages(profile).requests
        if request.method != "GET" and not request.path.endswith("/token")
    ]
    methods = [item.method for item in requests_sent]
    copies = [
        item
        for item in requests_sent
        if b"/left~next#" in item.body or b"/right~next#" in item.body
    ]
    assert (10 + 1, 13 + 1 + 1, 6 + 1) == tuple(
        methods.count(item) for item in ("POST", "PUT", "DELETE")
    )
    assert ["POST"] == [copy.method for copy in copies]


def points(share: int, requests: int) -> Iterator[tuple[int, Side]]:
    """Return the requests, counted from 1, of one share, each with both sides; of a sample one
    request only.
    """
    first = 1 + share * requests // SHARES
    last = (share + 1) * requests // SHARES
    every = [(at, side) for at in range(first, last + 1) for side in SIDES]
    yield from every if FULL else [every[share * 7 % len(every)]]


@pytest.mark.parametrize("profile", ["A", "C"])
@pytest.mark.parametrize("share", range(SHARES))
def test_killed_at_a_request(
    share: int, profile: str, stages: Callable[[str], CrashSetup], tmp_path: Path
) -> None:
    """Whether the server carried the request out or not, the next run converges and the one after
    it writes nothing.
    """
    for at, side in points(share, len(stages(profile).requests)):
        trial = CrashRun(stages(profile), tmp_path)
        ended = trial.killed(at, side)
        assert -signal.SIGKILL == ended.code, (at, side, ended)
        trial.assert_heals_here()


@pytest.mark.parametrize("seed", range(INSTANTS))
def test_killed_at_any_instant(
    seed: int, stages: Callable[[str], CrashSetup], tmp_path: Path
) -> None:
    """At a random time between the first and the last request, which may be during the program's
    own work.
    """
    stage = stages("AC"[seed % 2])
    trial = CrashRun(stage, tmp_path)
    delay = random.Random(seed).uniform(0, stage.seconds)
    ended = trial.killed_after(delay)
    assert ended.code in (-signal.SIGKILL, 0), (delay, ended)
    trial.assert_heals()
