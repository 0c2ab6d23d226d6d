"""A target of another distribution: all rules are in one JSON file on disk, beside the queues.

It is written as CONTRIBUTING.md says, in this file alone, and installed by its entry point.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Final

import reconciler.core.manifest.kinds.fields as f
from reconciler.core.behaviour.endpoint_stage import TableSettings
from reconciler.core.errors import ApiError, ConcurrentChangeError
from reconciler.core.manifest.kinds.environment import Environment
from reconciler.core.model.check import CheckResult, CheckStatus
from reconciler.core.model.live import LastSave, LiveRule
from reconciler.core.model.rule import Queue
from reconciler.core.plugins import GROUP, QueueSources
from reconciler.core.rule_json import (
    RulesFile,
    parse_live_rule,
    read_rules_file,
    rule_body,
)
from reconciler.core.target import (
    Access,
    CallCounts,
    ExactForm,
    SimulatedTenant,
    Surroundings,
    Switches,
)

NAME: Final = "json-file"


class JsonFile(f.StrictModel):
    """The file with the rules."""

    path: f.NonEmptyText = f.required("The path of the file.", "rules.json")


@dataclass(frozen=True, slots=True)
class FileForm(ExactForm):
    """Each rule as it is; one save replaces all of them."""

    switches: ClassVar[Switches] = "whole table"
    document: ClassVar[str] = "file"
    editor: ClassVar[str] = "the file"


class ReadableFile:
    """Reads the rules and the queues of a file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.reads = 0

    async def rules(self) -> tuple[LiveRule, ...]:
        """Return every rule. Raises ApiError."""
        return tuple(map(parse_live_rule, self.content()["rules"]))

    async def queues(self) -> tuple[Queue, ...]:
        """Return every queue. Raises ApiError."""
        queues = self.content()["queues"]
        return tuple(Queue(queue["id"], queue["name"]) for queue in queues)

    async def last_save(self) -> LastSave | None:
        """Return None: a file does not say who saved it."""
        return None

    async def table_settings(self) -> None:
        """Return None: a file has rules alone."""

    def limit_time(self, seconds: float) -> None:
        """Do nothing: a file answers at once."""

    def call_counts(self) -> CallCounts:
        """Return the number of reads."""
        return CallCounts(self.reads)

    def content(self) -> Any:
        """Return the file's JSON. Raises ApiError."""
        self.reads += 1
        try:
            return json.loads(self.path.read_text("utf-8"))
        except (OSError, ValueError) as error:
            raise ApiError(f"{self.path.name} cannot be read: {error}") from error


class WritableFile(ReadableFile):
    """Replaces the rules of a file."""

    notes: tuple[str, ...] = ()

    @asynccontextmanager
    async def lock(self) -> AsyncIterator[None]:
        """Hold a lock beside the file."""
        with self.path.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    async def save(
        self,
        read: Sequence[LiveRule],
        after: Sequence[LiveRule],
        queue_names: Mapping[str, str],
        settings: TableSettings | None,
    ) -> tuple[str, ...]:
        """Replace the rules. Raises ConcurrentChangeError if the file has others than were read."""
        del queue_names, settings
        content = self.content()
        if tuple(read) != tuple(map(parse_live_rule, content["rules"])):
            raise ConcurrentChangeError(
                f"{self.path.name} changed since it was read", 412
            )
        raw = {live.id: live.raw for live in read}
        content["rules"] = [
            {"id": live.id, **rule_body(live.rule, live.marker, raw.get(live.id))}
            for live in after
        ]
        draft = self.path.with_suffix(".draft")
        draft.write_text(json.dumps(content, indent=1), "utf-8")
        os.replace(draft, self.path)  # noqa: PTH105 - atomic on one file system
        return ()


class FileTarget:
    """The rules of an Environment are the list `rules` of a JSON file."""

    name: Final = NAME
    settings: Final = JsonFile
    settings_help: Final = "The file of `rules: json-file`."
    settings_example: Final = {"path": "rules.json"}
    uses_platform: Final = False
    file_hint: Final = "add `queues` to the file"

    def queue_sources(self, own: object) -> QueueSources:
        """Return no limit."""
        del own
        return QueueSources()

    def form(self, environment: Environment) -> FileForm:
        """Return the form of the file."""
        del environment
        return FileForm()

    def read_file(self, path: str, environment: Environment) -> RulesFile:
        """Return the rules of a file. Raises UsageError."""
        del environment
        return read_rules_file(path)

    @asynccontextmanager
    async def open(
        self, surroundings: Surroundings, access: Access
    ) -> AsyncIterator[ReadableFile | WritableFile]:
        """Open the file; no tenant is called."""
        settings = surroundings.environment.api.target_settings
        assert isinstance(settings, JsonFile)
        source = WritableFile if access == "write" else ReadableFile
        yield source(Path(settings.path))

    async def examine(
        self,
        surroundings: Surroundings,
        lines: list[CheckResult],
        expected: Callable[[], Sequence[str]],
    ) -> None:
        """Check that the file can be read, and that it has the queues."""
        async with self.open(surroundings, "read") as source:
            rules = await source.rules()
            names = {queue.name for queue in await source.queues()}
        lines.append(CheckResult("rules", "ok", f"{len(rules)} in the file"))
        missing = [name for name in expected() if name not in names]
        status: CheckStatus = "fail" if missing else "ok"
        lines.append(CheckResult("queues", status, f"missing: {missing or 'none'}"))

    def untried(self, environment: Environment) -> Sequence[str]:
        """Return what only a write can check."""
        del environment
        return ("writing the file",)

    def prepare(self, environment: Environment, tenant: SimulatedTenant) -> None:
        """Do nothing."""


TARGET: Final = FileTarget()


def install(folder: Path) -> None:
    """Install this target for every process that has the folder on its path."""
    metadata = folder / "json_file_target-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(
        "Name: json-file-target\nVersion: 1.0\n", "utf-8"
    )
    entry = f"[{GROUP}]\n{NAME} = {__name__}:TARGET\n"
    (metadata / "entry_points.txt").write_text(entry, "utf-8")
