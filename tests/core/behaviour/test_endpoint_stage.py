"""The endpoint before the rules: rules on events take what the rules on contexts take, and
differences are exact.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from random import Random

import pytest

from reconciler.core.behaviour.diff.difference import compare_behaviour
from reconciler.core.behaviour.endpoint_stage import FallbackPolicy
from reconciler.core.behaviour.evaluate import route_conversation
from reconciler.core.behaviour.routing_entry import (
    Evaluation,
    destination_of_rule,
    order_entries,
)
from reconciler.core.behaviour.space.value_type import ANY_TEXT, SHARE, ValueType
from reconciler.core.model.rule import Opaque
from reconciler.core.plan.behaviour_json import impact_to_json
from tests.support.brute_force import Json
from tests.support.brute_force_checks import QUEUES
from tests.support.endpoint_oracle import (
    CONFIDENCE,
    INTENT,
    Behind,
    EventDifference,
    a_fallback,
    context_of,
    events_for,
    stage,
)
from tests.support.impacts import compare_behind
from tests.support.random_rules import a_pair, a_rule, attribute, edited, entries, rule
from tests.tiers import size

BLOCKS = 20
SIZE = size(fast=10, slow=25, full=200)
NAMES = (INTENT, CONFIDENCE)


def a_list(random: Random) -> list[Json]:
    return [a_rule(random, f"k{at}", NAMES) for at in range(random.randint(1, 5))]


def document(
    before: Behind, after: Behind, evaluation: Evaluation = "lowest-first"
) -> Json:
    first = stage(before.fallback, after.fallback)
    second = stage(after.fallback, before.fallback)
    impact = compare_behind(
        entries(before.rules), entries(after.rules), (first, second), evaluation
    )
    return impact_to_json(impact, QUEUES)


@pytest.mark.fast_cases(1)
@pytest.mark.generated
@pytest.mark.parametrize("block", range(BLOCKS))
def test_a_changed_endpoint_gives_exact_effects(block: int) -> None:
    """Only the intents, only the fallback or its bound, or the rules as well: checked on all
    events.
    """
    kinds = Counter[bool]()
    for seed in range(block * SIZE, (block + 1) * SIZE):
        random = Random(f"endpoint {seed}")
        rules = a_list(random)
        old = a_fallback(random)
        candidate = a_fallback(random)
        only_intents = replace(old, known_intents=candidate.known_intents)
        only_context = replace(candidate, known_intents=old.known_intents)
        new = random.choice((only_intents, only_context, candidate))
        changed = (
            a_list(random)
            if seed % 5 == 0
            else edited(random, rules)
            if seed % 5 == 1
            else rules
        )
        expected = EventDifference(
            Behind(rules, old), Behind(changed, new), "lowest-first"
        )
        expected.check(document(*expected.sides))
        kinds[bool(expected.moved)] += 1
    assert min(kinds[True], kinds[False]) > SIZE / 10, kinds


HAS_B = attribute(INTENT, "contains", "b")
BEGINS_WITH_AB = attribute(INTENT, "startsWith", "ab")
HAS_AB = attribute(INTENT, "contains", "ab")
NOT_AB = attribute(INTENT, "notIn", ["true", "ab", ""])
U_OR_V = attribute(INTENT, "in", ["u", "v"])
UNLESS_B = rule("k0", 4, [attribute(INTENT, "notEndsWith", "b")], "B")


def all_others(priority: float) -> Json:
    return rule("rest", priority, [], "B")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param(
            Behind(
                [rule("k1", 3, [NOT_AB], "A"), all_others(4)], FallbackPolicy("b", 0.7)
            ),
            Behind([rule("k1", 3, [NOT_AB], "A"), all_others(1)], FallbackPolicy()),
            id="a rule that is earlier only behind the new fallback",
        ),
        pytest.param(
            Behind(
                [
                    rule("k2", 3, [HAS_B], "B"),
                    rule("k3", 1, [BEGINS_WITH_AB], "C"),
                    all_others(3),
                ],
                FallbackPolicy("ab", 0.5),
            ),
            Behind(
                [
                    rule("k2", 3, [HAS_B], "B"),
                    rule("k3", 3, [BEGINS_WITH_AB], "C"),
                    all_others(1),
                ],
                FallbackPolicy(),
            ),
            id="a rule that is earlier than today's place of one that moves up",
        ),
        pytest.param(
            Behind(
                [
                    rule("k1", 5, [attribute(CONFIDENCE, "notEquals", 0.95)], "C"),
                    rule("k3", 4, [attribute(INTENT, "notIn", [""])], "C"),
                ],
                FallbackPolicy("none", 0.95, frozenset({"x"})),
            ),
            Behind(
                [rule("k1", 4, [attribute(CONFIDENCE, "lessThanOrEqual", 0.7)], "B")],
                FallbackPolicy("ab"),
            ),
            id="a row of conversations without an intent and of those with an unknown one",
        ),
        pytest.param(
            Behind([UNLESS_B, rule("k1", 1, [HAS_AB], "A")], FallbackPolicy("b")),
            Behind(
                [UNLESS_B, rule("k1", 1, [HAS_AB], "A")],
                FallbackPolicy(known_intents=frozenset({"ab"})),
            ),
            id="a known intent that no rule names fits the patterns of a region",
        ),
        pytest.param(
            Behind(
                [UNLESS_B, rule("k1", 1, [HAS_AB], "A"), rule("k2", 2, [U_OR_V], "C")],
                FallbackPolicy("b"),
            ),
            Behind(
                [UNLESS_B, rule("k1", 1, [HAS_AB], "A"), rule("k2", 2, [U_OR_V], "C")],
                FallbackPolicy(known_intents=frozenset({"xab"})),
            ),
            id="the same beside rules that name intents",
        ),
    ],
)
def test_rare_changes_give_exact_effects(before: Behind, after: Behind) -> None:
    """The fallback changes, and the rules too or not: what the random pairs have rarely."""
    EventDifference(before, after, "lowest-first").check(document(before, after))


def named_by(document: Json, kind: str) -> list[Json]:
    """Return the rules that the rows of a kind name as earlier ones."""
    rows = [row for effect in document["effects"] for row in effect["rows"]]
    names = [name for row in rows if row["kind"] == kind for name in row["earlier"]]
    return [document["rules"][name] for name in names]


def test_a_rule_is_named_with_the_conditions_of_the_list_that_has_them() -> None:
    """Today's list has the rule behind another fallback, which is not what the row depends on."""
    retained = rule("k1", 3, [NOT_AB], "A")
    before = Behind([retained, all_others(4)], FallbackPolicy("b", 0.7))
    after = Behind([retained, all_others(1)], FallbackPolicy())
    (named,) = named_by(document(before, after), "fallback")
    assert ("k1", "after") == (named["id"], named["when"])


def test_a_deleted_rule_behind_the_new_fallback_is_in_no_list() -> None:
    """Below the new bound, it would take the callers whose language it tests: they are the
    deletion's, all others are the fallback's.
    """
    german = attribute("language", "equals", "de")
    below = rule("k1", 1, [attribute(INTENT, "equals", "none"), german], "A")
    lost = rule("k2", 2, [attribute(INTENT, "equals", "x")], "B")
    last = rule("rest", 9, [], "C")
    before = Behind([below, lost, last], FallbackPolicy("none", 0.5))
    after = Behind([lost, last], FallbackPolicy("none", 0.7))
    EventDifference(before, after, "lowest-first").check(document(before, after))
    named = named_by(document(before, after), "fallback")
    bounds = {
        (form["id"], form["when"]): part["value"]
        for form in named
        for part in form["conditions"]
        if part["attributeName"] == CONFIDENCE
    }
    assert 0.7 == bounds["k1", "between"]


@pytest.mark.parametrize(
    ("own", "expected"),
    [
        (("greaterThanOrEqual", 0.3), ("greaterThanOrEqual", 0.5)),
        (("greaterThan", 0.3), ("greaterThanOrEqual", 0.5)),
        (("greaterThanOrEqual", 0.5), ("greaterThanOrEqual", 0.5)),
        (("greaterThan", 0.5), ("greaterThan", 0.5)),
        (("between", [0.6, 0.8]), ("between", [0.6, 0.8])),
        (("equals", 0.7), ("equals", 0.7)),
    ],
)
def test_of_two_bounds_only_the_narrower_one_is_named(
    own: tuple[str, object], expected: tuple[str, object]
) -> None:
    """The rule's own one, or that of the fallback."""
    endpoint = stage(FallbackPolicy("none", 0.5))
    conditions = [attribute(INTENT, "equals", "a"), attribute(CONFIDENCE, *own)]
    (part,) = endpoint.pull_back(entries([rule("k", 1, conditions, "A")]))
    written = rule("k", 1, [conditions[0], attribute(CONFIDENCE, *expected)], "A")
    assert entries([written])[0].rule.conditions == part.rule.conditions


@pytest.mark.fast_cases(1)
@pytest.mark.generated
@pytest.mark.parametrize("block", range(BLOCKS))
def test_rules_behind_one_endpoint_give_exact_effects(block: int) -> None:
    """The same endpoint before and after a change of rules, lowest or highest priority first."""
    for seed in range(block * SIZE, (block + 1) * SIZE):
        random = Random(f"behind {seed}")
        pair = a_pair(random, 4)
        fallback = a_fallback(random)
        before, after = (
            Behind([rule for rule in rules if is_about_events(rule)], fallback)
            for rules in (pair.old, pair.new)
        )
        expected = EventDifference(before, after, pair.evaluation)
        expected.check(document(*expected.sides, pair.evaluation))


def is_about_events(form: Json) -> bool:
    """Return whether a rule has conditions on the intent and the confidence only."""
    return all(part.get("attributeName") in NAMES for part in form["conditions"])


@pytest.mark.generated
def test_a_rule_on_events_takes_what_the_rule_takes_behind_the_endpoint() -> None:
    """Also where the endpoint stores the confidence as text: conditions on that text are not
    understood.
    """
    for seed in range(size(fast=80, slow=2000)):
        random = Random(f"parts {seed}")
        rules = a_list(random)
        fallback = replace(a_fallback(random), intent="none")
        texts = random.random() < 0.3
        endpoint = replace(
            stage(fallback),
            context_types={INTENT: ANY_TEXT, CONFIDENCE: ANY_TEXT if texts else SHARE},
        )
        complete = order_entries(entries(rules))
        parts = order_entries(endpoint.pull_back(complete))
        universe = events_for(Behind(rules, fallback))
        if any(
            isinstance(part, Opaque)
            for entry in (*complete, *parts)
            for part in entry.rule.conditions
        ):
            continue
        for number in range(universe.size):
            event = universe.example(1 << number)[0]
            expected = route_conversation(
                complete, endpoint.context(event).attributes
            ).winner
            actual = route_conversation(parts, event).winner
            assert expected is (actual and actual.whole), (rules, fallback, event)
            assert context_of(event, fallback).get(INTENT) == endpoint.context(
                event
            ).attributes.get(INTENT)


@pytest.mark.parametrize("stored", [ANY_TEXT, SHARE])
def test_a_removed_fallback_is_analysed_on_events_like_an_added_one(
    stored: ValueType,
) -> None:
    """The rows of both changes are about the same events, with origins and destinations
    exchanged.
    """
    fallback = FallbackPolicy("none", 0.5, frozenset({"a", "b"}))
    rules = [
        rule(
            "sure",
            1,
            [
                attribute(INTENT, "equals", "a"),
                attribute(CONFIDENCE, "greaterThanOrEqual", 0.7),
            ],
            "A",
        ),
        rule("named", 2, [attribute(INTENT, "in", ["a", "c"])], "B"),
        rule("none", 3, [attribute(INTENT, "equals", "none")], "C"),
    ]
    types = {INTENT: ANY_TEXT, CONFIDENCE: stored}
    with_fallback = replace(stage(fallback, FallbackPolicy()), context_types=types)
    without = replace(stage(FallbackPolicy(), fallback), context_types=types)
    assert with_fallback.types == without.types
    moved = {}
    for first, second in ((without, with_fallback), (with_fallback, without)):
        lists = (first.pull_back(entries(rules)), second.pull_back(entries(rules)))
        actual = compare_behaviour(*lists, types=second.sent_types)
        assert actual.complete
        for region in actual.regions:
            for endpoint, destination in (
                (first, region.before),
                (second, region.after),
            ):
                context = endpoint.context(region.example.attributes).attributes
                winner = route_conversation(entries(rules), context).winner
                assert destination == destination_of_rule(winner)
        moved[first.fallback.intent] = {
            (region.where, frozenset({region.before, region.after}))
            for region in actual.regions
        }
    assert moved[None]
    assert moved[None] == moved["none"]


@pytest.mark.generated
def test_unreachable_contexts_are_exactly_those_that_no_event_gives() -> None:
    """A context is written for some event, or one of the unreachable rules takes it."""
    for seed in range(size(fast=60, slow=300)):
        random = Random(f"unreachable {seed}")
        fallback = replace(a_fallback(random), intent="none")
        universe = events_for(
            Behind([rule("k", 1, [attribute(INTENT, "equals", "b")], "A")], fallback)
        )
        events = [universe.example(1 << number)[0] for number in range(universe.size)]
        contexts = [context_of(event, fallback) for event in events]
        blockers = stage(fallback).unreachable()
        for context in events:
            reached = context in contexts
            assert reached is (route_conversation(blockers, context).winner is None), (
                fallback,
                context,
            )


def test_a_rule_with_a_high_bound_is_not_split() -> None:
    """It is the same object, so that long lists cost nothing more."""
    endpoint = stage(FallbackPolicy("none", 0.4, frozenset({"a"})))
    high = attribute(CONFIDENCE, "greaterThan", 0.5)
    (same,) = entries([rule("k", 1, [attribute(INTENT, "equals", "a"), high], "A")])
    (general,) = entries([rule("k", 1, [attribute(INTENT, "exists")], "A")])
    assert (same, general) == endpoint.pull_back([same, general])
    (unknown,) = entries([rule("k", 1, [attribute(INTENT, "equals", "b")], "A")])
    assert () == endpoint.pull_back([unknown])


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (FallbackPolicy("none", 0.4), FallbackPolicy("none", 0.4)),
        (FallbackPolicy("none", 0), FallbackPolicy("none", 0.0)),
        (FallbackPolicy(None, 0.4), FallbackPolicy(None, 0.5, frozenset({"a"}))),
    ],
)
def test_digests_are_equal_for_fallbacks_that_write_the_same(
    first: FallbackPolicy, second: FallbackPolicy
) -> None:
    """Without a fallback the bound and the intents have no effect."""
    assert first.digest == second.digest


def test_digests_differ_for_fallbacks_that_write_otherwise() -> None:
    """Another bound, another intent, other known intents, no fallback."""
    base = FallbackPolicy("none", 0.4)
    remaining_items = [
        replace(base, min_confidence=0.5),
        replace(base, intent="other"),
        replace(base, known_intents={"a"}),
    ]
    digests = [each.digest for each in (base, *remaining_items, FallbackPolicy(None))]
    assert len(digests) == len(set(digests))
