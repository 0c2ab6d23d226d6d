"""Edits that are equal in all that differs: one line for many rules, which hides no rule whose edit differs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Final, TypeVar

from reconciler.render.change_summary import ChangeSummary, FieldRow
from reconciler.text.escape import quote

_Item = TypeVar("_Item")
MIN_GROUP: Final = 3  # how many equal edits are one line
_COMPARISON: Final = re.compile(r"(.+) (>=|>|<=|<)", re.DOTALL)


def group_equal_edits(changes: Iterable[ChangeSummary]) -> list[tuple[ChangeSummary, ...]]:
    """Return the changes in order; three or more equal edits together, where the first of them stood."""
    groups: dict[object, list[ChangeSummary]] = {}
    for number, change in enumerate(changes):
        same = (change.edit.key, change.cause, change.cause_text, change.all_sentences) if change.edit else number
        groups.setdefault(same, []).append(change)
    return [part for group in groups.values() for part in split_group(group)]


def common_rows(group: Sequence[ChangeSummary]) -> tuple[FieldRow, ...]:
    """Return the rows of a group of equal edits; of several descriptions, the changed words."""
    first = group[0]
    if len(group) == 1 or first.edit is None:
        return first.rows
    words = dict(zip(("before", "after"), map(quote, first.edit.description_words), strict=True))
    return tuple(replace(row, **words) if row.name == "description" else row for row in first.rows)


def row_phrase(row: FieldRow) -> str:
    """Return `confidence >= 0.6 -> >= 0.7`, `queue "Cards" -> "Fraud"` or `condition added: language is "de"`."""
    if not row.after:
        return f"{row.name}: {row.before}"
    comparison = _COMPARISON.fullmatch(row.name)
    return f"{row.name} {row.before} -> {f'{comparison[2]} ' if comparison else ''}{row.after}"


def split_group(group: Sequence[_Item]) -> Iterator[tuple[_Item, ...]]:
    """Yield the group as one where it has `MIN_GROUP` members, else each member by itself."""
    yield from [tuple(group)] if len(group) >= MIN_GROUP else [(change,) for change in group]
