"""What a merge does to conversations, by trying all inputs: each row of a report from its document
alone.

It shares no code with the analysis, except the one that reads conditions in the API's form.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from random import Random
from typing import Final

from reconciler.core.behaviour.endpoint_stage import FallbackPolicy
from tests.support.brute_force import (
    Destination,
    Input,
    Json,
    Universe,
    destination,
    holds,
    inputs_for,
    winner,
)
from tests.support.brute_force_checks import (
    assumption,
    completions,
    destination_of,
    entry_name,
    rules_text,
)
from tests.support.endpoint_oracle import Behind, events_for, is_sent, with_own_truths
from tests.support.random_rules import Evaluation, a_list, chance, edited

VERSIONS: Final = ("base", "ours", "theirs", "merged")


@dataclass(frozen=True)
class Quadruple:
    """Four versions of a list of rules."""

    versions: tuple[list[Json], list[Json], list[Json], list[Json]]
    evaluation: Evaluation = "lowest-first"

    @property
    def swapped(self) -> Quadruple:
        """Return the merge of the same two changes, in the other order."""
        base, ours, theirs, merged = self.versions
        return Quadruple((base, theirs, ours, merged), self.evaluation)


def a_quadruple(random: Random, most: int) -> Quadruple:
    """Two changes of one list, and their merge: usually rule by rule, sometimes another list."""
    base = a_list(random, most)
    ours = some_edits(random, base, most)
    theirs = some_edits(random, base, most)
    merged = merged_by_rule(random, base, ours, theirs)
    if chance(random, 0.2):
        merged = some_edits(random, merged, most)
    if chance(random, 0.05):
        merged = a_list(random, most)
    evaluation: Evaluation = "highest-first" if chance(random, 0.25) else "lowest-first"
    return Quadruple((base, ours, theirs, merged), evaluation)


def some_edits(random: Random, rules: list[Json], most: int) -> list[Json]:
    """Return the rules after a few edits, sometimes after none."""
    for _ in range(random.choice((0, 1, 1, 2, 2, 3))):
        rules = edited(random, rules) if rules else a_list(random, most)
    return rules


def merged_by_rule(
    random: Random, base: list[Json], ours: list[Json], theirs: list[Json]
) -> list[Json]:
    """Return each rule as the side that changed it has it; where both did, as one of them."""
    known = [{rule["id"]: rule for rule in rules} for rules in (base, ours, theirs)]
    merged = []
    for rule_id in dict.fromkeys(rule_id for rules in known for rule_id in rules):
        before, mine, other = (rules.get(rule_id) for rules in known)
        chosen = random.choice((mine, other))
        if mine == before:
            chosen = other
        elif other == before:
            chosen = mine
        if chosen is not None:
            merged.append(chosen)
    return merged


Route = Callable[[int, Input], "Json | None"]
"""The rule of a version, by its number, that takes an input."""


@dataclass(frozen=True, kw_only=True)
class MergeOracle:
    """The destination of each input in four versions."""

    universe: Universe
    route: Route
    fallbacks: Sequence[FallbackPolicy] = ()
    report: str = ""

    @cached_property
    def _inputs(self) -> list[tuple[int, Input]]:
        bits = [1 << number for number in range(self.universe.size)]
        return [(bit, self.universe.example(bit)) for bit in bits]

    @cached_property
    def routes(self) -> dict[int, tuple[Json | None, ...]]:
        """The rules that take each input."""
        return {
            bit: tuple(self.route(version, one) for version in range(4))
            for bit, one in self._inputs
        }

    @cached_property
    def reported(self) -> dict[str, int]:
        """The inputs that belong in the report, by kind."""
        kinds = {"surprises": 0, "conflicts": 0}
        for bit, rules in self.routes.items():
            kind = kind_of(*map(destination, rules))
            if kind:
                kinds[kind] |= bit
        return kinds

    def check(self, document: Json) -> None:
        """Assert that the rows are exact, disjoint and complete."""
        assert document["complete"] is True, self.report
        assert document["unknown"] == [], self.report
        self.check_bounded(document)

    def check_bounded(self, document: Json) -> None:
        """Assert that the rows are exact and disjoint, and every other input is in `unknown`."""
        assert document["complete"] is not bool(document["unknown"]), self.report
        unknown = 0
        for part in document["unknown"]:
            unknown |= self.universe.all_of(part["where"])
        named = set()
        seen = 0
        for kind in ("surprises", "conflicts"):
            found = 0
            for row in document[kind]:
                inside = self._check_row(row, document["rules"], kind)
                assert not inside & seen, f"{self.report}{row}\nin two rows"
                seen |= inside
                found |= inside
                named |= {*row["earlier"]}
            missed = self.reported[kind] & ~found & ~unknown
            assert not missed, (
                f"{self.report}in no row of {kind}: {self.universe.example(missed)}"
            )
        assert named == set(document["rules"]), document["rules"]

    def inputs_of(self, row: Json, rules: Json) -> int:
        """Return the inputs of a row."""
        inside = self.universe.all_of(row["where"])
        for name in row["earlier"]:
            inside &= ~self.universe.all_of(rules[name]["conditions"])
        return inside

    def _check_row(self, row: Json, rules: Json, kind: str) -> int:
        inside = self.inputs_of(row, rules)
        report = f"{self.report}row: {row}\nrules: {rules}\n"
        assert inside, f"{report}no input"
        stated = tuple(destination_of(row[version]) for version in VERSIONS)
        expected = expected_of(*stated[:3])
        assert (kind == "conflicts") is (expected == "conflict"), report
        if expected == "conflict":
            assert row["expected"] is None, report
        else:
            assert expected == (destination_of(row["expected"]),), report
            assert stated[3] != expected[0], report
        names = tuple(row["rules"][version] for version in VERSIONS)
        for bit, winners in self.routes.items():
            if inside & bit:
                place = f"{report}{self.universe.example(bit)}"
                assert stated == tuple(map(destination, winners)), place
                assert names == tuple(map(entry_name, winners)), place
        if row["example"] is None:
            events = [one[0] for bit, one in self._inputs if inside & bit]
            assert not any(is_sent(event, self.fallbacks) for event in events), report
            assert row["noExample"], report
        else:
            self._check_example(row, rules, report)
        where = self.universe.all_of(row["where"])
        for name in row["earlier"]:
            assert where & self.universe.all_of(rules[name]["conditions"]), report
        return inside

    def _check_example(self, row: Json, rules: Json, report: str) -> None:
        for assumed in completions(self.universe, assumption(row)):
            one = (row["example"], assumed)
            assert all(holds(part, *one) for part in row["where"]), report
            for name in row["earlier"]:
                conditions = rules[name]["conditions"]
                assert not all(holds(part, *one) for part in conditions), report
            for version, name in enumerate(VERSIONS):
                assert row["rules"][name] == entry_name(self.route(version, one)), (
                    report
                )


def kind_of(
    base: Destination, ours: Destination, theirs: Destination, merged: Destination
) -> str:
    """Return in which list an input with these destinations belongs; empty: in none."""
    expected = expected_of(base, ours, theirs)
    if expected == "conflict":
        return "conflicts"
    return "" if expected == (merged,) else "surprises"


def expected_of(
    base: Destination, ours: Destination, theirs: Destination
) -> tuple[Destination] | str:
    """Return where an input should go, as the definition says it."""
    if theirs == base:
        return (ours,)
    if ours == base:
        return (theirs,)
    return (ours,) if ours == theirs else "conflict"


def oracle_of(
    four: Quadruple, orders: Sequence[Evaluation] | None = None
) -> MergeOracle:
    """Return the oracle of four versions; `orders` are those of the versions, if they differ."""
    versions: Sequence[list[Json]] = four.versions
    chosen = orders or [four.evaluation] * len(VERSIONS)

    def route(version: int, one: Input) -> Json | None:
        return winner(versions[version], one, chosen[version])

    texts = [
        f"{name}:\n{rules_text(rules)}\n"
        for name, rules in zip(VERSIONS, versions, strict=True)
    ]
    return MergeOracle(
        universe=inputs_for(*versions),
        route=route,
        report="".join([*chosen, "\n", *texts]),
    )


def oracle_behind(sides: Sequence[Behind], evaluation: Evaluation) -> MergeOracle:
    """Return the oracle of four versions, each behind its own endpoint."""
    if len({side.fallback.digest for side in sides}) > 1:
        sides = [with_own_truths(side) for side in sides]
    universe = events_for(*sides)

    def route(version: int, one: Input) -> Json | None:
        return sides[version].winner(one, evaluation)

    report = "".join(f"{side}\n" for side in sides)
    fallbacks = [side.fallback for side in sides]
    return MergeOracle(
        universe=universe, route=route, fallbacks=fallbacks, report=report
    )
