"""Conditions, queues, rules and conversations as phrases.

Text from outside is safe for a terminal.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property, partial
from typing import Final, NamedTuple

from reconciler.core.model.operators import (
    EQUALITIES,
    EXISTENCE,
    INTERVALS,
    RECORDS,
    SETS,
)
from reconciler.core.model.rule import Condition, Opaque, Rule, Target, canonical_scalar
from reconciler.core.text.escape import (
    MAX_ITEMS,
    is_visible,
    join_all,
    join_first,
    pluralize,
    quote,
    sanitize,
)
from reconciler.core.text.value_groups import ValueGroups, text_of

VERBS: Final = {record.name: record.words for record in RECORDS}
"""The words before a condition's value, by operator."""
ALL_VALUES: Final = 10**9
"""The limit of a list that has all its values, each by its own name."""


class _ListLimits(NamedTuple):
    """The longest list that is not cut, the items of one that is, and the noun of the others."""

    most: int
    shown: int
    noun: str = ""


class _ListWords(NamedTuple):
    """The items of a list in words, and what follows them in a list that is cut."""

    items: Sequence[str]
    rest: str = ""


_PLAIN: Final = re.compile(r"[^\W\d_](?:[^\W_]|[-'()&/ ]){0,39}")
_GRAMMAR: Final = re.compile(
    r"\b(or|and|to|more|less|below|above|others?|any|known|not|no|except|included|matched|all"
    r"|if|unless|their|same|every|containing|starting|ending|nothing|undeclared|true|false|null)\b",
    re.IGNORECASE,
)
"""The words of sentences about conversations; a value with one of them is in quotes."""


@dataclass(frozen=True)
class Labels:
    """What people read instead of names.

    A text means one name: a name that is another's label is marked.
    """

    # of the bot's attributes, which phrases begin with
    short: Mapping[str, str] = field(default_factory=dict)
    # by attribute, or by attribute and value
    texts: Mapping[tuple[str, ...], str] = field(default_factory=dict)
    groups: Mapping[str, Mapping[str, frozenset[str]]] = field(default_factory=dict)
    """The groups of values: by attribute and the group's name, the values as rules have them."""

    def is_intent(self, attribute: str) -> bool:
        """Return whether an attribute holds the bot's intent."""
        return self.short.get(attribute) == "intent"

    def name(self, attribute: str) -> str:
        """Return an attribute in words."""
        label = self.short.get(attribute) or self.texts.get((attribute,))
        return sanitize(label or attribute) + self._mark(label, attribute)

    def value(self, attribute: str, value: object) -> str:
        """Return a value of an attribute, or a list of them, in quotes."""
        if isinstance(value, list | tuple):
            return f"[{join_first(value, MAX_ITEMS, partial(self.value, attribute))}]"
        text = text_of(value)
        label = self.texts.get((attribute, text))
        return quote(label or value) + self._mark(label, attribute, text)

    def values_phrase(
        self,
        attribute: str,
        values: Iterable[object],
        limit: int,
        noun: str = "",
    ) -> str:
        """Return the values of an attribute as a list: `"a", "b" or "c"`.

        Whole groups are written by their names. A list of more than `limit` items is cut: one item
        fewer, and the number of the others, as in `"a", "b" and 15 more intents`, where `noun` is
        "intents".
        """
        words = self._list_words(
            attribute,
            values,
            _ListLimits(limit, max(limit - 1, 1), noun),
            self.plain_value,
        )
        if words.rest:
            return f"{', '.join(words.items)}{words.rest}"
        return join_all(words.items or ["nothing"], "or")

    def listed_values(self, attribute: str, values: Iterable[object]) -> str:
        """Return the values of an attribute after the words `is one of`; whole groups are written
        by their names.
        """
        words = self._list_words(
            attribute,
            values,
            _ListLimits(MAX_ITEMS, MAX_ITEMS),
            self.value,
        )
        return f"{', '.join(words.items)}{words.rest}"

    def _list_words(
        self,
        attribute: str,
        values: Iterable[object],
        limits: _ListLimits,
        write: Callable[[str, object], str],
    ) -> _ListWords:
        """Return all items of a list, or the first ones if there are too many."""
        most, shown, noun = limits
        groups, others = self._split_groups(attribute, list(values), most)
        names = (
            group
            if write == self.plain_value and self._is_plain_name(group)
            else quote(group)
            for group in groups
        )
        items = [*names, *map(partial(write, attribute), others)]
        if len(items) <= most:
            return _ListWords(items)
        counted = "groups" if groups else noun
        return _ListWords(
            items[:shown], f" and {len(items) - shown:,} more {counted}".rstrip()
        )

    def _split_groups(
        self,
        attribute: str,
        values: list[object],
        most: int,
    ) -> tuple[list[str], list[object]]:
        """Return the names of whole groups, and the other values."""
        if most >= ALL_VALUES or attribute not in self._value_groups:
            return [], values
        groups, others = self._value_groups[attribute].split(values)
        if groups and others and len(groups) + len(others) > most:
            # The reader of a list that is cut could not know which of the texts are groups.
            return [], values
        return groups, others

    def plain_value(self, attribute: str, value: object) -> str:
        """Return a value as `value` does, without quotes where no reader can take it for other
        words of a sentence.
        """
        text = str(canonical_scalar(value)) if isinstance(value, str) else ""
        label = self.texts.get((attribute, text))
        shown = label or text
        is_one_text = label is not None or " " not in text
        is_own_name = label is not None or (attribute, text) not in self._labels
        if is_one_text and is_own_name and self._is_plain_name(shown):
            return shown
        return self.value(attribute, value)

    def _is_plain_name(self, text: str) -> bool:
        return _is_plain(text) and not self._begins_with_attribute(text)

    def _begins_with_attribute(self, text: str) -> bool:
        words = f"{text.casefold()} "
        return any(words.startswith(f"{name} ") for name in self._attribute_names)

    @cached_property
    def _attribute_names(self) -> frozenset[str]:
        labels = (label for name, label in self.texts.items() if len(name) == 1)
        names = (
            *self.short,
            *self.short.values(),
            *(name[0] for name in self.texts),
            *labels,
        )
        return frozenset(name.casefold() for name in names)

    def _mark(self, label: str | None, *name: str) -> str:
        return "" if label or name not in self._labels else " (undeclared)"

    @cached_property
    def _value_groups(self) -> dict[str, ValueGroups]:
        return {
            attribute: ValueGroups(members)
            for attribute, members in self.groups.items()
        }

    @cached_property
    def _labels(self) -> frozenset[tuple[str, ...]]:
        labels = ((*name[:-1], label) for name, label in self.texts.items())
        groups = (
            (attribute, group)
            for attribute, by_name in self.groups.items()
            for group in by_name
        )
        return frozenset([*labels, *groups])


def merge_labels(sides: Sequence[Labels]) -> Labels:
    """Return the labels of several sides: of two labels the last one, and the groups that all sides
    have alike.
    """
    first, *others = sides
    short = {name: label for side in sides for name, label in side.short.items()}
    texts = {name: label for side in sides for name, label in side.texts.items()}
    groups = {
        attribute: {
            group: values
            for group, values in by_name.items()
            if all(
                side.groups.get(attribute, {}).get(group) == values for side in others
            )
        }
        for attribute, by_name in first.groups.items()
    }
    return Labels(short, texts, groups)


def _is_plain(text: str) -> bool:
    is_tidy = is_visible(text) and text == " ".join(text.split())
    return bool(_PLAIN.fullmatch(text)) and is_tidy and not _GRAMMAR.search(text)


def condition_phrase(condition: Condition | Opaque, labels: Labels) -> str:
    """Return the condition in words: `intent is "card_acceptance"`, `confidence >= 0.7`."""
    if not isinstance(condition, Condition):
        return f"a part that cxroute does not understand: {sanitize(condition.text)}"
    subject = (
        f"{labels.name(condition.attribute)} "
        f"{VERBS.get(condition.operator, sanitize(condition.operator))}"
    )
    # Values have labels, unless they are parts of a text or bounds.
    is_whole = condition.operator in EQUALITIES | SETS
    quote_value = partial(labels.value, condition.attribute) if is_whole else quote
    value = condition.raw_value
    if condition.operator in EXISTENCE:
        return subject
    if not isinstance(value, tuple):
        return f"{subject} {quote_value(value)}"
    if condition.operator in INTERVALS:
        return f"{subject} {quote(value[0])} and {quote(value[1])}"
    if condition.operator in SETS:
        return f"{subject} {labels.listed_values(condition.attribute, value)}"
    return f"{subject} {join_first(value, MAX_ITEMS, quote_value)}"


def queues_phrase(targets: Sequence[Target | Opaque], names: Mapping[str, str]) -> str:
    """Return the queues of a rule: `"Card Services"`, `80 % "Cards", 20 % "General"`, or `no
    queue`.
    """
    queues = [target for target in targets if isinstance(target, Target)]
    phrase = ", ".join(target_phrase(target, names) for target in targets)
    if len(queues) != len(targets):
        return phrase
    total = sum(max(target.weight, 0) for target in queues)
    if total <= 0:
        return f"no queue ({phrase})" if phrase else "no queue"
    shares = ((target.queue_id, max(target.weight, 0) / total) for target in queues)
    return split_phrase(shares, lambda queue_id: queue_phrase(queue_id, names))


def split_phrase(
    shares: Iterable[tuple[str, float | Fraction]], name_of: Callable[[str], str]
) -> str:
    """Return `80 % "Cards", 20 % "General"`: largest share first; a single queue's name alone, or
    `no queue`.
    """
    parts = sorted((-share, name_of(queue_id)) for queue_id, share in shares)
    if len(parts) == 1:
        return parts[0][1]
    # Eight digits: a third and 33.3 % must not look the same.
    return (
        ", ".join(f"{float(-100 * share):.8g} % {name}" for share, name in parts)
        or "no queue"
    )


def target_phrase(target: Target | Opaque, names: Mapping[str, str]) -> str:
    """Return a target with its weight."""
    if not isinstance(target, Target):
        return f"a part that cxroute does not understand: {sanitize(target.text)}"
    return f"{queue_phrase(target.queue_id, names)} with weight {quote(target.weight)}"


def queue_phrase(queue_id: object, names: Mapping[str, str]) -> str:
    """Return a queue's name in quotes, or its id where the queue is unknown."""
    name = names.get(str(queue_id))
    return (
        f"an unknown queue ({sanitize(str(queue_id))})" if name is None else quote(name)
    )


def rule_phrase(rule: Rule, names: Mapping[str, str], labels: Labels) -> str:
    """Return a rule as one sentence: `intent is "x" and confidence >= 0.7: to "Cards", priority
    10`.
    """
    off = "" if rule.enabled else ", switched off"
    destination = queues_phrase(rule.targets, names)
    return (
        f"{conditions_phrase(rule, labels)}: to {destination}, priority "
        f"{quote(rule.priority)}{off}"
    )


def conditions_phrase(rule: Rule, labels: Labels) -> str:
    """Return the conditions of a rule: `intent is "x" and confidence >= 0.7`, or `every
    conversation`.
    """
    rank = {name: position for position, name in enumerate(labels.short)}
    end = len(labels.short)
    parts = sorted(
        rule.conditions,
        key=lambda part: (
            end if isinstance(part, Opaque) else rank.get(part.attribute, end)
        ),
    )
    return (
        " and ".join(condition_phrase(part, labels) for part in parts)
        or "every conversation"
    )


def conversation_phrase(
    attributes: Mapping[str, object],
    labels: Labels,
    absent: Iterable[str] = (),
) -> str:
    """Return `intent "x", confidence 0.7, language "fr"`: the bot's attributes first, and those
    that are absent.
    """
    names = dict.fromkeys(
        [*(name for name in labels.short if name in attributes), *attributes]
    )
    missing = [f"no {labels.name(name)}" for name in absent]
    pairs = [
        f"{labels.name(name)} {labels.value(name, attributes[name])}" for name in names
    ]
    return ", ".join([*missing, *pairs]) or "no attributes"


def range_phrase(low: float | None, over: str, high: float | None, under: str) -> str:
    """Return `below 0.7`, `0.7 or more`, `0.6 to 0.7` (without 0.7); `over` is `>=` or `>`, `under`
    is `<` or `<=`.
    """
    if low is None and high is None:
        return "of any value"
    if high is None:
        return f"{quote(low)} or more" if over == ">=" else f"above {quote(low)}"
    if low is None:
        return f"{quote(high)} or less" if under == "<=" else f"below {quote(high)}"
    last = f"{quote(high)} included" if under == "<=" else quote(high)
    return (
        f"{quote(low)} to {last}" if over == ">=" else f"above {quote(low)} to {last}"
    )


def acknowledged_phrase(count: int) -> str:
    """Return `2 acknowledged findings are not shown.`."""
    return f"{pluralize(count, 'acknowledged finding')} {'is' if count == 1 else 'are'} not shown."


def failing_tests_phrase(tests: int) -> str:
    """Return `1 route test fails`, `2 route tests fail`."""
    return f"{pluralize(tests, 'route test')} {'fails' if tests == 1 else 'fail'}"
