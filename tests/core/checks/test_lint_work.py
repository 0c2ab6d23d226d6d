"""The lint's bound of work: counted in comparisons, valid for every list, and never a false
statement.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import pytest

from reconciler.core.behaviour.budget import WorkBudget
from reconciler.core.behaviour.diff.difference import compare_behaviour
from reconciler.core.behaviour.facts.rule_facts import RuleFacts, analyze_slices
from reconciler.core.behaviour.ordering.constraints import Move
from reconciler.core.behaviour.ordering.order import order_moves
from reconciler.core.behaviour.routing_entry import order_entries
from reconciler.core.behaviour.space.slices import PivotSlices
from reconciler.core.behaviour.space.space import Space
from reconciler.core.checks import lint as lint_module
from reconciler.core.checks.lint import is_complete, lint_work, plan_lint_work
from tests.support.brute_force import Json
from tests.support.facts import analyze_rules
from tests.support.program import Program, write
from tests.support.random_rules import a_list, attribute, entries, rule
from tests.tiers import size


def patterns(count: int, each: int = 1) -> list[Json]:
    """Return rules each of which excludes different patterns."""
    return [
        rule(
            f"r{n}",
            n,
            [
                attribute("intent", "notContains", f"<{n}.{place}>")
                for place in range(each)
            ],
            f"Q{n % 5}",
        )
        for n in range(count)
    ]


def unknown(count: int) -> list[Json]:
    """Return rules each of which has a different condition that is not understood."""
    return [
        rule(f"r{n}", n, [{"type": "schedule", "name": f"s{n}"}], f"Q{n % 5}")
        for n in range(count)
    ]


def sets(count: int) -> list[Json]:
    """Return rules that overlap in sets of intents and ranges of a number."""
    random = Random("sets")
    return [
        rule(
            f"r{n}",
            n,
            [
                attribute(
                    "intent",
                    "in",
                    [f"i{item}" for item in random.sample(range(count), count // 3)],
                ),
                attribute("x", "lessThan", random.random()),
            ],
            f"Q{random.randrange(5)}",
        )
        for n in range(count)
    ]


def own(count: int) -> list[Json]:
    """Return rules each of which has conditions on two attributes that almost no other rule
    uses.
    """
    return [
        rule(
            f"r{n}",
            n,
            [
                attribute(f"a{n}", "equals", "yes"),
                attribute(f"a{n + 1}", "notEquals", "no"),
            ],
            f"Q{n % 5}",
        )
        for n in range(count)
    ]


LISTS: dict[str, Callable[[], list[Json]]] = {
    "one pattern": lambda: patterns(400),
    "five patterns": lambda: patterns(150, 5),
    "twenty patterns": lambda: patterns(100, 20),
    "unknown conditions": lambda: unknown(400),
    "attributes of their own": lambda: own(300),
}


def checked(rules: list[Json], work: int) -> tuple[RuleFacts, int]:
    """Return the facts about a list, and the number of comparisons."""
    ordered = order_entries(entries(rules))
    space = Space((ordered,))
    space.budget.remaining = work
    actual = analyze_slices(PivotSlices(space, ordered))
    return actual, work - space.budget.remaining


@pytest.mark.fast_cases(2)
@pytest.mark.parametrize("name", LISTS)
def test_each_further_rule_costs_a_bounded_number_of_comparisons(name: str) -> None:
    """Exclusion patterns, unknown conditions and many attributes are checked completely, 300
    comparisons a rule.
    """
    rules = LISTS[name]()
    actual, work = checked(rules, lint_work(len(rules)))
    assert () == actual.undecided
    assert 300 * len(rules) >= work


def bounded(rules: list[Json], work: int) -> None:
    """Assert that a list that would take far longer ends at the bound, and that the unchecked rules
    are named.
    """
    actual, done = checked(rules, work)
    assert 2 * work >= done
    assert len(rules) // 2 < len(actual.undecided)


def test_a_hard_list_ends_at_the_bound() -> None:
    """Overlapping sets and ranges: the comparisons end, and the unchecked rules are reported."""
    bounded(sets(120), 200_000)


@pytest.mark.slow
def test_a_budget_that_counts_too_little_is_noticed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The deliberate bug: one unit for each piece of work, independent of its comparisons."""

    def charge(self: WorkBudget, _comparisons: int) -> None:
        self.remaining -= 1

    monkeypatch.setattr(WorkBudget, "charge", charge)
    with pytest.raises(AssertionError):
        bounded(sets(120), 200_000)


@pytest.mark.generated
@pytest.mark.fast_cases(2)
@pytest.mark.parametrize("work", [0, 30, 100, 300, 1_000])
def test_facts_within_a_bound_are_correct(work: int) -> None:
    """Each fact is one that an unbounded search finds; facts are missing only for rules named as
    unchecked.
    """
    for seed in range(size(fast=24, slow=120)):
        rules = a_list(Random(f"bounded {seed}"), 7)
        complete = analyze_rules(entries(rules))
        part = analyze_rules(entries(rules), work=work)
        unchecked = {item.id for item in part.undecided}
        for kind in ("contradictory", "shadowed", "redundant"):
            every = {item.entry.id for item in getattr(complete, kind)}
            actual = {item.entry.id for item in getattr(part, kind)}
            assert every - unchecked <= actual <= every, (seed, kind)
        every_tie, found_ties = (
            {(tie.first.id, tie.second.id) for tie in of.ties}
            for of in (complete, part)
        )
        assert found_ties <= every_tie, seed
        assert all(unchecked & {*pair} for pair in every_tie - found_ties), seed


def test_the_same_list_takes_the_same_work() -> None:
    """Two checks of a list that is not checked completely have the same result (R22)."""
    first = checked(sets(60), 20_000)
    second = checked(sets(60), 20_000)
    names = [
        ([item.id for item in actual.undecided], len(actual.shadowed), work)
        for actual, work in (first, second)
    ]
    assert names[0] == names[1]


def test_the_lint_of_a_plan_takes_a_fifth_of_its_work() -> None:
    """With a minimum by which ordinary lists of 10,000 rules are checked completely (100
    comparisons a rule).
    """
    assert (4_000_000, 2_000_000 + 1) == (
        plan_lint_work(10_000, 10_000_000),
        plan_lint_work(10_000, 5),
    )
    assert plan_lint_work(10, 0) // 2 >= 100 * 1_000


@pytest.mark.fast_cases(2)
@pytest.mark.parametrize(
    "make",
    [lambda: patterns(60), lambda: unknown(60), lambda: own(60), lambda: sets(60)],
)
def test_a_difference_and_an_order_end_at_their_bound(
    make: Callable[[], list[Json]],
) -> None:
    """Every rule gets the opposite position: both end within the bound, and report what is
    unknown.
    """
    old = make()
    new = [{**item, "priority": 1_000 - item["priority"]} for item in old]
    actual = compare_behaviour(entries(old), entries(new), work=50_000)
    assert not actual.complete
    moves = [Move(*pair) for pair in zip(entries(old), entries(new), strict=True)]
    complete = order_moves(moves, (), work=50_000)
    assert len(moves) <= sum(map(len, complete.waves))


ENVIRONMENT = (
    "apiVersion: routing/v1\nkind: Environment\nname: prod\nowner: acme\ntenant: acme\n"
)
QUEUES = "apiVersion: routing/v1\nkind: Queues\nname: queues\nqueues: {Cards: Cards}\n"
RULES = "apiVersion: routing/v1\nkind: RuleSet\nname: set\nrules:\n"


def test_unchecked_rules_are_reported_and_no_acceptance_is_unused(
    cxroute: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Text, JSON, GitHub and SARIF name them; a missing finding may exist, and the exit code stays
    0.
    """
    monkeypatch.setattr(lint_module, "LINT_WORK_PER_RULE", 0)
    write("environment.yaml", ENVIRONMENT)
    write("queues.yaml", QUEUES)
    entry = (
        "- {{key: r{n}, intent: i{n}, queue: Cards, accept: {{CXR203: it stays}}}}\n"
    )
    write("rules.yaml", RULES + "".join(entry.format(n=n) for n in range(40)))
    assert 0 == cxroute("validate")
    assert "40 rules: not checked" in cxroute.out
    assert "CXR212" not in cxroute.out
    _, form = cxroute.json("validate")
    assert [40] == [
        len(item["addresses"])
        for item in form["findings"]
        if item["code"] == "CXR209" and item["address"]
    ]
    for kind in ("github", "sarif"):
        assert 0 == cxroute("validate", "--format", kind)
        assert "not checked" in cxroute.out


def test_completeness_follows_from_the_findings() -> None:
    """Without CXR209 all questions were checked."""
    assert is_complete(())


@pytest.mark.slow
def test_a_difference_ends_before_its_exceptions_fill_the_memory() -> None:
    """An exception costs as much as its conditions: 400 hand-written rules took 200 MB of JSON, and
    2,000 took 5 GB.
    """
    random = Random("pairs")

    def asked(name: str, operator: str) -> Json:
        return attribute(
            name, operator, random.choice("abcdefgh") + random.choice("abcdefgh")
        )

    operators = [
        ("t", "contains"),
        ("t", "contains"),
        ("t", "notContains"),
        ("u", "contains"),
    ]
    old = [
        rule(f"r{n}", n, [asked(*operator) for operator in operators], f"Q{n % 5}")
        for n in range(300)
    ]
    new = [
        *old,
        *(
            rule(f"o{n}", n * 15 + 1, [attribute("t", "notContains", f"<{n}>")], "Q")
            for n in range(20)
        ),
    ]
    actual = compare_behaviour(entries(old), entries(new), work=4_000_000)
    conditions = sum(
        len(clauses) for region in actual.regions for clauses in region.excepts
    )
    assert not actual.complete
    assert conditions <= 4_000_000 / 50


def test_a_region_costs_the_conditions_of_its_exceptions() -> None:
    """For texts that no rule names, an exception need not exclude texts of rules: ordinary lists
    stay complete.
    """
    named = [
        rule(
            f"n{n}",
            n + 500,
            [
                attribute("intent", "equals", f"i{n}"),
                attribute("conf", "lessThan", 0.5),
            ],
            "A",
        )
        for n in range(3_000)
    ]

    def sending(queue: str) -> list[Json]:
        wide = [
            [
                attribute("intent", "notContains", f"<{n}>"),
                attribute("tier", "equals", f"t{n % 9}"),
            ]
            for n in range(60)
        ]
        bounds = [attribute("conf", "lessThan", n / 100) for n in range(60)]
        return [
            *(rule(f"w{n}", n, [*wide[n], bounds[n]], queue) for n in range(60)),
            *named,
        ]

    actual = compare_behaviour(entries(sending("B")), entries(sending("C")))
    assert actual.complete
    assert actual.work < 100 * 3_060
