"""Live rules -> RuleSets: keys, names, what goes without saying, and defaults that most rules share."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

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

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from reconciler.manifest.kinds.environment import Environment

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
        written = []
        for live in sorted(rules, key=self._rank):
            try:
                written.append(self._export_rule(live, name, keys))
            except NotRepresentableError as error:
                self.skipped.append(SkippedRule(live, str(error)))
        defaults = _find_defaults([one.fields for one in written])
        return ExportedRuleSet(
            name,
            title,
            defaults,
            tuple(replace(one, fields=_without_defaults(one.fields, defaults)) for one in written),
        )

    def _rank(self, live: LiveRule) -> tuple[float, str, str]:
        sign = 1 if self.environment.api.evaluation == "lowest-first" else -1
        return sign * live.rule.priority, live.rule.name, live.id

    def _export_rule(self, live: LiveRule, ruleset: str, keys: set[str]) -> ExportedRule:
        live = replace(live, rule=replace(live.rule, description=normalize_line_ends(live.rule.description)))
        fields = condition_fields(live.rule, self.environment.attributes) | target_fields(live.rule, self.queues)
        fields |= {"priority": integer_priority(live.rule.priority), "enabled": live.rule.enabled}
        said = {"key": "x", "name": manifest_name(live.rule), "description": escape_text(live.rule.description)}
        proven = self._expander(fields | said)
        if _expand_rule(proven) != live.rule:
            raise NotRepresentableError("written in a manifest it would be another rule")
        if parse_marker(format_description(live.rule, _ANY_MARKER))[0] != live.rule.description:
            raise NotRepresentableError(
                "its description ends in what would be lost before the line that says who manages it"
            )
        key, default = self._choose_key(live, fields, keys)
        draft, address = self._expander(fields | {"key": key}), Address(ruleset, key)
        name, notes, adopt = self._choose_name(live, draft, address)
        bare = _expand_rule(draft)
        keys.add(key)
        fields |= {} if key == default else {"key": key}
        fields |= {} if name == bare.name else {"name": escape_text(name)}
        fields |= (
            {} if live.rule.description == bare.description else {"description": escape_text(live.rule.description)}
        )
        return ExportedRule(
            live=live, address=address, fields=fields | adopt, rule=replace(live.rule, name=name), notes=tuple(notes)
        )

    def _expander(self, fields: Fields) -> RuleExpander:
        try:
            entry = rule_entry(fields)
        except ValueError as error:
            raise NotRepresentableError(
                f"its {_FIELD_LABELS.get(str(error), str(error))} cannot be written in a manifest"
            ) from None
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
        if live.marker is not None:
            return live.rule.name, [], {}
        mark = find_foreign_marker(live.rule.description)
        told = [f"Another tool seems to manage it: {mark}. Take it out there first, or out of here."] if mark else []
        count = self.names.count_namesakes(live)
        if count == 1:
            return live.rule.name, told, {"adopt": escape_text(live.rule.name)}
        preferred = [expander.name()] if len(expander.intents()) == 1 else []
        name = self.names.allocate_name(live, preferred, address)
        return name, [f'{count:,} live rules are named "{live.rule.name}"', *told], {"adopt": {"id": live.id}}


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
    found = {"priority": _most_common([one["priority"] for one in rules])}
    found["minConfidence"] = _most_common([one.get("minConfidence") for one in rules if _has_intents(one)])
    return {
        name: value
        for name, value in found.items()
        if value is not None and not (name == "priority" and value == _DEFAULT_PRIORITY)
    }


def _most_common(values: Sequence[float | None]) -> float | None:
    if not values:
        return None
    value, count = Counter(values).most_common(1)[0]
    return value if count > 1 and 2 * count > len(values) else None


def _has_intents(fields: Fields) -> bool:
    """Say whether a RuleSet's confidence holds for a rule: an empty intent has none."""
    return bool(fields.get("intent") or fields.get("intents"))


def _without_defaults(fields: Fields, defaults: Fields) -> Fields:
    kept = dict(fields)
    if kept["priority"] == defaults.get("priority", _DEFAULT_PRIORITY):
        del kept["priority"]
    if kept["enabled"]:
        del kept["enabled"]
    if "minConfidence" in defaults and _has_intents(kept):
        kept.setdefault("minConfidence", None)
        if kept["minConfidence"] == defaults["minConfidence"]:
            del kept["minConfidence"]
    return {name: kept[name] for name in FIELD_ORDER if name in kept}
