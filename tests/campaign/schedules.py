"""Several appliers in parallel: their desired rules, and the order of their requests.

A schedule is `same`, `other`, `three` or `teams` (each with its own owner), followed by `:SEED` if
the appliers run in parallel and each request waits for its turn; the seed chooses the turn. Without
a schedule there is one applier, `a`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping
from dataclasses import replace
from random import Random
from typing import Final

from reconciler.core.desired.desired import DesiredState
from reconciler.core.desired.desired_rule import DesiredRule
from reconciler.core.model.live import fingerprint
from reconciler.core.model.rule import Target
from tests.campaign.faults import Accidents
from tests.campaign.scenario import Scenario
from tests.campaign.world import ApplierResult, Event, Hook

_TURNED: Final = {"q-cards": "q-fraud", "q-fraud": "q-general", "q-general": "q-cards"}
_PATIENCE: Final = 6
"""Maximum of event loop turns between two requests."""


def manifests(found: Scenario, schedule: str) -> Mapping[str, DesiredState]:
    """Return the desired rules of each applier of a schedule."""
    own = found.wish
    match schedule.partition(":")[0]:
        case "same":
            return {"a": own, "b": own}
        case "other":
            return {"a": own, "b": another(own)}
        case "three":
            return {"a": own, "b": another(own), "c": own}
        case "teams":
            return {"a": own, **dict(zip("bc", found.teams, strict=False))}
    return {"a": own}


def another(wish: DesiredState) -> DesiredState:
    """Return another manifest for the same rules: each goes to another queue, and the last one is
    deleted.
    """
    rules = {address: _turned(rule) for address, rule in wish.rules.items()}
    for address in sorted(rules)[-1:] if len(rules) > 1 else ():
        del rules[address]
    return replace(wish, rules=rules)


def _turned(wished: DesiredRule) -> DesiredRule:
    targets = tuple(
        replace(target, queue_id=_TURNED.get(target.queue_id, target.queue_id))
        if isinstance(target, Target)
        else target
        for target in wished.rule.targets
    )
    rule = replace(wished.rule, targets=targets)
    return replace(wished, rule=rule, fingerprint=fingerprint(rule))


class Scheduler:
    """Chooses the next sender at random from a seed; without a schedule every request may go
    immediately.
    """

    def __init__(self, schedule: str, accidents: Accidents) -> None:
        self._random = Random(schedule)
        self._accidents = accidents
        self._takes_turns = ":" in schedule
        self._waiting: list[asyncio.Future[None]] = []

    def hooks(self, name: str) -> tuple[Hook | None, Hook | None]:
        """Return the actions before and after each request of an applier; accidents are those of
        `a`.
        """
        has_accidents = name == "a" and self._accidents.planned

        async def before(event: Event) -> None:
            if self._takes_turns:
                await self._turn()
            if has_accidents:
                await self._accidents.before(event)

        return before, self._accidents.after if has_accidents else None

    async def run(
        self, runs: Mapping[str, Coroutine[None, None, ApplierResult | None]]
    ) -> list[ApplierResult | None]:
        """Run all of them to their end."""
        tasks = [asyncio.ensure_future(run) for run in runs.values()]
        while self._takes_turns and not all(task.done() for task in tasks):
            for _ in range(self._random.randint(1, _PATIENCE)):
                await asyncio.sleep(0)
            self._waiting = [item for item in self._waiting if not item.done()]
            if self._waiting:
                self._waiting.pop(
                    self._random.randrange(len(self._waiting))
                ).set_result(None)
        return list(await asyncio.gather(*tasks))

    async def _turn(self) -> None:
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        await turn
