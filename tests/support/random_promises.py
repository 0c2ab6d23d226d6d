"""Random promises about random lists of rules, and an oracle that tries all inputs and shares no
code with them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from fractions import Fraction
from random import Random
from typing import Any, Final

from reconciler.core.behaviour.diff.promises import Promise, PromiseFacts
from reconciler.core.behaviour.routing_entry import RoutingEntry
from reconciler.core.model.rule import Address
from reconciler.core.plan.behaviour_json import violation_to_json
from tests.support.brute_force import (
    Destination,
    Input,
    Json,
    Known,
    Universe,
    destination,
    holds,
    inputs_for,
    matches,
    winner,
)
from tests.support.brute_force_checks import (
    QUEUES,
    assumption,
    check_typable,
    completions,
    destination_of,
    entry_name,
    rules_text,
)
from tests.support.random_rules import (
    KINDS,
    SOME,
    UNKNOWN,
    a_condition,
    chance,
    entries,
    entry,
    rule,
)

ALL: Final = frozenset("ABC")
Route = tuple[Json | None, Destination]


@dataclass(frozen=True)
class AuthoredPromise:
    """A promise as an author states it: queues by letter, shares in percent, rules by `set/id`."""

    conditions: list[Json] = field(default_factory=list)
    always: frozenset[str] | None = None
    never: frozenset[str] = frozenset()
    never_default: bool = False
    split: dict[str, tuple[float, float]] = field(default_factory=dict)
    decided_by: frozenset[str] | None = None

    @property
    def promise(self) -> Promise:
        """Return it in the package's form."""
        if self.decided_by is None:
            pattern = ""
        else:
            (first, *remaining_items) = sorted(self.decided_by)
            pattern = "set/*" if remaining_items else f"set/{first}"
        return Promise(
            conditions=entry(rule("p", 1, self.conditions, "A")).rule.conditions,
            always=self.always,
            never_default=self.never_default,
            shares=tuple(
                (name, Fraction(str(low)) / 100, Fraction(str(high)) / 100)
                for name, (low, high) in {
                    **dict.fromkeys(self.never, (0, 0)),
                    **self.split,
                }.items()
            ),
            decided_by=pattern,
        )

    def is_kept(self, taking: Json | None) -> bool:
        """Return whether a conversation of a rule keeps the promise."""
        to = destination(taking)
        shares = dict(to or ())
        if self.always is not None and (not shares or set(shares) - self.always):
            return False
        if self.never & set(shares) or (self.never_default and to is None):
            return False
        if self.decided_by is not None and (
            taking is None or taking["id"] not in self.decided_by
        ):
            return False
        return all(
            Fraction(str(low)) <= 100 * shares.get(name, 0) <= Fraction(str(high))
            for name, (low, high) in self.split.items()
        )


def addressed(forms: list[Json]) -> list[RoutingEntry]:
    """Return rules as managed ones, with addresses."""
    return [
        replace(entry, address=Address("set", entry.id)) for entry in entries(forms)
    ]


def a_promise(random: Random, rules: list[Json]) -> AuthoredPromise:
    """Return a promise of any kind; its conversations are mostly those of a rule, or a part of
    them.
    """
    kinds: tuple[Callable[[], dict[str, Any]], ...] = (
        lambda: {
            "always": frozenset(random.sample("ABC", random.choice((1, 2, 3, 3))))
        },
        lambda: {"never": frozenset(random.choice("ABC"))},
        lambda: {"never_default": True},
        lambda: {"never": frozenset(random.choice("ABC")), "never_default": True},
        lambda: {
            "split": {
                random.choice("ABC"): random.choice(
                    ((0, 50), (50, 100), (30, 70), (0, 99), (0, 0), (0, 75))
                )
            }
        },
        lambda: {
            "decided_by": frozenset(
                [random.choice(rules)["id"]]
                if chance(random, 0.7)
                else [rule["id"] for rule in rules]
            )
        },
    )
    return AuthoredPromise(
        conditions=_conditions(random, rules), **random.choice(kinds)()
    )


def _conditions(random: Random, rules: list[Json]) -> list[Json]:
    declared = [
        part for part in random.choice(rules)["conditions"] if part not in UNKNOWN
    ]
    names = (
        tuple(
            dict.fromkeys(
                part["attributeName"]
                for part in declared
                if part["attributeName"] in KINDS
            )
        )
        or SOME
    )
    further = [
        part
        for part in (
            a_condition(random, names) for _ in range(random.choice((0, 1, 1)))
        )
        if part not in UNKNOWN
    ]
    return random.choice(([], declared, declared, [*declared, *further], further))


class PromiseOracle:
    """The inputs that break a promise, by trying all."""

    def __init__(
        self,
        rules: list[Json],
        stated: AuthoredPromise,
        evaluation: str,
        known: Known | None = None,
    ) -> None:
        self.rules, self.stated, self.evaluation = rules, stated, evaluation
        self.probe = rule("p", 1, stated.conditions, "A")
        self.universe: Universe = inputs_for(rules, [self.probe], known=known)
        self.selected = self.universe.matched(self.probe)
        self.wins = self.universe.wins(rules, evaluation)
        self.breaking = 0
        for taking, bits in self.wins:
            self.breaking |= 0 if stated.is_kept(taking) else bits & self.selected
        self.report = f"{evaluation}\n{rules_text(rules)}\npromise: {stated}\n"

    def check(self, facts: PromiseFacts) -> None:
        """Assert that the facts are right: the regions are sound, disjoint and, where complete, all
        that breaks it.
        """
        covered = 0
        for region in facts.violations:
            document = violation_to_json(region, QUEUES)
            inside = self._check_region(document)
            assert not inside & covered, (
                self.report + f"two regions: {self.universe.example(inside & covered)}"
            )
            covered |= inside
        missed = self.breaking & ~covered
        assert not (facts.complete and missed), (
            self.report + f"no region: {self.universe.example(missed)}"
        )
        assert facts.is_empty is (not self.selected), self.report
        holds = False if covered else True if facts.complete else None
        assert holds is facts.holds, self.report

    def _check_region(self, region: Json) -> int:
        inside = self.universe.region(region)
        report = f"{self.report}region: {region}\n"
        assert inside, report
        assert not inside & ~self.breaking, report + str(
            self.universe.example(inside & ~self.breaking)
        )
        (taking,) = [each for each, bits in self.wins if bits & inside]
        assert region["rule"] == entry_name(taking), report
        assert destination(taking) == destination_of(region["destination"]), report
        declared = assumption(region)
        for assumed in completions(self.universe, declared):
            item: Input = (region["witness"], assumed)
            assert matches(self.probe, item), report
            assert winner(self.rules, item, self.evaluation) == taking, report
        check_typable(self.universe, region["witness"])
        return inside


def holds_all(conditions: list[Json], attributes: dict[str, Any]) -> bool:
    """Return whether an input fulfils all conditions."""
    return all(holds(condition, attributes, {}) for condition in conditions)
