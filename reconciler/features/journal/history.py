"""A run of the journal: its effect on each rule.

An entry counts only if it is complete and possible for its owner.
"""

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from reconciler.core.errors import RefusedError, UnexpectedResponseError
from reconciler.core.model.live import LiveRule, parse_marker
from reconciler.core.model.rule import Address
from reconciler.core.rule_json import is_text, parse_live_rule
from reconciler.core.text.json_values import as_text, text_at

NOT_APPLIED: Final = ("failed", "skipped")
# by a read; by the server alone, if the run was killed before that
_APPLIED: Final = ("applied", "acknowledged")
# Whether an action has a rule before and after it.
_SIDES: Final = {
    "create": (False, True),
    "update": (True, True),
    "adopt": (True, True),
    "delete": (True, False),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedRun:
    """One run of the journal: its first entry (event `start`), its changes in order, and its end,
    if any.
    """

    id: str
    start: Mapping[str, Any]
    changes: tuple[Mapping[str, Any], ...]
    end: Mapping[str, Any] | None
    last_entry: Mapping[str, Any] = field(default_factory=dict)
    # Unreadable lines that may belong to the run: between its first and last line; without an end,
    # all after the first.
    unreadable_lines: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedChange:
    """The change of one rule by a run: the rule before and after it, each None if it did not
    exist.
    """

    # A rule without a marker is unmanaged: before it was adopted, or after the undo of that.
    address: Address
    before: LiveRule | None
    after: LiveRule | None
    id: str
    # by a read at the run's end; otherwise it is unknown whether the change was made
    is_confirmed: bool


def find_last_runs(
    recorded: Iterable[RecordedRun],
    environment: str,
    owner: str,
) -> dict[Address, str]:
    """Return the last run of each rule that is live according to the journal, by the rule's
    address.
    """
    last_runs: dict[Address, str] = {}
    for run in recorded:
        if run.start.get("environment") != environment:
            continue
        if run.start.get("owner") != owner:
            continue
        for entry in run.changes:
            if entry.get("status") not in _APPLIED:
                continue
            before = _marked_address(entry.get("before"), owner)
            after = _marked_address(entry.get("after"), owner)
            if before is not None:
                last_runs.pop(before, None)
            if after is not None:
                last_runs[after] = run.id
    return last_runs


def find_first_run(
    recorded: Iterable[RecordedRun],
    environment: str,
    owner: str,
    commits: Collection[str],
) -> RecordedRun | None:
    """Return the first run that made the manifests of one of these commits live, in full.

    A run that left something to do does not count.
    """
    for run in recorded:
        start = run.start
        is_of_environment = (
            start.get("environment") == environment and start.get("owner") == owner
        )
        is_finished = run.end is not None and run.end.get("converged") is True
        if is_of_environment and is_finished and start.get("commit") in commits:
            return run
    return None


def _marked_address(rule_json: object, owner: str) -> Address | None:
    _, marker = parse_marker(text_at(rule_json, "description"))
    if marker is None or marker.owner != owner:
        return None
    return marker.address


class IncompleteJournalError(Exception):
    """Missing or invalid entries of a run."""


def read_changes(run: RecordedRun, owner: str) -> tuple[RecordedChange, ...]:
    """Return the run's changes, without deleted duplicates.

    Raises RefusedError if the record is incomplete.
    """
    try:
        _check_complete(run)
        changes = [
            _read_change(entry, owner)
            for entry in run.changes
            if entry.get("cause") != "duplicate"
        ]
        return tuple(change for change in changes if change is not None)
    except IncompleteJournalError as error:
        remedy = (
            "Correct the rules in the manifests, or set --journal to a complete copy of the "
            "journal"
        )
        cause = (
            f"{error}, so its effect is not certain. {remedy}; `cxroute history` shows its "
            f"entries"
        )
        raise RefusedError(f"cannot undo run {run.id}: {cause}") from None


def _check_complete(run: RecordedRun) -> None:
    if run.start.get("event") != "start":
        raise IncompleteJournalError("the start of the run is missing in the journal")
    if run.unreadable_lines:
        raise IncompleteJournalError(
            "the journal has unreadable lines that may belong to it"
        )
    outcomes = sum(entry["event"] == "outcome" for entry in run.changes)
    planned = run.start.get("changes")
    has_written = run.end is not None and run.end.get("written") is not False
    if has_written and isinstance(planned, int) and planned != outcomes:
        raise IncompleteJournalError(
            f"the journal contains {outcomes} of its {planned} changes"
        )


def _read_change(entry: Mapping[str, Any], owner: str) -> RecordedChange | None:
    """Return one change, or None if nothing was written. Raises IncompleteJournalError."""
    is_outcome = entry["event"] == "outcome"
    status = entry.get("status")
    was_not_made = status in NOT_APPLIED and entry.get("touched") is not True
    if is_outcome and (was_not_made or entry.get("attempts") == 0):
        return None

    before, after = _read_sides(entry)
    address = _owned_address((after, before), owner)
    exists = (before is not None, after is not None)
    sides = _SIDES[str(entry.get("action"))]
    is_same_address = str(address) == str(entry.get("address"))
    if address is None or not is_same_address or exists != sides:
        raise IncompleteJournalError(
            f"the journal's entry for {_address_text(entry)} is not a possible change of owner "
            f"{owner}"
        )
    return RecordedChange(
        address=address,
        before=before,
        after=after,
        id=as_text(entry.get("id")),
        is_confirmed=is_outcome and status == "applied",
    )


def _owned_address(rules: Iterable[LiveRule | None], owner: str) -> Address | None:
    """Return the address in the first marker of a rule's states; None if a marker is another
    owner's, or a copy's.
    """
    markers = [rule.marker for rule in rules if rule and rule.marker]
    is_owned = all(marker.owner == owner and not marker.copy for marker in markers)
    return markers[0].address if markers and is_owned else None


def _address_text(entry: Mapping[str, Any]) -> str:
    return str(entry.get("address"))[:130]


def _read_sides(
    entry: Mapping[str, Any],
) -> tuple[LiveRule | None, LiveRule | None]:
    """Return the rule before and after a change. Raises IncompleteJournalError."""
    address = _address_text(entry)
    is_known_action = str(entry.get("action")) in _SIDES
    if not is_known_action or "before" not in entry or "after" not in entry:
        raise IncompleteJournalError(
            f"the journal does not contain {address} before and after the run"
        )
    if entry.get("hidden") is True:
        raise IncompleteJournalError(
            f"the journal's entry for {address} contained a secret, which is not stored"
        )
    try:
        return _read_rule(entry, "before"), _read_rule(entry, "after")
    except UnexpectedResponseError as error:
        reason = str(error).replace(" in the response", "")
        raise IncompleteJournalError(reason) from None


def _read_rule(entry: Mapping[str, Any], side: str) -> LiveRule | None:
    payload = entry[side]
    if payload is None:
        return None
    if not isinstance(payload, dict) or not is_text(
        json.dumps(payload, ensure_ascii=False)
    ):
        raise IncompleteJournalError(
            f"the journal's rule at {_address_text(entry)} is invalid"
        )
    return parse_live_rule({**payload, "id": "in the journal"})
