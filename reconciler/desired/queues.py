"""Queues: what a manifest calls a queue -> the one live queue that is meant (docs/manifests.md#queues)."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from reconciler.model.rule import Queue
from reconciler.text.suggest import suggest

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from reconciler.manifest.documents import QueueRef
    from reconciler.manifest.load import Manifests


class QueueError(Exception):
    """A queue that is not there, or not one alone. `code` is the finding's; `hint` the nearest known name."""

    def __init__(self, code: str, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.hint = hint


class QueueResolver:
    """The tenant's live queues, and the aliases that the manifests give them in one environment."""

    def __init__(self, environment: str, aliases: Mapping[str, str | QueueRef | None], queues: Iterable[Queue]) -> None:
        """Index the queues. An alias whose value is None has no entry for this environment."""
        self.environment = environment
        self.aliases = aliases
        self._by_id = {queue.id: queue for queue in queues}
        self._by_name: dict[str, list[Queue]] = defaultdict(list)
        for queue in self._by_id.values():
            self._by_name[queue.name].append(queue)

    def resolve(self, name: str) -> Queue:
        """Return the live queue that `name` (an alias, else a live name) means here. Raises QueueError."""
        if name not in self.aliases:
            return self._resolve_name(name, name)
        meant = self.aliases[name]
        if meant is None:
            raise QueueError("CXR105", f"queue alias {name!r} has no entry for {self.environment}")
        if isinstance(meant, str):
            return self._resolve_name(name, meant)
        if meant.name is not None:
            return self._resolve_name(name, meant.name)
        return self._resolve_id(name, str(meant.id))

    def _resolve_name(self, name: str, live_name: str) -> Queue:
        named = self._by_name.get(live_name, [])
        found = [queue for queue in named if queue.active] or named
        if len(found) == 1:
            return self._require_active(found[0])
        shown = f'"{name}"' if name == live_name else f'"{live_name}" (alias {name!r})'
        if found:
            message = f"{len(found)} live queues of {self.environment} are named {shown}"
            raise QueueError("CXR106", message, "name one by id in a Queues document")
        where = "no live queue" if name != live_name else "no alias and no live queue"
        raise QueueError("CXR105", f"queue {shown} is {where} of {self.environment}", self.suggest(live_name))

    def _resolve_id(self, name: str, queue_id: str) -> Queue:
        found = self._by_id.get(queue_id)
        if found is None:
            raise QueueError("CXR105", f'queue id "{queue_id}" (alias {name!r}) is not live in {self.environment}')
        return self._require_active(found)

    def _require_active(self, queue: Queue) -> Queue:
        if not queue.active:
            message = f'queue "{queue.name}" (id {queue.id}) of {self.environment} is inactive'
            raise QueueError("CXR121", message, "switch it on in CXone, or let the rule name another one")
        return queue

    @property
    def queues_by_id(self) -> Mapping[str, Queue]:
        """The queues by id."""
        return self._by_id

    def suggest(self, name: str) -> str:
        """Return a hint with the nearest alias or live name, or nothing."""
        return suggest(name, [*self.aliases, *self._by_name])


class OfflineQueueResolver(QueueResolver):
    """Offline: every queue that a manifest names is assumed to exist; `assumed_queues` holds these by id."""

    def __init__(self, environment: str, aliases: Mapping[str, str | QueueRef | None]) -> None:
        """Begin with no queue; an unnumbered one's id is its name."""
        super().__init__(environment, aliases, ())
        self.assumed_queues: dict[str, Queue] = {}

    @property
    def queues_by_id(self) -> Mapping[str, Queue]:
        """The queues that were asked for, by id."""
        return self.assumed_queues

    @property
    def names(self) -> dict[str, str]:
        """The names of these queues by id."""
        return {queue.id: queue.name for queue in self.assumed_queues.values()}

    def _resolve_name(self, name: str, live_name: str) -> Queue:
        del name
        return self.assumed_queues.setdefault(live_name, Queue(live_name, live_name))

    def _resolve_id(self, name: str, queue_id: str) -> Queue:
        return self.assumed_queues.setdefault(queue_id, Queue(queue_id, name))


def resolve_aliases(manifests: Manifests, environment: str) -> dict[str, str | QueueRef | None]:
    """Return the meaning of each alias in the environment; None where it has none, in the sandbox its own name."""
    missing = (lambda alias: alias) if environment == "sandbox" else (lambda _alias: None)
    return {
        alias: meant if isinstance(meant, str) else meant.get(environment) or missing(alias)
        for loaded in manifests.queues
        for alias, meant in loaded.document.queues.items()
    }
