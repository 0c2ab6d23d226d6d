"""Answers: JSON documents that are short enough for a conversation, and safe to show."""

from collections.abc import Sequence
from typing import Any, Final, TypeVar

from reconciler.cli.output import error_document
from reconciler.core.errors import CxrouteError
from reconciler.core.model.finding import Document
from reconciler.core.text.escape import escape_invisible, sanitize
from reconciler.core.text.redact import REDACTOR

ItemT = TypeVar("ItemT")

MAX_ITEMS: Final = 12
"""The most items of a list in an answer."""
MAX_PARTS: Final = 4
"""The most items of a list within such an item."""
MAX_ROWS: Final = 6
"""The most rows of an explanation."""
_MAX_LINES: Final = 60
_MAX_LINE: Final = 400  # characters
_MAX_TEXT: Final = 400  # characters of any other text


class LeftOut:
    """What an answer leaves out: the number of items, by the name of their list."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}

    def first(
        self, name: str, items: Sequence[ItemT], limit: int = MAX_ITEMS
    ) -> list[ItemT]:
        """Return the first items of a list, and count the others."""
        self.count(name, len(items) - limit)
        return list(items[:limit])

    def count(self, name: str, number: int) -> None:
        """Count items that are left out."""
        if number > 0:
            self._counts[name] = self._counts.get(name, 0) + number

    def text(self, text: str) -> str:
        """Return the first lines of a text, each cut if it is too long, and count the others."""
        lines = [sanitize(line, _MAX_LINE) for line in text.rstrip("\n").split("\n")]
        return "\n".join(self.first("lines of the text", lines, _MAX_LINES))

    def document(self) -> Document:
        """Return the field of an answer about what is left out; no field if that is nothing."""
        return {"leftOut": dict(self._counts)} if self._counts else {}


def finished(document: Document) -> Document:
    """Return an answer without secrets, and without invisible characters."""
    redacted = REDACTOR.redact_json(document)
    return {
        name: value if name == "text" else _visible(value)
        for name, value in redacted.items()
    }


def _visible(value: Any) -> Any:  # noqa: ANN401 - any JSON
    match value:
        case str():
            return sanitize(value, _MAX_TEXT)
        case dict():
            return {
                escape_invisible(str(name)): _visible(each)
                for name, each in value.items()
            }
        case list() | tuple():
            return [_visible(each) for each in value]
    return value


def refusal(error: CxrouteError) -> Document:
    """Return an error as the answer of a tool: the findings with their places, or the message."""
    form: Document = dict(error_document(error))
    left_out = LeftOut()
    if "findings" in form:
        form["findings"] = left_out.first("findings", form["findings"])
    return finished({"error": form, **left_out.document()})


def bug_refusal(bug: Exception) -> Document:
    """Return an unexpected exception as the answer of a tool, without a traceback."""
    description = f"{type(bug).__name__}: {sanitize(str(bug))}"
    return refusal(
        CxrouteError(f"this is a bug in cxroute ({description}). Please report it.")
    )
