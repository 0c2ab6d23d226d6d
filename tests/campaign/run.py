"""The campaign as a program: `make campaign`, or one case with all that happens in it (`--case
"LINE"`).

Exit code 1 when a promise (invariants) was not kept, or too few runs got there among transient
faults.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from multiprocessing import get_context
from multiprocessing.pool import Pool
from os import cpu_count
from typing import Final, NamedTuple

from tests.campaign.bug_search import MOST, BugRow, hunt, interleaved
from tests.campaign.cases import Case, Running
from tests.campaign.exhaustive import (
    all_singles,
    chances,
    doubles,
    fault_free,
    interleavings,
    sampled,
    turns,
)
from tests.campaign.figures import Figures, batch
from tests.campaign.mutants import TWELVE
from tests.campaign.mutants_caught import CAUGHT
from tests.campaign.mutants_more import EXTRAS
from tests.campaign.oracle import Violation
from tests.campaign.report import bugs, detailed, reproductions, table, write
from tests.campaign.shrink import cause, keep, shrunk
from tests.campaign.studio_cases import PREFIX
from tests.campaign.studio_figures import (
    StudioFigures,
    detailed_studio,
    hunt_studio,
    run_studio,
)
from tests.campaign.studio_mutants import BUGS

CHUNK: Final = 40
"""Cases that a process takes at one time."""

LEAST_CONVERGENCE: Final = 0.99
MOST_SHRUNK: Final = 10


class Tier(NamedTuple):
    """The amount to run: one in `share` of the single faults and interleavings, so many pairs and
    turns.
    """

    share: int
    doubles: int
    turns: int
    seconds: float
    studio_pairs: int


TIERS: Final = {
    "quick": Tier(40, 300, 300, 20.0, 100),
    "full": Tier(1, 6000, 3000, 120.0, 3000),
}


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    requested = _parser().parse_args(arguments)
    if requested.case:
        return one(requested.case)
    if requested.studio:
        return _studio(requested)
    began = time.monotonic()
    with get_context("fork").Pool(requested.jobs) as pool:
        tier = TIERS[requested.tier]
        actual = everything(
            pool,
            tier._replace(share=requested.share or tier.share),
            requested.seed,
            requested.seconds,
        )
        caught = pool.map(_hunted, (*TWELVE, *EXTRAS), chunksize=1)
        studio = run_studio(pool, tier.share, requested.seed, tier.studio_pairs)
        bugs_in_studio = pool.map(hunt_studio, BUGS, chunksize=1)
    seconds = time.monotonic() - began
    how_much = (
        f"{requested.tier}, one in {requested.share} of the single faults"
        if requested.share
        else requested.tier
    )
    _print(table(actual, (seconds, how_much, requested.seed)))
    _print(bugs(caught))
    _print(reproductions((row.bug, row.case) for row in caught))
    of_scripts = studio.text(bugs_in_studio)
    _print(of_scripts)
    _print(reproductions((row.name, row.case) for row in bugs_in_studio))
    retained = [_kept(*item) for item in _first_of_each(actual)]
    _print("".join(f"kept: {path}\n" for path in retained))
    if requested.write:
        write(actual, caught, (seconds, how_much, requested.seed), of_scripts)
    escaped = not all(row.case for row in caught) or not all(
        row.case for row in bugs_in_studio
    )
    is_broken = bool(actual.broken or studio.broken) or escaped
    return int(
        is_broken or min(actual.convergence, studio.convergence) < LEAST_CONVERGENCE
    )


def _studio(asked: argparse.Namespace) -> int:
    """Run only the cases of rules in a Studio script."""
    tier = TIERS[asked.tier]
    with get_context("fork").Pool(asked.jobs) as pool:
        actual: StudioFigures = run_studio(
            pool, asked.share or tier.share, asked.seed, tier.studio_pairs
        )
        caught = pool.map(hunt_studio, BUGS, chunksize=1)
    _print(actual.text(caught))
    _print(reproductions((row.name, row.case) for row in caught))
    escaped = any(not row.case for row in caught)
    return int(bool(actual.broken) or escaped or actual.convergence < LEAST_CONVERGENCE)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="campaign", description=__doc__)
    parser.add_argument(
        "--tier", choices=sorted(TIERS), default="full", help="how much is run"
    )
    parser.add_argument(
        "--share",
        type=int,
        help="run one in so many of the single faults and interleavings",
    )
    parser.add_argument(
        "--seconds", type=float, help="for how long cases by chance are run"
    )
    parser.add_argument(
        "--seed", type=int, default=1, help="seed of the random choices"
    )
    parser.add_argument(
        "--jobs",
        type=int,
        default=cpu_count(),
        help="processes; default: one for each core",
    )
    parser.add_argument(
        "--case", metavar="LINE", help="run this one case, and show its requests"
    )
    parser.add_argument(
        "--studio",
        action="store_true",
        help="run only the cases of rules in a Studio script",
    )
    parser.add_argument(
        "--write",
        action="store_true",
        help="write the figures into docs/internals/campaign.md",
    )
    return parser


def everything(pool: Pool, tier: Tier, seed: int, seconds: float | None) -> Figures:
    """Run all parts, and return the sums."""
    actual = Figures()
    parts: dict[str, Iterable[Case]] = {
        "fault-free": fault_free(),
        "singles": sampled(all_singles(), tier.share),
        "interleavings": sampled(interleavings(), tier.share),
        "doubles": islice(doubles(seed), tier.doubles),
        "turns": islice(turns(seed), tier.turns),
    }
    for part, cases in parts.items():
        began = time.monotonic()
        for one in pool.imap_unordered(_run, _chunks(part, cases)):
            actual.merge(one)
            _print(
                "".join(
                    f"  {invariant}: {message}\n    {line}\n"
                    for invariant, line, message in one.violations
                )
            )
        _print(_line(part, actual, time.monotonic() - began))
    _by_chance(pool, actual, seed, tier.seconds if seconds is None else seconds)
    return actual


def _by_chance(pool: Pool, found: Figures, seed: int, seconds: float) -> None:
    """Run generated scenarios with random faults until the time is over."""
    began = time.monotonic()
    cases = chances(seed)
    while time.monotonic() - began < seconds:
        for one in pool.imap_unordered(
            _run, _chunks("by chance", islice(cases, 8 * CHUNK))
        ):
            found.merge(one)
    _print(_line("by chance", found, time.monotonic() - began))


def _run(chunk: tuple[str, tuple[Case, ...]]) -> Figures:
    return batch(*chunk)


def _hunted(bug: str) -> BugRow:
    # a rare case, which so few by lot may miss
    named = map(Case.parse, CAUGHT.get(bug, ()))
    actual = hunt(bug, chain(interleaved(), named))
    if actual is None:
        return BugRow(bug, "NOT CAUGHT", "", MOST)
    return BugRow(bug, " ".join(actual.invariants), str(actual.case), actual.tried)


def _chunks(part: str, cases: Iterable[Case]) -> Iterator[tuple[str, tuple[Case, ...]]]:
    source_values = iter(cases)
    for first in source_values:
        yield part, tuple(chain([first], islice(source_values, CHUNK - 1)))


def _line(part: str, found: Figures, seconds: float) -> str:
    runs = found.runs[part]
    requests = found.requests[part]
    broken = sum(found.broken.values())
    return (
        f"{part:14} {runs:7,} cases {requests:10,} requests {seconds:6.0f} s, violations so far "
        f"{broken}\n"
    )


def _first_of_each(found: Figures) -> list[tuple[str, str, str]]:
    """Return one violation of each broken promise, and a few more."""
    observed: dict[str, tuple[str, str, str]] = {}
    for one in found.violations:
        observed.setdefault(cause(Violation(one[0], one[2])), one)
    return list(observed.values())[:MOST_SHRUNK]


def _kept(invariant: str, line: str, message: str) -> str:
    """Shrink a case and store it as a regression file."""
    smaller = shrunk(Case.parse(line), cause(Violation(invariant, message)))
    keep(smaller, invariant, message)
    return f"{invariant}: {smaller}"


def one(line: str) -> int:
    """Run one case and show every request, its result, and the broken promises."""
    if line.startswith(PREFIX):
        text, is_broken = detailed_studio(line)
        _print(text)
        return int(is_broken)
    running = Running(Case.parse(line))
    result = running.result()
    _print(detailed(running, result))
    return int(bool(result.violations))


def _print(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


if __name__ == "__main__":
    raise SystemExit(main())
