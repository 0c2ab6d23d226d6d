"""Errors that brute force found in prototypes of the analysis, the edges of its semantics, and the
oracle itself.
"""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from reconciler.core.behaviour import routing_entry as entry
from reconciler.core.behaviour.diff.difference import compare_behaviour
from reconciler.core.behaviour.evaluate import route_conversation
from reconciler.core.behaviour.routing_entry import order_entries
from reconciler.core.model.rule import Target
from reconciler.core.plan.behaviour_json import impact_to_json
from reconciler.core.plan.impact import Impact
from tests.support.brute_force import Json, destination, holds, inputs_for, winner
from tests.support.brute_force_checks import QUEUES, check_difference, entry_name
from tests.support.cases import each_case
from tests.support.random_rules import (
    UNKNOWN,
    Evaluation,
    a_list,
    attribute,
    entries,
    queue,
    rule,
)
from tests.support.simulated_routing import queue_shares

GONE = object()


def regions(old: list[Json], new: list[Json]) -> list[Json]:
    """Return the regions of a difference, checked against brute force."""
    actual = impact_to_json(
        Impact(compare_behaviour(entries(old), entries(new))), QUEUES
    )
    check_difference(old, new, actual)
    return list(actual["regions"])


# Errors that brute force found


def test_an_unnamed_text_does_not_forget_the_patterns() -> None:
    """An example of an unnamed text does not match the pattern of a better rule either."""
    above = [
        rule("one", 1, [attribute("intent", "contains", "a")], "B"),
        rule("two", 2, [attribute("intent", "startsWith", "o")], "B"),
        rule("three", 3, [attribute("intent", "notEndsWith", "r")], "B"),
    ]
    (region,) = regions([*above, rule("k", 9, [], "A")], above)
    assert "A" == region["before"]["queues"][0]["queueId"]
    text = region["witness"].get("intent", "r")
    assert text.endswith("r")
    assert not text.startswith("o")
    assert "a" not in text


def test_inexpressible_numbers_are_several_exceptions() -> None:
    """Rules that differ only in the pivot take a range and a separate number, which no single
    condition expresses.
    """
    selected = attribute("x", "equals", "r")
    old = [
        rule("range", 1, [selected, attribute("conf", "between", [0.3, 0.6])], "A"),
        rule("one", 2, [selected, attribute("conf", "equals", 0.7)], "B"),
    ]
    assert 2 == len(regions(old, [rule("any", 1, [attribute("conf", "exists")], "A")]))


def test_of_two_exceptions_that_become_equal_one_remains() -> None:
    """The further condition of the second always holds once another attribute is folded in: one of
    both remains.
    """
    own_side = [attribute("a5", "notEquals", "r"), attribute("a3", "notEquals", "p")]
    old = [
        rule("r", 1, [attribute("a2", "equals", "r")], "A"),
        rule("ours", 2, own_side, "A"),
    ]
    new = [
        rule("not r", 1, [attribute("a2", "notEquals", "r")], "C"),
        rule("ours", 2, [*own_side, attribute("a2", "notExists")], "A"),
        rule("listed", 3, [attribute("a3", "in", ["q", "p"])], "A"),
    ]
    assert 4 == len(regions(old, new))


def test_a_rule_that_moves_is_two_versions() -> None:
    """A rule with a new priority has its old position before the change and its new position after
    it.
    """
    every = rule("every", 2, [], "B")
    selected = [attribute("intent", "equals", "x")]
    (region,) = regions(
        [rule("k", 1, selected, "A"), every], [rule("k", 3, selected, "A"), every]
    )
    assert ("set/k", "set/every", {"intent": "x"}) == (
        region["beforeRule"],
        region["afterRule"],
        region["witness"],
    )


def test_a_covered_change_still_covers_later_rules() -> None:
    """A changed rule that a better changed rule covers is dropped alone, without the rule that it
    covers.
    """
    x = attribute("intent", "equals", "x")
    sure = attribute("conf", "greaterThanOrEqual", 0.7)
    old = [
        rule("top", 1, [x], "A"),
        rule("k", 2, [x, sure], "B"),
        rule("all", 3, [], "C"),
    ]
    new = [
        rule("top", 1, [x], "A"),
        rule("k", 2, [x, sure], "C"),
        rule("all", 3, [], "C"),
    ]
    assert [] == regions(old, new)
    lifted = [rule("top", 4, [x], "A"), *new[1:]]
    assert [{"queues": [{"queueId": "A", "queueName": "Queue A", "share": 1.0}]}] == [
        region["before"] for region in regions(old, lifted)
    ]
    moved = [rule("top", 1, [x, sure], "A"), *new[1:]]
    (region,) = regions(old, moved)
    assert ("set/top", "set/all") == (region["beforeRule"], region["afterRule"])


NEXT = [
    attribute("conf", "greaterThan", 0.95),
    attribute("conf", "lessThan", 0.9500000000000001),
]


def test_no_number_is_between_adjacent_doubles() -> None:
    """A rule for numbers between 0.95 and the next double takes no conversation."""
    assert [] == regions([rule("k", 1, NEXT, "A")], [])


def test_adjacent_doubles_are_two_numbers() -> None:
    """Each of two adjacent doubles is on the right side of each bound, in region and example."""
    (upper,) = regions(
        [rule("k", 1, [attribute("conf", "equals", 0.9500000000000001)], "A")], []
    )
    assert {"conf": 0.9500000000000001} == upper["witness"]
    item = [
        attribute("conf", "greaterThanOrEqual", 0.95),
        attribute("conf", "lessThan", 0.9500000000000001),
    ]
    lower, higher = regions([rule("k", 1, item, "A")], [rule("l", 1, [NEXT[0]], "A")])
    if lower["after"] != {"default": True}:
        lower, higher = higher, lower
    assert {"conf": 0.95} == lower["witness"]
    assert higher["witness"]["conf"] >= 0.9500000000000001


def test_integers_beyond_doubles_are_distinct() -> None:
    """2**53 + 1 is not a double, but it is a number, and differs from both neighbours."""
    big = 2**53
    (region,) = regions([rule("k", 1, [attribute("conf", "equals", big + 1)], "A")], [])
    assert {"conf": big + 1} == region["witness"]
    old = [
        rule(
            "k",
            1,
            [
                attribute("conf", "greaterThan", big),
                attribute("conf", "lessThan", big + 2),
            ],
            "A",
        )
    ]
    assert {"conf": big + 1} == regions(old, [])[0]["witness"]


def test_integers_beyond_all_doubles() -> None:
    """JSON may hold an integer larger than any double; no number is between two adjacent ones."""
    big = 10**350
    assert [] == regions(
        [
            rule(
                "k",
                1,
                [
                    attribute("conf", "greaterThan", big),
                    attribute("conf", "lessThan", big + 1),
                ],
                "A",
            )
        ],
        [],
    )


# Edges of the semantics (semantics "Evaluation")

TAKES: list[tuple[str, Any, list[Any], list[Any]]] = [
    # operator, value, matching inputs, other inputs
    # S9: a number in a text
    (
        "greaterThanOrEqual",
        "0.5",
        [0.5, 0.75, 1],
        [0.25, "0.5", "1", True, GONE],
    ),
    ("lessThan", "5e-1", [0.25, -1, 0], [0.5, "0", False, GONE]),
    ("between", ["0", 1], [0, 1, 0.5, 1.0], [-0.1, 1.1, "0.5", GONE]),
    ("between", [1, 0], [], [0, 0.5, 1, GONE]),  # S7
    ("equals", "0.5", ["0.5"], [0.5, "0.50", GONE]),  # S4
    ("equals", 1, [1, 1.0], ["1", True, GONE]),
    ("equals", True, [True, "true"], [1, "True", False, GONE]),
    ("in", [False, 0], [False, "false", 0, 0.0], [True, "0", "", GONE]),
    ("in", [], [], ["", 0, GONE]),
    ("notIn", [], ["", 0, False], [GONE]),
    ("notEquals", "1", [1, "2", True], ["1", GONE]),  # S6
    # a number contains no text
    (
        "notContains",
        "a",
        ["b", "", 1, True],
        ["ab", "a", GONE],
    ),
    ("notStartsWith", "t", ["b", 1], ["tb", True, GONE]),
    ("contains", "", ["", "x", True], [1, GONE]),
    ("notEndsWith", "", [1], ["", "x", GONE]),
    ("equals", "", [""], ["x", 0, False, GONE, None]),
    ("startsWith", "A", ["A", "Ab"], ["a", " A", GONE]),  # S8
    ("exists", None, ["", 0, False], [GONE, None]),
    ("notExists", None, [GONE, None], ["", 0, False]),
]


@each_case("operator, value, takes, leaves", TAKES)
def test_the_values_that_an_operator_takes(
    operator: str, value: Any, takes: list[Any], leaves: list[Any]
) -> None:
    """Oracle and package agree with manual results, and with the regions of a rule with such a
    condition.
    """
    form = attribute("any", operator, value)
    ordered = order_entries(entries([rule("k", 1, [form], "A")]))
    for item in (*takes, *leaves):
        attributes = {} if item is GONE else {"any": item}
        expected = any(item is other_take for other_take in takes)
        assert expected is holds(form, attributes, {}), attributes
        assert expected is (
            route_conversation(ordered, attributes).winner is not None
        ), attributes
    both = [attribute("any", "in", ["x", 0.5])]  # so that texts and numbers both come
    regions([rule("k", 1, [form], "A")], [rule("k", 1, both, "B")])
    regions([rule("k", 1, [form], "A")], [rule("k", 1, [form], "B")])


@each_case(
    "one, other",
    [
        (attribute("any", "equals", True), attribute("any", "equals", "true")),
        (attribute("any", "greaterThan", "0.5"), attribute("any", "greaterThan", 0.5)),
        (attribute("any", "equals", 1), attribute("any", "equals", 1.0)),
        (attribute("any", "in", ["a"]), attribute("any", "equals", "a")),
        (attribute("any", "contains", ""), attribute("any", "startsWith", "")),
        (attribute("any", "between", [1, 1]), attribute("any", "equals", 1)),
        (attribute("any", "between", [1, 0]), attribute("any", "in", [])),
        (attribute("any", "notIn", []), attribute("any", "exists")),
        (attribute("any", "startsWith", "ab"), attribute("any", "startsWith", "ab")),
    ],
)
def test_conditions_of_equal_meaning_make_no_difference(one: Json, other: Json) -> None:
    """The same condition in two notations changes nothing."""
    assert [] == regions([rule("k", 1, [one], "A")], [rule("k", 1, [other], "A")])


def test_patterns_that_imply_each_other() -> None:
    """A text that starts with `ab` starts with `a` and contains `b`: no conversation remains for a
    rule after them.
    """
    both = [
        attribute("intent", "startsWith", "a"),
        attribute("intent", "contains", "b"),
    ]
    only = [attribute("intent", "startsWith", "ab")]
    (region,) = regions([rule("k", 1, both, "A")], [rule("k", 1, only, "A")])
    text = region["witness"]["intent"]
    assert text.startswith("a")
    assert "b" in text
    assert not text.startswith("ab")
    assert [] == regions([rule("k", 1, [*only, *both], "A")], [rule("k", 1, only, "A")])
    never = [
        attribute("intent", "startsWith", "a"),
        attribute("intent", "startsWith", "b"),
    ]
    assert [] == regions([rule("k", 1, never, "A")], [])


def test_a_start_and_an_end_may_overlap_in_a_text() -> None:
    """`aba` starts with `ab` and ends with `ba`: a literal shorter than both together is found."""
    ends = [
        attribute("intent", "startsWith", "ab"),
        attribute("intent", "endsWith", "ba"),
    ]
    old = [rule("k", 1, [attribute("intent", "equals", "aba"), *ends], "A")]
    (region,) = regions(old, [])
    assert {"intent": "aba"} == region["witness"]


def test_splits_with_equal_shares_are_equal() -> None:
    """One queue with any weight, decimal tenths, and the weight of one queue in two targets
    (S10).
    """
    x = [attribute("intent", "equals", "x")]
    for item, candidate in [
        ([queue("A", 1)], [queue("A", 7)]),
        ([queue("A", 0.1), queue("B", 0.2)], [queue("B", 2), queue("A", 1)]),
        ([queue("A", 1), queue("A", 1), queue("B", 2)], [queue("A", 5), queue("B", 5)]),
        ([queue("A", 1), queue("B", 0)], [queue("A", 1)]),
        ([queue("A", 0)], []),
    ]:
        assert [] == regions([rule("k", 1, x, item)], [rule("k", 1, x, candidate)])


def test_equal_priorities_are_ordered_by_name() -> None:
    """Of tied rules the first name by code point wins, upper case first; a rename can move
    conversations.
    """
    x = [attribute("intent", "equals", "x")]
    old = [rule("k", 1, x, "A", name="a"), rule("l", 1, x, "B", name="b")]
    new = [rule("k", 1, x, "A", name="a"), rule("l", 1, x, "B", name="B")]
    (region,) = regions(old, new)
    assert ("set/k", "set/l") == (region["beforeRule"], region["afterRule"])


# The oracle itself

# the simulator never stores this value, so it has no result for it
IMPOSSIBLE = UNKNOWN[2]


@pytest.mark.fast_cases(1)
@pytest.mark.parametrize("block", range(4))
def test_the_oracle_agrees_with_the_simulator_and_itself(block: int) -> None:
    """For random rules and inputs: one winner at a time, all winners, the simulator, and the
    package rule by rule.
    """
    for seed in range(block * 40, (block + 1) * 40):
        random = Random(f"oracle {seed}")
        rules = [
            item for item in a_list(random, 5) if IMPOSSIBLE not in item["conditions"]
        ]
        evaluation: Evaluation = random.choice(("lowest-first", "highest-first"))
        universe = inputs_for(rules)
        ordered = order_entries(entries(rules), evaluation)
        wins = universe.wins(rules, evaluation)
        for _ in range(60):
            at = 1 << random.randrange(universe.size)
            element = universe.example(at)
            claimed = winner(rules, element, evaluation)
            assert [claimed] == [each for each, bits in wins if bits & at]
            expected = destination(claimed)
            present = queue_shares(rules, element[0], evaluation, element[1])
            assert expected == (
                None if present is None else frozenset(present.items())
            ), (
                rules,
                element,
            )
            actual = route_conversation(ordered, *element).winner
            assert entry_name(claimed) == (actual and actual.name), (rules, element)


def test_representatives_are_the_inputs_of_a_manual_test() -> None:
    """Manual results: ends and middles of numbers, named texts, and each combination of
    patterns.
    """
    rules = [
        rule(
            "k",
            1,
            [
                attribute("conf", "greaterThanOrEqual", 0.5),
                attribute("conf", "lessThan", 1),
            ],
            "A",
        ),
        rule(
            "l",
            2,
            [
                attribute("intent", "startsWith", "a"),
                attribute("intent", "notContains", "b"),
            ],
            "A",
        ),
        rule(
            "m",
            3,
            [attribute("intent", "equals", "x"), attribute("only", "exists")],
            "A",
        ),
        rule("n", 4, [attribute("hidden", "equals", "x")], "A", enabled=False),
    ]
    axes = inputs_for(rules).axes
    assert {"conf", "intent", "only"} == set(axes)
    assert [None, "~", 0, 0.5, 1, 2, 0.75] == axes["conf"]
    vectors = {
        (text.startswith("a"), "b" in text)
        for text in axes["intent"]
        if isinstance(text, str)
    }
    assert {(False, False), (False, True), (True, False), (True, True)} == vectors
    assert {None, "x", "a", "b"} < set(axes["intent"])
    assert [None, "~", 0] == axes["only"]


X = attribute("intent", "equals", "x")
SURE = attribute("conf", "greaterThanOrEqual", 0.5)
OLD = [rule("k", 1, [X, SURE], "A"), rule("all", 9, [], "B")]
NEW = [rule("k", 1, [X, SURE], "C"), rule("all", 9, [], "B")]
GOOD = {
    "where": [X, SURE],
    "except": [],
    "before": {"queues": [{"queueId": "A", "share": 1.0}]},
    "after": {"queues": [{"queueId": "C", "share": 1.0}]},
    "witness": {"intent": "x", "conf": 0.5},
    "beforeRule": "set/k",
    "afterRule": "set/k",
    "beforeRules": [],
    "afterRules": [],
}
ABOVE = attribute("conf", "greaterThan", 0.5)
WRONG: dict[str, list[Json]] = {
    "nothing": [],
    "too wide": [GOOD | {"where": [X]}],
    "wide by a missing value": [
        GOOD | {"where": [X, attribute("conf", "lessThan", 0.5) | {"negate": True}]}
    ],
    "too narrow": [GOOD | {"where": [X, ABOVE], "witness": {"intent": "x", "conf": 1}}],
    "too narrow by an exception": [
        GOOD
        | {
            "except": [[attribute("conf", "equals", 0.5)]],
            "witness": {"intent": "x", "conf": 1},
        }
    ],
    "twice": [GOOD, GOOD],
    "the wrong way round": [GOOD | {"before": GOOD["after"], "after": GOOD["before"]}],
    "another destination": [GOOD | {"after": {"default": True}}],
    "a witness outside": [GOOD | {"witness": {"intent": "x", "conf": 0.25}}],
    "another rule": [GOOD | {"afterRule": "set/all"}],
    "no rule": [GOOD | {"beforeRule": None}],
}


def test_the_oracle_accepts_a_correct_answer() -> None:
    """The manual result passes."""
    check_difference(OLD, NEW, {"changed": True, "complete": True, "regions": [GOOD]})


@each_case("name", WRONG)
def test_the_oracle_refuses_a_wrong_answer(name: str) -> None:
    """Each kind of error in an answer is found."""
    with pytest.raises(AssertionError):
        check_difference(
            OLD, NEW, {"changed": True, "complete": True, "regions": WRONG[name]}
        )


def test_weights_below_zero_are_dropped_like_zero() -> None:
    """The shares of a split add up to 1 for all weights that a server may have."""
    odd = [Target("a", 1), Target("b", -1)]
    assert entry.destination_of(odd) == entry.destination_of([Target("a", 1)])
    assert () == entry.destination_of([Target("a", -1)])
