"""How many changed rules of a plan nothing watches (semantics "Adequacy of tests and promises")."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from itertools import product
from pathlib import Path
from random import Random
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
from tests.support.brute_force import Json, inputs_for, winner
from tests.support.builders import NOW, QUEUES, address, desired, intent_is, managed, rule, unmanaged, wanted
from tests.support.edit_oracle import adequacy_sample
from tests.support.program import Program, write
from tests.support.random_promises import AuthoredPromise, a_promise, holds_all
from tests.support.random_rules import entry
from tests.tiers import FULL

SAMPLES = 1_000 if FULL else 100
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


def promised(plan: Plan, promise: Promise) -> Plan:
    """The plan with a promise."""
    finding = Finding(code="CXR221", severity="error", message="", source=SOURCE)
    stated = StatedPromise(document="d", name="p", promise=promise, finding=finding, requirement="")
    return replace(plan, desired=replace(plan.desired, promises=(stated,)))


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
    assert (unwatched, 0) == count_unwatched(planned(), [passed(*each) for each in tests])


def test_without_tests_nothing_is_counted() -> None:
    """A failed test watches nothing."""
    plan, test = planned(), passed("new", "cards/new")
    finding = Finding(code="CXR220", severity="error", message="expected another queue")
    assert count_unwatched(plan, []) is None
    assert (4, 0) == count_unwatched(plan, [replace(test, failure=finding)])


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
    plan = promised(planned(), Promise(**{"conditions": (), **promise}))
    assert (unwatched, 0) == count_unwatched(plan, [])
    assert (unwatched, 0) == count_unwatched(plan, [passed("same", "cards/same")])


def watched_by(stated: AuthoredPromise, rules: list[Json], evaluation: str) -> set[str]:
    """The rules without which an input breaks the promise that it keeps with them, by trying every input."""
    axes = inputs_for(rules, [{"id": "promise", "enabled": True, "conditions": stated.conditions}]).axes
    watched = set[str]()
    for values in product(*axes.values()):
        given = {name: value for name, value in zip(axes, values, strict=True) if value is not None}
        if holds_all(stated.conditions, given) and stated.is_kept(taking := winner(rules, (given, {}), evaluation)):
            others = [one for one in rules if one is not taking]
            if not stated.is_kept(winner(others, (given, {}), evaluation)):
                watched.add(taking["id"] if taking else "")
    return watched


def test_only_a_rule_proved_to_be_unwatched_is_counted_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bound of work that ends the search leaves rules undecided: they are counted separately."""
    partly = 0
    for seed in range(SAMPLES):
        random = Random(f"watched rules {seed}")
        rules, evaluation, _ = adequacy_sample(random)
        stated = a_promise(random, rules) if rules else AuthoredPromise()
        want = [wanted(f"set/{form['id']}", entry(form).rule) for form in rules]
        state = replace(desired(*want), evaluation=evaluation)  # type: ignore[arg-type]
        plan = promised(draft_plan(state, LiveState((), QUEUES), PlanOptions(), NOW), stated.promise)
        unwatched = len(rules) - len(watched_by(stated, rules, evaluation))
        assert (unwatched, 0) == count_unwatched(plan, []), seed
        for work in (0, 40, 160):
            with monkeypatch.context() as bounded:
                bounded.setattr("reconciler.checks.adequacy.WATCH_WORK", work)
                counts = count_unwatched(plan, [])
            assert counts is not None
            assert counts.unwatched <= unwatched <= counts.unwatched + counts.undecided, (seed, work)
            partly += bool(counts.unwatched and counts.undecided)
    assert partly > SAMPLES // 10


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


PROMISE = """\
apiVersion: routing/v1
kind: Promises
name: always
promises:
  - {name: pins, for: {intent: pin}, never: {default: true}}
"""
FORMS: tuple[list[str], ...] = ([], ["-q"], ["--format", "markdown"], ["--format", "html"])


def test_each_form_of_a_plan_states_what_is_undecided(cxroute: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    """Text, brief text, Markdown, the page and JSON; if the search reaches its bound."""
    write("rules.yaml", MANIFESTS)
    write("promises.yaml", PROMISE)
    assert 0 == cxroute("plan")
    assert "Changed rules that no route test and no promise watches: 1 of 2." in cxroute.out
    assert "undecidedWatch" not in cxroute.json("plan")[1]["summary"]
    monkeypatch.setattr("reconciler.checks.adequacy.WATCH_WORK", 0)
    sentence = "Changed rules that no route test and no promise watches: 0 of 2; not decided: 2."
    for options in FORMS:
        assert 0 == cxroute("plan", *options)
        assert sentence in cxroute.out, options
    summary = cxroute.json("plan")[1]["summary"]
    assert (0, 2) == (summary["unwatched"], summary["undecidedWatch"])
    write("tests.yaml", TESTS)
    assert 0 == cxroute("plan")
    assert "Changed rules that no route test and no promise watches: 0 of 2; not decided: 1." in cxroute.out


def test_each_form_of_a_plan_states_the_number(cxroute: Program) -> None:
    """Text, brief text, Markdown, the page and JSON; without route tests none does."""
    write("rules.yaml", MANIFESTS)
    write("tests.yaml", TESTS)
    sentence = "Changed rules that no route test and no promise watches: 1 of 2."
    for options in FORMS:
        assert 0 == cxroute("plan", *options)
        assert sentence in cxroute.out, options
    assert 1 == cxroute.json("plan")[1]["summary"]["unwatched"]
    write("tests.yaml", TESTS + "  - {given: {intent: pin}, expect: {queue: Cards}}\n")
    assert 0 == cxroute("plan")
    assert "Changed rules that no route test and no promise watches: 0 of 2." in cxroute.out
    Path("manifests/tests.yaml").unlink()
    assert 0 == cxroute("plan")
    assert "watched" not in cxroute.out
    assert "unwatched" not in cxroute.json("plan")[1]["summary"]
