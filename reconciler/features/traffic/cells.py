"""Recorded conversations, counted by attributes -> a sample's file, without small groups
(docs/traffic.md).
"""

import csv
import json
from collections.abc import Callable, Container, Iterator, Mapping
from dataclasses import dataclass, field, replace
from decimal import ROUND_FLOOR, Decimal
from io import StringIO
from typing import Final

from reconciler.core.errors import CxrouteError, UsageError
from reconciler.core.manifest.kinds.environment import BotAttributes
from reconciler.core.model.rule import JSON_NUMBER
from reconciler.core.text.escape import pluralize, quote_name, sanitize
from reconciler.core.text.suggest import suggest
from reconciler.core.traffic.records import COUNT_COLUMN, CellValue, RecordReader
from reconciler.core.traffic.sample import MAX_ROWS
from reconciler.version import __version__

Cell = tuple[CellValue, ...]  # the values of the attributes, in order

INTENT: Final = "intent"
CONFIDENCE: Final = "confidence"
# in place of an intent that the sample does not name; no rule should name it
OTHER_INTENT: Final = "(other)"
MIN_CONVERSATIONS: Final = 10
HUNDREDTH: Final = Decimal("0.01")
TENTH: Final = Decimal("0.1")


def round_down(confidence: CellValue, step: Decimal) -> CellValue:
    """Return the highest multiple of a step that a confidence reaches; other values unchanged."""
    if not isinstance(confidence, int | float):
        return confidence
    steps = (Decimal(str(confidence)) / step).to_integral_value(ROUND_FLOOR)
    return float(steps * step)


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
    reader = RecordReader.open(path, _bot_attributes(columns))
    cells = CellCounts(())
    indexes: list[int] = []
    attributes_with_value: set[str] = set()
    for row, count in reader.valid_rows(frozenset(columns.values()) or None):
        if not indexes:
            chosen = columns or {name: name for name in reader.attributes}
            cells = CellCounts(tuple(chosen))
            indexes = _column_indexes(reader, chosen)

        values: dict[str, CellValue] = {}
        for name, index in zip(chosen, indexes, strict=True):
            values[name] = row[index]
            if row[index] is not None:
                attributes_with_value.add(name)
        cells.add(_as_cell(values), count)

    if indexes and reader.is_json:
        _check_json_columns(reader, columns, attributes_with_value)
    return cells


def _bot_attributes(columns: Mapping[str, str]) -> BotAttributes:
    return BotAttributes(
        intent=columns.get(INTENT, INTENT),
        confidence=columns.get(CONFIDENCE, CONFIDENCE),
    )


def _as_cell(values: dict[str, CellValue]) -> Cell:
    if CONFIDENCE in values:
        values[CONFIDENCE] = round_down(values[CONFIDENCE], HUNDREDTH)
    return tuple(values.values())


def _check_json_columns(
    reader: RecordReader,
    columns: Mapping[str, str],
    with_value: Container[str],
) -> None:
    """Raise UsageError for a name that no line has, which is a misspelt column."""
    for name in columns or (INTENT, CONFIDENCE):
        if name not in with_value:
            raise _missing(reader, columns.get(name, name))


def _column_indexes(reader: RecordReader, chosen: Mapping[str, str]) -> list[int]:
    """Return the places of the chosen columns. Raises UsageError for a column that is missing."""
    indexes: list[int] = []
    for column in chosen.values():
        if column not in reader.attributes:
            raise _missing(reader, column)
        indexes.append(reader.attributes.index(column))
    return indexes


def _missing(reader: RecordReader, column: str) -> UsageError:
    hint = suggest(column, reader.attributes)
    if not hint:
        hint = "name the columns with --columns"
    name = quote_name(column)
    return UsageError(f"{reader.name}: no column {name}; {hint}")


def merge_small(cells: CellCounts) -> CellCounts:
    """Merge cells of fewer than MIN_CONVERSATIONS, so that a sample identifies no small group; the
    total stays.

    The conversations of a small cell lose their values one after the other, until their group is
    large enough. If the last group is still small, the smallest other cell joins it. Raises
    CxrouteError for a total that is too small.
    """
    if cells.total < MIN_CONVERSATIONS:
        raise CxrouteError(
            f"fewer than {MIN_CONVERSATIONS} conversations: a sample could identify them"
        )
    counts = {cell: count for cell, count in cells.counts.items() if count}
    small = {cell: counts[cell] for cell in _small_cells(counts)}

    names = cells.attributes
    for name, widen in _widening_steps(names):
        index = names.index(name) if name in names else len(names)
        _widen_small(counts, index, widen)

    for rest in _small_cells(counts):
        smallest = min(
            (cell for cell in counts if cell != rest),
            key=lambda cell: (counts[cell], str(cell)),
        )
        small[smallest] = counts.pop(smallest)
        counts[rest] += small[smallest]

    merged = ""
    if small:
        number = pluralize(len(small), "cell")
        merged = f"{number} of {sum(small.values()):,} conversations"
    return replace(cells, counts=counts, merged=merged)


def _small_cells(counts: Mapping[Cell, float]) -> list[Cell]:
    return [cell for cell, count in counts.items() if count < MIN_CONVERSATIONS]


def _widening_steps(
    attributes: tuple[str, ...],
) -> Iterator[tuple[str, Callable[[CellValue], CellValue]]]:
    """Yield the attributes in the order in which small cells lose their values, each with how."""
    yield CONFIDENCE, lambda value: round_down(value, TENTH)
    for name in reversed(attributes):
        if name != INTENT:
            yield name, lambda _: None
    yield INTENT, lambda _: OTHER_INTENT


def _widen_small(
    counts: dict[Cell, int | float],
    index: int,
    widen: Callable[[CellValue], CellValue],
) -> None:
    """Widen the value at an index, if there is one, in every small cell; equal cells are added
    up.
    """
    for cell in _small_cells(counts):
        count = counts.pop(cell)
        widened = map(widen, cell[index : index + 1])
        wider = (*cell[:index], *widened, *cell[index + 1 :])
        counts[wider] = counts.get(wider, 0) + count


def format_sample(cells: CellCounts, notes: Mapping[str, str]) -> str:
    """Return a sample's file: comments with source, period and number, then the rows as CSV."""
    merged = cells.merged or "no cell"
    comments = {
        **notes,
        "conversations": str(cells.total),
        "merged": f"{merged}, so that no small group can be identified",
        "tool": f"cxroute {__version__}",
    }
    out = StringIO()
    for name, text in comments.items():
        out.write(f"# {name}: {sanitize(text)}\n")

    writer = csv.writer(out, lineterminator="\n")
    writer.writerow((*cells.attributes, COUNT_COLUMN))
    for cell in sorted(cells.counts, key=lambda cell: [*map(_sort_key, cell)]):
        values = map(_format_value, cell)
        writer.writerow((*values, cells.counts[cell]))
    return out.getvalue()


def _sort_key(value: CellValue) -> tuple[bool, float, str]:
    """Sort texts first, then numbers from the highest, and missing values last."""
    number = value if isinstance(value, int | float) else 0
    text = value if isinstance(value, str) else ""
    return value is None, -number, text


def _format_value(value: CellValue) -> str:
    """Return the cell that `read_traffic` reads as the value."""
    if value is None:
        return ""
    if not isinstance(value, str):
        return json.dumps(value)
    is_plain = (
        value
        and value.isprintable()
        and value == value.strip()
        and value[0] != '"'
        and not JSON_NUMBER.fullmatch(value)
    )
    return value if is_plain else json.dumps(value)
