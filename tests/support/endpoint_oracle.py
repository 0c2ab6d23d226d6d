"""The endpoint in front of rules, by trying all events: an oracle that shares no code with the
analysis.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Any, Final

from reconciler.core.behaviour.endpoint_stage import EndpointStage, FallbackPolicy
from reconciler.core.behaviour.space.value_type import ANY_TEXT, SHARE
from tests.support.brute_force import (
    Destination,
    Input,
    Json,
    Universe,
    destination,
    inputs_for,
    is_supported,
    text_of,
    winner,
)
from tests.support.brute_force_checks import destination_of, entry_name, holds_where
from tests.support.effect_oracle import EffectOracle, Wins
from tests.support.random_rules import TEXTS, attribute, rule

INTENT = "intent"
CONFIDENCE = "conf"
KNOWN: Final = {INTENT: None, CONFIDENCE: (0.0, 1.0)}


def a_fallback(random: Random) -> FallbackPolicy:
    """Return a random fallback; one in six writes every intent unchanged."""
    declared = frozenset(random.sample(TEXTS, random.choice((0, 2, 3, 5))))
    intent = random.choice((*TEXTS[:4], "none", None))
    return FallbackPolicy(intent, random.choice((0, 0.5, 0.7, 0.95)), declared)


def stage(
    fallback: FallbackPolicy, compared: FallbackPolicy | None = None
) -> EndpointStage:
    """Return the endpoint of an Environment that stores numbers."""
    types = {INTENT: ANY_TEXT, CONFIDENCE: SHARE}
    return EndpointStage(
        intent=INTENT,
        confidence=CONFIDENCE,
        fallback=fallback,
        context_types=types,
        compared=compared or fallback,
    )


def is_sent(event: Mapping[str, Any], fallbacks: Iterable[FallbackPolicy]) -> bool:
    """Return whether the bot sends an event: with a known intent, if any are known, or without one."""
    return INTENT not in event or any(
        not each.known_intents or event[INTENT] in each.known_intents
        for each in fallbacks
    )


def context_of(event: Mapping[str, Any], fallback: FallbackPolicy) -> dict[str, Any]:
    """Return what the rules read after an event."""
    if INTENT not in event or fallback.intent is None:
        return dict(event)
    unknown = (
        bool(fallback.known_intents) and event[INTENT] not in fallback.known_intents
    )
    confidence = event.get(CONFIDENCE)
    unsure = confidence is None or confidence < fallback.min_confidence
    return {**event, INTENT: fallback.intent} if unknown or unsure else dict(event)


@dataclass(frozen=True)
class Behind:
    """A list of rules behind an endpoint."""

    rules: Sequence[Json]
    fallback: FallbackPolicy

    def winner(self, event: Input, evaluation: str) -> Json | None:
        """Return the rule that takes an event."""
        return winner(
            self.rules, (context_of(event[0], self.fallback), event[1]), evaluation
        )


def events_for(*sides: Behind) -> Universe:
    """Return events that all rules and all fallbacks of the sides can distinguish."""
    tests = []
    for side in sides:
        intents = [
            *side.fallback.known_intents,
            *([side.fallback.intent] if side.fallback.intent is not None else []),
        ]
        tests += [attribute(INTENT, "in", [*intents, "a"])]
        tests += [
            attribute(CONFIDENCE, "greaterThanOrEqual", side.fallback.min_confidence)
        ]
    return inputs_for(
        *(side.rules for side in sides), [rule("tests", 1, tests, "A")], known=KNOWN
    )


class EventDifference:
    """The destination of each event behind two endpoints, in numbered bits as in `Universe`."""

    def __init__(self, before: Behind, after: Behind, evaluation: str) -> None:
        self.sides, self.evaluation = (before, after), evaluation
        if before.fallback.digest != after.fallback.digest:
            self.sides = (with_own_truths(before), with_own_truths(after))
        self.changes_fallback = before.fallback.digest != after.fallback.digest
        self.middle = middle = (
            with_own_truths(Behind(before.rules, after.fallback))
            if self.changes_fallback
            else None
        )
        self.universe = events_for(*self.sides, *([middle] if middle else []))
        self.bits = [1 << number for number in range(self.universe.size)]
        events = [self.universe.example(bit) for bit in self.bits]
        self.winners = [
            [side.winner(event, evaluation) for event in events] for side in self.sides
        ]
        self.between = (
            [middle.winner(event, evaluation) for event in events] if middle else None
        )
        self.moves: list[tuple[Destination, Destination]] = [
            (destination(old), destination(new))
            for old, new in zip(*self.winners, strict=True)
        ]

    @property
    def moved(self) -> int:
        """Return the events whose destination differs."""
        return sum(
            bit
            for bit, (old, new) in zip(self.bits, self.moves, strict=True)
            if old != new
        )

    def check(self, document: Json) -> None:
        """Assert that regions and effects are exact, disjoint and complete, and that examples move
        as they say.
        """
        assert document["complete"] is True
        covered = 0
        for region in document["regions"]:
            inside = self.universe.region(region)
            self._check_inside(region, inside)
            self._check_is_event(region, region["witness"], inside)
            self._check_example(region)
            assert not inside & covered, region
            covered |= inside
        assert self.moved == covered, self.universe.example(self.moved ^ covered)

        oracle = self.effect_oracle()
        oracle.check(document)
        for effect in document["effects"]:
            for row in effect["rows"]:
                self._check_is_event(
                    row, row["example"], oracle.inputs_of(row, document["rules"])
                )

    def effect_oracle(self) -> EffectOracle:
        """Return the oracle of the effects on events."""
        before, after = self.sides
        return EffectOracle(
            old=before.rules,
            new=after.rules,
            evaluation=self.evaluation,
            universe=self.universe,
            wins={
                "before": self._wins(self.winners[0]),
                "after": self._wins(self.winners[1]),
            },
            middle=self._wins(self.between) if self.between is not None else None,
            is_endpoint=True,
            matched={
                "before": self._matched(before),
                "after": self._matched(after),
                "between": self._matched(self.middle) if self.middle else {},
            },
            report=f"{before}\n{after}\n",
        )

    def _matched(self, side: Behind) -> dict[str, int]:
        """Return the events that each rule of a side matches if it is on, by its id."""
        matched: dict[str, int] = {}
        for form in side.rules:
            only = replace(side, rules=[form])
            matched[form["id"]] = sum(
                bit
                for bit in self.bits
                if only.winner(self.universe.example(bit), self.evaluation)
            )
        return matched

    def _wins(self, winners: Sequence[Json | None]) -> Wins:
        actual: dict[int, tuple[Json | None, int]] = {}
        for winning, bit in zip(winners, self.bits, strict=True):
            rule, bits = actual.get(id(winning), (winning, 0))
            actual[id(winning)] = rule, bits | bit
        return list(actual.values())

    def _check_inside(self, region: Json, inside: int) -> None:
        old = destination_of(region["before"])
        new = destination_of(region["after"])
        rules = (set(region["beforeRules"]), set(region["afterRules"]))
        for number, bit in enumerate(self.bits):
            if inside & bit:
                assert self.moves[number][0] == old, (
                    region,
                    self.universe.example(bit),
                )
                assert self.moves[number][1] == new, (
                    region,
                    self.universe.example(bit),
                )
                for side, names in enumerate(rules):
                    assert entry_name(self.winners[side][number]) in names, (
                        region,
                        self.universe.example(bit),
                    )

    def _check_is_event(self, region: Json, example: Json | None, inside: int) -> None:
        """Assert that the example is inside, and has an intent, and one of the known ones, if any
        event inside has; without an example, that no event inside is sent.
        """
        if example is None:
            fallbacks = [side.fallback for side in self.sides]
            events = [
                self.universe.example(bit)[0] for bit in self.bits if inside & bit
            ]
            assert not any(is_sent(event, fallbacks) for event in events), region
            assert region["noExample"], region
            return
        truths = _assumed(region)
        assert holds_where(
            region["where"], region.get("except", []), (example, truths)
        ), region
        if {side.fallback.intent for side in self.sides} == {None}:
            # the endpoint changes nothing: the analysis is about contexts, which may lack an intent
            return
        requests_sent = {
            self.universe.example(bit)[0].get(INTENT)
            for bit in self.bits
            if inside & bit
        }
        declared = self.sides[1].fallback.known_intents
        fallbacks = [side.fallback for side in self.sides]
        with_intent = {
            intent
            for intent in requests_sent - {None}
            if is_sent({INTENT: intent}, fallbacks)
        }
        assert (INTENT in example) is bool(with_intent), region
        if requests_sent & declared:
            assert example[INTENT] in declared, region

    def _check_example(self, region: Json) -> None:
        if region["witness"] is None:
            return
        truths = [
            name
            for name, values in self.universe.axes.items()
            if values == [False, True]
        ]
        assumed = {**dict.fromkeys(truths, False), **_assumed(region)}
        for side, name in zip(self.sides, ("beforeRule", "afterRule"), strict=True):
            assert region[name] == entry_name(
                side.winner((region["witness"], assumed), self.evaluation)
            ), region


def with_own_truths(side: Behind) -> Behind:
    """Return a side with conditions of an unknown kind on the intent that may differ from those of
    the other side.
    """

    def own(part: Json) -> Json:
        is_own = part.get("attributeName") == INTENT and not is_supported(part)
        return {**part, "fallback": side.fallback.digest} if is_own else part

    return replace(
        side,
        rules=[
            {**form, "conditions": list(map(own, form["conditions"]))}
            for form in side.rules
        ],
    )


def _assumed(region: Json) -> dict[str, bool]:
    return {
        text_of(item["condition"]): item["holds"] for item in region.get("assumed", [])
    }
