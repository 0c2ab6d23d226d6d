"""What no document says about Studio's language does not matter: the proof (CXR127 to CXR130), and
runs of the text.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from typing import Final

from reconciler.core.behaviour.budget import UndecidedError, WorkBudget
from reconciler.core.behaviour.diff.difference import compare_behaviour
from reconciler.core.behaviour.diff.regions import Region
from reconciler.core.behaviour.evaluate import Conversation, RuleIndex, holds
from reconciler.core.behaviour.routing_entry import (
    Destination,
    RoutingEntry,
    destination_of_rule,
)
from reconciler.core.checks.lint_view import LintView
from reconciler.core.manifest.load import Manifests
from reconciler.core.model.finding import Finding
from reconciler.core.model.grouping import group_pairs
from reconciler.core.model.operators import PATTERNS, POSITIVE_OF_NEGATIVE, Scalar
from reconciler.core.model.rule import Condition, Rule, Target, make_condition
from reconciler.core.plan.words import destination_phrase
from reconciler.core.target import OrderedRules
from reconciler.core.text.phrases import conversation_phrase
from reconciler.targets.studio.build import BlockEntry, build_block, number_text
from reconciler.targets.studio.evaluate import (
    BROAD,
    Dialect,
    differing_on_texts,
    possible_dialects,
    run_snippet,
)
from reconciler.targets.studio.language import parse_snippet
from reconciler.targets.studio.layout import BlockLayout, canonical_number

# what conditions mean, as far as it is not what rules mean
Reading = Mapping[Condition, Condition | bool]

# conditions tried with a value, and comparisons of rules: about four seconds
_MAX_WORK: Final = 10_000_000
_WORK_PER_RULE: Final = 20  # of one more comparison of all rules
_HINT: Final = (
    "rename a value, use another operator, or state the dialect: cxroute studio probe"
)


class DialectProof:
    """The enabled rules of a Studio script, and the values with which they are compared in these
    dialects.
    """

    def __init__(
        self,
        rules: OrderedRules,
        manifests: Manifests,
        queues: Mapping[str, str],
        facts: Mapping[str, bool],
    ) -> None:
        self.rules = rules
        self.attributes = manifests.declared_attributes
        self.queues = queues
        self.dialects = possible_dialects(facts)
        self.budget = WorkBudget(_MAX_WORK, _MAX_WORK)
        self.entries = [entry for entry in rules.entries if entry.rule.enabled]
        # with their literals
        self.parts = defaultdict[str, dict[Condition, Sequence[Scalar]]](dict)
        for part in _conditions(self.entries):
            self.parts[part.attribute][part] = part.values
        self.declared = self._declared_values(manifests)
        self.values = self._compared_values()

    def _declared_values(self, manifests: Manifests) -> dict[str, Iterable[Scalar]]:
        """Return the declared values of the attributes that rules test."""
        declared: dict[str, Iterable[Scalar]] = {
            name: entry.canonical_values for name, entry in self.attributes.items()
        }
        intents: dict[str, None] = {}
        for loaded in manifests.intents:
            intents |= dict.fromkeys(loaded.document.names)
        if intents:
            endpoint = self.rules.endpoint
            fallback = endpoint.fallback.intent or next(iter(intents))
            declared[endpoint.intent] = {*intents, fallback}
        return {
            name: values
            for name, values in declared.items()
            if values and name in self.parts
        }

    def _compared_values(self) -> dict[str, list[Scalar]]:
        """Return the values of attributes that no rule compares with numbers."""
        compared: dict[str, list[Scalar]] = {}
        for name, parts in self.parts.items():
            literals = set(chain.from_iterable(parts.values()))
            values = self.declared.get(name, literals)
            if values and all(isinstance(literal, str) for literal in literals):
                # a blank text counts as missing
                compared[name] = [value for value in values if _key(BROAD, value)]
        return compared

    def findings(self) -> Iterator[Finding]:
        """Yield all findings about the rules."""
        try:
            yield self._compare_dialects()
            yield from self._compare_empty_texts()
        except UndecidedError:
            message = (
                "not proven that the rules do the same in all dialects of Studio: the analysis "
                "reached its bound"
            )
            yield LintView.finding("CXR127", "error", message, self.entries[0], _HINT)
        split = "in Studio a split is by contact, not a draw: ContactID % 100 chooses the queue"
        for entry in self.entries:
            if len(entry.rule.targets) > 1:
                yield LintView.finding("CXR130", "info", split, entry)

    def _compare_dialects(self) -> Finding:
        """Return an error with an example if a conversation goes elsewhere in a dialect; otherwise
        an info.
        """
        by_rules = self._read_texts(None)
        allowed = {**self.declared, **self.values}
        for dialect in differing_on_texts(self.dialects):
            in_studio = self._read_texts(dialect)
            if in_studio == by_rules:
                continue
            for region in self._compare(allowed, by_rules, in_studio):
                example = region.example.attributes
                message = self._describe(region, example, f"with {dialect}")
                rule = region.before_rule or region.after_rule or self.entries[0]
                return LintView.finding("CXR127", "error", message, rule, _HINT)
        message = (
            f"the rules do the same in all dialects of Studio that are not ruled out "
            f"({len(self.dialects)})"
        )
        return Finding(code="CXR128", severity="info", message=message)

    def _read_texts(self, dialect: Dialect | None) -> Reading:
        """Return each condition on texts as a list of the values that fulfil it; None: by the
        rules.
        """
        reading = {}
        for name, values in self.values.items():
            by_key = group_pairs((_key(dialect, value), value) for value in values)
            for part, literals in self.parts[name].items():
                keys = [_key(dialect, literal) for literal in literals]
                positive = POSITIVE_OF_NEGATIVE.get(part.operator, part.operator)
                if part.operator in PATTERNS:
                    self.budget.spend(len(values))
                    pattern = replace(part, operator=positive, value=keys[0])
                    keys = [key for key in by_key if holds(pattern, {name: key})]
                if literals:
                    groups = (by_key.get(key, ()) for key in {*keys})
                    fulfilling = list(chain.from_iterable(groups))
                    operator = "in" if positive == part.operator else "notIn"
                    reading[part] = make_condition(name, operator, fulfilling)
        return reading

    def _compare(
        self,
        allowed: Mapping[str, Iterable[Scalar]],
        old: Reading,
        new: Reading,
    ) -> Sequence[Region]:
        """Return how conversations with allowed values differ.

        Raises UndecidedError if the work exceeds its bound.
        """
        # Rules that come first take every value that is not allowed.
        priority = float("-inf" if self.rules.evaluation == "lowest-first" else "inf")
        first = Rule(
            name="",
            description="",
            priority=priority,
            enabled=True,
            conditions=(),
            targets=(),
        )
        entries = []
        for name, values in allowed.items():
            limit = make_condition(name, "notIn", [*values])
            rule = replace(first, conditions=(limit,))
            entries.append(RoutingEntry(name="", rule=rule))
        before = [*entries, *_read_rules(self.entries, old)]
        after = [*entries, *_read_rules(self.entries, new)]
        change = compare_behaviour(
            before,
            after,
            self.rules.evaluation,
            self.budget.remaining,
        )
        self.budget.spend(change.work + _WORK_PER_RULE * len(self.entries))
        if not change.regions and not change.complete:
            raise UndecidedError
        return change.regions

    def _compare_empty_texts(self) -> Iterator[Finding]:
        """Yield a warning for each rule that makes an empty text of an attribute go elsewhere than
        a missing one.
        """
        for name, parts in self.parts.items():
            regions = self._regions_of_empty_text(name)
            if not regions:
                continue
            example = {**regions[0].example.attributes, name: ""}
            reason = f"an empty {self.rules.labels.name(name)} is a missing one:"
            message = self._describe(regions[0], example, reason)
            rules: set[str] = set()
            for region in regions:
                entries = (*region.before_rules, *region.after_rules)
                rules.update(entry.name for entry in entries if entry)
            for entry in self.entries:
                if entry.name in rules and parts.keys() & entry.rule.conditions:
                    yield LintView.finding("CXR129", "warning", message, entry)

    def _regions_of_empty_text(self, name: str) -> Sequence[Region]:
        """Return the conversations that go elsewhere with an empty text than without a value."""
        if not self._can_be_empty(name):
            return ()
        parts = self.parts[name]
        empty = {part: holds(part, {name: ""}) for part in parts}
        missing = {part: holds(part, {}) for part in parts}
        if empty == missing:
            return ()
        allowed = {
            attribute: values
            for attribute, values in self.declared.items()
            if attribute != name
        }
        return self._compare(allowed, empty, missing)

    def _can_be_empty(self, name: str) -> bool:
        """Return whether an attribute can have an empty text."""
        if name in self.declared and "" not in self.declared[name]:
            return False
        entry = self.attributes.get(name)
        if entry is not None and entry.declared_type not in (None, "text"):
            return False
        types = self.rules.endpoint.context_types
        return name not in types or bool(types[name].texts)

    def _describe(
        self,
        region: Region,
        conversation: Mapping[str, Scalar],
        reason: str,
    ) -> str:
        before = self._route_phrase(region.before_rule)
        after = self._route_phrase(region.after_rule)
        phrase = conversation_phrase(conversation, self.rules.labels)
        return f"{phrase} goes to {before}, but in Studio {reason} it goes to {after}"

    def _route_phrase(self, rule: RoutingEntry | None) -> str:
        phrase = destination_phrase(destination_of_rule(rule), self.queues)
        return f"{phrase} by rule {rule.name}" if rule else phrase


class GeneratedText:
    """The rules as the text of a block, for tests of single conversations."""

    def __init__(self, rules: OrderedRules, layout: BlockLayout) -> None:
        self._layout = layout
        self._dialects = differing_on_texts(possible_dialects(layout.facts))
        self._entries = {
            entry.name: entry for entry in rules.entries if entry.rule.enabled
        }
        parts = set(_conditions(self._entries.values()))
        self._variables = {
            part.attribute: layout.variable(part.attribute) for part in parts
        }
        # Without the conditions that some dialect may fulfil for other values than these texts.
        self._index = RuleIndex(
            [
                *_read_rules(
                    self._entries.values(), {part: _broad(part) for part in parts}
                )
            ]
        )

    def find_deviation(
        self,
        context: Conversation,
        expected: Destination,
    ) -> tuple[Dialect, Destination] | None:
        """Return a dialect in which the text sends a conversation to another destination, and that
        destination.
        """
        # A text of the rules that may take it in some dialect, with one queue: offline, ids of
        # queues are names.
        matching = self._index.matching_entries(
            {name: _key(BROAD, value) for name, value in context.items()}
        )
        rules = []
        for matched in matching:
            entry = self._entries[matched.name]
            rule = replace(entry.rule, targets=(Target("0", 1),))
            rules.append(BlockEntry(rule, entry.address, "", ""))
        statements = parse_snippet(build_block(rules, self._layout, {}))
        variables = {
            self._variables[name]: value
            for name, value in context.items()
            if name in self._variables
        }
        for dialect in self._dialects:
            results = run_snippet(statements, variables, dialect)
            address = results[self._layout.rule.lower()]
            actual = destination_of_rule(self._entries.get(str(address)))
            if actual != expected:
                return dialect, actual
        return None


def _conditions(entries: Iterable[RoutingEntry]) -> Iterator[Condition]:
    return (
        part
        for entry in entries
        for part in entry.rule.conditions
        if isinstance(part, Condition)
    )


def _key(dialect: Dialect | None, value: Scalar) -> str | int | float:
    """Return a key of a value: values with one key are equal in the dialect. None: by the rules."""
    if dialect is None:
        return value
    if isinstance(value, str):
        return dialect.text_key(value)
    return dialect.text_key(number_text(canonical_number(value)))


def _broad(part: Condition) -> Condition | bool:
    """Return a condition on keys that every value fulfils for which `part` holds in some dialect;
    True: any value.
    """
    texts = [_key(BROAD, text) for text in part.values if isinstance(text, str)]
    if texts and part.operator in ("equals", "in"):
        return make_condition(part.attribute, "in", texts)
    return True


def _read_rules(
    entries: Iterable[RoutingEntry], reading: Reading
) -> Iterator[RoutingEntry]:
    """Yield the rules as they are read; a rule with a condition that is known not to hold is left
    out.
    """
    for entry in entries:
        parts = [reading.get(part, part) for part in _conditions([entry])]
        if False not in parts:
            conditions = tuple(part for part in parts if isinstance(part, Condition))
            yield replace(entry, rule=replace(entry.rule, conditions=conditions))
