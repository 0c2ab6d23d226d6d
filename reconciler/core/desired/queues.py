"""Resolution of queue names in manifests to live queues (docs/manifests/queues.md)."""

from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple

from reconciler.core.manifest.documents import QueueRef
from reconciler.core.manifest.load import Manifests
from reconciler.core.model.grouping import group_pairs
from reconciler.core.model.rule import Queue
from reconciler.core.text.suggest import suggest


class QueueError(Exception):
    """A missing, ambiguous or inactive queue.

    `code` is the finding's; `hint` may contain the nearest name.
    """

    def __init__(self, code: str, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.hint = hint


class QueueResolver:
    """The tenant's live queues, and the aliases that the manifests give them in one environment."""

    def __init__(
        self,
        environment: str,
        aliases: Mapping[str, str | QueueRef | None],
        queues: Iterable[Queue] = (),
    ) -> None:
        """Index the queues. An alias whose value is None has no entry for this environment."""
        self.environment = environment
        self.aliases = aliases
        self.queues_by_id = {queue.id: queue for queue in queues}
        self._by_name = group_pairs(
            (queue.name, queue) for queue in self.queues_by_id.values()
        )

    @property
    def names(self) -> dict[str, str]:
        """The names of the queues by id; offline, of the assumed queues."""
        return {queue.id: queue.name for queue in self.queues_by_id.values()}

    def resolve(self, name: str) -> Queue:
        """Return the live queue of an alias or a live name. Raises QueueError."""
        if name not in self.aliases:
            return self._resolve_name(name, name)
        reference = self.aliases[name]
        if reference is None:
            raise QueueError(
                "CXR105", f"queue alias {name!r} has no entry for {self.environment}"
            )
        if isinstance(reference, str):
            return self._resolve_name(name, reference)
        if reference.name is not None:
            return self._resolve_name(name, str(reference.name))
        return self._resolve_id(name, str(reference.id))

    def _resolve_name(self, name: str, live_name: str) -> Queue:
        namesakes = self._by_name.get(live_name, [])
        queues = [queue for queue in namesakes if queue.active] or namesakes
        if len(queues) == 1:
            return self._require_active(queues[0])
        label = f'"{name}"' if name == live_name else f'"{live_name}" (alias {name!r})'
        if queues:
            message = (
                f"{len(queues)} live queues of {self.environment} are named {label}"
            )
            raise QueueError("CXR106", message, "select one by id in a Queues document")
        hint = suggest(live_name, [*self.aliases, *self._by_name])
        is_alias = name != live_name
        role = "not a live queue" if is_alias else "neither an alias nor a live queue"
        message = f"queue {label} is {role} of {self.environment}"
        raise QueueError("CXR105", message, hint)

    def _resolve_id(self, name: str, queue_id: str) -> Queue:
        if queue_id not in self.queues_by_id:
            raise QueueError(
                "CXR105",
                f'queue id "{queue_id}" (alias {name!r}) is not live in {self.environment}',
            )
        return self._require_active(self.queues_by_id[queue_id])

    def _require_active(self, queue: Queue) -> Queue:
        if not queue.active:
            message = f'queue "{queue.name}" (id {queue.id}) of {self.environment} is inactive'
            raise QueueError(
                "CXR121", message, "activate it in CXone, or use another queue"
            )
        return queue


class OfflineQueueResolver(QueueResolver):
    """Every queue that a manifest names is assumed to exist, with its name as its id if it has no
    id there.

    Live queues, if there are any, come first, also inactive ones.
    """

    def _resolve_name(self, name: str, live_name: str) -> Queue:
        del name
        namesakes = self._by_name.get(live_name)
        if namesakes:
            active = (queue for queue in namesakes if queue.active)
            return next(active, namesakes[0])
        assumed = Queue(live_name, live_name)
        return self.queues_by_id.setdefault(live_name, assumed)

    def _resolve_id(self, name: str, queue_id: str) -> Queue:
        assumed = Queue(queue_id, name)
        return self.queues_by_id.setdefault(queue_id, assumed)


def resolve_aliases(
    manifests: Manifests, environment: str
) -> dict[str, str | QueueRef | None]:
    """Return the queue of each alias in the environment; None without an entry, in the sandbox the
    alias itself.
    """
    return {
        alias: _queue_in(environment, alias, value)
        for loaded in manifests.queues
        for alias, value in loaded.document.queues.items()
    }


def _queue_in(
    environment: str, alias: str, value: str | QueueRef | Mapping[str, QueueRef]
) -> str | QueueRef | None:
    is_sandbox = environment == "sandbox"
    if isinstance(value, str):
        return value
    if isinstance(value, QueueRef):
        return alias if value.id and is_sandbox else value

    own = value.get(environment)
    if own:
        return own
    return alias if is_sandbox else None


class OwnedQueue(NamedTuple):
    """A queue with owners.

    Without a live queue of that name it has no `id`: the tenant may have renamed it.
    """

    id: str | None
    name: str
    owners: tuple[str, ...]

    @property
    def identity(self) -> tuple[str, tuple[str, ...]]:
        """Return the queue, whatever its name is, and who must consent."""
        queue = self.id or self.name
        return queue, self.owners


def list_owned_queues(
    manifests: Manifests, environment: str, live: Collection[Queue]
) -> frozenset[OwnedQueue]:
    """Return the queues with owners in an environment: every live queue of a name, also if it is
    inactive.
    """
    # Also as they were before a change: it cannot remove owners and move their callers in one step.
    owned = set[OwnedQueue]()
    for side in filter(None, (manifests, manifests.before)):
        for alias, reference in resolve_aliases(side, environment).items():
            if isinstance(reference, QueueRef) and reference.owners:
                owned |= _owned_queues(alias, reference, live)
    return frozenset(owned)


def _owned_queues(
    alias: str, reference: QueueRef, live: Collection[Queue]
) -> set[OwnedQueue]:
    """Return the live queues of an alias with owners, or the queue that it names."""
    owners = tuple(sorted(set(reference.owners)))
    queues = {
        OwnedQueue(queue.id, queue.name, owners)
        for queue in live
        if reference.id == queue.id or reference.name == queue.name
    }
    return queues or {OwnedQueue(reference.id, reference.name or alias, owners)}
