"""Single parts of the analysis, in cases that complete differences and orders reach only with rare
lists.
"""

from __future__ import annotations

from itertools import product
from typing import Final

from reconciler.core.behaviour.budget import DEFAULT_WORK
from reconciler.core.behaviour.diff.difference import BehaviourChange, compare_behaviour
from reconciler.core.behaviour.evaluate import canonical_attributes
from reconciler.core.behaviour.ordering.constraints import Constraints, Move
from reconciler.core.behaviour.ordering.graph import build_waves
from reconciler.core.behaviour.ordering.order import order_moves
from reconciler.core.behaviour.ordering.search import search_waves
from reconciler.core.behaviour.space.domain import (
    REST,
    Domain,
    ValueSet,
    _match_substrings,
    covers,
    intersect,
    number_between,
    subtract,
)
from reconciler.core.behaviour.space.patterns import PatternSet, TextPattern
from reconciler.core.behaviour.space.space import Space
from reconciler.core.model.operators import Scalar
from reconciler.core.model.rule import make_condition
from tests.support.brute_force import Json
from tests.support.cases import each_case
from tests.support.facts import analyze_rules
from tests.support.random_rules import attribute, entries, entry, rule


def test_an_example_of_patterns_is_joined_by_an_unused_character() -> None:
    """If no readable text matches, the contained texts are joined by a character that no literal
    has.
    """
    contained = [
        TextPattern("contains", text)
        for text in ("a", "b", "ab", "a_b", "a b", "ba", "b_a", "b a")
    ]
    patterns = [*contained, TextPattern("startsWith", "a")]
    assert "-a-b-" == PatternSet(patterns).example(yes=0b11, no=0b1_1111_1100)
    assert ".a.b." == PatternSet(patterns, used_texts=("-a-b-",)).example(
        yes=0b11, no=0b1_1111_1100
    )


def test_an_example_does_not_repeat_a_text_of_its_prefix() -> None:
    """A contained text that the prefix or the suffix already has is repeated only if necessary."""
    patterns = PatternSet(
        [
            TextPattern("startsWith", "pre"),
            TextPattern("endsWith", "end"),
            TextPattern("contains", "re"),
        ]
    )
    assert "preend" == patterns.example(yes=0b111, no=0)


def test_null_is_missing_and_a_boolean_is_a_text() -> None:
    """This is how rules see a conversation (S3, S4)."""
    assert {"a": "true", "b": "false", "c": 0, "d": ""} == canonical_attributes(
        {"a": True, "b": False, "c": 0, "d": "", "e": None}
    )


def test_a_late_node_with_indirect_dependents_comes_early() -> None:
    """A delete before another delete and then an update is a separate wave; the independent delete
    comes last.
    """
    graph = {"first": {"second"}, "second": {"update"}, "update": set(), "last": set()}
    assert (("first",), ("second",), ("update",), ("last",)) == build_waves(
        graph, lambda node: node != "update"
    )


def test_late_nodes_that_only_late_nodes_need_are_one_wave() -> None:
    """An earlier wave for one of them would have no advantage."""
    graph: dict[str, set[str]] = {"first": {"second"}, "second": set(), "other": set()}
    assert (("first", "other"), ("second",)) == build_waves(graph, lambda _node: True)


def test_an_exception_within_another_one_is_dropped() -> None:
    """Of the parts of two earlier rules only the larger is an exception, also with several
    conditions each.
    """
    selected = [attribute("lang", "equals", "de"), attribute("tier", "equals", "gold")]
    earlier = [
        rule("small", 1, [*selected, attribute("age", "greaterThan", 30)], "A"),
        rule("large", 2, selected, "A"),
    ]
    new = [*earlier, rule("new", 3, [attribute("intent", "equals", "x")], "B")]
    (actual,) = compare_behaviour(entries(earlier), entries(new)).regions
    assert [2] == [len(clauses) for clauses in actual.excepts]


def searched(*moves: tuple[Json | None, Json | None]) -> list[list[int]] | None:
    created = [
        Move(*(None if item is None else entry(item) for item in move))
        for move in moves
    ]
    return search_waves(
        Constraints(created, (), "lowest-first", DEFAULT_WORK), range(len(created)), ()
    )


def test_an_exact_search_puts_independent_changes_in_one_wave() -> None:
    """Two updates about different intents are one wave; a delete is in a separate wave."""
    x = attribute("intent", "equals", "x")
    y = attribute("intent", "equals", "y")
    first = (rule("k", 1, [x], "A"), rule("k", 1, [x], "B"))
    assert [[0, 1]] == searched(first, (rule("l", 2, [y], "A"), rule("l", 2, [y], "B")))
    assert [[0], [1]] == searched(first, (rule("l", 2, [y], "A"), None))


def test_a_name_is_freed_before_another_rule_takes_it() -> None:
    """A delete, an update that keeps its name and a create with a new name have no link, and hide
    no later pair.
    """
    x = [attribute("intent", "equals", "x")]
    moves = [
        (rule("gone", 1, x, "A", name="gone"), None),
        (rule("same", 2, x, "A", name="same"), rule("same", 2, x, "B", name="same")),
        (None, rule("new", 3, x, "A", name="new")),
        (rule("takes", 4, x, "A", name="p"), rule("takes", 4, x, "A", name="q")),
        (rule("frees", 5, x, "A", name="q"), rule("frees", 5, x, "A", name="r")),
    ]
    created = [
        Move(*(None if item is None else entry(item) for item in move))
        for move in moves
    ]
    place = {
        step.move: number
        for number, wave in enumerate(order_moves(created, ()).waves)
        for step in wave
    }
    assert place[4] < place[3]


CONDITIONS: Final = (
    make_condition("a", "equals", "x"),
    make_condition("a", "in", ("x", "xyz", 3)),
    make_condition("a", "notEquals", "xyz"),
    make_condition("a", "startsWith", "x"),
    make_condition("a", "notContains", "y"),
    make_condition("a", "contains", "xy"),
    make_condition("a", "notEndsWith", "z"),
    make_condition("a", "exists", None),
    make_condition("a", "notExists", None),
    make_condition("a", "between", (1, 3)),
    make_condition("a", "lessThan", 3),
)
VALUES: Final = (None, "x", "xyz", "xy", "xz", "y", "z", "q", "ayz", 0, 1, 2, 3, 4)
"""A value of each kind that the conditions distinguish, and further ones."""


def test_value_sets_are_intersected_and_subtracted_exactly() -> None:
    """Each value is in the intersection, or in exactly one piece of the difference, as it should
    be.
    """
    domain = Domain("a", CONDITIONS)
    requested = [domain.all, *map(domain.values_for, CONDITIONS)]
    for item, candidate in product(
        dict.fromkeys(intersect(*pair) for pair in product(requested, requested)),
        requested,
    ):
        here = inside(domain, item)
        present = inside(domain, candidate)
        assert here & present == inside(domain, intersect(item, candidate)), (
            item,
            candidate,
        )
        pieces = [inside(domain, piece) for piece in subtract(domain, item, candidate)]
        assert sorted(here - present, key=str) == sorted(
            (value for piece in pieces for value in piece), key=str
        )
        assert not covers(item, candidate) or present <= here, (item, candidate)


def inside(domain: Domain, part: ValueSet) -> set[Scalar | None]:
    """Return the values of a part: the named ones by `Domain`, any other text by each pattern."""
    atoms, yes, no = part
    actual: set[Scalar | None] = set()
    for value in VALUES:
        if isinstance(value, str) and value not in domain.atom_of:
            true = sum(
                1 << place
                for place, pattern in enumerate(domain.patterns.all)
                if pattern.holds(value)
            )
            has = bool(atoms & REST) and not yes & ~true and not no & true
        else:
            requested = (
                make_condition("a", "notExists", None)
                if value is None
                else make_condition("a", "equals", value)
            )
            has = bool(atoms & domain.values_for(requested)[0])
        actual |= {value} if has else set()
    return actual


@each_case(
    "low, high, text",
    [
        (-0.5, 0.5, "0"),
        (0, 1, "0.5"),
        (0.2, 0.4, "0.3"),
        (1, 4, "3"),
        (1, 2, "1.5"),
        (0.25, 0.26, "0.255"),
        (-3, -2, "-2.5"),
        (2, 2, "None"),
        (3, 2, "None"),
    ],
)
def test_a_number_between_two_has_few_digits(
    low: float, high: float, text: str
) -> None:
    """An integer if one is between them, near the middle; an empty range has no number."""
    assert text == repr(number_between(low, high))


INTENT: Final = "intent"
NO_INTENT: Final = rule("none", 1, [attribute(INTENT, "notExists")], "A")
NAMES: Final = [f"i{number}" for number in range(80)]
LISTED: Final = rule("listed", 2, [attribute(INTENT, "in", NAMES)], "A")
"""With the rule above it takes every conversation except those with an unnamed intent."""


def test_a_rule_with_unnamed_values_only_is_not_shadowed() -> None:
    """A change of its queue is found, too."""
    old, new = ([NO_INTENT, LISTED, rule("rest", 3, [], to)] for to in "BC")
    assert ((), ()) == (
        analyze_rules(entries(old)).shadowed,
        analyze_rules(entries(old)).contradictory,
    )
    (region,) = compare_behaviour(entries(old), entries(new), "lowest-first").regions
    assert INTENT in region.example.attributes
    assert region.example.attributes[INTENT] not in NAMES


def test_the_replacement_of_such_a_rule_comes_first() -> None:
    """Of two rules that swap their conditions, the one that loses all conditions is written
    first.
    """
    named = [attribute(INTENT, "equals", "i1")]
    gives = Move(entry(rule("gives", 3, [], "B")), entry(rule("gives", 3, named, "B")))
    takes = Move(entry(rule("takes", 4, named, "C")), entry(rule("takes", 4, [], "C")))
    waves = order_moves([gives, takes], entries([NO_INTENT, LISTED])).waves
    assert [[1], [0]] == [[step.move for step in wave] for wave in waves]


def test_the_only_attribute_with_values_is_the_pivot() -> None:
    """Rules are indexed by its values; rules without named values have no pivot."""
    assert 0 == Space((entries([LISTED]),)).pivot
    assert -1 == Space((entries([NO_INTENT]),)).pivot


def test_the_work_of_a_difference_is_not_compared() -> None:
    """Two differences with equal regions are equal, although one needed more work."""
    item = BehaviourChange(regions=(), work=1)
    candidate = BehaviourChange(regions=(), work=2)
    assert (item, False) == (candidate, candidate.changed)


def test_many_substrings_of_one_length_are_found_like_few() -> None:
    """More than a hundred are found in one pass over the texts, with the same masks as one by
    one.
    """
    texts = ["".join(letters) for letters in product("abc", repeat=4)]
    parts = ["".join(letters) for letters in product("abcde", repeat=3)]
    expected = {
        part: sum(1 << place for place, text in enumerate(texts) if part in text)
        for part in parts
    }
    assert expected == dict(_match_substrings(texts, parts))
