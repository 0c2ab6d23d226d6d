"""What a manifest calls a live queue: an alias that means it, else its name, else an alias that is made here."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from reconciler.catalogue import QueueError
from reconciler.export.words import NotWritableError, escaped, free, slugged, unwritable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from reconciler.catalogue import Catalogue
    from reconciler.model import Queue


class QueueNames:
    """Names for the queues of one tenant."""

    def __init__(self, catalogue: Catalogue, queues: Iterable[Queue], used: Iterable[str]) -> None:
        """`used` are the ids of the queues that are named, in the order in which aliases are given.

        Where rules name aliases (there is a Queues document, or one queue cannot do without), all queues get one:
        `validate` warns of a name that is no alias.
        """
        self._environment = catalogue.environment
        self._aliases = catalogue.aliases
        self._queues = {queue.id: queue for queue in queues}
        self._count = Counter(queue.name for queue in self._queues.values())
        self._made: dict[str, Any] = {}
        self.meant: dict[str, Queue] = {}
        """What each name that was given means."""
        self._names: dict[str, str] = {}
        self._taken = {*self._aliases, *self._count}
        for alias in self._aliases:
            self._learn(catalogue, alias)
        found = [self._queues[one] for one in dict.fromkeys(used) if one in self._queues and one not in self._names]
        aliased = bool(self._aliases) or not all(map(self._goes_by_name, found))
        for queue in found:
            self._names[queue.id] = self._alias(queue) if aliased else queue.name

    @property
    def added(self) -> dict[str, Any]:
        """Return the aliases that were used and that the manifests have not got, with what they mean."""
        return {alias: meant for alias, meant in self._made.items() if alias in self.meant}

    def name(self, queue_id: str) -> str:
        """Return what a manifest calls the queue, as it is written there. Raises NotWritableError where it is gone."""
        if queue_id not in self._names:
            raise NotWritableError(f"its queue {queue_id} is gone")
        name = self._names[queue_id]
        self.meant[name] = self._queues[queue_id]
        return escaped(name)

    def known(self, queue_id: str) -> str:
        """Return what manifests as they are can call the queue, as it is written. Raises NotWritableError."""
        queue = self._queues.get(queue_id)
        if queue is None or (queue_id not in self._names and not self._goes_by_name(queue)):
            shown = f'"{queue.name}" ({queue_id})' if queue else queue_id
            raise NotWritableError(
                f"its queue {shown} has no name that means it alone: give it one in a Queues document"
            )
        return escaped(self._names.get(queue_id, queue.name))

    def live_name(self, queue_id: str) -> str:
        """Return the name that people see in CXone."""
        return self._queues[queue_id].name if queue_id in self._queues else ""

    def _learn(self, catalogue: Catalogue, alias: str) -> None:
        """Take note of what an alias means here; the first one for a queue is used."""
        try:
            self._names.setdefault(catalogue.resolve(alias).id, alias)
        except QueueError:
            return

    def _goes_by_name(self, queue: Queue) -> bool:
        return bool(queue.name) and self._count[queue.name] == 1 and queue.name not in self._aliases

    def _alias(self, queue: Queue) -> str:
        alone = bool(queue.name) and self._count[queue.name] == 1 and not unwritable(queue.name)
        readable = slugged(queue.name) or "queue"
        alias = free(readable if alone else f"{readable[:48]}-{slugged(queue.id)[:8]}".strip("-"), self._taken)
        self._taken.add(alias)
        self._made[alias] = queue.name if alone else {self._environment: {"id": queue.id}}
        return alias
