"""Tenants to start from.

What the simulated tenant holds: queues, rules, and what is known of conversations.
"""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

from reconciler.simulator.messages import Json, SimulatorRequest, encode_json
from reconciler.simulator.storage import StateChange, StateError, StateFiles, fingerprint

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from types import TracebackType

JsonObject = dict[str, Any]

_LOG_LIMIT: Final = 20_000


class StoredRule:
    """A rule and its JSON, encoded once. Never changed: an update stores another one."""

    __slots__ = ("_text", "rule")

    def __init__(self, rule: JsonObject) -> None:
        self.rule = rule
        self._text: bytes | None = None

    @property
    def text(self) -> bytes:
        """The rule's compact JSON."""
        if self._text is None:
            self._text = encode_json(self.rule)
        return self._text


class TenantState:
    """The tenant's state, in memory and, where it was loaded from a file, there too before a change is acknowledged.

    `requests` is the log of what was asked. `watchers` are called with the whole state after each change, before the
    answer; they should note what they see, since what they raise breaks the request.
    Everything that it hands out is to be read, not changed in place: `put`, `edit`, `remove` and `merge` change it.
    """

    def __init__(
        self,
        queues: Iterable[JsonObject] = (),
        rules: Iterable[JsonObject] = (),
        contexts: Mapping[str, JsonObject] | None = None,
    ) -> None:
        self.queues: list[JsonObject] = list(queues)
        self.contexts: dict[str, JsonObject] = dict(contexts or {})
        self.stored_rules: dict[str, StoredRule] = {}
        self.requests: list[SimulatorRequest] = []
        self.watchers: list[Callable[[TenantState], object]] = []
        self.revision = 0  # counts changes
        self._ids_by_name: dict[str, set[str]] = {}
        self._files: StateFiles | None = None
        for rule in rules:
            self._store(rule)

    @classmethod
    def load(
        cls,
        path: Path,
        queues: Iterable[JsonObject] = (),
        initial: TenantState | None = None,
        lock_timeout: float = 10.0,
        read: Callable[[Path], bytes] = Path.read_bytes,
    ) -> Self:
        """Open the state kept at `path` and lock it until `close`.

        Where there is none yet, begin as `initial`, or empty.

        `queues` are added to those of the file; where an id is there already, its name is replaced. Waits up to
        `lock_timeout` seconds for another process to let go. `read` returns a file's bytes. Raises StateError.
        """
        disk = StateFiles(path, lock_timeout, read)
        try:
            if initial is not None and disk.is_new():
                disk.replace(initial.to_document())
            state = cls(**disk.snapshot())
            _check_json(path, state)
            for entry in disk.changes():
                state._replay(entry)
            state._add_queues(queues)
            disk.compact(state.to_document)
        except BaseException:
            disk.close()
            raise
        state._files = disk
        return state

    def close(self) -> None:
        """Write the whole state to its file, if it has one, and unlock it. Raises StateError."""
        disk, self._files = self._files, None
        if disk is not None:
            try:
                disk.compact(self.to_document)
            finally:
                disk.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def to_document(self) -> JsonObject:
        """Return the state as its file holds it."""
        return {"queues": self.queues, "rules": self.rules(), "contexts": self.contexts}

    def rules(self) -> list[JsonObject]:
        """Return all rules, oldest first."""
        return [stored.rule for stored in self.stored_rules.values()]

    def ids_named(self, name: str) -> frozenset[str]:
        """Return the ids of the rules of that name."""
        return frozenset(self._ids_by_name.get(name, ()))

    def has_queue(self, queue_id: object) -> bool:
        """Tell whether the tenant has the queue."""
        return any(queue["id"] == queue_id for queue in self.queues)

    def put(self, rule: JsonObject) -> StoredRule:
        """Store a rule under its `id`, new or in an older one's place. StateError, and then nothing changed."""
        self._append_change("rule", rule["id"], self._stored_text(rule["id"]), rule)
        stored = self._store(rule)
        self._notify_watchers()
        return stored

    def edit(self, rule_id: str, now: float | None = None, **fields: Json) -> StoredRule:
        """Change fields of a rule behind everybody's back, as a person in the UI does. KeyError where it is gone."""
        rule = {**self.stored_rules[rule_id].rule, **fields}
        rule |= {
            "version": rule_version(rule) + 1,
            "dateModified": format_timestamp(time.time() if now is None else now),
        }
        return self.put(rule)

    def remove(self, rule_id: str) -> None:
        """Delete a rule. KeyError where there is none; StateError, and then nothing changed."""
        self._append_change("rule", rule_id, self.stored_rules[rule_id].text, None)
        self._drop(rule_id)
        self._notify_watchers()

    def merge(self, conversation: str, attributes: JsonObject) -> JsonObject:
        """Merge attributes into a conversation's and return them all. StateError, and then nothing changed."""
        before = self.contexts.get(conversation)
        after = {**(before or {}), **attributes}
        self._append_change("context", conversation, None if before is None else encode_json(before), after)
        self.contexts[conversation] = after
        self._notify_watchers()
        return after

    def record(self, request: SimulatorRequest) -> None:
        """Append a request to the log; of a long run the oldest half is forgotten."""
        if len(self.requests) >= _LOG_LIMIT:
            del self.requests[: _LOG_LIMIT // 2]
        self.requests.append(request)

    def _notify_watchers(self) -> None:
        self.revision += 1
        for watcher in self.watchers:
            watcher(self)

    def _append_change(self, kind: str, identity: str, was: bytes | None, now: JsonObject | None) -> None:
        if self._files is not None:
            self._files.append(StateChange(kind, identity, None if was is None else fingerprint(was), now))

    def _stored_text(self, rule_id: str) -> bytes | None:
        stored = self.stored_rules.get(rule_id)
        return None if stored is None else stored.text

    def _store(self, rule: JsonObject) -> StoredRule:
        self._forget_name(rule["id"])
        self._ids_by_name.setdefault(rule["name"], set()).add(rule["id"])
        stored = self.stored_rules[rule["id"]] = StoredRule(rule)
        return stored

    def _drop(self, rule_id: str) -> None:
        self._forget_name(rule_id)
        del self.stored_rules[rule_id]

    def _forget_name(self, rule_id: str) -> None:
        before = self.stored_rules.get(rule_id)
        if before is not None:
            self._ids_by_name[before.rule["name"]].discard(rule_id)

    def _add_queues(self, queues: Iterable[JsonObject]) -> None:
        known = {queue["id"]: queue for queue in self.queues}
        for queue in queues:
            known[queue["id"]] = {**known.get(queue["id"], {}), **queue}
        self.queues = list(known.values())

    def _replay(self, entry: StateChange) -> None:
        """Apply an entry of the log where what it replaced still stands (storage.py says why)."""
        if entry.kind == "context":
            before = self.contexts.get(entry.id)
            if entry.previous_fingerprint == (None if before is None else fingerprint(encode_json(before))):
                self.contexts[entry.id] = entry.value
            return
        text = self._stored_text(entry.id)
        if entry.previous_fingerprint != (None if text is None else fingerprint(text)):
            return
        if entry.value is None:
            self._drop(entry.id)
        else:
            self._store(entry.value)


def rule_version(rule: Mapping[str, Any]) -> int:
    """Return a rule's version; 0 where a person's edit left none."""
    version = rule.get("version")
    return version if isinstance(version, int) else 0


def format_timestamp(seconds: float) -> str:
    """Return a time as the API writes it: `2026-01-05T09:00:00.000Z`."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{int(seconds * 1000) % 1000:03d}Z"


def _check_json(path: Path, state: TenantState) -> None:
    """Encode everything once, which each rule keeps: Python reads more than JSON can say. Raises StateError."""
    try:
        encode_json([state.queues, state.contexts])
        for stored in state.stored_rules.values():
            stored.text  # noqa: B018 - encodes and keeps
    except ValueError as error:
        raise StateError(f"{path}: is not JSON: {error}. Mend it, or delete it to start anew") from None


def empty_tenant(queues: Iterable[dict[str, Any]] = ()) -> TenantState:
    """Return a tenant with queues and without rules."""
    return TenantState(queues=queues)


def bank_tenant() -> TenantState:
    """Return a bank's tenant as found in life: hand-made rules, other owners' rules, unknown fields."""
    tenant = json.loads(files("reconciler.simulator").joinpath("tenants/bank.json").read_text(encoding="utf-8"))
    return TenantState(queues=tenant["queues"], rules=tenant["rules"])
