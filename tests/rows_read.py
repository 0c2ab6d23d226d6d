"""What the text says of who is affected, read back word by word as an operations lead would, and nothing assumed.

The reader knows the attributes' names and the queues, and shares no code with what writes the text.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from fractions import Fraction
from math import prod
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tests.brute import Destination, Universe

    Test = Callable[[Any], bool]
    """Takes a value, which is not missing."""

DEFAULT: Final = "the tenant's default"
_VALUE: Final = r'(?:"(?:[^"\\]|\\.)*"|-?[0-9][0-9.eE+-]*)'
_LIST: Final = rf"{_VALUE}(?:, {_VALUE})*(?: or {_VALUE})?"
_NUMBER: Final = r"(-?[0-9][0-9.eE+-]*)"
_OPAQUE: Final = re.compile(r"(if|unless) (.*?) \(not understood here\)(?:, |$)")
_WAY: Final = re.compile(r"^(.*?)(?:: )?((?:the tenant's default|no queue|[0-9.e+-]+ % |\"Queue |something ).* -> .*)$")


@dataclass(frozen=True)
class Read:
    """One row: the inputs that it means, as bits of a universe; from where, to where."""

    inputs: int
    befores: tuple[Destination, ...]
    after: Destination


def rows_read(text: str, universe: Universe, labels: Mapping[str, str], opaque: Mapping[str, str]) -> list[Read]:
    """Return the rows of a text. `opaque` are conditions that are not understood, by their words."""
    reader = _Reader(universe, {label: name for name, label in labels.items()}, opaque)
    rows: list[Read] = []
    who = way = ""
    excepts: list[str] = []
    for line in text.splitlines()[1:]:
        if line.startswith("      unless also "):
            excepts.append(line.removeprefix("      unless also "))
        elif line.startswith("      example: "):
            rows.append(reader.row(who, excepts, way))
        elif line.startswith("      "):
            way = line.strip()
        elif line.startswith("  ") and not line.startswith("  Everyone else"):
            who, way, excepts = line.strip(), "", []
    return rows


@dataclass(frozen=True)
class _Reader:
    universe: Universe
    names: Mapping[str, str]
    opaque: Mapping[str, str]

    def row(self, who: str, excepts: list[str], way: str) -> Read:
        if not way:
            found = _WAY.match(who)
            assert found, who
            who, way = found.groups()
        inputs = self.all_of(who)
        for one in excepts:
            inputs &= ~self.all_of(one)
        befores, _, after = way.partition(" -> ")
        return Read(inputs, tuple(_destination(one) for one in befores.split("; ")), _destination(after))

    def all_of(self, phrase: str) -> int:
        """Return the inputs for which a phrase holds."""
        found = self.universe.everything
        for word, condition in _OPAQUE.findall(phrase):
            found &= self.column(self.opaque[condition], lambda held, word=word: held is (word == "if"))
        rest = _OPAQUE.sub("", phrase).removesuffix(", ")
        while rest and rest != "every conversation":
            name, known, missing, rest = self.part(rest)
            found &= self.column(
                name, lambda value, known=known, missing=missing: missing if value is None else known(value)
            )
        return found

    def part(self, text: str) -> tuple[str, Test, bool, str]:
        """Read what is said of one attribute: its name, what holds of a value, and whether it may be missing."""
        intent = _intent(text)
        if intent:
            known, missing, rest = intent
            return self.names["intent"], known, missing, rest.removeprefix(", ")
        attribute = next(
            name for name in sorted([*self.names, *self.universe.axes], reverse=True) if text.startswith(f"{name} ")
        )
        known, missing, rest = _asked(text.removeprefix(f"{attribute} "))
        return self.names.get(attribute, attribute), known, missing, rest.removeprefix(", ")

    def column(self, name: str, holds: Test) -> int:
        axes = self.universe.axes
        before = prod(len(axes[axis]) for axis in list(axes)[: list(axes).index(name)])
        after = self.universe.size // before // len(axes[name])
        truths = (bool(holds(value)) for value in axes[name])
        return int("".join(("1" if truth else "0") * after for truth in truths) * before, 2)


def _intent(text: str) -> tuple[Test, bool, str] | None:
    """Read what is said of the intent without its name."""
    for start, denied in (("any intent but ", True), ("", False)):
        found = re.match(rf"{start}({_LIST})(, or none)?", text)
        if found:
            values = _values(found[1])
            return (lambda value: (value in values) is not denied), bool(found[2]), text[found.end() :]
    for start, known in (("any intent", True), ("no intent", False)):
        if re.match(rf"{start}(, |$)", text):
            return (lambda _value: known), not known, text.removeprefix(start)
    return None


def _asked(text: str) -> tuple[Test, bool, str]:
    tests: list[tuple[Test, bool]] = []
    missing = False
    while True:
        for pattern, made in _PHRASES:
            found = re.match(pattern, text)
            if found:
                tests.append(made(found))
                text = text[found.end() :]
                break
        else:
            raise AssertionError(f"cannot read {text}")
        if not text.startswith(" and "):
            break
        text = text.removeprefix(" and ")
    if text.startswith(" (or not known)"):
        missing, text = True, text.removeprefix(" (or not known)")
    unknown = any(test is _MISSING for test, _ in tests)

    def holds(value: Any) -> bool:
        return all(test(value) or (missing and bound and isinstance(value, str)) for test, bound in tests)

    return holds, missing or unknown, text


def _MISSING(_value: Any) -> bool:  # noqa: N802 - a value that tests share
    return False


def _number(test: Callable[[Fraction], bool]) -> Test:
    return lambda value: not isinstance(value, str) and test(Fraction(value))


def _text(test: Callable[[str], bool]) -> Test:
    return lambda value: isinstance(value, str) and test(value)


def _f(text: str) -> Fraction:
    return Fraction(json.loads(text))


def _but(test: Test) -> Test:
    return lambda value: not test(value)


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


def _listed(found: re.Match[str]) -> Test:
    values = _values(found[1])
    return lambda value: value in values


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
    ("not a text", lambda _found: (lambda value: not isinstance(value, str), False)),
    ("any text", lambda _found: (lambda value: isinstance(value, str), False)),
    ("not known", lambda _found: (_MISSING, False)),
    ("known", lambda _found: (lambda _value: True, False)),
    (f"other than ({_LIST})", lambda found: (_but(_listed(found)), False)),
    (f"({_LIST})", lambda found: (_listed(found), False)),
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
