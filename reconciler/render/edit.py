"""What an update does to a rule, as a value by which equal edits are known."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from reconciler.canonical import COMPACT, text_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from reconciler.change import FieldChange, Update
    from reconciler.model import Condition, Opaque


class Edit(NamedTuple):
    """What an update does to a rule, whole: equal edits have equal keys."""

    key: str
    words: tuple[str, str]
    """The words of the description that differ, before and after."""


def edit_of(change: Update) -> Edit:
    """Return the edit. Nothing in it is shortened, as it is where people read it."""
    before, after = change.live.rule, change.after
    words = _differing(before.description, after.description)
    parts: list[object] = [[one.path, one.path == "marker" or [one.before, one.after]] for one in _whole(change)]
    parts += [words, _apart(before.conditions, after.conditions), _apart(after.conditions, before.conditions)]
    if before.targets != after.targets:
        parts += [list(map(text_of, rule.targets)) for rule in (before, after)]
    return Edit(COMPACT.encode(parts), words)


def _whole(change: Update) -> Iterator[FieldChange]:
    """Yield the fields that are no parts of a rule, and no description."""
    return (one for one in change.fields if "[" not in one.path and one.path != "description")


def _apart(parts: Sequence[Condition | Opaque], others: Sequence[Condition | Opaque]) -> list[str]:
    """Return the conditions that the other rule does not have."""
    return sorted(text_of(part) for part in parts if part not in others)


def _differing(before: str, after: str) -> tuple[str, str]:
    """Return the words from the first to the last that differ."""
    old, new = before.split(" "), after.split(" ")
    start = next((at for at, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), min(len(old), len(new)))
    old, new = old[start:], new[start:]
    pairs = zip(reversed(old), reversed(new), strict=False)
    end = next((at for at, (a, b) in enumerate(pairs) if a != b), min(len(old), len(new)))
    return " ".join(old[: len(old) - end]), " ".join(new[: len(new) - end])
