"""The oracle: watches a world, and reports each broken promise of invariants "The reconciler".

It never looks into the tool: only at requests, responses and the server's states, with separate
readers of markers and rules.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.campaign.oracle_change import Moment
from tests.campaign.oracle_desired import Wish
from tests.campaign.oracle_facts import call_of, heard
from tests.campaign.oracle_process import WRITES, Process
from tests.campaign.oracle_requests import Requests
from tests.campaign.oracle_results import Ends
from tests.campaign.oracle_review import Review
from tests.campaign.oracle_tenant import Tenant
from tests.campaign.oracle_verdict import Verdicts, Violation
from tests.campaign.oracle_wire import Wire

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Mapping

    from reconciler.core.desired.desired import DesiredState
    from reconciler.core.plan.stages import PlanOptions
    from reconciler.features.practice.simulator.messages import SimRequest
    from reconciler.features.practice.simulator.state import TenantState
    from tests.campaign.scenario import Scenario
    from tests.campaign.world import Applier, ApplierResult, Event, ObservedTenant

__all__ = ["Oracle", "Violation", "fingerprint"]


class Oracle:
    """Hooks itself into a world; `violations` and `counts` (checks, by invariant) grow with each
    event.
    """

    def __init__(
        self,
        world: ObservedTenant,
        scenario: Scenario,
        desired_of: Mapping[str, DesiredState] | None = None,
    ) -> None:
        """`desired_of` has the desired rules of each applier, by name; default: those of the
        scenario.
        """
        self.world, self.scenario = world, scenario
        self._desired_of = dict(desired_of or {})
        self._wishes: dict[tuple[int, PlanOptions], Wish] = {}
        self._verdicts = Verdicts()
        self._wish = self._wished(scenario.wish, scenario.options)
        self._tenant = Tenant(world, self._wish, scenario.conversations, self._verdicts)
        self._requests = Requests(self._tenant, self._verdicts)
        self._ends = Ends(world, self._tenant, self._verdicts)
        self._processes: dict[str, Process] = {}
        self._all: list[Process] = []
        self._wires: dict[str, Wire] = {}
        self._reviews: dict[str, Review] = {}
        self._sent: dict[int, int] = {}
        self._late: list[SimRequest] = []
        self._tokens: set[str] = set()
        self._asking: Event | None = None
        self._clock = 0
        world.asked.append(self._asked)
        world.answered.append(self._answered)
        world.state.watchers.append(self._changed)

    @property
    def violations(self) -> list[Violation]:
        """Return the violations so far."""
        return self._verdicts.violations

    @property
    def counts(self) -> Counter[str]:
        """Return the number of checks of each invariant."""
        return self._verdicts.counts

    def planned(self, applier: Applier) -> None:
        """Check the requests of an applier that only planned (R10)."""
        process = self._processes.get(applier.name)
        writes = process.writes if process else []
        self._verdicts.check(
            "R10",
            not writes,
            f"{applier.name} only planned, and sent {len(writes)} writes",
        )

    def reviewed(self, actor: str) -> None:
        """Limit an applier to the conversations that its plan moves on the current tenant."""
        conversations = self.scenario.conversations
        self._reviews[actor] = Review(
            self._wish_for(actor), conversations, self.world.state.rules()
        )

    def ended(self, applier: Applier, ended: ApplierResult | None) -> None:
        """Check a run that ended, or, with None, that was killed."""
        process = self._processes.get(applier.name)
        self._ends.secrets(ended, self._tokens)
        if process is None:
            return
        process.died = self._clock
        if ended is not None:
            self._ends.look(process, ended, self._wish_for(applier.name))

    def quiet(self) -> None:
        """Check the tenant after the heal phase: it is as desired, and has no duplicates."""
        if "refused" not in self.scenario.kinds:
            self._ends.quiet(self._wish)

    def _wish_for(self, actor: str) -> Wish:
        """Return an applier's desired rules; its own settings say whether it may adopt rules of the
        same name.
        """
        applier = self.world.appliers.get(actor)
        options = applier.options if applier else self.scenario.options
        return self._wished(self._desired_of.get(actor, self.scenario.wish), options)

    def _wished(self, desired: DesiredState, options: PlanOptions) -> Wish:
        key = (id(desired), options)
        return self._wishes.get(key) or self._wishes.setdefault(
            key, Wish(desired, options)
        )

    def _asked(self, event: Event) -> None:
        self._clock += 1
        self._sent[id(event)] = self._clock
        if event.number == 1 or event.actor not in self._processes:
            self._begin(event.actor)
        process = self._processes[event.actor]
        call = call_of(event.request)
        self._requests.look(
            process, event, call, self._wish_for(event.actor), self._clock
        )
        if (
            event.actor in self._reviews
            and call in WRITES
            and self.world.faults is None
        ):
            where = f"{event.actor}'s request {event.number}"
            self._reviews[event.actor].look(process, where, self._verdicts)
        self._wires[event.actor].sends(event, self.world.fake_clock.seconds)
        process.sends(event, self._clock)
        self._asking = event
        self._note_late()

    def _begin(self, actor: str) -> None:
        process = self._processes[actor] = Process(actor, self._clock)
        self._all.append(process)
        self._wires[actor] = Wire(self._verdicts)
        wish = self._wish_for(actor)
        self._tenant.join(wish)
        process.converged_at_birth = not wish.missing(self._tenant.rules.values())
        process.first_contact = not any(map(wish.ours, self._tenant.rules.values()))

    def _answered(self, event: Event) -> None:
        self._clock += 1
        process = self._processes[event.actor]
        wire = self._wires[event.actor]
        patience = self.world.profile.tenant.timeout_seconds
        subject = heard(event, self.world.fake_clock.seconds - event.at, patience)
        count = len(process.listings)
        process.hears(
            event, subject, self._sent.pop(id(event), self._clock), self._clock
        )
        wire.hears(event, subject, self.world.fake_clock.seconds)
        if len(process.listings) > count:
            wire.listed()
        if wire.token:
            self._tokens.add(wire.token)
        self._note_late()

    def _note_late(self) -> None:
        """Store the delayed requests; a processed one is no longer among them."""
        faults = self.world.faults
        self._late = (
            [] if faults is None else [request for request, _ in faults._delayed]
        )

    def _changed(self, _state: TenantState) -> None:
        self._clock += 1
        faults = self.world.faults
        waiting = [] if faults is None else [request for request, _ in faults._delayed]
        landing = [
            item for item in self._late if not any(item is two for two in waiting)
        ]
        event = self._asking
        process = self._processes.get(event.actor) if event else None
        remaining_items = [
            item.actor
            for item in self._all
            if process and item is not process and item.died > process.born
        ]
        self._tenant.move(
            Moment(
                self._clock,
                event.request if event else None,
                landing,
                process,
                remaining_items,
            )
        )


def fingerprint(world: ObservedTenant) -> list[tuple[object, ...]]:
    """Return requests and responses in order: two runs of one case give the same (R22)."""
    return [
        (
            *(event.actor, event.number, event.at, event.lost),
            *(
                event.request.method,
                event.request.path,
                event.request.query,
                event.request.body,
            ),
            *((event.answer.status, event.answer.body) if event.answer else ()),
        )
        for event in world.events
    ]
