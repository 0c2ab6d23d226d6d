"""The state of a simulated tenant: queues, rules and conversations; and a bank's tenant to start from."""

import json
import time
import uuid
import zlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from copy import deepcopy
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from typing import Any, Final, Self

from reconciler.simulator.messages import Json, SimRequest, encode_json
from reconciler.simulator.storage import StateChange, StateFiles

JsonObject = dict[str, Any]
_Items = Iterable[JsonObject]
_Named = JsonObject | None  # objects by name
_LOG_LIMIT: Final = 20_000
_CODE: Final = "// A\r\nASSIGN cxr_skill = {}\r\n// cxroute:begin {}\r\n// cxroute:end\r\nTRACE cxr_rule\r\n"
_CONTENT: Final = """{"header": {"masterId": "", "scriptName": %s, "mediaType": "Phone", "version": 1000.0},
"actions": {"1": {"actionType": "ONSIGNAL", "x": 8.5}, "3": {"actionType": "REQAGENT"}, "2": {"actionType": "SNIPPET"}},
"properties": {"3": {"0": {"name": "Skill", "value": "{cxr_skill}", "hidden": false}}, "2": {
  "1": {"hidden": true, "value": "Gr\\u00f6\\u00dfe\\u2028", "name": "Caption"},
  "0": {"name": "Code", "?": null, "value": %s}}},
"branches": {"1": [{"label": "Default", "to": "2"}], "2": [{"to": "3", "odd": [1e-07, 1234567890123456789]}]}, "": 0}"""


class TenantState:
    """The tenant's state in memory and, before a change is acknowledged, in its file, if it has one."""

    # Callers must not change its values in place: `put`, `edit`, `remove` and `merge` change the state.
    def __init__(
        self, queues: _Items = (), rules: _Items = (), contexts: _Named = None, scripts: _Named = None
    ) -> None:
        self.queues: list[JsonObject] = list(queues)
        self.contexts: dict[str, JsonObject] = dict(contexts or {})
        self.scripts: dict[str, JsonObject] = dict(scripts or {})  # versions by id: path, content, user, date, lock
        self.stored_rules: dict[str, JsonObject] = {}  # by id, oldest first
        self._objects = {"rule": self.stored_rules, "context": self.contexts, "script": self.scripts}
        self.requests: deque[SimRequest] = deque(maxlen=_LOG_LIMIT)  # the last ones
        self.watchers: list[Callable[[TenantState], object]] = []  # called after each change, before the response
        self.revision = 0
        self._ids_by_name: dict[str, set[str]] = {}
        self._files: StateFiles | None = None
        for rule in rules:
            self._assign("rule", rule["id"], rule)

    @classmethod
    def load(
        cls,
        path: Path,
        initial: "TenantState | None" = None,
        lock_timeout: float = 10.0,
        read: Callable[[Path], bytes] = Path.read_bytes,
    ) -> Self:
        """Return the state of a file, or `initial` for a new file; locks it until `close`. Raises StateError."""
        # Waits `lock_timeout` seconds for the lock.
        state_files = StateFiles(path, lock_timeout, read)
        try:
            if initial is not None and state_files.is_new():
                state_files.replace(initial.to_document())
            state = cls(**state_files.snapshot())
            state._apply(state_files.changes())
            state_files.compact(state.to_document)
        except BaseException:
            state_files.close()
            raise
        state._files = state_files
        return state

    @classmethod
    def read_copy(cls, path: Path, read: Callable[[Path], bytes] = Path.read_bytes) -> Self:
        """Return the state of a file in memory: nothing is locked or written. Raises StateError."""
        state_files = StateFiles(path, None, read)
        state = cls(**state_files.snapshot())
        state._apply(state_files.changes())
        return state

    def _apply(self, changes: Iterable[StateChange]) -> None:
        for change in changes:
            # A change applies only to the version that it replaced (storage.py).
            if change.previous_fingerprint == self._fingerprint(change.kind, change.id):
                self._assign(change.kind, change.id, change.value)

    def close(self) -> None:
        """Write the complete state to its file, if it has one, and unlock it. Raises StateError."""
        state_files, self._files = self._files, None
        if state_files is not None:
            try:
                state_files.compact(self.to_document)
            finally:
                state_files.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def to_document(self) -> JsonObject:
        """Return the content of the state's file."""
        scripts = {"scripts": self.scripts} if self.scripts else {}
        return {"queues": self.queues, "rules": self.rules(), "contexts": self.contexts, **scripts}

    def rules(self) -> list[JsonObject]:
        """Return all rules, oldest first."""
        return list(self.stored_rules.values())

    def ids_named(self, name: str) -> frozenset[str]:
        """Return the ids of the rules of that name."""
        return frozenset(self._ids_by_name.get(name, ()))

    def put(self, rule: JsonObject) -> JsonObject:
        """Store a rule under its `id`, and return it. After a StateError nothing is changed."""
        self._set("rule", rule["id"], rule)
        return rule

    def edit(self, rule_id: str, now: float | None = None, **fields: Json) -> None:
        """Change fields of a rule, as a user does in the UI. Raises KeyError for an unknown rule."""
        rule = {**self.stored_rules[rule_id], **fields}
        modified = format_timestamp(time.time() if now is None else now)
        self.put({**rule, "version": rule_version(rule) + 1, "dateModified": modified})

    def remove(self, rule_id: str) -> None:
        """Delete a rule. Raises KeyError for an unknown rule; after a StateError nothing is changed."""
        if rule_id not in self.stored_rules:
            raise KeyError(rule_id)
        self._set("rule", rule_id, None)

    def merge(self, conversation: str, attributes: JsonObject) -> JsonObject:
        """Merge attributes into a conversation's and return all. After a StateError nothing is changed."""
        after = {**self.contexts.get(conversation, {}), **attributes}
        self._set("context", conversation, after)
        return after

    def current_script(self, path: str) -> str:
        """Return the id of the version of a script that runs, or "" for an unknown script."""
        return next((key for key, version in reversed(self.scripts.items()) if version["path"] == path), "")

    def save_script(self, path: str, content: Json, user: str, now: float | None = None, identity: str = "") -> str:
        """Store a version of a new or existing script, and return its id. After a StateError nothing is changed."""
        before, identity = self.scripts.get(self.current_script(path), {"lock": {}}), identity or str(uuid.uuid4())
        version = {"path": path, "content": content, "user": user, "date": time.time() if now is None else now}
        self._set("script", identity, {"lock": before["lock"], **version})
        return identity

    def add_script(self, path: str, content: Json = None, block: str = "acme-routing/main") -> str:
        """Add a script: JSON, XML of Desktop Studio, or, by default, a script with an empty block."""
        skill = next((str(queue["id"]) for queue in self.queues if str(queue["id"]).isdigit()), "0")
        return self.save_script(path, content or default_content(path, block, skill), "Studio Author")

    def save_script_by_person(self, path: str, user: str, edit: Callable[[str], str]) -> str:
        """Save a script with other code, as a user does in Studio. Raises KeyError for an unknown script."""
        return self.save_script(path, edit_content(self.scripts[self.current_script(path)]["content"], edit), user)

    def lock_script(self, path: str, user: str, now: float | None = None) -> None:
        """Lock a script for a user, or unlock it for an empty name. Raises KeyError for an unknown script."""
        date = format_timestamp(time.time() if now is None else now)
        lock = {"lockedName": user, "lockedId": f"{zlib.crc32(user.encode())}", "lockedDate": date} if user else {}
        self._set("script", self.current_script(path), {**self.scripts[self.current_script(path)], "lock": lock})

    def _set(self, kind: str, identity: str, value: JsonObject | None) -> None:
        # Logs and makes one change; None removes the object.
        if self._files is not None:
            self._files.append(StateChange(kind, identity, self._fingerprint(kind, identity), value))
        self._assign(kind, identity, value)
        self.revision += 1
        for watcher in self.watchers:
            watcher(self)

    def _fingerprint(self, kind: str, identity: str) -> str | None:
        """Return a short checksum of an object's JSON, which distinguishes its versions."""
        value = self._objects[kind].get(identity)
        return None if value is None else f"{zlib.crc32(encode_json(value)):08x}"

    def _assign(self, kind: str, identity: str, value: JsonObject | None) -> None:
        objects = self._objects[kind]
        if kind == "rule" and identity in objects:
            self._ids_by_name[objects[identity]["name"]].discard(identity)
        if value is None:
            objects.pop(identity, None)
            return
        objects[identity] = value
        if kind == "rule":
            self._ids_by_name.setdefault(value["name"], set()).add(identity)


def rule_version(rule: Mapping[str, Any]) -> int:
    """Return a rule's version, or 0 if a manual edit removed it."""
    version = rule.get("version")
    return version if isinstance(version, int) else 0


def format_timestamp(seconds: float) -> str:
    """Return a time in the API's format: `2026-01-05T09:00:00.000Z`."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{int(seconds * 1000) % 1000:03d}Z"


def bank_tenant() -> TenantState:
    """Return a bank's tenant: manual rules, rules of other owners, unknown fields."""
    tenant = json.loads(files("reconciler.simulator").joinpath("tenants/bank.json").read_text(encoding="utf-8"))
    return TenantState(queues=tenant["queues"], rules=tenant["rules"])


def default_content(path: str, block: str, skill: str) -> JsonObject:
    """Return a script with an empty block, OWNER/BLOCK; `skill` is that of contacts for which no rule applies."""
    content: JsonObject = json.loads(_CONTENT % (json.dumps(path), json.dumps(_CODE.format(skill, block))))
    return content


def find_snippets(content: JsonObject) -> Iterator[tuple[str, JsonObject]]:
    """Yield the properties with code, each with its action's id: texts of several lines, as no document names them."""
    for identity, action in content["actions"].items():
        properties = content["properties"].get(identity)
        is_snippet = isinstance(action, dict) and action.get("actionType") == "SNIPPET" and isinstance(properties, dict)
        for item in properties.values() if is_snippet else ():
            if isinstance(item, dict) and isinstance(item.get("value"), str) and "\n" in item["value"]:
                yield identity, item


def edit_content(content: JsonObject | str, edit: Callable[[str], str]) -> JsonObject | str:
    """Return the content with edited code; for a Desktop script, `edit` gets the complete text."""
    if isinstance(content, str):
        return edit(content)
    edited = deepcopy(content)
    for _, item in find_snippets(edited):
        item["value"] = edit(item["value"])
    return edited
