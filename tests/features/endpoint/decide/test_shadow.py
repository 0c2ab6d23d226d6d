"""The shadow: what a script chose by itself, compared with the decisions."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

from reconciler.features.endpoint.decide.shadow import Shadow
from reconciler.targets.decide.decision import Decision
from tests.features.endpoint.decide.decision_endpoint import in_folder
from tests.support.served_tables import a_table, rule_json

TABLE = a_table(rule_json("lost"))


def decided(rule: str | None = "cards/lost", queue: str | None = "4001") -> Decision:
    """Return a decision."""
    return Decision(rule=rule, queue_id=queue, share=None, fallback=None)


class ShadowClock:
    """A clock that a test sets, and the lines of a log."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.lines: list[dict[str, Any]] = []
        self.shadow = Shadow(
            lambda line: self.lines.append(json.loads(line)), lambda: self.seconds
        )


def test_both_series_exist_from_the_start() -> None:
    """An alert can compare them before the first request."""
    lines = list(ShadowClock().shadow.lines())
    assert lines[-2:] == [
        'cxroute_shadow_total{agrees="yes"} 0',
        'cxroute_shadow_total{agrees="no"} 0',
    ]


def test_a_queue_agrees_by_its_id_or_its_name() -> None:
    """Another queue does not, and neither does a choice where there is no queue."""
    shadow = ShadowClock().shadow
    for chosen in ("4001", "Fraud Desk", "4002", "Billing", "fraud desk"):
        shadow.compare(decided(), chosen, TABLE)
    shadow.compare(decided(None, None), "4001", TABLE)
    assert (shadow.agreements, shadow.disagreements) == (2, 4)


def test_both_routes_are_compared(tmp_path: Path) -> None:
    """A request without a choice counts nothing."""

    async def ask() -> Any:
        service = in_folder(tmp_path)
        await service.publish(TABLE)
        await service.decide(intent="lost", scriptQueue="Billing")
        await service.decide(intent="lost")
        for chosen in (4001, "4001", "", None):
            payload = {"intent": "lost", "script_skill": chosen}
            await service.exchange({"customPayload": payload})
        return (await service.endpoint.request("GET", "/rules/shadow")).form

    assert asyncio.run(ask()) == {
        "agreements": 2,
        "disagreements": 1,
        "rules": [
            {
                "rule": "cards/lost",
                "disagreements": 1,
                "agreements": 2,
                "queue": "Fraud Desk",
                "scriptQueue": "Billing",
            }
        ],
    }


def test_the_log_names_one_disagreement_a_minute() -> None:
    """With the rule and the queues; a text that is not a queue of the table is not repeated."""
    here = ShadowClock()
    for second in (0, 1, 59, 60, 61):
        here.seconds = second
        here.shadow.compare(decided(), "a customer's words", TABLE)
    line = {
        "event": "shadow",
        "rule": "cards/lost",
        "queue": "Fraud Desk",
        "script_queue": None,
    }
    assert here.lines == [
        {**line, "disagreements": 1},
        {**line, "disagreements": 4},
    ]


def test_the_list_is_bounded_and_begins_with_the_most() -> None:
    """A hundred rules of any number, those with most disagreements, in bounded memory."""
    shadow = ShadowClock().shadow
    for _ in range(3):
        shadow.compare(decided("cards/often"), "4002", TABLE)
    for number in range(5_000):
        shadow.compare(decided(f"cards/r{number}"), "4002", TABLE)
    rules = shadow.to_json()["rules"]
    assert len(rules) == 100
    assert rules[0]["rule"] == "cards/often"
    assert len(shadow._rules) <= 1_000
