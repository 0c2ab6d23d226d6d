"""All named scenarios, the generated ones by seed, and a scenario without some of its rules."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import replace
from functools import cache
from typing import Final

from tests.campaign.scenario import Scenario
from tests.campaign.scenarios_foreign import FOREIGN
from tests.campaign.scenarios_moves import MOVES
from tests.campaign.scenarios_parts import PARTS
from tests.campaign.scenarios_reviewed import REVIEWED
from tests.campaign.scenarios_sizes import REFUSED, SIZES

SCENARIOS: Final[dict[str, Scenario]] = {
    item.name: item for item in (*MOVES, *FOREIGN, *PARTS, *SIZES, *REFUSED, *REVIEWED)
}
GENERATED: Final = "generated-"
"""The prefix of the name of a scenario from a seed."""


@cache
def scenario(name: str) -> Scenario:
    """Return a scenario by its name; `generated-7` is made from seed 7.

    KeyError for an unknown name.
    """
    if name.startswith(GENERATED):
        from tests.campaign.scenarios_generated import generated  # noqa: PLC0415 - it builds on the named ones

        return generated(int(name.removeprefix(GENERATED)))
    return SCENARIOS[name]


def without(found: Scenario, dropped: Collection[str]) -> Scenario:
    """Return the scenario without these: live rules by id, desired ones by address."""
    if not dropped:
        return found
    rules = tuple(rule for rule in found.rules if rule["id"] not in dropped)
    wished = {
        address: rule
        for address, rule in found.wish.rules.items()
        if str(address) not in dropped
    }
    return replace(found, rules=rules, wish=replace(found.wish, rules=wished))


def with_names_apart(found: Scenario) -> Scenario:
    """Return the scenario for a tenant that refuses a second rule of one name: copies have other
    names.
    """
    names: Counter[str] = Counter()
    rules = []
    for rule in found.rules:
        names[rule["name"]] += 1
        count = names[rule["name"]]
        rules.append(
            rule if count == 1 else {**rule, "name": f"{rule['name']} ({count})"[-256:]}
        )
    return replace(found, rules=tuple(rules))


def is_refused(found: Scenario) -> bool:
    """Return whether a guard must refuse it: then nothing may be written."""
    return "refused" in found.kinds
