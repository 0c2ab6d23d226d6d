"""From options to a plan: which manifests, which environment, one read of everything, and what differs."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from reconciler.apply.settings import BlockingRunner, run_inline
from reconciler.checks.acknowledgements import (
    LIVE_CODES,
    RULE_CODES,
    apply_acknowledgements,
    collect_acknowledgements,
    report_unused,
)
from reconciler.checks.lint import is_complete, lint, plan_lint_work
from reconciler.cli.environments.choose import SIMULATED, choose, chosen_name, expected_queues, utc_now
from reconciler.cli.output import Bar, Output
from reconciler.cli.route_tests import check, failures
from reconciler.desired.desired import DesiredState, expand_manifests
from reconciler.desired.queues import QueueResolver, resolve_aliases
from reconciler.errors import ApiError, ManifestError, UsageError
from reconciler.manifest.kinds.environment import SANDBOX, Environment
from reconciler.manifest.load import Manifests, load_environment, load_manifests
from reconciler.model.change import Adopt
from reconciler.plan.guards import check_guards, freeze_reason, lift_guards
from reconciler.plan.options import PlanOptions, unmatched_selectors
from reconciler.plan.ownership import classify_by_owner
from reconciler.plan.plan import LiveState, Plan, add_findings, build_plan, replace_findings
from reconciler.plan.routing_table import live_entries
from reconciler.plan.schedule import predict_impact, schedule_steps
from reconciler.render.impact import ALL_ROWS, MAX_SHOWN
from reconciler.text.suggest import suggest
from reconciler.traffic.sample import TrafficSample, declared_traffic, load_traffic

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable
    from datetime import datetime

    from reconciler.cli.live_file import LiveFile
    from reconciler.cli.undo import Undoing
    from reconciler.cxone.client import ReadingClient
    from reconciler.model.finding import Finding
    from reconciler.model.live import LiveRule


DEFAULT: Final = "manifests"


class Planner(NamedTuple):
    """Plans from rules just read: `bare`, what differs; `guarded`, with its order, who is affected, and the guards.

    `told` adds what a reader is to know of it: that is for people, and no part of what guards look at. `frozen` says
    why nothing may be written at this moment, where a freeze is open.
    """

    bare: Callable[[tuple[LiveRule, ...]], Plan]
    guarded: Callable[[Plan], Plan]
    told: Callable[[Plan], Plan]
    frozen: Callable[[], str]

    def plan(self, rules: tuple[LiveRule, ...]) -> Plan:
        """Return the whole plan."""
        return self.told(self.guarded(self.bare(rules)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """One command's manifests, environment, options of planning, clock, and where it prints."""

    manifests: Manifests
    environment: Environment
    options: PlanOptions
    output: Output
    clock: Callable[[], datetime]
    bar: Bar
    directory: str
    """Where the manifests are, as it was typed."""
    sample: TrafficSample | None = None
    """The traffic sample for shares of conversations, where there is one."""
    thinking: BlockingRunner = run_inline
    """Does what takes long and waits for nobody."""
    which: tuple[str, ...] = ()
    """How several environments were asked for; none where it is this one."""
    undoing: Undoing | None = None
    """The run that is to be undone, in place of what the manifests want."""
    file: LiveFile | None = None
    """What is live by a file, in place of the tenant."""
    failed_tests: tuple[Finding, ...] = ()
    """The route tests that fail, for the plan to show."""

    @property
    def simulated(self) -> bool:
        """Say whether no tenant is contacted at all."""
        return self.environment.name == SANDBOX

    @property
    def tenant(self) -> str:
        """Return what people call the tenant."""
        if self.file:
            return f"live rules by {self.file.name}"
        return "simulated" if self.simulated else f"tenant {self.environment.tenant or self.environment.host}"

    @property
    def most(self) -> int:
        """Return how many cases of who is affected text shows: with -v all, exactly."""
        return ALL_ROWS if self.output.loudness == "verbose" else MAX_SHOWN

    def command(self, name: str, *more: str) -> str:
        """Return a command as a person types it to go on with just this: the same manifests, environment, choice."""
        words = ["cxroute", *([] if self.directory == DEFAULT else ["-m", self.directory]), name]
        words += self.which or ("-e", self.environment.name)
        words += [word for address in self.options.only for word in ("--only", address)]
        words += ["--adopt"] * self.options.adopt + ["--keep-drift"] * self.options.keep_drift
        words += ["--traffic", self.options.traffic] if self.options.traffic else []
        words += self.undoing.words if self.undoing else []
        return shlex.join([*words, *more])

    def saved_command(self, plan: str, *more: str) -> str:
        """Return the command that applies a saved plan, which says itself what it is about."""
        directory = [] if self.directory == DEFAULT else ["-m", self.directory]
        journal = self.undoing.journal if self.undoing else None
        return shlex.join(["cxroute", *directory, "apply", plan, *(["--journal", journal] if journal else []), *more])

    def planning(self, options: PlanOptions) -> Session:
        """Return the session with other options of planning."""
        return replace(self, options=options)

    @property
    def banner(self) -> str:
        """Return what is to be said first of all, where no tenant was contacted."""
        return self.file.head if self.file else SIMULATED if self.simulated else ""

    def introduce(self) -> None:
        """Say first of all, where it is so, that nothing is real."""
        if self.output.form == "text":
            self.output.result(self.banner)

    def brief(self, made: Plan) -> Plan:
        """Return the plan as text shows it: what is merely worth knowing is left to -v."""
        if self.output.loudness == "verbose":
            return made
        return replace(made, findings=tuple(finding for finding in made.findings if finding.severity != "info"))

    def desired(self, live: LiveState) -> DesiredState:
        """Return what the manifests want, its queues found among the live ones. Raises ManifestError."""
        name = self.environment.name
        desired = expand_manifests(
            self.manifests, self.environment, QueueResolver(name, resolve_aliases(self.manifests, name), live.queues)
        )
        known = [*desired.rules, *classify_by_owner(live.rules, desired.owner).managed] if self.options.only else ()
        for selector in unmatched_selectors(self.options.only, known) if self.options.only else ():
            hint = suggest(selector, [str(address) for address in known])
            raise UsageError(f"--only {selector}: no rule has that address. {hint}".rstrip())
        return desired

    def tested(self) -> Session:
        """Return the session with the route tests that fail, offline. Raises ManifestError where rules are wrong.

        The tests are about what the manifests want, and so do not keep anyone from undoing a run.
        """
        if self.options.undo is not None or not any(loaded.document.tests for loaded in self.manifests.route_tests):
            return self
        checked = check(self.manifests, self.environment)
        if wrong := [one for one in checked.findings if one.severity == "error"]:
            raise ManifestError(wrong)
        return replace(self, failed_tests=tuple(failures([checked], self.directory)))

    def verify(self) -> None:
        """Raise ManifestError where a route test fails. Apply does so before it reads: no tenant is needed for that."""
        if failed := self.tested().failed_tests:
            raise ManifestError(failed)

    def planner(self, live: LiveState, allowed: tuple[str, ...] = (), reason: str = "") -> Planner:
        """Return what makes a plan from rules just read; the queues are those of `live`."""
        if self.options.undo is not None and self.undoing is None:
            raise UsageError("a run is undone in one environment at a time: say -e with its name")
        desired, told = self.undoing.aim(self, live) if self.undoing else (self.desired(live), self.advised)

        def bare(rules: tuple[LiveRule, ...]) -> Plan:
            return build_plan(desired, replace(live, rules=rules), self.options, self.clock())

        def guarded(made: Plan) -> Plan:
            return lift_guards(
                check_guards(predict_impact(schedule_steps(made), self.sample), self.environment), allowed, reason
            )

        def everything(made: Plan) -> Plan:
            found = add_findings(told(made), [self.file.finding] if self.file else ())
            return replace(self.acknowledged(found), failed_tests=self.failed_tests)

        return Planner(bare, guarded, everything, lambda: freeze_reason(self.environment, self.clock(), allowed))

    def advised(self, made: Plan) -> Plan:
        """Return the plan with what the lint says of the desired rules beside those that are not managed."""
        adopted = {change.live.id for change in made.changes if isinstance(change, Adopt)}
        others = [
            entry
            for entry in live_entries(made.live.rules, made.desired)
            if entry.address is None and entry.id not in adopted
        ]
        work = plan_lint_work(
            len(made.desired.rules) + len(made.live.rules), made.behaviour.work if made.behaviour else 0
        )
        found = lint(made.desired, others, self.manifests, self.environment, made.queue_names, work // 2)
        return add_findings(made, found)

    def acknowledged(self, made: Plan) -> Plan:
        """Return the plan with the findings that the manifests accept apart, and with what they accept in vain.

        Where only some rules are looked at, or a run is undone, other findings may exist: nothing is in vain.
        """
        accepted = collect_acknowledgements(self.manifests, self.environment, made.desired)
        if not accepted:
            return made
        findings, idle = apply_acknowledgements(made.findings, accepted)
        if idle and not self.options.only and self.options.undo is None:
            # What the live rules hide exists in the manifests, where `validate` says it.
            work = (
                plan_lint_work(len(made.desired.rules), 0) // 2
            )  # the other half is for the lint beside the live rules
            alone = lint(made.desired, (), self.manifests, self.environment, made.queue_names, work)
            idle = apply_acknowledgements(alone, idle)[1]
            known = RULE_CODES | LIVE_CODES if is_complete((*findings, *alone)) else LIVE_CODES
            findings += report_unused(one for one in idle if one.code in known)
        return replace_findings(made, findings)

    async def read(self, client: ReadingClient) -> LiveState:
        """Read every rule and queue. Where that fails, an error in the manifests is said first."""
        try:
            # The token is fetched by the first call; the others wait for it.
            live = LiveState(rules=await client.rules(), queues=await client.queues())
        except ApiError:
            expected_queues(self.manifests, self.environment.name)
            raise
        finally:
            self.bar.end()
        asked = f"{client.rate_limiter.requests} requests, {client.rate_limiter.retries} of them repeated"
        self.output.detail(f"Read {len(live.rules):,} rules and {len(live.queues):,} queues: {asked}.")
        return live


def open_session(
    options: argparse.Namespace, output: Output, environment: str | None = None, undo: str | None = None
) -> Session:
    """Load the manifests and choose the environment. Raises ManifestError and UsageError.

    To undo a run the Environment is enough: errors elsewhere are told in the plan.
    """
    name = environment or options.environment
    try:
        manifests = load_manifests(Path(options.manifests))
    except ManifestError:
        if undo is None and getattr(options, "undo", None) is None:
            raise
        manifests = load_environment(Path(options.manifests), chosen_name(name))
    return session_in(manifests, options, output, name)


def session_in(manifests: Manifests, options: argparse.Namespace, output: Output, environment: str | None) -> Session:
    """Choose the environment. Raises ManifestError and UsageError."""
    chosen = choose(manifests, environment)
    prune = chosen.prune and not getattr(options, "no_prune", False)
    planning = PlanOptions(
        only=tuple(getattr(options, "only", None) or ()),
        adopt=getattr(options, "adopt", False),
        keep_drift=getattr(options, "keep_drift", False),
        prune=prune,
        traffic=getattr(options, "traffic", None),
        undo=getattr(options, "undo", None),
    )
    sample = _sample(manifests, chosen, options) if hasattr(options, "traffic") else None
    return Session(
        manifests=manifests,
        environment=chosen,
        options=planning,
        output=output,
        clock=utc_now,
        bar=Bar(output),
        directory=options.manifests,
        sample=sample,
    )


def _sample(manifests: Manifests, chosen: Environment, options: argparse.Namespace) -> TrafficSample | None:
    """Read the traffic sample that the command names, else the Environment's. Raises UsageError and ManifestError."""
    if options.traffic:
        return load_traffic(options.traffic, chosen.attributes)
    loaded = manifests.environments.get(chosen.name)
    return declared_traffic(loaded, Path(options.manifests)) if loaded else None
