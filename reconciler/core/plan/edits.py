"""Edited rules: what was done to each, in the manifest's names, and the edits that are equal."""

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from operator import attrgetter
from typing import Final, Literal

from reconciler.core.behaviour.diff.effects import Edit
from reconciler.core.behaviour.ordering.constraints import Move
from reconciler.core.behaviour.routing_entry import RoutingEntry
from reconciler.core.model.change import (
    Change,
    Create,
    Delete,
    Update,
    is_copy_removal,
)
from reconciler.core.model.grouping import group_pairs
from reconciler.core.model.operators import BOUNDS, OPERATORS
from reconciler.core.model.rule import Condition, Opaque, Rule, Source, canonical_text
from reconciler.core.plan.renamings import Renaming, find_renamings
from reconciler.core.text.phrases import Labels

EditAction = Literal[
    "create",
    "update",
    "delete",
    "adopt",
    "changed",
    "disabled",
    "deleted",
    "added",
    "unmanaged",
    "fallback",
]
NAME: Final = "name"
DESCRIPTION: Final = "description"
"""The field that moves no conversation."""
_RENAMING: Final = frozenset({"create", "update", "delete"})
"""The actions that can be a half of a renaming."""


@dataclass(frozen=True, slots=True)
class FieldEdit:
    """A field of the manifest that differs: `confidence >=`, `queue`, `when`.

    The values are parts of the two rules.
    """

    name: str
    before: object
    after: object
    attribute: str = ""  # of a condition


@dataclass(frozen=True, slots=True, kw_only=True)
class EditedRule:
    """A rule that differs between two lists, and how."""

    edit: Edit
    action: EditAction
    fields: tuple[FieldEdit, ...] = ()
    source: Source | None = None
    is_unapplied: bool = False  # in drift: the manifests changed, not the rule in CXone
    is_missing: bool = False  # in drift: nothing says that the rule ever was in CXone
    is_copy: bool = False  # the temporary copy of a rule, which an earlier run left
    renaming: Renaming | None = None  # the edit is one half of it

    @property
    def entry(self) -> RoutingEntry:
        """Return the rule as it is afterwards, or before where it is deleted."""
        entry = self.edit.after or self.edit.before
        assert entry is not None  # noqa: S101 - an edit has one of them
        return entry


def compare_fields(before: Rule, after: Rule, labels: Labels) -> Iterator[FieldEdit]:
    """Yield the fields that differ between two versions of a rule, those that people look for
    first.
    """
    if before.targets != after.targets:
        is_one = len(before.targets) == len(after.targets) == 1
        yield FieldEdit("queue" if is_one else "targets", before.targets, after.targets)
    yield from _condition_fields(before, after, labels)
    for name in ("priority", "enabled", NAME, DESCRIPTION):
        old = getattr(before, name)
        new = getattr(after, name)
        if old != new:
            yield FieldEdit(name, old, new)


def _condition_fields(before: Rule, after: Rule, labels: Labels) -> Iterator[FieldEdit]:
    old = _by_attribute(before.conditions)
    new = _by_attribute(after.conditions)
    # The attributes that have a place in phrases come first, then the others by name.
    placed = [name for name in labels.short if name in old or name in new]
    names = old.keys() | new.keys()
    others = sorted(names - set(placed))

    for name in (*placed, *others):
        old_parts = old.get(name, ())
        new_parts = new.get(name, ())
        removed = tuple(part for part in old_parts if part not in new_parts)
        added = tuple(part for part in new_parts if part not in old_parts)
        if removed or added:
            field = _field_name(name, (*removed, *added), labels)
            yield FieldEdit(field, removed, added, name)


def _by_attribute(
    conditions: Iterable[Condition | Opaque],
) -> Mapping[str, list[Condition | Opaque]]:
    return group_pairs(
        (part.attribute if isinstance(part, Condition) else part.text, part)
        for part in conditions
    )


def _field_name(
    attribute: str, parts: Sequence[Condition | Opaque], labels: Labels
) -> str:
    short = labels.short.get(attribute)
    if short is None:
        return "when"
    operators = {part.operator for part in parts if isinstance(part, Condition)}
    if len(operators) != 1 or not operators <= BOUNDS:
        return short
    (bound,) = operators
    return f"{short} {OPERATORS[bound].words}"


def edits_of_changes(
    changes: Iterable[tuple[Change, Move]], labels: Labels
) -> list[EditedRule]:
    """Return the edits of a plan's changes; each comes with the rule before and after it."""
    edits = []
    for change, (before, after) in changes:
        fields = _fields(before, after, labels)
        values: Hashable = id(change)
        if isinstance(change, Update):
            values = _values(fields)
        elif isinstance(change, Delete):
            values = ()
        elif isinstance(change, Create) and after is not None:
            values = _values_of_new(after.rule)
        is_copy = is_copy_removal(change)
        group = change.action, change.address.ruleset, values, is_copy
        edits.append(
            EditedRule(
                edit=Edit(before, after, group),
                action=change.action,
                fields=fields,
                source=change.source,
                is_copy=is_copy,
            )
        )
    return _with_renamings(edits)


def edits_of_lists(
    before: Iterable[RoutingEntry],
    after: Iterable[RoutingEntry],
    labels: Labels,
    *,
    words: Literal["plan", "drift"],
) -> list[EditedRule]:
    """Return the edits between two lists: a rule is the same by address, id, or else name."""
    edits = []
    for old, new in match_rules(before, after):
        fields = _fields(old, new, labels)
        if old is not None and new is not None and not fields:
            continue
        entry = new or old
        assert entry is not None  # noqa: S101 - a pair has one of them
        action = _action(old, new, words)
        values: Hashable = ()
        if action == "unmanaged":
            values = id(new)
        elif new is not None:
            values = _values_of_new(new.rule) if old is None else _values(fields)
        edits.append(
            EditedRule(
                edit=Edit(old, new, (action, _document_of(entry), values)),
                action=action,
                fields=fields,
                source=entry.source,
            )
        )
    return _with_renamings(edits) if words == "plan" else edits


def _with_renamings(edits: Sequence[EditedRule]) -> list[EditedRule]:
    """Return the edits, the two halves of each renaming as one group."""
    renamings = find_renamings(
        [
            edited.edit
            for edited in edits
            if edited.action in _RENAMING and not edited.is_copy
        ]
    )
    return [
        replace(edited, edit=edited.edit._replace(group=renaming), renaming=renaming)
        if (renaming := renamings.get(id(edited.edit)))
        else edited
        for edited in edits
    ]


def _document_of(entry: RoutingEntry) -> str:
    """Return the RuleSet of a rule, or else its file; empty without one."""
    if entry.address:
        return entry.address.ruleset
    return entry.source.file if entry.source else ""


def match_rules(
    before: Iterable[RoutingEntry], after: Iterable[RoutingEntry]
) -> list[tuple[RoutingEntry | None, RoutingEntry | None]]:
    """Return each rule of either list with its other version: by address, by id, or else by name;
    None without one.
    """
    old = list(before)
    new = list(after)
    partners: dict[int, RoutingEntry] = {}  # by the id() of the old version
    matched: set[int] = set()  # the id() of the new versions
    for key_of in (attrgetter("address"), attrgetter("id"), attrgetter("name")):
        free_old = [entry for entry in old if id(entry) not in partners]
        free_new = [entry for entry in new if id(entry) not in matched]
        for old_version, new_version in _pair_by_key(free_old, free_new, key_of):
            partners[id(old_version)] = new_version
            matched.add(id(new_version))

    added = [entry for entry in new if id(entry) not in matched]
    return [
        *((entry, partners.get(id(entry))) for entry in old),
        *((None, entry) for entry in added),
    ]


def _pair_by_key(
    before: Iterable[RoutingEntry],
    after: Iterable[RoutingEntry],
    key_of: Callable[[RoutingEntry], object],
) -> Iterator[tuple[RoutingEntry, RoutingEntry]]:
    """Yield the two versions of each rule whose key no further rule of its list has."""
    old_by_key = group_pairs((key_of(entry), entry) for entry in before)
    new_by_key = group_pairs((key_of(entry), entry) for entry in after)
    for key, old_versions in old_by_key.items():
        new_versions = new_by_key.get(key, [])
        has_key = key is not None and key != ""
        if has_key and len(old_versions) == len(new_versions) == 1:
            yield old_versions[0], new_versions[0]


def _fields(
    before: RoutingEntry | None, after: RoutingEntry | None, labels: Labels
) -> tuple[FieldEdit, ...]:
    if before is None or after is None:
        return ()
    return tuple(compare_fields(before.rule, after.rule, labels))


def _action(
    before: RoutingEntry | None,
    after: RoutingEntry | None,
    words: Literal["plan", "drift"],
) -> EditAction:
    is_plan = words == "plan"
    if before is None:
        if is_plan:
            return "create"
        return "added" if after and after.address else "unmanaged"
    if after is None:
        return "delete" if is_plan else "deleted"
    if is_plan:
        return "update"
    is_switched_off = before.rule.enabled and not after.rule.enabled
    return "disabled" if is_switched_off else "changed"


def _values(fields: Iterable[FieldEdit]) -> Hashable:
    """Return what equal edits have in common: names and descriptions may differ, and may come with
    other fields, because their words do not say who moves.
    """
    routing = [field for field in fields if field.name not in (NAME, DESCRIPTION)]
    if not routing:
        return NAME
    return tuple(
        (field.name, _text(field.before), _text(field.after)) for field in routing
    )


def _values_of_new(rule: Rule) -> Hashable:
    """Return what equal new rules have in common."""
    return tuple(map(_text, rule.targets)), rule.priority, rule.enabled


def _text(value: object) -> str:
    if isinstance(value, tuple):
        return "\n".join(canonical_text(part) for part in value)
    return repr(value)
