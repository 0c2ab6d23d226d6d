"""What a rule asks and where it sends conversations, in the fields that a person uses (docs/manifests.md#ruleset)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

from reconciler.export.names import NotRepresentableError, QueueNames, escape_text
from reconciler.model.rule import MAX_NUMBER_LENGTH, Condition, Json, Rule, Scalar, Target

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from reconciler.manifest.kinds.environment import Attributes

    Fields = dict[str, Any]
    Bounds = dict[str, Callable[[Condition], bool]]


def condition_fields(rule: Rule, attributes: Attributes) -> Fields:
    """Return the fields `intent` or `intents`, `minConfidence`, `belowConfidence` and `when`; texts are escaped.

    Raises NotRepresentableError for a condition that cxroute does not understand.
    """
    found: Fields = {}
    rest: list[Fields] = []
    for condition in sorted(map(understood, rule.conditions), key=lambda one: one.operator != "equals"):
        field = find_sugar_field(condition, attributes)
        if field and field not in found and not (field == "intents" and "intent" in found):
            found[field] = manifest_value(condition)
        else:
            rest.append(when_item(condition))
    ordered = {name: found[name] for name in _SUGAR_ORDER if name in found}
    return ordered | ({"when": _sort_by_attribute(rest)} if rest or not found else {})


def when_item(condition: Condition) -> Fields:
    """Return an item of `when`: `{attribute: language, equals: fr}`."""
    return {"attribute": escape_text(condition.attribute), condition.operator: manifest_value(condition)}


def manifest_value(condition: Condition) -> Json:
    """Return a condition's value as it is written, its texts escaped; `true` for those that have none."""
    if condition.raw_value is None:
        return True
    if isinstance(condition.raw_value, tuple):
        return [_manifest_scalar(item) for item in condition.raw_value]
    return _manifest_scalar(condition.raw_value)


def target_fields(rule: Rule, queues: QueueNames) -> Fields:
    """Return the field `queue`, or `targets`, the heaviest first. Raises NotRepresentableError."""
    targets = sort_targets(rule, queues)
    if len(targets) == 1 and targets[0].weight == 1:
        return {"queue": queues.name(targets[0].queue_id)}
    return {"targets": [{"queue": queues.name(one.queue_id), "weight": _check_weight(one.weight)} for one in targets]}


def sort_targets(rule: Rule, queues: QueueNames) -> list[Target]:
    """Return the targets in the order in which the description names their queues, else the heaviest first."""
    if not rule.targets:
        raise NotRepresentableError("it has no target")
    targets = [one for one in rule.targets if isinstance(one, Target)]
    if len(targets) < len(rule.targets):
        raise NotRepresentableError("it has a kind of target that cxroute does not understand")

    def place(target: Target) -> tuple[int, float, str]:
        name = queues.live_name(target.queue_id)
        return rule.description.find(name) if name else -1, -target.weight, name

    return sorted(targets, key=place)


_SUGAR_ORDER: Final = ("intent", "intents", "minConfidence", "belowConfidence")


def understood(condition: object) -> Condition:
    """Return the condition. Raises NotWritableError where it is not understood."""
    if isinstance(condition, Condition):
        return condition
    raise NotRepresentableError("it has a condition that cxroute does not understand")


def find_sugar_field(condition: Condition, attributes: Attributes) -> str:
    """Return the field that says just this condition; nothing where only `when` can."""
    written = condition.raw_value
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


def _manifest_scalar(value: Scalar) -> Scalar:
    """Return a value as a manifest has it. Raises NotRepresentableError where YAML has none such."""
    if isinstance(value, str):
        return escape_text(value)
    if isinstance(value, float) and not math.isfinite(value):
        raise NotRepresentableError(f"it compares with {value}, which is no number")
    if abs(value) >= 10**MAX_NUMBER_LENGTH:
        raise NotRepresentableError(f"it compares with a number of more than {MAX_NUMBER_LENGTH} digits")
    return value


def _check_weight(weight: float) -> float:
    if math.isfinite(weight) and weight >= 0:
        return weight
    raise NotRepresentableError(f"it has a weight of {weight}")


def _sort_by_attribute(conditions: Iterable[Fields]) -> list[Fields]:
    return sorted(conditions, key=lambda one: str(one["attribute"]))
