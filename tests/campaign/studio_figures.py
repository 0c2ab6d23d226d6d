"""The sums of the profile "studio", and the search of deliberate bugs with its cases."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from itertools import islice, zip_longest
from multiprocessing.pool import Pool
from random import Random
from typing import Final, NamedTuple

from tests.campaign.studio_cases import (
    StudioCase,
    StudioCaseResult,
    accidents,
    fault_free,
    is_transient,
    lasting,
    parts,
    run_case,
    single_faults,
    warm_up,
)
from tests.campaign.studio_mutants import BUGS

CHUNK: Final = 40
MOST: Final = 1500
"""Maximum of cases for one bug."""
_MOST_SHOWN: Final = 20


@dataclass(slots=True)
class StudioFigures:
    """Sums over cases."""

    runs: Counter[str] = field(default_factory=Counter)
    requests: Counter[str] = field(default_factory=Counter)
    checks: Counter[str] = field(default_factory=Counter)
    broken: Counter[str] = field(default_factory=Counter)
    violations: list[str] = field(default_factory=list)
    tried: int = 0
    """Runs with one transient fault."""
    converged: int = 0
    """Those that ended well all the same."""

    def add(self, part: str, result: StudioCaseResult) -> None:
        """Add the result of a case."""
        self.runs[part] += 1
        self.requests[part] += result.requests
        self.checks.update(result.counts)
        self.broken.update(promise for promise, _ in result.broken)
        self.violations += [
            f"{promise}: {message}\n    {result.case}"
            for promise, message in result.broken
        ]
        if is_transient(result.case) and result.happened:
            self.tried += 1
            self.converged += result.is_same_run
            self.violations += (
                []
                if result.is_same_run
                else [f"not converged in the same run\n    {result.case}"]
            )

    def merge(self, other: StudioFigures) -> None:
        """Add the sums of another batch."""
        for name in ("runs", "requests", "checks", "broken"):
            getattr(self, name).update(getattr(other, name))
        self.violations += other.violations
        self.tried += other.tried
        self.converged += other.converged

    @property
    def convergence(self) -> float:
        """The share of runs with one transient fault that ended well."""
        return self.converged / (self.tried or 1)

    def text(self, bugs: Iterable[StudioCatch]) -> str:
        """Return the sums as text for the terminal and docs/internals/campaign.md."""
        lines = [
            "",
            "Rules in a Studio script:",
            "",
            "| Part | Cases | Requests |",
            "|---|---:|---:|",
        ]
        lines += [
            f"| {part} | {runs:,} | {self.requests[part]:,} |"
            for part, runs in self.runs.items()
        ]
        lines += [
            f"| all | {sum(self.runs.values()):,} | {sum(self.requests.values()):,} |"
        ]
        lines += ["", "| Promise | Checks | Broken |", "|---|---:|---:|"]
        lines += [
            f"| {name} | {count:,} | {self.broken[name]} |"
            for name, count in sorted(self.checks.items())
        ]
        lines += [
            "",
            (
                f"Same-run convergence with one transient fault: {self.convergence:.2%} of "
                f"{self.tried:,} runs."
            ),
            "",
        ]
        lines += ["| Deliberate bug | Caught by | Cases |", "|---|---|---:|"]
        lines += [f"| {bug.name} | {bug.promises} | {bug.tried} |" for bug in bugs]
        return "\n".join([*lines, *self.violations[:_MOST_SHOWN], ""])


class StudioCatch(NamedTuple):
    """A deliberate bug and the case that caught it; without a case nothing did."""

    name: str
    promises: str
    case: str
    tried: int


def run_studio(pool: Pool, share: int, seed: int, pairs: int) -> StudioFigures:
    """Run all cases, or one in `share`, with this number of random pairs."""
    warm_up()
    figures = StudioFigures()
    chunks = (
        (part, chunk)
        for part, cases in parts(seed, pairs).items()
        for chunk in _chunks(
            cases if part in ("fault-free", "pairs") else _sampled(cases, share)
        )
    )
    for candidate in pool.imap_unordered(batch, chunks):
        figures.merge(candidate)
    return figures


def batch(chunk: tuple[str, tuple[StudioCase, ...]]) -> StudioFigures:
    """Run cases of one part and sum them up."""
    figures = StudioFigures()
    for case in chunk[1]:
        figures.add(chunk[0], run_case(case))
    return figures


def detailed_studio(line: str) -> tuple[str, bool]:
    """Run one case, and return its requests, its results, and whether a promise was broken."""
    warm_up()
    result = run_case(StudioCase.parse(line))
    lines = [str(result.case), "", "requests:"]
    for call in result.calls:
        request = call.request
        response = call.response
        heard = (
            "no response" if response is None or call.is_lost else str(response.status)
        )
        lines.append(
            f"  {call.run.user} #{call.number:<3} {request.method:5} "
            f"{request.path}?{request.query} -> {heard}"
        )
    lines += ["", "output of the runs:", *(text[:400] for text in result.outputs)]
    lines += [
        "",
        "exit codes: "
        + ", ".join(str(each and each.exit_code) for each in result.results),
    ]
    lines += [f"{promise}: {message}" for promise, message in result.broken] or [
        "no violation"
    ]
    return "\n".join(lines) + "\n", bool(result.broken)


def hunt_studio(bug: str, cases: Iterable[StudioCase] | None = None) -> StudioCatch:
    """Search a deliberate bug until a case catches it."""
    warm_up()
    tried = 0
    for tried, case in enumerate(
        islice(all_in_turn(), MOST) if cases is None else cases, 1
    ):
        if promises := broken_by(bug, case):
            return StudioCatch(bug, " ".join(sorted(promises)), str(case), tried)
    return StudioCatch(bug, "NOT CAUGHT", "", tried)


def broken_by(bug: str, case: StudioCase) -> frozenset[str]:
    """Return the promises that a case finds broken with a bug; an error of another kind counts,
    too.
    """
    warm_up()
    try:
        with BUGS[bug]() if bug else nullcontext():
            return frozenset(promise for promise, _ in run_case(case).broken)
    except Exception as error:  # noqa: BLE001 - a bug may break the tool anywhere
        return frozenset([type(error).__name__])


def all_in_turn() -> Iterator[StudioCase]:
    """Yield all cases in random order, of each part in turn; those without faults first."""
    yield from fault_free()
    every = [[*single_faults()], [*accidents()], [*lasting()]]
    for cases in every:
        Random(1).shuffle(cases)
    yield from (
        case for group in zip_longest(*every) for case in group if case is not None
    )


def _sampled(cases: Iterable[StudioCase], share: int) -> Iterator[StudioCase]:
    random = Random(share)
    return (case for case in cases if share == 1 or random.random() < 1 / share)


def _chunks(cases: Iterable[StudioCase]) -> Iterator[tuple[StudioCase, ...]]:
    remaining = iter(cases)
    while chunk := tuple(islice(remaining, CHUNK)):
        yield chunk
