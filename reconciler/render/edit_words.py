"""An edit of a rule in words: `queue "Card Services" -> "Fraud Desk"`, `confidence 0.7 -> 0.75`,
`switched off`.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import partial
from typing import Final

from reconciler.core.behaviour.routing_entry import RoutingEntry, destination_of
from reconciler.core.behaviour.space.clauses import Clause
from reconciler.core.model.change import Action
from reconciler.core.model.operators import BOUNDS
from reconciler.core.model.rule import Condition, Opaque, Rule
from reconciler.core.plan.clauses import clauses_phrase
from reconciler.core.plan.edits import DESCRIPTION, NAME, EditedRule, FieldEdit
from reconciler.core.plan.renamings import Renaming
from reconciler.core.plan.routing_table import entry_name
from reconciler.core.plan.words import two_destinations
from reconciler.core.text.escape import join_first, quote, sanitize
from reconciler.core.text.phrases import Labels, queues_phrase

_SIGNS: Final[Mapping[str, Action]] = {
    "create": "create",
    "added": "create",
    "unmanaged": "create",
    "delete": "delete",
    "deleted": "delete",
    "adopt": "adopt",
}
_DRIFT: Final = {
    "changed": "in CXone, somebody changed",
    "disabled": "in CXone, somebody switched it off",
    "deleted": "in CXone, somebody deleted it",
    "added": "in CXone, somebody added it",
    "unmanaged": "not managed here",
}
_DRIFT_RENAMED: Final = "in CXone, somebody renamed it"
_ANOTHER_NAME: Final = "another name"
"""A new name beside other fields: it often follows from them, and the list of all fields has it."""
_SOME_NAMES: Final = "some with another name"
_RENAMED: Final = "renamed"
_EXCHANGED: Final = {
    "names": "swap names",
    "addresses": "swap addresses",
    "contents": "exchange all but their names",
}
_EXCHANGES: Final = {
    "names": "swaps names with",
    "addresses": "swaps addresses with",
    "contents": "exchanges all but its name with",
}
_UNAPPLIED: Final = "not applied yet: deleted"
_MISSING: Final = "never applied, or deleted in CXone"
_NEW_TO: Final = "new: to "
_PHRASES: Final = ("now only", "no longer only", "adds", "removes", "switched")
"""What a text begins with that is not the name of a field."""
_LISTS: Final = frozenset({"equals", "in"})
_MAX_VALUES: Final = 3
_Conditions = Sequence[Condition | Opaque]


def edit_sign(edited: EditedRule | None) -> Action:
    """Return the action whose symbol stands before an edit."""
    if edited is None or edited.renaming:
        return "update"
    return _SIGNS.get(edited.action, "update")


def equal_edit_texts(
    edits: Sequence[EditedRule],
    names: Mapping[str, str],
    labels: Labels,
) -> Iterator[str]:
    """Yield the parts of equal edits in words: those that are true for all of them."""
    first = most_telling(edits)
    if first is None:
        return
    texts = edit_texts(first, names, labels)
    if len(edits) == 1:
        yield from texts
        yield from _moved_text(first)
        return
    if first.renaming:
        yield _EXCHANGED[first.renaming.kind]
    elif _is_name_alone(first):
        yield from (text.partition(': "')[0] for text in texts)  # without the names
    else:
        yield from texts
        if any(map(_is_renamed, edits)) and not _is_renamed(first):
            yield _SOME_NAMES


def most_telling(edits: Sequence[EditedRule]) -> EditedRule | None:
    """Return the edit whose words are true for all of them; None without an edit."""
    # Words about a rule that perhaps never was in CXone are true for one that was deleted there,
    # too.
    missing = [edited for edited in edits if edited.is_missing]
    same_name = [edited for edited in edits if not _is_renamed(edited)]
    return next(iter([*missing, *same_name, *edits]), None)


def _is_renamed(edited: EditedRule) -> bool:
    """Return whether a rule has another name."""
    return any(field.name == NAME for field in edited.fields)


def _is_name_alone(edited: EditedRule) -> bool:
    names = {field.name for field in edited.fields}
    return NAME in names and names <= {NAME, DESCRIPTION}


def is_move(edited: EditedRule) -> bool:
    """Return whether an edit is a half of a move of a rule to another address."""
    return edited.renaming is not None and edited.renaming.kind == "move"


def renaming_phrase(renaming: Renaming) -> str:
    """Return what two edits do together, with the names of their rules."""
    first = entry_name(renaming.first)
    second = entry_name(renaming.second)
    if renaming.kind == "move":
        return f"{first} ({_RENAMED}: {second})"
    return f"{first} and {second} {_EXCHANGED[renaming.kind]}"


def _renaming_text(edited: EditedRule, renaming: Renaming) -> str:
    """Return what an edit does together with another one, after the name of its rule."""
    first = renaming.first
    second = renaming.second
    if renaming.kind == "move":
        return _address_text(first, second)
    other = second if edited.edit.after is first else first
    return f"{_EXCHANGES[renaming.kind]} {entry_name(other)}"


def renamed_text(edited: EditedRule) -> str:
    """Return the new name or address of a rule of which nothing else is edited; or nothing."""
    before = edited.edit.before
    after = edited.edit.after
    if before is None or after is None:
        return ""
    if not edited.fields:
        return "".join(_moved_text(edited))
    if not _is_name_alone(edited):
        return ""
    return f"{_RENAMED}: {quote(before.rule.name)} -> {quote(after.rule.name)}"


def _moved_text(edited: EditedRule) -> Iterator[str]:
    """Yield the old address and the new one of a rule that keeps its name."""
    before = edited.edit.before
    after = edited.edit.after
    if before is None or after is None or edited.renaming:
        return
    if before.address and after.address and before.address != after.address:
        yield _address_text(before, after)


def _address_text(before: RoutingEntry, after: RoutingEntry) -> str:
    return f"{_RENAMED}: {entry_name(before)} -> {entry_name(after)}"


def edit_texts(
    edited: EditedRule,
    names: Mapping[str, str],
    labels: Labels,
) -> Iterator[str]:
    """Yield the parts of an edit in words."""
    if edited.renaming:
        yield _renaming_text(edited, edited.renaming)
        return
    before = edited.edit.before
    after = edited.edit.after
    if edited.action in _DRIFT:
        yield from _drift_texts(edited, names, labels)
        return
    if edited.action == "create" and after is not None:
        yield _new_rule(after.rule, names)
    elif edited.action == "adopt" and before is not None:
        yield f"adopts {quote(before.rule.name)}"
    elif edited.action == "delete":
        yield (
            "a temporary copy that an earlier run left, deleted"
            if edited.is_copy
            else "deleted"
        )
    yield from _all_field_texts(edited, names, labels)


def _drift_texts(
    edited: EditedRule,
    names: Mapping[str, str],
    labels: Labels,
) -> Iterator[str]:
    """Yield what differs between the manifests and CXone: an edit in CXone, or a change that is not
    applied yet.
    """
    if edited.is_missing:
        yield _MISSING
        return
    if edited.is_unapplied and edited.action == "added":
        yield _UNAPPLIED
        return
    texts = list(_all_field_texts(edited, names, labels))
    if edited.is_unapplied:
        texts = texts or ["switched off"] * (edited.action == "disabled")
        yield " ".join(["not applied yet:", *texts[:1]])
        yield from texts[1:]
        return
    head = _DRIFT[edited.action]
    if edited.action == "changed":
        if _is_name_alone(edited):
            yield _DRIFT_RENAMED + texts[0].removeprefix(_RENAMED)
        else:
            yield from _changed_in_cxone(texts)
        return
    yield head
    after = edited.edit.after
    if edited.action == "unmanaged" and after is not None:
        yield f"to {queues_phrase(after.rule.targets, names)}"
    yield from texts


def _changed_in_cxone(texts: Sequence[str]) -> Iterator[str]:
    """Yield the edits of a rule that was changed in CXone."""
    head = _DRIFT["changed"]
    is_phrase = bool(texts) and texts[0].startswith(_PHRASES)
    yield f"{head}{' it:' * is_phrase} {texts[0]}" if texts else head
    yield from texts[1:]


def _all_field_texts(
    edited: EditedRule,
    names: Mapping[str, str],
    labels: Labels,
) -> Iterator[str]:
    """Yield every field that differs; beside another one a new name in short, and no
    description.
    """
    is_said = edited.action == "disabled" and not edited.is_unapplied
    fields = [
        field for field in edited.fields if not (is_said and field.name == "enabled")
    ]
    routing = [field for field in fields if field.name not in (NAME, DESCRIPTION)]
    for field in routing:
        yield from _field_texts(field, names, labels)

    is_renamed = any(field.name == NAME for field in fields)
    if routing and is_renamed:
        yield _ANOTHER_NAME
    elif not routing:
        shown = [field for field in fields if field.name == NAME] or fields
        for field in shown:
            yield from _field_texts(field, names, labels)


def _new_rule(rule: Rule, names: Mapping[str, str]) -> str:
    queues = queues_phrase(rule.targets, names)
    text = f"{_NEW_TO}{queues}, priority {quote(rule.priority)}"
    if not rule.enabled:
        text += ", switched off"
    return text


def shorten_new_rule(text: str, said: Collection[str]) -> str:
    """Return the text of a new rule without its destination, if that is one of those that its rows
    say.
    """
    for destination in said:
        head = f"{_NEW_TO}{destination}, "
        if text.startswith(head):
            return f"new, {text.removeprefix(head)}"
    return text


def _field_texts(
    field: FieldEdit,
    names: Mapping[str, str],
    labels: Labels,
) -> Iterator[str]:
    if field.name in ("queue", "targets"):
        before, after = (
            destination_of(targets)  # type: ignore[arg-type]
            for targets in (field.before, field.after)
        )
        if before == after:
            yield "weights"
        else:
            yield f"queue {' -> '.join(two_destinations(before, after, names))}"
    elif field.name == "enabled":
        yield "switched on" if field.after else "switched off"
    elif field.name == DESCRIPTION:
        yield DESCRIPTION
    elif isinstance(field.before, tuple):
        yield from _condition_texts(field, labels)
    else:
        name = f"{_RENAMED}:" if field.name == NAME else sanitize(field.name)
        yield f"{name} {quote(field.before)} -> {quote(field.after)}"


def _condition_texts(field: FieldEdit, labels: Labels) -> Iterator[str]:
    removed: _Conditions = field.before  # type: ignore[assignment]
    added: _Conditions = field.after  # type: ignore[assignment]
    if len(removed) == len(added) == 1:
        old = removed[0]
        new = added[0]
        if isinstance(old, Condition) and isinstance(new, Condition):
            yield _changed_condition(old, new, labels)
            return
    for part in removed:
        yield f"no longer only {_condition(part, labels)}"
    for part in added:
        yield f"now only {_condition(part, labels)}"


def _condition(part: Condition | Opaque, labels: Labels) -> str:
    """Return `customer tier Gold or Platinum`."""
    phrase = clauses_phrase([Clause(part)], labels)
    is_short = (
        isinstance(part, Condition)
        and labels.is_intent(part.attribute)
        and part.operator in _LISTS
    )
    return f"intent {phrase}" if is_short else phrase


def _changed_condition(old: Condition, new: Condition, labels: Labels) -> str:
    if old.operator == new.operator and new.operator in BOUNDS:
        name = labels.name(new.attribute)
        return f"{name} {quote(old.value)} -> {quote(new.value)}"
    if {old.operator, new.operator} <= _LISTS:
        return _changed_list(old, new, labels)
    before = _condition(old, labels)
    after = _condition(new, labels)
    return f"{before} -> {after}"


def _changed_list(old: Condition, new: Condition, labels: Labels) -> str:
    name = labels.name(new.attribute)
    removed = [value for value in old.values if value not in new.values]
    added = [value for value in new.values if value not in old.values]
    write = partial(labels.plain_value, new.attribute)
    if len(old.values) == len(new.values) == 1:
        before = write(old.values[0])
        after = write(new.values[0])
        return f"{name} {before} -> {after}"
    parts = []
    if added:
        values = join_first(added, _MAX_VALUES, write)
        parts.append(f"adds {name} {values}")
    if removed:
        values = join_first(removed, _MAX_VALUES, write)
        parts.append(f"removes {name} {values}")
    if not parts:
        return f"{name}: the order of the list"
    return ", ".join(parts)
