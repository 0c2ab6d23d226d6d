"""The oracle: checks every state of the tenant (invariants "The reconciler").

The simulator evaluates the rules, one by one; the results are kept, because a state differs from
the one before it by one rule.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any, Final

from reconciler.features.practice.simulator.messages import encode_json
from reconciler.features.practice.simulator.state import JsonObject, TenantState
from tests.crash.scene import OWNER, conversations
from tests.support.simulated_routing import queue_shares

_MARKER: Final = re.compile(
    rf"(?:\A|\n)\[cxroute:{OWNER}/([a-z0-9~/-]+)#[0-9a-f]{{8}}\]\Z"
)

_WRITTEN: Final = (
    "name",
    "description",
    "priority",
    "enabled",
    "conditions",
    "targets",
)

Ways = list[frozenset[str] | None]
"""For each conversation its queues; None: the default routing."""


class Watch:
    """Keeps every state of the tenant; `wrong` returns the errors of all states."""

    def __init__(self, state: TenantState, wanted: Ways) -> None:
        self.states: list[tuple[JsonObject, ...]] = [tuple(state.stored_rules.values())]
        self.first, self.wanted = ways(self.states[0]), wanted
        self.foreign = foreign(self.states[0])
        state.watchers.append(
            lambda now: self.states.append(tuple(now.stored_rules.values()))
        )

    def wrong(self) -> list[str]:
        """Return the errors: a third destination, a duplicate marker, a changed unmanaged rule."""
        return [
            f"state {number}: {subject}"
            for number, state in enumerate(self.states)
            for subject in self._wrong_with(state)
        ]

    def _wrong_with(self, state: tuple[JsonObject, ...]) -> list[str]:
        wrong = [f"{marker} occurs twice" for marker in twice(state)]
        if foreign(state) != self.foreign:
            wrong.append("an unmanaged rule was changed")
        for conversation, old, now, new in zip(
            conversations(), self.first, ways(state), self.wanted, strict=True
        ):
            if (
                old is not None
                and new is not None
                and (not now or not now <= old | new)
            ):
                wrong.append(f"{conversation} goes to {now} instead of {old} or {new}")
        return wrong


def ways(state: Iterable[JsonObject]) -> Ways:
    """Return the destination of each conversation: that of the first rule in the server's order
    that takes it.
    """
    ordered = sorted(
        state, key=lambda item: (item["priority"], item["name"], item["id"])
    )
    claimed = [_takes(_routing(stored)) for stored in ordered if stored["enabled"]]
    return [
        next((item for item in column if item is not None), None)
        for column in zip(*claimed, strict=True)
    ]


def twice(state: Iterable[JsonObject]) -> set[str]:
    """Return the markers, without their digests, that more than one rule has."""
    observed: set[str] = set()
    again: set[str] = set()
    for stored in state:
        marker = _MARKER.search(stored["description"])
        if marker is not None:
            again |= {marker[1]} & observed
            observed.add(marker[1])
    return again


def by_address(rules: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return the managed rules by address, without fields that the server adds; a temporary copy
    has a suffix.
    """
    marked = ((_MARKER.search(rule["description"]), rule) for rule in rules)
    return {
        actual[1]: {key: rule[key] for key in _WRITTEN}
        for actual, rule in marked
        if actual is not None
    }


def reached(
    start: Iterable[Mapping[str, Any]],
    goal: Iterable[Mapping[str, Any]],
    now: Iterable[Mapping[str, Any]],
) -> set[str]:
    """Return the addresses that are as desired, of those that were not at the beginning."""
    first = by_address(start)
    last = by_address(goal)
    present = by_address(now)
    return {
        item
        for item in {*first, *last}
        if first.get(item) != last.get(item) == present.get(item)
    }


def foreign(state: Iterable[JsonObject]) -> dict[str, bytes]:
    """Return the unmanaged rules that are not to be adopted, byte by byte."""
    return {
        stored["id"]: encode_json(stored)
        for stored in state
        if stored["id"] in ("o2", "o3", "o4")
    }


def _routing(stored: JsonObject) -> str:
    return json.dumps([stored["conditions"], stored["targets"]])


@cache
def _takes(routing: str) -> tuple[frozenset[str] | None, ...]:
    """Return the destination of each conversation under one rule alone."""
    conditions, targets = json.loads(routing)
    alone: dict[str, Any] = {"id": "", "name": "", "priority": 0, "enabled": True}
    rule = {**alone, "conditions": conditions, "targets": targets}
    actual = [queue_shares([rule], conversation) for conversation in conversations()]
    return tuple(None if item is None else frozenset(item) for item in actual)
