"""A simulated tenant with a Studio script, and runs of the real `apply` on it: in process, with a
clock of its own.
"""

from __future__ import annotations

import asyncio
import json
import zlib
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import cache, partial
from random import Random
from typing import Any, Final
from unittest.mock import patch

import httpx

from reconciler.cli.commands.apply import exit_code
from reconciler.cli.session import Cancellation
from reconciler.core import pipeline
from reconciler.core.apply.attempt import Attempt, Verdict
from reconciler.core.apply.progress import ApplyReport
from reconciler.core.apply.settings import ApplySettings, StepRecorder
from reconciler.core.errors import CxrouteError, InterruptedRunError, RefusedError
from reconciler.core.manifest.load import Manifests
from reconciler.core.model.change import PlanStep
from reconciler.core.pipeline import Planner
from reconciler.core.plan.document import plan_to_json
from reconciler.core.plan.guards import GUARD_NAMES, guard_refusals
from reconciler.core.plan.review import ReviewedPlan, read_saved_plan, refuse_unreviewed
from reconciler.core.plan.stages import Plan
from reconciler.features.practice.simulator.api import SimulatorApi
from reconciler.features.practice.simulator.faults.injector import FaultInjector
from reconciler.features.practice.simulator.messages import (
    DeliveryMode,
    SimRequest,
    SimResponse,
)
from reconciler.features.practice.simulator.settings import SimulatorSettings
from reconciler.features.practice.simulator.snippet import SimDialect
from reconciler.features.practice.simulator.state import TenantState
from reconciler.targets.platform.connect import tenant_settings
from reconciler.targets.platform.settings import ClientCredentials
from reconciler.targets.platform.transport.httpx_transport import transport_over
from reconciler.targets.studio.client import StudioClient
from reconciler.targets.studio.place import studio_script
from tests.campaign.studio_scenarios import (
    SCENARIOS,
    SCRIPT,
    SKILLS,
    StudioScenario,
    manifests,
)
from tests.campaign.world import Killed, sim_request
from tests.support import canary_secrets as canary
from tests.support.builders import NOW
from tests.support.fake_clock import FakeClock
from tests.support.simulated import AS_HTTPX

USERS: Final = {
    key: f"API user {zlib.crc32(key.encode()):08x}" for key in ("key-a", "key-b")
}
"""The names of the keys at the simulated tenant."""
PERSON: Final = "Kim Lee"
INTERRUPTED: Final = "interrupted"
DIALECTS: Final = (
    SimDialect(),
    SimDialect(
        case_sensitive=True,
        trims_blanks=True,
        digit_text_is_number=False,
        mixed_is_zero=True,
    ),
)


@dataclass(slots=True)
class StudioCall:
    """One request of one run, as the server saw it.

    `number` counts the requests of that run from 1.
    """

    run: StudioRun
    number: int
    request: SimRequest
    response: SimResponse | None = None
    is_lost: bool = False
    """Its response did not arrive in full."""
    code: str = ""
    """The code in the response to a read; empty without one."""

    @property
    def is_save(self) -> bool:
        """Whether it saves a script."""
        return self.request.method == "POST" and self.request.path.endswith("/scripts")

    @property
    def is_read(self) -> bool:
        """Whether it reads the script."""
        return self.request.method == "GET" and self.request.path.endswith("/scripts")

    def is_lock(self, state: str) -> bool:
        """Return whether it locks (`true`), or unlocks (`false`)."""
        return (
            self.request.method == "PUT" and f"lockScript={state}" in self.request.query
        )

    @property
    def is_answered(self) -> bool:
        """Whether a success arrived."""
        return (
            self.response is not None
            and not self.is_lost
            and self.response.status in (200, 206)
        )


Hook = Callable[[StudioCall], Awaitable[SimResponse | None]]
"""What happens at a request: it may raise Killed, edit the script, or respond in place of the
tenant."""


class StudioWorld:
    """A tenant with one script.

    `watchers` get each call before (`sending`) and after (`heard`) it is processed.
    """

    def __init__(
        self, scenario: StudioScenario, *, binds: bool = False, seed: int = 1
    ) -> None:
        self.scenario, self.binds = scenario, binds
        self.clock = FakeClock(random=Random(seed).random)
        self.clock.time = replace(
            self.clock.time, now=lambda: NOW + timedelta(seconds=self.clock.seconds)
        )
        self.ids = (f"{number}" for number in range(7_000_000, 8_000_000))
        settings = SimulatorSettings(
            locks_bind=binds,
            clock=self.now,
            sleep=self.clock.sleep,
            new_id=lambda: next(self.ids),
            issuer="https://cxone.niceincontact.com",
        )
        self.state = TenantState(
            queues=[{"id": number, "name": name} for number, name in SKILLS.items()]
        )
        self.state.save_script(
            SCRIPT, scenario.content, PERSON, self.now(), next(self.ids)
        )
        self.api = SimulatorApi(self.state, settings)
        self.faults: FaultInjector | None = None
        self.calls: list[StudioCall] = []
        self.sending: list[Callable[[StudioCall], object]] = []
        self.heard: list[Callable[[StudioCall], object]] = []
        self.outputs: list[str] = []
        """All texts of all runs."""

    def now(self) -> float:
        """Return the server's time."""
        return NOW.timestamp() + self.clock.seconds

    def serve(self, request: SimRequest) -> SimResponse:
        """Process a request on the tenant, with faults."""
        faults = self.faults
        return (
            self.api.handle(request)
            if faults is None
            else faults.handle(request, self.api)
        )

    @property
    def current(self) -> tuple[str, dict[str, Any]]:
        """The id and the version that runs."""
        identity = self.state.current_script(SCRIPT)
        return identity, self.state.scripts[identity]

    @property
    def holder(self) -> str:
        """Who has the lock; empty without a lock."""
        return str(self.current[1]["lock"].get("lockedName", ""))

    def save_as_person(self, edit: Callable[[dict[str, Any]], dict[str, Any]]) -> bool:
        """Save the script as a person does; return False if a lock that binds is another's."""
        if self.binds and self.holder not in ("", PERSON):
            return False
        self.state.save_script(
            SCRIPT, edit(self.current[1]["content"]), PERSON, self.now(), next(self.ids)
        )
        return True

    def lock_as_person(self) -> bool:
        """Take the lock, if it is free."""
        if self.holder:
            return False
        self.state.lock_script(SCRIPT, PERSON, self.now())
        return True


class ObservedLine(httpx.AsyncBaseTransport):
    """The connection of a run to the tenant."""

    def __init__(self, run: StudioRun) -> None:
        self.run, self.world, self.sent, self.is_dead = run, run.world, 0, False

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request to the tenant; a lost response is raised as the network would."""
        if self.is_dead:
            raise Killed
        self.sent += 1
        body = await request.aread()
        call = StudioCall(self.run, self.sent, sim_request(request, body))
        try:
            return await self._exchange(call, request)
        except Killed:
            self.is_dead = call.is_lost = True
            raise
        except asyncio.CancelledError:
            call.is_lost = True
            raise

    async def _exchange(
        self, call: StudioCall, request: httpx.Request
    ) -> httpx.Response:
        run = self.run
        world = self.world
        replaced = await run.before(call) if run.before else None
        world.calls.append(call)
        for watch in world.sending:
            watch(call)
        response = replaced or world.serve(call.request)
        call.response = response
        call.is_lost = response.delivery not in (
            DeliveryMode.COMPLETE,
            DeliveryMode.DRIPPING,
        )
        try:
            if run.after:
                call.response = response = await run.after(call) or response
            return await self._deliver(call, response, request)
        finally:
            for watch in world.heard:
                watch(call)

    async def _deliver(
        self, call: StudioCall, response: SimResponse, request: httpx.Request
    ) -> httpx.Response:
        if call.is_lost:
            raise AS_HTTPX[response.delivery](response.delivery.value, request=request)
        if response.delivery is DeliveryMode.DRIPPING:
            call.is_lost = response.byte_pause * len(response.body) > 10
            await self.world.clock.sleep(
                min(response.byte_pause * len(response.body), 10.001)
            )
        headers = [*response.headers, ("content-length", str(len(response.body)))]
        return httpx.Response(
            response.status,
            headers=headers,
            stream=httpx.ByteStream(response.body),
            request=request,
        )


@dataclass(slots=True)
class StudioRunResult:
    """The end of a run.

    `error` is what it would print; `report` is None if nothing was to be written.
    """

    exit_code: int
    error: str = ""
    report: ApplyReport | None = None
    notes: tuple[str, ...] = ()
    had_changes: bool = False


@dataclass
class Recording(StepRecorder):
    """A recorder that keeps, for each write, the addresses that it announced."""

    intended: set[str] = field(default_factory=set)
    verdicts: list[Verdict] = field(default_factory=list)

    def intend(self, step: PlanStep) -> None:
        """Record a change that the next save contains."""
        self.intended.add(str(step.change.address))

    def tried(self, step: PlanStep, result: Attempt) -> None:
        """Record its result."""
        self.intended.discard(str(step.change.address))
        self.verdicts.append(result.verdict)


@dataclass
class StudioRun:
    """One process: the work of `cxroute apply --yes`, from the first read to its exit code."""

    world: StudioWorld
    key: str = "key-a"
    manifests: Manifests | None = None
    """Default: those of the scenario."""
    reviewed: ReviewedPlan | None = None
    before: Hook | None = None
    after: Hook | None = None
    stop: Cancellation = field(default_factory=Cancellation)
    recording: Recording = field(default_factory=Recording)
    line: ObservedLine = field(init=False)

    @property
    def user(self) -> str:
        """The name of this run's key at the tenant."""
        return USERS[self.key]

    def client(self) -> StudioClient:
        """Return a new client."""
        self.line = ObservedLine(self)
        tenant = tenant_settings(self.files, self.files.environment("prod"))
        credentials = ClientCredentials(
            client_id=canary.CLIENT,
            client_secret=canary.SECRET,
            key_id=self.key,
            key_secret=canary.KEY_SECRET,
        )
        return StudioClient(
            transport_over(self.line),
            tenant,
            credentials,
            self.world.clock.time,
            script=studio_script(self.files.environment("prod")),
        )

    @property
    def files(self) -> Manifests:
        """The manifests of this run."""
        return self.manifests or self.world.scenario.manifests

    async def plan(self, client: StudioClient) -> tuple[Planner, Plan]:
        """Read the tenant, and plan."""
        live = await pipeline.read_live(client)
        planner = replace(
            pipeline.planner_for(self.files, self.files.environment("prod"), live),
            allowed=GUARD_NAMES,
            reason="campaign",
            clock=lambda: NOW + timedelta(minutes=1),
            reviewed=self.reviewed,
        )
        return planner, planner.complete(planner.find_changes(live))

    async def saved_plan(self) -> ReviewedPlan:
        """Do the work of `cxroute plan --out`, and read the file back."""
        _, plan = await self.plan(self.client())
        return read_saved_plan(json.dumps(plan_to_json(plan)), "plan.json")

    async def run(self) -> StudioRunResult:
        """Do the work of `cxroute apply`; an error ends it with its exit code.

        Killed passes through.
        """
        self.stop.task = asyncio.current_task()
        try:
            result = await self._run()
        except CxrouteError as error:
            result = StudioRunResult(error.exit_code, str(error))
        except asyncio.CancelledError:
            result = StudioRunResult(InterruptedRunError.exit_code, INTERRUPTED)
        report = result.report
        texts = (
            result.error,
            *result.notes,
            *((report.error, repr(report.outcomes)) if report else ()),
        )
        self.world.outputs += filter(None, texts)
        return result

    async def _run(self) -> StudioRunResult:
        client = self.client()
        planner, plan = await self.plan(client)
        if self.reviewed:
            refuse_unreviewed(plan, self.reviewed, "plan")
        reasons = [finding.message for finding in plan.conflicts]
        reasons += [result.message for result in guard_refusals(plan)]
        if reasons:
            raise RefusedError("; ".join(reasons))
        if not plan.changes:
            return StudioRunResult(0)
        self.stop.writing = True  # as execute.execute_plan does
        settings = partial(ApplySettings, sleep=self.world.clock.sleep)
        with patch.object(pipeline, "ApplySettings", settings):
            report = await pipeline.apply_plan(
                plan, planner, client, self.recording, lambda: self.stop.requested
            )
        return StudioRunResult(
            exit_code(report), report.error, report, report.notes, had_changes=True
        )


def finish(run: StudioRun) -> StudioRunResult | None:
    """Run to the end; None if the process was killed."""

    async def alone() -> StudioRunResult | None:
        with suppress(Killed):
            return await run.run()
        return None

    loop_errors: list[object] = []

    async def watched() -> StudioRunResult | None:
        asyncio.get_running_loop().set_exception_handler(
            lambda _loop, context: loop_errors.append(context)
        )
        return await alone()

    return asyncio.run(watched())


@cache
def start_content(name: str) -> dict[str, Any]:
    """Return the script of a scenario before the case: applied by the tool, and edited by a
    person.
    """
    scenario = SCENARIOS[name]
    world = StudioWorld(scenario)
    result = finish(StudioRun(world, manifests=manifests(scenario.start)))
    assert result
    assert 0 == result.exit_code, result
    content = dict(world.current[1]["content"])
    return content if scenario.drift is None else edited_code(content, scenario.drift)


def edited_code(content: dict[str, Any], edit: Callable[[str], str]) -> dict[str, Any]:
    """Return the content with other code; the edit must change it."""
    code = code_of(content)
    after = edit(code)
    assert after != code
    properties = json.loads(json.dumps(content["properties"]))
    properties["2"]["0"]["value"] = after
    return {**content, "properties": properties}


def code_of(content: dict[str, Any]) -> str:
    """Return the code of the SNIPPET."""
    return str(content["properties"]["2"]["0"]["value"])


def seeded(text: str) -> Random:
    """Return random numbers that depend on a text only."""
    return Random(zlib.crc32(text.encode()))
