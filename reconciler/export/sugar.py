"""What a rule asks and where it sends conversations, in the fields that a person uses (docs/manifests.md#ruleset)."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final

from reconciler.export.names import NotRepresentableError, QueueNames, escape_text
from reconciler.manifest.kinds.environment import Attributes
from reconciler.model.rule import MAX_NUMBER_LENGTH, Condition, Json, Rule, Scalar, Target

Fields = dict[str, Any]
Bounds = dict[str, Callable[[Condition], bool]]


def condition_fields(rule: Rule, attributes: Attributes) -> Fields:
    """Return `intent` or `intents`, `minConfidence`, `belowConfidence` and `when`. Raises NotRepresentableError."""
    fields: Fields = {}
    items: list[Fields] = []
    for condition in sorted(map(understood, rule.conditions), key=lambda part: part.operator != "equals"):
        field = find_sugar_field(condition, attributes)
        if field and field not in fields and not (field == "intents" and "intent" in fields):
            fields[field] = manifest_value(condition)
        else:
            items.append(when_item(condition))
    ordered = {name: fields[name] for name in _SUGAR_ORDER if name in fields}
    items.sort(key=lambda item: str(item["attribute"]))
    return ordered | ({"when": items} if items or not fields else {})


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
    """Return `queue` or `targets`, by their order in the description, else the heaviest first.

    Raises NotRepresentableError.
    """
    if not rule.targets:
        raise NotRepresentableError("it has no target")
    targets = [target for target in rule.targets if isinstance(target, Target)]
    if len(targets) < len(rule.targets):
        raise NotRepresentableError("it has a kind of target that cxroute does not understand")

    def position(target: Target) -> tuple[int, float, str]:
        name = queues.live_name(target.queue_id)
        return rule.description.find(name) if name else -1, -target.weight, name

    targets.sort(key=position)
    if len(targets) == 1 and targets[0].weight == 1:
        return {"queue": queues.name(targets[0].queue_id)}
    items = []
    for target in targets:
        name, weight = queues.name(target.queue_id), target.weight
        if not (math.isfinite(weight) and weight >= 0):
            raise NotRepresentableError(f"it has a weight of {weight}")
        items.append({"queue": name, "weight": weight})
    return {"targets": items}


_SUGAR_ORDER: Final = ("intent", "intents", "minConfidence", "belowConfidence")


def understood(condition: object) -> Condition:
    """Return the condition. Raises NotWritableError where it is not understood."""
    if isinstance(condition, Condition):
        return condition
    raise NotRepresentableError("it has a condition that cxroute does not understand")


def find_sugar_field(condition: Condition, attributes: Attributes) -> str:
    """Return the field that means just this condition; empty where only `when` can."""
    operator, value = condition.operator, condition.raw_value
    if condition.attribute == attributes.intent:
        if operator == "equals" and isinstance(value, str):
            return "intent"
        if operator == "in" and isinstance(value, tuple) and value:
            return "intents" if all(isinstance(item, str) for item in value) else ""
    if condition.attribute == attributes.confidence and isinstance(value, (int, float)) and 0 <= value <= 1:
        sugar = {"greaterThanOrEqual": "minConfidence", "lessThan": "belowConfidence"}
        return "" if isinstance(value, bool) else sugar.get(operator, "")
    return ""


def _manifest_scalar(value: Scalar) -> Scalar:
    """Return a value as a manifest has it. Raises NotRepresentableError where YAML has none such."""
    if isinstance(value, str):
        return escape_text(value)
    if isinstance(value, float) and not math.isfinite(value):
        raise NotRepresentableError(f"it compares with {value}, which is no number")
    if abs(value) >= 10**MAX_NUMBER_LENGTH:
        raise NotRepresentableError(f"it compares with a number of more than {MAX_NUMBER_LENGTH} digits")
    return value
