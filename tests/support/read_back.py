"""Reads the text about effects back, word by word: shares no code with the program that writes
it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from math import prod
from typing import Any, Final

from tests.support.brute_force import Destination, Universe

Test = Callable[[Any], bool]
"""Gets a value; None is a missing one."""

DEFAULT: Final = "the tenant's default routing"
_QUOTED: Final = r'"(?:[^"\\]|\\.)*"'
_NUMBER: Final = r"-?[0-9][0-9.eE+-]*"
_PLAIN: Final = r"[^\W\d_](?:[^\W_]|[-'()&/ ])*?"
_VALUE: Final = rf"(?:{_QUOTED}|{_NUMBER}(?![^\s,])|{_PLAIN}(?= or |, | and |$| \())"
_LIST: Final = rf"(?:{_VALUE}, )*(?:{_VALUE} or )?{_VALUE}"
_OPAQUE: Final = re.compile(
    r"(?:^|, )(if|unless) (.*?) \(not understood here\)(?=, |$)"
)
_QUEUE: Final = rf"(?:[0-9.e+-]+ % )?(?:{_QUOTED}|something that cxroute .*?\))"
_PLACE: Final = rf"(?:{_QUEUE}(?:, {_QUEUE})*|no queue)"
"""A destination that a rule has."""
_NOTES: Final = ("    Earlier rules ", "    Without ", "    Also ")
_SHARE: Final = r"(?:at most )?[0-9.]+ %|under 0\.1 %"


@dataclass(frozen=True)
class ParsedRow:
    """One row: its inputs without those of rows above, its destinations, its share, and the rules
    named after `by`.
    """

    inputs: int = field(repr=False)
    before: Destination
    after: Destination
    share: str
    way: str  # `by`, `from`, or empty
    counterparts: tuple[str, ...]


@dataclass
class ParsedEffect:
    """An edit: the rules, and its rows; `keeping` names the earlier rules that "keep theirs"."""

    members: list[str]
    rows: list[ParsedRow] = field(default_factory=list)
    keeping: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class RuleReader:
    """Finds the inputs that a rule matches: `matched` gets its name, and the list that has it."""

    # a rule's name; "before", "after", or empty where both are the same
    matched: Callable[[str, str], int]


@dataclass(frozen=True)
class TextReader:
    """Reads texts about inputs of a universe."""

    universe: Universe
    names: Mapping[str, str]  # attribute by its words
    values: Mapping[tuple[str, str], Any]  # value by the attribute and its label
    opaque: Mapping[str, str]  # the conditions that are not understood, by their words
    rules: RuleReader

    def effects(self, text: str) -> list[ParsedEffect]:
        """Return the effects of a text of the terminal, with all values."""
        blocks = re.split(r"(?m)^(?=[~+>-] )", text)[1:]
        # what stands once for all effects
        common = re.findall(r"(?m)^((?:Earlier rules|Without) .*)$", text)
        notes = "".join(f"    {note}\n" for note in common)
        return [self._effect(f"{block}\n{notes}") for block in blocks]

    def _effect(self, block: str) -> ParsedEffect:
        besides = ("        example: ", "Everyone", "First match")
        lines = [line for line in block.splitlines() if not line.startswith(besides)]
        head, *body = lines
        body = [line for line in body if line.startswith("    ")]
        effect = ParsedEffect(_members(head, body))
        lead = 0
        for line in body:
            retained = re.fullmatch(r"    Earlier rules keep theirs: (.*)", line)
            remaining_items = re.fullmatch(
                r"    Without conversations that these rules match: (.*)", line
            )
            if retained:
                effect.keeping = list(_rule_names(retained[1]))
            if retained or remaining_items:
                lead |= self._matched((retained or remaining_items)[1])  # type: ignore[index]
        said = re.search(rf"queue ({_PLACE} -> {_PLACE})(?=, |   |$)", head)
        lines = [line for line in body if not line.startswith(_NOTES)]
        if lines and said and not any(" -> " in line for line in lines):
            whole = re.sub(r"\n {8}", "   ", "\n".join(lines)).splitlines()
            rows = [_with_route(line, said[1]) for line in whole]
        else:
            rows = list(_row_lines(body))
        self._rows(effect, rows, lead)
        return effect

    def _rows(
        self, effect: ParsedEffect, lines: Sequence[tuple[str, str]], lead: int
    ) -> None:
        above = 0
        head = list[str]()
        places = ("", "")
        for callers, rest in lines:
            actual = re.fullmatch(
                rf"(.*?) -> (.*?)(?:   ({_SHARE}))?(?:   (by|from) (.*))?",
                "   ".join(_cells(rest)),
            )
            assert actual, rest
            first, second = (
                old if text == "..." else text
                for text, old in zip(actual.group(1, 2), places, strict=True)
            )
            places = first, second
            phrases = self._phrases(callers)
            if phrases[0] == "...":
                phrases = [
                    *_without_last_condition(head),
                    *(phrase for phrase in phrases[1:] if phrase != "all others"),
                ]
            else:
                head = phrases
            where = self._all_of(phrases, effect.members)
            effect.rows.append(
                ParsedRow(
                    inputs=where & ~lead & ~above,
                    before=read_destination(places[0]),
                    after=read_destination(places[1]),
                    share=actual[3] or "",
                    way=actual[4] or "",
                    counterparts=tuple(_rule_names(actual[5])) if actual[5] else (),
                )
            )
            above |= where

    def _matched(self, names: str) -> int:
        actual = 0
        for name in _rule_names(names):
            version = re.fullmatch(r"(.*) \((today|afterwards)\)", name)
            side = (
                {"today": "before", "afterwards": "after"}[version[2]]
                if version
                else ""
            )
            actual |= self.rules.matched(version[1] if version else name, side)
        return actual

    def _all_of(self, phrases: Sequence[str], members: Sequence[str]) -> int:
        actual = self.universe.all_inputs
        for phrase in phrases:
            if phrase in ("no longer matched", "newly matched"):
                for name in members:
                    actual &= ~self.rules.matched(
                        name, "before" if phrase == "newly matched" else "after"
                    )
            elif phrase.startswith("except those of "):
                actual &= ~self._matched(phrase.removeprefix("except those of "))
            elif phrase != "every conversation":
                actual &= self._column(phrase)
        return actual

    def _column(self, phrase: str) -> int:
        opaque = _OPAQUE.fullmatch(phrase)
        if opaque:
            return self.column(
                self.opaque[opaque[2]], lambda value: value is (opaque[1] == "if")
            )
        if phrase.startswith(("any intent", "no intent")):
            return self.column(
                self.names["intent"], self._intent(phrase, self.names["intent"])
            )
        for words, attribute in sorted(self.names.items(), reverse=True):
            if phrase.startswith(f"{words} ") and words != "intent":
                return self.column(
                    attribute, self._asked(phrase.removeprefix(f"{words} "), attribute)
                )
        intent = self.names["intent"]
        if phrase.startswith("intent "):
            return self.column(
                intent, self._asked(phrase.removeprefix("intent "), intent)
            )
        return self.column(intent, self._intent(phrase, intent))

    def _phrases(self, text: str) -> list[str]:
        """Return the conditions of a row, and the words about what it excludes."""
        phrases: list[str] = []
        opaque = [match[0].removeprefix(", ") for match in _OPAQUE.finditer(text)]
        for number, words in enumerate(opaque):
            text = text.replace(words, f"\x00{number}", 1)
        tail = re.search(r"(?:^|, )except those of .*$", text)
        if tail:
            text = text[: tail.start()]
        for piece in _separated(text, ", "):
            if phrases and not self._begins(piece):
                phrases[-1] += f", {piece}"
            else:
                phrases.append(piece)
        phrases = [
            re.sub(r"\x00(\d+)", lambda match: opaque[int(match[1])], phrase)
            for phrase in phrases
        ]
        return [*phrases, *([tail[0].removeprefix(", ")] if tail else [])]

    def _begins(self, piece: str) -> bool:
        own = (
            "\x00",
            "no longer matched",
            "newly matched",
            "all others",
            "...",
            "every conversation",
        )
        return piece.startswith((*own, "any intent", "no intent")) or any(
            piece.startswith(f"{words} ") for words in self.names
        )

    def column(self, name: str, holds: Test) -> int:
        """Return the inputs in which an attribute passes a test."""
        axes = self.universe.axes
        before = prod(len(axes[axis]) for axis in list(axes)[: list(axes).index(name)])
        after = self.universe.size // before // len(axes[name])
        truths = (bool(holds(value)) for value in axes[name])
        return int(
            "".join(("1" if truth else "0") * after for truth in truths) * before, 2
        )

    def _intent(self, text: str, attribute: str) -> Test:
        """Read the condition on the intent, which has no name."""
        if text in ("any intent", "no intent"):
            return _is_missing if text == "no intent" else _but(_is_missing)
        missing = text.endswith(", or none")
        actual = re.fullmatch(
            rf"(any intent except )?({_LIST})", text.removesuffix(", or none")
        )
        assert actual, text
        listed = _one_of(self._values(actual[2], attribute))
        return _maybe(_but(listed) if actual[1] else listed, missing=missing)

    def _asked(self, text: str, attribute: str) -> Test:
        tests: list[tuple[Test, bool]] = []
        complete = text
        while not tests or text.startswith(" and "):
            text = text.removeprefix(" and ")
            length, created = self._one_test(text, attribute)
            assert length, complete
            tests.append(created)
            text = text[length:]
        missing = text == " (or not known)"
        assert missing or not text, complete

        def holds(value: Any) -> bool:
            return all(
                test(value) or (missing and bound and isinstance(value, str))
                for test, bound in tests
            )

        return _maybe(holds, missing=missing)

    def _one_test(self, text: str, attribute: str) -> tuple[int, tuple[Test, bool]]:
        for pattern, created in _PHRASES:
            actual = re.match(pattern + _END, text)
            if actual:
                return actual.end(), created(actual)
        actual = re.match(rf"(other than )?({_LIST}){_END}", text)
        assert actual, text
        listed = _one_of(self._values(actual[2], attribute))
        return actual.end(), (_but(listed) if actual[1] else listed, False)

    def _values(self, text: str, attribute: str) -> list[Any]:
        return [self._value(item, attribute) for item in _separated(text, ", | or ")]

    def _value(self, text: str, attribute: str) -> Any:
        printed = (
            json.loads(text) if re.fullmatch(rf"{_QUOTED}|{_NUMBER}", text) else text
        )
        return (
            self.values.get((attribute, printed), printed)
            if isinstance(printed, str)
            else printed
        )


def _members(head: str, body: Sequence[str]) -> list[str]:
    subject = re.split("   ", head)[0][2:]
    if re.fullmatch(r"\d+ rules( of .*/)?", subject):
        return list(_rule_names(body[0].strip()))
    renamed = re.search(r"renamed: (\S+) -> (\S+)$", head.rsplit("   ", maxsplit=1)[-1])
    former = [renamed[1]] if renamed and renamed[2] == subject else []
    return [*former, *_rule_names(subject)]


def _with_route(line: str, route: str) -> tuple[str, str]:
    """Return the callers and the rest of a row whose route the line of the edit says."""
    callers, *rest = _cells(line)
    return callers, "   ".join([route, *rest])


def _row_lines(body: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield the callers and the rest of each row."""
    waiting = ""
    for line in body:
        text = line[4:]
        if text.startswith("    ") and waiting:
            yield waiting, text.strip()
            waiting = ""
        elif _cells(text)[1:]:
            callers, *rest = _cells(text)
            if " -> " in rest[0]:
                yield callers, "   ".join(rest)
        else:
            waiting = text


def _cells(text: str) -> list[str]:
    """Return the parts of a line between which there are several spaces, outside of quotes."""
    cells = re.findall(rf"(?:{_QUOTED}|(?! {{2}}).)+", text.strip())
    return [cell.strip() for cell in cells if cell.strip()]


def _rule_names(text: str) -> Iterator[str]:
    for name in _separated(text, ", | and "):
        yield json.loads(name) if re.fullmatch(_QUOTED, name) else name


def _separated(text: str, separators: str) -> list[str]:
    """Return the parts of a text between separators outside of quotes."""
    marked = re.sub(
        rf"({_QUOTED})|{separators}", lambda actual: actual[1] or "\x01", text
    )
    return marked.split("\x01")


def _without_last_condition(phrases: Sequence[str]) -> list[str]:
    own_side = ("no longer matched", "newly matched", "except those of ")
    return [phrase for phrase in phrases if not phrase.startswith(own_side)][:-1]


def _maybe(holds: Test, *, missing: bool) -> Test:
    return lambda value: (missing or holds(None)) if value is None else holds(value)


def _is_missing(value: Any) -> bool:
    return value is None


def _one_of(values: list[Any]) -> Test:
    return lambda value: value in values


def _number(test: Callable[[Fraction], bool]) -> Test:
    return lambda value: (
        value is not None and not isinstance(value, str) and test(Fraction(value))
    )


def _text(test: Callable[[str], bool]) -> Test:
    return lambda value: isinstance(value, str) and test(value)


def _f(text: str) -> Fraction:
    return Fraction(json.loads(text))


def _but(test: Test) -> Test:
    return lambda value: value is not None and not test(value)


def _within(found: re.Match[str]) -> Test:
    return _number(lambda number: _f(found[1]) <= number <= _f(found[2]))


def _span(found: re.Match[str]) -> Test:
    """Read `0.6 to 0.7`, `above 0.6 to 0.7 included`."""
    low = _f(found["low"])
    high = _f(found["high"])

    def holds(number: Fraction) -> bool:
        is_above = number > low if found["over"] else number >= low
        return is_above and (number <= high if found["included"] else number < high)

    return _number(holds)


def _bound(found: re.Match[str]) -> Test:
    tests: dict[str, Callable[[Fraction, Fraction], bool]] = {
        "or more": lambda number, end: number >= end,
        "above": lambda number, end: number > end,
        "or less": lambda number, end: number <= end,
        "below": lambda number, end: number < end,
    }
    if found["side"]:
        return _number(lambda number: tests[found["side"]](number, _f(found["end"])))
    return _number(lambda number: tests[found["order"]](number, _f(found["first"])))


def _pattern(found: re.Match[str]) -> Test:
    expected = json.loads(found[2])
    return {
        "containing": _text(lambda text: expected in text),
        "starting with": _text(lambda text: text.startswith(expected)),
        "ending with": _text(lambda text: text.endswith(expected)),
    }[found[1]]


_END: Final = r"(?= and | \(or not known\)|$)"
_BOUND: Final = (
    rf"(?:(?P<side>above|below) (?P<end>{_NUMBER})|(?P<first>{_NUMBER}) (?P<order>or more|or "
    rf"less))"
)
_SPAN: Final = (
    rf"(?P<over>above )?(?P<low>{_NUMBER}) to (?P<high>{_NUMBER})(?P<included> "
    rf"included)?"
)
_FROM: Final = rf"from ({_NUMBER}) to ({_NUMBER})"
_MATCHING: Final = rf"(containing|starting with|ending with) ({_QUOTED})"
_PHRASES: Final[list[tuple[str, Callable[[re.Match[str]], tuple[Test, bool]]]]] = [
    (_FROM, lambda actual: (_within(actual), True)),
    (f"not {_FROM}", lambda actual: (_but(_within(actual)), False)),
    (_SPAN, lambda actual: (_span(actual), True)),
    (_BOUND, lambda actual: (_bound(actual), True)),
    (f"not {_BOUND}", lambda actual: (_but(_bound(actual)), False)),
    (_MATCHING, lambda actual: (_pattern(actual), False)),
    (f"not {_MATCHING}", lambda actual: (_but(_pattern(actual)), False)),
    ("not a text", lambda _: (_but(_text(lambda _: True)), False)),
    ("any text", lambda _: (_text(lambda _: True), False)),
    ("not a number", lambda _: (_but(_number(lambda _: True)), False)),
    ("any number", lambda _: (_number(lambda _: True), False)),
    ("not known", lambda _: (_is_missing, False)),
    ("known", lambda _: (_but(_is_missing), False)),
]


def read_destination(text: str) -> Destination:
    """Read a destination; of a split its percents, to eight digits."""
    if text == DEFAULT:
        return None
    if text == "no queue":
        return frozenset()
    parts = re.findall(
        r'(?:([0-9.e+-]+) % )?(?:"Queue (.)"|something that cxroute does not understand \((.*?)\))',
        text,
    )
    assert parts, text
    return frozenset(
        (queue or candidate, Fraction(share or "100") / 100)
        for share, queue, candidate in parts
    )
