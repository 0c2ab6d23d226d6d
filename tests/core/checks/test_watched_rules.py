"""How many changed rules of a plan nothing watches (semantics "Adequacy of tests and promises")."""

from __future__ import annotations

import operator
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import product
from pathlib import Path
from random import Random
from typing import Any

import pytest

from reconciler.core.behaviour.diff.promises import Promise
from reconciler.core.behaviour.routing_entry import RoutingEntry
from reconciler.core.checks.adequacy import count_unwatched
from reconciler.core.checks.route_tests import RouteTestResult
from reconciler.core.desired.expand_promises import StatedPromise
from reconciler.core.model.finding import Finding
from reconciler.core.model.rule import Source
from reconciler.core.plan.changes import find_changes
from reconciler.core.plan.stages import Changes, LiveState, PlanOptions
from tests.support.brute_force import Json, inputs_for, is_supported, winner
from tests.support.builders import (
    NOW,
    QUEUES,
    address,
    desired,
    intent_is,
    managed,
    rule,
    unmanaged,
    wanted,
)
from tests.support.cases import each_case
from tests.support.edit_oracle import adequacy_sample
from tests.support.program import Program, write
from tests.support.random_promises import AuthoredPromise, a_promise, holds_all
from tests.support.random_rules import edited, entry
from tests.tiers import size

SAMPLES = size(fast=12, slow=100, full=1000)
SOURCE = Source("p.yaml", 1, 1)


def passed(intent: str, winner: str | None) -> RouteTestResult:
    """A test about an intent that passes because a rule takes it."""
    entry = (
        None
        if winner is None
        else RoutingEntry(name=winner, rule=rule(intent), address=address(winner))
    )
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


def promised(plan: Changes, promise: Promise) -> Changes:
    """The plan with a promise."""
    finding = Finding(code="CXR221", severity="error", message="", source=SOURCE)
    stated = StatedPromise(
        document="d", name="p", promise=promise, finding=finding, requirement=""
    )
    return replace(plan, desired=replace(plan.desired, promises=(stated,)))


def planned() -> Changes:
    """A plan that creates, updates, switches off and deletes one rule, and keeps one; another rule
    is unmanaged.
    """
    want = [
        wanted("cards/new", rule("new")),
        wanted("cards/moved", rule("moved", priority=5)),
        wanted("cards/off", rule("off", enabled=False)),
        wanted("cards/same", rule("same")),
    ]
    actual = [
        managed("1", "cards/moved", rule("moved")),
        managed("2", "cards/off", rule("off")),
        managed("3", "cards/gone", rule("gone")),
        managed("4", "cards/same", rule("same")),
        unmanaged("5", rule("partner")),
    ]
    return find_changes(
        desired(*want), LiveState(tuple(actual), QUEUES), PlanOptions(), NOW
    )


@each_case(
    "tests, unwatched",
    [
        ([("same", "cards/same")], 4),
        ([("new", "cards/new")], 3),
        ([("new", "cards/new"), ("moved", "cards/moved")], 2),
        ([("off", None)], 3),
        ([("gone", None)], 3),
        ([("gone", "cards/same"), ("gone", "cards/same")], 3),
        (
            [
                ("new", "cards/new"),
                ("moved", "cards/moved"),
                ("off", None),
                ("gone", None),
            ],
            0,
        ),
    ],
)
def test_a_test_watches_the_rule_that_takes_its_conversation(
    tests: list[tuple[str, str | None]], unwatched: int
) -> None:
    """And a rule that is deleted or switched off if that rule matches its conversation."""
    assert (unwatched, 0) == count_unwatched(
        planned(), [passed(*each) for each in tests]
    )


FAILURE = Finding(code="CXR220", severity="error", message="expected another queue")


def failed(intent: str, winner: str | None, code: str = "CXR220") -> RouteTestResult:
    """A test about an intent that fails."""
    return replace(passed(intent, winner), failure=replace(FAILURE, code=code))


def test_without_tests_nothing_is_counted() -> None:
    """There is nothing that could watch."""
    assert count_unwatched(planned(), []) is None


@each_case(
    "tests, unwatched",
    [
        ([failed("new", "cards/new")], 3),
        ([failed("gone", None), failed("off", None)], 2),
        (
            [
                failed("moved", "cards/moved"),
                passed("new", "cards/new"),
                failed("off", None),
                failed("gone", None),
            ],
            0,
        ),
        ([failed("same", "cards/same")], 4),
        ([failed("", None, "CXR104")], 4),
    ],
)
def test_a_failing_test_watches_too(
    tests: list[RouteTestResult], unwatched: int
) -> None:
    """It shows the change that broke it; a test that cannot be read states no conversation."""
    assert (unwatched, 0) == count_unwatched(planned(), tests)


@each_case(
    "promise, unwatched",
    [
        ({"conditions": (intent_is("moved"),), "always": frozenset(["q-cards"])}, 3),
        ({"never_default": True}, 0),
        ({"conditions": (intent_is("same"),), "always": frozenset(["q-cards"])}, 4),
        ({"conditions": (intent_is("moved"),), "always": frozenset(["q-fraud"])}, 3),
        ({"conditions": (intent_is("gone"),), "never_default": True}, 3),
        ({"conditions": (intent_is("other"),), "never_default": True}, 4),
        ({"decided_by": "cards/*"}, 0),
        (
            {
                "conditions": (intent_is("moved"),),
                "shares": (("q-cards", Fraction(0), Fraction(0)),),
            },
            3,
        ),
        (
            {
                "conditions": (intent_is("moved"), intent_is("new")),
                "never_default": True,
            },
            4,
        ),
    ],
)
def test_a_promise_watches_a_rule_without_which_it_is_broken(
    promise: dict[str, Any], unwatched: int
) -> None:
    """Or a rule with which it is broken, after the change or before; kept and broken promises watch
    alike.
    """
    plan = promised(planned(), Promise(**{"conditions": (), **promise}))
    assert (unwatched, 0) == count_unwatched(plan, [])
    assert (unwatched, 0) == count_unwatched(plan, [passed("same", "cards/same")])


@dataclass(frozen=True)
class Edits:
    """Rules before and after some changes, tests by their events, and a promise: what watches by
    trying every event.
    """

    before: dict[str, Json]  # by id
    after: dict[str, Json]
    evaluation: str
    stated: AuthoredPromise
    tested: list[dict[str, Any]]

    @property
    def events(self) -> list[dict[str, Any]]:
        """All events that the rules and the promise distinguish."""
        requested = [
            {"id": "promise", "enabled": True, "conditions": self.stated.conditions}
        ]
        axes = inputs_for(
            list(self.before.values()), list(self.after.values()), requested
        ).axes
        rows = (zip(axes, values, strict=True) for values in product(*axes.values()))
        return [
            {name: value for name, value in row if value is not None} for row in rows
        ]

    def is_watched(self, rule_id: str) -> bool:
        """Whether a test or the promise is about an event that the rule takes, after the change or
        before it.
        """
        rest = [item for item in self.after.values() if item["id"] != rule_id]
        versions = [
            rules[rule_id] for rules in (self.after, self.before) if rule_id in rules
        ]
        return any(self._is_watched_as(version, rest) for version in versions)

    def _is_watched_as(self, version: Json, rest: list[Json]) -> bool:
        claimed = [
            event
            for event in self.events
            if self._taker([*rest, version], event) is version
        ]
        own = [
            event
            for event in self.tested
            if self._taker([*rest, version], event) is version
        ]
        return bool(own) or any(
            not self._keeps(taker, event)
            for event in claimed
            for taker in self._takers(version, rest, event)
        )

    def _takers(
        self, version: Json, rest: list[Json], event: dict[str, Any]
    ) -> tuple[Json | None, Json | None]:
        return version, self._taker(rest, event)

    def decides_outcome(self, rule_id: str) -> bool:
        """Whether an event keeps the promise with the change of the rule, and not without it; or
        the reverse.
        """
        without = {name: item for name, item in self.after.items() if name != rule_id}
        without |= {rule_id: self.before[rule_id]} if rule_id in self.before else {}
        lists = [list(rules.values()) for rules in (self.after, without)]
        outcomes = (
            [self._keeps(self._taker(rules, event), event) for event in self.events]
            for rules in lists
        )
        return bool(operator.ne(*outcomes))

    def _taker(self, rules: list[Json], event: dict[str, Any]) -> Json | None:
        return winner(rules, (event, {}), self.evaluation)

    def _keeps(self, taker: Json | None, event: dict[str, Any]) -> bool:
        return not holds_all(self.stated.conditions, event) or self.stated.is_kept(
            taker
        )

    def plan(self) -> Changes:
        """The plan of these changes, with the promise."""
        want = [
            wanted(f"set/{name}", entry(form).rule) for name, form in self.after.items()
        ]
        actual = [
            managed(name, f"set/{name}", entry(form).rule)
            for name, form in self.before.items()
        ]
        state = replace(desired(*want), evaluation=self.evaluation)  # type: ignore[arg-type]
        return promised(
            find_changes(state, LiveState(tuple(actual), QUEUES), PlanOptions(), NOW),
            self.stated.promise,
        )

    def results(self, random: Random) -> list[RouteTestResult]:
        """The results of the tests: about half of them fail."""
        tests = [
            replace(passed("x", None), conversation=event, context=event)
            for event in self.tested
        ]
        return [replace(test, failure=random.choice((None, FAILURE))) for test in tests]


def a_change(random: Random) -> Edits:
    """Rules with a few edits, and up to two tests about events that the rules distinguish."""
    rules, evaluation, _ = adequacy_sample(random)
    stated = a_promise(random, rules) if rules else AuthoredPromise()
    before = rules
    for _ in range(random.randint(1, 3)):
        before = edited(random, before) if before else before
    old, new = (
        {item["id"]: {**plain(item), "name": item["id"]} for item in each}
        for each in (before, rules)
    )
    edits = Edits(
        before=old, after=new, evaluation=evaluation, stated=stated, tested=[]
    )
    return replace(
        edits,
        tested=random.sample(
            edits.events, min(random.randint(0, 2), len(edits.events))
        ),
    )


def plain(one: Json) -> Json:
    """The rule without what manifests cannot have."""
    conditions = [part for part in one["conditions"] if is_supported(part)][:2]
    return {
        **one,
        "conditions": conditions,
        "targets": [part for part in one["targets"] if part["type"] == "queue"],
    }


@pytest.mark.generated
def test_only_a_rule_proved_to_be_unwatched_is_counted_as_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A bound of work that ends the search leaves rules undecided: they are counted separately."""
    partly = decided = failing = 0
    for seed in range(SAMPLES):
        random = Random(f"watched rules {seed}")
        edits = a_change(random)
        plan = edits.plan()
        tests = edits.results(random)
        changed = [change.address.key for change in plan.changes]
        watched = [name for name in changed if edits.is_watched(name)]
        deciding = [name for name in changed if edits.decides_outcome(name)]
        assert set(deciding) <= set(watched), seed
        assert (len(changed) - len(watched), 0) == count_unwatched(plan, tests), seed
        decided += bool(deciding)
        failing += any(test.failure for test in tests)
        for work in (0, 40, 160):
            with monkeypatch.context() as bounded:
                bounded.setattr("reconciler.core.checks.adequacy.WATCH_WORK", work)
                counts = count_unwatched(plan, tests)
            assert counts is not None
            unwatched = len(changed) - len(watched)
            assert (
                counts.unwatched <= unwatched <= counts.unwatched + counts.undecided
            ), (seed, work)
            partly += bool(counts.unwatched and counts.undecided)
    assert partly
    assert decided > SAMPLES // 10
    assert failing > SAMPLES // 10


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
FORMS: tuple[list[str], ...] = (
    [],
    ["-q"],
    ["--format", "markdown"],
    ["--format", "html"],
)


def test_each_form_of_a_plan_states_what_is_undecided(
    cxroute: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Text, brief text, Markdown, the page and JSON; if the search reaches its bound."""
    write("rules.yaml", MANIFESTS)
    write("promises.yaml", PROMISE)
    assert 0 == cxroute("plan")
    assert "2 to create (1 untested)" in cxroute.out
    assert "undecidedWatch" not in cxroute.json("plan")[1]["summary"]
    monkeypatch.setattr("reconciler.core.checks.adequacy.WATCH_WORK", 0)
    sentence = "2 to create (2 perhaps untested)"
    for options in FORMS:
        assert 0 == cxroute("plan", *options)
        assert sentence in cxroute.out, options
    summary = cxroute.json("plan")[1]["summary"]
    assert (0, 2) == (summary["unwatched"], summary["undecidedWatch"])
    write("tests.yaml", TESTS)
    assert 0 == cxroute("plan")
    assert "2 to create (1 perhaps untested)" in cxroute.out


def test_a_plan_with_failing_tests_does_not_call_their_rules_unwatched(
    cxroute: Program,
) -> None:
    """The rule that a test names was narrowed, and its conversation falls to another rule."""
    rules = MANIFESTS + "  - {key: rest, when: [], queue: General, priority: 900}\n"
    write("rules.yaml", rules)
    write("tests.yaml", TESTS)
    assert 0 == cxroute("apply", "--yes")
    write(
        "rules.yaml", rules.replace("queue: Fraud", "queue: Fraud, minConfidence: 0.95")
    )
    assert 3 == cxroute("plan")
    assert "1 route test fails" in cxroute.out
    assert "untested" not in cxroute.out


def test_each_form_of_a_plan_states_the_number(cxroute: Program) -> None:
    """Text, brief text, Markdown, the page and JSON; without route tests none does."""
    write("rules.yaml", MANIFESTS)
    write("tests.yaml", TESTS)
    sentence = "2 to create (1 untested)"
    for options in FORMS:
        assert 0 == cxroute("plan", *options)
        assert sentence in cxroute.out, options
    assert 1 == cxroute.json("plan")[1]["summary"]["unwatched"]
    write("tests.yaml", TESTS + "  - {given: {intent: pin}, expect: {queue: Cards}}\n")
    assert 0 == cxroute("plan")
    assert "untested" not in cxroute.out
    Path("manifests/tests.yaml").unlink()
    assert 0 == cxroute("plan")
    assert "untested" not in cxroute.out
    assert "unwatched" not in cxroute.json("plan")[1]["summary"]
