"""The pipeline, from manifests and live rules to a plan that apply accepts or refuses. Each stage returns a value.

    load       manifest.load      files -> Manifests
    expand     desired.desired    manifests, environment, live queues -> DesiredState
    classify   plan.ownership     live rules -> managed and unmanaged ones
    compare    plan.compare       desired and managed rules -> changes
    hold       plan.changes       changes -> Changes, with those that must wait held back
    schedule   plan.schedule      Changes -> Scheduled: calls in an order that keeps conversations at old or new places
    assess     plan.assess        Scheduled -> Assessed: the conversations that the changes move, and the promises
    guards     plan.guards        Assessed -> Plan, with the limits that refuse it
    annotate   checks             Plan -> Plan, with findings for its reader; guards ignore them
    apply      apply.loop         Plan -> calls to the tenant, and an ApplyReport that a last read proves

`apply` and `watch` repeat the stages from `classify` on for each read of the tenant.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from typing import cast

from reconciler.core.apply.loop import apply_changes
from reconciler.core.apply.progress import ApplyReport, matches_intent, matches_review
from reconciler.core.apply.settings import (
    ApplySettings,
    BlockingRunner,
    StepRecorder,
    run_inline,
)
from reconciler.core.apply.table import apply_to_table, warn_of_table
from reconciler.core.checks.acknowledgements import acknowledge_findings
from reconciler.core.checks.adequacy import count_unwatched
from reconciler.core.checks.checked_rules import expand_checked
from reconciler.core.checks.explain import Explanation
from reconciler.core.checks.explain import explain as explain_entries
from reconciler.core.checks.lint import lint, plan_lint_work
from reconciler.core.checks.lint_dates import check_dates
from reconciler.core.checks.lint_phases import lint_now
from reconciler.core.checks.lint_view import LintView
from reconciler.core.checks.route_tests import CheckResult
from reconciler.core.desired.desired import DesiredState, endpoint_stage
from reconciler.core.desired.made_steps import Answers
from reconciler.core.desired.queues import (
    QueueResolver,
    list_owned_queues,
    resolve_aliases,
)
from reconciler.core.errors import UsageError
from reconciler.core.manifest.kinds.environment import Environment
from reconciler.core.manifest.load import Manifests
from reconciler.core.model.change import Adopt
from reconciler.core.model.finding import Finding
from reconciler.core.model.rule import Address, Queue
from reconciler.core.plan.assess import assess, measure_impact
from reconciler.core.plan.changes import find_changes, unmatched_selectors
from reconciler.core.plan.consent import Consent, join_consent, required_consent
from reconciler.core.plan.due import find_due_work
from reconciler.core.plan.edited_dates import find_edited_dates
from reconciler.core.plan.findings import add_findings
from reconciler.core.plan.guards import check_guards, freeze_reason, lift_guards
from reconciler.core.plan.later import later_findings, plan_later
from reconciler.core.plan.ownership import classify_by_owner
from reconciler.core.plan.review import (
    ReviewedPlan,
    hold_unreviewed_edits,
    unreviewed_regions,
)
from reconciler.core.plan.routing_table import desired_entries, unmanaged_entries
from reconciler.core.plan.schedule import schedule_steps
from reconciler.core.plan.stages import (
    Assessed,
    Changes,
    LiveState,
    Plan,
    PlanOptions,
)
from reconciler.core.plan.waiting_steps import (
    SettledSteps,
    hold_waiting_steps,
    settle_steps,
)
from reconciler.core.rule_json import read_rules_file
from reconciler.core.target import LiveSource, RuleStore, RuleTable
from reconciler.core.text.suggest import suggest
from reconciler.core.traffic.sample import TrafficSample


def expand(
    manifests: Manifests,
    environment: Environment,
    live: LiveState,
    options: PlanOptions,
) -> DesiredState:
    """Return the rules that manifests define for an environment.

    Raises ManifestError, and UsageError for `only`.
    """
    aliases = resolve_aliases(manifests, environment.name)
    resolver = QueueResolver(environment.name, aliases, live.queues)
    desired = expand_checked(manifests, environment, resolver)
    if not options.only:
        return desired

    managed = classify_by_owner(live.rules, desired.owner).managed
    addresses = [*desired.rules, *managed]
    for selector in unmatched_selectors(options.only, addresses):
        hint = suggest(selector, [str(address) for address in addresses])
        raise UsageError(
            f"--only {selector}: no rule has that address. {hint}".rstrip()
        )
    return desired


@dataclass(frozen=True, slots=True, kw_only=True)
class Planner:
    """Plans one environment, again from each read of its tenant."""

    manifests: Manifests
    environment: Environment
    desired: DesiredState
    options: PlanOptions = field(default_factory=PlanOptions)
    sample: TrafficSample | None = None  # for shares of conversations
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    allowed: tuple[str, ...] = ()  # names of the guards to lift, for the `reason`
    reason: str = ""
    # the saved plan to apply: edits in CXone that it does not cover are held
    reviewed: ReviewedPlan | None = None
    # Returns findings instead of the lint: a plan that undoes a run does not depend on the
    # manifests.
    advise: Callable[[Assessed], Sequence[Finding]] | None = None
    findings: tuple[Finding, ...] = ()  # about the input, for every plan
    failed_tests: tuple[Finding, ...] = ()  # route tests that the manifests fail
    tests: tuple[CheckResult, ...] = ()  # the results of all route tests
    answers: Answers = field(default_factory=dict)  # to the conditions of steps
    # the rules that the journal wrote last; only a plan of what is due needs them
    written: Collection[Address] = ()

    def build(self, live: LiveState) -> Plan:
        """Return the plan after all stages."""
        return self.annotate(self.complete(self.find_changes(live)))

    def find_changes(self, live: LiveState) -> Changes:
        """Return the changes that make the live rules the desired ones; with the option `due`, only
        those that are due by a date alone.
        """
        settled = self.settle(live)
        options = self.options
        if options.due:
            options = replace(options, only=self._due_addresses(settled, live))
        fresh = find_changes(settled.desired, live, options, self.clock())
        if self.reviewed:
            fresh = hold_unreviewed_edits(fresh, self.reviewed)
        return hold_waiting_steps(fresh, settled.waiting)

    def _due_addresses(self, settled: SettledSteps, live: LiveState) -> tuple[str, ...]:
        """Return the addresses of what is due; none in a freeze, at whose end it is made."""
        if self.freeze():
            return ()
        everything = replace(self.options, due=False)
        changes = find_changes(settled.desired, live, everything, self.clock())
        return find_due_work(changes, self.environment, self.written)

    def settle(self, live: LiveState) -> SettledSteps:
        """Return the desired state with the step of each rule that the live rules and the answers
        allow; an undo has none.
        """
        if self.options.undo is not None:
            return SettledSteps(self.desired)
        return settle_steps(self.desired, live, self.answers)

    def complete(self, changes: Changes) -> Plan:
        """Return the plan of the changes: their calls in order, their effects on conversations, the
        results of the guards, and the consent that they need.
        """
        assessed = assess(schedule_steps(changes), self.sample)
        checked = check_guards(assessed, self.environment)
        lifted = lift_guards(checked, self.allowed, self.reason)
        return replace(lifted, consent=self._required_consent(assessed))

    def _required_consent(self, plan: Assessed) -> tuple[Consent, ...] | None:
        """Return whose consent a plan needs; None if no queue has owners."""
        owned = list_owned_queues(self.manifests, plan.environment, plan.live.queues)
        if not owned:
            return None
        behaviour = plan.behaviour
        if behaviour.rests_on and self._changes_context_types(plan.environment):
            # the change itself states the types: no proof
            behaviour = replace(behaviour, undecided=((),))
        return tuple(required_consent(behaviour, plan.queue_names, owned))

    def _changes_context_types(self, environment: str) -> bool:
        """Return whether the change of the manifests changes the endpoint's types of attributes."""
        base = self.manifests.before
        before = base.environments.get(environment) if base else None
        if base is None or before is None:
            return False
        stage_before = endpoint_stage(base, before.document)
        stage = endpoint_stage(self.manifests, self.environment)
        return stage_before.context_types != stage.context_types

    def annotate(self, plan: Plan) -> Plan:
        """Return the plan with findings for its reader."""
        # a plan of what is due is about now alone
        later = () if self.options.due else plan_later(plan, self.environment)
        edited = find_edited_dates(plan, self.manifests, self.environment)
        dated = replace(plan, later=later, edited_dates=edited)
        findings = [
            *(self.advise or self.lint)(plan),
            *warn_of_table(plan),
            *later_findings(dated),
        ]
        annotated = add_findings(add_findings(dated, findings), self.findings)
        acknowledged = acknowledge_findings(annotated, self.manifests, self.environment)
        return replace(
            acknowledged,
            failed_tests=self.failed_tests,
            watch=count_unwatched(plan, self.tests),
            consent=self._consent_until_later(dated),
        )

    def _consent_until_later(self, plan: Plan) -> tuple[Consent, ...] | None:
        """Return whose consent a plan needs, also for what its dates change later.

        An apply of a reviewed plan makes no later change. A change of manifests that edits no rule
        and no date needs none for what earlier changes have planned.
        """
        if plan.consent is None or not plan.later or self.reviewed is not None:
            return plan.consent
        if not plan.may_differ_later:
            return plan.consent
        later = (self._required_consent(change.plan) or () for change in plan.later)
        return join_consent([plan.consent, *later])

    def freeze(self) -> str:
        """Return why the environment is frozen now; empty if it is not."""
        calendar = self.desired.calendar
        since = calendar.interval.start if calendar else None
        return freeze_reason(self.environment, self.clock(), self.allowed, since)

    def lint(self, plan: Assessed) -> Sequence[Finding]:
        """Return the lint's findings about the desired rules with the unmanaged live rules."""
        adopted = {
            change.live.id for change in plan.changes if isinstance(change, Adopt)
        }
        entries = unmanaged_entries(plan.live.rules, plan.desired)
        unmanaged = [entry for entry in entries if entry.id not in adopted]
        count = len(plan.desired.rules) + len(plan.live.rules)
        work = plan_lint_work(count, plan.behaviour.work)
        view = LintView(
            plan.desired,
            unmanaged,
            self.manifests,
            self.environment,
            plan.queue_names,
        )
        found = lint_now(lint(view, work // 2), plan.desired)
        return (*found, *check_dates(view))


def read_live_file(path: str) -> LiveState:
    """Return the live rules and queues of a JSON file. Raises UsageError."""
    export = read_rules_file(path)
    queues = tuple(Queue(*pair) for pair in sorted(export.queues.items()))
    return LiveState(export.rules, queues)


async def read_live(client: LiveSource) -> LiveState:
    """Return every rule and queue of a tenant. Raises ApiError."""
    return LiveState(
        rules=await client.rules(),
        queues=await client.queues(),
        last_save=await client.last_save(),
        settings=await client.table_settings(),
    )


def planner_for(
    manifests: Manifests,
    environment: Environment,
    live: LiveState,
    options: PlanOptions | None = None,
) -> Planner:
    """Return the planner for an environment with the queues of `live`.

    Raises ManifestError and UsageError.
    """
    chosen = options or PlanOptions(prune=environment.prune)
    if manifests.instant is None:
        instant = chosen.at or datetime.now(UTC)
        manifests = replace(manifests, instant=instant)
    desired = expand(manifests, environment, live, chosen)
    return Planner(
        manifests=manifests, environment=environment, desired=desired, options=chosen
    )


def build_plan(
    manifests: Manifests,
    environment: Environment,
    live: LiveState,
    options: PlanOptions | None = None,
) -> Plan:
    """Return the plan after all stages. Raises ManifestError and UsageError."""
    return planner_for(manifests, environment, live, options).build(live)


def explain(
    plan: Plan, environment: Environment, conversation: Mapping[str, str | int | float]
) -> Explanation:
    """Return the desired rule that takes a conversation, and why earlier ones do not; names are
    those of the API.
    """
    return explain_entries(
        desired_entries(plan.desired), conversation, environment, plan.desired.endpoint
    )


def _is_within_review(reviewed: ReviewedPlan, plan: Changes) -> bool:
    impact = measure_impact(plan)
    return not unreviewed_regions(impact, plan.queue_names, reviewed)


async def apply_plan(
    plan: Plan,
    planner: Planner,
    client: LiveSource,
    recorder: StepRecorder | None = None,
    stopped: Callable[[], bool] = lambda: False,
    run_blocking: BlockingRunner = run_inline,
) -> ApplyReport:
    """Make the plan's changes and read again to prove them.

    `client` is the source that the plan's target opens with "write". Raises RefusedError and
    ApiError before the first write.
    """
    reviewed = planner.reviewed
    is_within_review: Callable[[Changes], bool] | None = None
    if reviewed:
        is_within_review = partial(_is_within_review, reviewed)
    api = planner.environment.api
    settings = ApplySettings(
        recorder=recorder or StepRecorder(),
        accepts=matches_review if reviewed else matches_intent,
        should_stop=stopped,
        concurrency=api.concurrency,
        lag=api.list_lag_seconds,
        names_unique=api.names_unique,
        is_within_review=is_within_review,
        run_blocking=run_blocking,
    )
    if plan.desired.form.switches == "whole table":
        return await apply_to_table(plan, cast("RuleTable", client), planner, settings)
    return await apply_changes(plan, cast("RuleStore", client), planner, settings)
