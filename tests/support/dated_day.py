"""A day of `watch --apply` on a virtual clock: rules with dates, a noisy metric, and a tenant with
faults.

The loop, the client, the planner and apply are the real ones. What conversations should meet is
written here by hand.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any, Final, NamedTuple

import httpx

from reconciler.cli.step_conditions import ask_conditions
from reconciler.core.apply.loop import apply_changes
from reconciler.core.apply.progress import matches_intent
from reconciler.core.apply.settings import ApplySettings
from reconciler.core.desired.made_steps import Answer, ConditionSource
from reconciler.core.errors import CxrouteError
from reconciler.core.manifest.kinds.ruleset import StepCondition
from reconciler.core.pipeline import Planner, read_live
from reconciler.core.plan.guards import guard_refusals
from reconciler.features.practice.simulator.state import TenantState
from reconciler.features.watch.cycle import CycleResult, WatchLoop
from reconciler.features.watch.dates import next_boundary
from reconciler.targets.platform.settings import ClientCredentials
from reconciler.targets.platform.transport.httpx_transport import transport_over
from reconciler.targets.rules_api.client import WritingClient
from tests.support import canary_secrets as canary
from tests.support.fake_clock import START
from tests.support.in_process_tenant import InProcessTenant
from tests.support.ramps import Step, planner_at, planner_of, ramp_text
from tests.support.simulated import SimulatorTransport

INTERVAL: Final = 1800.0  # seconds
MINUTE: Final = timedelta(minutes=1)
LAST_MINUTE: Final = 24 * 60
Places = tuple[tuple[str, int], ...]
"""The queues of a conversation and their weights."""
FRAUD: Final[Places] = (("q-fraud", 100),)


class ProcessDeath(BaseException):
    """The process has ended."""


class Campaign(NamedTuple):
    """A rule that sends an intent to "General" between two times."""

    intent: str
    start: datetime
    end: datetime

    @property
    def text(self) -> str:
        """Return it in a manifest, after the rule that always stands."""
        dates = f"from: {self.start:%Y-%m-%dT%H:%M:%SZ}, until: {self.end:%Y-%m-%dT%H:%M:%SZ}"
        target = "targets: [{queue: General, weight: 100}]"
        return f"{{key: {self.intent}-campaign, intent: {self.intent}, priority: 9, {target}, {dates}}}"


@dataclass
class Faults:
    """The faults of a tenant: 429s, lost responses, deaths of the process, and an hour away."""

    random: Random
    away_from: float
    now: Callable[[], float]
    share: float = 0.06
    killed: int = 0
    throttled: int = 0
    missed: int = 0


class FaultyTransport(SimulatorTransport):
    """A transport to the simulator for one round, with faults."""

    def __init__(self, app: Any, faults: Faults) -> None:
        super().__init__(app)
        self.faults = faults
        self.is_dead = False

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request, or fail."""
        faults = self.faults
        if self.is_dead:
            raise ProcessDeath
        if faults.away_from <= faults.now() < faults.away_from + 3600:
            faults.missed += 1
            raise httpx.ConnectError("away", request=request)
        chance = faults.random.random() / faults.share
        if chance < 1:
            faults.throttled += 1
            return httpx.Response(429, headers={"Retry-After": "2"}, json={})
        is_write = request.method != "GET" and "token" not in request.url.path
        if is_write and chance < 2:
            self.die()
        response = await super().handle_async_request(request)
        if is_write and chance < 3:
            self.die()
        if is_write and chance < 4:
            raise httpx.ReadError("lost", request=request)
        return response

    def die(self) -> None:
        """End the process: no later request is sent."""
        self.is_dead = True
        self.faults.killed += 1
        raise ProcessDeath


@dataclass
class NoisyMetric(ConditionSource):
    """Answers each question by chance, until the end of the day."""

    random: Random
    share: float = 0.5
    asked: int = 0

    async def answer(self, condition: StepCondition) -> Answer:
        """Return an answer by chance."""
        del condition
        await asyncio.sleep(0)
        self.asked += 1
        return Answer(self.random.random() < self.share, "too low")


@dataclass
class DatedDay:
    """The rules of a day, its tenant, and what is checked at each of its states."""

    planner: Planner
    campaigns: list[Campaign]
    ramps: dict[str, list[Step]]
    random: Random
    tenant: InProcessTenant = field(default_factory=InProcessTenant)
    metric: NoisyMetric = field(init=False)
    faults: Faults = field(init=False)
    allowed: dict[str, set[Places | None]] = field(default_factory=dict)
    starts: list[datetime] = field(default_factory=list)
    states: int = 0

    def __post_init__(self) -> None:
        self.metric = NoisyMetric(self.random)
        clock = self.tenant.clock
        away = 1000.0 + self.random.randint(3600, 18 * 3600)
        self.faults = Faults(self.random, away, clock)
        self.tenant.state.watchers.append(self.check_state)

    @property
    def now(self) -> datetime:
        """Return the virtual time."""
        return self.tenant.clock.time.now()

    def expected(self, intent: str, now: datetime) -> list[Places]:
        """Return where an intent goes at a time: with a ramp, after each due step, in order."""
        for campaign in self.campaigns:
            if campaign.intent == intent and campaign.start <= now < campaign.end:
                return [(("q-general", 100),)]
        due = [step.share for step in self.ramps.get(intent, ()) if step.at <= now]
        return [FRAUD, *map(share_places, due)]

    @property
    def intents(self) -> list[str]:
        """Return the intents of conversations."""
        return [*(campaign.intent for campaign in self.campaigns), *self.ramps]

    def allow(self, now: datetime) -> None:
        """Allow each conversation its destination of now, and the new one; a ramp goes only up."""
        for intent in self.intents:
            here = places_of(self.tenant.state, intent)
            expected = self.expected(intent, now)
            first = 0
            if intent in self.ramps and here in expected:
                first = expected.index(here)
            new = expected[first:] if intent in self.ramps else expected[-1:]
            self.allowed[intent] = {here, *new}

    def check_state(self, state: TenantState) -> None:
        """Check a state that the tenant has between two writes."""
        self.states += 1
        for intent, allowed in self.allowed.items():
            assert places_of(state, intent) in allowed, (intent, self.now)

    async def run_round(self) -> CycleResult:
        """Run one round as `watch --apply` does; a death of the process ends it."""
        now = self.now
        self.starts.append(now)
        cycle = CycleResult(started_at=now, may_write=True)
        transport = FaultyTransport(self.tenant.app, self.faults)
        try:
            return await self.plan_and_apply(cycle, transport)
        except ProcessDeath:
            await asyncio.sleep(0)
            return cycle
        except CxrouteError as error:
            return replace(cycle, error=error)

    async def plan_and_apply(
        self, cycle: CycleResult, transport: FaultyTransport
    ) -> CycleResult:
        """Read, ask, plan, and apply."""
        now = cycle.started_at.replace(microsecond=0)
        clock = self.tenant.clock
        credentials = ClientCredentials(
            client_id=canary.CLIENT, client_secret=canary.SECRET
        )
        client = WritingClient(
            transport_over(transport), self.tenant.tenant, credentials, clock.time
        )
        live = await read_live(client)
        planner = replace(planner_at(self.planner, now), clock=clock.time.now)
        planner = await ask_conditions(planner, live, self.metric)
        plan = planner.complete(planner.find_changes(live))
        assert not guard_refusals(plan), guard_refusals(plan)[0].message
        cycle = replace(cycle, plan=plan)
        if not plan.has_work:
            return cycle
        self.allow(now)
        settings = ApplySettings(
            accepts=matches_intent, sleep=clock.time.sleep, concurrency=1
        )
        report = await apply_changes(plan, client, planner, settings)
        return replace(cycle, report=report)

    def until_boundary(self, cycle: CycleResult) -> float | None:
        """Return the seconds until the next date, as the command does."""
        calendar = self.planner.desired.calendar
        assert calendar is not None
        boundary = next_boundary(calendar.boundaries, cycle.started_at)
        return None if boundary is None else (boundary - self.now).total_seconds()

    def run(self) -> None:
        """Run the loop for a day and two quiet hours, in which each condition holds."""
        clock = self.tenant.clock
        end = 1000.0 + 60.0 * LAST_MINUTE

        def is_over() -> bool:
            if clock.seconds > end:
                self.metric.share = 1.0
                self.faults.share = 1e-9
            return clock.seconds > end + 2 * 3600

        loop = WatchLoop(
            interval=INTERVAL,
            clock=clock.time.clock,
            sleep=clock.time.sleep,
            random=self.random.random,
            until_boundary=self.until_boundary,
        )

        async def told(_result: CycleResult, _following: float) -> None:
            await asyncio.sleep(0)

        asyncio.run(loop.run(self.run_round, told, is_over))


def share_places(share: int) -> Places:
    """Return the queues of a ramp with a share of "General"."""
    weights = (("q-fraud", 100 - share), ("q-general", share))
    return tuple((queue, weight) for queue, weight in weights if weight)


def places_of(state: TenantState, intent: str) -> Places | None:
    """Return where a conversation goes by the tenant's own rules; None: to its default routing."""
    matching = [
        rule
        for rule in state.stored_rules.values()
        if rule["enabled"]
        and [[intent]] == [_values(condition) for condition in rule["conditions"]]
    ]
    if not matching:
        return None
    first = min(rule["priority"] for rule in matching)
    (winner, *others) = [rule for rule in matching if rule["priority"] == first]
    places = _places(winner)
    assert all(_places(other) == places for other in others), "a tie"
    return places


def _values(condition: dict[str, Any]) -> list[str]:
    value = condition["value"]
    return value if isinstance(value, list) else [value]


def _places(rule: dict[str, Any]) -> Places:
    return tuple(
        sorted(
            (target["queueId"], round(target["weight"])) for target in rule["targets"]
        )
    )


def drawn_day(room: Path, seed: int, campaigns: int, ramps: int) -> DatedDay:
    """Return a day with a number of campaigns (two dates each) and ramps (five)."""
    random = Random(seed)
    minutes = random.sample(range(5, LAST_MINUTE - 5), 2 * campaigns + 5 * ramps)
    times = [START + MINUTE * minute for minute in minutes]
    listed = []
    for number in range(campaigns):
        start, end = sorted((times.pop(), times.pop()))
        listed.append(Campaign(f"c{number}", start, end))
    drawn = {}
    for number in range(ramps):
        dates = sorted(times.pop() for _ in range(5))
        shares = random.sample(range(1, 101), 5)
        drawn[f"r{number}"] = [
            Step(at, share, random.random() < 0.5)
            for at, share in zip(dates, shares, strict=True)
        ]
    rules = [campaign.text for campaign in listed]
    rules += [
        f"{{intent: {campaign.intent}, targets: [{{queue: Fraud, weight: 100}}]}}"
        for campaign in listed
    ]
    rules += [ramp_text(steps, key) for key, steps in drawn.items()]
    planner = planner_of(room, rules, START)
    return DatedDay(planner, listed, drawn, random)
