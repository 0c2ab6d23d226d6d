"""An apply of new rules on the sandbox, and of twice as many."""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import median
from typing import Any, Protocol

RULES = 10_000
RULES_OF_A_FILE = 100
QUEUES = 40
SECONDS = 20.0
"""The CPU that the apply may take; its time is longer only where other processes run."""
GROWTH = 2.2
"""How many times as long, in CPU, the apply of twice as many rules may take."""


class _Cost(Protocol):
    @property
    def cpu(self) -> float: ...

    @property
    def memory(self) -> float: ...


Measure = Callable[[list[str], tuple[int, ...]], _Cost]
Interleaved = Callable[[int, dict[str, Callable[[], Any]]], Mapping[str, _Cost]]


def bench(runs: int, work: Path, cost: Measure, interleaved: Interleaved) -> None:
    """Print the time and the CPU of both applies, each on a new sandbox.

    Raises AssertionError where one takes longer than its limit.
    """
    elapsed: dict[int, list[float]] = {RULES: [], 2 * RULES: []}

    def apply_of(count: int) -> Callable[[], _Cost]:
        folder = work / f"sandbox-{count}"
        _write_manifests(folder, count)
        command = [sys.executable, "-m", "reconciler", "-m", str(folder)]

        def apply() -> _Cost:
            shutil.rmtree(work / ".cxroute", ignore_errors=True)
            start = time.monotonic()
            spent = cost([*command, "-e", "sandbox", "apply", "--yes", "-q"], (0,))
            elapsed[count].append(time.monotonic() - start)
            return spent

        return apply

    actual = interleaved(runs, {str(count): apply_of(count) for count in elapsed})
    print("apply on a new sandbox                    s      CPU s   MiB  x")
    for count, times in elapsed.items():
        item = actual[str(count)]
        growth = item.cpu / actual[str(RULES)].cpu
        print(
            f"  {count:,} creates {'':<19} {median(times):6.2f}     {item.cpu:6.2f} "
            f"{item.memory:5.0f}  {growth:.2f}"
        )
    print(
        f"  CPU at most {SECONDS:.0f} s, and {GROWTH} times as much for twice as many"
    )
    spent = actual[str(RULES)].cpu
    grown = actual[str(2 * RULES)].cpu / spent
    assert spent <= SECONDS, f"{RULES:,} creates took {spent:.1f} s of CPU"
    assert grown <= GROWTH, f"twice as many creates took {grown:.2f} times the CPU"


def _write_manifests(folder: Path, count: int) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    start = {"apiVersion": "routing/v1"}
    limits = {"changes": {"count": count, "percent": 100}}
    environment = {"kind": "Environment", "name": "sandbox", "owner": "bench"}
    _write(folder / "sandbox.yaml", {**start, **environment, "guard": limits})
    for first in range(0, count, RULES_OF_A_FILE):
        rules = [
            {"intent": f"intent_{number}", "queue": f"Queue {number % QUEUES}"}
            for number in range(first, first + RULES_OF_A_FILE)
        ]
        ruleset = {"kind": "RuleSet", "name": f"rules-{first}", "rules": rules}
        _write(folder / f"rules-{first}.yaml", {**start, **ruleset})


def _write(path: Path, document: dict[str, Any]) -> None:
    path.write_text(json.dumps(document) + "\n", "utf-8")
