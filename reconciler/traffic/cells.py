"""Conversations counted by attributes -> a sample's file, without small groups (docs/traffic.md)."""

import csv
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import ROUND_FLOOR, Decimal
from functools import partial
from io import StringIO
from typing import Final

from reconciler.errors import CxrouteError
from reconciler.model.rule import JSON_NUMBER
from reconciler.text.escape import pluralize, sanitize
from reconciler.traffic.sample import COUNT_COLUMN, MAX_ROWS, CellValue
from reconciler.version import __version__

Cell = tuple[CellValue, ...]  # the values of the attributes, in order

INTENT, CONFIDENCE = "intent", "confidence"
OTHER_INTENT: Final = "(other)"  # in place of an intent that the sample does not name; no rule should name it
MIN_CONVERSATIONS: Final = 10
HUNDREDTH, TENTH = Decimal("0.01"), Decimal("0.1")


def round_down(confidence: CellValue, step: Decimal) -> CellValue:
    """Return the multiple of a step that a confidence reaches; other values unchanged."""
    if not isinstance(confidence, int | float):
        return confidence
    return float((Decimal(str(confidence)) / step).to_integral_value(ROUND_FLOOR) * step)


@dataclass
class CellCounts:
    """Numbers of conversations by their values of some attributes; at most MAX_ROWS different ones."""

    attributes: tuple[str, ...]
    counts: dict[Cell, int | float] = field(default_factory=dict)

    def add(self, cell: Cell, count: float) -> None:
        """Add conversations. Raises CxrouteError for too many different cells."""
        self.counts[cell] = self.counts.get(cell, 0) + count
        if len(self.counts) > MAX_ROWS:
            remedy = "select fewer columns with --columns, or columns with fewer values"
            raise CxrouteError(f"more than {MAX_ROWS:,} different rows: {remedy}")

    @property
    def total(self) -> int | float:
        """Return the number of all conversations."""
        return sum(self.counts.values())


@dataclass(frozen=True, slots=True)
class MergedCells:
    """Cells of which each has MIN_CONVERSATIONS or more, and how many were merged, with how many conversations."""

    cells: CellCounts
    merged: int
    conversations: int | float


def merge_small(cells: CellCounts) -> MergedCells:
    """Merge cells with few conversations, so that a sample identifies no small group; the total stays.

    A small cell loses its values one after the other, until its group is large enough. If the rest of all groups is
    still small, the smallest large cell joins it. Raises CxrouteError for a total that is too small.
    """
    if cells.total < MIN_CONVERSATIONS:
        raise CxrouteError(f"fewer than {MIN_CONVERSATIONS} conversations: a sample could identify them")
    counts = {cell: count for cell, count in cells.counts.items() if count}
    small = {cell: count for cell, count in counts.items() if count < MIN_CONVERSATIONS}
    for generalize in _generalizations(cells.attributes):
        for cell in [cell for cell, count in counts.items() if count < MIN_CONVERSATIONS]:
            count, wider = counts.pop(cell), generalize(cell)
            counts[wider] = counts.get(wider, 0) + count
    rest = next((cell for cell, count in counts.items() if count < MIN_CONVERSATIONS), None)
    if rest is not None:
        smallest = min((cell for cell in counts if cell != rest), key=lambda cell: (counts[cell], str(cell)))
        small[smallest] = counts.pop(smallest)
        counts[rest] += small[smallest]
    return MergedCells(CellCounts(cells.attributes, counts), len(small), sum(small.values()))


def _generalizations(attributes: Sequence[str]) -> Iterator[Callable[[Cell], Cell]]:
    """Yield functions from a cell to a wider one: tenths, then no value from the last attribute on; the intent last."""
    if CONFIDENCE in attributes:
        yield partial(_round_to_tenth, attributes.index(CONFIDENCE))
    for index in sorted(range(len(attributes)), key=lambda index: (attributes[index] == INTENT, -index)):
        wider = OTHER_INTENT if attributes[index] == INTENT else None
        yield partial(_replace_value, index, wider)


def _round_to_tenth(index: int, cell: Cell) -> Cell:
    return _replace_value(index, round_down(cell[index], TENTH), cell)


def _replace_value(index: int, value: CellValue, cell: Cell) -> Cell:
    return (*cell[:index], value, *cell[index + 1 :])


def format_sample(merged: MergedCells, period: tuple[date, date] | None, notes: Mapping[str, str]) -> str:
    """Return a sample's file: comments with source, period and number, then the rows as CSV."""
    cells, out = merged.cells, StringIO()
    merging = f"{pluralize(merged.merged, 'cell')} of {merged.conversations} conversations"
    comments = {
        **notes,
        "period": f"{period[0]} to {period[1]}" if period else "unknown",
        "conversations": str(cells.total),
        "merged": f"{merging}: each had fewer than {MIN_CONVERSATIONS}, or completes such a group",
        "tool": f"cxroute {__version__}",
    }
    out.writelines(f"# {name}: {sanitize(text)}\n" for name, text in comments.items())
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow((*cells.attributes, COUNT_COLUMN))
    for cell, count in sorted(cells.counts.items(), key=lambda item: [*map(_sort_key, item[0])]):
        writer.writerow((*map(_format_value, cell), count))
    return out.getvalue()


def _sort_key(value: CellValue) -> tuple[bool, float, str]:
    """Sort texts first, then numbers from the highest, and missing values last."""
    return value is None, -value if isinstance(value, int | float) else 0, value if isinstance(value, str) else ""


def _format_value(value: CellValue) -> str:
    """Return the cell that `read_traffic` reads as the value."""
    if value is None:
        return ""
    if not isinstance(value, str):
        return json.dumps(value)
    is_plain = value and value.isprintable() and value == value.strip() and value[0] != '"'
    return value if is_plain and not JSON_NUMBER.fullmatch(value) else json.dumps(value)
