"""Effects agree with every representative input: exact, disjoint, complete, each with the edit that moves it."""

from __future__ import annotations

from random import Random

import pytest

from reconciler.behaviour.diff.difference import BehaviourChange, compare_behaviour
from reconciler.behaviour.diff.effects import EditSet
from reconciler.plan.behaviour_json import impact_to_json
from reconciler.plan.edits import EditedRule, edits_of_lists
from reconciler.plan.impact import Impact
from reconciler.text.phrases import Labels
from tests.support.brute_force import Json, holds, in_routing_order
from tests.support.brute_force_checks import (
    QUEUES,
    RoutingDifference,
    assumption,
    completions,
    destination_of,
)
from tests.support.grown_pairs import generate_pair, generate_tangled_pair
from tests.support.random_rules import RulePair, a_pair, entries, entry
from tests.tiers import FULL

LABELS = Labels({"intent": "intent", "conf": "confidence"})
BLOCKS = 20
SIZE = 200 if FULL else 50
"""Pairs of each kind in each block."""


def compared(pair: RulePair, work: int | None = None) -> tuple[BehaviourChange, list[EditedRule]]:
    old, new = entries(pair.old), entries(pair.new)
    edits = edits_of_lists(old, new, LABELS, words="plan")
    change = compare_behaviour(old, new, pair.evaluation, work, edited=EditSet([edited.edit for edited in edits]))
    return change, edits


def check(pair: RulePair, work: int | None = None) -> Json:
    """Assert that the effects are exact; return the document."""
    change, edits = compared(pair, work)
    document = impact_to_json(Impact(change, edits), QUEUES)
    moved = RoutingDifference(pair.old, pair.new, pair.evaluation)
    causes = EditOracle(pair)
    seen = 0
    for effect in document["effects"]:
        moving = set[str]()
        for row in effect["rows"]:
            inside = check_row(moved, row, document)
            assert not inside & seen, f"{moved.report}{row}\nin two rows: {moved.universe.example(inside & seen)}"
            seen |= inside
            moving |= check_cause(moved, row, effect, causes, inside)
        assert {cause["address"] for cause in effect["causes"]} == moving, moved.report + str(effect)
        causes.check_equal(effect["causes"])
        check_order(moved, effect, document)
    for where in document.get("unknown", []):
        seen |= moved.universe.all_of(where["where"])
    missed = moved.all & ~seen
    assert not missed, f"{moved.report}in no row: {moved.universe.example(missed)}"
    for name, rule_form in document["rules"].items():
        check_rule(pair, moved, name, rule_form)
    return document


def inputs_of(moved: RoutingDifference, row: Json, rules: Json) -> int:
    """Return the inputs of a row, from the document alone."""
    found = moved.universe.all_of(row["where"])
    for name in row["earlier"]:
        found &= ~moved.universe.all_of(rules[name]["conditions"])
    return found


def check_row(moved: RoutingDifference, row: Json, document: Json) -> int:
    """Assert that a row's inputs move as it says, and that it names the rules that it should; return the inputs."""
    rules = document["rules"]
    inside = inputs_of(moved, row, rules)
    report = f"{moved.report}row: {row}\nrules: { {name: rules[name] for name in row['earlier']} }\n"
    assert inside, f"{report}no input"
    before, after = destination_of(row["before"]), destination_of(row["after"])
    assert before != after, report
    wrong = inside & ~(moved.to["before"].get(before, 0) & moved.to["after"].get(after, 0))
    assert not wrong, report + str(moved.universe.example(wrong))

    takers = takers_of(moved, inside)
    counterparts = {name and rules[name]["id"] for name in row["counterpart"]}
    assert len(counterparts) == len(row["counterpart"]), report
    match row["kind"]:
        case "redirects":
            assert [] == row["counterpart"], report
        case "takes":
            assert takers["before"] == counterparts, report + str(takers)
        case "releases":
            assert takers["after"] == counterparts, report + str(takers)
        case other:
            raise AssertionError(other)

    check_earlier(moved, row, rules, takers)
    for assumed in completions(moved.universe, assumption(row)):
        one = (row["example"], assumed)
        assert all(holds(part, *one) for part in row["where"]), report
        for name in row["earlier"]:
            assert not all(holds(part, *one) for part in rules[name]["conditions"]), report
    return inside


def takers_of(moved: RoutingDifference, inside: int) -> dict[str, set[str | None]]:
    """Return the ids of the rules that take some of these inputs, before and after; None is the default routing."""
    return {side: {rule and rule["id"] for rule, bits in wins if bits & inside} for side, wins in moved.wins.items()}


def check_earlier(moved: RoutingDifference, row: Json, rules: Json, takers: dict[str, set[str | None]]) -> None:
    """Assert that each earlier rule comes before a rule that takes some of the row, and matches some of `where`."""
    assert len(set(row["earlier"])) == len(row["earlier"]), row
    where = moved.universe.all_of(row["where"])
    for name in row["earlier"]:
        named = rules[name]
        assert where & moved.universe.all_of(named["conditions"]), f"{moved.report}{row}\n{named}"
        is_before = False
        for side, forms in (("before", moved.old), ("after", moved.new)):
            if named["when"] not in (side, "both"):
                continue
            ordered = [one["id"] for one in in_routing_order(forms, moved.evaluation)]
            last = max(len(ordered) if taker is None else ordered.index(taker) for taker in takers[side])
            is_before |= ordered.index(named["id"]) < last
        assert is_before, f"{moved.report}{row}\n{named}"


def check_cause(moved: RoutingDifference, row: Json, effect: Json, causes: EditOracle, inside: int) -> set[str]:
    """Assert that each input belongs to one of the effect's causes, in the row's kind; return those causes."""
    found = set[str]()
    for old, old_bits in moved.wins["before"]:
        for new, new_bits in moved.wins["after"]:
            if old_bits & new_bits & inside:
                cause, kind = causes.cause_of(old, new)
                assert cause in {one["address"] for one in effect["causes"]}, f"{moved.report}{row}\n{cause}"
                assert kind == row["kind"], f"{moved.report}{row}\n{kind}"
                found.add(cause)
    return found


def check_order(moved: RoutingDifference, effect: Json, document: Json) -> None:
    """Assert that rows are in the order of evaluation; a row taken by several rules comes where the last one does."""
    places = []
    for row in effect["rows"]:
        side = "before" if row["kind"] == "takes" else "after"
        takers = [
            rule
            for rule, bits in moved.wins[side]
            if bits & inputs_of(moved, row, document["rules"]) and not (rule is None and bits == 0)
        ]
        places.append(max(place_of(rule, moved.evaluation) for rule in takers))
    assert sorted(places) == places, f"{moved.report}{effect}"


def place_of(rule: Json | None, evaluation: str) -> tuple[bool, float, str, str]:
    if rule is None:
        return True, 0, "", ""
    sign = -1 if evaluation == "highest-first" else 1
    return False, sign * rule["priority"], rule["name"], rule["id"]


def check_rule(pair: RulePair, moved: RoutingDifference, name: str, named: Json) -> None:
    """Assert that a rule of `rules` is that of the list, and is in the lists that it says."""
    sides = []
    for side, forms in (("before", pair.old), ("after", pair.new)):
        for form in forms:
            is_same = form["id"] == named["id"] and form["priority"] == named["priority"] and form["enabled"]
            if is_same and entry(form).rule.conditions == entry({**form, **named}).rule.conditions:
                sides.append(side)
    assert (sides or [None]) == ([*WHEN[named["when"]]]), f"{moved.report}{name} {named}"


WHEN = {"before": ["before"], "after": ["after"], "both": ["before", "after"]}


class EditOracle:
    """Which edit moves an input, by the words of effects.md section 2, from the two lists alone."""

    def __init__(self, pair: RulePair) -> None:
        self.pair = pair
        self.old, self.new = ({one["id"]: one for one in rules} for rules in (pair.old, pair.new))

    def cause_of(self, old: Json | None, new: Json | None) -> tuple[str, str]:
        """Return the address of the edited rule, and the kind of the row."""
        today, later = (one["id"] if one and self.is_edited(one["id"]) else None for one in (old, new))
        if later is not None and (today is None or self.changes_what_it_takes(later)):
            cause = later
        else:
            cause = today
        assert cause is not None, (old, new)
        if old and new and old["id"] == new["id"]:
            return f"set/{cause}", "redirects"
        return f"set/{cause}", "takes" if cause == later else "releases"

    def is_edited(self, rule_id: str) -> bool:
        return self.old.get(rule_id) != self.new.get(rule_id)

    def changes_what_it_takes(self, rule_id: str) -> bool:
        before, after = self.old.get(rule_id), self.new.get(rule_id)
        if before is None or after is None:
            return True
        one, other = entry(before).rule, entry(after).rule
        if (one.conditions, one.priority, one.enabled) != (other.conditions, other.priority, other.enabled):
            return True
        return one.name != other.name and self.rank(before, rule_id) != self.rank(after, rule_id)

    def rank(self, form: Json, rule_id: str) -> int:
        """Return the place that a rule would have among the other rules after the change."""
        others = [one for one in self.pair.new if one["id"] != rule_id]
        ordered = in_routing_order([*others, {**form, "enabled": True}], self.pair.evaluation)
        return [one["id"] for one in ordered].index(rule_id)

    def check_equal(self, causes: list[Json]) -> None:
        """Assert that several causes have the same fields, each with the same values before and after."""
        forms = []
        for cause in causes:
            rule_id = cause["address"].removeprefix("set/")
            before, after = (
                [part for part in side.get(rule_id, {"conditions": []})["conditions"]] for side in (self.old, self.new)
            )
            removed = sorted(str(part) for part in before if part not in after)
            added = sorted(str(part) for part in after if part not in before)
            rest = [
                (side[rule_id]["priority"], side[rule_id]["targets"], side[rule_id]["enabled"])
                for side in (self.old, self.new)
                if rule_id in side
            ]
            forms.append((cause["action"], cause["fields"], removed, added, rest))
        if len(causes) > 1 and causes[0]["action"] == "update":
            assert all(form[:4] == forms[0][:4] for form in forms), forms


@pytest.mark.parametrize("block", range(BLOCKS))
def test_effects_of_small_pairs_are_exact(block: int) -> None:
    """Every input that moves is in one row, with its queues; an input that stays is in none."""
    for seed in range(block * SIZE, (block + 1) * SIZE):
        check(a_pair(Random(seed), 5 if seed % 4 else 9))


@pytest.mark.parametrize("block", range(BLOCKS))
def test_effects_of_grown_pairs_are_exact(block: int) -> None:
    """The same for 20 to 60 rules: a changed default, deleted rules, language and tier splits, a first plan."""
    for seed in range(block * SIZE, (block + 1) * SIZE):
        check(generate_pair(Random(seed)))


@pytest.mark.parametrize("block", range(BLOCKS))
def test_effects_of_tangled_pairs_are_exact(block: int) -> None:
    """The same for rules with conditions on five attributes, whose earlier rules overlap in many ways."""
    for seed in range(block * SIZE, (block + 1) * SIZE):
        check(generate_tangled_pair(Random(seed)))


@pytest.mark.parametrize("block", range(4))
def test_effects_within_a_work_limit_are_exact(block: int) -> None:
    """With little work rows are still correct, and every other input that moves is in `undecided`."""
    for seed in range(block * 60, (block + 1) * 60):
        check(a_pair(Random(f"bound {seed}"), 8), seed % 7 * 100)
