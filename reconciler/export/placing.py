"""A rule's fields with one changed: each stays in its place, and what is new stands where a person would write it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reconciler.export.ruleset import ORDER
from reconciler.export.sugar import written_value

if TYPE_CHECKING:
    from reconciler.model import Condition

    Fields = dict[str, Any]
    Path = tuple[str | int, ...]


def placed_in(fields: Fields, name: str, value: object) -> Fields:
    """Return the fields with one more, where a person would write it, or with another value of one that is there."""
    if name in fields:
        return {**fields, name: value}
    before = [other for other in fields if other in ORDER and ORDER.index(other) < ORDER.index(name)]
    at = list(fields).index(before[-1]) + 1 if before and name != "key" else 0
    items = list(fields.items())
    return dict([*items[:at], (name, value), *items[at:]])


def replacing(item: Fields, operator: str, heir: Condition) -> Fields:
    """Return an item of `when` with another operator and value; its attribute stays as it is written."""
    return {
        (heir.operator if name == operator else name): (as_written(value, heir) if name == operator else value)
        for name, value in item.items()
    }


def as_written(old: object, heir: Condition) -> object:
    """Return a new value; a list keeps the order of what it had, and puts what is new behind."""
    new = written_value(heir)
    if not isinstance(old, list) or not isinstance(new, list) or heir.operator == "between":
        return new
    return [*(one for one in old if _among(one, new)), *(one for one in new if not _among(one, old))]


def _among(value: object, values: list[object]) -> bool:
    """Say whether a value is in a list; to Python true is 1."""
    return any(type(one) is type(value) and one == value for one in values)


def exchange(fields: Fields, old: str, new: str, value: object) -> None:
    """Put one field in the place of another, in place."""
    items = [(new, value) if name == old else (name, held) for name, held in fields.items()]
    fields.clear()
    fields.update(items)


def without(fields: Fields, paths: list[Path]) -> Fields:
    """Return the fields without what stands at some paths."""
    gone = {int(path[1]) for path in paths if path[0] == "when"}
    found = {name: value for name, value in fields.items() if (name,) not in paths}
    if gone:
        found["when"] = [item for at, item in enumerate(fields["when"]) if at not in gone]
    return found


def target_like(old: Fields | None, new: Fields) -> Fields:
    """Return a target in the words of the one in its place: a weight of 1 that goes without saying stays so."""
    if old is None:
        return new
    names = [*old, *(() if "weight" in old or new["weight"] == 1 else ("weight",))]
    return {name: new[name] for name in names}
