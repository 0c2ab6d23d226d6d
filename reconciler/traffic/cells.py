"""Recorded conversations, counted by attributes -> a sample's file, without small groups
(docs/traffic.md).
"""

import csv
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from decimal import ROUND_FLOOR, Decimal
from io import StringIO
from typing import Final

from reconciler.errors import CxrouteError, UsageError
from reconciler.manifest.kinds.environment import BotAttributes
from reconciler.model.rule import JSON_NUMBER
from reconciler.text.escape import pluralize, quote_name, sanitize
from reconciler.text.suggest import suggest
from reconciler.traffic.records import COUNT_COLUMN, CellValue, RecordReader
from reconciler.traffic.sample import MAX_ROWS
from reconciler.version import __version__

Cell = tuple[CellValue, ...]  # the values of the attributes, in order

INTENT, CONFIDENCE = "intent", "confidence"
# in place of an intent that the sample does not name; no rule should name it
OTHER_INTENT: Final = "(other)"
MIN_CONVERSATIONS: Final = 10
HUNDREDTH, TENTH = Decimal("0.01"), Decimal("0.1")


def round_down(confidence: CellValue, step: Decimal) -> CellValue:
    """Return the highest multiple of a step that a confidence reaches; other values unchanged."""
    if not isinstance(confidence, int | float):
        return confidence
    return float(
        (Decimal(str(confidence)) / step).to_integral_value(ROUND_FLOOR) * step
    )


@dataclass
class CellCounts:
    """Numbers of conversations by their values of some attributes; at most MAX_ROWS different
    ones.
    """

    attributes: tuple[str, ...]
    counts: dict[Cell, int | float] = field(default_factory=dict)
    merged: str = ""  # how many cells were merged, with how many conversations

    def add(self, cell: Cell, count: float) -> None:
        """Add conversations. Raises CxrouteError for too many different cells."""
        self.counts[cell] = self.counts.get(cell, 0) + count
        if len(self.counts) > MAX_ROWS:
            raise CxrouteError(
                f"more than {MAX_ROWS:,} different rows: select columns with fewer values "
                f"(--columns)"
            )

    @property
    def total(self) -> int | float:
        """Return the number of all conversations."""
        return sum(self.counts.values())


def count_conversations(path: str, columns: Mapping[str, str]) -> CellCounts:
    """Return the conversations of a file by attributes, with confidences rounded down to
    hundredths.

    `columns` maps attributes to columns. Without it, the columns of CSV are attributes, and JSON
    has intent and confidence. Raises ManifestError at the first wrong row, and UsageError for a
    column that the file does not have.
    """
    bot = BotAttributes(
        intent=columns.get(INTENT, INTENT),
        confidence=columns.get(CONFIDENCE, CONFIDENCE),
    )
    reader, cells, indexes, seen = (
        RecordReader.open(path, bot),
        CellCounts(()),
        list[int](),
        set[str](),
    )
    for row, count in reader.valid_rows(frozenset(columns.values()) or None):
        if not indexes:
            known = reader.attributes
            chosen = columns or {name: name for name in known}
            for column in (column for column in chosen.values() if column not in known):
                raise _missing(reader, column)
            cells, indexes = (
                CellCounts(tuple(chosen)),
                [known.index(column) for column in chosen.values()],
            )
        values = [*zip(chosen, (row[index] for index in indexes), strict=True)]
        seen.update(name for name, value in values if value is not None)
        cell = (
            round_down(value, HUNDREDTH) if name == CONFIDENCE else value
            for name, value in values
        )
        cells.add(tuple(cell), count)
    if indexes and reader.is_json:  # a name that no line has is a misspelt column
        for name in (
            name for name in columns or (INTENT, CONFIDENCE) if name not in seen
        ):
            raise _missing(reader, columns.get(name, name))
    return cells


def _missing(reader: RecordReader, column: str) -> UsageError:
    hint = suggest(column, reader.attributes) or "name the columns with --columns"
    return UsageError(f"{reader.name}: no column {quote_name(column)}; {hint}")


def merge_small(cells: CellCounts) -> CellCounts:
    """Merge cells of fewer than MIN_CONVERSATIONS, so that a sample identifies no small group; the
    total stays.

    The conversations of a small cell lose their values one after the other, until their group is
    large enough. If the last group is still small, the smallest other cell joins it. Raises
    CxrouteError for a total that is too small.
    """
    names, counts = (
        cells.attributes,
        {cell: count for cell, count in cells.counts.items() if count},
    )
    if cells.total < MIN_CONVERSATIONS:
        raise CxrouteError(
            f"fewer than {MIN_CONVERSATIONS} conversations: a sample could identify them"
        )
    small = {cell: count for cell, count in counts.items() if count < MIN_CONVERSATIONS}
    steps: list[tuple[str, Callable[[CellValue], CellValue]]] = [
        (CONFIDENCE, lambda value: round_down(value, TENTH))
    ]
    steps += [(name, lambda _: None) for name in reversed(names) if name != INTENT]
    for name, widen in (*steps, (INTENT, lambda _: OTHER_INTENT)):
        index = names.index(name) if name in names else len(names)
        for cell in [
            cell for cell, count in counts.items() if count < MIN_CONVERSATIONS
        ]:
            wider, count = (
                (
                    *cell[:index],
                    *map(widen, cell[index : index + 1]),
                    *cell[index + 1 :],
                ),
                counts.pop(cell),
            )
            counts[wider] = counts.get(wider, 0) + count
    for rest in [cell for cell, count in counts.items() if count < MIN_CONVERSATIONS]:
        smallest = min(
            (cell for cell in counts if cell != rest),
            key=lambda cell: (counts[cell], str(cell)),
        )
        small[smallest] = counts.pop(smallest)
        counts[rest] += small[smallest]
    merged = (
        f"{pluralize(len(small), 'cell')} of {sum(small.values()):,} conversations"
        if small
        else ""
    )
    return replace(cells, counts=counts, merged=merged)


def format_sample(cells: CellCounts, notes: Mapping[str, str]) -> str:
    """Return a sample's file: comments with source, period and number, then the rows as CSV."""
    out, merged = (
        StringIO(),
        f"{cells.merged or 'no cell'}, so that no small group can be identified",
    )
    numbers = {
        "conversations": str(cells.total),
        "merged": merged,
        "tool": f"cxroute {__version__}",
    }
    out.writelines(
        f"# {name}: {sanitize(text)}\n" for name, text in {**notes, **numbers}.items()
    )
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow((*cells.attributes, COUNT_COLUMN))
    for cell, count in sorted(
        cells.counts.items(), key=lambda item: [*map(_sort_key, item[0])]
    ):
        writer.writerow((*map(_format_value, cell), count))
    return out.getvalue()


def _sort_key(value: CellValue) -> tuple[bool, float, str]:
    """Sort texts first, then numbers from the highest, and missing values last."""
    return (
        value is None,
        -value if isinstance(value, int | float) else 0,
        value if isinstance(value, str) else "",
    )


def _format_value(value: CellValue) -> str:
    """Return the cell that `read_traffic` reads as the value."""
    if value is None or not isinstance(value, str):
        return "" if value is None else json.dumps(value)
    is_plain = (
        value and value.isprintable() and value == value.strip() and value[0] != '"'
    )
    return value if is_plain and not JSON_NUMBER.fullmatch(value) else json.dumps(value)
