"""The CPU of a plan of rules with dates, beside the plan of the same rules without dates."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

RULES = 1_000
BOUNDARIES = 50
QUEUES = 40
LIMIT = 2.0
"""How often the CPU of a plan without dates a plan with them may take."""
FREEZE_DAYS = 60


class _Cost(Protocol):
    @property
    def cpu(self) -> float: ...


Measure = Callable[[list[str], tuple[int, ...]], _Cost]
Interleaved = Callable[[int, dict[str, Callable[[], Any]]], Mapping[str, _Cost]]


def bench(runs: int, work: Path, cost: Measure, interleaved: Interleaved) -> None:
    """Print the cost of a plan without dates, with them, and with a freeze over most of them.

    Raises AssertionError where dates more than double the CPU.
    """
    folder = work / "dates"
    folder.mkdir(exist_ok=True)
    live = folder / "live.json"
    queues = [{"id": f"id{n}", "name": f"Queue {n}"} for n in range(QUEUES)]
    live.write_text(json.dumps({"queues": queues, "rules": []}))
    for name, documents in _projects().items():
        place = folder / name
        place.mkdir(exist_ok=True)
        text = "\n---\n".join(json.dumps(document) for document in documents)
        (place / "all.yaml").write_text(text + "\n")

    def plan_of(name: str) -> Callable[[], _Cost]:
        command = [sys.executable, "-m", "reconciler", "-m", str(folder / name)]
        words = ["-e", "prod", "plan", "--live", str(live), "--format", "json"]
        return lambda: cost([*command, *words], (0,))

    actual = interleaved(runs, {name: plan_of(name) for name in _projects()})
    floor = actual["without dates"].cpu
    print(f"plan of {RULES:,} new rules, {BOUNDARIES} dates             CPU s   x")
    for name, item in actual.items():
        print(
            f"  {name:<44} {item.cpu:6.2f} {item.cpu / floor:4.2f} (at most {LIMIT:.0f})"
        )
    slow = [name for name, item in actual.items() if item.cpu > LIMIT * floor]
    assert not slow, f"dates more than double the CPU: {', '.join(slow)}"


def _projects() -> dict[str, list[dict[str, Any]]]:
    """Return the documents of each project."""
    begin = datetime.now(UTC).replace(microsecond=0)
    end = begin + timedelta(days=FREEZE_DAYS)
    freeze = {"start": f"{begin:%Y-%m-%d}", "end": f"{end:%Y-%m-%d}"}
    environment = {
        "apiVersion": "routing/v1",
        "kind": "Environment",
        "name": "prod",
        "owner": "bench",
        "tenant": "bench",
        "schedule": {"every": "10m"},
    }
    ruleset = {"apiVersion": "routing/v1", "kind": "RuleSet", "name": "bench"}
    plain = {**ruleset, "rules": [_rule(number, None) for number in range(RULES)]}
    dated = {**ruleset, "rules": [_rule(number, begin) for number in range(RULES)]}
    return {
        "without dates": [environment, plain],
        "dates": [environment, dated],
        "dates in a freeze": [{**environment, "freeze": [freeze]}, dated],
    }


def _rule(number: int, begin: datetime | None) -> dict[str, Any]:
    """Return a rule of its own intent; one of twenty has a date of its own after `begin`."""
    rule: dict[str, Any] = {
        "key": f"rule-{number}",
        "intent": f"intent_{number}",
        "queue": f"Queue {number % QUEUES}",
        "priority": 10 + number % 50,
    }
    if number % 3 == 0:
        tier = ("gold", "basic")[number % 2]
        rule["when"] = [{"attribute": "tier", "equals": tier}]
    every = RULES // BOUNDARIES
    if begin is not None and number % every == 0:
        later = begin + timedelta(days=1 + number // every)
        rule["from"] = later.isoformat()
    return rule
