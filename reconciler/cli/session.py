"""From options to a plan: which manifests, which environment, one read of everything, and what differs."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from reconciler.apply.settings import Thinking, at_once
from reconciler.cli.environments.choose import SIMULATED, choose, chosen_name, expected_queues, utc_now
from reconciler.cli.output import Bar, Output
from reconciler.cli.route_tests import check, failures
from reconciler.errors import ApiError, ManifestError, UsageError
from reconciler.manifest.kinds.environment import SANDBOX, Environment
from reconciler.manifest.load import Manifests, load, load_environment
from reconciler.pipeline import Planner, expand
from reconciler.plan.options import Options
from reconciler.plan.plan import Live, Plan
from reconciler.render.impact import EVERYTHING, MOST_SHOWN
from reconciler.traffic.sample import Sample, declared_traffic, load_traffic

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable
    from datetime import datetime

    from reconciler.cli.live_file import LiveFile
    from reconciler.cli.undo import Undoing
    from reconciler.cxone.client import ReadingClient
    from reconciler.model.finding import Finding


DEFAULT: Final = "manifests"


@dataclass(frozen=True, slots=True)
class Session:
    """One command's manifests, environment, options of planning, clock, and where it prints."""

    manifests: Manifests
    environment: Environment
    options: Options
    output: Output
    clock: Callable[[], datetime]
    bar: Bar
    directory: str
    """Where the manifests are, as it was typed."""
    sample: Sample | None = None
    """The traffic sample for shares of conversations, where there is one."""
    thinking: Thinking = at_once
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
    def address(self) -> str:
        """Return the address of the tenant; empty for the sandbox."""
        return "" if self.simulated else self.environment.address

    @property
    def tenant(self) -> str:
        """Return what people call the tenant."""
        if self.file:
            return f"live rules by {self.file.name}"
        return "simulated" if self.simulated else f"tenant {self.environment.tenant or self.environment.host}"

    @property
    def most(self) -> int:
        """Return how many cases of who is affected text shows: with -v all, exactly."""
        return EVERYTHING if self.output.loudness == "verbose" else MOST_SHOWN

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

    def planning(self, options: Options) -> Session:
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

    def planner(self, live: Live, allowed: tuple[str, ...] = (), reason: str = "") -> Planner:
        """Return the planner for a tenant whose queues are those of `live`. Raises ManifestError and UsageError."""
        if self.options.undo is not None and self.undoing is None:
            raise UsageError("a run is undone in one environment at a time: say -e with its name")
        if self.undoing:
            desired, advise = self.undoing.aim(self, live)
        else:
            desired, advise = expand(self.manifests, self.environment, live, self.options), None
        return Planner(
            manifests=self.manifests,
            environment=self.environment,
            desired=desired,
            options=self.options,
            sample=self.sample,
            clock=self.clock,
            allowed=allowed,
            reason=reason,
            advise=advise,
            findings=(self.file.finding,) if self.file else (),
            failed_tests=self.failed_tests,
        )

    async def read(self, client: ReadingClient) -> Live:
        """Read every rule and queue. Where that fails, an error in the manifests is said first."""
        try:
            # The token is fetched by the first call; the others wait for it.
            live = Live(rules=await client.rules(), queues=await client.queues())
        except ApiError:
            expected_queues(self.manifests, self.environment.name)
            raise
        finally:
            self.bar.end()
        asked = f"{client.pacer.requests} requests, {client.pacer.retries} of them repeated"
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
        manifests = load(Path(options.manifests))
    except ManifestError:
        if undo is None and getattr(options, "undo", None) is None:
            raise
        manifests = load_environment(Path(options.manifests), chosen_name(name))
    return session_in(manifests, options, output, name)


def session_in(manifests: Manifests, options: argparse.Namespace, output: Output, environment: str | None) -> Session:
    """Choose the environment. Raises ManifestError and UsageError."""
    chosen = choose(manifests, environment)
    prune = chosen.prune and not getattr(options, "no_prune", False)
    planning = Options(
        only=tuple(getattr(options, "only", None) or ()),
        adopt=getattr(options, "adopt", False),
        keep_drift=getattr(options, "keep_drift", False),
        prune=prune,
        traffic=getattr(options, "traffic", None),
        undo=getattr(options, "undo", None),
    )
    sample = _sample(manifests, chosen, options) if hasattr(options, "traffic") else None
    return Session(manifests, chosen, planning, output, utc_now, Bar(output), options.manifests, sample)


def _sample(manifests: Manifests, chosen: Environment, options: argparse.Namespace) -> Sample | None:
    """Read the traffic sample that the command names, else the Environment's. Raises UsageError and ManifestError."""
    if options.traffic:
        return load_traffic(options.traffic, chosen.attributes)
    loaded = manifests.environments.get(chosen.name)
    return declared_traffic(loaded, Path(options.manifests)) if loaded else None
