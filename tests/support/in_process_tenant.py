"""The real client on the real simulator, in this process: no socket, no thread."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from reconciler.apply.admission import matches_intent
from reconciler.apply.loop import apply_plan
from reconciler.apply.settings import ApplySettings
from reconciler.cxone.client import WritingClient
from reconciler.cxone.settings import ClientCredentials, TenantSettings
from reconciler.cxone.transport.httpx_transport import transport_over
from reconciler.model.rule import to_api_json
from reconciler.plan.options import PlanOptions
from reconciler.plan.plan import LiveState, build_plan
from reconciler.simulator.app import Simulator, build_simulator
from reconciler.simulator.settings import PROFILES
from reconciler.simulator.state import TenantState
from tests.support import canary_secrets as canary
from tests.support.builders import NOW, QUEUES
from tests.support.fake_clock import VirtualTime
from tests.support.simulated import Line

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from reconciler.apply.attempt import Attempt
    from reconciler.apply.report import ApplyReport
    from reconciler.desired.desired import DesiredState
    from reconciler.model.change import Change, PlanStep
    from reconciler.model.live import LiveRule
    from reconciler.plan.plan import Plan
    from reconciler.simulator.faults.injector import FaultInjector
    from reconciler.simulator.settings import SimulatorSettings

TENANT = TenantSettings(
    base_url="http://localhost",
    token_url="http://localhost/oauth/token",
    rules_path="/api/v2/routing/rules",
    queues_path="/api/v2/routing/queues",
    requests_per_second=1e6,
    run_seconds=1e6,
)


@dataclass
class Remembering:
    """A recorder that keeps what it was told."""

    said: list[tuple[str, str]] = field(default_factory=list)

    def intend(self, step: PlanStep) -> None:
        """Keep what is about to be written."""
        self.said.append(("intend", str(step.change.address)))

    def tried(self, step: PlanStep, result: Attempt) -> None:
        """Keep the verdict."""
        self.said.append((result.verdict.name, str(step.change.address)))

    def wave(self) -> None:
        """Keep that a wave ended."""
        self.said.append(("wave", ""))


async def _no_sleep(_seconds: float) -> None:
    await asyncio.sleep(0)


class World:
    """A simulated tenant and what is done to it."""

    def __init__(
        self,
        rules: Iterable[LiveRule] = (),
        settings: SimulatorSettings = PROFILES["A"],
        faults: FaultInjector | None = None,
    ) -> None:
        queues = [queue._asdict() for queue in QUEUES]
        self.state = TenantState(queues=queues, rules=[raw(rule) for rule in rules])
        self.app: Simulator = build_simulator(self.state, settings, faults)
        self.recorder = Remembering()

    async def client(self) -> WritingClient:
        """Return a client of this tenant, whose waiting takes no time."""
        return WritingClient(
            transport_over(Line(self.app)),
            TENANT,
            ClientCredentials(client_id=canary.CLIENT, client_secret=canary.SECRET),
            VirtualTime().time,
        )

    def plan(self, desired: DesiredState, options: PlanOptions | None = None) -> Plan:
        """Read everything and plan."""

        async def read() -> Plan:
            client = await self.client()
            found = LiveState(await client.rules(), await client.queues())
            return build_plan(desired, found, options or PlanOptions(), NOW)

        return asyncio.run(read())

    def apply(
        self,
        desired: DesiredState,
        *,
        options: PlanOptions | None = None,
        planned: Plan | None = None,
        admit: Callable[[Change, Change], bool] = matches_intent,
        stopped: Callable[[], bool] = lambda: False,
        within: Callable[[Plan], bool] | None = None,
        lag: float = 0.0,
        sleep: Callable[[float], Awaitable[None]] = _no_sleep,
    ) -> ApplyReport:
        """Plan (or take what was planned) and apply, as the command does."""

        async def run() -> ApplyReport:
            client = await self.client()
            queues = await client.queues()

            def replan(rules: tuple[LiveRule, ...]) -> Plan:
                return build_plan(
                    desired, LiveState(rules, queues), options or PlanOptions(), NOW + timedelta(minutes=1)
                )

            made = planned or replan(await client.rules())
            conduct = ApplySettings(accepts=admit, sleep=sleep, should_stop=stopped, lag=lag, is_within_review=within)
            return await apply_plan(made, client, replan, self.recorder, conduct)

        return asyncio.run(run())

    def writes(self) -> list[tuple[str, str]]:
        """Return the writes that were asked for so far."""
        return [
            (request.method, request.path)
            for request in self.state.requests
            if request.method != "GET" and not request.path.endswith("/token")
        ]


def raw(rule: LiveRule) -> dict[str, Any]:
    """Return a live rule as the server holds it."""
    return {
        "description": rule.rule.description,
        **rule.raw,
        "priority": rule.rule.priority,
        "enabled": rule.rule.enabled,
        "conditions": [to_api_json(one) for one in rule.rule.conditions],
        "targets": [to_api_json(one) for one in rule.rule.targets],
    }
