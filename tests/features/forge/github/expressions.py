"""Expressions of workflows, as far as this project uses them, with GitHub's rules of truth and
comparison.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

Functions = Mapping[str, Callable[..., Any]]
_TOKEN: Final = re.compile(
    r"\s*(?:('(?:[^']|'')*')|(\d+)|([A-Za-z_][\w-]*(?:\.[\w-]+)*)|(&&|\|\||==|!=|[!(),]))"
)
_STATUS: Final = re.compile(r"\b(success|failure|cancelled|always)\(\)")
_WHOLE: Final = re.compile(r"\$\{\{((?:(?!\}\}).)*)\}\}", re.DOTALL)


def evaluate(text: str, contexts: Mapping[str, Any], functions: Functions) -> Any:
    """Return the value of one expression."""
    reader = _Reader(text, contexts, functions)
    value = reader.either()
    assert reader.next is None, f"{text}: {reader.next} is too much"
    return value


def condition(text: object, contexts: Mapping[str, Any], functions: Functions) -> bool:
    """Return whether an `if:` holds; one without a status function holds only after a success."""
    stated = str(text).strip() if text is not None else "success()"
    bare = (
        stated.removeprefix("${{").removesuffix("}}")
        if stated.startswith("${{")
        else stated
    )
    requested = bare if _STATUS.search(bare) else f"success() && ({bare})"
    return true(evaluate(requested, contexts, functions))


def filled(text: object, contexts: Mapping[str, Any], functions: Functions) -> Any:
    """Return a value of a workflow with its expressions filled in; a single expression keeps its
    type.
    """
    if not isinstance(text, str):
        return text
    complete = _WHOLE.fullmatch(text.strip())
    if complete:
        return evaluate(complete.group(1), contexts, functions)
    return _WHOLE.sub(
        lambda actual: shown(evaluate(actual.group(1), contexts, functions)), text
    )


def shown(value: Any) -> str:
    """Return a value as part of a text."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)


def true(value: Any) -> bool:
    """Return whether a value counts as true: empty texts, zero and null do not."""
    return value not in ("", 0, None, False)


def standard(status: str) -> Functions:
    """Return the functions for the status `success`, `failure` or `cancelled` of the previous
    steps.
    """
    return {
        "success": lambda: status == "success",
        "failure": lambda: status == "failure",
        "cancelled": lambda: status == "cancelled",
        "always": lambda: True,
        "fromJSON": json.loads,
        "format": lambda text, *values: str(text).format(*values),
    }


class _Reader:
    """Reads an expression from left to right; `||` binds least, then `&&`, then comparisons, then
    `!`.
    """

    def __init__(
        self, text: str, contexts: Mapping[str, Any], functions: Functions
    ) -> None:
        self._text, self._at = text.strip(), 0
        self._contexts, self._functions = contexts, functions
        self.next: re.Match[str] | None = None
        self._step()

    def _step(self) -> str:
        token = self.next.group().strip() if self.next else ""
        self.next = _TOKEN.match(self._text, self._at)
        assert self.next or self._at >= len(self._text), (
            f"{self._text}: cannot be read from {self._at}"
        )
        self._at = self.next.end() if self.next else self._at
        return token

    def _is(self, *tokens: str) -> bool:
        return self.next is not None and self.next.group().strip() in tokens

    def either(self) -> Any:
        value = self._both()
        while self._is("||"):
            self._step()
            candidate = self._both()
            value = value if true(value) else candidate
        return value

    def _both(self) -> Any:
        value = self._compared()
        while self._is("&&"):
            self._step()
            candidate = self._compared()
            value = candidate if true(value) else value
        return value

    def _compared(self) -> Any:
        value = self._single()
        if self._is("==", "!="):
            expected = self._step() == "=="
            return (_loose(value) == _loose(self._single())) is expected
        return value

    def _single(self) -> Any:
        if self._is("!"):
            self._step()
            return not true(self._single())
        if self._is("("):
            self._step()
            value = self.either()
            assert self._is(")")
            self._step()
            return value
        assert self.next, f"{self._text}: ends too early"
        text, number, name, _ = self.next.groups()
        self._step()
        if text is not None:
            return text[1:-1].replace("''", "'")
        if number is not None:
            return int(number)
        return self._called(name) if self._is("(") else self._looked_up(name)

    def _called(self, name: str) -> Any:
        self._step()
        values = []
        while not self._is(")"):
            values.append(self.either())
            if self._is(","):
                self._step()
        self._step()
        return self._functions[name](*values)

    def _looked_up(self, name: str) -> Any:
        declared = {"true": True, "false": False, "null": None}
        if name in declared:
            return declared[name]
        value: Any = self._contexts
        first, *rest = name.split(".")
        assert first in self._contexts, f"{self._text}: no context {first} here"
        for part in (first, *rest):
            value = value.get(part) if isinstance(value, Mapping) else None
        return value


def _loose(value: Any) -> Any:
    """Return the value that GitHub compares: lower-case text, and an empty text for a missing
    value.
    """
    return (
        "" if value is None else value.casefold() if isinstance(value, str) else value
    )
