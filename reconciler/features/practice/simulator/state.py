"""The state of a simulated tenant: queues, rules and conversations; and a bank's tenant."""

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
from typing import Any, Final, Literal, Self

from reconciler.features.practice.simulator.messages import Json, SimRequest
from reconciler.features.practice.simulator.storage import (
    StateError,
    StateFile,
    read_document,
)

JsonObject = dict[str, Any]
Objects = dict[str, JsonObject]
Part = Literal["rules", "contexts", "scripts", "tables"]
Changed = dict[str, JsonObject | None]
_LOG_LIMIT: Final = 20_000
_CODE: Final = (
    "// A\r\nASSIGN cxr_skill = {}\r\n// cxroute:begin {}\r\n// cxroute:end\r\nTRACE "
    "cxr_rule\r\n"
)
_CONTENT: Final = """{"header": {"masterId": "", "scriptName": %s, "mediaType": "Phone", "version": 1000.0},
"actions": {"1": {"actionType": "ONSIGNAL", "x": 8.5}, "3": {"actionType": "REQAGENT"}, "2": {"actionType": "SNIPPET"}},
"properties": {"3": {"0": {"name": "Skill", "value": "{cxr_skill}", "hidden": false}}, "2": {
  "1": {"hidden": true, "value": "Gr\\u00f6\\u00dfe\\u2028", "name": "Caption"},
  "0": {"name": "Code", "?": null, "value": %s}}},
"branches": {"1": [{"label": "Default", "to": "2"}], "2": [{"to": "3", "odd": [1e-07, 1234567890123456789]}]}, "": 0}"""


class TenantState:
    """The tenant's state in memory and, before a change is acknowledged, in its file, if any.

    Callers must not change its objects in place: `put`, `edit`, `remove` and `merge` replace them.
    """

    def __init__(
        self,
        queues: Iterable[JsonObject] = (),
        rules: Iterable[JsonObject] = (),
        contexts: JsonObject | None = None,
        scripts: JsonObject | None = None,
        tables: JsonObject | None = None,
    ) -> None:
        self.queues: list[JsonObject] = list(queues)
        self.stored_rules: Objects = {}  # by id, oldest first
        self._ids_by_name: dict[str, set[str]] = {}
        self.contexts: Objects = dict(contexts or {})
        # Versions by id: path, content, user, date, lock.
        self.scripts: Objects = dict(scripts or {})
        # Of the decision service, by version.
        self.tables: Objects = dict(tables or {})
        self._assign("rules", {rule["id"]: rule for rule in rules})
        self.requests: deque[SimRequest] = deque(maxlen=_LOG_LIMIT)  # the last ones
        # Called after each change, before the response:
        self.watchers: list[Callable[[TenantState], object]] = []
        self.revision = 0
        self._file: StateFile | None = None
        self._queues_in_file: list[JsonObject] = []

    @classmethod
    def load(
        cls,
        path: Path,
        initial: "TenantState | None" = None,
        lock_timeout: float = 10.0,
    ) -> Self:
        """Return the state of a file, or `initial` for a new file; locks it until `close`.

        Waits `lock_timeout` seconds for the lock. Raises StateError.
        """
        file = StateFile(path, lock_timeout)
        try:
            if initial is not None and not path.exists():
                file.replace(initial.to_document())
            state = cls(**read_document(path))
        except BaseException:
            file.close()
            raise
        state._file = file
        return state

    @classmethod
    def read(cls, path: Path) -> Self:
        """Return a file's state in memory: nothing is locked or written. Raises StateError."""
        return cls(**read_document(path))

    def close(self) -> None:
        """Write the state's file as one document, if it has one, and unlock it."""
        if self._file is not None:
            self._file.close(self.to_document)
            self._file = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def to_document(self) -> JsonObject:
        """Return the content of the state's file."""
        document: JsonObject = {
            "queues": self.queues,
            "rules": self.rules(),
            "contexts": self.contexts,
        }
        if self.scripts:
            document["scripts"] = self.scripts
        if self.tables:
            document["tables"] = self.tables
        return document

    def rules(self) -> list[JsonObject]:
        """Return all rules, oldest first."""
        return list(self.stored_rules.values())

    def ids_named(self, name: str) -> set[str]:
        """Return the ids of the rules of that name."""
        return set(self._ids_by_name.get(name, ()))

    def put(self, rule: JsonObject) -> JsonObject:
        """Store a rule under its `id`, and return it. After a StateError nothing is changed."""
        self._set("rules", {rule["id"]: rule})
        return rule

    def edit(self, rule_id: str, now: float | None = None, **fields: Json) -> None:
        """Change fields of a rule, as a user does in the UI.

        Raises KeyError for an unknown rule.
        """
        rule = {**self.stored_rules[rule_id], **fields}
        modified = format_timestamp(time.time() if now is None else now)
        self.put({**rule, "version": rule_version(rule) + 1, "dateModified": modified})

    def remove(self, rule_id: str) -> None:
        """Delete a rule. Raises KeyError for an unknown rule; StateError if it stays."""
        if rule_id not in self.stored_rules:
            raise KeyError(rule_id)
        self._set("rules", {rule_id: None})

    def merge(self, conversation: str, attributes: JsonObject) -> JsonObject:
        """Merge attributes into a conversation's and return all. Raises StateError."""
        after = {**self.contexts.get(conversation, {}), **attributes}
        self._set("contexts", {conversation: after})
        return after

    def publish_table(self, version: int, table: JsonObject, kept: int) -> None:
        """Store a version of the decision service's table, and forget the one that is `kept`
        versions older. Raises StateError.
        """
        changed: Changed = {str(version): table}
        oldest = str(version - kept)
        if oldest in self.tables:
            changed[oldest] = None
        self._set("tables", changed)

    def current_script(self, path: str) -> str:
        """Return the id of the version of a script that runs, or "" for an unknown script."""
        for identity, version in reversed(self.scripts.items()):
            if version["path"] == path:
                return identity
        return ""

    def save_script(
        self,
        path: str,
        content: Json,
        user: str,
        now: float | None = None,
        identity: str = "",
    ) -> str:
        """Store a version of a new or existing script, and return its id. Raises StateError."""
        current = self.scripts.get(self.current_script(path))
        version = {
            "lock": current["lock"] if current else {},
            "path": path,
            "content": content,
            "user": user,
            "date": time.time() if now is None else now,
        }
        identity = identity or str(uuid.uuid4())
        self._set("scripts", {identity: version})
        return identity

    def add_script(
        self,
        path: str,
        content: Json = None,
        block: str = "acme-routing/main",
    ) -> str:
        """Add a script: JSON, XML of Desktop Studio, or, by default, a script with an empty
        block.
        """
        skill = next(
            (str(queue["id"]) for queue in self.queues if str(queue["id"]).isdigit()),
            "0",
        )
        return self.save_script(
            path,
            content or default_content(path, block, skill),
            "Studio Author",
        )

    def save_script_by_person(
        self,
        path: str,
        user: str,
        edit: Callable[[str], str],
    ) -> str:
        """Save a script with other code, as a user does in Studio; raise KeyError without one."""
        content = self.scripts[self.current_script(path)]["content"]
        return self.save_script(path, edit_content(content, edit), user)

    def lock_script(self, path: str, user: str, now: float | None = None) -> None:
        """Lock a script for a user, or unlock it for an empty name; raise KeyError without one."""
        lock = {}
        if user:
            date = format_timestamp(time.time() if now is None else now)
            lock = {
                "lockedName": user,
                "lockedId": str(zlib.crc32(user.encode())),
                "lockedDate": date,
            }
        identity = self.current_script(path)
        version = {**self.scripts[identity], "lock": lock}
        self._set("scripts", {identity: version})

    def _set(self, part: Part, changed: Changed) -> None:
        """Make one change; None removes an object. After a StateError nothing is changed."""
        objects = self._objects(part)
        before = {identity: objects.get(identity) for identity in changed}
        self._assign(part, changed)
        try:
            self._store({part: changed})
        except StateError:
            self._assign(part, before)
            raise
        self.revision += 1
        for watcher in self.watchers:
            watcher(self)

    def _objects(self, part: Part) -> Objects:
        parts: dict[Part, Objects] = {
            "rules": self.stored_rules,
            "contexts": self.contexts,
            "scripts": self.scripts,
            "tables": self.tables,
        }
        return parts[part]

    def _assign(self, part: Part, changed: Changed) -> None:
        objects = self._objects(part)
        for identity, value in changed.items():
            before = objects.get(identity)
            if part == "rules":
                self._index(identity, before, value)
            if value is None:
                objects.pop(identity, None)
            else:
                objects[identity] = dict(value)

    def _index(
        self, rule_id: str, before: JsonObject | None, after: JsonObject | None
    ) -> None:
        if before is not None:
            self._ids_by_name[before["name"]].discard(rule_id)
        if after is not None:
            self._ids_by_name.setdefault(after["name"], set()).add(rule_id)

    def _store(self, change: JsonObject) -> None:
        """Write a change to the file, or everything if there is a new queue."""
        if self._file is None:
            return
        if self.queues == self._queues_in_file:
            self._file.add(change, self.to_document)
        else:
            self._file.replace(self.to_document())
            self._queues_in_file = list(self.queues)


def rule_version(rule: Mapping[str, Any]) -> int:
    """Return a rule's version, or 0 if a manual edit removed it."""
    version = rule.get("version")
    return version if isinstance(version, int) else 0


def format_timestamp(seconds: float) -> str:
    """Return a time in the API's format: `2026-01-05T09:00:00.000Z`."""
    return (
        datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.")
        + f"{int(seconds * 1000) % 1000:03d}Z"
    )


def bank_tenant() -> TenantState:
    """Return a bank's tenant: manual rules, rules of other owners, unknown fields."""
    tenant = json.loads(
        files("reconciler.features.practice.simulator")
        .joinpath("tenants/bank.json")
        .read_text(encoding="utf-8")
    )
    return TenantState(queues=tenant["queues"], rules=tenant["rules"])


def default_content(path: str, block: str, skill: str) -> JsonObject:
    """Return a script with an empty block, OWNER/BLOCK; `skill` is that of contacts for which no
    rule applies.
    """
    content: JsonObject = json.loads(
        _CONTENT % (json.dumps(path), json.dumps(_CODE.format(skill, block)))
    )
    return content


def find_snippets(content: JsonObject) -> Iterator[tuple[str, JsonObject]]:
    """Yield the properties with code, each with its action's id: texts of several lines, as no
    document names them.
    """
    for identity, action in content["actions"].items():
        properties = content["properties"].get(identity)
        is_snippet = (
            isinstance(action, dict)
            and action.get("actionType") == "SNIPPET"
            and isinstance(properties, dict)
        )
        for item in properties.values() if is_snippet else ():
            if (
                isinstance(item, dict)
                and isinstance(item.get("value"), str)
                and "\n" in item["value"]
            ):
                yield identity, item


def edit_content(
    content: JsonObject | str, edit: Callable[[str], str]
) -> JsonObject | str:
    """Return the content with edited code; for a Desktop script, `edit` gets the complete text."""
    if isinstance(content, str):
        return edit(content)
    edited = deepcopy(content)
    for _, item in find_snippets(edited):
        item["value"] = edit(item["value"])
    return edited
