"""A change in words: the action, the rule, the reason, and each changed field."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from reconciler.core.behaviour.routing_entry import destination_of
from reconciler.core.model.change import (
    Action,
    Adopt,
    Change,
    Create,
    Delete,
    Update,
    is_copy_removal,
    is_unadoption,
)
from reconciler.core.model.rule import Address, Condition, Opaque, Rule, Source, Target
from reconciler.core.plan.edits import FieldEdit, compare_fields
from reconciler.core.plan.stages import Changes
from reconciler.core.plan.words import two_destinations
from reconciler.core.text.escape import quote
from reconciler.core.text.phrases import (
    Labels,
    condition_phrase,
    rule_phrase,
    target_phrase,
)

_Edit = Update | Adopt

# in reports
ACTION_ORDER: Final[tuple[Action, ...]] = (
    "delete",
    "update",
    "adopt",
    "create",
)
ACTION_PAST: Final = {
    "create": "created",
    "update": "updated",
    "adopt": "adopted",
    "delete": "deleted",
}
YOUR_CHANGE: Final = "your change"
"""The reason of a change that has no other one."""
NO_VALUE: Final = "(none)"
_CAUSE_REASONS: Final = {
    "drift": "changed in CXone since the last apply",
    "both": "changed in CXone since the last apply, and in the manifests",
    "duplicate": "a second copy of this rule, left by a lost response or two concurrent runs; the other copy stays",
}


class FieldRow(NamedTuple):
    """One changed field before and after."""

    name: str
    before: str
    after: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeSummary:
    """A change in words: the rule of a create or a delete, or the changed fields (`rows`)."""

    action: Action
    address: Address
    source: Source | None
    note: str
    reason: str  # why the rule changes; empty if a manifest changed
    rule_text: str
    rows: tuple[FieldRow, ...]

    @property
    def sentences(self) -> tuple[str, ...]:
        """Return the sentences about the change, in order."""
        return tuple(line for line in (self.note, self.reason, self.rule_text) if line)


def summarize_change(plan: Changes, change: Change, note: str = "") -> ChangeSummary:
    """Return a change in words; `note` is its first sentence."""
    rule_text = ""
    rows: tuple[FieldRow, ...] = ()
    if isinstance(change, Create | Delete):
        rule = change.after if isinstance(change, Create) else change.live.rule
        rule_text = rule_phrase(rule, plan.queue_names, plan.labels)
    else:
        rows = (
            *_ownership_rows(change),
            *field_rows(change.live.rule, change.after, plan.queue_names, plan.labels),
        )
    return ChangeSummary(
        action=change.action,
        address=change.address,
        source=change.source,
        note=note,
        reason=_change_reason(change, plan.options.undo),
        rule_text=rule_text,
        rows=rows,
    )


def sort_for_reading(changes: Iterable[Change]) -> list[Change]:
    """Return changes in the order of reports: deletes, updates, adoptions, creates; then by
    priority and address.
    """

    def rank(change: Change) -> tuple[int, float, Address]:
        rule = change.live.rule if isinstance(change, Delete) else change.after
        return ACTION_ORDER.index(change.action), rule.priority, change.address

    return sorted(changes, key=rank)


def _undo_reason(change: Change, run: str) -> str:
    if is_unadoption(change):
        return f"run {run} adopted this unmanaged rule; after this change it is unmanaged again"
    deeds = {"create": "deleted", "delete": "created"}
    return f"run {run} {deeds.get(change.action, 'changed')} it"


def _change_reason(change: Change, undone_run: str | None) -> str:
    if undone_run and change.cause == "manifest":
        return _undo_reason(change, undone_run)
    if is_copy_removal(change):
        return "a temporary copy that an earlier run left; it is deleted"
    if isinstance(change, Adopt):
        return f"adopts the unmanaged rule {quote(change.live.rule.name)}"
    if isinstance(change, Delete) and change.cause == "manifest":
        return "no manifest defines it here any more"
    if isinstance(change, Update) and [field.path for field in change.fields] == [
        "marker"
    ]:
        return "the rule matches the manifest; only its marker is updated"
    return _CAUSE_REASONS.get(change.cause, "")


def _ownership_rows(change: _Edit) -> Iterator[FieldRow]:
    """Yield the rows about the address of a rule, and about a rule that becomes unmanaged."""
    for field in change.fields:
        if field.path == "address":
            yield FieldRow("moved", field.before, field.after)
    if is_unadoption(change):
        yield FieldRow("managed", "yes", "no")


def field_rows(
    before: Rule,
    after: Rule,
    names: Mapping[str, str],
    labels: Labels,
) -> Iterator[FieldRow]:
    """Yield each field in which two versions of a rule differ."""
    for field in compare_fields(before, after, labels):
        if field.name in ("queue", "targets"):
            yield FieldRow("queue", *_two_queues(before.targets, after.targets, names))
        elif isinstance(field.before, tuple):
            yield FieldRow("condition", *_two_conditions(field, labels))
        else:
            yield FieldRow(field.name, quote(field.before), quote(field.after))


def _two_queues(
    before: Sequence[Target | Opaque],
    after: Sequence[Target | Opaque],
    names: Mapping[str, str],
) -> tuple[str, str]:
    """Return the queues of two versions: with their weights, if these alone differ."""
    places = destination_of(before), destination_of(after)
    if places[0] != places[1]:
        return two_destinations(*places, names)
    old = ", ".join(target_phrase(target, names) for target in before)
    new = ", ".join(target_phrase(target, names) for target in after)
    return old, new


def _two_conditions(field: FieldEdit, labels: Labels) -> tuple[str, str]:
    removed: Sequence[Condition | Opaque] = field.before  # type: ignore[assignment]
    added: Sequence[Condition | Opaque] = field.after  # type: ignore[assignment]
    old = " and ".join(condition_phrase(part, labels) for part in removed)
    new = " and ".join(condition_phrase(part, labels) for part in added)
    return old or NO_VALUE, new or NO_VALUE


def row_phrase(row: FieldRow) -> str:
    """Return `priority 10 -> 20`, `queue "Cards" -> "Fraud"` or `condition (none) -> language is
    "de"`.
    """
    return f"{row.name} {row.before} -> {row.after}"
