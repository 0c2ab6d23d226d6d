"""A list of rules, filed by a text that each asks for: one conversation is tried against few of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reconciler.behaviour.evaluate import canonical, fails, holds, route
from reconciler.model import Condition

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from reconciler.behaviour.entry import Entry
    from reconciler.behaviour.evaluate import Attributes, Route
    from reconciler.model import Opaque, Rule


class Filed:
    """Entries in order (`in_order`). Answers are those of `evaluate.winner` and `evaluate.route`, errors included.

    A rule that asks for a text, or one of a few, can fail for no other reason before it is looked at: it is tried
    for conversations with that text alone. Of several such conditions the one on the most telling attribute counts.
    """

    def __init__(self, ordered: Sequence[Entry]) -> None:
        self.ordered = ordered
        self._by: dict[str, dict[str, list[int]]] = {}
        self._others: list[int] = []
        telling = self._telling()
        for place, entry in enumerate(ordered):
            asked = max(_asked(entry.rule), key=lambda one: telling[one[0]], default=None)
            if asked is None:
                self._others.append(place)
            else:
                by = self._by.setdefault(asked[0], {})
                for text in asked[1]:
                    by.setdefault(text, []).append(place)

    def _telling(self) -> Mapping[str, int]:
        """Return for each attribute how many texts of it rules ask for."""
        texts: dict[str, set[str]] = {}
        for entry in self.ordered:
            for attribute, asked in _asked(entry.rule):
                texts.setdefault(attribute, set()).update(asked)
        return {attribute: len(several) for attribute, several in texts.items()}

    def winner(self, attributes: Attributes, assumed: Mapping[str, bool] | None = None) -> Entry | None:
        """Return the first entry that takes the conversation, or None; raises what `route` does."""
        place = self._place(canonical(attributes), assumed or {})
        return None if place is None else self.ordered[place]

    def route(self, attributes: Attributes, assumed: Mapping[str, bool] | None = None) -> Route:
        """Say what `evaluate.route` does, which rules were tried before the winner included."""
        place = self._place(canonical(attributes), assumed or {})
        return route(self.ordered if place is None else self.ordered[: place + 1], attributes, assumed)

    def may_win(self, told: Attributes) -> Iterator[Entry | None]:
        """Yield, in order, each entry that may take a conversation of which only this is told; None: none takes it.

        An attribute that is told and None is missing. What is not told may be anything.
        """
        conversation = canonical(told)
        places = set(self._others)
        for attribute, by in self._by.items():
            value = conversation.get(attribute)
            asked = by.values() if attribute not in told else [by.get(value, ())] if isinstance(value, str) else ()
            places.update(place for several in asked for place in several)
        for place in sorted(places):
            truths = [_truth(part, told, conversation) for part in self.ordered[place].rule.conditions]
            if False not in truths:
                yield self.ordered[place]
            if all(truths):
                return
        yield None

    def _place(self, conversation: Mapping[str, str | int | float], assumed: Mapping[str, bool]) -> int | None:
        places = list(self._others)
        for attribute, by in self._by.items():
            value = conversation.get(attribute)
            if isinstance(value, str):
                places += by.get(value, ())
        places.sort()
        ordered = self.ordered
        return next((place for place in places if fails(ordered[place].rule, conversation, assumed) is None), None)


def _truth(part: Condition | Opaque, told: Attributes, conversation: Mapping[str, str | int | float]) -> bool | None:
    """Say whether a condition holds; None where that is not told."""
    return holds(part, conversation) if isinstance(part, Condition) and part.attribute in told else None


def _asked(rule: Rule) -> Iterator[tuple[str, Sequence[str]]]:
    """Yield attributes with the texts of which a rule asks for one."""
    for part in rule.conditions:
        if isinstance(part, Condition):
            value = part.value
            if part.operator == "equals" and isinstance(value, str):
                yield part.attribute, (value,)
            elif part.operator == "in" and isinstance(value, tuple):
                texts = [one for one in value if isinstance(one, str)]
                if len(texts) == len(value):
                    yield part.attribute, texts
