"""Reduces a failing case to a smaller one that breaks the same promise, and stores it in a file."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import asdict, replace
from hashlib import sha256
from pathlib import Path
from typing import Final

from tests.campaign.cases import Case, Running, run_case
from tests.campaign.oracle import Violation

REGRESSIONS: Final = Path(__file__).parent / "regressions"
MOST_RUNS: Final = 400
"""Runs that one shrinking may take."""

_DETAILS: Final = re.compile(r"'[^']*'|\"[^\"]*\"|[0-9]+|/\S+")
_PLACE: Final = re.compile(r"@#([0-9]+)")


def cause(found: Violation) -> str:
    """Return the broken promise and its form, without the parts that differ from case to case."""
    return f"{found.invariant} {_DETAILS.sub('', found.message)[:60]}"


def shrunk(case: Case, found_cause: str) -> Case:
    """Return the smallest case found that fails for the same cause: fewer faults, earlier ones,
    fewer rules.
    """
    actual = case
    runs = 0
    progress = True
    while progress and runs < MOST_RUNS:
        progress = False
        for smaller in _smaller(actual):
            runs += 1
            if found_cause in {
                cause(violation) for violation in run_case(smaller).violations
            }:
                actual = smaller
                progress = True
                break
            if runs >= MOST_RUNS:
                break
    return actual


def _smaller(case: Case) -> Iterator[Case]:
    """Yield slightly smaller cases, the most effective first."""
    if re.search(r"@0?\.[0-9]", case.faults):
        yield pinned(case)
    faults = case.faults.split(",") if case.faults else []
    for place in range(len(faults)):
        yield replace(case, faults=",".join(faults[:place] + faults[place + 1 :]))
    built = case.built()
    for name in (*(rule["id"] for rule in built.rules), *map(str, built.wish.rules)):
        yield replace(case, dropped=(*case.dropped, name))
    for place, fault in enumerate(faults):
        at = _PLACE.search(fault)
        for earlier in range(1, int(at[1])) if at else ():
            moved = (
                fault[: at.start()] + f"@#{earlier}" + fault[at.end() :]
                if at
                else fault
            )
            yield replace(
                case, faults=",".join([*faults[:place], moved, *faults[place + 1 :]])
            )
    if case.seed != 1:
        yield replace(case, seed=1)


def pinned(case: Case) -> Case:
    """Return the case with its random faults at the places where they occurred."""
    running = Running(case)
    running.inject()
    places = {
        id(request): number
        for number, request in enumerate(running.world.state.requests, start=1)
    }
    chances = [
        (text.rpartition("@")[0], places[id(request)])
        for text, request in running.fired
        if "@#" not in text
    ]
    kept = [text for text in case.faults.split(",") if "@#" in text]
    return replace(
        case, faults=",".join([*kept, *(f"{text}@#{place}" for text, place in chances)])
    )


def keep(case: Case, invariant: str, message: str) -> Path:
    """Write a regression file: test_campaign.py then runs it, and expects that the promise
    holds.
    """
    name = f"{invariant}-{sha256(str(case).encode()).hexdigest()[:8]}.json"
    document = {
        "broke": invariant,
        "message": message[:500],
        "line": str(case),
        "case": asdict(case),
    }
    path = REGRESSIONS / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(
        json.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8"
    )
    return path


def kept(path: Path) -> Case:
    """Read a regression file."""
    actual = json.loads(path.read_text(encoding="utf-8"))["case"]
    return Case(**{**actual, "dropped": tuple(actual["dropped"])})
