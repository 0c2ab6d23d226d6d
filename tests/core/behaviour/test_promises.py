"""The facts about promises agree with every representative input, on thousands of small lists."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from random import Random
from typing import Any, Final

import pytest

from reconciler.core.behaviour.diff.promises import (
    Promise,
    PromiseFacts,
    check_promises,
)
from reconciler.core.behaviour.endpoint_stage import EndpointStage, FallbackPolicy
from reconciler.core.behaviour.space.value_type import ANY_TEXT, SHARE
from reconciler.core.plan.behaviour_json import violation_to_json
from tests.support.brute_force import Json, winner
from tests.support.brute_force_checks import QUEUES, holds_where
from tests.support.cases import each_case
from tests.support.grown_pairs import generate_pair
from tests.support.random_promises import (
    AuthoredPromise,
    PromiseOracle,
    a_promise,
    addressed,
    holds_all,
)
from tests.support.random_rules import (
    SKILL,
    UNKNOWN,
    Evaluation,
    a_list,
    attribute,
    chance,
    queue,
    rule,
)
from tests.tiers import size

BLOCKS: Final = 10
SIZE: Final = size(fast=100, slow=300)
LISTS: Final = size(fast=2, slow=8)
BILLING: Final = attribute("intent", "equals", "billing")
SURE: Final = attribute("conf", "greaterThanOrEqual", 0.7)


def facts_of(
    rules: list[Json], stated: AuthoredPromise, evaluation: Evaluation = "lowest-first"
) -> PromiseFacts:
    (facts,) = check_promises(addressed(rules), [stated.promise], evaluation)
    PromiseOracle(rules, stated, evaluation).check(facts)
    return facts


@pytest.mark.fast_cases(1)
@pytest.mark.parametrize("block", range(BLOCKS))
def test_violations_are_sound_complete_and_disjoint(block: int) -> None:
    """A promise holds exactly if no input breaks it, otherwise each such input is in one region; of
    either many.
    """
    results: Counter[bool | None] = Counter()
    for seed in range(block * SIZE, (block + 1) * SIZE):
        random = Random(f"promise {seed}")
        rules = a_list(random, 5 if seed % 4 else 9)
        evaluation: Evaluation = (
            "highest-first" if chance(random, 0.25) else "lowest-first"
        )
        results[facts_of(rules, a_promise(random, rules), evaluation).holds] += 1
    assert {True, False} == set(results)
    assert SIZE // 3 < min(results.values())


@pytest.mark.fast_cases(1)
@pytest.mark.parametrize("block", range(4))
def test_many_promises_are_checked_together(block: int) -> None:
    """On lists of 20 to 60 rules ten promises in one search have the results that each has
    alone.
    """
    for seed in range(block * LISTS, (block + 1) * LISTS):
        random = Random(f"promises {seed}")
        rules = generate_pair(random).old
        stated = [a_promise(random, rules) for _ in range(10)]
        results = check_promises(addressed(rules), [each.promise for each in stated])
        for each, facts in zip(stated, results, strict=True):
            PromiseOracle(rules, each, "lowest-first").check(facts)
            assert facts.complete


@pytest.mark.fast_cases(1)
@pytest.mark.parametrize("block", range(4))
def test_a_limited_search_is_sound_and_says_that_it_is_incomplete(block: int) -> None:
    """With little work each region is still right, and a promise without one and without a result
    is undecided.
    """
    results: Counter[bool | None] = Counter()
    for seed in range(block * 60, (block + 1) * 60):
        random = Random(f"bound {seed}")
        rules = a_list(random, 8)
        stated = a_promise(random, rules)
        (facts,) = check_promises(
            addressed(rules), [stated.promise], work=seed % 7 * 60
        )
        PromiseOracle(rules, stated, "lowest-first").check(facts)
        results[facts.holds] += 1
    assert results[None]


def test_one_promise_cannot_use_the_work_of_all() -> None:
    """A promise that spends its part leaves enough for the next one."""
    random = Random("boxes")
    boxes = [
        rule(
            f"k{n}",
            n,
            [
                attribute(name, "between", sorted(random.sample(range(40), 2)))
                for name in "xyz"
            ],
            "A",
        )
        for n in range(200)
    ]
    hard = Promise(conditions=(), never_default=True)
    easy = AuthoredPromise([BILLING], never=frozenset("C")).promise
    results = check_promises(addressed(boxes), [hard, easy], work=100_000)
    assert [False, True] == [results[0].complete, results[1].holds]


@pytest.mark.fast_cases(1)
@pytest.mark.parametrize("block", range(4))
def test_known_types_are_respected(block: int) -> None:
    """Inputs of another type than the endpoint writes break no promise."""
    declared = {"intent": None, "conf": (0.0, 1.0)}
    for seed in range(block * 40, (block + 1) * 40):
        random = Random(f"typed {seed}")
        rules = a_list(random, 6)
        stated = a_promise(random, rules)
        (facts,) = check_promises(
            addressed(rules),
            [stated.promise],
            types={"intent": ANY_TEXT, "conf": SHARE},
        )
        PromiseOracle(rules, stated, "lowest-first", declared).check(facts)


def endpoint_writes(
    event: dict[str, Any], lowest: float, known: frozenset[str]
) -> dict[str, Any]:
    """Return what the rules read, by the words of the specification: the fallback is the intent
    `none`.
    """
    if "intent" not in event:
        return event
    unsure = event.get("conf") is None or event["conf"] < lowest
    unknown = bool(known) and event["intent"] not in known
    return {**event, "intent": "none"} if unsure or unknown else event


@pytest.mark.fast_cases(1)
@pytest.mark.parametrize("block", range(4))
def test_promises_are_about_the_bots_event(block: int) -> None:
    """Behind an endpoint each event, with each confidence around the bounds, is in a region if it
    breaks a promise.
    """
    intents = (None, "a", "b", "none", "x")
    shares = (None, 0, 0.2, 0.35, 0.4, 0.5, 0.6, 1)
    for seed in range(block * 50, (block + 1) * 50):
        random = Random(f"event {seed}")
        declared = frozenset(random.choice((("a", "b"), ("a",), ())))
        lowest = random.choice((0, 0.35, 0.5))
        rules = [
            a_rule_on_contexts(random, f"k{n}") for n in range(random.randint(1, 5))
        ]
        stated = replace(
            a_promise(random, rules),
            conditions=random.choice(([], [attribute("intent", "equals", "a")])),
        )
        stage = EndpointStage(
            intent="intent",
            confidence="conf",
            fallback=FallbackPolicy("none", lowest, declared),
            compared=FallbackPolicy("none", lowest, declared),
        )
        (facts,) = check_promises(
            stage.pull_back(addressed(rules)), [stated.promise], types=stage.sent_types
        )
        regions = [violation_to_json(region, QUEUES) for region in facts.violations]
        for event in ({"intent": i, "conf": c} for i in intents for c in shares):
            present = {
                name: value for name, value in event.items() if value is not None
            }
            taking = winner(rules, (endpoint_writes(present, lowest, declared), {}))
            is_broken = holds_all(stated.conditions, present) and not stated.is_kept(
                taking
            )
            inside = [
                each
                for each in regions
                if holds_where(each["where"], each["except"], (present, {}))
            ]
            assert is_broken is bool(inside), (seed, event, stated, rules)
            assert [taking and f"set/{taking['id']}"] * is_broken == [
                each["rule"] for each in inside
            ]
        for each in regions:
            requests_sent = {
                name for name in (*intents, "unheard") if _has_event(each, name, shares)
            }
            with_intent = (
                requests_sent & declared if declared else requests_sent - {None}
            )
            if each["witness"] is None:
                assert not with_intent | requests_sent & {None}, each
                continue
            assert holds_where(
                each["where"], each["except"], (dict(each["witness"]), {})
            )
            assert ("intent" in each["witness"]) is bool(with_intent), each


def _has_event(
    violation: Json, intent: str | None, shares: Sequence[float | None]
) -> bool:
    """Return whether a violation contains an event of the bot with this intent."""
    events = ({"intent": intent, "conf": share} for share in shares)
    present = (
        {name: value for name, value in event.items() if value is not None}
        for event in events
    )
    return any(
        holds_where(violation["where"], violation["except"], (event, {}))
        for event in present
    )


def a_rule_on_contexts(random: Random, key: str) -> Json:
    conditions = [
        attribute(
            "intent",
            random.choice(("equals", "notEquals")),
            random.choice(("a", "b", "none")),
        )
    ]
    conditions += [
        attribute(
            "conf",
            random.choice(("lessThan", "greaterThanOrEqual")),
            random.choice((0.2, 0.4, 0.6)),
        )
    ]
    return rule(
        key,
        random.choice((1, 2, 3)),
        random.sample(conditions, random.choice((0, 1, 1, 2))),
        random.choice("ABC"),
    )


NO_WEIGHT: Final = [queue("A", 0)]
DIRECTED: Final[dict[str, tuple[bool, AuthoredPromise, list[Json]]]] = {
    "no rule, never the default": (False, AuthoredPromise(never_default=True), []),
    "no rule, never a queue": (True, AuthoredPromise(never=frozenset("A")), []),
    "no condition at all": (
        True,
        AuthoredPromise(always=frozenset("A")),
        [rule("k", 1, [], "A")],
    ),
    "no weight is not the default": (
        True,
        AuthoredPromise(never_default=True),
        [rule("k", 1, [], NO_WEIGHT)],
    ),
    "no weight is never a queue": (
        True,
        AuthoredPromise(never=frozenset("A")),
        [rule("k", 1, [], NO_WEIGHT)],
    ),
    "no weight is not always a queue": (
        False,
        AuthoredPromise(always=frozenset("A")),
        [rule("k", 1, [], NO_WEIGHT)],
    ),
    "no weight has a share of 0": (
        True,
        AuthoredPromise(split={"A": (0, 0)}),
        [rule("k", 1, [], NO_WEIGHT)],
    ),
    "another kind of target": (
        False,
        AuthoredPromise(always=frozenset("A")),
        [rule("k", 1, [], [SKILL, queue("A")])],
    ),
    "a weight of 0 is not a part": (
        True,
        AuthoredPromise(never=frozenset("B")),
        [rule("k", 1, [], [queue("A", 1), queue("B", 0)])],
    ),
    "bounds are included": (
        True,
        AuthoredPromise(split={"A": (25, 25)}),
        [rule("k", 1, [], [queue("A"), queue("B", 3)])],
    ),
    "a third is not 33.3 %": (
        False,
        AuthoredPromise(split={"A": (33.4, 100)}),
        [rule("k", 1, [], [queue("A"), queue("B", 2)])],
    ),
    "unnamed intents": (
        False,
        AuthoredPromise(always=frozenset("A")),
        [rule("k", 1, [BILLING], "A")],
    ),
    "a disabled rule decides nothing": (
        False,
        AuthoredPromise([BILLING], decided_by=frozenset(["k"])),
        [rule("k", 1, [BILLING], "A", enabled=False), rule("l", 2, [], "A")],
    ),
    "an earlier rule with the same queue decides": (
        False,
        AuthoredPromise([BILLING], decided_by=frozenset(["k"])),
        [rule("l", 1, [BILLING, SURE], "A"), rule("k", 2, [BILLING], "A")],
    ),
    "a condition that is not understood may hold": (
        False,
        AuthoredPromise([BILLING], always=frozenset("A")),
        [rule("k", 1, [UNKNOWN[1]], "B"), rule("l", 2, [BILLING], "A")],
    ),
    "a condition that is not understood may not hold": (
        False,
        AuthoredPromise([BILLING], always=frozenset("A")),
        [rule("k", 1, [UNKNOWN[1]], "A")],
    ),
    "a contradiction selects nothing": (
        True,
        AuthoredPromise([attribute("conf", "lessThan", 0.5), SURE], never_default=True),
        [],
    ),
}


@each_case("name", DIRECTED)
def test_directed_promises(name: str) -> None:
    """Each form at its limits, also against all inputs."""
    holds, stated, rules = DIRECTED[name]
    assert holds is facts_of(rules, stated).holds


def test_a_region_is_about_one_rule() -> None:
    """Two rules that break a promise for neighbouring intents are two regions."""
    rules = [
        rule(f"k{n}", n, [attribute("intent", "equals", f"i{n}")], "B")
        for n in range(3)
    ]
    facts = facts_of(
        [*rules, rule("all", 9, [], "A")], AuthoredPromise(never=frozenset("B"))
    )
    assert ["set/k0", "set/k1", "set/k2"] == sorted(
        each.after_rule.name for each in facts.violations if each.after_rule
    )


def test_a_wrong_example_stops_the_program(monkeypatch: pytest.MonkeyPatch) -> None:
    """The plain evaluation of an example that another rule takes is an assertion."""
    monkeypatch.setattr(
        "reconciler.core.behaviour.diff.promises.RuleIndex.find_winner",
        lambda *_arguments: None,
    )
    with pytest.raises(AssertionError, match="does not break the promise"):
        check_promises(
            addressed([rule("k", 1, [], "B")]),
            [AuthoredPromise(never=frozenset("B")).promise],
        )
