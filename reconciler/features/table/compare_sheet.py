"""An edited sheet beside the table of the manifests -> the edited cells, the new rows and the
removed rows.
"""

import json
import re
from collections import Counter
from collections.abc import Container, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Final, NamedTuple

from reconciler.core.behaviour.routing_entry import RoutingEntry
from reconciler.core.errors import RefusedError
from reconciler.core.model.rule import (
    JSON_NUMBER,
    Queue,
    Rule,
    Target,
    normalized_conditions,
    sorted_targets,
)
from reconciler.core.plan.routing_table import conditions_by_attribute
from reconciler.core.text.escape import quote_name
from reconciler.core.text.local_time import InvalidTimeError, parse_time
from reconciler.core.text.suggest import suggest
from reconciler.features.table.advice import read_cell
from reconciler.features.table.cells import (
    MOST_DIGITS,
    CellError,
    read_conditions,
    read_queues,
    write_conditions,
    write_quoted,
)
from reconciler.features.table.column_values import ColumnValues
from reconciler.features.table.rows import (
    NAME,
    NO,
    YES,
    Column,
    DecisionTable,
    Row,
)
from reconciler.features.table.sheet import (
    MOST_LINES,
    ORIGIN,
    Cell,
    Sheet,
    SheetError,
    list_lines,
    refuse_cells,
)
from reconciler.features.table.stated_rules import DATE_FIELDS

_NO_BREAK_SPACES: Final = re.compile("[\u00a0\u2007\u202f]")
_ADDRESS: Final = re.compile(
    r"([a-z0-9][a-z0-9-]{0,63})(?:/([a-z0-9][a-z0-9-]{0,63})?)?"
)
_PRIORITY: Final = re.compile(r"-?[0-9]{1,10}")
_LARGEST_PRIORITY: Final = 2**31 - 1
_SWITCH: Final = {YES: True, NO: False, "true": True, "false": False}
_QUEUE_FORM: Final = "Several queues need weights, such as Cards 80; General 20"
_UNKNOWN_ATTRIBUTE: Final = (
    "is not an attribute of the rules or of an Attributes document"
)
NO_DATES: Final[Mapping[str, str]] = {}
_NEW_RULE: Final = Rule(
    name="",
    description="",
    priority=100,
    enabled=True,
    conditions=(),
    targets=(),
)


class Vocabulary(NamedTuple):
    """What the cells of queues may name."""

    queues: Mapping[str, Sequence[Queue]]
    aliases: Mapping[str, str]  # the names of queues by their alias


class CellEdit(NamedTuple):
    """An edited cell: its name, the heading above it, and its text before and after."""

    name: str
    heading: str
    before: str
    after: str


class RowEdit(NamedTuple):
    """An edited row: its rule in the manifests (None: the row is new), and the rule that it
    defines.
    """

    cell: Cell  # of the address; of a new row perhaps the RuleSet alone
    entry: RoutingEntry | None
    rule: Rule
    edits: tuple[CellEdit, ...]
    # the edited dates by their fields, `from` and `until`; empty texts are removed ones
    dates: Mapping[str, str] = NO_DATES


class TableEdits(NamedTuple):
    """What a sheet changes."""

    edited: tuple[RowEdit, ...] = ()
    removed: tuple[RoutingEntry, ...] = ()


def compare_sheet(
    table: DecisionTable,
    sheet: Sheet,
    vocabulary: Vocabulary,
) -> TableEdits:
    """Return the edits.

    Raises SheetError with every refused cell, and RefusedError for a table of other manifests.
    """
    digest = _read_origin(table, sheet)
    columns = _match_columns(table, sheet)
    lines = [dict(zip(columns, cells, strict=True)) for cells in sheet.rows]
    rows = {row.cells[NAME]: row for row in table.rows}
    if digest != table.digest:
        _refuse_stale_table(table, rows, lines, digest)

    reader = _RowReader(vocabulary, table.values)
    edits = _read_rows(reader, rows, lines)
    refuse_cells(reader.problems)
    names = {cells[NAME].text for cells in lines}
    removed = [row.entry for name, row in rows.items() if name not in names]
    return TableEdits(tuple(edits), tuple(removed))


def _read_rows(
    reader: "_RowReader",
    rows: Mapping[str, Row],
    lines: Sequence[Mapping[Column, Cell]],
) -> list[RowEdit]:
    """Return the edited rows; the reader gets the problems."""
    names = Counter(cells[NAME].text for cells in lines)
    edits = list[RowEdit]()
    for cells in lines:
        name = cells[NAME]
        row = rows.get(name.text) if name.text else None
        if row and names[name.text] > 1:
            problem = "is in two rows: a copy needs a new key"
            reader.refuse(name, f"{quote_name(name.text)} {problem}")
        edit = reader.read_row(cells, row) if row else reader.read_new_row(cells)
        if edit:
            edits.append(edit)
    return edits


def _match_columns(table: DecisionTable, sheet: Sheet) -> list[Column]:
    """Return the column of each heading, which is an attribute's name or label."""
    own = {column.heading: column for column in table.columns[:-1]}
    by_heading = _columns_by_heading(table, own)
    columns = list[Column]()
    problems = list[str]()
    for cell in sheet.headings:
        column = by_heading.get(cell.text)
        if ORIGIN.fullmatch(cell.text):
            column = table.columns[-1]
        if column is None or column in columns:
            problem = _UNKNOWN_ATTRIBUTE if column is None else "is there twice"
            hint = suggest(cell.text, by_heading)
            problems.append(_heading_problem(cell, problem, hint))
        else:
            columns.append(column)

    for heading, column in own.items():
        if heading != "Share of callers" and column not in columns:
            problem = f"there is no column {quote_name(heading)}"
            problems.append(f"{sheet.headings[0].name}: {problem}")
    refuse_cells(problems)
    return columns


def _heading_problem(cell: Cell, problem: str, hint: str) -> str:
    text = f"{cell.name}: the heading {quote_name(cell.text)} {problem}"
    return f"{text}; {hint}" if hint else text


def _columns_by_heading(
    table: DecisionTable, own: Mapping[str, Column]
) -> dict[str, Column]:
    """Return the columns that a sheet may have, by each heading that they may have there."""
    by_attribute = {column.attribute: column for column in own.values()}
    attributes = [
        by_attribute.get(name) or Column(values.heading, name)
        for name, values in table.values.items()
    ]
    by_label = {column.heading: column for column in attributes}
    by_name = {column.attribute: column for column in attributes}
    by_quoted_name = {write_quoted(name): column for name, column in by_name.items()}
    return {**by_label, **by_name, **by_quoted_name, **own}


def _read_origin(table: DecisionTable, sheet: Sheet) -> str:
    """Return the digest of the rules of which the sheet is a table.

    Raises SheetError, and RefusedError.
    """
    origins = (ORIGIN.fullmatch(cell.text) for cell in sheet.headings)
    origin = next(filter(None, origins), None)
    if origin is None:
        where = sheet.headings[0].name
        examples = f"Rule, Queue and {quote_name(table.origin)}"
        raise SheetError(
            f"{where}: row 1 must contain the headings of the table, such as {examples}. Copy them "
            f"from a new table"
        )
    if origin[1] != table.environment:
        raise RefusedError(
            f"this is a table of {quote_name(origin[1])}, and -e is {table.environment}"
        )
    return origin[2]


def _refuse_stale_table(
    table: DecisionTable,
    rows: Mapping[str, Row],
    lines: Sequence[Mapping[Column, Cell]],
    digest: str,
) -> None:
    """Raise RefusedError with the values that differ, unless the edits of the sheet are in the
    manifests already.
    """
    differences = list[str]()
    for cells in lines:
        row = rows.get(cells[NAME].text)
        before = row.cells if row else {}
        for column, cell in cells.items():
            text = before.get(column, "")
            if row and column.is_editable and not _is_same(column, cell.text, text):
                both = f"{quote_name(cell.text)} in the table, {quote_name(text)} in the manifests"
                differences.append(f"{cell.name}: {both}")

    names = {cells[NAME].text for cells in lines}
    if differences or names != {*rows}:
        problem = f"it is of {digest}, and the manifests are at {table.digest}"
        raise RefusedError(
            f"nothing was written: the rules changed after this table was made: {problem}."
            f" Make a new table, and repeat the edits there{list_lines(differences)}"
        )


def _is_same(column: Column, text: str, other: str) -> bool:
    """Return whether two cells are equal; a time may be in quotes or not."""
    if column.heading in DATE_FIELDS and not column.attribute:
        with suppress(CellError):
            return read_date(text) == read_date(other)
    return text == other


class _RowReader:
    """Reads the cells of rows; refused ones are added to `problems`."""

    def __init__(
        self,
        vocabulary: Vocabulary,
        values: Mapping[str, ColumnValues],
    ) -> None:
        self.vocabulary = vocabulary
        self.values = values
        self.problems: list[str] = []

    def refuse(self, cell: Cell, problem: str) -> None:
        """Add the problem of a cell."""
        self.problems.append(f"{cell.name}: {problem}")

    def read_row(self, cells: Mapping[Column, Cell], row: Row) -> RowEdit | None:
        """Return the edit of a row of the table; None if no cell is edited."""
        self._refuse_steps(cells, row)
        rule, changes = self.read(cells, row.cells, row.entry.rule)
        if not changes:
            return None
        return RowEdit(cells[NAME], row.entry, rule, changes, _edited_dates(changes))

    def read_new_row(self, cells: Mapping[Column, Cell]) -> RowEdit | None:
        """Return the edit of a row that is new; None if its address is refused."""
        name = cells[NAME]
        if not name.text:
            self.refuse(name, "a new row needs the RuleSet here, or RULESET/KEY")
            return None
        if not _ADDRESS.fullmatch(name.text):
            reason = "is not a RuleSet, and not an address such as cards/card-help"
            self.refuse(name, f"{quote_name(name.text)} {reason}")
            return None
        rule, changes = self.read(cells, {}, _NEW_RULE)
        return RowEdit(name, None, rule, changes, _edited_dates(changes))

    def _refuse_steps(self, cells: Mapping[Column, Cell], row: Row) -> None:
        """Refuse other queues of a rule with steps."""
        if not row.stated.steps:
            return
        for column, cell in cells.items():
            if column.heading == "Queue" and cell.text != row.cells[column]:
                self.refuse(
                    cell,
                    f"{row.entry.name} has steps, and each step has its weights: edit them in the "
                    "manifest",
                )

    def read(
        self,
        cells: Mapping[Column, Cell],
        before: Mapping[Column, str],
        rule: Rule,
    ) -> tuple[Rule, tuple[CellEdit, ...]]:
        """Return the rule with the edited cells of its row, and these; `before` are the texts of
        the table.
        """
        edits = []
        for column, cell in cells.items():
            text = before.get(column, "")
            # A new rule needs a queue.
            is_absent = column.heading == "Queue" and not rule.targets
            if not column.is_editable or (cell.text == text and not is_absent):
                continue
            try:
                edited = self._apply(column, cell.text, rule)
                is_date = column.heading in DATE_FIELDS and not column.attribute
                has_date = is_date and read_date(cell.text) != read_date(text)
            except CellError as error:
                self.refuse(cell, str(error))
                continue
            if edited != rule or not before or has_date:
                rule = edited
                edits.append(CellEdit(cell.name, column.heading, text, cell.text))
        return rule, tuple(edits)

    def _apply(self, column: Column, text: str, rule: Rule) -> Rule:
        """Return the rule with the meaning of a cell. Raises CellError."""
        if _NO_BREAK_SPACES.search(text):
            raise CellError(
                f"{quote_name(text)} has a no-break space: type a usual space instead"
            )
        if JSON_NUMBER.fullmatch(text) and sum(map(str.isdigit, text)) > MOST_DIGITS:
            reason = (
                f"a number of more than {MOST_DIGITS} digits, which programs for spreadsheets "
                f"round"
            )
            raise CellError(f"{quote_name(text)} is {reason}: edit it in the manifest")

        if column.heading in DATE_FIELDS and not column.attribute:
            return rule
        if column.heading == "Priority":
            return replace(rule, priority=_read_priority(text))
        if column.heading == "On":
            return replace(rule, enabled=_read_switch(text))
        if column.heading == "Queue":
            return replace(rule, targets=sorted_targets(self._targets(text, rule)))
        return self._apply_conditions(column.attribute, text, rule)

    def _apply_conditions(self, attribute: str, text: str, rule: Rule) -> Rule:
        values = self.values[attribute]
        own = conditions_by_attribute(rule).get(attribute, [])
        # Only the first refusals are shown: further ones need no advice.
        read = read_cell if len(self.problems) < MOST_LINES else read_conditions
        new = read(text, values)
        if write_conditions(new, values) == write_conditions(own, values):
            return rule

        unchanged = [part for part in rule.conditions if part not in own]
        conditions = normalized_conditions([*unchanged, *new])
        return replace(rule, conditions=conditions)

    def _targets(self, text: str, rule: Rule) -> list[Target]:
        own_targets = [part for part in rule.targets if isinstance(part, Target)]
        own = {target.queue_id: target.weight for target in own_targets}
        default_weight = next(iter(own.values())) if len(own) == 1 else 1
        targets = dict[str, Target]()
        for name, weight in read_queues(text):
            full_name = f"{name} {weight}"
            if weight is not None and full_name in self.vocabulary.queues:
                raise CellError(
                    f"{quote_name(text)} is not clear: write the name in quotes,"
                    f' "{full_name}" or "{name}" {weight}'
                )
            queue_name, queue_id = self._find_queue(name, own)
            if queue_id in targets:
                raise CellError(
                    f"{quote_name(queue_name)} is there twice: write each queue once, with its "
                    f"whole weight"
                )
            target_weight = default_weight if weight is None else weight
            targets[queue_id] = Target(queue_id, target_weight)
        return list(targets.values())

    def _find_queue(self, text: str, own: Container[str]) -> tuple[str, str]:
        """Return the name and the id of the queue that a cell names, by its name or alias.

        Of several queues with the name, it is the one that the rule has already.
        """
        queues = self.vocabulary.queues
        aliases = self.vocabulary.aliases
        name = text if text in queues else aliases.get(text, text)
        ids = [queue.id for queue in queues.get(name, ())]
        matching = [queue_id for queue_id in ids if queue_id in own] or ids
        if len(matching) > 1:
            raise CellError(f"{quote_name(name)} is the name of several queues")
        if not matching:
            hint = suggest(name, [*queues, *aliases])
            remedy = f"; {hint}" if hint else "."
            problem = f"{quote_name(name)} is not a queue of this Environment"
            raise CellError(f"{problem}{remedy} {_QUEUE_FORM}")
        return name, matching[0]


def _edited_dates(edits: Sequence[CellEdit]) -> dict[str, str]:
    return {
        DATE_FIELDS[edit.heading]: read_date(edit.after)
        for edit in edits
        if edit.heading in DATE_FIELDS
    }


def read_date(text: str) -> str:
    """Return the time of a cell as a manifest has it; empty without one. Raises CellError."""
    time = text
    with suppress(ValueError):
        if text.startswith('"'):
            time = str(json.loads(text))
    if not time:
        return ""
    try:
        parse_time(time)
    except InvalidTimeError as error:
        remedy = "Write it with quotes, or leave the cell empty"
        raise CellError(f"{quote_name(text)} {error}. {remedy}") from None
    return time


def _read_priority(text: str) -> int:
    """Return the priority of a cell. Raises CellError."""
    if not _PRIORITY.fullmatch(text):
        raise CellError(
            f"{quote_name(text)} is not a whole number: write one, such as 100"
        )
    priority = int(text)
    if not -_LARGEST_PRIORITY - 1 <= priority <= _LARGEST_PRIORITY:
        raise CellError(
            f"{quote_name(text)} is not a priority: write at most {_LARGEST_PRIORITY}"
        )
    return priority


def _read_switch(text: str) -> bool:
    """Return whether a rule is on. Raises CellError."""
    is_on = _SWITCH.get(text.lower())
    if is_on is None:
        raise CellError(f"{quote_name(text)} is neither {YES} nor {NO}")
    return is_on
