"""Recorded conversations with other columns -> counted cells, with memory for the different cells only."""

from collections.abc import Mapping

from reconciler.errors import UsageError
from reconciler.manifest.kinds.environment import BotAttributes
from reconciler.text.escape import quote_name
from reconciler.text.suggest import suggest
from reconciler.traffic.cells import CONFIDENCE, HUNDREDTH, INTENT, CellCounts, round_down
from reconciler.traffic.records import RecordReader


def count_conversations(path: str, columns: Mapping[str, str]) -> CellCounts:
    """Return the conversations of a file by attributes, with confidences rounded down to hundredths.

    `columns` maps attributes to columns. Without it, the columns of CSV are attributes, and JSON has intent and
    confidence. Raises ManifestError at the first wrong row, and UsageError for a column that the file does not have.
    """
    bot = BotAttributes(intent=columns.get(INTENT, INTENT), confidence=columns.get(CONFIDENCE, CONFIDENCE))
    reader, cells, indexes, seen = RecordReader.open(path, bot), CellCounts(()), list[int](), set[str]()
    for row, count in reader.valid_rows(frozenset(columns.values()) or None):
        if not indexes:
            known = reader.attributes
            chosen = columns or {name: name for name in known}
            for column in (column for column in chosen.values() if column not in known):
                raise _missing(reader, column)
            cells, indexes = CellCounts(tuple(chosen)), [known.index(column) for column in chosen.values()]
        values = [*zip(chosen, (row[index] for index in indexes), strict=True)]
        seen.update(name for name, value in values if value is not None)
        cell = (round_down(value, HUNDREDTH) if name == CONFIDENCE else value for name, value in values)
        cells.add(tuple(cell), count)
    if indexes and reader.is_json:  # a name that no line has is a misspelt column
        for name in (name for name in columns or (INTENT, CONFIDENCE) if name not in seen):
            raise _missing(reader, columns.get(name, name))
    return cells


def _missing(reader: RecordReader, column: str) -> UsageError:
    hint = suggest(column, reader.attributes) or "name the columns with --columns"
    return UsageError(f"{reader.name}: no column {quote_name(column)}; {hint}")
