"""Single edits of rules, and which of them move callers, by trying every event: shares no code with
the analysis.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from random import Random
from typing import Any

from tests.support.brute_force import (
    Destination,
    Input,
    Json,
    Known,
    destination,
    in_routing_order,
    inputs_for,
    is_number,
    is_supported,
    matches,
    numeral,
    winner,
)
from tests.support.random_promises import AuthoredPromise, holds_all
from tests.support.random_rules import a_list, attribute, chance, queue

BOUNDS = ("greaterThan", "greaterThanOrEqual", "lessThan", "lessThanOrEqual", "between")


@dataclass(frozen=True)
class PlainEndpoint:
    """The endpoint as its reference describes it; without `fallback` it writes every event
    unchanged.
    """

    fallback: str | None = None
    least: float = 0
    known: tuple[str, ...] = ()

    def context(self, event: Mapping[str, Any]) -> dict[str, Any]:
        """Return what the rules read after an event."""
        confidence: Any = event.get("conf")
        unsure = not is_number(confidence) or confidence < self.least
        unknown = bool(self.known) and event.get("intent") not in self.known
        if (
            self.fallback is None
            or event.get("intent") is None
            or not (unsure or unknown)
        ):
            return dict(event)
        return {**event, "intent": self.fallback}

    def thresholds(self) -> list[Json]:
        """Return rules that distinguish all events that the endpoint distinguishes."""
        if self.fallback is None:
            return []
        requested = [attribute("intent", "in", [self.fallback, *self.known])]
        requested += [attribute("conf", "greaterThanOrEqual", self.least)]
        return [{"id": "endpoint", "enabled": True, "conditions": requested}]


def list_key(rules: Iterable[Json]) -> str:
    """Return a list of rules as text, in which the order of rules and of conditions does not
    count.
    """
    normal = []
    for rule in rules:
        conditions = sorted(
            json.dumps(_plain(part), sort_keys=True) for part in rule["conditions"]
        )
        targets = [
            [target["queueId"], float(target["weight"])] for target in rule["targets"]
        ]
        normal.append(
            [
                rule["id"],
                float(rule["priority"]),
                rule["enabled"],
                sorted(set(conditions)),
                sorted(targets),
            ]
        )
    return json.dumps(sorted(normal))


def _plain(part: Json) -> Json:
    value: Any = part.get("value")
    if part["operator"] in ("exists", "notExists"):
        value = None
    if part["operator"] in BOUNDS:
        value = [float(end) for end in (value if isinstance(value, list) else [value])]
    elif part["operator"] in ("in", "notIn"):
        value = sorted({*map(_text, value)})
    elif part["operator"] in ("equals", "notEquals"):
        value = _text(value)
    return {**part, "value": value}


def _text(value: Any) -> str:
    return (
        repr(float(value))
        if is_number(value)
        else repr({True: "true", False: "false"}.get(value, value))
    )


def adequacy_sample(random: Random) -> tuple[list[Json], str, PlainEndpoint]:
    """Rules as manifests can have them, an order of evaluation, and an endpoint."""
    rules = []
    for rule in a_list(random, 4):
        conditions = [part for part in rule["conditions"] if is_supported(part)][:2]
        targets = [part for part in rule["targets"] if part["type"] == "queue"] or [
            queue("A")
        ]
        rules.append(
            {**rule, "conditions": conditions, "targets": targets, "name": rule["id"]}
        )
    endpoint = PlainEndpoint()
    if chance(random, 0.5):
        declared = random.choice(((), (), ("a", "ab"), ("a", "x", "true")))
        endpoint = PlainEndpoint(
            random.choice(("none", "a", "x")),
            random.choice((0, 0.3, 0.5, 0.95)),
            declared,
        )
    return (
        rules,
        random.choice(("lowest-first", "lowest-first", "highest-first")),
        endpoint,
    )


class EditOracle:
    """All single edits of a list, in lists of rules; and the moves of each, event by event."""

    def __init__(
        self,
        rules: Sequence[Json],
        evaluation: str,
        endpoint: PlainEndpoint,
        known: Known,
        promises: Sequence[AuthoredPromise] = (),
    ) -> None:
        self.rules, self.evaluation, self.endpoint = list(rules), evaluation, endpoint
        self.queues = sorted(
            {target["queueId"] for rule in rules for target in rule["targets"]}
        )
        conditional = [
            edited
            for rule in rules
            if rule["enabled"]
            for edited in self._edits_of_conditions(rule)
        ]
        requested = [
            {"id": "promise", "enabled": True, "conditions": promise.conditions}
            for promise in promises
        ]
        lists = [rules, conditional, endpoint.thresholds(), requested]
        axes = inputs_for(*lists, known=known).axes
        names = list(axes)
        events = (
            dict(zip(names, values, strict=True)) for values in product(*axes.values())
        )
        self.events = [
            {name: value for name, value in event.items() if value is not None}
            for event in events
        ]
        self.inputs: list[Input] = [
            (endpoint.context(event), {}) for event in self.events
        ]
        self.before = [self._destination(rules, item) for item in self.inputs]
        self.promises = [
            promise for promise in promises if not self.breaks(rules, promise)
        ]

    def edited_lists(self) -> dict[str, list[Json]]:
        """Return each edited list by its key."""
        actual: dict[str, list[Json]] = {}
        for rule in self.rules:
            if rule["enabled"]:
                for new in (
                    None,
                    *self._edits_of_targets(rule),
                    *self._edits_of_conditions(rule),
                    *self._passing(rule),
                ):
                    remaining_items = [item for item in self.rules if item is not rule]
                    edited = remaining_items if new is None else [*remaining_items, new]
                    actual[list_key(edited)] = edited
        return actual

    def moves(self, edited: Sequence[Json]) -> bool:
        """Return whether an event goes elsewhere."""
        return any(
            self._destination(edited, item) != was
            for item, was in zip(self.inputs, self.before, strict=True)
        )

    def breaks(self, rules: Sequence[Json], promise: AuthoredPromise) -> bool:
        """Return whether an event breaks a promise."""
        return any(
            holds_all(promise.conditions, event)
            and not promise.is_kept(winner(rules, read, self.evaluation))
            for event, read in zip(self.events, self.inputs, strict=True)
        )

    def destination_of_context(
        self, rules: Sequence[Json], context: Mapping[str, Any]
    ) -> Destination:
        """Return where rules send what they read."""
        return self._destination(rules, (dict(context), {}))

    def _destination(self, rules: Iterable[Json], one: Input) -> Destination:
        return destination(winner(rules, one, self.evaluation))

    def _edits_of_targets(self, rule: Json) -> Iterator[Json]:
        choices = (
            {**rule, "targets": [{"type": "queue", "queueId": queue, "weight": 1}]}
            for queue in self.queues
        )
        yield from [new for new in choices if destination(new) != destination(rule)][:1]

    def _edits_of_conditions(self, rule: Json) -> Iterator[Json]:
        same = json.loads(list_key([rule]))
        for part in rule["conditions"]:
            remaining_items = [
                candidate
                for candidate in rule["conditions"]
                if _plain(candidate) != _plain(part)
            ]
            news = [remaining_items]
            if part["attributeName"] == "conf" and part["operator"] in BOUNDS:
                ends = (
                    part["value"] if part["operator"] == "between" else [part["value"]]
                )
                for at, end in enumerate(ends):
                    number = float(end) if numeral(end) else -1
                    for step in (0.05, -0.05) if 0 <= number <= 1 else ():
                        moved = [
                            *ends[:at],
                            round(min(1, max(0, number + step)), 6),
                            *ends[at + 1 :],
                        ]
                        news.append(
                            [
                                *remaining_items,
                                {**part, "value": moved if len(ends) > 1 else moved[0]},
                            ]
                        )
            yield from (
                new
                for new in ({**rule, "conditions": new} for new in news)
                if json.loads(list_key([new])) != same
            )

    def _passing(self, rule: Json) -> Iterator[Json]:
        """Yield the rule with the priority just beyond its nearest rival in each direction."""
        ordered = in_routing_order(self.rules, self.evaluation)
        at = ordered.index(rule)
        sign = -1 if self.evaluation == "highest-first" else 1
        for near, step in ((ordered[:at][::-1], -sign), (ordered[at + 1 :], sign)):
            rival = next((item for item in near if self._meet(rule, item)), None)
            if rival is not None:
                yield {**rule, "priority": rival["priority"] + step}

    def _meet(self, rule: Json, other: Json) -> bool:
        if destination(rule) == destination(other):
            return False
        return any(matches(rule, item) and matches(other, item) for item in self.inputs)
