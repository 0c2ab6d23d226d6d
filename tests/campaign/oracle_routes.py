"""The routes of conversations in a state of the server, by a separate evaluation of rules; cached
by rule.

A tie counts as each of its rules. An unknown condition counts once as true and once as false, in
all rules together.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

from tests.campaign.oracle_marks import OPERATORS
from tests.support.simulated_routing import (
    SimulatedConditionError,
    find_winner,
    rule_shares,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

Json = Any
Destination = frozenset[tuple[str, Fraction]] | None
"""The shares of queues; None: no rule, the tenant's default routing."""


class _Always(dict[str, bool]):
    """Decides whether each unknown condition holds: always with the same result."""

    def __init__(self, answer: bool) -> None:  # noqa: FBT001 - it is a value that is looked up
        super().__init__()
        self.answer = answer

    def __contains__(self, _key: object) -> bool:
        return True

    def __getitem__(self, _key: str) -> bool:
        return self.answer


_WORLDS = (_Always(True), _Always(False))


class Routes:
    """Evaluates rules for some conversations; each rule is read once."""

    def __init__(
        self,
        conversations: Sequence[Json],
        evaluation: str,
        rules: Iterable[Mapping[str, Json]],
    ) -> None:
        """`evaluation` is the order of priorities; `rules` are the possible rules, to find the
        unknown conditions.
        """
        self.conversations = list(conversations)
        worlds = (
            2
            if any(
                map(
                    _is_unknown,
                    (item for rule in rules for item in rule.get("conditions") or ()),
                )
            )
            else 1
        )
        self.cases = [
            (item, world)
            for item in range(len(self.conversations))
            for world in range(worlds)
        ]
        self._sign = 1 if evaluation == "lowest-first" else -1
        self._known: dict[
            int, tuple[Mapping[str, Json], tuple[bool, ...], Destination]
        ] = {}

    def winners(
        self, rules: Iterable[Mapping[str, Json]]
    ) -> list[tuple[Mapping[str, Json], ...]]:
        """Return for each case the possible winners: the first rules that match, all of one
        priority.
        """
        looked = [
            (rule, self._look(rule)) for rule in rules if rule.get("enabled", True)
        ]
        looked.sort(key=lambda item: self._sign * item[0]["priority"])
        return [self._first(looked, case) for case in range(len(self.cases))]

    def destinations(
        self, rules: Iterable[Mapping[str, Json]]
    ) -> list[frozenset[Destination]]:
        """Return the possible routes of each case."""
        return [
            frozenset(self.goes(item) for item in actual) or frozenset([None])
            for actual in self.winners(rules)
        ]

    def goes(self, rule: Mapping[str, Json]) -> Destination:
        """Return the route of a rule."""
        return self._look(rule)[2]

    def name(self, case: int) -> str:
        """Describe a case."""
        conversation, world = self.cases[case]
        return f"{self.conversations[conversation]}" + (
            " (unknown conditions do not hold)" if world else ""
        )

    def _first(
        self, looked: list[tuple[Mapping[str, Json], Any]], case: int
    ) -> tuple[Mapping[str, Json], ...]:
        actual: list[Mapping[str, Json]] = []
        for rule, (_, matches, _) in looked:
            if actual and rule["priority"] != actual[0]["priority"]:
                break
            if matches[case]:
                actual.append(rule)
        return tuple(actual)

    def _look(
        self, rule: Mapping[str, Json]
    ) -> tuple[Mapping[str, Json], tuple[bool, ...], Destination]:
        declared = self._known.get(id(rule))
        # the rule itself is kept with it, so that its id() stays its own
        if declared is None:
            matches = tuple(self._matches(rule, case) for case in self.cases)
            declared = self._known[id(rule)] = (
                rule,
                matches,
                frozenset(rule_shares(rule).items()),
            )
        return declared

    def _matches(self, rule: Mapping[str, Json], case: tuple[int, int]) -> bool:
        try:
            return (
                find_winner(
                    [rule], self.conversations[case[0]], opaque=_WORLDS[case[1]]
                )
                is not None
            )
        except (SimulatedConditionError, ValueError, KeyError, TypeError):
            return case[1] == 0


def _is_unknown(condition: Mapping[str, Json]) -> bool:
    try:
        find_winner(
            [
                {
                    "enabled": True,
                    "priority": 1,
                    "name": "",
                    "id": "",
                    "conditions": [condition],
                }
            ],
            {},
        )
    except (SimulatedConditionError, ValueError, KeyError, TypeError):
        return True
    return condition.get("operator") not in OPERATORS
