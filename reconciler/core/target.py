"""Targets: what the core asks of a place where live rules are kept.

A target is one value of the protocol `RuleTarget`, found by the name in `api.rules` of an Environment. Nothing
outside a target asks which target it is. tests/targets/test_contract.py holds each target against this page.

    offline   `form` says in which form rules are kept there, and what follows from it for conversations
    network   `open` yields a source of live rules, and for "write" a store of the kind that `form.switches` names
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import (
    Any,
    ClassVar,
    Literal,
    NamedTuple,
    Protocol,
    cast,
    runtime_checkable,
)

from reconciler.core.behaviour.endpoint_stage import EndpointStage, TableSettings
from reconciler.core.behaviour.evaluate import Conversation
from reconciler.core.behaviour.routing_entry import (
    Destination,
    Evaluation,
    RoutingEntry,
)
from reconciler.core.behaviour.space.value_type import Types
from reconciler.core.errors import UsageError
from reconciler.core.manifest.kinds.environment import Environment
from reconciler.core.manifest.load import Manifests
from reconciler.core.model.check import CheckResult
from reconciler.core.model.finding import Finding
from reconciler.core.model.live import FetchedRule, LastSave, LiveRule, Marker
from reconciler.core.model.rule import Condition, Queue, Rule
from reconciler.core.plugins import QueueSources, built_in_names, load_plugin
from reconciler.core.rule_json import RulesFile
from reconciler.core.text.phrases import Labels

Access = Literal["read", "write"]
"""Whether a source of rules may change them."""
Switches = Literal["each rule", "whole table"]
"""How a run changes the rules that conversations meet: rule by rule in a proven order, or all of them by one save."""


class NotStorableError(Exception):
    """A target cannot keep a rule. `part` is the condition, or None for another part of the rule."""

    def __init__(self, message: str, part: Condition | None = None) -> None:
        super().__init__(message)
        self.part = part


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderedRules:
    """The desired rules of an Environment in the order of the manifests, and how they are tried."""

    entries: tuple[RoutingEntry, ...]
    evaluation: Evaluation
    endpoint: EndpointStage
    labels: Labels


class StoredText(Protocol):
    """Rules as a target keeps them, for tests of single conversations."""

    def find_deviation(
        self, context: Conversation, expected: Destination
    ) -> tuple[object, Destination] | None:
        """Return a reading of the text (its `str` names it) that sends a conversation to another destination, and that
        destination; None if every reading agrees.
        """


class LastingAdoption(NamedTuple):
    """Why an adopted rule stays managed, and how a person gives it back."""

    reason: str  # after "its adoption is not undone: "
    remedy: str  # an order to the reader


class RuleForm(Protocol):
    """The form in which a target keeps the rules of one Environment. Pure, and equal for equal settings."""

    @property
    def switches(self) -> Switches:
        """How a run changes the rules; decides which store `RuleTarget.open` yields."""

    @property
    def document(self) -> str:
        """What holds a whole table, in messages, such as `script`."""

    @property
    def editor(self) -> str:
        """The program in which people edit the rules, such as `Studio`."""

    @property
    def has_typed_numbers(self) -> bool:
        """Whether the bot's confidence arrives as a number, also where its writer writes texts."""

    def storable(self, rule: Rule) -> Rule:
        """Return the rule in the form in which the target keeps it. Raises NotStorableError."""

    def conflicts(self, rules: Sequence[Rule]) -> Iterable[tuple[Rule, str]]:
        """Return the rules that cannot be kept beside the rules before them, each with the reason (CXR126)."""

    def value_types(self, rules: Sequence[Rule]) -> Types:
        """Return the types that values of attributes have because of how the rules compare them."""

    def findings(
        self, rules: OrderedRules, manifests: Manifests, queues: Mapping[str, str]
    ) -> Iterable[Finding]:
        """Return what the form proves or warns of for these rules; an error refuses them. `queues`: names by id."""

    def table_findings(
        self, after: Sequence[LiveRule], queues: Mapping[str, str]
    ) -> Iterable[Finding]:
        """Return findings about the table that a save would write."""

    def text(self, rules: OrderedRules) -> StoredText | None:
        """Return the rules as they are kept, if conversations could meet another reading of them; else None."""

    @property
    def keeps_settings(self) -> bool:
        """Whether settings are kept beside the rules."""

    def table_settings(
        self, manifests: Manifests, endpoint: EndpointStage
    ) -> TableSettings | None:
        """Return the settings to keep beside the rules; None if the target keeps rules alone."""

    @property
    def keeps_foreign_rules(self) -> bool:
        """Whether rules that no manifest owns stay as they are beside managed ones."""

    def foreign_finding(self, live: LiveRule) -> Finding:
        """Return the conflict of a rule that no manifest owns, where such a rule would not stay (CXR313)."""

    @property
    def lasting_adoption(self) -> LastingAdoption | None:
        """Why a run cannot undo an adoption there; None if it can."""


@dataclass(frozen=True, slots=True)
class ExactForm:
    """The form of a target that keeps each rule as it is, one by one."""

    switches: ClassVar[Switches] = "each rule"
    document: ClassVar[str] = "list of rules"
    editor: ClassVar[str] = "CXone"
    has_typed_numbers: ClassVar[bool] = False
    keeps_foreign_rules: ClassVar[bool] = True
    keeps_settings: ClassVar[bool] = False
    lasting_adoption: ClassVar[LastingAdoption | None] = None

    def storable(self, rule: Rule) -> Rule:
        """Return the rule itself."""
        return rule

    def conflicts(self, rules: Sequence[Rule]) -> Iterable[tuple[Rule, str]]:
        """Return nothing."""
        del rules
        return ()

    def value_types(self, rules: Sequence[Rule]) -> Types:
        """Return nothing: values have the types that their writer gives them."""
        del rules
        return {}

    def findings(
        self, rules: OrderedRules, manifests: Manifests, queues: Mapping[str, str]
    ) -> Iterable[Finding]:
        """Return nothing."""
        del rules, manifests, queues
        return ()

    def table_findings(
        self, after: Sequence[LiveRule], queues: Mapping[str, str]
    ) -> Iterable[Finding]:
        """Return nothing."""
        del after, queues
        return ()

    def table_settings(
        self, manifests: Manifests, endpoint: EndpointStage
    ) -> TableSettings | None:
        """Return None: only rules are kept."""
        del manifests, endpoint
        return None

    def foreign_finding(self, live: LiveRule) -> Finding:
        """Never called: these rules stay."""
        raise AssertionError(f"{live.id} stays as it is")

    def text(self, rules: OrderedRules) -> StoredText | None:
        """Return None."""
        del rules
        return None


class CallCounts(NamedTuple):
    """How many requests a source has sent, how many of them again, and how often a server asked it to slow down."""

    requests: int = 0
    retries: int = 0
    throttled: int = 0


class LiveSource(Protocol):
    """The reads of a place of rules. Each call raises the errors of `reconciler.core.errors`."""

    async def rules(self) -> tuple[LiveRule, ...]:
        """Return every live rule, proven complete."""

    async def queues(self) -> tuple[Queue, ...]:
        """Return every queue."""

    async def last_save(self) -> LastSave | None:
        """Return who saved the whole table last, and when; None if that is not known, or there is no table."""

    async def table_settings(self) -> TableSettings | None:
        """Return the settings beside the rules of the last read, with empty content before the first save; None if
        the target keeps rules alone.
        """

    def limit_time(self, seconds: float) -> None:
        """Start the time limit of all further calls."""

    def call_counts(self) -> CallCounts:
        """Return the numbers of calls so far."""


class RuleSource(Protocol):
    """The reads that a run needs between its writes."""

    async def rules(self) -> tuple[LiveRule, ...]:
        """Return every live rule, proven complete."""

    async def rule(self, rule_id: str) -> FetchedRule | None:
        """Return the current state of one rule, or None if it does not exist."""


class RuleStore(RuleSource, Protocol):
    """A store that keeps each rule by itself: the calls of `apply.loop`."""

    async def create(self, rule: Rule, marker: Marker) -> LiveRule:
        """Create a rule and return it from the response."""

    async def update(
        self, read: FetchedRule, rule: Rule, marker: Marker | None
    ) -> LiveRule:
        """Replace a rule, keep its unknown fields, and return it from the response; without a
        marker: unmanaged.
        """

    async def restore(self, read: FetchedRule, before: LiveRule) -> LiveRule:
        """Write a rule with every field as it was read earlier, and return it from the response."""

    async def delete(self, read: FetchedRule) -> None:
        """Delete a rule; it is a success if the rule does not exist."""


class RuleTable(Protocol):
    """A store that keeps all rules in one document: the calls of `apply.table`."""

    notes: tuple[str, ...]  # failures that do not change the result of a run

    def lock(self) -> AbstractAsyncContextManager[None]:
        """Hold the document's lock."""

    async def rules(self) -> tuple[LiveRule, ...]:
        """Return every rule."""

    async def table_settings(self) -> TableSettings | None:
        """Return the settings beside the rules of the last read (`LiveSource.table_settings`)."""

    async def save(
        self,
        read: Sequence[LiveRule],
        after: Sequence[LiveRule],
        queue_names: Mapping[str, str],
        settings: TableSettings | None,
    ) -> tuple[str, ...]:
        """Replace the rules of the last read, and the settings beside them; return warnings.

        Raises ConcurrentChangeError if the document changed since that read; then nothing was written.
        """


class Author(NamedTuple):
    """Who runs a command, and the commit of the manifests; empty texts if that is not known."""

    name: str = ""
    commit: str = ""


class Surroundings(Protocol):
    """What a target may use to open its rules."""

    @property
    def environment(self) -> Environment:
        """The Environment whose rules are opened."""

    @property
    def has_tenant(self) -> bool:
        """Whether `connect` leads to a tenant, over the network or simulated."""

    def expected_queues(self) -> Sequence[Queue]:
        """Return the queues that the manifests use; one without an id there has its name as its id."""

    def author(self) -> Author:
        """Return who runs the command."""

    def connect(self, access: Access) -> AbstractAsyncContextManager[Any]:
        """Connect to the tenant: a `targets.platform.client.Connection`, which cannot write with "read"."""

    def connect_service(
        self, url: str, key_variable: str, access: Access
    ) -> AbstractAsyncContextManager[Any]:
        """Connect to a service of the operator with a key: a `targets.platform.service.ServiceConnection`.

        For a simulated tenant it is a service in this process, and the URL is not used.
        """


class SimulatedTenant(Protocol):
    """The part of a simulated tenant that a target prepares."""

    def current_script(self, path: str) -> object:
        """Return the script of a path, or None."""

    def add_script(self, path: str, *, block: str) -> object:
        """Add a script with an empty block, OWNER/BLOCK."""


@runtime_checkable
class RuleTarget(Protocol):
    """A place where live rules are kept."""

    @property
    def name(self) -> str:
        """The value of `api.rules`, and the name of its own part of `api`."""

    @property
    def settings(self) -> type[Any] | None:
        """The pydantic model (`StrictModel`) of its own part of `api`; None if it has none."""

    @property
    def settings_help(self) -> str:
        """What the own part of `api` is, for the schema and the documentation."""

    @property
    def settings_example(self) -> object:
        """An example of it, as in YAML."""

    def queue_sources(self, own: object) -> QueueSources:
        """Return what `api.queues` may be, beside its own part of `api` as it is in YAML, maybe invalid; for
        None: beside any part.
        """

    def form(self, environment: Environment) -> RuleForm:
        """Return the form in which it keeps the rules of an Environment."""

    def read_file(self, path: str, environment: Environment) -> RulesFile:
        """Return the rules of a file that people took from the target. Raises UsageError."""

    @property
    def file_hint(self) -> str:
        """What people read if such a file lists no queues."""

    def open(
        self, surroundings: Surroundings, access: Access
    ) -> AbstractAsyncContextManager[LiveSource]:
        """Open the rules. With "write", the source is also a RuleStore or a RuleTable, as `form.switches` says."""

    @property
    def uses_platform(self) -> bool:
        """Whether its rules are behind the tenant's login, so that hosts and credentials are checked first."""

    async def examine(
        self,
        surroundings: Surroundings,
        lines: list[CheckResult],
        expected: Callable[[], Sequence[str]],
    ) -> None:
        """Check the place by reads alone, and add a line for each check: a time limit keeps those that are done.

        `expected` returns the names of the manifests' queues.
        """

    def untried(self, environment: Environment) -> Sequence[str]:
        """Return what only a write can check, as parts of a sentence."""

    def prepare(self, environment: Environment, tenant: SimulatedTenant) -> None:
        """Add to a simulated tenant what must exist before rules can be kept."""


def find_target(name: str) -> RuleTarget:
    """Return the target with a name: a built-in one, or one of another distribution. Raises UsageError."""
    target = load_plugin(name)
    if target is None:
        names = ", ".join(built_in_names())
        raise UsageError(f"no target is named {name!r}; available: {names}")
    return cast("RuleTarget", target)


def target_of(environment: Environment) -> RuleTarget:
    """Return the target that keeps the rules of an Environment."""
    return find_target(environment.api.rules)


def form_of(environment: Environment) -> RuleForm:
    """Return the form in which the rules of an Environment are kept."""
    return target_of(environment).form(environment)
