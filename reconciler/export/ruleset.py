"""Live rules -> RuleSets: keys, names, what goes without saying, and defaults that most rules share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from reconciler.desired.expand import InvalidRuleError, RuleExpander
from reconciler.export.names import (
    NotRepresentableError,
    QueueNames,
    RuleNameAllocator,
    SkippedRule,
    escape_text,
    find_free_name,
    slugify,
)
from reconciler.export.sugar import condition_fields, target_fields
from reconciler.manifest.kinds.environment import Environment
from reconciler.manifest.kinds.ruleset import RuleSet, rule_entry
from reconciler.model.live import (
    LiveRule,
    Marker,
    find_foreign_marker,
    format_description,
    normalize_line_ends,
    parse_marker,
)
from reconciler.model.rule import Address, Rule

Fields = dict[str, Any]


_DEFAULT_PRIORITY: Final = 100
FIELD_ORDER: Final = (
    *("key", "intent", "intents", "minConfidence", "belowConfidence", "when", "queue", "targets", "priority"),
    *("enabled", "name", "description", "adopt"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportedRule:
    """A rule as it is written: its fields in order, the rule that they mean, and what a reader should know."""

    live: LiveRule
    address: Address
    fields: Fields
    rule: Rule
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ExportedRuleSet:
    """A RuleSet: its name, what its rules have in common in words, its defaults and its rules in order."""

    name: str
    title: str
    defaults: Fields
    rules: tuple[ExportedRule, ...]


class RuleSetBuilder:
    """Makes RuleSets of rules. `skipped` are those that cannot be written, with the reason."""

    def __init__(self, environment: Environment, queues: QueueNames, names: RuleNameAllocator) -> None:
        self.environment, self.queues, self.names = environment, queues, names
        self.skipped: list[SkippedRule] = []

    def build_ruleset(self, name: str, title: str, rules: Iterable[LiveRule]) -> ExportedRuleSet:
        """Return the RuleSet of these rules, first-evaluated first."""
        keys: set[str] = set()
        exported = []
        sign = 1 if self.environment.api.evaluation == "lowest-first" else -1
        for live in sorted(rules, key=lambda live: (sign * live.rule.priority, live.rule.name, live.id)):
            try:
                exported.append(self._export_rule(live, name, keys))
            except NotRepresentableError as error:
                self.skipped.append(SkippedRule(live, str(error)))
        defaults = _find_defaults([rule.fields for rule in exported])
        exported = [replace(rule, fields=_without_defaults(rule.fields, defaults)) for rule in exported]
        return ExportedRuleSet(name, title, defaults, tuple(exported))

    def _export_rule(self, live: LiveRule, ruleset: str, keys: set[str]) -> ExportedRule:
        live = replace(live, rule=replace(live.rule, description=normalize_line_ends(live.rule.description)))
        rule = live.rule
        fields = condition_fields(rule, self.environment.attributes) | target_fields(rule, self.queues)
        fields |= {"priority": integer_priority(rule.priority), "enabled": rule.enabled}
        texts = {"key": "x", "name": manifest_name(rule), "description": escape_text(rule.description)}
        if _expand_rule(self._expander(fields | texts)) != rule:
            raise NotRepresentableError("written in a manifest it would be another rule")
        if parse_marker(format_description(rule, _ANY_MARKER))[0] != rule.description:
            raise NotRepresentableError(
                "its description ends in what would be lost before the line that says who manages it"
            )
        key, default = self._choose_key(live, fields, keys)
        expander, address = self._expander(fields | {"key": key}), Address(ruleset, key)
        name, notes, adopt = self._choose_name(live, expander, address)
        bare_rule = _expand_rule(expander)
        keys.add(key)
        fields |= {} if key == default else {"key": key}
        fields |= {} if name == bare_rule.name else {"name": escape_text(name)}
        fields |= {} if rule.description == bare_rule.description else {"description": texts["description"]}
        rule = replace(rule, name=name)
        return ExportedRule(live=live, address=address, fields=fields | adopt, rule=rule, notes=tuple(notes))

    def _expander(self, fields: Fields) -> RuleExpander:
        try:
            entry = rule_entry(fields)
        except ValueError as error:
            label = _FIELD_LABELS.get(str(error), str(error))
            raise NotRepresentableError(f"its {label} cannot be written in a manifest") from None
        return RuleExpander(self.environment, self.queues.used_queues.__getitem__, RuleSet(name="x", rules=()), entry)

    def _choose_key(self, live: LiveRule, fields: Fields, keys: set[str]) -> tuple[str, str]:
        try:
            default = self._expander(fields).key()
        except InvalidRuleError:
            default = ""
        if live.marker is not None:
            return live.marker.address.key, default
        if default and default not in keys:
            return default, default
        readable = slugify(live.rule.name.removeprefix(_PREFIX)) or slugify(f"rule-{live.id[:8]}")
        return find_free_name(readable, keys), default

    def _choose_name(self, live: LiveRule, expander: RuleExpander, address: Address) -> tuple[str, list[str], Fields]:
        """Return the name, notes for a reader, and the fields that adopt a rule that is not managed."""
        if live.marker is not None:
            return live.rule.name, [], {}
        mark = find_foreign_marker(live.rule.description)
        notes = [f"Another tool seems to manage it: {mark}. Take it out there first, or out of here."] if mark else []
        count = self.names.count_namesakes(live)
        if count == 1:
            return live.rule.name, notes, {"adopt": escape_text(live.rule.name)}
        preferred = [expander.name()] if len(expander.intents()) == 1 else []
        name = self.names.allocate_name(live, preferred, address)
        return name, [f'{count:,} live rules are named "{live.rule.name}"', *notes], {"adopt": {"id": live.id}}


_ANY_MARKER: Final = Marker("x", Address("x", "x"), "00000000")
_PREFIX: Final = "Cognigy Intent Route: "
_FIELD_LABELS: Final = {"minConfidence": "confidence", "belowConfidence": "confidence", "when": "condition"}


def _expand_rule(expander: RuleExpander) -> Rule:
    try:
        return expander.rule()
    except InvalidRuleError as error:
        raise NotRepresentableError(str(error)) from None


def manifest_name(rule: Rule) -> str:
    """Return a rule's name as it is written. Raises NotRepresentableError where it has none."""
    if not rule.name:
        raise NotRepresentableError("it has no name")
    return escape_text(rule.name)


def integer_priority(priority: float) -> int:
    """Return a priority as it is written. Raises NotRepresentableError for one that is no whole number."""
    if priority % 1 != 0:
        raise NotRepresentableError(f"its priority is {priority}, which is no whole number")
    return int(priority)


def _find_defaults(rules: Sequence[Fields]) -> Fields:
    """Return the values that more than half of the rules share, of at least two."""
    priority = _most_common([fields["priority"] for fields in rules])
    defaults = {"priority": None if priority == _DEFAULT_PRIORITY else priority}
    defaults["minConfidence"] = _most_common([fields.get("minConfidence") for fields in rules if _has_intents(fields)])
    return {name: value for name, value in defaults.items() if value is not None}


def _most_common(values: Sequence[float | None]) -> float | None:
    if not values:
        return None
    value, count = Counter(values).most_common(1)[0]
    return value if count > 1 and 2 * count > len(values) else None


def _has_intents(fields: Fields) -> bool:
    """Say whether a RuleSet's confidence holds for a rule: an empty intent has none."""
    return bool(fields.get("intent") or fields.get("intents"))


def _without_defaults(fields: Fields, defaults: Fields) -> Fields:
    own_fields = dict(fields)
    if own_fields["priority"] == defaults.get("priority", _DEFAULT_PRIORITY):
        del own_fields["priority"]
    if own_fields["enabled"]:
        del own_fields["enabled"]
    if "minConfidence" in defaults and _has_intents(own_fields):
        own_fields.setdefault("minConfidence", None)
        if own_fields["minConfidence"] == defaults["minConfidence"]:
            del own_fields["minConfidence"]
    return {name: own_fields[name] for name in FIELD_ORDER if name in own_fields}
