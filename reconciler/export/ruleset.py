"""Live rules -> RuleSets: keys, names, what goes without saying, and defaults that most rules share."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from reconciler.desired.expand import Draft, WrongRuleError
from reconciler.export.names import LeftOut, Naming, NotWritableError, QueueNames, escaped, free, slugged
from reconciler.export.sugar import asked, sent
from reconciler.manifest.kinds.ruleset import RuleSet, rule_entry
from reconciler.model.live import LiveRule, Marker, of_another_tool, signed, split, with_line_feeds
from reconciler.model.rule import Address, Rule

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from reconciler.manifest.kinds.environment import Environment

    Fields = dict[str, Any]


_PRIORITY: Final = 100
ORDER: Final = (
    *("key", "intent", "intents", "minConfidence", "belowConfidence", "when", "queue", "targets", "priority"),
    *("enabled", "name", "description", "adopt"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """A rule as it is written: its fields in order, the rule that they mean, and what a reader should know."""

    live: LiveRule
    address: Address
    fields: Fields
    rule: Rule
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Group:
    """A RuleSet: its name, what its rules have in common in words, its defaults and its rules in order."""

    name: str
    title: str
    defaults: Fields
    rules: tuple[Written, ...]


class Composing:
    """Makes RuleSets of rules. `left_out` are those that cannot be written, with the reason."""

    def __init__(self, environment: Environment, queues: QueueNames, naming: Naming) -> None:
        self.environment, self.queues, self.naming = environment, queues, naming
        self.left_out: list[LeftOut] = []

    def group(self, name: str, title: str, rules: Iterable[LiveRule]) -> Group:
        """Return the RuleSet of these rules, first-evaluated first."""
        keys: set[str] = set()
        written = []
        for live in sorted(rules, key=self._rank):
            try:
                written.append(self._written(live, name, keys))
            except NotWritableError as error:
                self.left_out.append(LeftOut(live, str(error)))
        defaults = _defaults([one.fields for one in written])
        return Group(
            name, title, defaults, tuple(replace(one, fields=_within(one.fields, defaults)) for one in written)
        )

    def _rank(self, live: LiveRule) -> tuple[float, str, str]:
        sign = 1 if self.environment.api.evaluation == "lowest-first" else -1
        return sign * live.rule.priority, live.rule.name, live.id

    def _written(self, live: LiveRule, ruleset: str, keys: set[str]) -> Written:
        """Return one rule, every field that has no default of its own written. Raises NotWritableError."""
        live = replace(live, rule=replace(live.rule, description=with_line_feeds(live.rule.description)))
        fields = asked(live.rule, self.environment.attributes) | sent(live.rule, self.queues)
        fields |= {"priority": whole(live.rule.priority), "enabled": live.rule.enabled}
        said = {"key": "x", "name": named(live.rule), "description": escaped(live.rule.description)}
        proven = self._draft(fields | said)
        if _rule(proven) != live.rule:
            raise NotWritableError("written in a manifest it would be another rule")
        if split(signed(live.rule, _ANY_MARKER))[0] != live.rule.description:
            raise NotWritableError(
                "its description ends in what would be lost before the line that says who manages it"
            )
        key, default = self._key(live, fields, keys)
        draft, address = self._draft(fields | {"key": key}), Address(ruleset, key)
        name, notes, adopt = self._name(live, draft, address)
        bare = _rule(draft)
        keys.add(key)
        fields |= {} if key == default else {"key": key}
        fields |= {} if name == bare.name else {"name": escaped(name)}
        fields |= {} if live.rule.description == bare.description else {"description": escaped(live.rule.description)}
        return Written(
            live=live, address=address, fields=fields | adopt, rule=replace(live.rule, name=name), notes=tuple(notes)
        )

    def _draft(self, fields: Fields) -> Draft:
        try:
            entry = rule_entry(fields)
        except ValueError as error:
            raise NotWritableError(f"its {_SAID.get(str(error), str(error))} cannot be written in a manifest") from None
        return Draft(self.environment, self.queues.meant.__getitem__, RuleSet(name="x", rules=()), entry)

    def _key(self, live: LiveRule, fields: Fields, keys: set[str]) -> tuple[str, str]:
        """Return the rule's key, and the one that it would have by default, which may be none."""
        try:
            default = self._draft(fields).key()
        except WrongRuleError:
            default = ""
        if live.marker is not None:
            return live.marker.address.key, default
        if default and default not in keys:
            return default, default
        readable = slugged(live.rule.name.removeprefix(_PREFIX)) or slugged(f"rule-{live.id[:8]}")
        return free(readable, keys), default

    def _name(self, live: LiveRule, draft: Draft, address: Address) -> tuple[str, list[str], Fields]:
        """Return the name, what is to be said of the rule, and how the rule is adopted where it is not ours yet."""
        if live.marker is not None:
            return live.rule.name, [], {}
        mark = of_another_tool(live.rule.description)
        told = [f"Another tool seems to manage it: {mark}. Take it out there first, or out of here."] if mark else []
        count = self.naming.namesakes(live)
        if count == 1:
            return live.rule.name, told, {"adopt": escaped(live.rule.name)}
        preferred = [draft.name()] if len(draft.intents()) == 1 else []
        name = self.naming.named_anew(live, preferred, address)
        return name, [f'{count:,} live rules are named "{live.rule.name}"', *told], {"adopt": {"id": live.id}}


_ANY_MARKER: Final = Marker("x", Address("x", "x"), "00000000")
_PREFIX: Final = "Cognigy Intent Route: "
_SAID: Final = {"minConfidence": "confidence", "belowConfidence": "confidence", "when": "condition"}


def _rule(draft: Draft) -> Rule:
    """Return what a draft means. Raises NotWritableError."""
    try:
        return draft.rule()
    except WrongRuleError as error:
        raise NotWritableError(str(error)) from None


def named(rule: Rule) -> str:
    """Return a rule's name as it is written. Raises NotWritableError where it has none."""
    if not rule.name:
        raise NotWritableError("it has no name")
    return escaped(rule.name)


def whole(priority: float) -> int:
    """Return a priority as it is written. Raises NotWritableError for one that is no whole number."""
    if priority % 1 != 0:
        raise NotWritableError(f"its priority is {priority}, which is no whole number")
    return int(priority)


def _defaults(rules: Sequence[Fields]) -> Fields:
    """Return the values that more than half of the rules share, of at least two."""
    found = {"priority": _shared([one["priority"] for one in rules])}
    found["minConfidence"] = _shared([one.get("minConfidence") for one in rules if _has_intents(one)])
    return {
        name: value
        for name, value in found.items()
        if value is not None and not (name == "priority" and value == _PRIORITY)
    }


def _shared(values: Sequence[float | None]) -> float | None:
    if not values:
        return None
    value, count = Counter(values).most_common(1)[0]
    return value if count > 1 and 2 * count > len(values) else None


def _has_intents(fields: Fields) -> bool:
    """Say whether a RuleSet's confidence holds for a rule: an empty intent has none."""
    return bool(fields.get("intent") or fields.get("intents"))


def _within(fields: Fields, defaults: Fields) -> Fields:
    """Return a rule's fields without what its RuleSet says already."""
    kept = dict(fields)
    if kept["priority"] == defaults.get("priority", _PRIORITY):
        del kept["priority"]
    if kept["enabled"]:
        del kept["enabled"]
    if "minConfidence" in defaults and _has_intents(kept):
        kept.setdefault("minConfidence", None)
        if kept["minConfidence"] == defaults["minConfidence"]:
            del kept["minConfidence"]
    return {name: kept[name] for name in ORDER if name in kept}
