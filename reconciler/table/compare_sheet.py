"""An edited sheet beside the table of the manifests -> the edited cells, the new rows and the removed rows."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

from reconciler.behaviour.routing_entry import RoutingEntry
from reconciler.errors import RefusedError
from reconciler.model.rule import Condition, Queue, Rule, Target, normalized_conditions, sorted_targets
from reconciler.table.cells import CellError, read_conditions, read_queues, write_conditions
from reconciler.table.rows import NO, YES, Column, DecisionTable, Row, conditions_by_attribute
from reconciler.table.sheet import Cell, Sheet, SheetError, refuse_cells
from reconciler.text.escape import quote_name
from reconciler.text.suggest import suggest

_ORIGIN: Final = re.compile(r"File \(table of (.+), ([0-9a-f]{12})\)")
_ADDRESS: Final = re.compile(r"([a-z0-9][a-z0-9-]{0,63})(?:/([a-z0-9][a-z0-9-]{0,63})?)?")
_PRIORITY: Final = re.compile(r"-?[0-9]{1,9}")
_SWITCH: Final = {YES: True, NO: False, "true": True, "false": False}
_SHOWN: Final = 20


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """What cells may name: queues by name, and the values of attributes, as far as they are declared."""

    queues: Mapping[str, Queue]
    values: Mapping[str, Sequence[str]]  # empty: any value


class CellEdit(NamedTuple):
    """An edited cell: its name, the heading above it, and its text before and after."""

    name: str
    heading: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class EditedRule:
    """A rule with edited cells, and the rule that they define."""

    entry: RoutingEntry
    rule: Rule
    edits: tuple[CellEdit, ...]


@dataclass(frozen=True, slots=True)
class NewRule:
    """A new row: the RuleSet, the key ("": the default), the rule, and whether the row has a priority and a switch."""

    cell: Cell
    ruleset: str
    key: str
    rule: Rule
    stated: frozenset[str]  # the kinds of its filled cells


@dataclass(frozen=True, slots=True)
class TableEdits:
    """What a sheet changes."""

    changed: tuple[EditedRule, ...] = ()
    added: tuple[NewRule, ...] = ()
    removed: tuple[RoutingEntry, ...] = ()


def compare_sheet(table: DecisionTable, sheet: Sheet, vocabulary: Vocabulary) -> TableEdits:
    """Return the edits. Raises SheetError with every refused cell, and RefusedError for a table of other manifests."""
    digest = _read_origin(table, sheet)
    columns = _match_columns(table, sheet, vocabulary)
    rows = {row.cells[0]: row for row in table.rows}
    if digest != table.digest:
        _refuse_stale_table(table, sheet, columns, digest)
    problems: list[str] = []
    changed, added, names = list[EditedRule](), list[NewRule](), set[str]()
    for cells in sheet.rows:
        name = cells[_position(columns, "rule")]
        reader = _RowReader(dict(zip(columns, cells, strict=True)), vocabulary, problems)
        if not name.text:
            problems.append(f"{name.name}: a new row needs the RuleSet here, or RULESET/KEY")
        elif name.text in names and name.text in rows:
            problems.append(f"{name.name}: {quote_name(name.text)} is in two rows")
        elif (row := rows.get(name.text)) is not None:
            changed += reader.read_edited(row, table.columns)
        else:
            added += reader.read_new(name)
        names.add(name.text)
    refuse_cells(problems)
    removed = tuple(row.entry for name, row in rows.items() if name not in names)
    return TableEdits(tuple(changed), tuple(added), removed)


def _match_columns(table: DecisionTable, sheet: Sheet, vocabulary: Vocabulary) -> list[Column]:
    """Return the column of each heading."""
    known = {column.heading: column for column in table.columns[:-1]}
    columns, problems = [], []
    for cell in sheet.headings:
        column = known.pop(cell.text, None)
        if column is None and _ORIGIN.fullmatch(cell.text):
            column = Column("file", cell.text)
        if column is None and (attribute := _attribute(cell.text)) in vocabulary.values:
            column = Column("conditions", cell.text, attribute)
        if column is None or column in columns:
            names = [*(column.heading for column in table.columns[:-1]), *vocabulary.values]
            hint = suggest(cell.text, names)
            what = "is no attribute of the rules or of an Attributes document" if column is None else "is there twice"
            problems.append(f"{cell.name}: the heading {quote_name(cell.text)} {what}{f'; {hint}' if hint else ''}")
        columns.append(column or Column("file", cell.text))
    missing = [heading for heading, column in known.items() if column.kind != "share"]
    problems += [f"{sheet.headings[0].name}: there is no column {quote_name(heading)}" for heading in missing]
    refuse_cells(problems)
    return columns


def _attribute(heading: str) -> str:
    try:
        return str(json.loads(heading)) if heading.startswith('"') else heading
    except ValueError:
        return heading


def _position(columns: Sequence[Column], kind: str) -> int:
    return next(at for at, column in enumerate(columns) if column.kind == kind)


def _read_origin(table: DecisionTable, sheet: Sheet) -> str:
    """Return the digest of the rules of which the sheet is a table. Raises SheetError, and RefusedError."""
    origins = [match for cell in sheet.headings if (match := _ORIGIN.fullmatch(cell.text))]
    if not origins:
        example = quote_name(table.origin)
        raise SheetError(f"no heading says of what the table is, such as {example}: begin with a new table")
    environment, digest = origins[0].groups()
    if environment != table.environment:
        raise RefusedError(f"this is a table of {quote_name(environment)}, and -e is {table.environment}")
    return str(digest)


def _refuse_stale_table(table: DecisionTable, sheet: Sheet, columns: Sequence[Column], digest: str) -> None:
    """Raise RefusedError with the values that differ, unless the edits of the sheet are in the manifests already."""
    rows = {row.cells[0]: dict(zip(table.columns, row.cells, strict=True)) for row in table.rows}
    at, differences = _position(columns, "rule"), []
    for cells in sheet.rows:
        current = rows.get(cells[at].text, {})
        differences += [
            f"\n  {cell.name}: {quote_name(cell.text)} in the table, {quote_name(current[column])} in the manifests"
            for column, cell in zip(columns, cells, strict=True)
            if column in current and column.is_editable and cell.text != current[column]
        ]
    if not differences and {*rows} == {cells[at].text for cells in sheet.rows}:
        return
    rest = f"\n  and {len(differences) - _SHOWN:,} more" if len(differences) > _SHOWN else ""
    message = f"the rules changed after this table was made: it is of {digest}, and the manifests are at {table.digest}"
    remedy = ". Make a new table, and repeat the edits there"
    raise RefusedError(f"nothing was written: {message}{remedy}{''.join(differences[:_SHOWN])}{rest}")


class _RowReader:
    """Reads the cells of one row; refused ones are added to `problems`."""

    def __init__(self, cells: Mapping[Column, Cell], vocabulary: Vocabulary, problems: list[str]) -> None:
        self.cells, self.vocabulary, self.problems = cells, vocabulary, problems

    def read_edited(self, row: Row, columns: Sequence[Column]) -> Iterator[EditedRule]:
        """Yield the rule, if its row has edited cells."""
        before, rule, edits = dict(zip(columns, row.cells, strict=True)), row.entry.rule, []
        for column, cell in self.cells.items():
            if not column.is_editable or cell.text == before.get(column, ""):
                continue
            try:
                edited = self._apply(column, cell.text, rule)
            except CellError as error:
                self.problems.append(f"{cell.name}: {error}")
                continue
            if edited != rule:
                rule = edited
                edits.append(CellEdit(cell.name, column.heading, before.get(column, ""), cell.text))
        if edits:
            yield EditedRule(row.entry, rule, tuple(edits))

    def read_new(self, name: Cell) -> Iterator[NewRule]:
        """Yield the rule of a new row."""
        address = _ADDRESS.fullmatch(name.text)
        if address is None:
            self.problems.append(
                f"{name.name}: {quote_name(name.text)} is no RuleSet, and no address such as cards/card-help"
            )
            return
        rule = Rule(name="", description="", priority=100, enabled=True, conditions=(), targets=())
        stated = set[str]()
        for column, cell in self.cells.items():
            if not column.is_editable or not (cell.text or column.kind == "queue"):
                continue
            try:
                rule = self._apply(column, cell.text, rule)
            except CellError as error:
                self.problems.append(f"{cell.name}: {error}")
            stated.add(column.kind)
        yield NewRule(name, address[1], address[2] or "", rule, frozenset(stated))

    def _apply(self, column: Column, text: str, rule: Rule) -> Rule:
        """Return the rule with the meaning of a cell. Raises CellError."""
        if column.kind == "priority":
            if not _PRIORITY.fullmatch(text):
                raise CellError(f"{quote_name(text)} is no whole number")
            return replace(rule, priority=int(text))
        if column.kind == "on":
            if text.lower() not in _SWITCH:
                raise CellError(f"{quote_name(text)} is neither {YES} nor {NO}")
            return replace(rule, enabled=_SWITCH[text.lower()])
        if column.kind == "queue":
            return replace(rule, targets=sorted_targets(self._targets(text, rule)))
        own = conditions_by_attribute(rule).get(column.attribute, [])
        new = read_conditions(column.attribute, text)
        if write_conditions(new) == write_conditions(own):
            return rule
        self._require_known(column.attribute, new, own)
        return replace(
            rule, conditions=normalized_conditions([part for part in rule.conditions if part not in own] + [*new])
        )

    def _targets(self, text: str, rule: Rule) -> list[Target]:
        queues = read_queues(text)
        for name in (queue.name for queue in queues if queue.name not in self.vocabulary.queues):
            hint = suggest(name, self.vocabulary.queues)
            raise CellError(f"{quote_name(name)} is no queue of this Environment{f'; {hint}' if hint else ''}")
        weights = [target.weight for target in rule.targets if isinstance(target, Target)]
        kept = weights[0] if len(weights) == 1 else 1
        ids = [self.vocabulary.queues[queue.name].id for queue in queues]
        return [
            Target(id_, kept if queue.weight is None else queue.weight) for id_, queue in zip(ids, queues, strict=True)
        ]

    def _require_known(self, attribute: str, new: Sequence[Condition], own: Sequence[Condition]) -> None:
        """Raise CellError for a new value that the vocabulary does not have: programs correct what people type."""
        known = self.vocabulary.values.get(attribute, ())
        before = {value for condition in own for value in _listed(condition)}
        for value in (value for condition in new for value in _listed(condition) if known and value not in before):
            if value not in known:
                hint = suggest(str(value), known)
                raise CellError(f"{quote_name(str(value))} is no known value{f'; {hint}' if hint else ''}")


def _listed(condition: Condition) -> tuple[object, ...]:
    """Return the values that a condition compares as a whole."""
    if condition.operator not in ("equals", "notEquals", "in", "notIn"):
        return ()
    return condition.value if isinstance(condition.value, tuple) else (condition.value,)
