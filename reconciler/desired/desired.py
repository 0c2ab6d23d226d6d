"""Manifests x environment x queues -> desired rules: sugar expanded, variables filled in, queues resolved."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeVar

from reconciler.behaviour.space.value_type import ANY_TEXT, SHARE, Types, number_as_text
from reconciler.desired.expand import (
    InvalidDefaultError,
    InvalidRuleError,
    RuleExpander,
    SubstitutionLimitError,
    list_targets,
)
from reconciler.desired.queues import OfflineQueueResolver, QueueResolver, resolve_aliases
from reconciler.desired.substitution import MAX_FILLED_BYTES_TOTAL, TextBudget
from reconciler.errors import ManifestError
from reconciler.manifest.text import MAX_FINDINGS
from reconciler.model.live import fingerprint
from reconciler.model.rule import Address, Queue, Rule, Source
from reconciler.text.suggest import suggest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from reconciler.behaviour.routing_entry import Evaluation
    from reconciler.manifest.kinds.environment import Environment
    from reconciler.manifest.kinds.ruleset import AdoptById, Hold, RuleSet
    from reconciler.manifest.load import Manifests
    from reconciler.manifest.source_map import LoadedDocument
    from reconciler.model.finding import Finding


ValueT = TypeVar("ValueT")


@dataclass(frozen=True, slots=True, kw_only=True)
class DesiredRule:
    """A rule that is to be live, and where the manifests say so; None where it is not they who want it."""

    address: Address
    rule: Rule
    fingerprint: str
    source: Source | None
    hold: Hold | None
    adopt: str | AdoptById | None
    unadopted_id: str = ""
    """The id of the live rule that is to be so and ours no longer: its adoption is undone."""

    @property
    def marker_digest(self) -> str:
        """What the marker says once this rule is written."""
        return self.fingerprint[:8]


@dataclass(frozen=True, slots=True, kw_only=True)
class DesiredState:
    """What is to be live in one environment. `rulesets` are those that apply there, empty ones included."""

    environment: str
    owner: str
    rules: Mapping[Address, DesiredRule]
    rulesets: frozenset[str]
    findings: tuple[Finding, ...]
    labels: Mapping[str, str]
    """What people call the attributes that the API knows by longer names: intent, confidence."""
    evaluation: Evaluation = "lowest-first"
    types: Types = field(default_factory=dict)
    """The types of the attributes that the endpoint writes."""
    scope: frozenset[Address] | None = None
    """The addresses that this says something of: whatever is live elsewhere stays. None means all."""
    skipped: Mapping[Address, str] = field(default_factory=dict)
    """Addresses that are left alone although they differ, each with why."""
    names_unique: bool = False
    """The server refuses to write a rule whose name another one has, be it the name that the rule had already."""


def expand_manifests(manifests: Manifests, environment: Environment, resolver: QueueResolver) -> DesiredState:
    """Return the desired rules of the environment. Raises ManifestError with every error of every rule."""
    expansion = _EnvironmentExpander(environment, resolver)
    rulesets = [loaded for loaded in manifests.rulesets if _applies(loaded.document.environments, environment.name)]
    for loaded in rulesets:
        expansion.expand_ruleset(loaded)
    if any(finding.severity == "error" for finding in expansion.findings):
        raise ManifestError(expansion.findings)
    names = frozenset(loaded.document.name for loaded in rulesets)
    return replace(
        empty_desired_state(environment), rules=expansion.rules, rulesets=names, findings=tuple(expansion.findings)
    )


def desire_offline(manifests: Manifests, environment: Environment) -> tuple[DesiredState, OfflineQueueResolver]:
    """Return the desired rules where every queue that they name is assumed, and these queues. Raises ManifestError."""
    catalogue = OfflineQueueResolver(environment.name, resolve_aliases(manifests, environment.name))
    return expand_manifests(manifests, environment, catalogue), catalogue


def empty_desired_state(environment: Environment) -> DesiredState:
    """Return what manifests without a rule want in the environment."""
    labels = {environment.attributes.intent: "intent", environment.attributes.confidence: "confidence"}
    api = environment.api
    found = DesiredState(
        environment=environment.name,
        owner=environment.owner,
        rules={},
        rulesets=frozenset(),
        findings=(),
        labels=labels,
        evaluation=api.evaluation,
    )
    return replace(found, types=endpoint_types(environment), names_unique=api.names_unique)


def endpoint_types(environment: Environment) -> Types:
    """Return the types of what the endpoint writes; of an Environment without `context` nobody says that it does."""
    if "context" not in environment.model_fields_set:
        return {}
    names = environment.attributes
    return {
        names.intent: ANY_TEXT,
        names.confidence: SHARE if environment.context.writer == "interaction" else ANY_TEXT,
    }


def convert_endpoint_values(types: Types, conversation: Mapping[str, ValueT]) -> dict[str, ValueT | str]:
    """Return a conversation as rules read it where the endpoint wrote it: a number is a text where it writes texts."""
    texts = {name for name, known in types.items() if known == ANY_TEXT}
    return {
        name: number_as_text(value)
        if name in texts and isinstance(value, int | float) and not isinstance(value, bool)
        else value
        for name, value in conversation.items()
    }


def find_unaliased_queues(manifests: Manifests, addresses: Mapping[Source, Address]) -> list[Finding]:
    """Return a warning for each rule's queue without an alias, where Queues documents exist."""
    known = [alias for loaded in manifests.queues for alias in loaded.document.queues]
    found = []
    for loaded in manifests.rulesets if known else ():
        for index, entry in enumerate(loaded.document.rules):
            for name, _, path in list_targets(entry):
                if name not in known and "$" not in name:
                    message = f"queue {name!r} is no alias of the Queues documents; taken as a live queue's name"
                    place = ("rules", index, *path)
                    hint = suggest(name, known)
                    address = addresses.get(loaded.source_of("rules", index))
                    warning = loaded.finding("CXR117", message, *place, severity="warning", hint=hint, address=address)
                    found.append(warning)
    return found


def _applies(environments: tuple[str, ...] | None, name: str) -> bool:
    return environments is None or name in environments


class _EnvironmentExpander:
    """Collects the desired rules of one environment, and everything that is wrong with them."""

    def __init__(self, environment: Environment, resolver: QueueResolver) -> None:
        self.environment = environment
        self.resolver = resolver
        self.rules: dict[Address, DesiredRule] = {}
        self.findings: list[Finding] = []
        self._error_count = 0
        self._budget = TextBudget(MAX_FILLED_BYTES_TOTAL)
        self._budgets: dict[str, TextBudget] = {}
        self._default_findings: set[Finding] = set()
        self._names: dict[str, DesiredRule] = {}
        self._resolved_queues: dict[str, Queue] = {}

    def expand_ruleset(self, loaded: LoadedDocument[RuleSet]) -> None:
        """Expand every rule of one RuleSet that applies in the environment."""
        budget = self._budgets.setdefault(loaded.file, TextBudget(parent=self._budget))
        for index, entry in enumerate(loaded.document.rules):
            if self._error_count >= MAX_FINDINGS:
                break
            if not _applies(entry.environments, self.environment.name):
                continue
            draft = RuleExpander(self.environment, self._resolve_queue, loaded.document, entry, budget)
            try:
                desired = self._expand_rule(draft, loaded.document.name, loaded.source_of("rules", index))
                self._add_rule(desired)
                if draft.is_implicit_catch_all():
                    self.findings.append(_catch_all_warning(loaded, index, desired.address))
            except SubstitutionLimitError as wrong:
                self._report(loaded, index, wrong)
                break
            except InvalidRuleError as wrong:
                for one in draft.collect_errors() or (wrong,):
                    self._report(loaded, index, one)

    def _report(self, loaded: LoadedDocument[RuleSet], index: int, error: InvalidRuleError) -> None:
        if not isinstance(error, InvalidDefaultError):
            self._add_error(
                loaded, loaded.finding(error.code, str(error), "rules", index, *error.path, hint=error.hint)
            )
            return
        finding = loaded.finding(error.code, str(error), *error.path, hint=error.hint)
        if finding not in self._default_findings:
            self._default_findings.add(finding)
            self._add_error(loaded, finding)

    def _add_error(self, loaded: LoadedDocument[RuleSet], finding: Finding) -> None:
        self.findings.append(finding)
        self._error_count += 1
        if self._error_count == MAX_FINDINGS:
            message = f"{MAX_FINDINGS:,} errors, and perhaps more: rules after these are not checked"
            self.findings.append(loaded.finding(finding.code, message, "rules", hint="correct these first"))

    def _expand_rule(self, expander: RuleExpander, ruleset: str, source: Source) -> DesiredRule:
        address, rule = Address(ruleset, expander.key()), expander.rule()
        return DesiredRule(
            address=address,
            rule=rule,
            fingerprint=fingerprint(rule),
            source=source,
            hold=expander.entry.hold,
            adopt=expander.adopt(),
        )

    def _add_rule(self, desired: DesiredRule) -> None:
        first = self.rules.setdefault(desired.address, desired)
        if first is not desired:
            message = f"rule {desired.address} stands twice in {self.environment.name}, first at {_location(first)}"
            raise InvalidRuleError("CXR109", message, hint="give one of them a key of its own")
        first = self._names.setdefault(desired.rule.name, desired)
        if first is not desired:
            message = f"rule name {desired.rule.name!r} is already that of {first.address} at {_location(first)}"
            raise InvalidRuleError("CXR110", message, hint="give one of them a `name`")

    def _resolve_queue(self, name: str) -> Queue:
        found = self._resolved_queues.get(name)
        if found is None:
            found = self._resolved_queues[name] = self.resolver.resolve(name)
        return found


def _catch_all_warning(loaded: LoadedDocument[RuleSet], index: int, address: Address) -> Finding:
    message = "no condition, so every conversation is taken"
    hint = "write `when: []` if that is meant"
    return loaded.finding("CXR120", message, "rules", index, severity="warning", hint=hint, address=address)


def _location(desired: DesiredRule) -> str:
    return f"{desired.source.file}:{desired.source.line}" if desired.source else str(desired.address)
