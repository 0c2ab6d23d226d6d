"""A run of the journal -> what it did to each rule.

A journal is a file that anybody may have written to: an entry counts only where it is whole and says something that a
run of this owner can have done. It never says which rule is written; that the markers of the live rules say.
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
    """Return the run that last wrote each rule that is live by the journal: what is missing was deleted since."""
    found: dict[Address, str] = {}
    for run in recorded:
        if (run.start.get("environment"), run.start.get("owner")) != (environment, owner):
            continue
        for entry in run.changes:
            if entry.get("status") not in _APPLIED:
                continue
            before, after = (_marker_address(entry.get(side), owner) for side in ("before", "after"))
            if before is not None:
                found.pop(before, None)
            if after is not None:
                found[after] = run.id
    return found


def _marker_address(rule_json: object, owner: str) -> Address | None:
    description = rule_json.get("description") if isinstance(rule_json, dict) else None
    marker = parse_marker(description)[1] if isinstance(description, str) else None
    return marker.address if marker is not None and marker.owner == owner else None


class IncompleteJournalError(Exception):
    """What is lacking, or wrong, in the entries of a run."""


def read_changes(run: RecordedRun, owner: str) -> tuple[RecordedChange, ...]:
    """Return what the run did, but for second copies that it cleared away. RefusedError where it is not all there."""
    try:
        _check_complete(run)
        found = (_read_change(entry, owner) for entry in run.changes if entry.get("cause") != "duplicate")
        return tuple(deed for deed in found if deed is not None)
    except IncompleteJournalError as lacking:
        raise RefusedError(
            f"run {run.id} is not undone: {lacking}, so it is not certain what it did. `cxroute history` shows what"
            " the journal has; set the rules right in the manifests, or name a whole copy of it with --journal"
        ) from None


def _check_complete(run: RecordedRun) -> None:
    """Look whether every change that the run planned is told. Raises IncompleteJournalError."""
    if run.start.get("event") != "start":
        raise IncompleteJournalError("its beginning is missing in the journal")
    if run.unreadable_lines:
        raise IncompleteJournalError("lines of the journal that may be its own cannot be read")
    told = sum(entry["event"] == "outcome" for entry in run.changes)
    planned = run.start.get("changes") if run.end is None or run.end.get("written") is not False else told
    if run.end is not None and isinstance(planned, int) and planned != told:
        raise IncompleteJournalError(f"the journal tells of {told} of its {planned} changes")


def _read_change(entry: Mapping[str, Any], owner: str) -> RecordedChange | None:
    """Return what one change did, or None where nothing was written. Raises IncompleteJournalError."""
    settled = entry["event"] == "outcome"
    unmade = settled and entry.get("status") in _NOT_APPLIED and entry.get("touched") is not True
    if unmade or (settled and entry.get("attempts") == 0):
        return None
    address, shape = str(entry.get("address")), _SIDES_BY_ACTION.get(str(entry.get("action")))
    if shape is None or "before" not in entry or "after" not in entry:
        raise IncompleteJournalError(f"the journal does not say what {address[:130]} was before and after it")
    if entry.get("hidden") is True:
        raise IncompleteJournalError(f"what the journal says of {address[:130]} contains a secret, which is not kept")
    before, after = (_read_rule(entry, side) for side in ("before", "after"))
    ours = _managed_address(before, after, owner)
    if (before is not None, after is not None) != shape or ours is None or str(ours) != address:
        raise IncompleteJournalError(f"what the journal says of {address[:130]} is nothing that a run of {owner} does")
    rule_id = entry.get("id")
    sure = settled and entry.get("status") == "applied"
    return RecordedChange(
        address=ours, before=before, after=after, id=rule_id if isinstance(rule_id, str) else "", is_confirmed=sure
    )


def _read_rule(entry: Mapping[str, Any], side: str) -> LiveRule | None:
    form = entry[side]
    if form is None:
        return None
    try:
        if not isinstance(form, dict) or not is_text(json.dumps(form, ensure_ascii=False)):
            raise IncompleteJournalError(f"the journal's rule at {str(entry.get('address'))[:130]} is none")
        return parse_live_rule({**form, "id": "in the journal"})
    except UnexpectedResponseError as error:
        raise IncompleteJournalError(str(error).replace(" in the answer", "")) from None


def _managed_address(before: LiveRule | None, after: LiveRule | None, owner: str) -> Address | None:
    """Return the address at which the run left, or found, a rule of this owner; None where it can be no run of it."""
    markers = [one.marker for one in (after, before) if one is not None and one.marker is not None]
    if not markers or any(marker.owner != owner or marker.copy for marker in markers):
        return None
    made = before is None or after is None
    return markers[0].address if not made or len(markers) == 1 else None
