"""What a rule asks and where it sends conversations, in the fields that a person uses (docs/manifests.md#ruleset)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

from reconciler.export.names import NotWritableError, QueueNames, escaped
from reconciler.model.rule import LONGEST_NUMBER, Condition, Json, Rule, Scalar, Target

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from reconciler.manifest.kinds.environment import Attributes

    Fields = dict[str, Any]
    Bounds = dict[str, Callable[[Condition], bool]]


def asked(rule: Rule, attributes: Attributes) -> Fields:
    """Return the fields `intent` or `intents`, `minConfidence`, `belowConfidence` and `when`; texts are escaped.

    Raises NotWritableError for a condition that cxroute does not understand.
    """
    found: Fields = {}
    rest: list[Fields] = []
    for condition in sorted(map(understood, rule.conditions), key=lambda one: one.operator != "equals"):
        field = field_of(condition, attributes)
        if field and field not in found and not (field == "intents" and "intent" in found):
            found[field] = written_value(condition)
        else:
            rest.append(further(condition))
    ordered = {name: found[name] for name in _ORDER if name in found}
    return ordered | ({"when": _by_attribute(rest)} if rest or not found else {})


def further(condition: Condition) -> Fields:
    """Return an item of `when`: `{attribute: language, equals: fr}`."""
    return {"attribute": escaped(condition.attribute), condition.operator: written_value(condition)}


def written_value(condition: Condition) -> Json:
    """Return a condition's value as it is written, its texts escaped; `true` for those that have none."""
    if condition.written is None:
        return True
    if isinstance(condition.written, tuple):
        return [_one(item) for item in condition.written]
    return _one(condition.written)


def sent(rule: Rule, queues: QueueNames) -> Fields:
    """Return the field `queue`, or `targets`, the heaviest first. Raises NotWritableError."""
    targets = ordered_targets(rule, queues)
    if len(targets) == 1 and targets[0].weight == 1:
        return {"queue": queues.name(targets[0].queue_id)}
    return {"targets": [{"queue": queues.name(one.queue_id), "weight": _weight(one.weight)} for one in targets]}


def ordered_targets(rule: Rule, queues: QueueNames) -> list[Target]:
    """Return the targets in the order in which the description names their queues, else the heaviest first."""
    if not rule.targets:
        raise NotWritableError("it has no target")
    targets = [one for one in rule.targets if isinstance(one, Target)]
    if len(targets) < len(rule.targets):
        raise NotWritableError("it has a kind of target that cxroute does not understand")

    def place(target: Target) -> tuple[int, float, str]:
        name = queues.live_name(target.queue_id)
        return rule.description.find(name) if name else -1, -target.weight, name

    return sorted(targets, key=place)


_ORDER: Final = ("intent", "intents", "minConfidence", "belowConfidence")


def understood(condition: object) -> Condition:
    """Return the condition. Raises NotWritableError where it is not understood."""
    if isinstance(condition, Condition):
        return condition
    raise NotWritableError("it has a condition that cxroute does not understand")


def field_of(condition: Condition, attributes: Attributes) -> str:
    """Return the field that says just this condition; nothing where only `when` can."""
    written = condition.written
    if condition.attribute == attributes.intent:
        if condition.operator == "equals" and isinstance(written, str):
            return "intent"
        if condition.operator == "in" and isinstance(written, tuple) and written:
            return "intents" if all(isinstance(one, str) for one in written) else ""
    if condition.attribute == attributes.confidence and _is_share(written):
        return {"greaterThanOrEqual": "minConfidence", "lessThan": "belowConfidence"}.get(condition.operator, "")
    return ""


def _is_share(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= 1


def _one(value: Scalar) -> Scalar:
    """Return a value as a manifest has it. Raises NotWritableError where YAML has none such."""
    if isinstance(value, str):
        return escaped(value)
    if isinstance(value, float) and not math.isfinite(value):
        raise NotWritableError(f"it compares with {value}, which is no number")
    if abs(value) >= 10**LONGEST_NUMBER:
        raise NotWritableError(f"it compares with a number of more than {LONGEST_NUMBER} digits")
    return value


def _weight(weight: float) -> float:
    if math.isfinite(weight) and weight >= 0:
        return weight
    raise NotWritableError(f"it has a weight of {weight}")


def _by_attribute(conditions: Iterable[Fields]) -> list[Fields]:
    return sorted(conditions, key=lambda one: str(one["attribute"]))
