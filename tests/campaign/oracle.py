"""The oracle: watches a world, and says which promise of reliability.md section 1 was not kept.

It never looks into the tool: only at requests, answers and the server's states, with a reading of markers and rules of
its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.campaign.oracle_verdict import Verdicts, Violation

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Mapping

    from reconciler.desired import Desired
    from reconciler.simulator.state import State
    from tests.campaign.scenario import Scenario
    from tests.campaign.world import Applier, Ended, Event, World

__all__ = ["Oracle", "Violation"]


class Oracle:
    """Hooks itself into a world; `violations` and `counts` (checks made, by invariant) grow as things happen."""

    def __init__(self, world: World, scenario: Scenario, desired_of: Mapping[str, Desired] | None = None) -> None:
        """`desired_of` says what each applier wants, by name; by default what the scenario wants."""
        self.world, self.scenario = world, scenario
        self.desired_of = dict(desired_of or {})
        self._verdicts = Verdicts()
        world.asked.append(self._asked)
        world.answered.append(self._answered)
        world.state.watchers.append(self._changed)

    @property
    def violations(self) -> list[Violation]:
        """Return what was found so far."""
        return self._verdicts.violations

    @property
    def counts(self) -> Counter[str]:
        """Return how many checks were made of each invariant."""
        return self._verdicts.counts

    def planned(self, applier: Applier) -> None:
        """Look at what an applier that only planned has sent (R10)."""

    def ended(self, applier: Applier, ended: Ended | None) -> None:
        """Look at a run that ended, or, with None, that was killed."""

    def quiet(self) -> None:
        """Look at the tenant after the heal phase: it is as it is wanted, and nothing is there twice."""

    def _asked(self, event: Event) -> None:
        pass

    def _answered(self, event: Event) -> None:
        pass

    def _changed(self, state: State) -> None:
        pass


def fingerprint(world: World) -> list[tuple[object, ...]]:
    """Return what was asked and answered, in order: two runs of one case give the same (R22)."""
    return [
        (one.actor, one.number, one.request.method, one.request.path, one.request.query, one.request.body, one.at)
        + (one.answer and (one.answer.status, one.answer.body), one.lost)
        for one in world.events
    ]
