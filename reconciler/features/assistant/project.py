"""The manifests and the rules that questions are about, read again for each question."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final

from reconciler.cli.command_line import choose_environment, utc_now
from reconciler.cli.output import Output
from reconciler.cli.rule_lists import rules_of
from reconciler.core.behaviour.endpoint_stage import EndpointStage
from reconciler.core.behaviour.routing_entry import RoutingEntry
from reconciler.core.desired.desired import desire_offline, endpoint_stage
from reconciler.core.desired.expand_dates import zone_of
from reconciler.core.errors import UsageError
from reconciler.core.manifest.files import read_files
from reconciler.core.manifest.kinds.environment import Environment
from reconciler.core.manifest.load import FileCache, Manifests, load_contents
from reconciler.core.plan.stages import LiveState
from reconciler.core.text.escape import join_first, quote_name
from reconciler.core.text.local_time import shown_instant
from reconciler.features.assistant.arguments import RuleOrigin
from reconciler.render.text.explain import DisplayNames

ReadLive = Callable[[Manifests, Environment], LiveState]
"""Reads the live rules and queues of an Environment's tenant; it cannot write.

Raises CxrouteError.
"""

_MAX_DATES: Final = 5

SILENT: Final = Output(
    colour="never", loudness="quiet", log_format="text", form="json", asks=False
)
"""The output of the parts of commands that answers use: warnings go to stderr."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedRules:
    """The rules that a question is about, in one Environment."""

    manifests: Manifests
    environment: Environment
    origin: RuleOrigin
    entries: tuple[RoutingEntry, ...]
    names: DisplayNames
    endpoint: EndpointStage
    live: LiveState | None
    # the times at which rules of the manifests change
    dates: tuple[datetime, ...]

    def date_notes(self) -> Iterator[str]:
        """Yield a note if the rules change later: an answer is about the rules of now."""
        if self.dates:
            zone = zone_of(self.environment.timezone)
            times = [shown_instant(date, zone) for date in self.dates]
            listed = join_first(times, _MAX_DATES)
            yield f"this is about the rules of now; rules of this Environment change at {listed}"


@dataclass(frozen=True, slots=True, kw_only=True)
class AssistantProject:
    """A directory of manifests, and what the server was started with beside it."""

    directory: str  # of the manifests, as in the command line
    environment: str | None  # the one of -e
    plan: str | None = None  # the file of the last saved plan
    read_live: ReadLive | None = None  # None: offline
    _files: FileCache = field(default_factory=FileCache)

    def manifests(self) -> Manifests:
        """Return the manifests in the files now, for the rules of now. Raises ManifestError."""
        return load_contents(read_files(Path(self.directory)), self._files, utc_now())

    def environment_of(self, manifests: Manifests, name: str | None) -> Environment:
        """Return the Environment of a question. Raises UsageError."""
        return choose_environment(manifests, name or self.environment)

    def live_state(self, manifests: Manifests, environment: Environment) -> LiveState:
        """Return the live rules and queues of the tenant.

        Raises UsageError if the server is offline, and CxrouteError if they cannot be read.
        """
        if self.read_live is None:
            raise UsageError(
                "this server is offline: to read the tenant, start it with `cxroute mcp --live`"
            )
        return self.read_live(manifests, environment)

    def view(self, name: str | None, origin: RuleOrigin) -> AskedRules:
        """Return the rules of an Environment. Raises ManifestError, UsageError and CxrouteError."""
        manifests = self.manifests()
        environment = self.environment_of(manifests, name)
        endpoint = endpoint_stage(manifests, environment)
        live = None
        if origin == "live":
            live = self.live_state(manifests, environment)
            endpoint = live.endpoint(endpoint)
        entries, names = rules_of(manifests, environment, live)
        return AskedRules(
            manifests=manifests,
            environment=environment,
            origin=origin,
            entries=entries,
            names=names,
            endpoint=endpoint,
            live=live,
            dates=_dates_of(manifests, environment) if live is None else (),
        )

    def inner_path(self, name: str) -> Path:
        """Return a path below the server's folder, from an argument.

        Raises UsageError for a path elsewhere: an assistant may be told to read other files.
        """
        root = Path.cwd()
        path = root / name
        try:
            is_inside = path.resolve().is_relative_to(root.resolve())
        except (OSError, ValueError, RuntimeError):
            is_inside = False
        if not is_inside:
            raise UsageError(
                f"{quote_name(name)} is not below the folder in which the server was started"
            )
        return path


def _dates_of(manifests: Manifests, environment: Environment) -> tuple[datetime, ...]:
    calendar = desire_offline(manifests, environment)[0].calendar
    return calendar.boundaries_until() if calendar else ()


def intent_name(manifests: Manifests, text: str) -> str:
    """Return the name of the intent with this name or label; the text itself without one."""
    entries = [
        entry for loaded in manifests.intents for entry in loaded.document.entries
    ]
    if any(entry.name == text for entry in entries):
        return text
    folded = text.casefold()
    labelled = {
        entry.name
        for entry in entries
        if entry.label is not None and entry.label.casefold() == folded
    }
    return labelled.pop() if len(labelled) == 1 else text
