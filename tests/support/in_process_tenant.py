"""The real client on the simulator, in this process: no socket, no thread."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, TypeVar

from reconciler.core.apply.attempt import Attempt
from reconciler.core.apply.loop import apply_changes
from reconciler.core.apply.progress import ApplyReport, matches_intent
from reconciler.core.apply.settings import ApplySettings, StepRecorder
from reconciler.core.desired.desired import DesiredState
from reconciler.core.model.change import Change, PlanStep
from reconciler.core.model.live import LiveRule
from reconciler.core.model.rule import to_api_json
from reconciler.core.plan.changes import find_changes
from reconciler.core.plan.stages import Changes, LiveState, Plan, PlanOptions
from reconciler.features.practice.simulator.app import Simulator
from reconciler.features.practice.simulator.faults.injector import FaultInjector
from reconciler.features.practice.simulator.settings import PROFILES, SimulatorSettings
from reconciler.features.practice.simulator.state import TenantState
from reconciler.targets.platform.settings import ClientCredentials, TenantSettings
from reconciler.targets.platform.transport.httpx_transport import transport_over
from reconciler.targets.rules_api.client import WritingClient
from tests.support import canary_secrets as canary
from tests.support.builders import NOW, QUEUES, unchecked
from tests.support.fake_clock import FakeClock
from tests.support.simulated import SimulatorTransport

Result = TypeVar("Result")
TENANT = TenantSettings(
    base_url="http://localhost",
    token_url="http://localhost/oauth/token",
    rules_path="/api/v2/routing/rules",
    queues_path="/api/v2/routing/queues",
    requests_per_second=1e6,
    run_seconds=1e6,
)


@dataclass
class RecorderInMemory(StepRecorder):
    """A recorder that keeps its calls in memory."""

    lines: list[tuple[str, str]] = field(default_factory=list)

    def intend(self, step: PlanStep) -> None:
        """Keep the step before its call."""
        self.lines.append(("intend", str(step.change.address)))

    def tried(self, step: PlanStep, result: Attempt) -> None:
        """Keep the verdict."""
        self.lines.append((result.verdict.name, str(step.change.address)))

    def wave(self) -> None:
        """Keep the end of a wave."""
        self.lines.append(("wave", ""))


@dataclass(frozen=True)
class Unguarded:
    """Plans again from each read; no guard refuses, and nothing is frozen."""

    desired: DesiredState
    options: PlanOptions

    def find_changes(self, live: LiveState) -> Changes:
        """Return the differences a minute later."""
        return find_changes(
            self.desired, live, self.options, NOW + timedelta(minutes=1)
        )

    def complete(self, changes: Changes) -> Plan:
        """Return the changes as a plan that no guard refuses."""
        return unchecked(changes)

    def freeze(self) -> str:
        """Return nothing."""
        return ""


async def _no_sleep(_seconds: float) -> None:
    await asyncio.sleep(0)


class InProcessTenant:
    """A simulated tenant, its clients, and `plan` and `apply` with them.

    `state` replaces the rules and the usual queues; `tenant` has the settings of the clients.
    `clock` is that of the clients, and of the simulator if `settings` contain it.
    """

    def __init__(
        self,
        rules: Iterable[LiveRule] = (),
        settings: SimulatorSettings = PROFILES["A"],
        faults: FaultInjector | None = None,
        *,
        state: TenantState | None = None,
        tenant: TenantSettings = TENANT,
    ) -> None:
        self.clock, self.tenant = FakeClock(), tenant
        queues = [queue._asdict() for queue in QUEUES]
        self.state = state or TenantState(
            queues=queues, rules=[raw(rule) for rule in rules]
        )
        self.app: Simulator = Simulator(self.state, settings, faults)
        self.recorder = RecorderInMemory()

    def client(self) -> WritingClient:
        """Return a new client, whose waits take no time."""
        credentials = ClientCredentials(
            client_id=canary.CLIENT, client_secret=canary.SECRET
        )
        return WritingClient(
            transport_over(SimulatorTransport(self.app)),
            self.tenant,
            credentials,
            self.clock.time,
        )

    def talk(self, talk: Callable[[WritingClient], Awaitable[Result]]) -> Result:
        """Return the result of a function with a new client."""

        async def talking() -> Result:
            return await talk(self.client())

        return asyncio.run(talking())

    def plan(self, desired: DesiredState, options: PlanOptions | None = None) -> Plan:
        """Read everything and plan."""

        async def read(client: WritingClient) -> Plan:
            actual = LiveState(await client.rules(), await client.queues())
            changes = find_changes(desired, actual, options or PlanOptions(), NOW)
            return unchecked(changes)

        return self.talk(read)

    def apply(
        self,
        desired: DesiredState,
        *,
        options: PlanOptions | None = None,
        planned: Plan | None = None,
        admit: Callable[[Change, Change], bool] = matches_intent,
        stopped: Callable[[], bool] = lambda: False,
        within: Callable[[Changes], bool] | None = None,
        lag: float = 0.0,
        sleep: Callable[[float], Awaitable[None]] = _no_sleep,
    ) -> ApplyReport:
        """Plan (or take the given plan) and apply, like the command."""

        async def run(client: WritingClient) -> ApplyReport:
            queues = await client.queues()

            planner = Unguarded(desired, options or PlanOptions())
            live = LiveState(await client.rules(), queues)
            created = planned or unchecked(planner.find_changes(live))
            conduct = ApplySettings(
                recorder=self.recorder,
                accepts=admit,
                sleep=sleep,
                should_stop=stopped,
                lag=lag,
                is_within_review=within,
            )
            return await apply_changes(created, client, planner, conduct)

        return self.talk(run)

    def writes(self) -> list[tuple[str, str]]:
        """Return the requested writes so far."""
        return [
            (request.method, request.path)
            for request in self.state.requests
            if request.method != "GET" and not request.path.endswith("/token")
        ]


def raw(rule: LiveRule) -> dict[str, Any]:
    """Return a live rule as the server stores it."""
    return {
        "description": rule.rule.description,
        **rule.raw,
        "priority": rule.rule.priority,
        "enabled": rule.rule.enabled,
        "conditions": [to_api_json(condition) for condition in rule.rule.conditions],
        "targets": [to_api_json(target) for target in rule.rule.targets],
    }
