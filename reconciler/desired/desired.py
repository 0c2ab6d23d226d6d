"""Manifests x environment x queues -> desired rules: sugar expanded, variables filled in, queues resolved."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeVar

from reconciler.behaviour.space.value_type import SHARE, TEXT, Types, as_text
from reconciler.desired.expand import Draft, TooMuchFilledInError, WrongDefaultError, WrongRuleError, split
from reconciler.desired.substitution import OF_ALL_FILES, TextBudget
from reconciler.errors import ManifestError
from reconciler.manifest.text import MOST_FINDINGS
from reconciler.model.live import fingerprint
from reconciler.model.rule import Address, Queue, Rule, Source
from reconciler.text.suggest import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping

    from reconciler.behaviour.routing_entry import Evaluation
    from reconciler.desired.queues import Catalogue
    from reconciler.manifest.kinds.environment import Environment
    from reconciler.manifest.kinds.ruleset import AdoptById, Hold, RuleSet
    from reconciler.manifest.load import Manifests
    from reconciler.manifest.source_map import Loaded
    from reconciler.model.finding import Finding


Given = TypeVar("Given")


@dataclass(frozen=True, slots=True, kw_only=True)
class DesiredRule:
    """A rule that is to be live, and where the manifests say so; None where it is not they who want it."""

    address: Address
    rule: Rule
    fingerprint: str
    source: Source | None
    hold: Hold | None
    adopt: str | AdoptById | None
    released: str = ""
    """The id of the live rule that is to be so and ours no longer: its adoption is undone."""

    @property
    def marker_digest(self) -> str:
        """What the marker says once this rule is written."""
        return self.fingerprint[:8]


@dataclass(frozen=True, slots=True, kw_only=True)
class Desired:
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
    about: frozenset[Address] | None = None
    """The addresses that this says something of: whatever is live elsewhere stays. None means all."""
    left: Mapping[Address, str] = field(default_factory=dict)
    """Addresses that are left alone although they differ, each with why."""
    names_unique: bool = False
    """The server refuses to write a rule whose name another one has, be it the name that the rule had already."""


def desire(manifests: Manifests, environment: Environment, catalogue: Catalogue) -> Desired:
    """Return the desired rules of the environment. Raises ManifestError with every error of every rule."""
    expansion = _Expansion(environment, catalogue)
    rulesets = [loaded for loaded in manifests.rulesets if _applies(loaded.document.environments, environment.name)]
    for loaded in rulesets:
        expansion.expand(loaded)
    if any(finding.severity == "error" for finding in expansion.findings):
        raise ManifestError(expansion.findings)
    names = frozenset(loaded.document.name for loaded in rulesets)
    return replace(nothing(environment), rules=expansion.rules, rulesets=names, findings=tuple(expansion.findings))


def nothing(environment: Environment) -> Desired:
    """Return what manifests without a rule want in the environment."""
    labels = {environment.attributes.intent: "intent", environment.attributes.confidence: "confidence"}
    api = environment.api
    found = Desired(
        environment=environment.name,
        owner=environment.owner,
        rules={},
        rulesets=frozenset(),
        findings=(),
        labels=labels,
        evaluation=api.evaluation,
    )
    return replace(found, types=written_types(environment), names_unique=api.names_unique)


def written_types(environment: Environment) -> Types:
    """Return the types of what the endpoint writes; of an Environment without `context` nobody says that it does."""
    if "context" not in environment.model_fields_set:
        return {}
    names = environment.attributes
    return {names.intent: TEXT, names.confidence: SHARE if environment.context.writer == "interaction" else TEXT}


def as_written(types: Types, given: Mapping[str, Given]) -> dict[str, Given | str]:
    """Return a conversation as rules read it where the endpoint wrote it: a number is a text where it writes texts."""
    texts = {name for name, known in types.items() if known == TEXT}
    return {
        name: as_text(value)
        if name in texts and isinstance(value, int | float) and not isinstance(value, bool)
        else value
        for name, value in given.items()
    }


def unaliased(manifests: Manifests, addresses: Mapping[Source, Address]) -> list[Finding]:
    """Return a warning for each queue of a rule that is no alias, where a Queues document exists to have one.

    `addresses` are those of rules, by place.
    """
    known = [alias for loaded in manifests.queues for alias in loaded.document.queues]
    found = []
    for loaded in manifests.rulesets if known else ():
        for index, entry in enumerate(loaded.document.rules):
            for name, _, path in split(entry):
                if name not in known and "$" not in name:
                    message = f"queue {name!r} is no alias of the Queues documents; taken as a live queue's name"
                    place = ("rules", index, *path)
                    hint = did_you_mean(name, known)
                    address = addresses.get(loaded.at("rules", index))
                    warning = loaded.finding("CXR117", message, *place, severity="warning", hint=hint, address=address)
                    found.append(warning)
    return found


def _applies(environments: tuple[str, ...] | None, name: str) -> bool:
    return environments is None or name in environments


class _Expansion:
    """Collects the desired rules of one environment, and everything that is wrong with them."""

    def __init__(self, environment: Environment, catalogue: Catalogue) -> None:
        self.environment = environment
        self.catalogue = catalogue
        self.rules: dict[Address, DesiredRule] = {}
        self.findings: list[Finding] = []
        self._wrong = 0
        self._budget = TextBudget(OF_ALL_FILES)
        self._budgets: dict[str, TextBudget] = {}
        self._of_defaults: set[Finding] = set()
        self._names: dict[str, DesiredRule] = {}
        self._queues: dict[str, Queue] = {}

    def expand(self, loaded: Loaded[RuleSet]) -> None:
        """Expand every rule of one RuleSet that applies in the environment."""
        budget = self._budgets.setdefault(loaded.file, TextBudget(rest=self._budget))
        for index, entry in enumerate(loaded.document.rules):
            if self._wrong >= MOST_FINDINGS:
                break
            if not _applies(entry.environments, self.environment.name):
                continue
            draft = Draft(self.environment, self._queue, loaded.document, entry, budget)
            try:
                desired = self._desired(draft, loaded.document.name, loaded.at("rules", index))
                self._add(desired)
                if draft.catches_all_by_omission():
                    self.findings.append(_without_condition(loaded, index, desired.address))
            except TooMuchFilledInError as wrong:
                self._tell(loaded, index, wrong)
                break
            except WrongRuleError as wrong:
                for one in draft.everything_wrong() or (wrong,):
                    self._tell(loaded, index, one)

    def _tell(self, loaded: Loaded[RuleSet], index: int, wrong: WrongRuleError) -> None:
        """Add what is wrong with a rule; what is wrong with the defaults is told once for all rules."""
        if not isinstance(wrong, WrongDefaultError):
            self._keep(loaded, loaded.finding(wrong.code, str(wrong), "rules", index, *wrong.path, hint=wrong.hint))
            return
        finding = loaded.finding(wrong.code, str(wrong), *wrong.path, hint=wrong.hint)
        if finding not in self._of_defaults:
            self._of_defaults.add(finding)
            self._keep(loaded, finding)

    def _keep(self, loaded: Loaded[RuleSet], finding: Finding) -> None:
        """Add an error. After so many of them the other rules are not looked at."""
        self.findings.append(finding)
        self._wrong += 1
        if self._wrong == MOST_FINDINGS:
            message = f"{MOST_FINDINGS:,} errors, and perhaps more: rules after these are not checked"
            self.findings.append(loaded.finding(finding.code, message, "rules", hint="correct these first"))

    def _desired(self, draft: Draft, ruleset: str, source: Source) -> DesiredRule:
        address, rule = Address(ruleset, draft.key()), draft.rule()
        return DesiredRule(
            address=address,
            rule=rule,
            fingerprint=fingerprint(rule),
            source=source,
            hold=draft.entry.hold,
            adopt=draft.adopt(),
        )

    def _add(self, desired: DesiredRule) -> None:
        first = self.rules.setdefault(desired.address, desired)
        if first is not desired:
            message = f"rule {desired.address} stands twice in {self.environment.name}, first at {_place(first)}"
            raise WrongRuleError("CXR109", message, hint="give one of them a key of its own")
        first = self._names.setdefault(desired.rule.name, desired)
        if first is not desired:
            message = f"rule name {desired.rule.name!r} is already that of {first.address} at {_place(first)}"
            raise WrongRuleError("CXR110", message, hint="give one of them a `name`")

    def _queue(self, name: str) -> Queue:
        """Resolve a queue once for all rules that name it. Raises QueueError."""
        found = self._queues.get(name)
        if found is None:
            found = self._queues[name] = self.catalogue.resolve(name)
        return found


def _without_condition(loaded: Loaded[RuleSet], index: int, address: Address) -> Finding:
    message = "no condition, so every conversation is taken"
    hint = "write `when: []` if that is meant"
    return loaded.finding("CXR120", message, "rules", index, severity="warning", hint=hint, address=address)


def _place(desired: DesiredRule) -> str:
    return f"{desired.source.file}:{desired.source.line}" if desired.source else str(desired.address)
