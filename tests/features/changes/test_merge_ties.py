"""Rules of equal priority that a merge brings together, against every conversation."""

from __future__ import annotations

from itertools import combinations, product
from pathlib import Path
from random import Random
from typing import Final, NamedTuple

import pytest

from reconciler.core.behaviour.routing_entry import RoutingEntry, order_entries
from reconciler.features.changes.merge_ties import find_merged_ties
from tests.support.fallback_project import git
from tests.support.program import Program, write
from tests.support.random_rules import attribute, entries, rule

BLOCKS: Final = 10
SIZE: Final = 60
"""Merges in each block."""
VALUES: Final = ("a", "b")
HEAD: Final = "apiVersion: routing/v1\nkind: {kind}\nname: {name}\n"
GOLD: Final = (
    "rules:\n  - {key: gold, name: gold 1, when: [{attribute: tier, equals: gold}], "
    "queue: Premium, priority: 200}\n"
)
CARDS: Final = "rules:\n  - {key: cards, name: later 2, intent: cards, queue: Cards, priority: %s}\n"


class TiedRule(NamedTuple):
    """A rule; None: any value. One that matches nothing contradicts itself."""

    name: str
    priority: int
    intent: str | None
    tier: str | None
    queue: str
    matches_nothing: bool

    def takes(self, one: tuple[str, ...]) -> bool:
        """Return whether the rule matches a conversation."""
        wanted = (self.intent, self.tier)
        return not self.matches_nothing and all(
            part in (None, value) for part, value in zip(wanted, one, strict=True)
        )


Version = dict[str, TiedRule]


def a_rule(random: Random, name: str) -> TiedRule:
    values = (None, *VALUES)
    return TiedRule(
        name=name,
        priority=random.choice((1, 2)),
        intent=random.choice(values),
        tier=random.choice(values),
        queue=random.choice("AB"),
        matches_nothing=random.random() < 0.15,
    )


def edited(random: Random, rules: Version) -> Version:
    names = [random.choice("pqrs") for _ in range(random.choice((1, 2, 2)))]
    return {**rules, **{name: a_rule(random, name) for name in names}}


def merged(base: Version, ours: Version, theirs: Version) -> Version:
    """Return the rules of both changes; a rule in both is that of the first one."""
    names = sorted({*ours, *theirs})
    unchanged = {name for name in names if ours.get(name) == base.get(name)}
    both = {**theirs, **ours}
    return both | {name: theirs[name] for name in unchanged & theirs.keys()}


def tied(result: Version, *changes: Version) -> set[tuple[str, str]]:
    """Return the pairs of rules of which the tenant may try either first."""
    found = set()
    for one in product((*VALUES, "other"), repeat=2):
        taking = [each for each in result.values() if each.takes(one)]
        best = min((each.priority for each in taking), default=0)
        first = sorted(each for each in taking if each.priority == best)
        for pair in combinations(first, 2):
            known = any({*pair} <= {*change.values()} for change in changes)
            if pair[0].queue != pair[1].queue and not known:
                found.add((pair[0].name, pair[1].name))
    return found


def ordered(rules: Version) -> list[RoutingEntry]:
    forms = []
    for each in rules.values():
        parts = zip(("intent", "tier"), (each.intent, each.tier), strict=True)
        conditions = [
            attribute(name, "equals", value) for name, value in parts if value
        ]
        if each.matches_nothing:
            conditions += [attribute("intent", "equals", value) for value in VALUES]
        forms.append(rule(each.name, each.priority, conditions, each.queue))
    return list(order_entries(entries(forms)))


@pytest.mark.generated
@pytest.mark.fast_cases(2)
@pytest.mark.parametrize("block", range(BLOCKS))
def test_the_ties_of_a_merge_are_those_of_its_conversations(block: int) -> None:
    """Two rules are listed exactly if one conversation may go to either, and no change has both."""
    count = 0
    for seed in range(block * SIZE, (block + 1) * SIZE):
        random = Random(f"ties {seed}")
        base = edited(random, {name: a_rule(random, name) for name in "pq"})
        ours = edited(random, base)
        theirs = edited(random, base)
        both = merged(base, ours, theirs)
        versions = [ordered(each) for each in (base, ours, theirs, both)]
        actual = find_merged_ties(versions)
        pairs = {(tie.first.rule.name, tie.second.rule.name) for tie in actual}
        assert tied(both, ours, theirs) == pairs, (seed, base, ours, theirs, both)
        assert all(tie.example for tie in actual)
        count += len(pairs)
    assert count


def test_a_merge_is_not_proven_where_it_ties_rules(
    elsewhere: Path, cxroute: Program
) -> None:
    """By name, the rules send each conversation where it is expected; the tenant may not."""
    assert Path.cwd() == elsewhere
    git("init", "--quiet", "--initial-branch", "main")
    environment = HEAD.format(kind="Environment", name="prod")
    write("prod.yaml", f"{environment}owner: acme\ntenant: acme\n")
    cards = HEAD.format(kind="RuleSet", name="z") + CARDS
    write("cards.yaml", cards % 300)
    git("add", "--all")
    git("commit", "--quiet", "--message", "base")
    for branch in ("gold", "cards"):
        git("checkout", "--quiet", "-b", branch, "main")
        write("cards.yaml", cards % (200 if branch == "cards" else 300))
        if branch == "gold":
            write("gold.yaml", HEAD.format(kind="RuleSet", name="a") + GOLD)
        git("add", "--all")
        git("commit", "--quiet", "--message", branch)
    assert 2 == cxroute("merge-check", "main", "gold", "cards")
    assert (
        "Merged, rules of equal priority are in conflict. prod: 1 tie." in cxroute.out
    )
    line = 'a/gold and z/cards: for example, intent "cards", tier "gold" goes to "Premium" or to "Cards"'
    assert f"  {line}\n" in cxroute.out
    code, document = cxroute.json("merge-check", "main", "gold", "cards")
    assert 2 == code
    (tie,) = document["environments"]["prod"]["ties"]
    assert ["a/gold", "z/cards"] == tie["rules"]
    assert 2 == cxroute("merge-check", "main", "gold", "cards", "--format", "markdown")
    assert "- `a/gold` and `z/cards`: for example" in cxroute.out
    assert 0 == cxroute("merge-check", "main", "gold", "main")
