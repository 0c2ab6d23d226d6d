"""A scenario under construction."""

from __future__ import annotations

from random import Random
from typing import Any, Final

from reconciler.core.model.rule import Rule, Target
from tests.campaign.scenario import Json
from tests.campaign.scenario_rules import CARDS, CATCH_ALL, FRAUD, GENERAL, ours
from tests.support.builders import at_least, intent_is, rule

INTENTS: Final = ("u", "v", "w", "x", "y", "z")
QUEUES: Final = (CARDS, FRAUD, GENERAL)


class Making:
    """A scenario under construction: the tenant, the desired rules, and the changes to both."""

    def __init__(self, seed: int) -> None:
        self.random = Random(f"generated/{seed}")
        self.live: list[Json] = []
        self.wished: dict[str, Rule] = {}
        self.adopts: dict[str, Any] = {}
        self.rulesets: set[str] = set()
        self.kinds: set[str] = set()

    def targets(self) -> tuple[Target, ...]:
        """Return a random queue."""
        return self.random.choice(QUEUES)

    def rule(self, name: str, **said: Any) -> Rule:
        """Return a random rule: an intent, perhaps a confidence, a priority that others may also
        have.
        """
        further = (
            [at_least(self.random.choice([0.4, 0.8]))]
            if self.random.random() < 0.3
            else []
        )
        conditions = [intent_is(self.random.choice(INTENTS)), *further]
        actual = {
            "priority": self.random.choice([10, 20, 20, 30, 100]),
            "targets": self.targets(),
            **said,
        }
        return rule(name, conditions=actual.pop("conditions", conditions), **actual)

    def settle(self, count: int) -> None:
        """Add so many managed rules that are as desired."""
        for number in range(count):
            where = f"{self.random.choice(['cards', 'cards', 'loans'])}/k{number}"
            self.wished[where] = self.rule(f"rule {number}")
        if self.random.random() < 0.6:
            self.wished["cards/all"] = CATCH_ALL
        self.live = [ours(where, item) for where, item in self.wished.items()]

    def some(self, count: int = 1) -> list[str]:
        """Return so many random addresses of rules that were desired from the start and still are;
        maybe fewer.
        """
        began = [
            where for where in self.wished if where != "cards/all" and self.find(where)
        ]
        return self.random.sample(began, min(count, len(began)))

    def find(self, where: str) -> Json | None:
        """Return the live rule that was at an address from the start."""
        return next(
            (
                item
                for item in self.live
                if item["id"] == f"id-{where.rpartition('/')[2]}"
            ),
            None,
        )

    def put(self, found: Json) -> None:
        """Replace the live rule with this id, or add one."""
        self.live = [item for item in self.live if item["id"] != found["id"]] + [found]
