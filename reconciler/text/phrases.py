"""Conditions, queues, rules and conversations as phrases. Text from outside is safe for a terminal."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property, partial
from typing import Final

from reconciler.model.rule import EQUALITIES, SETS, Condition, Opaque, Rule, Target, canonical_scalar
from reconciler.text.escape import MAX_ITEMS, is_visible, join_first, pluralize, quote, sanitize

VERBS: Final = {
    "equals": "is",
    "notEquals": "is not",
    "in": "is one of",
    "notIn": "is none of",
    "contains": "contains",
    "notContains": "does not contain",
    "startsWith": "starts with",
    "notStartsWith": "does not start with",
    "endsWith": "ends with",
    "notEndsWith": "does not end with",
    "exists": "exists",
    "notExists": "is missing",
    "greaterThan": ">",
    "greaterThanOrEqual": ">=",
    "lessThan": "<",
    "lessThanOrEqual": "<=",
    "between": "is between",
}
"""The words before a condition's value, by operator."""

_PLAIN: Final = re.compile(r"[^\W\d_](?:[^\W_]|[-'()&/ ]){0,39}")
_GRAMMAR: Final = re.compile(
    r"\b(or|and|to|more|less|below|above|others?|any|known|not|no|except|included|matched|all"
    r"|if|unless|their|every|containing|starting|ending|nothing|undeclared|true|false|null)\b",
    re.IGNORECASE,
)
"""The words of sentences about conversations; a value with one of them is in quotes."""


@dataclass(frozen=True)
class Labels:
    """What people read instead of names. A text means one name: a name that is the label of another one is marked."""

    short: Mapping[str, str] = field(default_factory=dict)  # of the bot's attributes, which phrases begin with
    texts: Mapping[tuple[str, ...], str] = field(default_factory=dict)  # by attribute, or by attribute and value

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
        text = str(canonical_scalar(value)) if isinstance(value, str | bool) else ""
        label = self.texts.get((attribute, text))
        return quote(label or value) + self._mark(label, attribute, text)

    def plain_value(self, attribute: str, value: object) -> str:
        """Return a value as `value` does, without quotes where no reader can take it for other words of a sentence."""
        text = str(canonical_scalar(value)) if isinstance(value, str) else ""
        label = self.texts.get((attribute, text))
        shown = label or text
        is_one_text = label is not None or " " not in text
        is_own_name = label is not None or (attribute, text) not in self._labels
        if is_one_text and is_own_name and _is_plain(shown) and not self._begins_with_attribute(shown):
            return shown
        return self.value(attribute, value)

    def _begins_with_attribute(self, text: str) -> bool:
        words = f"{text.casefold()} "
        return any(words.startswith(f"{name} ") for name in self._attribute_names)

    @cached_property
    def _attribute_names(self) -> frozenset[str]:
        labels = (label for name, label in self.texts.items() if len(name) == 1)
        names = (*self.short, *self.short.values(), *(name[0] for name in self.texts), *labels)
        return frozenset(name.casefold() for name in names)

    def _mark(self, label: str | None, *name: str) -> str:
        return "" if label or name not in self._labels else " (undeclared)"

    @cached_property
    def _labels(self) -> frozenset[tuple[str, ...]]:
        return frozenset((*name[:-1], label) for name, label in self.texts.items())


def _is_plain(text: str) -> bool:
    is_tidy = is_visible(text) and text == " ".join(text.split())
    return bool(_PLAIN.fullmatch(text)) and is_tidy and not _GRAMMAR.search(text)


def condition_phrase(condition: Condition | Opaque, labels: Labels) -> str:
    """Return the condition in words: `intent is "card_acceptance"`, `confidence >= 0.7`."""
    if not isinstance(condition, Condition):
        return f"a part that cxroute does not understand: {sanitize(condition.text)}"
    subject, quote_value = subject_phrase(condition, labels), value_quoter(condition, labels)
    value = condition.raw_value
    if condition.operator in ("exists", "notExists"):
        return subject
    if not isinstance(value, tuple):
        return f"{subject} {quote_value(value)}"
    if condition.operator == "between":
        return f"{subject} {quote(value[0])} and {quote(value[1])}"
    return f"{subject} {join_first(value, MAX_ITEMS, quote_value)}"


def value_quoter(condition: Condition, labels: Labels) -> Callable[[object], str]:
    """Return how to write the values of a condition: with labels, unless they are parts of a text or bounds."""
    return partial(labels.value, condition.attribute) if condition.operator in EQUALITIES | SETS else quote


def subject_phrase(condition: Condition, labels: Labels) -> str:
    """Return the attribute and the verb, without the value: `confidence >=`."""
    return f"{labels.name(condition.attribute)} {VERBS.get(condition.operator, sanitize(condition.operator))}"


def queues_phrase(targets: Sequence[Target | Opaque], names: Mapping[str, str]) -> str:
    """Return the queues of a rule: `"Card Services"`, `80 % "Cards", 20 % "General"`, or `no queue`."""
    queues = [target for target in targets if isinstance(target, Target)]
    phrase = ", ".join(target_phrase(target, names) for target in targets)
    if len(queues) != len(targets):
        return phrase
    total = sum(max(target.weight, 0) for target in queues)
    if total <= 0:
        return f"no queue ({phrase})" if phrase else "no queue"
    shares = ((target.queue_id, max(target.weight, 0) / total) for target in queues)
    return split_phrase(shares, lambda queue_id: queue_phrase(queue_id, names))


def split_phrase(shares: Iterable[tuple[str, float | Fraction]], name_of: Callable[[str], str], sep: str = ", ") -> str:
    """Return `80 % "Cards", 20 % "General"`: largest share first; a single queue's name alone, or `no queue`."""
    parts = sorted((-share, name_of(queue_id)) for queue_id, share in shares)
    if len(parts) == 1:
        return parts[0][1]
    # Eight digits: a third and 33.3 % must not look the same.
    return sep.join(f"{float(-100 * share):.8g} % {name}" for share, name in parts) or "no queue"


def target_phrase(target: Target | Opaque, names: Mapping[str, str]) -> str:
    """Return a target with its weight."""
    if not isinstance(target, Target):
        return f"a part that cxroute does not understand: {sanitize(target.text)}"
    return f"{queue_phrase(target.queue_id, names)} with weight {quote(target.weight)}"


def queue_phrase(queue_id: object, names: Mapping[str, str]) -> str:
    """Return a queue's name in quotes, or its id where the queue is unknown."""
    name = names.get(str(queue_id))
    return f"an unknown queue ({sanitize(str(queue_id))})" if name is None else quote(name)


def rule_phrase(rule: Rule, names: Mapping[str, str], labels: Labels) -> str:
    """Return a rule as one sentence: `intent is "x" and confidence >= 0.7: to "Cards", priority 10`."""
    off = "" if rule.enabled else ", switched off"
    destination = queues_phrase(rule.targets, names)
    return f"{conditions_phrase(rule, labels)}: to {destination}, priority {quote(rule.priority)}{off}"


def conditions_phrase(rule: Rule, labels: Labels) -> str:
    """Return the conditions of a rule: `intent is "x" and confidence >= 0.7`, or `every conversation`."""
    rank, end = {name: position for position, name in enumerate(labels.short)}, len(labels.short)
    parts = sorted(rule.conditions, key=lambda part: end if isinstance(part, Opaque) else rank.get(part.attribute, end))
    return " and ".join(condition_phrase(part, labels) for part in parts) or "every conversation"


def conversation_phrase(attributes: Mapping[str, object], labels: Labels, absent: Iterable[str] = ()) -> str:
    """Return `intent "x", confidence 0.7, language "fr"`: the bot's attributes first, and those that are absent."""
    names = dict.fromkeys([*(name for name in labels.short if name in attributes), *attributes])
    missing = [f"no {labels.name(name)}" for name in absent]
    pairs = [f"{labels.name(name)} {labels.value(name, attributes[name])}" for name in names]
    return ", ".join([*missing, *pairs]) or "no attributes"


def range_phrase(low: float | None, over: str, high: float | None, under: str) -> str:
    """Return `below 0.7`, `0.7 or more`, `0.6 to 0.7` (without 0.7); `over` is `>=` or `>`, `under` is `<` or `<=`."""
    if low is None and high is None:
        return "of any value"
    if high is None:
        return f"{quote(low)} or more" if over == ">=" else f"above {quote(low)}"
    if low is None:
        return f"{quote(high)} or less" if under == "<=" else f"below {quote(high)}"
    last = f"{quote(high)} included" if under == "<=" else quote(high)
    return f"{quote(low)} to {last}" if over == ">=" else f"above {quote(low)} to {last}"


def acknowledged_phrase(count: int) -> str:
    """Return `2 acknowledged findings are not shown.`."""
    return f"{pluralize(count, 'acknowledged finding')} {'is' if count == 1 else 'are'} not shown."


def failing_tests_phrase(tests: int) -> str:
    """Return `1 route test fails`, `2 route tests fail`."""
    return f"{pluralize(tests, 'route test')} {'fails' if tests == 1 else 'fail'}"
