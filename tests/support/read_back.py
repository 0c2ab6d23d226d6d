"""Reads the text about affected conversations back, word by word and without assumptions."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from math import prod
from typing import Any, Final

from tests.support.brute_force import Destination, Universe

Test = Callable[[Any], bool]
"""Gets a value; None is a missing one."""

DEFAULT: Final = "the tenant's default routing"
_VALUE: Final = r'(?:"(?:[^"\\]|\\.)*"|-?[0-9][0-9.eE+-]*)'
_LIST: Final = rf"{_VALUE}(?:, {_VALUE})*(?: or {_VALUE})?"
_NUMBER: Final = r"(-?[0-9][0-9.eE+-]*)"
_OPAQUE: Final = re.compile(r"(if|unless) (.*?) \(not understood here\)(?:, |$)")
_WAY: Final = re.compile(
    r"^(.*?)(?:: )?((?:the tenant's default routing|no queue|[0-9.e+-]+ % |\"Queue |something ).* -> .*)$"
)


@dataclass(frozen=True)
class ParsedRow:
    """One row: its inputs, as bits of a universe; its destinations before and after."""

    inputs: int
    befores: tuple[Destination, ...]
    after: Destination


def parse_rows(text: str, universe: Universe, labels: Mapping[str, str], opaque: Mapping[str, str]) -> list[ParsedRow]:
    """Return the rows of a text. `opaque` has the conditions that are not understood, by their words."""
    reader = _Reader(universe, {label: name for name, label in labels.items()}, opaque)
    rows: list[ParsedRow] = []
    who = way = ""
    excepts: list[str] = []
    for line in text.splitlines()[1:]:
        if line.startswith("      except if "):
            excepts.append(line.removeprefix("      except if "))
        elif line.startswith("      example: "):
            rows.append(reader.row(who, excepts, way))
        elif line.startswith("      "):
            way = line.strip()
        elif line.startswith("  ") and not line.startswith(("  Everyone else", "  This holds where ")):
            who, way, excepts = line.strip(), "", []
    return rows


@dataclass(frozen=True)
class _Reader:
    universe: Universe
    names: Mapping[str, str]
    opaque: Mapping[str, str]

    def row(self, who: str, excepts: list[str], way: str) -> ParsedRow:
        if not way:
            found = _WAY.match(who)
            assert found, who
            who, way = found.groups()
        inputs = self.all_of(who)
        for one in excepts:
            inputs &= ~self.all_of(one)
        befores, _, after = way.partition(" -> ")
        return ParsedRow(inputs, tuple(_destination(one) for one in befores.split("; ")), _destination(after))

    def all_of(self, phrase: str) -> int:
        """Return the inputs for which a phrase holds."""
        found = self.universe.all_inputs
        for word, condition in _OPAQUE.findall(phrase):
            found &= self.column(self.opaque[condition], _is(word == "if"))
        rest = _OPAQUE.sub("", phrase).removesuffix(", ")
        while rest and rest != "every conversation":
            name, holds, rest = self.part(rest)
            found &= self.column(name, holds)
        return found

    def part(self, text: str) -> tuple[str, Test, str]:
        """Read the part about one attribute: its name, the condition on its value, and the rest."""
        intent = _intent(text)
        if intent:
            holds, rest = intent
            return self.names["intent"], holds, rest.removeprefix(", ")
        names = sorted([*self.names, *self.universe.axes], reverse=True)
        attribute = next(name for name in names if text.startswith(f"{name} "))
        holds, rest = _asked(text.removeprefix(f"{attribute} "))
        return self.names.get(attribute, attribute), holds, rest.removeprefix(", ")

    def column(self, name: str, holds: Test) -> int:
        axes = self.universe.axes
        before = prod(len(axes[axis]) for axis in list(axes)[: list(axes).index(name)])
        after = self.universe.size // before // len(axes[name])
        truths = (bool(holds(value)) for value in axes[name])
        return int("".join(("1" if truth else "0") * after for truth in truths) * before, 2)


def _intent(text: str) -> tuple[Test, str] | None:
    """Read the part about the intent without its name."""
    found = re.match(rf"(any intent except )?({_LIST})(, or none)?", text)
    if found:
        listed = _one_of(_values(found[2]))
        return _maybe(_but(listed) if found[1] else listed, missing=bool(found[3])), text[found.end() :]
    found = re.match(r"(any|no) intent(?=, |$)", text)
    return (_is_missing if found[1] == "no" else _but(_is_missing), text[found.end() :]) if found else None


def _asked(text: str) -> tuple[Test, str]:
    tests: list[tuple[Test, bool]] = []
    while not tests or text.startswith(" and "):
        text = text.removeprefix(" and ")
        pattern, made = next((pattern, made) for pattern, made in _PHRASES if re.match(pattern, text))
        found = re.match(pattern, text)
        assert found
        tests.append(made(found))
        text = text[found.end() :]
    missing = text.startswith(" (or not known)")

    def holds(value: Any) -> bool:
        return all(test(value) or (missing and bound and isinstance(value, str)) for test, bound in tests)

    return _maybe(holds, missing=missing), text.removeprefix(" (or not known)")


def _maybe(holds: Test, *, missing: bool) -> Test:
    return lambda value: (missing or holds(None)) if value is None else holds(value)


def _is_missing(value: Any) -> bool:
    return value is None


def _is(wanted: bool) -> Test:  # noqa: FBT001 - a value that is tested
    return lambda value: value is wanted


def _one_of(values: list[Any]) -> Test:
    return lambda value: value in values


def _number(test: Callable[[Fraction], bool]) -> Test:
    return lambda value: value is not None and not isinstance(value, str) and test(Fraction(value))


def _text(test: Callable[[str], bool]) -> Test:
    return lambda value: isinstance(value, str) and test(value)


def _f(text: str) -> Fraction:
    return Fraction(json.loads(text))


def _but(test: Test) -> Test:
    return lambda value: value is not None and not test(value)


def _within(found: re.Match[str]) -> Test:
    return _number(lambda number: _f(found[1]) <= number <= _f(found[2]))


_BOUNDS: Final[dict[str, Callable[[Fraction, Fraction], bool]]] = {
    "at least": lambda number, end: number >= end,
    "above": lambda number, end: number > end,
    "at most": lambda number, end: number <= end,
    "below": lambda number, end: number < end,
}


def _bound(found: re.Match[str]) -> Test:
    return _number(lambda number: _BOUNDS[found[1]](number, _f(found[2])))


def _pattern(found: re.Match[str]) -> Test:
    wanted = json.loads(found[2])
    return {
        "containing": _text(lambda text: wanted in text),
        "starting with": _text(lambda text: text.startswith(wanted)),
        "ending with": _text(lambda text: text.endswith(wanted)),
    }[found[1]]


_ENDS: Final = rf"(at least|above|at most|below) {_NUMBER}"
_MATCHING: Final = rf"(containing|starting with|ending with) ({_VALUE})"
_PHRASES: Final[list[tuple[str, Callable[[re.Match[str]], tuple[Test, bool]]]]] = [
    (
        rf"from {_NUMBER} to below {_NUMBER}",
        lambda found: (_number(lambda number: _f(found[1]) <= number < _f(found[2])), True),
    ),
    (rf"from {_NUMBER} to {_NUMBER}", lambda found: (_within(found), True)),
    (rf"not from {_NUMBER} to {_NUMBER}", lambda found: (_but(_within(found)), False)),
    (_ENDS, lambda found: (_bound(found), True)),
    (f"not {_ENDS}", lambda found: (_but(_bound(found)), False)),
    (_MATCHING, lambda found: (_pattern(found), False)),
    (f"not {_MATCHING}", lambda found: (_but(_pattern(found)), False)),
    ("not a text", lambda _: (_but(_text(lambda _: True)), False)),
    ("any text", lambda _: (_text(lambda _: True), False)),
    ("not a number", lambda _: (_but(_number(lambda _: True)), False)),
    ("any number", lambda _: (_number(lambda _: True), False)),
    ("not known", lambda _: (_is_missing, False)),
    ("known", lambda _: (_but(_is_missing), False)),
    (f"other than ({_LIST})", lambda found: (_but(_one_of(_values(found[1]))), False)),
    (f"({_LIST})", lambda found: (_one_of(_values(found[1])), False)),
]


def _values(text: str) -> list[Any]:
    return [json.loads(one) for one in re.findall(_VALUE, text)]


def _destination(text: str) -> Destination:
    """Read a destination; of a split its percents, to three digits."""
    if text == DEFAULT:
        return None
    if text == "no queue":
        return frozenset()
    parts = re.findall(
        r'(?:([0-9.e+-]+) % )?(?:"Queue (.)"|something that cxroute does not understand \((.*?)\))', text
    )
    assert parts, text
    return frozenset((queue or other, Fraction(share or "100") / 100) for share, queue, other in parts)
