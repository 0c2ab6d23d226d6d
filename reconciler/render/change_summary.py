"""A change in words: the action, the rule, the reason, and each changed field; and groups of equal edits."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Final, NamedTuple, TypeVar

from reconciler.model.change import (
    Action,
    Adopt,
    Cause,
    Change,
    Create,
    Delete,
    FieldChange,
    Update,
    is_copy_removal,
    is_unadoption,
)
from reconciler.model.grouping import group_pairs
from reconciler.model.rule import CANONICAL_JSON, Address, Condition, Rule, Source, Target, canonical_text
from reconciler.plan.plan import Plan
from reconciler.text import phrases
from reconciler.text.escape import quote
from reconciler.text.phrases import Labels

Names = Mapping[str, str]
_Edit = Update | Adopt
_Leaves = Mapping[str, FieldChange]
_Item = TypeVar("_Item")


class EditSummary(NamedTuple):
    """The effect of an update on a rule; equal edits have equal keys."""

    key: str
    description_words: tuple[str, str]  # the words of the description that differ, before and after


def summarize_edit(change: Update) -> EditSummary:
    """Return the edit. Its key contains full texts: display texts are shortened, and may be equal."""
    before, after = change.live.rule, change.after
    words = _changed_words(before.description, after.description)
    parts: list[object] = [
        [field.path, field.path == "marker" or [field.before, field.after]]
        for field in change.fields
        if "[" not in field.path and field.path != "description"
    ]
    sides = (before.conditions, after.conditions), (after.conditions, before.conditions)
    parts += [words, *(sorted(canonical_text(part) for part in a if part not in b) for a, b in sides)]
    if before.targets != after.targets:
        parts += [list(map(canonical_text, rule.targets)) for rule in (before, after)]
    return EditSummary(CANONICAL_JSON.encode(parts), words)


def _changed_words(before: str, after: str) -> tuple[str, str]:
    old, new = before.split(" "), after.split(" ")
    start = next((at for at, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), min(len(old), len(new)))
    old, new = old[start:], new[start:]
    pairs = zip(reversed(old), reversed(new), strict=False)
    end = next((at for at, (a, b) in enumerate(pairs) if a != b), min(len(old), len(new)))
    return " ".join(old[: len(old) - end]), " ".join(new[: len(new) - end])


ACTION_ORDER: Final[tuple[Action, ...]] = ("delete", "update", "adopt", "create")  # in reports
ACTION_PAST: Final = {"create": "created", "update": "updated", "adopt": "adopted", "delete": "deleted"}
CAUSE_TEXTS: Final = {
    "manifest": "your change",
    "drift": "changed in CXone",
    "both": "your change, and changed in CXone",
    "duplicate": "a second copy",
}  # the origin of the difference
UNDONE: Final = "the run undone"  # the cause of the changes of an undo
_CAUSE_REASONS: Final = {
    "drift": "changed in CXone since the last apply",
    "both": "changed in CXone since the last apply, and in the manifests",
    "duplicate": "a second copy of this rule, left by a lost response or two concurrent runs; the other copy stays",
}
MIN_GROUP: Final = 3  # the smallest number of equal edits that are grouped
_COMPARISON: Final = re.compile(r"(.+) (>=|>|<=|<)", re.DOTALL)
_INDEXED: Final = re.compile(r"(conditions|targets)\[(\d+)\]")


class FieldRow(NamedTuple):
    """One changed field before and after. If `after` is empty, `before` is a sentence."""

    name: str
    before: str
    after: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeSummary:
    """A change in words: the rule of a create or a delete, or the changed fields (`rows`)."""

    action: Action
    address: Address
    source: Source | None
    cause: Cause
    cause_text: str  # the origin of the difference
    note: str
    reason: str
    rule: Rule | None
    names: Names = field(compare=False, repr=False)
    labels: Labels = field(compare=False, repr=False)
    rows: tuple[FieldRow, ...]
    edit: EditSummary | None = None  # for grouping equal edits; None if the change is not an update

    @property
    def rule_text(self) -> str:
        """Return the rule of a create or a delete in words; most reports show none."""
        return phrases.rule_phrase(self.rule, self.names, self.labels) if self.rule else ""

    @property
    def all_sentences(self) -> tuple[str, ...]:
        """Return the sentences about the change, in order."""
        return tuple(line for line in (self.note, self.reason, self.rule_text) if line)


def summarize_change(plan: Plan, change: Change, note: str = "") -> ChangeSummary:
    """Return a change in words; `note` is its first sentence."""
    rule = change.after if isinstance(change, Create) else change.live.rule if isinstance(change, Delete) else None
    return ChangeSummary(
        action=change.action,
        address=change.address,
        source=change.source,
        cause=change.cause,
        cause_text=UNDONE if plan.options.undo and change.cause == "manifest" else CAUSE_TEXTS[change.cause],
        note=note,
        reason=_change_reason(change, plan.options.undo),
        rule=rule,
        names=plan.queue_names,
        labels=plan.labels,
        rows=() if isinstance(change, Create | Delete) else tuple(_rows(plan, change)),
        edit=summarize_edit(change) if isinstance(change, Update) else None,
    )


def sentences(change: ChangeSummary) -> tuple[str, ...]:
    """Return the sentences about a change, without the reason that its cause implies."""
    needs_reason = change.cause == "duplicate" or change.action == "adopt"
    return tuple(line for line in change.all_sentences if line != change.reason or needs_reason)


def visible_rows(rows: Sequence[FieldRow]) -> list[FieldRow]:
    """Return the changed fields, the description last and, if other fields changed, without its text."""
    others = [row for row in rows if row.name != "description"]
    return [*others, FieldRow("description", "changed, too")] if 0 < len(others) < len(rows) else list(rows)


def sort_for_reading(changes: Iterable[Change]) -> list[Change]:
    """Return changes in the order of reports: deletes, updates, adoptions, creates; then by priority and address."""

    def rank(change: Change) -> tuple[int, float, Address]:
        rule = change.live.rule if isinstance(change, Delete) else change.after
        return ACTION_ORDER.index(change.action), rule.priority, change.address

    return sorted(changes, key=rank)


def _change_reason(change: Change, undone_run: str | None) -> str:
    if undone_run and is_unadoption(change):
        return f"run {undone_run} adopted this unmanaged rule; after this change it is unmanaged again"
    if undone_run and change.cause != "duplicate" and isinstance(change, Create | Delete):
        return f"run {undone_run} {'deleted' if isinstance(change, Create) else 'created'} it"
    if is_copy_removal(change):
        return "a temporary copy that an earlier run left; it is deleted"
    if isinstance(change, Adopt):
        return f"adopts the unmanaged rule {quote(change.live.rule.name)}"
    removed = "no manifest defines it here any more" if isinstance(change, Delete) else ""
    return _CAUSE_REASONS.get(change.cause, removed)


def _rows(plan: Plan, change: _Edit) -> Iterator[FieldRow]:
    before, after = (phrases.queues_phrase(rule.targets, plan.queue_names) for rule in (change.live.rule, change.after))
    for (part, _), fields in groupby(change.fields, key=_part_of):
        match = _INDEXED.fullmatch(part)
        leaves = {field.path.removeprefix(part).lstrip("."): field for field in fields}
        if match is None:
            yield from (_plain_row(field) for field in leaves.values())
        elif match.group(1) == "conditions":
            yield _condition_row(plan.labels, change, int(match.group(2)), leaves)
        elif before == after:  # weights, or targets that are not understood: their phrases are equal
            yield from _target_rows(plan.queue_names, change, int(match.group(2)), leaves)
    if before != after:
        yield FieldRow("queue", before, after)


def _part_of(field: FieldChange) -> tuple[str, bool]:
    """Return the part that a leaf belongs to, and whether it was added: an added and a removed part are two parts."""
    part, _, leaf = field.path.partition("].")
    return (f"{part}]" if leaf else part), not leaf and field.before is None


def _plain_row(field: FieldChange) -> FieldRow:
    if field.path == "marker" and field.after is None:
        return FieldRow("managed", "yes", "no")
    if field.path == "marker":
        return FieldRow("marker", "the rule matches the manifest; only its marker is updated")
    if field.path == "address":
        return FieldRow("moved", str(field.before), str(field.after))
    return FieldRow(field.path, quote(field.before), quote(field.after))


def _condition_row(labels: Labels, change: _Edit, index: int, leaves: _Leaves) -> FieldRow:
    if "" in leaves:
        added = leaves[""].before is None
        phrase = phrases.condition_phrase((change.after if added else change.live.rule).conditions[index], labels)
        return FieldRow(f"condition {'added' if added else 'removed'}", phrase)
    after = change.after.conditions[index]
    assert isinstance(after, Condition)  # noqa: S101 - an opaque condition is replaced as a whole, without leaves
    if leaves.keys() == {"value"}:
        leaf = leaves["value"]
        quote_value = phrases.value_quoter(after, labels)
        return FieldRow(phrases.subject_phrase(after, labels), quote_value(leaf.before), quote_value(leaf.after))
    operator = leaves["operator"].before if "operator" in leaves else after.operator
    value = leaves["value"].before if "value" in leaves else after.raw_value
    before = Condition(after.attribute, operator, None, tuple(value) if isinstance(value, list) else value)
    return FieldRow("condition", phrases.condition_phrase(before, labels), phrases.condition_phrase(after, labels))


def _target_rows(names: Names, change: _Edit, index: int, leaves: _Leaves) -> Iterator[FieldRow]:
    for leaf, values in leaves.items():
        if leaf == "queueId":
            before = phrases.queue_phrase(values.before, names)
            yield FieldRow("queue", before, phrases.queue_phrase(values.after, names))
        elif leaf == "weight":
            target = change.after.targets[index]
            phrase = phrases.target_phrase(target, names)
            queue = phrases.queue_phrase(target.queue_id, names) if isinstance(target, Target) else phrase
            yield FieldRow(f"weight of {queue}", quote(values.before), quote(values.after))
        else:
            added = values.before is None
            targets = (change.after if added else change.live.rule).targets
            yield FieldRow(f"queue {'added' if added else 'removed'}", phrases.target_phrase(targets[index], names))


def group_equal_edits(changes: Iterable[ChangeSummary]) -> list[tuple[ChangeSummary, ...]]:
    """Return the changes in order, three or more equal edits as one group at the position of the first."""
    return group_equal(
        changes, lambda item: item.edit and (item.edit.key, item.cause, item.cause_text, item.all_sentences)
    )


def common_rows(group: Sequence[ChangeSummary]) -> tuple[FieldRow, ...]:
    """Return the rows of a group of equal edits; for several descriptions, their changed words."""
    first = group[0]
    if len(group) == 1 or first.edit is None:
        return first.rows
    words = dict(zip(("before", "after"), map(quote, first.edit.description_words), strict=True))
    return tuple(row._replace(**words) if row.name == "description" else row for row in first.rows)


def row_phrase(row: FieldRow) -> str:
    """Return `confidence >= 0.6 -> >= 0.7`, `queue "Cards" -> "Fraud"` or `condition added: language is "de"`."""
    if not row.after:
        return f"{row.name}: {row.before}"
    comparison = _COMPARISON.fullmatch(row.name)
    return f"{row.name} {row.before} -> {f'{comparison[2]} ' if comparison else ''}{row.after}"


def group_equal(items: Iterable[_Item], key: Callable[[_Item], object]) -> list[tuple[_Item, ...]]:
    """Return the items in order, at least `MIN_GROUP` with one key as a group; an item whose key is empty is alone."""
    groups = group_pairs((key(item) or number, item) for number, item in enumerate(items))
    parts = ([tuple(group)] if len(group) >= MIN_GROUP else [(item,) for item in group] for group in groups.values())
    return [part for group in parts for part in group]
