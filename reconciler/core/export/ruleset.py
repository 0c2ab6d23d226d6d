"""Live rules -> RuleSets: keys, names, defaults, and conditions and targets in the fields of a
RuleSet.
"""

import math
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, TypeVar

from reconciler.core.desired.expand import InvalidRuleError, RuleExpander
from reconciler.core.export.names import (
    NotRepresentableError,
    QueueNames,
    RuleNameAllocator,
    SkippedRule,
    escape_text,
    find_free_name,
    slugify,
)
from reconciler.core.manifest.kinds.environment import BotAttributes, Environment
from reconciler.core.manifest.kinds.ruleset import RuleSet, rule_entry
from reconciler.core.model.live import (
    LiveRule,
    Marker,
    find_foreign_marker,
    format_description,
    normalize_line_ends,
    parse_marker,
)
from reconciler.core.model.operators import Scalar
from reconciler.core.model.rule import (
    MAX_NUMBER_LENGTH,
    Address,
    Condition,
    Json,
    Opaque,
    Rule,
    Target,
)

PartT = TypeVar("PartT", Condition, Target)
Fields = dict[str, Any]
_DEFAULT_PRIORITY: Final = 100
FIELD_ORDER: Final = (
    *(
        "key",
        "intent",
        "intents",
        "minConfidence",
        "belowConfidence",
        "when",
        "queue",
        "targets",
        "priority",
    ),
    *("enabled", "from", "until", "steps", "name", "description", "adopt"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportedRule:
    """An exported rule: its fields in order, the rule that they define, and notes for a reader."""

    live: LiveRule
    address: Address
    fields: Fields
    rule: Rule
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ExportedRuleSet:
    """A RuleSet: its name, its title as a comment, its defaults and its rules in order."""

    name: str
    title: str
    defaults: Fields
    rules: tuple[ExportedRule, ...]


class RuleSetBuilder:
    """Builds RuleSets from live rules.

    `skipped` are those that a manifest cannot represent, with the reason.
    """

    def __init__(
        self, environment: Environment, queues: QueueNames, names: RuleNameAllocator
    ) -> None:
        self.environment, self.queues, self.names = environment, queues, names
        self.skipped: list[SkippedRule] = []

    def build_ruleset(
        self, name: str, title: str, rules: Iterable[LiveRule]
    ) -> ExportedRuleSet:
        """Return the RuleSet of these rules, first-evaluated first."""
        keys: set[str] = set()
        exported = []
        sign = 1 if self.environment.api.evaluation == "lowest-first" else -1
        for live in sorted(
            rules, key=lambda live: (sign * live.rule.priority, live.rule.name, live.id)
        ):
            try:
                exported.append(self._export_rule(live, name, keys))
            except NotRepresentableError as error:
                self.skipped.append(SkippedRule(live, str(error)))
        defaults = _common_fields([rule.fields for rule in exported])
        exported = [
            replace(rule, fields=drop_defaults(rule.fields, defaults))
            for rule in exported
        ]
        return ExportedRuleSet(name, title, defaults, tuple(exported))

    def _export_rule(
        self, live: LiveRule, ruleset: str, keys: set[str]
    ) -> ExportedRule:
        description = normalize_line_ends(live.rule.description)
        rule = replace(live.rule, description=description)
        live = replace(live, rule=rule)
        fields = condition_fields(rule, self.environment.attributes)
        fields |= target_fields(rule, self.queues)
        fields |= {"priority": integer_priority(rule.priority), "enabled": rule.enabled}
        self._check_representable(rule, fields)

        key, is_default = self._choose_key(live, fields, keys)
        expander = self._expander(fields | {"key": key})
        address = Address(ruleset, key)
        name, notes, adopt = self._choose_name(live, expander, address)
        rule = replace(rule, name=name)
        keys.add(key)
        if not is_default:
            fields["key"] = key
        fields |= _text_fields(rule, _expand_rule(expander))
        return ExportedRule(
            live=live,
            address=address,
            fields=fields | adopt,
            rule=rule,
            notes=tuple(notes),
        )

    def _check_representable(self, rule: Rule, fields: Fields) -> None:
        """Raise NotRepresentableError if no manifest defines the rule."""
        texts = {
            "key": "x",
            "name": manifest_name(rule),
            "description": escape_text(rule.description),
        }
        if _expand_rule(self._expander(fields | texts)) != rule:
            raise NotRepresentableError("its manifest would define a different rule")
        if parse_marker(format_description(rule, _ANY_MARKER))[0] != rule.description:
            raise NotRepresentableError(
                "the end of its description would be lost before the marker"
            )

    def _choose_key(
        self, live: LiveRule, fields: Fields, keys: Collection[str]
    ) -> tuple[str, bool]:
        """Return the key of a rule, and whether a manifest has it without writing it."""
        try:
            default = self._expander(fields).key()
        except InvalidRuleError:
            default = ""
        if live.marker is not None:
            key = live.marker.address.key
        elif default and default not in keys:
            key = default
        else:
            readable = slugify(live.rule.name.removeprefix(_PREFIX))
            key = find_free_name(readable or slugify(f"rule-{live.id[:8]}"), keys)
        return key, key == default

    def _expander(self, fields: Fields) -> RuleExpander:
        try:
            entry = rule_entry(fields)
        except ValueError as error:
            label = _FIELD_LABELS.get(str(error), error)
            raise NotRepresentableError(
                f"its {label} cannot be written in a manifest"
            ) from None
        return RuleExpander(
            self.environment,
            self.queues.used_queues.__getitem__,
            RuleSet(name="x", rules=()),
            entry,
        )

    def _choose_name(
        self, live: LiveRule, expander: RuleExpander, address: Address
    ) -> tuple[str, list[str], Fields]:
        """Return the name, notes for a reader, and the fields that adopt a rule that is not
        managed.
        """
        if live.marker is not None:
            return live.rule.name, [], {}
        mark = find_foreign_marker(live.rule.description)
        notes = (
            [
                (
                    f"Another tool seems to manage it: {mark}. Remove it there first, or remove it "
                    f"here."
                )
            ]
            if mark
            else []
        )
        count = self.names.counts[live.rule.name]
        if count == 1:
            return live.rule.name, notes, {"adopt": escape_text(live.rule.name)}
        preferred = [expander.name()] if len(expander.intents()) == 1 else []
        name = self.names.allocate_name(live, preferred, address)
        return (
            name,
            [f'{count:,} live rules are named "{live.rule.name}"', *notes],
            {"adopt": {"id": live.id}},
        )


_ANY_MARKER: Final = Marker("x", Address("x", "x"), "00000000")
_PREFIX: Final = "Cognigy Intent Route: "
_FIELD_LABELS: Final = {
    "minConfidence": "confidence",
    "belowConfidence": "confidence",
    "when": "condition",
}


def _expand_rule(expander: RuleExpander) -> Rule:
    try:
        return expander.rule()
    except InvalidRuleError as error:
        raise NotRepresentableError(str(error)) from None


def manifest_name(rule: Rule) -> str:
    """Return a rule's name for a manifest. Raises NotRepresentableError if it is empty."""
    if not rule.name:
        raise NotRepresentableError("it has no name")
    return escape_text(rule.name)


def integer_priority(priority: float) -> int:
    """Return a priority for a manifest. Raises NotRepresentableError if it is not an integer."""
    if priority % 1 != 0:
        raise NotRepresentableError(
            f"its priority is {priority}, which is not an integer"
        )
    return int(priority)


def _common_fields(rules: Sequence[Fields]) -> Fields:
    """Return the defaults of a RuleSet: the most common priority and lowest confidence."""
    priority = _most_common([fields["priority"] for fields in rules])
    defaults: Fields = {}
    if priority not in (None, _DEFAULT_PRIORITY):
        defaults["priority"] = priority

    with_intents = [fields for fields in rules if _has_intents(fields)]
    confidence = _most_common([fields.get("minConfidence") for fields in with_intents])
    if confidence is not None:
        defaults["minConfidence"] = confidence
    return defaults


def _text_fields(rule: Rule, default: Rule) -> Fields:
    """Return the name and the description, where they differ from those of an expansion."""
    fields: Fields = {}
    if rule.name != default.name:
        fields["name"] = escape_text(rule.name)
    if rule.description != default.description:
        fields["description"] = escape_text(rule.description)
    return fields


def _most_common(values: Sequence[float | None]) -> float | None:
    """Return the value that more than half of the values have, of at least two."""
    if not values:
        return None
    value, count = Counter(values).most_common(1)[0]
    return value if count > 1 and 2 * count > len(values) else None


def _has_intents(fields: Fields) -> bool:
    return bool(fields.get("intent") or fields.get("intents"))


def drop_defaults(fields: Fields, defaults: Fields) -> Fields:
    """Return the fields, in order, without those that equal the RuleSet's defaults."""
    implied = {"priority": defaults.get("priority", _DEFAULT_PRIORITY)}
    implied["enabled"] = defaults.get("enabled", True)
    if "minConfidence" in defaults and _has_intents(fields):
        implied["minConfidence"] = defaults["minConfidence"]
        fields = {"minConfidence": None} | fields
    own_fields = {
        name: value
        for name, value in fields.items()
        if name not in implied or value != implied[name]
    }
    return {name: own_fields[name] for name in FIELD_ORDER if name in own_fields}


def condition_fields(rule: Rule, attributes: BotAttributes) -> Fields:
    """Return `intent` or `intents`, `minConfidence`, `belowConfidence` and `when`.

    Raises NotRepresentableError.
    """
    fields: Fields = {}
    items: list[Fields] = []
    for condition in sorted(
        map(understood, rule.conditions), key=lambda part: part.operator != "equals"
    ):
        field = find_sugar_field(condition, attributes)
        if (
            field
            and field not in fields
            and not (field == "intents" and "intent" in fields)
        ):
            fields[field] = manifest_value(condition)
        else:
            items.append(when_item(condition))
    if items or not fields:
        fields["when"] = sorted(items, key=lambda item: str(item["attribute"]))
    return {name: fields[name] for name in FIELD_ORDER if name in fields}


def when_item(condition: Condition) -> Fields:
    """Return an item of `when`: `{attribute: language, equals: fr}`."""
    return {
        "attribute": escape_text(condition.attribute),
        condition.operator: manifest_value(condition),
    }


def manifest_value(condition: Condition) -> Json:
    """Return a condition's value for a manifest, its texts escaped; `true` for an operator without
    a value.
    """
    if condition.raw_value is None:
        return True
    if isinstance(condition.raw_value, tuple):
        return [_manifest_scalar(item) for item in condition.raw_value]
    return _manifest_scalar(condition.raw_value)


def target_fields(rule: Rule, queues: QueueNames) -> Fields:
    """Return `queue` or `targets`, in the order of the description, then by weight.

    Raises NotRepresentableError.
    """
    if not rule.targets:
        raise NotRepresentableError("it has no target")
    targets = [understood(target, "kind of target") for target in rule.targets]

    def position(target: Target) -> tuple[int, float, str]:
        name = queues.live_name(target.queue_id)
        return rule.description.find(name) if name else -1, -target.weight, name

    targets.sort(key=position)
    return queue_or_targets(targets, queues.name)


def queue_or_targets(
    targets: Sequence[Target], queue_name: Callable[[str], str]
) -> Fields:
    """Return `queue` or `targets`. Raises NotRepresentableError."""
    if len(targets) == 1 and targets[0].weight == 1:
        return {"queue": queue_name(targets[0].queue_id)}
    for target in targets:
        if not (math.isfinite(target.weight) and target.weight >= 0):
            raise NotRepresentableError(f"it has a weight of {target.weight}")
    return {
        "targets": [
            {"queue": queue_name(target.queue_id), "weight": target.weight}
            for target in targets
        ]
    }


def understood(part: PartT | Opaque, noun: str = "condition") -> PartT:
    """Return the condition or target. Raises NotRepresentableError if it is not understood."""
    if isinstance(part, Opaque):
        raise NotRepresentableError(f"it has a {noun} that cxroute does not understand")
    return part


def find_sugar_field(condition: Condition, attributes: BotAttributes) -> str:
    """Return the field that expresses exactly this condition; empty where only `when` can."""
    operator = condition.operator
    value = condition.raw_value
    if condition.attribute == attributes.intent:
        if operator == "equals" and isinstance(value, str):
            return "intent"
        if operator == "in" and isinstance(value, tuple) and value:
            return "intents" if all(isinstance(item, str) for item in value) else ""
    if (
        condition.attribute == attributes.confidence
        and isinstance(value, (int, float))
        and 0 <= value <= 1
    ):
        sugar = {"greaterThanOrEqual": "minConfidence", "lessThan": "belowConfidence"}
        return "" if isinstance(value, bool) else sugar.get(operator, "")
    return ""


def _manifest_scalar(value: Scalar) -> Scalar:
    if isinstance(value, str):
        return escape_text(value)
    if isinstance(value, float) and not math.isfinite(value):
        raise NotRepresentableError(
            f"it compares with {value}, which is not a finite number"
        )
    if abs(value) >= 10**MAX_NUMBER_LENGTH:
        raise NotRepresentableError(
            f"it compares with a number of more than {MAX_NUMBER_LENGTH} digits"
        )
    return value
