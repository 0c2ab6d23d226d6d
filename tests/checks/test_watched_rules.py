"""How many changed rules of a plan nothing watches (semantics "Adequacy of tests and promises")."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from reconciler.behaviour.diff.promises import Promise
from reconciler.behaviour.routing_entry import RoutingEntry
from reconciler.checks.adequacy import count_unwatched
from reconciler.checks.route_tests import RouteTestResult
from reconciler.desired.expand import StatedPromise
from reconciler.model.finding import Finding
from reconciler.model.rule import Source
from reconciler.plan.plan import LiveState, Plan, PlanOptions, draft_plan
from tests.support.builders import NOW, QUEUES, address, desired, intent_is, managed, rule, unmanaged, wanted
from tests.support.program import Program, write

SOURCE = Source("p.yaml", 1, 1)


def passed(intent: str, winner: str | None) -> RouteTestResult:
    """A test about an intent that passes because a rule takes it."""
    entry = None if winner is None else RoutingEntry(name=winner, rule=rule(intent), address=address(winner))
    conversation = {"cognigyDetectedIntent": intent}
    return RouteTestResult(
        environment="prod",
        document="all",
        number=1,
        source=Source("tests.yaml", 1, 1),
        conversation=conversation,
        context=conversation,
        winner=entry,
        failure=None,
    )


def planned() -> Plan:
    """A plan that creates, updates, switches off and deletes one rule, and keeps one; another rule is unmanaged."""
    want = [
        wanted("cards/new", rule("new")),
        wanted("cards/moved", rule("moved", priority=5)),
        wanted("cards/off", rule("off", enabled=False)),
        wanted("cards/same", rule("same")),
    ]
    found = [
        managed("1", "cards/moved", rule("moved")),
        managed("2", "cards/off", rule("off")),
        managed("3", "cards/gone", rule("gone")),
        managed("4", "cards/same", rule("same")),
        unmanaged("5", rule("partner")),
    ]
    return draft_plan(desired(*want), LiveState(tuple(found), QUEUES), PlanOptions(), NOW)


@pytest.mark.parametrize(
    ("tests", "unwatched"),
    [
        ([("same", "cards/same")], 4),
        ([("new", "cards/new")], 3),
        ([("new", "cards/new"), ("moved", "cards/moved")], 2),
        ([("off", None)], 3),
        ([("gone", None)], 3),
        ([("gone", "cards/same"), ("gone", "cards/same")], 3),
        ([("new", "cards/new"), ("moved", "cards/moved"), ("off", None), ("gone", None)], 0),
    ],
)
def test_a_test_watches_the_rule_that_takes_its_conversation(
    tests: list[tuple[str, str | None]], unwatched: int
) -> None:
    """And a rule that is deleted or switched off if that rule matches its conversation."""
    assert unwatched == count_unwatched(planned(), [passed(*each) for each in tests])


def test_without_tests_nothing_is_counted() -> None:
    """A failed test watches nothing."""
    plan, test = planned(), passed("new", "cards/new")
    finding = Finding(code="CXR220", severity="error", message="expected another queue")
    assert count_unwatched(plan, []) is None
    assert 4 == count_unwatched(plan, [replace(test, failure=finding)])


@pytest.mark.parametrize(
    ("promise", "unwatched"),
    [
        ({"conditions": (intent_is("moved"),), "always": frozenset(["q-cards"])}, 3),
        ({"never_default": True}, 2),
        ({"conditions": (intent_is("same"),), "always": frozenset(["q-cards"])}, 4),
        ({"conditions": (intent_is("moved"),), "always": frozenset(["q-fraud"])}, 4),
        ({"decided_by": "cards/*"}, 2),
        ({"conditions": (intent_is("moved"),), "shares": (("q-cards", Fraction(0), Fraction(0)),)}, 4),
        ({"conditions": (intent_is("moved"), intent_is("new")), "never_default": True}, 4),
    ],
)
def test_a_promise_watches_a_rule_without_which_it_is_broken(promise: dict[str, Any], unwatched: int) -> None:
    """A conversation that keeps the promise now would break it; a rule that is not live any more has no promise."""
    plan = planned()
    finding = Finding(code="CXR221", severity="error", message="", source=SOURCE)
    stated = StatedPromise(document="d", name="p", promise=Promise(**{"conditions": (), **promise}), finding=finding)
    promised = replace(plan, desired=replace(plan.desired, promises=(stated,)))
    assert unwatched == count_unwatched(promised, [])
    assert unwatched == count_unwatched(promised, [passed("same", "cards/same")])


def test_what_the_bound_of_work_leaves_undecided_is_not_watched(monkeypatch: pytest.MonkeyPatch) -> None:
    """The number of unwatched rules is never too low."""
    monkeypatch.setattr("reconciler.checks.adequacy.WATCH_WORK", 0)
    test_a_promise_watches_a_rule_without_which_it_is_broken({"never_default": True}, 4)


MANIFESTS = """\
apiVersion: routing/v1
kind: RuleSet
name: cards
rules:
  - {intent: lost_card, queue: Fraud}
  - {intent: pin, queue: Cards}
"""
TESTS = """\
apiVersion: routing/v1
kind: RouteTests
name: all
tests:
  - {given: {intent: lost_card, confidence: 0.9}, expect: {queue: Fraud}}
"""


def test_each_form_of_a_plan_states_the_number(cxroute: Program) -> None:
    """Text, brief text, Markdown, the page and JSON; without route tests none does."""
    write("rules.yaml", MANIFESTS)
    write("tests.yaml", TESTS)
    sentence = "1 of its 2 changed rules is watched by no test and no promise."
    for options in ([], ["-q"], ["--format", "markdown"], ["--format", "html"]):
        assert 0 == cxroute("plan", *options)
        assert sentence in cxroute.out, options
    assert 1 == cxroute.json("plan")[1]["summary"]["unwatched"]
    write("tests.yaml", TESTS + "  - {given: {intent: pin}, expect: {queue: Cards}}\n")
    assert 0 == cxroute("plan")
    assert "0 of its 2 changed rules are watched by no test and no promise." in cxroute.out
    Path("manifests/tests.yaml").unlink()
    assert 0 == cxroute("plan")
    assert "watched" not in cxroute.out
    assert "unwatched" not in cxroute.json("plan")[1]["summary"]
