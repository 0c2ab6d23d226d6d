"""Manifests x environment x queues -> desired rules: sugar expanded, variables filled in, queues
resolved.
"""

from collections import Counter
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cache, partial
from typing import Any, NamedTuple, TypeVar

from reconciler.core.behaviour.endpoint_stage import (
    DIRECT,
    EndpointStage,
    FallbackPolicy,
    TableSettings,
)
from reconciler.core.behaviour.routing_entry import Evaluation
from reconciler.core.behaviour.space.value_type import (
    ANY_TEXT,
    SHARE,
    SentValues,
    Types,
)
from reconciler.core.desired.calendar import (
    ALWAYS,
    Calendar,
    DatedRule,
    DatedStep,
    Interval,
)
from reconciler.core.desired.desired_rule import DesiredRule
from reconciler.core.desired.expand import (
    MAX_FILLED_BYTES_TOTAL,
    InvalidRuleError,
    RuleExpander,
    SubstitutionLimitError,
    TextBudget,
    list_targets,
)
from reconciler.core.desired.expand_dates import RuleDates, zone_of
from reconciler.core.desired.expand_promises import (
    StatedPromise,
    expand_promise,
    list_queues,
    promise_expander,
)
from reconciler.core.desired.queues import (
    OfflineQueueResolver,
    QueueResolver,
    resolve_aliases,
)
from reconciler.core.errors import ManifestError, UsageError
from reconciler.core.manifest.documents import AttributeEntry, PromiseEntry, Promises
from reconciler.core.manifest.kinds.environment import BotAttributes, Environment
from reconciler.core.manifest.kinds.ruleset import RuleEntry, RuleSet, has_dates
from reconciler.core.manifest.load import Manifests
from reconciler.core.manifest.source_map import MAX_FINDINGS, LoadedDocument, PathStep
from reconciler.core.model.finding import Finding
from reconciler.core.model.grouping import group_pairs
from reconciler.core.model.live import fingerprint
from reconciler.core.model.rule import (
    Address,
    Queue,
    Rule,
    Source,
    canonical_scalar,
)
from reconciler.core.target import (
    ExactForm,
    NotStorableError,
    RuleForm,
    form_of,
)
from reconciler.core.text.escape import sanitize
from reconciler.core.text.local_time import shown_instant
from reconciler.core.text.phrases import Labels
from reconciler.core.text.suggest import suggest

ItemT = TypeVar("ItemT", RuleEntry, PromiseEntry)


@dataclass(frozen=True, slots=True, kw_only=True)
class DesiredState:
    """The desired rules of one environment; `rulesets` are the RuleSets that apply there, also
    empty ones.
    """

    environment: str
    owner: str
    rules: Mapping[Address, DesiredRule]
    rulesets: frozenset[str]
    findings: tuple[Finding, ...]
    labels: Labels  # what people read instead of names
    evaluation: Evaluation = "lowest-first"
    # comes before the rules: the bot's event passes it
    endpoint: EndpointStage = DIRECT
    promises: tuple[StatedPromise, ...] = ()
    scope: frozenset[Address] | None = None
    """The addresses that this state covers: live rules elsewhere stay. None means all."""
    skipped: Mapping[Address, str] = field(default_factory=dict)
    """Addresses that differ and stay unchanged, each with the reason."""
    names_unique: bool = False
    """Whether the server refuses a rule with the name of another rule, even if the rule already has
    this name."""
    form: RuleForm = field(default_factory=ExactForm)
    """The form in which their target keeps the rules."""
    settings: TableSettings | None = None
    """What the target keeps beside them; None if it keeps rules alone."""
    calendar: Calendar | None = None
    """All rules with dates, and the instant of `rules`; None if no rule has a date."""

    @property
    def stated_rules(self) -> Iterator[DesiredRule]:
        """Yield the rules of all times; of a rule with steps, each step."""
        if self.calendar is None:
            yield from self.rules.values()
            return
        for entry in self.calendar.entries:
            if isinstance(entry, DesiredRule):
                yield entry
            else:
                yield from (step.rule for step in entry.steps)


def expand_manifests(
    manifests: Manifests, environment: Environment, resolver: QueueResolver
) -> DesiredState:
    """Return the desired rules of the environment.

    Raises ManifestError with every error of every rule, and UsageError.
    """
    expansion = _EnvironmentExpander(environment, resolver)
    rulesets = [
        loaded
        for loaded in manifests.rulesets
        if _applies(loaded.document.environments, environment.name)
    ]
    for loaded in rulesets:
        expansion.expand_ruleset(loaded)
    for stated in manifests.promises:
        if _applies(stated.document.environments, environment.name):
            expansion.expand_promises(stated)
    instant = manifests.instant_in(environment)
    expansion.check_conflicts(instant)
    if any(finding.severity == "error" for finding in expansion.findings):
        raise ManifestError(expansion.findings)

    state = replace(
        empty_desired_state(manifests, environment),
        rulesets=frozenset(loaded.document.name for loaded in rulesets),
        findings=tuple(expansion.findings),
        promises=tuple(expansion.promises),
    )
    declared = state.endpoint.context_types
    if not expansion.has_dates:
        return _with_rules(state, expansion.rules, declared)
    calendar = expansion.calendar(instant, declared)
    return with_calendar(state, calendar)


def with_calendar(
    state: DesiredState, calendar: Calendar, steps_back: int = 0
) -> DesiredState:
    """Return a state with the rules of a calendar at its instant, as if each due step were made.

    `steps_back` counts from there, as far as the waiting steps of each rule allow.
    """
    rules = calendar.rules(steps_back)
    dated = replace(state, calendar=calendar)
    return _with_rules(dated, rules, calendar.declared_types)


def state_at(desired: DesiredState, instant: datetime) -> DesiredState:
    """Return the desired state at another instant; without dates, it is the same at all times."""
    if desired.calendar is None:
        return desired
    return with_calendar(desired, desired.calendar.at(instant))


class Phase(NamedTuple):
    """A desired state, and the time in which it holds.

    `steps_back` is 0 if each due step is made in it; otherwise, steps that may wait are not.
    """

    interval: Interval
    state: DesiredState
    steps_back: int = 0


def phases_from_now(desired: DesiredState) -> Iterator[Phase]:
    """Yield the state of each interval from now on, and each state that a waiting step can leave.

    A step changes only the weights of its rule. So for each rule and each of its reachable steps,
    one of the states has the rule with that step, and what a conversation reaches by it.
    """
    calendar = desired.calendar
    if calendar is None:
        yield Phase(ALWAYS, desired)
        return
    for instant in (calendar.instant, *calendar.boundaries_until()):
        yield from phases_at(desired, instant)


def phases_at(desired: DesiredState, instant: datetime) -> Iterator[Phase]:
    """Yield the state at an instant, and each state that a waiting step can leave then."""
    if desired.calendar is None:
        yield Phase(ALWAYS, desired)
        return
    current = desired.calendar.at(instant)
    for back in range(current.variants):
        state = with_calendar(desired, current, back)
        yield Phase(current.interval, state, back)


def _with_rules(
    state: DesiredState, rules: Mapping[Address, DesiredRule], declared: Types
) -> DesiredState:
    """Return a state with rules, and with the types that they show of attributes that are not
    declared.
    """
    types = state.form.value_types([each.rule for each in rules.values()])
    stage = replace(state.endpoint, context_types={**types, **declared})
    return replace(state, endpoint=stage, rules=rules)


def desire_offline(
    manifests: Manifests, environment: Environment, live: Iterable[Queue] = ()
) -> tuple[DesiredState, OfflineQueueResolver]:
    """Return the desired rules, and their queues: `live` ones, the others are assumed.

    Raises ManifestError.
    """
    resolver = OfflineQueueResolver(
        environment.name, resolve_aliases(manifests, environment.name), live
    )
    return expand_manifests(manifests, environment, resolver), resolver


def empty_desired_state(manifests: Manifests, environment: Environment) -> DesiredState:
    """Return the desired state without any rule."""
    endpoint = endpoint_stage(manifests, environment)
    form = form_of(environment)
    return DesiredState(
        environment=environment.name,
        owner=environment.owner,
        rules={},
        rulesets=frozenset(),
        findings=(),
        labels=labels_of(manifests, environment),
        evaluation=environment.api.evaluation,
        endpoint=endpoint,
        names_unique=environment.api.names_unique,
        form=form,
        settings=form.table_settings(manifests, endpoint),
    )


def endpoint_stage(manifests: Manifests, environment: Environment) -> EndpointStage:
    """Return the endpoint of an Environment.

    Without `context`, the types of what it writes are not known, unless it is kept beside the rules.
    """
    names = environment.attributes
    context = environment.context
    types: Types = {}
    form = form_of(environment)
    # where the fallback is kept beside the rules, each event passes it
    if "context" in environment.model_fields_set or form.keeps_settings:
        is_number = context.writer == "interaction" or form.has_typed_numbers
        types = {
            names.intent: ANY_TEXT,
            names.confidence: SHARE if is_number else ANY_TEXT,
        }

    documents = [loaded.document for loaded in manifests.intents]
    intents = tuple(
        dict.fromkeys(intent for document in documents for intent in document.names)
    )
    fallback = FallbackPolicy(
        context.below.intent if context.below else None,
        context.min_confidence or 0.0,
        frozenset(intents),
    )
    stage = EndpointStage(
        intent=names.intent,
        confidence=names.confidence,
        fallback=fallback,
        context_types=types,
        sent_intents=intents or tuple(_intents_of_rules(manifests)),
        declared=_sent_values(manifests, names),
    )
    return stage.compared_with(stage)


def _sent_values(
    manifests: Manifests, names: BotAttributes
) -> Mapping[str, SentValues]:
    """Return the values of the declared attributes that have a type or values."""
    of_bot = (names.intent, names.confidence, names.updated_at)
    sent: dict[str, SentValues] = {}
    for name, entry in manifests.declared_attributes.items():
        values = _sent_values_of(entry)
        if name not in of_bot and values is not None:
            sent[name] = values
    return sent


def _sent_values_of(entry: AttributeEntry) -> SentValues | None:
    """Return the values of a declared attribute; None if it can have any."""
    if entry.values:
        values = list(map(canonical_scalar, entry.values))
        return SentValues(
            texts=tuple(value for value in values if isinstance(value, str)),
            numbers=tuple(value for value in values if not isinstance(value, str)),
        )
    if entry.type == "boolean":
        return SentValues(texts=("true", "false"))
    if entry.type == "number":
        return SentValues(numbers=None)
    return SentValues(texts=None) if entry.type == "text" else None


def _intents_of_rules(manifests: Manifests) -> dict[str, None]:
    """Return the intents that rules name, in their order, without those with a variable."""
    intents: dict[str, None] = {}
    for loaded in manifests.rulesets:
        for rule in loaded.document.rules:
            for intent in (rule.intent, *_listed_intents(rule)):
                if intent and "$" not in intent:
                    intents[intent] = None
    return intents


def _listed_intents(rule: RuleEntry) -> Iterable[str]:
    if isinstance(rule.intents, list | tuple):
        return rule.intents
    return ()


def short_labels(names: BotAttributes) -> Labels:
    """Return the labels of the bot's attributes."""
    return Labels({names.intent: "intent", names.confidence: "confidence"})


def labels_of(manifests: Manifests, environment: Environment) -> Labels:
    """Return the labels and the groups of values.

    A text with two meanings is neither: people read the names then.
    """
    bot = short_labels(environment.attributes)
    if not manifests.labelled:
        return bot

    stated = _StatedLabels({(name,) for name in (*bot.short, *bot.short.values())})
    stated.add_attributes(manifests, bot)
    stated.add_intents(manifests, environment.attributes.intent)

    texts = {key: _as_read(key, label) for key, label in stated.labels.items()}
    uses = Counter(texts.values())
    uses.update(_as_read(key, key[-1]) for key in stated.names)
    exact = {
        key: label for key, label in stated.labels.items() if uses[texts[key]] == 1
    }
    return replace(bot, texts=exact, groups=_exact_groups(stated.groups, uses))


def _as_read(key: tuple[str, ...], text: str) -> tuple[str, ...]:
    """Return the key of a name with the text that people read in place of the name."""
    return (*key[:-1], sanitize(text))


@dataclass(slots=True)
class _StatedLabels:
    """What manifests call attributes `(name,)` and their values `(name, value)`."""

    names: set[tuple[str, ...]]
    labels: dict[tuple[str, ...], str] = field(default_factory=dict)
    # the group by attribute and value
    groups: dict[tuple[str, str], str] = field(default_factory=dict)

    def add_attributes(self, manifests: Manifests, bot: Labels) -> None:
        """Add the declared attributes and their values."""
        for name, entry in manifests.declared_attributes.items():
            self.names.add((name,))
            self.names.update((name, str(value)) for value in entry.values or ())
            if entry.label and name not in bot.short:
                self.labels[name,] = entry.label
            for value, label in entry.value_labels.items():
                self.labels[name, value] = label
            for value, group in entry.value_groups.items():
                self.groups[name, value] = group

    def add_intents(self, manifests: Manifests, attribute: str) -> None:
        """Add the intents: of two labels or groups of an intent, the first."""
        for loaded in reversed(manifests.intents):
            self.names.update((attribute, name) for name in loaded.document.names)
            for entry in reversed(loaded.document.entries):
                if entry.label:
                    self.labels[attribute, entry.name] = entry.label
                if entry.group:
                    self.groups[attribute, entry.name] = entry.group


def _exact_groups(
    grouped: Mapping[tuple[str, str], str], taken: Container[tuple[str, ...]]
) -> dict[str, dict[str, frozenset[str]]]:
    """Return the groups by attribute and name, without those whose name has another meaning, also
    as people read it.
    """
    members = group_pairs(
        ((attribute, group), value) for (attribute, value), group in grouped.items()
    )
    texts = {key: _as_read(key, key[-1]) for key in members}
    uses = Counter(texts.values())

    groups: dict[str, dict[str, frozenset[str]]] = {}
    for key, values in members.items():
        attribute, group = key
        text = texts[key]
        if uses[text] == 1 and text not in taken:
            groups.setdefault(attribute, {})[group] = frozenset(values)
    return groups


def find_unaliased_queues(
    manifests: Manifests, addresses: Mapping[Source, Address]
) -> list[Finding]:
    """Return a warning for each queue of a rule or promise without an alias, if there are Queues
    documents.
    """
    aliases = [alias for loaded in manifests.queues for alias in loaded.document.queues]
    if not aliases:
        return []

    warnings = []
    for loaded, path, name in _named_queues(manifests):
        if name not in aliases and "$" not in name:
            message = (
                f"queue {name!r} is not an alias in a Queues document; it is used as a live "
                f"queue's name"
            )
            warning = loaded.finding(
                "CXR117",
                message,
                *path,
                severity="warning",
                hint=suggest(name, aliases),
                address=addresses.get(loaded.source_of(*path[:2])),
            )
            warnings.append(warning)
    return warnings


def _named_queues(
    manifests: Manifests,
) -> Iterator[tuple[LoadedDocument[Any], tuple[PathStep, ...], str]]:
    """Yield the document, the path and the name of each queue of a rule, then of a promise."""
    for ruleset in manifests.rulesets:
        for index, entry in enumerate(ruleset.document.rules):
            for name, _, path in list_targets(entry):
                yield ruleset, ("rules", index, *path), name
    for stated in manifests.promises:
        for index, promise in enumerate(stated.document.promises):
            for name, path in list_queues(promise):
                yield stated, ("promises", index, *path), name


def _applies(environments: tuple[str, ...] | None, name: str) -> bool:
    if environments is None:
        return True
    return name in environments


class _EnvironmentExpander:
    def __init__(self, environment: Environment, resolver: QueueResolver) -> None:
        self.environment = environment
        self._form = form_of(environment)

        self.rules: dict[Address, DesiredRule] = {}
        # all rules in the order of the manifests
        self.entries: list[DesiredRule | DatedRule] = []
        self.has_dates = False
        self.promises: list[StatedPromise] = []
        self.findings: list[Finding] = []
        self._budget = TextBudget(MAX_FILLED_BYTES_TOTAL)
        self._budgets: dict[str, TextBudget] = {}
        self._errors: set[Finding] = set()
        self._addresses = _Claims()
        self._names = _Claims()
        self._resolve_queue = cache(resolver.resolve)

    def expand_ruleset(self, loaded: LoadedDocument[RuleSet]) -> None:
        for index, entry, budget in self._list_items(loaded, loaded.document.rules):
            expander = RuleExpander(
                self.environment, self._resolve_queue, loaded.document, entry, budget
            )
            try:
                self._add_rule(expander, loaded, index)
            except SubstitutionLimitError as error:
                self._report(loaded, ("rules", index), error)
                break
            except InvalidRuleError as error:
                dates = RuleDates(expander)
                errors = [*expander.collect_errors(), *dates.collect_errors()]
                for rule_error in errors or (error,):
                    self._report(loaded, ("rules", index), rule_error)

    def expand_promises(self, loaded: LoadedDocument[Promises]) -> None:
        for index, entry, budget in self._list_items(loaded, loaded.document.promises):
            expander = promise_expander(
                self.environment, self._resolve_queue, entry, budget
            )
            try:
                self.promises.append(expand_promise(expander, loaded, index))
            except InvalidRuleError as error:
                self._report(loaded, ("promises", index), error)

    def _list_items(
        self, loaded: LoadedDocument[Any], items: Sequence[ItemT]
    ) -> Iterator[tuple[int, ItemT, TextBudget]]:
        """Yield the items of this environment, with the file's text budget, until there are too
        many errors.
        """
        budget = self._budgets.setdefault(loaded.file, TextBudget(parent=self._budget))
        for index, entry in enumerate(items):
            if len(self._errors) >= MAX_FINDINGS:
                break
            if _applies(entry.environments, self.environment.name):
                yield index, entry, budget

    def _report(
        self,
        loaded: LoadedDocument[Any],
        item: Sequence[PathStep],
        error: InvalidRuleError,
    ) -> None:
        parents = () if error.path[:1] == ("defaults",) else item
        finding = loaded.finding(
            error.code, str(error), *parents, *error.path, hint=error.hint
        )
        # all rules share the defaults: an error in the defaults is reported once
        if finding in self._errors:
            return
        self._errors.add(finding)
        self.findings.append(finding)
        if len(self._errors) == MAX_FINDINGS:
            message = (
                f"{MAX_FINDINGS:,} errors, and possibly more: further {item[0]} are not "
                f"checked"
            )
            self.findings.append(
                loaded.finding(
                    finding.code, message, item[0], hint="fix these errors first"
                )
            )

    def _add_rule(
        self, expander: RuleExpander, loaded: LoadedDocument[RuleSet], index: int
    ) -> None:
        address = Address(loaded.document.name, expander.key())
        entry = self._dated_rule(expander, loaded, index)
        if isinstance(entry, DatedRule):
            self.has_dates = True
            interval = entry.interval
            desired = entry.steps[0].rule
        else:
            interval = ALWAYS
            desired = entry
            self.rules.setdefault(address, entry)
        self.entries.append(entry)
        self._claim(desired, interval)
        if expander.is_implicit_catch_all():
            finding = loaded.finding(
                "CXR120",
                "no condition: the rule matches every conversation",
                "rules",
                index,
                severity="warning",
                hint="if this is intended, write `when: []`",
                address=address,
            )
            self.findings.append(finding)

    def _dated_rule(
        self, expander: RuleExpander, loaded: LoadedDocument[RuleSet], index: int
    ) -> DesiredRule | DatedRule:
        """Return a rule; with dates, in its interval and with each of its steps.

        Raises InvalidRuleError.
        """
        source = loaded.source_of("rules", index)
        desire = partial(self._desired_rule, expander, loaded.document.name, source)
        base = expander.rule()
        if not has_dates(expander.entry):
            return desire(base)
        dates = RuleDates(expander)
        steps = [
            DatedStep(
                rule=desire(dates.rule(base, step)),
                at=step.at,
                condition=step.condition,
            )
            for step in dates.steps()
        ]
        return DatedRule(interval=dates.interval(), steps=tuple(steps))

    def _desired_rule(
        self, expander: RuleExpander, ruleset: str, source: Source, rule: Rule
    ) -> DesiredRule:
        """Return a rule in the form in which the tenant keeps it. Raises InvalidRuleError."""
        stored = self._stored_rule(expander, rule)
        return DesiredRule(
            address=Address(ruleset, expander.key()),
            rule=stored,
            fingerprint=fingerprint(stored),
            source=source,
            hold=RuleDates(expander).hold(),
            adopt=expander.adopt(),
        )

    def _claim(self, desired: DesiredRule, interval: Interval) -> None:
        """Reserve the address and the name of a rule for an interval. Raises InvalidRuleError."""
        environment = self.environment
        first = self._addresses.claim(desired.address, desired, interval)
        if first is not None:
            when = self._overlap_phrase(first.interval, interval)
            message = (
                f"rule {desired.address} is defined twice in {environment.name}{when}, first at "
                f"{first.rule.location}"
            )
            hint = "give one of them another `key`"
            if when:
                hint = f"end one with `until` before the other begins, or {hint}"
            raise InvalidRuleError("CXR109", message, hint=hint)
        first = self._names.claim(desired.rule.name, desired, interval)
        if first is not None:
            when = self._overlap_phrase(first.interval, interval)
            message = (
                f"rule name {desired.rule.name!r} is already used by {first.rule.address} at "
                f"{first.rule.location}{when}"
            )
            raise InvalidRuleError(
                "CXR110", message, hint="give one of them another `name`"
            )

    def _overlap_phrase(self, first: Interval, second: Interval) -> str:
        """Return at which time two rules exist; empty if both always do."""
        if ALWAYS in (first, second) and first == second:
            return ""
        starts = [each.start for each in (first, second) if each.start is not None]
        if not starts:
            return " at the same time"
        zone = zone_of(self.environment.timezone)
        return f" at {shown_instant(max(starts), zone)}"

    def _stored_rule(self, expander: RuleExpander, rule: Rule) -> Rule:
        """Return a rule in the form in which the tenant keeps it. Raises InvalidRuleError."""
        try:
            return self._form.storable(rule)
        except NotStorableError as error:
            paths = [path for _, _, path in list_targets(expander.entry)][:1]
            paths += [
                path for test, path in expander.conditions() if test == error.part
            ]
            raise InvalidRuleError("CXR125", str(error), *paths[-1]) from None

    def calendar(self, instant: datetime | None, declared: Types) -> Calendar:
        """Return the calendar of all rules; `declared` are the types that no rule shows.

        Raises UsageError without an instant.
        """
        environment = self.environment
        if instant is None:
            raise UsageError(
                f"a rule of {environment.name} has a date, so these manifests need an instant: "
                "load_manifests(directory, instant)"
            )
        zone = zone_of(environment.timezone)
        return Calendar.of(self.entries, instant, declared, zone)

    def check_conflicts(self, instant: datetime | None) -> None:
        """Report the rules that their target cannot keep together, now or later."""
        if not self.has_dates or instant is None:
            self._report_conflicts(self.rules)
            return
        calendar = Calendar.of(self.entries, instant, {}, UTC)
        for boundary in (instant, *calendar.boundaries_until()):
            if self._report_conflicts(calendar.at(boundary).rules()):
                return

    def _report_conflicts(self, rules: Mapping[Address, DesiredRule]) -> bool:
        """Report the conflicts of rules that exist at one time; return whether there are any."""
        conflicts = list(self._form.conflicts([each.rule for each in rules.values()]))
        if not conflicts:
            return False

        by_rule = {id(desired.rule): desired for desired in rules.values()}
        for rule, message in conflicts:
            desired = by_rule[id(rule)]
            finding = Finding(
                code="CXR126",
                severity="error",
                message=message,
                source=desired.source,
                address=desired.address,
            )
            self.findings.append(finding)
        return True


class _Claim(NamedTuple):
    """A rule that has an address or a name in an interval."""

    interval: Interval
    rule: DesiredRule


class _Claims:
    """The rules that have an address or a name, each at its time."""

    def __init__(self) -> None:
        self._claims: dict[Address | str, list[_Claim]] = {}

    def claim(
        self, key: Address | str, rule: DesiredRule, interval: Interval
    ) -> _Claim | None:
        """Return the rule that has the key at the same time; otherwise reserve it."""
        claims = self._claims.setdefault(key, [])
        for claim in claims:
            if claim.interval.overlaps(interval):
                return claim
        claims.append(_Claim(interval, rule))
        return None
