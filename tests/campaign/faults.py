"""Faults that the simulator does not have: processes die, others run or edit in parallel, the time
of day jumps.

NAME@#K[=ARGUMENT]     at the K-th request of applier `a` kill, kill-applied     the process dies
before the request is done; after it applier, applier-after a second applier of the same manifest
runs completely before it; after it other, other-after     one of another manifest runs human-edit,
human-remove, human-clone, human-unmark   of the request's rule, or else of a random managed rule
human-rank, human-switch   the same: another priority; disabled, or enabled again human-add
an unmanaged rule that takes every conversation, randomly before or after all others human-foreign
another priority of an unmanaged rule human-describe         another description of an unmanaged
rule clock=SECONDS          the time of day jumps, the server's and the tool's
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from random import Random
from typing import Final

from reconciler.core.model.live import parse_marker
from tests.campaign.oracle_copies import changed, original
from tests.campaign.scenario import Json
from tests.campaign.world import Event, Killed, ObservedTenant
from tests.support.builders import OWNER

_ACCIDENT: Final = re.compile(
    r"(?P<name>[a-z-]+)@#(?P<at>[1-9][0-9]*)(?:=(?P<argument>[+-]?[0-9]+))?"
)
_QUEUES: Final = {"q-cards": "q-fraud", "q-fraud": "q-general", "q-general": "q-cards"}
PROCESSES: Final = (
    "kill",
    "kill-applied",
    "applier",
    "applier-after",
    "other",
    "other-after",
)
PEOPLE: Final = (
    *("human-edit", "human-remove", "human-clone", "human-unmark"),
    *("human-rank", "human-switch", "human-add", "human-foreign", "human-describe"),
)
NAMES: Final = (*PROCESSES, *PEOPLE, "clock")


@dataclass(frozen=True, slots=True)
class Accident:
    """One accident, and the request before or after which it happens."""

    name: str
    at: int
    argument: int = 0


def accident(text: str) -> Accident | None:
    """Parse one; None if the text is a fault of the simulator. Raises ValueError."""
    actual = _ACCIDENT.fullmatch(text.strip())
    if actual is None:
        return None
    if actual["name"] not in NAMES:
        raise ValueError(f"{text}: none of {', '.join(NAMES)}")
    return Accident(actual["name"], int(actual["at"]), int(actual["argument"] or 0))


class Accidents:
    """Runs accidents at the requests of one applier; `another` runs a further one, of this or
    another manifest.
    """

    def __init__(
        self,
        world: ObservedTenant,
        planned: tuple[Accident, ...],
        random: Random,
        another: Callable[[str], Awaitable[object]],
    ) -> None:
        self.world, self.planned, self.random, self.another = (
            world,
            planned,
            random,
            another,
        )
        self.happened = 0

    async def before(self, event: Event) -> None:
        """Run the accidents before a request."""
        for item in self._now(event):
            if not item.name.endswith(("-applied", "-after")):
                await self._happen(item, event)

    async def after(self, event: Event) -> None:
        """Run the accidents after a request was processed."""
        for item in self._now(event):
            if item.name.endswith(("-applied", "-after")):
                await self._happen(item, event)

    def _now(self, event: Event) -> list[Accident]:
        return [item for item in self.planned if item.at == event.number]

    async def _happen(self, one: Accident, event: Event) -> None:
        self.happened += 1
        if one.name.startswith("kill"):
            raise Killed
        if one.name in PROCESSES:
            await self.another(one.name.partition("-")[0])
        elif one.name == "clock":
            self.world.jump += one.argument
        else:
            self._meddle(one.name, event)

    def _meddle(self, name: str, event: Event) -> None:
        stored = self.world.state.stored_rules
        own = stored.get(event.request.segments[-1])
        foreign = name in ("human-foreign", "human-describe")
        own_side = [each for each in stored.values() if is_ours(each) is not foreign]
        requested = own if own and is_ours(own) is not foreign else None
        rule = requested or (self.random.choice(own_side) if own_side else None)
        if rule is not None:
            _MEDDLING[name](self.world, rule)


def is_ours(rule: Json) -> bool:
    """Return whether a stored rule has an own marker."""
    marker = (
        parse_marker(rule["description"])[1]
        if isinstance(rule.get("description"), str)
        else None
    )
    return marker is not None and marker.owner == OWNER


def _edit(world: ObservedTenant, rule: Json) -> None:
    # A weight that no manifest has: a manual edit does not match the desired rule by chance.
    targets = [
        {**item, "queueId": _QUEUES.get(item.get("queueId"), "q-cards"), "weight": 7}
        for item in rule["targets"]
    ]
    world.state.edit(rule["id"], world.clock(), targets=targets)


def _rank(world: ObservedTenant, rule: Json) -> None:
    world.state.edit(
        rule["id"], world.clock(), priority=1 if rule["priority"] != 1 else 950
    )


def _switch(world: ObservedTenant, rule: Json) -> None:
    world.state.edit(rule["id"], world.clock(), enabled=not rule.get("enabled", True))


def _add(world: ObservedTenant, rule: Json) -> None:
    identity = next(world.ids)
    new = {
        "id": identity,
        "name": f"By hand {identity}",
        "description": "",
        "conditions": [],
        "version": 1,
    }
    world.state.put({**rule, **new, "priority": 950 if rule["priority"] == 1 else 1})


def _clone(world: ObservedTenant, rule: Json) -> None:
    identity = next(world.ids)
    world.state.put(
        {**rule, "id": identity, "name": f"Copy of {rule['name']}"[:256], "version": 1}
    )


def _unmark(world: ObservedTenant, rule: Json) -> None:
    text = parse_marker(rule["description"])[0]
    world.unmarked[rule["id"]] = rule["description"].removeprefix(text)
    world.state.edit(rule["id"], world.clock(), description=text)


def _describe(world: ObservedTenant, rule: Json) -> None:
    text = parse_marker(rule["description"])[0]
    world.state.edit(
        rule["id"],
        world.clock(),
        description=f"Edited{rule['description'].removeprefix(text)}",
    )


def mend(world: ObservedTenant, began: tuple[Json, ...], names: set[str]) -> None:
    """Repair markers that a user removed, or that a server changed by joining lines: only a user
    can do that.

    If another rule has the place by then, the one without a marker is deleted. The same holds if it
    is unknown which of several rules is managed, and if a copy has the desired name of the managed
    rule.
    """
    for rule_id, marker in world.unmarked.items():
        rule = world.state.stored_rules.get(rule_id)
        stands = any(
            address(marker) == address(str(rule.get("description")))
            for rule in world.state.rules()
        )
        if rule is None or is_ours(rule):
            continue
        if stands:
            world.state.remove(rule_id)
        else:
            world.state.edit(
                rule_id, world.clock(), description=rule["description"] + marker
            )
    _decide(world, names)
    # including a copy of such a rule
    declared = {rule["description"] for rule in began}
    for rule in world.state.rules():
        text = str(rule.get("description"))
        if text not in declared and _JOINED.search(text):
            world.state.edit(
                rule["id"], world.clock(), description=_JOINED.sub(r"\n\1", text)
            )


def _decide(world: ObservedTenant, names: set[str]) -> None:
    """Keep one of several rules with one marker if the managed one is ambiguous, and no occupied
    name.
    """
    groups: dict[object, list[Json]] = {}
    for rule in filter(is_ours, world.state.rules()):
        groups.setdefault(address(str(rule.get("description"))), []).append(rule)
    for group in groups.values():
        first = original(group) or group[0]
        undecided = original(group) is None
        for rule in changed(group):
            if rule is not first and (
                undecided or rule["name"] in names - {first["name"]}
            ):
                world.state.remove(rule["id"])


def address(description: str) -> object:
    """Return the position of a managed rule with this description; a copy follows its rule."""
    marker = parse_marker(description)[1]
    return marker and (marker.owner, marker.address, marker.copy)


_JOINED: Final = re.compile(rf" (\[cxroute:{OWNER}/\S+\])\Z")


_MEDDLING: Final[dict[str, Callable[[ObservedTenant, Json], None]]] = {
    "human-edit": _edit,
    "human-remove": lambda world, rule: world.state.remove(rule["id"]),
    "human-clone": _clone,
    "human-unmark": _unmark,
    "human-rank": _rank,
    "human-switch": _switch,
    "human-add": _add,
    "human-foreign": _rank,
    "human-describe": _describe,
}
