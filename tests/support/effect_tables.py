"""The table of effects as a summary tells it, and as a reader finds it in a comment or on a
page.
"""

from __future__ import annotations

import re

from reconciler.render.effects import EffectsSummary, EffectText, RowText
from tests.support.parsed_html import Page

SIGNS = {"create": "+", "update": "~", "adopt": ">", "delete": "−"}
_MAX_MEMBERS = 3
_PLACE = re.compile(r" \S+\.yaml:\d+")


def told_tables(summary: EffectsSummary | None, *, short: bool) -> list[list[str]]:
    """Return the cells of each row: each edit with its notes, then its rows.

    A comment has `short` edits.
    """
    if summary is None:
        return []
    return [line for effect in summary.effects for line in _lines(effect, short=short)]


def _lines(effect: EffectText, *, short: bool) -> list[list[str]]:
    return [[_edit(effect, short=short)], *(_row(row) for row in effect.rows)]


def _edit(effect: EffectText, *, short: bool) -> str:
    names = [member.name for member in effect.members]
    subject = ", ".join(names) if 0 < len(names) <= _MAX_MEMBERS else effect.subject
    edits = effect.short_edits if short else effect.edits
    return plain(
        " ".join([SIGNS[effect.sign], subject, ", ".join(edits), *effect.notes])
    )


def _row(row: RowText) -> list[str]:
    takes = row.by.startswith("from ")
    before = f"{row.short_before or row.before} {row.by if takes else ''}"
    after = f"{row.short_after or row.after} {'' if takes else row.by}"
    cells = [row.short_callers, before, after, *([row.share] if row.share else [])]
    return [plain(cell) for cell in cells]


def read_tables(page: Page) -> list[list[str]]:
    """Return the text of each row of all tables of effects, without places and closed parts of a
    cell.
    """
    tables = [table for table in page.rows() if table[0][0] == "Callers"]
    return [_read(row) for table in tables for row in table[1:]]


def _read(row: list[str]) -> list[str]:
    first, *remaining_items = (
        re.split(r"\n(?:example|which)", cell)[0] for cell in row
    )
    if not any(remaining_items):
        return [plain(_PLACE.sub("", first))]
    return [plain(cell) for cell in (first, *remaining_items)]


def plain(text: str) -> str:
    """Return a text without quotes and spaces, and with drawn arrows."""
    for typed, drawn in (("->", "→"), (">=", "≥"), ("<=", "≤")):
        text = text.replace(typed, drawn)
    return "".join(re.sub("[\"'`]", "", text).split())
