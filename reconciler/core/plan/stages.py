"""The stages of a plan, each a frozen type: Changes, Scheduled, Assessed, Plan.

A stage has everything of the earlier ones, so that a function which needs an earlier stage takes a
later one, too. One function builds each stage from the one before: `find_changes`,
`schedule_steps`, `assess` and `check_guards`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import datetime, tzinfo
from functools import cached_property
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Self

from reconciler.core.behaviour.diff.difference import BehaviourChange
from reconciler.core.behaviour.endpoint_stage import (
    EndpointStage,
    FallbackPolicy,
    TableSettings,
)
from reconciler.core.desired.desired import DesiredState
from reconciler.core.desired.made_steps import WaitingStep
from reconciler.core.model.change import Change, HeldChange, PlanStep
from reconciler.core.model.finding import Finding
from reconciler.core.model.live import LastSave, LiveRule
from reconciler.core.model.rule import CANONICAL_JSON, Address, Queue
from reconciler.core.plan.consent import Consent
from reconciler.core.text.phrases import Labels

# types alone: they load the traffic sample, which `validate` does not need
if TYPE_CHECKING:
    from reconciler.core.plan.impact import Impact
    from reconciler.core.plan.promises import PromiseResult
    from reconciler.core.plan.replay import ReplayResult


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanOptions:
    """The options of a plan. A saved plan contains them, so that it can be built again."""

    only: tuple[str, ...] = ()  # addresses, or patterns such as `cards/*`; empty: all
    # only what is due by a date alone; `only` then has the addresses of these changes
    due: bool = False
    adopt: bool = False  # adopt unmanaged rules that have the name of a desired rule
    keep_drift: bool = False  # do not revert edits made in CXone
    prune: bool = True  # delete managed rules that no manifest names
    # the path of a traffic sample other than that of the manifests
    traffic: str | None = None
    base: str | None = None  # where the manifests before the change are
    # the endpoint's fallback there; None: that of these manifests
    base_fallback: FallbackPolicy | None = None
    undo: str | None = None  # the run of the journal to undo; the manifests are ignored
    # the time of --at, as if it were now; apply refuses a plan with it
    at: datetime | None = None

    @property
    def is_partial(self) -> bool:
        """Return whether the plan is about some rules only."""
        return self.due or bool(self.only)


@dataclass(frozen=True, slots=True)
class LiveState:
    """The result of one read of the tenant: every rule and every queue."""

    rules: tuple[LiveRule, ...]
    queues: tuple[Queue, ...]
    last_save: LastSave | None = None  # of the document that holds the rules
    # beside the rules; None: the target keeps none, or the source does not say
    settings: TableSettings | None = None

    def is_read_like(self, desired: TableSettings | None) -> bool:
        """Return whether live and desired rules read conversations alike, and in one order.

        Otherwise nothing about conversations can be proven from a comparison of the two.
        """
        kept = self.settings
        if kept is None or desired is None or not kept.content:
            return True
        return kept.reading == desired.reading

    def endpoint(self, desired: EndpointStage) -> EndpointStage:
        """Return the endpoint before the live rules: the desired one, with the fallback that is
        kept beside the rules.
        """
        return stage_with_settings(desired, self.settings)


def stage_with_settings(
    stage: EndpointStage, settings: TableSettings | None
) -> EndpointStage:
    """Return an endpoint with the fallback of the settings beside the rules, if there are any."""
    if settings is None:
        return stage
    kept = replace(stage, fallback=settings.fallback)
    return kept.compared_with(kept)


@dataclass(frozen=True, kw_only=True)
class Changes:
    """The first stage: what differs between the live rules and the desired ones."""

    desired: DesiredState
    live: LiveState
    options: PlanOptions
    generated_at: datetime
    changes: tuple[Change, ...]
    held: tuple[HeldChange, ...]
    findings: tuple[Finding, ...]
    unchanged: int
    managed: tuple[Address, ...]  # addresses of the managed live rules, before
    unmanaged: int
    # due steps whose condition does not hold, or was not asked
    waiting: tuple[WaitingStep, ...] = ()

    @property
    def environment(self) -> str:
        """Return the name of the environment."""
        return self.desired.environment

    @property
    def instant(self) -> datetime:
        """Return the time that the plan is for: that of --at, or when the tenant was read."""
        return self.options.at or self.generated_at

    @property
    def owner(self) -> str:
        """Return the owner of the managed rules."""
        return self.desired.owner

    @property
    def labels(self) -> Labels:
        """Return what people read instead of names."""
        return self.desired.labels

    @cached_property
    def queue_names(self) -> Mapping[str, str]:
        """The names of the tenant's queues, by id."""
        return {queue.id: queue.name for queue in self.live.queues}

    @property
    def endpoints(self) -> tuple[EndpointStage, EndpointStage]:
        """Return the endpoint before the change, which the live rules are behind, and the one after
        it.
        """
        after = self.desired.endpoint
        before = replace(after, fallback=self.options.base_fallback or after.fallback)
        return before.compared_with(after), after.compared_with(before)

    @property
    def changes_settings(self) -> bool:
        """Return whether a save changes the settings beside the rules."""
        before = self.live.settings
        after = self.desired.settings
        if before is None or after is None:
            return False
        return before.content != after.content

    @property
    def is_comparable(self) -> bool:
        """Return whether the live rules can be compared with the desired ones."""
        return self.live.is_read_like(self.desired.settings)

    @property
    def has_work(self) -> bool:
        """Return whether apply has something to write."""
        return bool(self.changes) or self.changes_settings

    @cached_property
    def changes_endpoint(self) -> bool:
        """Whether the endpoint's fallback is another one after the change."""
        before = self.options.base_fallback
        if before is None:
            return False
        return before.settings != self.desired.endpoint.fallback.settings

    @property
    def conflicts(self) -> tuple[Finding, ...]:
        """Return the findings that make apply refuse: each concerns a desired rule that cannot be
        made live.
        """
        return tuple(
            finding for finding in self.findings if finding.severity == "error"
        )

    @cached_property
    def manifest_digest(self) -> str:
        """The digest of the desired rules, which does not depend on the text of the files."""
        desired = self.desired
        lines = [f"{desired.environment} {desired.owner}"]
        lines += [
            f"{address} {desired.rules[address].fingerprint}"
            for address in sorted(desired.rules)
        ]
        if desired.settings is not None:
            lines.append(f"settings {desired.settings.content}")
        text = "".join(f"{line}\n" for line in lines)
        return sha256(text.encode()).hexdigest()

    @cached_property
    def live_digest(self) -> str:
        """The digest of the live rules and queues, which does not depend on their order."""
        rules = sorted(
            (rule.raw for rule in self.live.rules), key=lambda raw: str(raw["id"])
        )
        queues = []
        for queue in self.live.queues:
            remark = [] if queue.active else ["inactive"]
            queues.append([queue.id, queue.name, *remark])
        queues.sort()
        state: list[object] = [rules, queues]
        if self.live.settings is not None:
            state.append(self.live.settings.content)
        return sha256(CANONICAL_JSON.encode(state).encode()).hexdigest()

    @classmethod
    def parts_of(cls, plan: Self) -> dict[str, Any]:
        """Return what this stage has of a plan, for the next stage."""
        return {part.name: getattr(plan, part.name) for part in fields(cls)}


@dataclass(frozen=True, kw_only=True)
class Scheduled(Changes):
    """The second stage: the calls in their order, and what is not proven about it."""

    # the calls in waves: those of one wave may be made in any order
    steps: tuple[tuple[PlanStep, ...], ...]
    # changes during which some conversation may have neither its old nor its new destination
    unproven: tuple[Address, ...]


@dataclass(frozen=True, kw_only=True)
class Assessed(Scheduled):
    """The third stage: what the changes do to conversations, their shares of a sample, and the
    promises on the rules after them.
    """

    impact: "Impact"
    promises: "tuple[PromiseResult, ...]"

    @property
    def behaviour(self) -> BehaviourChange:
        """Return what the changes do to conversations."""
        return self.impact.behaviour


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardResult:
    """The result of one guard: its number, its limit, and in `allowed` why it was lifted."""

    name: str
    value: int | float
    limit: int | float
    ok: bool
    message: str
    allowed: str | None = None


class WatchCounts(NamedTuple):
    """The changed rules that no test and no promise watches, and those of which the bound of work
    left that open.
    """

    unwatched: int
    undecided: int = 0


@dataclass(frozen=True, kw_only=True)
class Plan(Assessed):
    """The last stage: everything that a reader or a guard needs to accept or refuse the changes."""

    guards: tuple[GuardResult, ...]
    # whose consent it needs; None if no queue has owners
    consent: tuple[Consent, ...] | None = None
    # findings that the manifests accept: counted, and not shown
    acknowledged: tuple[Finding, ...] = ()
    # route tests that the manifests fail: apply refuses while there is one
    failed_tests: tuple[Finding, ...] = ()
    watch: WatchCounts | None = None  # None without route tests and promises
    # what the boundaries of the next 90 days change; None if no rule has a date
    later: "tuple[LaterChange, ...] | None" = None
    # the dates that a change of manifests edits; None if they are not compared, or without dates
    edited_dates: "EditedDates | None" = None
    # the recorded conversations of `plan --replay` that go elsewhere
    replay: "ReplayResult | None" = None
    # the id, once it is computed
    _ids: list[str] = field(default_factory=list, init=False, compare=False, repr=False)

    @property
    def may_differ_later(self) -> bool:
        """Return whether the dates after now may move other conversations than before the change of
        manifests: it edits a date or a rule, live rules change now, or that is not known.
        """
        edited = self.edited_dates
        if edited is None or edited.dates or edited.edits_rules:
            return True
        return bool(self.changes or self.held or self.changes_endpoint)

    def remember_id(self, compute: Callable[[], str]) -> str:
        """Return the id of this plan, computed at its first use."""
        if not self._ids:
            self._ids.append(compute())
        return self._ids[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class LaterChange:
    """What the job changes at one time.

    `due` are the boundaries: more than one, or an earlier one, where a freeze delays them until
    `at`. `created` are the ids of rules that the tenant does not have yet. `is_waiting` is True for
    the steps that are due now, and made once their conditions hold.
    """

    at: datetime
    due: tuple[datetime, ...]
    plan: Plan
    created: frozenset[str]
    zone: tzinfo
    is_waiting: bool = False

    @property
    def refusals(self) -> tuple[GuardResult, ...]:
        """Return the guards that will refuse the changes."""
        return tuple(result for result in self.plan.guards if not result.ok)

    @property
    def broken_promises(self) -> "tuple[PromiseResult, ...]":
        """Return the promises that the rules do not keep then."""
        return tuple(each for each in self.plan.promises if each.failure is not None)


DateEvent = Literal["begins", "changes", "ends"]
"""What a rule does at a date: it changes by a step, or to another rule of the same address."""


class EditedDate(NamedTuple):
    """A date of a rule before and after a change; None where the rule has no such date.

    Two equal times: at this date the rule does the same, and is or becomes another one.
    """

    address: Address
    event: DateEvent
    before: datetime | None
    after: datetime | None

    @property
    def first(self) -> datetime:
        """Return the earlier of the two times."""
        return min(each for each in (self.before, self.after) if each is not None)


@dataclass(frozen=True, slots=True, kw_only=True)
class EditedDates:
    """The edited dates of one Environment after now, and of due steps with a condition; by address
    and time.
    """

    dates: tuple[EditedDate, ...]
    edits_rules: bool  # whether the change also edits a rule that is there now
    compared_with: str  # `commit 1a2b3c4d, the merge base with origin/main`
    zone: tzinfo
