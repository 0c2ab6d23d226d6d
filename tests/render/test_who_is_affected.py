"""The impact of an airline's changes in words: each statement is compared with `explain`."""

from __future__ import annotations

import itertools
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from reconciler.cli.files import STATE
from reconciler.features.practice.sandbox import open_state
from reconciler.features.practice.simulator.state import bank_tenant
from tests.support.brute_force import Json, is_supported, text_of
from tests.support.brute_force_checks import holds_where
from tests.support.program import Program, write

INTENTS = [
    *(
        "boarding_pass",
        "book_flight",
        "cancel_flight",
        "change_seat",
        "check_in",
        "delayed_bag",
        "extra_bag",
    ),
    *(
        "flight_status",
        "lost_bag",
        "meal",
        "miles",
        "pets",
        "refund",
        "rebook",
        "upgrade",
        "visa",
        "wheelchair",
        "wifi",
    ),
]
QUEUES = ("Bookings", "Baggage", "Ground Services")
BANK = Path(__file__).parents[2] / "manifests"
BANK_INTENTS = (
    "card_arrival",
    "lost_or_stolen_card",
    "request_refund",
    "terminate_account",
    "small_talk",
)
CONFIDENCES = (None, 0.1, 0.6, 0.65, 0.7, 0.95)


def airline(floor: float = 0.6, without: str = "") -> str:
    rules = "\n".join(
        f"  - {{intent: {intent}, queue: {QUEUES[place % 3]}}}"
        for place, intent in enumerate(INTENTS)
        if intent != without
    )
    last = "  - {key: catch-all, priority: 900, when: [], queue: General Service}"
    return f"""\
apiVersion: routing/v1
kind: RuleSet
name: airline
defaults: {{minConfidence: {floor}}}
rules:
{rules}
{last}
"""


@pytest.fixture
def flown(cxroute: Program) -> Program:
    """The program in a folder whose sandbox has the airline's rules."""
    write("airline.yaml", airline())
    assert 0 == cxroute("apply", "--yes")
    return cxroute


def goes(program: Program, intent: str, confidence: float | None, *more: str) -> str:
    """Return the queue by `explain`."""
    text = [] if confidence is None else ["--confidence", str(confidence)]
    program("explain", "--intent", intent, *text, *more)
    actual = re.search(r'^goes to "([^"]+)"', program.out, re.MULTILINE)
    assert actual, program.out
    return actual[1]


def effects_of(program: Program) -> Json:
    """Return `behaviour` of a plan: the effects, and the rules that their rows name."""
    code, plan = program.json("plan")
    assert 0 == code
    behaviour: Json = plan["behaviour"]
    return behaviour


def matching(behaviour: Json, given: dict[str, Any]) -> list[Json]:
    """Return the rows that a conversation is in, without the words that rules look for."""
    rows = [row for effect in behaviour["effects"] for row in effect["rows"]]
    rules = behaviour["rules"]
    named = [part for rule in rules.values() for part in rule["conditions"]]
    parts = [*named, *(part for row in rows for part in row["where"])]
    assumed = {text_of(part): False for part in parts if not is_supported(part)}
    earlier = [[rules[name]["conditions"] for name in row["earlier"]] for row in rows]
    return [
        row
        for row, lists in zip(rows, earlier, strict=True)
        if holds_where(row["where"], lists, (given, assumed))
    ]


def check_every_conversation(program: Program, behaviour: Json) -> None:
    """Assert that each conversation is in exactly one row that agrees with `explain`, or in none if
    it stays.
    """
    for intent, confidence in itertools.product(
        (*INTENTS[:2], "small_talk"), CONFIDENCES
    ):
        source_values: dict[str, Any] = {"cognigyDetectedIntent": intent}
        source_values |= {} if confidence is None else {"cognigyConfidence": confidence}
        today = goes(program, intent, confidence, "--live")
        then = goes(program, intent, confidence)
        actual = matching(behaviour, source_values)
        assert (today != then) == bool(actual), source_values
        for row in actual:
            assert 1 == len(actual)
            assert [{today}, {then}] == [
                {queue["queueName"] for queue in row[side]["queues"]}
                for side in ("before", "after")
            ]


def test_a_higher_floor_is_exact_rows(flown: Program) -> None:
    """Callers of 18 intents from 0.6 to below 0.7 go to General Service, and no others move."""
    write("airline.yaml", airline(0.7))
    check_every_conversation(flown, effects_of(flown))
    assert 0 == flown("plan")
    assert "confidence 0.6 to 0.7" in flown.out


def test_a_deleted_rule_does_not_remove_a_condition_of_a_row(flown: Program) -> None:
    """A deleted rule and the higher floor: confident callers of the other intents are not in a
    row.
    """
    write("airline.yaml", airline(0.7, without="boarding_pass"))
    effects = effects_of(flown)
    check_every_conversation(flown, effects)
    (deleted,) = matching(
        effects, {"cognigyDetectedIntent": "boarding_pass", "cognigyConfidence": 0.9}
    )
    assert not matching(
        effects, {"cognigyDetectedIntent": "book_flight", "cognigyConfidence": 0.9}
    )
    listed = [
        part["value"]
        for part in deleted["where"]
        if part["attributeName"] == "cognigyDetectedIntent"
    ]
    assert ["boarding_pass"] == listed


@pytest.mark.slow
def test_rows_of_a_first_plan_do_not_contradict_each_other(cxroute: Program) -> None:
    """The bank's manifests on its tenant of unmanaged rules: no row omits the tier or the
    language.
    """
    shutil.copytree(BANK, "manifests")
    with open_state(STATE, bank_tenant()):
        pass
    effects = effects_of(cxroute)
    languages = (None, "de", "fr", "en")
    tiers = (None, "gold", "platinum", "standard")
    observed = 0
    for intent, confidence, language, tier in itertools.product(
        BANK_INTENTS, CONFIDENCES, languages, tiers
    ):
        source_values: dict[str, Any] = {
            "cognigyDetectedIntent": intent,
            "cognigyConfidence": confidence,
        }
        source_values |= {"language": language, "customerTier": tier}
        actual = matching(effects, source_values)
        assert len(actual) <= 1, source_values
        observed += len(actual)
    assert observed > 100
