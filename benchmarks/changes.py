"""The cost of the commands about changes, in CPU seconds of the whole command and of git.

`bench_merge_check`: two changes of a large set of rules, and their merge.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from random import Random

SIZES = {1_000: 3.0, 10_000: 12.0}
"""The CPU seconds that a merge check may take, by number of rules."""
EDITED = 100
"""Of so many rules, each change edits one."""
Cost = Callable[[list[str]], float]
"""Runs a command to its end, and returns its CPU seconds."""
ENVIRONMENT = (
    "apiVersion: routing/v1\nkind: Environment\nname: prod\nowner: acme\ntenant: acme\n"
)


def bench(work: Path, cpu: Cost) -> None:
    """Print the cost of each command."""
    bench_merge_check(work, cpu)


def bench_merge_check(work: Path, cpu: Cost) -> None:
    """Print the cost of a check of two changes, with the reading of all four versions."""
    for count, limit in SIZES.items():
        folder = work / f"merge-{count}"
        versions = write_versions(folder, count)
        command = [
            sys.executable,
            "-m",
            "reconciler",
            "merge-check",
            "--format",
            "json",
        ]
        seconds = cpu([*command, *versions])
        print(
            f"merge-check: {count:,} rules, {count // EDITED} edits in each change: "
            f"{seconds:.1f} s CPU (at most {limit:.0f})"
        )
        assert seconds <= limit


def write_versions(folder: Path, count: int) -> list[str]:
    """Write four versions of the manifests, and return their folders."""
    chosen = Random(1)  # noqa: S311 - a workload
    base = [(chosen.randrange(count), chosen.randrange(9)) for _ in range(count)]
    ours = dict(enumerate(base))
    theirs = dict(enumerate(base))
    merged = dict(enumerate(base))
    for number in chosen.sample(range(0, count, 10), count // EDITED):
        ours[number] = merged[number] = (chosen.randrange(count), base[number][1])
    for number in chosen.sample(range(1, count, 10), count // EDITED):
        theirs[number] = merged[number] = (chosen.randrange(count), base[number][1])
    versions = {
        "base": dict(enumerate(base)),
        "ours": ours,
        "theirs": theirs,
        "merged": merged,
    }
    for name, rules in versions.items():
        place = folder / name
        place.mkdir(parents=True, exist_ok=True)
        (place / "prod.yaml").write_text(ENVIRONMENT)
        (place / "rules.yaml").write_text(_ruleset(rules))
    return [str(folder / name) for name in versions]


def _ruleset(rules: dict[int, tuple[int, int]]) -> str:
    """Return rules, each with a priority and a queue; a tenth is about gold customers alone."""
    lines = ["apiVersion: routing/v1", "kind: RuleSet", "name: bench", "rules:"]
    for number, (priority, queue) in rules.items():
        test = f"intent: intent-{number % (len(rules) // 2)}, minConfidence: 0.{number % 9 + 1}"
        if number % 10 == 0:
            test = f"when: [{{attribute: tier, equals: tier-{number % 7}}}]"
        lines.append(
            f"  - {{key: rule-{number}, {test}, queue: Queue {queue}, priority: {priority}}}"
        )
    return "\n".join(lines) + "\n"
