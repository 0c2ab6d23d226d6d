"""One simulated tenant, any number of appliers on it, and planned accidents: all in process, all
from one seed.

Transport, clock, sleep, random numbers and ids come from here, so that the same case gives the same
run. It runs the real code: the real client, plan, guards and apply, and the simulator's API behind
a transport.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from random import Random

import httpx

from reconciler.cli.commands.apply import exit_code
from reconciler.core.apply.attempt import Attempt
from reconciler.core.apply.loop import apply_changes
from reconciler.core.apply.progress import ApplyReport, matches_intent, matches_review
from reconciler.core.apply.settings import ApplySettings, StepRecorder
from reconciler.core.desired.desired import DesiredState
from reconciler.core.errors import CxrouteError, RefusedError
from reconciler.core.manifest.kinds.environment import Environment
from reconciler.core.manifest.load import Manifests
from reconciler.core.model.change import PlanStep
from reconciler.core.pipeline import Planner
from reconciler.core.plan.assess import measure_impact
from reconciler.core.plan.document import plan_to_json
from reconciler.core.plan.guards import guard_refusals
from reconciler.core.plan.review import (
    ReviewedPlan,
    read_saved_plan,
    refuse_unreviewed,
    unreviewed_regions,
)
from reconciler.core.plan.stages import Changes, LiveState, Plan, PlanOptions
from reconciler.features.practice.simulator.api import SimulatorApi
from reconciler.features.practice.simulator.faults.injector import FaultInjector
from reconciler.features.practice.simulator.messages import (
    DeliveryMode,
    SimRequest,
    SimResponse,
)
from reconciler.features.practice.simulator.state import TenantState
from reconciler.targets.platform.settings import ClientCredentials
from reconciler.targets.platform.transport.httpx_transport import transport_over
from reconciler.targets.rules_api.client import WritingClient
from tests.campaign.profiles import PROFILES
from tests.campaign.scenario import Scenario
from tests.support.builders import NOW
from tests.support.fake_clock import FakeClock
from tests.support.simulated import AS_HTTPX

SECRET = "canary-s3cret/+="


class Killed(BaseException):
    """The process has ended: none of its code runs any more, and none of its requests is sent."""


@dataclass(slots=True)
class Event:
    """One request of one applier, as the server saw it.

    `number` counts the requests of that applier from 1.
    """

    actor: str
    number: int
    request: SimRequest
    at: float
    answer: SimResponse | None = None
    """The response; None without a usable one (so far)."""
    lost: bool = False
    """The response was lost: reset, time-out, process death."""


@dataclass(slots=True)
class ApplierResult:
    """The end of an applier's run."""

    exit_code: int
    report: ApplyReport | None = None
    planned: Plan | None = None
    error: str = ""


Hook = Callable[[Event], Awaitable[None]]
"""The action at a request: it may raise Killed, run another applier, or edit the tenant as a user
does."""


class ObservedTenant:
    """A tenant of one profile, its clock, and all its requests.

    `observers` get each event before it is processed (`asked`) and after (`answered`);
    `state.watchers` get each state. `actor` is the sender of the current request, `late` for a
    delayed one, else `human`.
    """

    def __init__(self, scenario: Scenario, profile: str, seed: int) -> None:
        """Start the scenario's tenant as a server of that profile."""
        self.profile = PROFILES[profile]
        self.random = Random(seed)
        self.fake_clock = FakeClock(random=self.random.random)
        self.jump = 0.0
        """The seconds by which the time of day has jumped, for the server and the tool."""
        passing = self.fake_clock.time
        self.fake_clock.time = replace(
            passing, now=lambda: passing.now() + timedelta(seconds=self.jump)
        )
        self.unmarked: dict[str, str] = {}
        """Markers that a user removed, by the rule's id."""
        self.ids = (f"new-{number:04d}" for number in range(1, 1_000_000))
        settings = replace(
            self.profile.settings,
            clock=self.clock,
            sleep=self.fake_clock.sleep,
            new_id=lambda: next(self.ids),
        )
        self.state = TenantState(queues=scenario.queues, rules=scenario.rules)
        self.api = SimulatorApi(self.state, settings)
        self.faults: FaultInjector | None = None
        self.actor = "human"
        self.events: list[Event] = []
        self.asked: list[Callable[[Event], object]] = []
        self.answered: list[Callable[[Event], object]] = []
        self.appliers: dict[str, Applier] = {}
        """The appliers that ran, by name: the newest of each."""
        self.said: list[str] = []
        """All texts of a run: errors, recorded steps, outcomes."""

    def clock(self) -> float:
        """Return the time of day of the server, in seconds since 1970."""
        return NOW.timestamp() + self.fake_clock.seconds + self.jump

    def serve(self, event: Event) -> SimResponse:
        """Process a request on the tenant, with faults."""
        self.actor = event.actor
        try:
            self.state.requests.append(event.request)
            faults = self.faults
            return (
                self.api.handle(event.request)
                if faults is None
                else faults.handle(event.request, self.api)
            )
        finally:
            self.actor = "human"


class ObservedTransport(httpx.AsyncBaseTransport):
    """An applier's connection to the tenant.

    `before` and `after` are the actions at its requests, by number.
    """

    def __init__(
        self,
        world: ObservedTenant,
        actor: str,
        before: Hook | None = None,
        after: Hook | None = None,
    ) -> None:
        self.world, self.actor = world, actor
        self.before, self.after = before, after
        self.sent = 0
        self.dead = False

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request to the tenant; a lost response is raised as the network would."""
        if self.dead:
            raise Killed
        self.sent += 1
        body = await request.aread()
        event = Event(
            self.actor,
            self.sent,
            sim_request(request, body),
            self.world.fake_clock.seconds,
        )
        try:
            return await self._ask(event, request)
        except Killed:
            self.dead = event.lost = True
            raise

    async def _ask(self, event: Event, request: httpx.Request) -> httpx.Response:
        if self.before is not None:
            await self.before(event)
        self.world.events.append(event)
        for tell in self.world.asked:
            tell(event)
        answer = self.world.serve(event)
        event.answer, event.lost = (
            answer,
            answer.delivery not in (DeliveryMode.COMPLETE, DeliveryMode.DRIPPING),
        )
        try:
            if self.after is not None:
                await self.after(event)
            return await self._delivered(event, answer, request)
        finally:
            for tell in self.world.answered:
                tell(event)

    async def _delivered(
        self, event: Event, answer: SimResponse, request: httpx.Request
    ) -> httpx.Response:
        if event.lost:
            raise AS_HTTPX[answer.delivery](answer.delivery.value, request=request)
        if answer.delivery is DeliveryMode.DRIPPING:
            # no client waits longer than slightly beyond it
            patience = self.world.profile.tenant.timeout_seconds
            await self.world.fake_clock.sleep(
                min(answer.byte_pause * len(answer.body), patience + 0.001)
            )
        event.request.status = answer.status
        headers = [*answer.headers, ("content-length", str(len(answer.body)))]
        return httpx.Response(
            answer.status,
            headers=headers,
            stream=httpx.ByteStream(answer.body),
            request=request,
        )


@dataclass
class Applier:
    """One process of the tool: the work of `cxroute apply --yes`, from the first read to its exit
    code.
    """

    world: ObservedTenant
    desired: DesiredState
    environment: Environment
    name: str = "a"
    options: PlanOptions = field(default_factory=PlanOptions)
    allow: tuple[str, ...] = ()
    reviewed: ReviewedPlan | None = None
    """A saved plan: then only its changes are done."""
    before: Hook | None = None
    after: Hook | None = None
    stopped: Callable[[], bool] = lambda: False
    line: ObservedTransport = field(init=False)

    def client(self) -> WritingClient:
        """Return a new client: a process has its own tokens, budget and rate."""
        self.world.appliers[self.name] = self
        self.line = ObservedTransport(self.world, self.name, self.before, self.after)
        return WritingClient(
            transport_over(self.line),
            self.world.profile.tenant,
            ClientCredentials(client_id="id", client_secret=SECRET),
            self.world.fake_clock.time,
        )

    @property
    def planner(self) -> Planner:
        """Plans from freshly read rules; with a saved plan, other changes are held back."""
        return Planner(
            manifests=Manifests(
                environments={}, queues=(), rulesets=(), intents=(), route_tests=()
            ),
            environment=self.environment,
            desired=self.desired,
            options=self.options,
            clock=lambda: NOW + timedelta(minutes=1),
            allowed=self.allow,
            reason="campaign",
            reviewed=self.reviewed,
        )

    def is_within(self, fresh: Changes) -> bool:
        """Return whether a plan moves nothing that the saved one does not move."""
        assert self.reviewed
        impact = measure_impact(fresh)
        return not unreviewed_regions(impact, fresh.queue_names, self.reviewed)

    async def saved(self) -> ReviewedPlan:
        """Do the work of `cxroute plan --out`, and read the file back."""
        return read_saved_plan(json.dumps(plan_to_json(await self.plan())), "plan.json")

    async def plan(self) -> Plan:
        """Do the work of `cxroute plan`."""
        client = self.client()
        live, planner = (
            LiveState(await client.rules(), await client.queues()),
            self.planner,
        )
        return planner.complete(planner.find_changes(live))

    async def run(self) -> ApplierResult:
        """Do the work of `cxroute apply`; an error ends it with its exit code.

        Killed passes through.
        """
        try:
            ended = await self._run()
        except CxrouteError as error:
            ended = ApplierResult(error.exit_code, error=str(error))
        self.world.said.append(
            repr(
                (
                    ended.error,
                    ended.report and (ended.report.error, ended.report.outcomes),
                )
            )
        )
        return ended

    async def _run(self) -> ApplierResult:
        client = self.client()
        live, planner = (
            LiveState(await client.rules(), await client.queues()),
            self.planner,
        )
        created = planner.complete(planner.find_changes(live))
        if self.reviewed:
            refuse_unreviewed(created, self.reviewed, "plan")
        if created.conflicts or guard_refusals(created):
            raise RefusedError(
                "; ".join(
                    [
                        *(conflict.message for conflict in created.conflicts),
                        *(refusal.message for refusal in guard_refusals(created)),
                    ]
                )
            )
        if not created.changes:
            return ApplierResult(0, planned=created)
        admit = matches_review if self.reviewed else matches_intent
        conduct = ApplySettings(
            recorder=RecordedLines(self.world.said),
            accepts=admit,
            sleep=self.world.fake_clock.sleep,
            should_stop=self.stopped,
            concurrency=self.world.profile.concurrency,
            lag=self.world.profile.list_lag_seconds,
            is_within_review=self.is_within if self.reviewed else None,
        )
        report = await apply_changes(created, client, planner, conduct)
        return ApplierResult(exit_code(report), report, created)


@dataclass
class RecordedLines(StepRecorder):
    """A recorder that stores the entries of a journal."""

    said: list[str]

    def intend(self, step: PlanStep) -> None:
        """Record the next write."""
        self.said.append(f"intend {step.kind} {step.call} {step.change.address}")

    def tried(self, step: PlanStep, result: Attempt) -> None:
        """Record the result of a write."""
        self.said.append(
            f"tried {step.kind} {step.call} {step.change.address}: {result}"
        )


def run(applier: Applier) -> ApplierResult | None:
    """Run one applier to its end; None if it was killed."""

    async def alone() -> ApplierResult | None:
        try:
            return await applier.run()
        except Killed:
            return None

    return asyncio.run(alone())


def sim_request(request: httpx.Request, body: bytes) -> SimRequest:
    """Return the request as the simulator receives it."""
    return SimRequest(
        method=request.method,
        path=request.url.raw_path.partition(b"?")[0].decode("latin-1"),
        query=request.url.query.decode("latin-1"),
        headers={
            name.decode("latin-1").lower(): value.decode("latin-1")
            for name, value in request.headers.raw
        },
        body=body,
    )
