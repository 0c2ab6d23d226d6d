"""What to write instead of a refused cell: the nearest known value, or the form of a cell."""

from collections.abc import Mapping
from typing import Final

from reconciler.core.model.rule import Condition
from reconciler.core.text.escape import join_all
from reconciler.core.text.suggest import suggest
from reconciler.features.table.cells import CellError, read_conditions, write_scalar
from reconciler.features.table.column_values import ColumnValues

_FORMS: Final[Mapping[str, str]] = {
    "confidence": "write a comparison, such as >= 0.6 or between 0.6 and 0.9",
    "boolean": "write true or false",
    "number": "write a number with all its digits, such as >= 10 or between 0.5 and 2",
}
"""The form of a cell, by the kind of its column."""
_ANY_FORM: Final = (
    "write one value, a number with all its digits, several with semicolons (a; b),"
    " or a text with other signs in quotes"
)


def read_cell(text: str, column: ColumnValues) -> tuple[Condition, ...]:
    """Return the conditions of an edited cell. Raises CellError, which says what to write."""
    try:
        return read_conditions(text, column)
    except CellError as error:
        remedy = _nearest_value(text, column) or _describe_form(column)
        raise CellError(f"{error}; {remedy}") from None


def _nearest_value(text: str, column: ColumnValues) -> str:
    """Return `did you mean "gold"?` for a value that the column does not have."""
    if not column.offered:
        return ""
    try:
        conditions = read_conditions(text, ColumnValues(attribute=column.attribute))
    except CellError:
        return ""
    values = [str(value) for condition in conditions for value in condition.values]
    unknown = [value for value in values if value not in column.spellings]
    return suggest(unknown[0], column.spellings) if unknown else ""


def _describe_form(column: ColumnValues) -> str:
    if column.kind in _FORMS:
        return _FORMS[column.kind]
    if not column.offered:
        return _ANY_FORM
    shown = map(column.shown, column.offered[:3])
    examples = join_all(
        [write_scalar(value, column.spellings) for value in shown], "or"
    )
    return (
        f"write a value of the column, such as {examples}, and several with semicolons"
    )
