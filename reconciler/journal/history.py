"""A run of the journal -> its effect on each rule.

Anybody may have written to a journal: an entry counts only where it is complete and possible for a run of this owner.
It does not decide which rules are managed; the markers of the live rules do.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from reconciler.cxone.rule_json import is_text, parse_live_rule
from reconciler.errors import RefusedError, UnexpectedResponseError
from reconciler.model.live import LiveRule, parse_marker

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from reconciler.journal.journal import RecordedRun
    from reconciler.model.rule import Address


_NOT_APPLIED: Final = ("failed", "skipped")
_APPLIED: Final = ("applied", "acknowledged")
"""What a read showed, or, of a run that was killed before its last read, what the server said."""
_SIDES_BY_ACTION: Final = {
    "create": (False, True),
    "update": (True, True),
    "adopt": (True, True),
    "delete": (True, False),
}  # which of before and after an action has


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedChange:
    """What a run did to one rule: what stood there before and after it, None where there was no rule, or is none."""

    # The one without a marker is not ours: before it was adopted, or after that was undone.

    address: Address
    before: LiveRule | None
    after: LiveRule | None
    id: str
    is_confirmed: bool  # a read at the run's end showed it; else it may have been done or not


def find_last_runs(recorded: Iterable[RecordedRun], environment: str, owner: str) -> dict[Address, str]:
    """Return the run that last wrote each rule that is live by the journal, by the rule's address."""
    last_runs: dict[Address, str] = {}
    runs = (run for run in recorded if run.start.get("environment") == environment and run.start.get("owner") == owner)
    for run in runs:
        for entry in run.changes:
            if entry.get("status") in _APPLIED:
                before, after = (_marker_address(entry.get(side), owner) for side in ("before", "after"))
                if before is not None:
                    last_runs.pop(before, None)
                if after is not None:
                    last_runs[after] = run.id
    return last_runs


def _marker_address(rule_json: object, owner: str) -> Address | None:
    description = rule_json.get("description") if isinstance(rule_json, dict) else None
    marker = parse_marker(description)[1] if isinstance(description, str) else None
    return marker.address if marker is not None and marker.owner == owner else None


class IncompleteJournalError(Exception):
    """What is lacking, or wrong, in the entries of a run."""


def read_changes(run: RecordedRun, owner: str) -> tuple[RecordedChange, ...]:
    """Return the run's changes, without deleted duplicates. Raises RefusedError where the record is incomplete."""
    try:
        _check_complete(run)
        changes = [_read_change(entry, owner) for entry in run.changes if entry.get("cause") != "duplicate"]
        return tuple(change for change in changes if change is not None)
    except IncompleteJournalError as error:
        raise RefusedError(
            f"run {run.id} is not undone: {error}, so it is not certain what it did. `cxroute history` shows what"
            " the journal has; set the rules right in the manifests, or name a whole copy of it with --journal"
        ) from None


def _check_complete(run: RecordedRun) -> None:
    if run.start.get("event") != "start":
        raise IncompleteJournalError("its beginning is missing in the journal")
    if run.unreadable_lines:
        raise IncompleteJournalError("lines of the journal that may be its own cannot be read")
    outcomes = sum(entry["event"] == "outcome" for entry in run.changes)
    planned = run.start.get("changes")
    has_written = run.end is not None and run.end.get("written") is not False
    if has_written and isinstance(planned, int) and planned != outcomes:
        raise IncompleteJournalError(f"the journal tells of {outcomes} of its {planned} changes")


def _read_change(entry: Mapping[str, Any], owner: str) -> RecordedChange | None:
    """Return one change, or None where nothing was written. Raises IncompleteJournalError."""
    is_outcome, status, rule_id = entry["event"] == "outcome", entry.get("status"), entry.get("id")
    was_not_made = status in _NOT_APPLIED and entry.get("touched") is not True
    if is_outcome and (was_not_made or entry.get("attempts") == 0):
        return None
    text = str(entry.get("address"))
    name, sides = text[:130], _SIDES_BY_ACTION.get(str(entry.get("action")))
    if sides is None or "before" not in entry or "after" not in entry:
        raise IncompleteJournalError(f"the journal does not say what {name} was before and after it")
    if entry.get("hidden") is True:
        raise IncompleteJournalError(f"what the journal says of {name} contains a secret, which is not kept")
    before, after = (_read_rule(entry, side) for side in ("before", "after"))
    address = _managed_address(before, after, owner)
    if (before is not None, after is not None) != sides or address is None or str(address) != text:
        raise IncompleteJournalError(f"what the journal says of {name} is nothing that a run of {owner} does")
    return RecordedChange(
        address=address,
        before=before,
        after=after,
        id=rule_id if isinstance(rule_id, str) else "",
        is_confirmed=is_outcome and status == "applied",
    )


def _read_rule(entry: Mapping[str, Any], side: str) -> LiveRule | None:
    payload = entry[side]
    if payload is None:
        return None
    try:
        if not isinstance(payload, dict) or not is_text(json.dumps(payload, ensure_ascii=False)):
            raise IncompleteJournalError(f"the journal's rule at {str(entry.get('address'))[:130]} is none")
        return parse_live_rule({**payload, "id": "in the journal"})
    except UnexpectedResponseError as error:
        raise IncompleteJournalError(str(error).replace(" in the answer", "")) from None


def _managed_address(before: LiveRule | None, after: LiveRule | None, owner: str) -> Address | None:
    """Return the address of the rule, after the run if it exists; None where no run of the owner can be like this."""
    markers = [rule.marker for rule in (after, before) if rule is not None and rule.marker is not None]
    if not markers or any(marker.owner != owner or marker.copy for marker in markers):
        return None
    has_both_sides = before is not None and after is not None
    return markers[0].address if has_both_sides or len(markers) == 1 else None
