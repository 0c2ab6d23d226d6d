"""One case, run: the tenant before and after, every state between, every request, and the fault of
each.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Any

from reconciler.core import rule_json
from reconciler.core.model.change import Change
from reconciler.core.plan.stages import LiveState
from reconciler.features.practice.simulator.faults.injector import FaultInjector
from reconciler.features.practice.simulator.state import TenantState
from tests.campaign.matrix_actions import ACTS
from tests.campaign.matrix_cases import REFUSED, MatrixCase, is_call, is_write
from tests.campaign.matrix_tenant import TENANT
from tests.campaign.oracle import Oracle
from tests.campaign.oracle_copies import changed
from tests.campaign.world import Applier, ApplierResult, Event, ObservedTenant, run
from tests.support.builders import OWNER, QUEUES

MARKER = re.compile(rf"\n\[cxroute:({OWNER}/[a-z0-9/~-]+)#[0-9a-f]{{8}}\]\Z")

LATER = 60.0
"""Seconds until the next run; no list lags that long."""


@dataclass
class MatrixRun:
    """A running case."""

    case: MatrixCase
    world: ObservedTenant = field(init=False)
    applier: Applier = field(init=False)
    oracle: Oracle = field(init=False)
    ended: ApplierResult | None = field(init=False, default=None)
    fallen: list[Event] = field(default_factory=list)
    """The requests that got the fault."""
    states: list[tuple[dict[str, Any], ...]] = field(default_factory=list)
    addresses: dict[str, str] = field(default_factory=dict)
    """The marker's address of every rule that existed."""
    meddled: set[str] = field(default_factory=set)
    """Ids of the rules that a user created, changed or deleted."""
    faults: FaultInjector | None = None
    stop: bool = False
    jump: float = 0.0
    """Seconds by which the time of day is wrong for the tool."""

    def __post_init__(self) -> None:
        self.world = ObservedTenant(TENANT, self.case.profile, 1)
        self.world.profile = replace(
            self.world.profile, concurrency=self.case.concurrency
        )
        self.world.faults = FaultInjector(self.case.spec, 1) if self.case.spec else None
        self.world.state.watchers.append(self._see)
        self.oracle = Oracle(self.world, TENANT)
        self._see(self.world.state)
        self.applier = self.another("a")
        self.applier.stopped = lambda: self.stop
        _, act = self.case.parts
        if act:
            ACTS[act](self)

    def another(self, name: str) -> Applier:
        """Return an applier of the tenant's manifests."""
        return Applier(
            self.world, TENANT.wish, TENANT.environment, name=name, allow=TENANT.allow
        )

    def run(self) -> None:
        """Run to the end, and then remove all faults."""
        self.ended = run(self.applier)
        self.oracle.ended(self.applier, self.ended)
        self.faults, self.world.faults = self.world.faults, None
        if self.faults is not None:
            helped = self.case.operation == "TOKEN"
            output = {
                id(request)
                for text, request in self.faults.fired_faults
                if not helped or text != REFUSED
            }
            self.fallen += [
                event for event in self.world.events if id(event.request) in output
            ]

    def land(self) -> None:
        """Process the delayed requests; the run's report cannot know of them."""
        if self.faults is not None:
            self.faults.run_delayed(self.world.api)

    def heal(self, name: str) -> tuple[ApplierResult, int]:
        """Run a further applier, and count its writes."""
        self.world.fake_clock.seconds += LATER
        applier = self.another(name)
        ended = run(applier)
        self.oracle.ended(applier, ended)
        assert ended is not None
        return ended, sum(
            event.actor == name and is_write(event.request)
            for event in self.world.events
        )

    def _see(self, state: TenantState) -> None:
        rules = tuple(state.rules())
        self.states.append(rules)
        for rule in rules:
            actual = MARKER.search(f"\n{rule['description']}")
            if actual:
                self.addresses[rule["id"]] = actual[1]
        self.meddled |= {
            rule["id"] for rule in rules if rule["name"].endswith(" (copy)")
        }
        if self.world.actor == "human" and len(self.states) > 1:
            before = {rule["id"]: rule for rule in self.states[-2]}
            now = {rule["id"]: rule for rule in rules}
            self.meddled |= {
                item
                for item in before.keys() | now.keys()
                if before.get(item) is not now.get(item)
            }

    def key(self, event: Event) -> str:
        """Return the marker's address of a write, or the id of a rule without a marker."""
        if event.request.method == "POST":
            actual = MARKER.search("\n" + event.request.json()["description"])
            return actual[1] if actual else ""
        identity = event.request.segments[-1]
        return self.addresses.get(identity, identity)

    def writes(self, actor: str = "a") -> list[Event]:
        """Return the writes that an applier sent."""
        return [
            event
            for event in self.world.events
            if event.actor == actor and is_write(event.request)
        ]

    def made(self, actor: str = "a") -> list[Event]:
        """Return the writes of an applier that the server stored."""
        return [event for event in self.writes(actor) if event.request.changed_state]

    def extra(self) -> int:
        """Return the maximum of rules beyond one per marker in any state, without a user's
        clones.
        """
        return max(
            sum(
                count - 1
                for count in Counter(self._marked(rules)).values()
                if count > 1
            )
            for rules in self.states
        )

    def _marked(self, rules: tuple[dict[str, Any], ...]) -> list[str]:
        marked = (
            MARKER.search(f"\n{rule['description']}")
            for rule in rules
            if rule["id"] not in self.meddled
        )
        return [actual[1] for actual in marked if actual]

    def marked_twice(self) -> set[str]:
        """Return the markers that several final rules have, without copies that are, or could be, a
        user's.

        A rule with other values in unknown fields counts as such a copy: it stays, and a finding
        reports it.
        """
        rules = self.world.state.rules()
        twice = {
            mark
            for mark, count in Counter(self._marked(tuple(rules))).items()
            if count > 1
        }
        equal_items = {
            mark: [rule for rule in rules if [mark] == self._marked((rule,))]
            for mark in twice
        }
        return {
            mark
            for mark, group in equal_items.items()
            if len(group) - len(changed(group)) > 1
        }

    def is_meddled_with(self) -> bool:
        """Return whether a user, or a server that stores other values, changes the rules."""
        return bool(self.meddled) or self.case.parts[0].split("=")[0] in (
            "edit",
            "remove",
            "clone",
            "altered",
        )

    def ids(self) -> set[str]:
        """Return the ids of the existing rules."""
        return {rule["id"] for rule in self.world.state.rules()}

    def left(self) -> list[Change]:
        """Return the changes that the server's real rules still need."""
        live = tuple(
            rule_json.parse_live_rule(rule) for rule in self.world.state.rules()
        )
        return [*self.applier.planner.find_changes(LiveState(live, QUEUES)).changes]

    def said(self) -> str:
        """Return all texts of the first run about its end: its error, and each outcome's."""
        assert self.ended is not None
        report = self.ended.report
        errors = [self.ended.error, report.error if report else ""]
        return "\n".join(
            [
                *errors,
                *(
                    getattr(item, "error", "")
                    for item in (report.outcomes if report else ())
                ),
            ]
        )

    def counted(self, operation: str) -> int:
        """Count the requests of an operation that the first applier sent."""
        return sum(
            event.actor == "a" and is_call(event.request, operation)
            for event in self.world.events
        )
