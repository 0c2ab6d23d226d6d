"""Mutate one node at a time, of the core and of the packages around it; report the mutants that no
test notices.

Two thirds of a sample are of the core, and the same seed gives the same sample. Exit code 1 when
fewer than 95 % of the core's mutants or 75 % of the others are caught, or an entry of equal.toml is
outdated.
"""

from __future__ import annotations

import argparse
import ast
import marshal
import os
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from hashlib import sha256
from multiprocessing import get_context
from pathlib import Path
from typing import Final

from tests.mutation.equal import Equal, known
from tests.mutation.lines import Lines, current
from tests.mutation.modules import CORE, GROUP_OF, MODULES, SHARES
from tests.mutation.mutants import Mutant, Source
from tests.mutation.trial import preload, tried

LEAST: Final = {CORE: 0.95, "around": 0.75}
"""The share that must be caught of the core, and of all packages around it: there it rises with
their tests."""
STATUSES: Final = ("caught", "endless", "survived", "not run", "equal")


@dataclass(frozen=True, slots=True)
class MutantResult:
    """The status of one mutant, one of STATUSES.

    A mutant in equal.toml is "equal" and is not tried.
    """

    module: str
    mutant: Mutant
    status: str
    reason: str

    def __str__(self) -> str:
        mutant = self.mutant
        place = f"{self.module}.py:{mutant.lines.start} {mutant.function} ({mutant.operator})"
        return (
            f"{self.status}: {place}: {self.reason}\n- {mutant.old}\n+ {mutant.new}\n"
        )


def main(arguments: list[str] | None = None) -> int:
    """Run the requested mutants; return the exit code."""
    requested = _parser().parse_args(arguments)
    sources = {
        name: Source(MODULES[name].read_text("utf-8"), str(MODULES[name]))
        for name in requested.only or MODULES
    }
    mutants = [
        (name, mutant)
        for name, source in sources.items()
        for mutant in source.mutants()
    ]
    tried = [
        (name, mutant)
        for name, mutant in mutants
        if GROUP_OF[name] == CORE or not is_wording(mutant)
    ]
    equal = known()
    outdated = [
        entry
        for entry in equal
        if entry.module in sources
        and not any(entry.is_of(*mutant) for mutant in mutants)
    ]
    draw = sample if requested.only else sample_groups
    sampled = draw(tried, requested.seed, requested.count)
    results = []
    lines = Lines(requested.lines) if requested.lines else current(requested.workers)
    for result in judged(sampled, sources, equal, lines, requested.workers):
        results.append(result)
        _print(
            f"{len(results)}/{len(sampled)} "
            + (str(result) if requested.verbose else f"{result.status}\n")
        )
    _print(told(results, outdated))
    is_below = any(share(part) < LEAST[name] for name, part in parts(results).items())
    return int(bool(outdated) or is_below)


def sample(
    mutants: Sequence[tuple[str, Mutant]], seed: int, count: int
) -> list[tuple[str, Mutant]]:
    """Return a random sample, which is nearly the same after a change of other lines."""

    def lot(one: tuple[str, Mutant]) -> bytes:
        name, mutant = one
        return sha256(
            "\0".join(
                (str(seed), name, mutant.function, mutant.old, mutant.new)
            ).encode()
        ).digest()

    return sorted(mutants, key=lot)[:count]


def sample_groups(
    mutants: Sequence[tuple[str, Mutant]], seed: int, count: int
) -> list[tuple[str, Mutant]]:
    """Return a random sample with mutants of every group, each with its share."""
    chosen: list[tuple[str, Mutant]] = []
    for group, share_of_group in SHARES.items():
        own = [(name, mutant) for name, mutant in mutants if GROUP_OF[name] == group]
        chosen += sample(
            own, seed, round(count * share_of_group / sum(SHARES.values()))
        )
    return chosen


def is_wording(mutant: Mutant) -> bool:
    """Return whether a mutant changes words of a sentence, which pages and recordings show, and
    readers judge.
    """
    node = mutant.node
    return (
        mutant.operator == "text"
        and isinstance(node, ast.Constant)
        and " " in str(node.value)
    )


def judged(
    sampled: Iterable[tuple[str, Mutant]],
    sources: Mapping[str, Source],
    equal: Sequence[Equal],
    lines: Lines,
    workers: int,
) -> Iterator[MutantResult]:
    """Yield the result of each mutant, in order; several are tried in parallel."""
    with ProcessPoolExecutor(workers, get_context("spawn"), preload) as pool:
        trials: list[tuple[str, Mutant, str, Future[tuple[str, int]] | None]] = []
        for name, mutant in sampled:
            reason = next(
                (entry.reason for entry in equal if entry.is_of(name, mutant)), ""
            )
            code = marshal.dumps(sources[name].compiled(mutant))
            module = f"reconciler.{name.replace('/', '.')}"
            trial = (
                None
                if reason
                else pool.submit(tried, module, code, lines.tests(name, mutant))
            )
            trials.append((name, mutant, reason, trial))
        for name, mutant, reason, trial in trials:
            status, count = ("equal", 0) if trial is None else trial.result()
            yield MutantResult(
                name, mutant, status, reason or f"{count} fast tests run it"
            )


def share(results: Sequence[MutantResult]) -> float:
    """Return the share of caught mutants, without equivalent ones."""
    counts = Counter(result.status for result in results)
    able = len(results) - counts["equal"]
    return (counts["caught"] + counts["endless"]) / able if able else 1.0


def parts(results: Sequence[MutantResult]) -> dict[str, list[MutantResult]]:
    """Return the results of the core, and those of the packages around it."""
    core = [result for result in results if GROUP_OF.get(result.module) == CORE]
    around = [result for result in results if GROUP_OF.get(result.module) != CORE]
    return {CORE: core, "around": around}


def told(results: Sequence[MutantResult], outdated: Sequence[Equal]) -> str:
    """Return the survivors, then a table of all modules."""
    lines = [
        f"\n{result}"
        for result in results
        if result.status not in ("caught", "endless")
    ]
    lines += [
        f"\nequal.toml is out of date; correct or delete: {entry.module}.py {entry.function}\n- "
        f"{entry.old}\n"
        for entry in outdated
    ]
    lines.append("\n" + "".join(f"{status:>9}" for status in STATUSES) + "  module\n")
    for name in (*dict.fromkeys(sorted(result.module for result in results)), "all"):
        counts = Counter(
            result.status for result in results if name in (result.module, "all")
        )
        lines.append(
            "".join(f"{counts[status]:>9}" for status in STATUSES) + f"  {name}\n"
        )
    for name, part in parts(results).items():
        able = sum(result.status != "equal" for result in part)
        caught = f"{100 * share(part):.1f} % of {able} caught, without equal ones"
        lines.append(f"{name}: {caught}; required: {100 * LEAST[name]:g} %\n")
    return "".join(lines)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="make mutants", description=__doc__)
    parser.add_argument(
        "--seed", type=int, default=16, help="another sample (default: 16)"
    )
    parser.add_argument(
        "--count", type=int, default=300, help="number of mutants (default: 300)"
    )
    parser.add_argument(
        "--only",
        action="append",
        choices=list(MODULES),
        help="a module, such as behaviour/rows",
    )
    parser.add_argument(
        "--workers",
        type=int,
        default=os.cpu_count(),
        help="number of parallel processes",
    )
    parser.add_argument(
        "--lines",
        type=Path,
        help="a folder of .mutation, if the code has hardly changed since",
    )
    parser.add_argument(
        "--verbose", action="store_true", help="print each mutant, caught ones included"
    )
    return parser


def _print(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
