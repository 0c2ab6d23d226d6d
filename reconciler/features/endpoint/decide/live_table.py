"""The table by which a service decides, and the task that follows the store of tables."""

import asyncio
import json
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from fractions import Fraction
from typing import Any, Final

from reconciler.core.model.operators import Scalar
from reconciler.features.endpoint.decide.exchange import ExchangeAnswer, PayloadNames
from reconciler.features.endpoint.decide.question import BotNames
from reconciler.targets.decide.decision import Decider, Decision, decider_steps
from reconciler.targets.decide.publication import (
    Publication,
    StoreUnavailableError,
    TableStore,
)
from reconciler.targets.decide.slices import in_slices

Pause = Callable[[], AbstractContextManager[None]]
"""Opens a block in which this process makes or reads a whole table."""
FOLLOW_SECONDS: Final = 0.25  # between two looks at the store
# A request looks itself only if the task has not looked for so long, or does not run.
_STALE_SECONDS: Final = 0.75


class LiveTable:
    """A whole published table, ready to decide. It never changes."""

    def __init__(self, publication: Publication, decider: Decider) -> None:
        self.publication = publication
        self.table = publication.table
        self.digest = publication.facts.digest
        endpoint = self.table.settings.endpoint
        self.names = BotNames(endpoint.intent, endpoint.confidence)
        self.payload_names = PayloadNames(self.table.settings)
        self._decider = decider

    def decide(
        self, attributes: Mapping[str, Scalar | None], conversation: str | None
    ) -> Decision:
        """Return the decision about a conversation."""
        return self._decider.decide(attributes, conversation)

    def decision_json(self, decision: Decision) -> dict[str, Any]:
        """Return a decision as /decide answers it."""
        form: dict[str, Any] = {"queue": None, "rule": decision.rule}
        if decision.queue_id is not None:
            name = self.table.queues[decision.queue_id]
            form["queue"] = {"id": decision.queue_id, "name": name}
        if decision.share is not None:
            form["share"] = _number(decision.share)
        if decision.fallback is not None:
            form["fallback"] = decision.fallback
        form["digest"] = self.digest
        return form

    def exchange_answer(self, decision: Decision) -> ExchangeAnswer:
        """Return a decision as a script receives it."""
        queue_id = decision.queue_id
        name = self.table.queues[queue_id] if queue_id is not None else None
        by_name = self.table.settings.answer == "name"
        return ExchangeAnswer(
            rule=decision.rule or "",
            skill=name if by_name else queue_id,
            queue=name,
            fallback=decision.fallback,
            digest=self.digest,
        )


def _number(share: Fraction) -> float:
    return int(share) if share.denominator == 1 else float(share)


class Follower:
    """Holds the newest table of a store. Without the store, it keeps the table that it has."""

    def __init__(
        self,
        store: TableStore,
        log: Callable[[str], object],
        pause: Pause = nullcontext,
    ) -> None:
        """`pause` surrounds the work on a table."""
        self._store = store
        self._log = log
        self._pause = pause
        self._lock: asyncio.Lock | None = None  # made in the event loop that runs
        self._looked_at: float | None = None
        self._held: LiveTable | None = None
        self._problem = ""  # of the last look at the store

    @property
    def held(self) -> LiveTable | None:
        """Return the table, or None before the first one."""
        return self._held

    @property
    def is_away(self) -> bool:
        """Return whether the store cannot be read, or has lost the table that is held."""
        return bool(self._problem)

    async def run(self) -> None:
        """Follow the store; never ends."""
        while True:
            await self.look()
            await asyncio.sleep(FOLLOW_SECONDS)

    async def current(self) -> LiveTable | None:
        """Return the table; look at the store first if the last look is too old."""
        now = asyncio.get_running_loop().time()
        is_fresh = (
            self._looked_at is not None and now - self._looked_at < _STALE_SECONDS
        )
        is_looking = self._lock is not None and self._lock.locked()
        if not is_fresh and not (is_looking and self._held is not None):
            await self.look()
        return self._held

    async def look(self) -> None:
        """Look at the store, and hold its table; return after the table is held."""
        if self._lock is None:
            self._lock = asyncio.Lock()
        async with self._lock:
            try:
                publication = await self._store.current()
                await self._hold(publication)
            except StoreUnavailableError as error:
                self._note(str(error))
            except Exception as bug:  # noqa: BLE001 - no error may end the task, or a decision
                self._note(f"the table cannot be read: {type(bug).__name__}")
            finally:
                # at the end: a look at a store that does not answer takes long
                self._looked_at = asyncio.get_running_loop().time()

    async def _hold(self, publication: Publication | None) -> None:
        held = self._held
        if publication is None:
            self._note("the store has lost the table" if held is not None else "")
            return
        if held is None or publication.facts != held.publication.facts:
            with self._pause():
                decider = await in_slices(decider_steps(publication.table))
            self._held = LiveTable(publication, decider)
            self._log_table(publication)
        self._note("")

    def _log_table(self, publication: Publication) -> None:
        facts = publication.facts
        line = {
            "event": "table",
            "version": facts.version,
            "digest": facts.digest,
            "rules": len(publication.table.rules),
        }
        self._log(json.dumps(line))

    def _note(self, problem: str) -> None:
        """Log a change of the store's state."""
        if problem != self._problem:
            line = {"event": "store", "state": "away" if problem else "open"}
            if problem:
                line["problem"] = problem
            self._log(json.dumps(line))
        self._problem = problem
