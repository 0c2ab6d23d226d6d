"""The journal: an append-only record of intended writes and their results, in JSON lines.

No decision depends on it.
"""

import contextlib
import math
import os
import re
import socket
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, NamedTuple

from reconciler.cli.hooks import RunRecorder
from reconciler.core.apply.attempt import Attempt, Verdict
from reconciler.core.apply.progress import ApplyReport, outcomes_to_json
from reconciler.core.errors import UsageError
from reconciler.core.model.change import (
    Change,
    Create,
    Failed,
    PlanStep,
    Skipped,
    is_copy_removal,
)
from reconciler.core.model.rule import CANONICAL_JSON
from reconciler.core.plan.document import change_to_json, plan_id
from reconciler.core.plan.stages import Plan
from reconciler.core.text.escape import quote_name
from reconciler.core.text.files import MIB
from reconciler.core.text.json_values import STRICT_DECODER
from reconciler.core.text.suggest import suggest
from reconciler.features.journal.history import RecordedRun
from reconciler.features.journal.sinks import JournalSink
from reconciler.features.journal.undo_settings import changed_settings

RUN_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}", re.ASCII)
"""The names of runs.

Another name in a journal is not a run, and is not suggested as a word of a command.
"""
# the maximum size of a journal: some hundred thousand changes
LARGEST: Final = 256 * MIB

_VERDICT_WORDS: Final = {
    Verdict.DONE: "acknowledged",
    Verdict.RETRY: "unclear",
    Verdict.ALTERED: "kept otherwise",
    Verdict.CONFLICT: "changed meanwhile",
    Verdict.FAILED: "failed",
    Verdict.ABORT: "failed",
}
JournalEntry = dict[str, Any]
Redact = Callable[[dict[str, object]], dict[str, object]]
# gets a noun, the number that is done, and the total
Progress = Callable[[str, int, int], None]


class Journal:
    """Records the entries of one run.

    If the journal cannot be written, `warn` is called once and the run continues.
    """

    def __init__(
        self,
        sink: JournalSink,
        run_id: str,
        now: Callable[[], datetime],
        warn: Callable[[str], None],
        redact: Redact = dict,
    ) -> None:
        """`redact` takes secrets out of an entry; the field `hidden` says that it did."""
        self.sink = sink
        self.run_id = run_id
        self._now = now
        self._warn = warn
        self._redact = redact
        # the journal cannot be written, so the run is incomplete there
        self.is_broken = False

    def write_entry(self, event: str, **entry: object) -> None:
        """Append one entry."""
        now = self._now().isoformat().replace("+00:00", "Z")
        full_entry = {**entry, "run": self.run_id, "at": now, "event": event}
        redacted = self._redact(full_entry)
        if redacted != full_entry:
            redacted = {**redacted, "hidden": True}
        line = f"{CANONICAL_JSON.encode(redacted)}\n".encode()
        self._run_safely(lambda: self.sink.append(line))

    def sync(self) -> None:
        """Wait until the entries are stored."""
        self._run_safely(self.sink.sync)

    def close(self) -> None:
        """Store the entries, and free the sink."""
        self._run_safely(self.sink.close)

    def _run_safely(self, action: Callable[[], object]) -> None:
        if self.is_broken:
            return
        try:
            action()
        except OSError as error:
            self.is_broken = True
            # the reader of the warning may be gone too
            with contextlib.suppress(OSError):
                self._warn(
                    f"cannot write the journal {self.sink.name} ({error.strerror}); the run "
                    f"continues without it"
                )


def run_name(plan: Plan, now: datetime) -> str:
    """Return the name of a run that starts at `now`."""
    short_id = plan_id(plan)[:4]
    return f"{now:%Y-%m-%dT%H%M%S}-{plan.environment}-{short_id}"


class RunFacts(NamedTuple):
    """What a plan does not say about a run."""

    who: str
    reason: str
    tenant: str = ""  # its address; empty for the sandbox
    # has all manifests that the run makes live; empty if no commit has them, or it is a part
    commit: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorder(RunRecorder):
    """The journal of one run; `apply` calls it before and after each write."""

    plan: Plan
    journal: Journal
    progress: Progress
    done: set[str] = field(default_factory=set)
    # by identity; the steps are kept
    announced: dict[int, PlanStep] = field(default_factory=dict)

    @classmethod
    def begin(
        cls,
        journal: Journal,
        plan: Plan,
        *,
        facts: RunFacts,
        progress: Progress,
    ) -> "Recorder":
        """Record the start of a run."""
        subject = {
            "environment": plan.environment,
            "owner": plan.owner,
            "tenant": facts.tenant,
            "who": facts.who,
            "reason": facts.reason,
        }
        process = {"host": socket.gethostname(), "pid": os.getpid()}
        allowed = {
            result.name: result.allowed for result in plan.guards if result.allowed
        }
        count = sum(not is_copy_removal(change) for change in plan.changes)
        entry = {
            "planId": plan_id(plan),
            "allowed": allowed,
            "undo": plan.options.undo,
            "changes": count,
            "commit": facts.commit,
        }
        entry |= changed_settings(plan)
        journal.write_entry("start", **subject, **entry, process=process)
        return cls(plan=plan, journal=journal, progress=progress)

    def announce(self, steps: Sequence[PlanStep]) -> None:
        """Record steps together before their calls, if the journal stores entries only at a
        sync.
        """
        if not self.journal.sink.stores_at_sync:
            return
        for step in steps:
            self.intend(step)
            self.announced[id(step)] = step
        self.journal.sync()

    def intend(self, step: PlanStep) -> None:
        """Record a step before its call: the rule before and after it."""
        if id(step) in self.announced:
            return
        document = change_to_json(self.plan, step.change)
        fields = {
            name: document[name]
            for name in ("address", "action", "id", "cause", "before", "after")
        }
        self.journal.write_entry("intend", **fields, step=_kind(step))

    def tried(self, step: PlanStep, result: Attempt) -> None:
        """Record the result of the call."""
        kind = _kind(step)
        fields = _change_fields(step.change)
        fields |= {
            "status": _VERDICT_WORDS[result.verdict],
            "error": result.error,
            "step": kind,
        }
        if result.id:
            fields["id"] = result.id
        self.journal.write_entry("tried", **fields)
        if result.verdict is Verdict.DONE and kind == "whole":
            self.done.add(f"{step.change.action} {step.change.address}")
        self.progress("changes", len(self.done), len(self.plan.changes))

    def wave(self) -> None:
        """Sync the journal, once for the concurrent steps of a wave."""
        self.journal.sync()

    def end(self, report: ApplyReport) -> None:
        """Record the outcome of each change, and close."""
        documents = outcomes_to_json(report)
        for outcome, document in zip(report.outcomes, documents, strict=True):
            fields = _change_fields(outcome.change)
            if isinstance(outcome, Failed | Skipped):
                fields["touched"] = outcome.left_partial
            self.journal.write_entry("outcome", **{**fields, **document})
        self._close(
            converged=report.converged,
            interrupted=report.interrupted,
            error=report.error,
        )

    @property
    def name(self) -> str:
        """Return the name of the run in the journal; empty if the journal could not be written."""
        return "" if self.journal.is_broken else self.journal.run_id

    def given_up(self, why: str) -> None:
        """Record the reason why nothing was written, and close."""
        self._close(converged=False, interrupted=False, error=why, written=False)

    def _close(self, **end: object) -> None:
        self.journal.write_entry("end", **end)
        self.journal.close()


def _kind(step: PlanStep) -> str:
    return "drop" if is_copy_removal(step.change) else step.kind


def _change_fields(change: Change) -> dict[str, Any]:
    fields = {
        "address": str(change.address),
        "action": change.action,
        "cause": change.cause,
    }
    if not isinstance(change, Create):
        fields["id"] = change.live.id
    return fields


def find_run(
    recorded: Sequence[RecordedRun],
    name: str,
    place: str,
    remedy: str = "",
) -> RecordedRun:
    """Return the run of that name. Raises UsageError with the nearest name, or a remedy."""
    for run in recorded:
        if run.id == name:
            return run
    problem = f"the journal {place} has no run {quote_name(name)}"
    hint = suggest(name, [run.id for run in recorded])
    raise UsageError(f"{problem}; {hint}" if hint else f"{problem}. {remedy}".rstrip())


def parse_runs(
    lines: Iterable[str], on_skipped: Callable[[int], object] = lambda _: None
) -> tuple[RecordedRun, ...]:
    """Return the runs, oldest first; `on_skipped` gets the number of lines that are not entries."""
    entries_by_run: dict[str, list[tuple[int, JournalEntry]]] = {}
    unreadable: list[int] = []
    for number, line in enumerate(lines):
        entry = _parse_entry(line)
        if entry is not None:
            entries_by_run.setdefault(entry["run"], []).append((number, entry))
        elif line.strip():
            unreadable.append(number)
    if unreadable:
        on_skipped(len(unreadable))
    return tuple(
        _build_run(name, numbered, unreadable)
        for name, numbered in entries_by_run.items()
    )


def _parse_entry(line: str) -> JournalEntry | None:
    try:
        entry = STRICT_DECODER.decode(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(entry, dict):
        return None
    has_texts = all(isinstance(entry.get(name), str) for name in ("run", "at", "event"))
    return entry if has_texts else None


def _build_run(
    name: str,
    numbered: Sequence[tuple[int, JournalEntry]],
    unreadable: Sequence[int],
) -> RecordedRun:
    """Return a run from its entries with the numbers of their lines, and those of unreadable
    lines.
    """
    entries = [entry for _, entry in numbered]
    starts = (entry for entry in entries if entry["event"] == "start")
    ends = (entry for entry in reversed(entries) if entry["event"] == "end")
    end = next(ends, None)
    first_line = numbered[0][0]
    last_line = math.inf if end is None else numbered[-1][0]
    return RecordedRun(
        id=name,
        start=next(starts, entries[0]),
        changes=_join_changes(entries),
        end=end,
        last_entry=entries[-1],
        unreadable_lines=sum(first_line < number < last_line for number in unreadable),
    )


def _join_changes(entries: Iterable[JournalEntry]) -> tuple[JournalEntry, ...]:
    """Join each intended change with its last result; a write without a response stays
    `unknown`.
    """
    changes: dict[tuple[str, str, str], JournalEntry] = {}
    for entry in entries:
        step = entry.get("step", "whole")
        if step in ("drop", "back"):
            # the removal of a temporary copy, or a reverted first write, is not a change of the
            # rule
            continue
        # A duplicate can be deleted in addition to the rule itself: two changes.
        rule_id = str(entry.get("id")) if entry.get("action") == "delete" else ""
        key = (str(entry.get("address")), str(entry.get("action")), rule_id)
        if entry["event"] == "intend" and not (step == "copy" and key in changes):
            earlier = changes.get(key, {})
            changes[key] = {**entry, "status": "unknown"}
            if earlier.get("step") == "aside" and _changes_only_name(entry):
                changes[key]["before"] = earlier.get("before")
        elif step == "whole" and entry["event"] in ("tried", "outcome"):
            changes[key] = {**changes.get(key, {}), **entry}
    return tuple(changes.values())


def _changes_only_name(entry: JournalEntry) -> bool:
    before = entry.get("before")
    after = entry.get("after")
    if not isinstance(before, dict) or not isinstance(after, dict):
        return False
    names = ("priority", "enabled", "conditions", "targets")
    return all(before.get(name) == after.get(name) for name in names)
