"""What no document says about Studio's language does not matter: the proof (CXR127 to CXR130), and tests on the text.

In each dialect that is not ruled out, a condition on texts is the list of the declared values for which the generated
text holds there. The analysis of differences compares the rules with the rules in that dialect.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from operator import ne
from typing import Final

from reconciler.behaviour.budget import UndecidedError, WorkBudget
from reconciler.behaviour.diff.difference import compare_behaviour
from reconciler.behaviour.diff.regions import Region
from reconciler.behaviour.evaluate import POSITIVE_OF_NEGATIVE, Conversation, RuleIndex, canonical_attributes, holds
from reconciler.behaviour.routing_entry import Destination, RoutingEntry, destination_of, destination_of_rule
from reconciler.behaviour.space.value_type import ANY_VALUE
from reconciler.desired.desired import DesiredRule, DesiredState, expand_manifests
from reconciler.desired.queues import QueueResolver
from reconciler.errors import ManifestError
from reconciler.manifest.kinds.environment import Environment
from reconciler.manifest.load import Manifests
from reconciler.model.finding import Finding, Severity
from reconciler.model.rule import EXISTENCE, PATTERNS, Condition, Rule, Scalar, Target, make_condition
from reconciler.plan.routing_table import desired_entries, destination_phrase
from reconciler.studio.build import BlockEntry, build_block, number_text
from reconciler.studio.dialect import FACTS, Dialect, possible_dialects, text_key
from reconciler.studio.evaluate import run_snippet
from reconciler.studio.language import parse_snippet
from reconciler.studio.layout import BlockLayout, canonical_number
from reconciler.text.escape import quote
from reconciler.text.phrases import condition_phrase, conversation_phrase

_MAX_WORK: Final = 10_000_000  # conditions tried with a value, and comparisons of rules: about four seconds
_WORK_PER_RULE: Final = 20  # of one more comparison of all rules
_PLAIN: Final = Dialect(case_sensitive=True, trims_blanks=False, digit_text_is_number=False, mixed_is_zero=False)
_BROAD: Final = _PLAIN._replace(case_sensitive=False, trims_blanks=True)  # texts that are equal anywhere are equal here


def expand_checked(manifests: Manifests, environment: Environment, resolver: QueueResolver) -> DesiredState:
    """Return the desired rules; those of a Studio script with the findings of the proof. Raises ManifestError."""
    desired = expand_manifests(manifests, environment, resolver)
    if desired.layout is None:
        return desired
    queues = {queue.id: queue.name for queue in resolver.queues_by_id.values()}
    proof = DialectProof(desired, manifests, dialects_of(environment), queues)
    findings = (*desired.findings, *proof.findings())
    if any(finding.severity == "error" for finding in findings):
        raise ManifestError(findings)
    return replace(desired, findings=findings)


def dialects_of(environment: Environment) -> tuple[Dialect, ...]:
    """Return the dialects that the facts of an Environment do not rule out."""
    studio = environment.api.studio
    dialects = possible_dialects(studio.dialect.model_dump(by_alias=True, exclude_none=True) if studio else {})
    return tuple(sorted(dialects, key=lambda dialect: sum(map(ne, dialect, _PLAIN))))


def _finding(code: str, severity: Severity, message: str, entry: RoutingEntry | None = None, hint: str = "") -> Finding:
    source, address = (entry.source, entry.address) if entry else (None, None)
    return Finding(code=code, severity=severity, message=message, source=source, address=address, hint=hint)


class DialectProof:
    """The enabled rules of a Studio script, and the values with which they are compared in these dialects."""

    def __init__(
        self, desired: DesiredState, manifests: Manifests, dialects: Sequence[Dialect], queues: Mapping[str, str]
    ) -> None:
        self.desired, self.dialects, self.queues = desired, dialects, queues
        self.entries = [entry for entry in desired_entries(desired) if entry.rule.enabled]
        self.budget = WorkBudget(_MAX_WORK, _MAX_WORK)
        self.parts: defaultdict[str, dict[Condition, Sequence[Scalar]]] = defaultdict(dict)  # with their literals
        for part in _conditions(self.entries):
            self.parts[part.attribute][part] = _literals(part)
        self.named = {name: dict.fromkeys(chain(*parts.values())) for name, parts in self.parts.items()}
        self.declared = manifests.declared_attributes
        catalogues = {name: sorted(entry.canonical_values, key=str) for name, entry in self.declared.items()}
        if intents := [intent for loaded in manifests.intents for intent in loaded.document.names]:
            catalogues[desired.endpoint.intent] = [*intents, *filter(None, [desired.endpoint.fallback.intent])]
        self.catalogues = {name: values for name, values in catalogues.items() if values and name in self.parts}
        # The values as texts, of attributes that no rule compares with numbers. A blank value counts as missing.
        self.values = {
            name: {value: text for value in self.catalogues.get(name, named) if (text := _text(value)).strip()}
            for name, named in self.named.items()
            if all(isinstance(value, str) for value in named) and (named or name in self.catalogues)
        }

    def findings(self) -> Iterator[Finding]:
        """Yield all findings about the rules."""
        try:
            yield self._compare_dialects()
            yield from self._compare_empty_texts()
        except UndecidedError:
            message = "not proven that the rules do the same in all dialects of Studio: the analysis reached its bound"
            hint = "use fewer `contains` and `startsWith`, or state the dialect: cxroute studio probe"
            yield _finding("CXR127", "error", message, self.entries[0], hint)
        split = "in Studio a split is by contact and no draw: ContactID % 100 chooses the queue"
        splits = (entry for entry in self.entries if len(entry.rule.targets) > 1)
        yield from (_finding("CXR130", "info", split, entry) for entry in splits)

    def _compare_dialects(self) -> Finding:
        """Return an error with an example if a conversation goes elsewhere in a dialect; otherwise an info."""
        # The generated text compares numbers in the same way everywhere.
        reduced = (each._replace(digit_text_is_number=False, mixed_is_zero=False) for each in self.dialects)
        limits, compared = self._limits({**self.catalogues, **self.values}), set[object]()
        for dialect in dict.fromkeys(reduced):
            changed = self._changed_conditions(dialect)
            if changed and (content := frozenset(changed.items())) not in compared:
                compared.add(content)
                others = (_with_conditions(entry, changed) for entry in self.entries)
                for region in self._compare([*limits, *self.entries], [*limits, *others]):
                    return self._difference(dialect, changed, region)
        message = (
            f"the rules do the same in all dialects of Studio that are not ruled out ({len(self.dialects)}), for the"
            " intents and values that the manifests declare, or else name; an empty text counts as missing"
        )
        numeric = any(not isinstance(value, str) for named in self.named.values() for value in named)
        if numeric and not all(each.digit_text_is_number for each in self.dialects):
            message += ", and a number must be a number in the script, not a text"
        return _finding("CXR128", "info", message)

    def _changed_conditions(self, dialect: Dialect) -> dict[Condition, Condition]:
        """Return the conditions that other values fulfil in a dialect, each with the list of these values."""
        changed = {}
        for name, values in self.values.items():
            keys = {value: text_key(dialect, text) for value, text in values.items()}
            equal: defaultdict[str, list[Scalar]] = defaultdict(list)
            for value, key in keys.items():
                equal[key].append(value)
            for part, literals in self.parts[name].items():
                texts = [text_key(dialect, str(text)) for text in literals]
                positive = replace(part, operator=POSITIVE_OF_NEGATIVE.get(part.operator, part.operator))
                if positive.operator in PATTERNS:
                    self.budget.spend(len(values))
                    expected = {value for value in values if holds(positive, {name: value})}
                    positive = replace(positive, value=texts[0])
                    found = {value for value, key in keys.items() if holds(positive, {name: key})}
                else:
                    expected, found = values.keys() & literals, {value for key in texts for value in equal.get(key, ())}
                if found != expected:
                    operator = "in" if positive.operator == part.operator else "notIn"
                    changed[part] = make_condition(name, operator, [*found])
        return changed

    def _limits(self, allowed: Mapping[str, Iterable[Scalar]]) -> list[RoutingEntry]:
        """Return rules that come first and take every value that is not allowed."""
        priority = float("-inf" if self.desired.evaluation == "lowest-first" else "inf")
        parts = (make_condition(name, "notIn", [*values]) for name, values in allowed.items())
        rule = Rule(name="", description="", priority=priority, enabled=True, conditions=(), targets=())
        return [RoutingEntry(name="", rule=replace(rule, conditions=(part,))) for part in parts]

    def _compare(self, old: Sequence[RoutingEntry], new: Sequence[RoutingEntry]) -> Sequence[Region]:
        """Return the regions that differ. Raises UndecidedError if none is found within the bound of work."""
        self.budget.spend(_WORK_PER_RULE * len(self.entries))
        change = compare_behaviour(old, new, self.desired.evaluation, work=self.budget.remaining)
        self.budget.charge(change.work)
        if not change.regions and not change.complete:
            raise UndecidedError
        return change.regions

    def _difference(self, dialect: Dialect, changed: Mapping[Condition, Condition], region: Region) -> Finding:
        """Return the error for conversations that go elsewhere in a dialect."""
        conversation, labels = canonical_attributes(region.example.attributes), self.desired.labels
        addresses = [entry.address for entry in (region.before_rule, region.after_rule) if entry and entry.address]
        parts = (part for part in _conditions(self.desired.rules[each] for each in addresses) if part in changed)
        cause = next(part for part in parts if holds(part, conversation) != holds(changed[part], conversation))
        value = conversation[cause.attribute]
        key = text_key(dialect, _text(value))
        equal = [text for text in _literals(cause) if text != value and text_key(dialect, str(text)) == key]
        pair = " and ".join(map(quote, (value, *equal[:1])))
        reason = f"does not tell {pair} apart" if equal else f"reads in another way: {condition_phrase(cause, labels)}"
        is_certain = len({each[:2] for each in self.dialects}) == 1 or dialect == _PLAIN
        before, after = self._route(region.before_rule), self._route(region.after_rule)
        doubt = f"{'as' if is_certain else 'if'} Studio {reason} ({describe_dialect(dialect)})"
        message = f"{conversation_phrase(conversation, labels)} {before}, but {doubt}, it {after}"
        hint = f"rename one of {pair}" if equal else "change this condition"
        hint += "" if is_certain else ", or run: cxroute studio probe"
        return _finding("CXR127", "error", message, region.before_rule or region.after_rule, hint)

    def _route(self, entry: RoutingEntry | None) -> str:
        rule = f" by rule {entry.name}" if entry else ""
        return f"goes to {destination_phrase(destination_of_rule(entry), self.queues)}{rule}"

    def _compare_empty_texts(self) -> Iterator[Finding]:
        """Yield a warning for each rule that makes an empty text of an attribute go elsewhere than a missing one."""
        denials, types = EXISTENCE | POSITIVE_OF_NEGATIVE.keys(), self.desired.endpoint.context_types
        for name, parts in self.parts.items():
            is_text = name not in self.declared or self.declared[name].declared_type in (None, "text")
            can_be_empty = "" in self.catalogues.get(name, [""]) and is_text and types.get(name, ANY_VALUE).texts
            if not can_be_empty or all(part.operator not in denials for part in parts):
                continue
            others = self._limits({other: each for other, each in self.catalogues.items() if other != name})
            empty, missing = ([*others, *self._given(name, given)] for given in ({name: ""}, dict[str, str]()))
            for region in (regions := self._compare(empty, missing))[:1]:
                label = self.desired.labels.name(name)
                conversation = conversation_phrase({**region.example.attributes, name: ""}, self.desired.labels)
                routes = f"{self._route(region.before_rule)}, and without {label} it {self._route(region.after_rule)}"
                message = f"in Studio an empty {label} is a missing one, but by the rules {conversation} {routes}"
                rules = {entry.name for each in regions for entry in (*each.before_rules, *each.after_rules) if entry}
                causes = [each for each in self.entries if each.name in rules and parts.keys() & each.rule.conditions]
                yield from (_finding("CXR129", "warning", message, entry) for entry in causes)

    def _given(self, name: str, conversation: Mapping[str, str]) -> list[RoutingEntry]:
        """Return the rules for conversations with one attribute empty or missing, without conditions on it."""
        truths = {part: holds(part, conversation) for part in self.parts[name]}
        entries = (entry for entry in self.entries if all(truths.get(part, True) for part in _conditions([entry])))
        return [_with_conditions(entry, dict.fromkeys(truths)) for entry in entries]


class GeneratedText:
    """The rules as the text of a block. Each queue has a number there: offline, the id of a queue is its name."""

    def __init__(self, desired: DesiredState, layout: BlockLayout, dialects: Sequence[Dialect]) -> None:
        self._rules, self._layout, self._dialects = desired.rules, layout, dialects
        entries = [entry for entry in desired_entries(desired) if entry.rule.enabled]
        # Without the conditions that some dialect may fulfil for other values than these texts.
        broad = {part: _broad(part) for part in _conditions(entries)}
        self._index = RuleIndex([_with_conditions(entry, broad) for entry in entries])

    def find_deviation(self, context: Conversation, expected: Destination) -> tuple[Dialect, Destination] | None:
        """Return a dialect in which the text sends a conversation to another destination, and that destination."""
        # The text holds only the rules that may take the conversation in some dialect.
        broad = {name: text_key(_BROAD, _text(value)) for name, value in context.items()}
        rules = [self._rules[entry.address] for entry in self._index.matching_entries(broad) if entry.address]
        targets = [part for each in rules for part in each.rule.targets if isinstance(part, Target)]
        queues = list(dict.fromkeys(part.queue_id for part in targets))
        entries = []
        for each in rules:
            parts = (part for part in each.rule.targets if isinstance(part, Target))
            numbered = tuple(Target(str(queues.index(part.queue_id)), part.weight) for part in parts)
            entries.append(BlockEntry(replace(each.rule, targets=numbered), each.address, "", ""))
        statements = parse_snippet(build_block(entries, self._layout, {}))
        names = dict.fromkeys(part.attribute for part in _conditions(rules))
        variables = {self._layout.variable(name): context[name] for name in names if name in context}
        splits = {str(each.address) for each in rules if len(each.rule.targets) > 1}
        skill, rule = self._layout.skill.lower(), self._layout.rule.lower()
        tried = list[Mapping[str, object]]()
        for dialect in self._dialects:
            first = run_snippet(statements, variables, dialect)
            if first not in tried:
                tried.append(first)
                contacts = range(1, 100 if first[rule] in splits else 1)
                others = (run_snippet(statements, variables, dialect, contact) for contact in contacts)
                skills = Counter(run[skill] for run in (first, *others) if skill in run)
                shares = [Target(queues[int(number)], count) for number, count in skills.items()]
                if (actual := destination_of(shares) or None) != expected:
                    return dialect, actual
        return None


def describe_dialect(dialect: Dialect) -> str:
    """Return the facts of a dialect that differ from the comparisons of rules, as in manifests."""
    facts = [(name, fact) for name, fact, plain in zip(FACTS, dialect, _PLAIN, strict=True) if fact != plain]
    return ", ".join(f"{name}: {str(fact).lower()}" for name, fact in facts) or "any dialect"


def _conditions(entries: Iterable[RoutingEntry | DesiredRule]) -> Iterator[Condition]:
    return (part for entry in entries for part in entry.rule.conditions if isinstance(part, Condition))


def _literals(part: Condition) -> Sequence[Scalar]:
    return part.value if isinstance(part.value, tuple) else () if part.value is None else (part.value,)


def _broad(part: Condition) -> Condition | None:
    """Return a condition on keys that every value fulfils for which `part` holds in some dialect; None: unknown."""
    keys = [text_key(_BROAD, text) for text in _literals(part) if isinstance(text, str)]
    return make_condition(part.attribute, "in", keys) if keys and part.operator in ("equals", "in") else None


def _text(value: Scalar) -> str:
    return value if isinstance(value, str) else number_text(canonical_number(value))


def _with_conditions(entry: RoutingEntry, changed: Mapping[Condition, Condition | None]) -> RoutingEntry:
    """Return a rule with some conditions changed; None: without them."""
    parts = (changed.get(part, part) for part in _conditions([entry]))
    return replace(entry, rule=replace(entry.rule, conditions=tuple(part for part in parts if part is not None)))
