"""A syntax error -> the line that causes it, and the corrected text of that line.

YAML's parser stops where it can no longer go on, often a line below the mistake.
"""

import re
from collections.abc import Callable, Sequence
from functools import cache
from typing import Final, NamedTuple

from reconciler.manifest.documents import KINDS
from reconciler.manifest.model_paths import all_field_names
from reconciler.manifest.source_map import ErrorCollector
from reconciler.manifest.yaml_reader import ParsedFile
from reconciler.manifest.yaml_writer import format_quoted
from reconciler.model.finding import Finding

_CODE: Final = "CXR004"
_LINES_ABOVE: Final = 3  # the mistake is at most so many lines above the parser's stop
_MAX_LINE: Final = 160  # characters of a line that is corrected

_SECRET: Final = frozenset({"url", "baseUrl", "tokenUrl"})  # their values may hold a secret, and are not repeated
_TABS: Final = re.compile(r"( *\t[ \t]*)(\S.*)")


class _Correction(NamedTuple):
    """What is wrong with a line, and its text without the mistake."""

    message: str
    line: str


def improve_syntax_error(parsed: ParsedFile) -> None:
    """Replace a syntax error by one at the line that causes it, if an ordinary mistake is found there."""
    collector = parsed.collector
    at = next((at for at, finding in enumerate(collector.collected) if finding.code == _CODE), None)
    if at is None:
        return
    source = collector.collected[at].source
    lines = collector.text.text.split("\n")
    stop = min(source.line if source else 1, len(lines))
    for number in range(stop, max(stop - _LINES_ABOVE, 0), -1):
        if correction := _correct(lines, number - 1):
            collector.collected[at] = _finding(collector, lines, number - 1, correction)
            return


def _finding(collector: ErrorCollector, lines: Sequence[str], at: int, correction: _Correction) -> Finding:
    line = lines[at]
    start = sum(len(each) + 1 for each in lines[:at]) + len(line) - len(line.lstrip(" "))
    return collector.text.finding(_CODE, start, correction.message, f"write {correction.line.strip()}")


def _correct(lines: Sequence[str], at: int) -> _Correction | None:
    line = lines[at].rstrip("\r")
    if len(line) > _MAX_LINE or line.lstrip().startswith("#"):
        return None
    if match := _TABS.fullmatch(line):
        columns = _columns_of_line(lines[:at])
        return _Correction(f"a tab cannot indent a line: indent it with {columns} spaces", match[2])
    for pattern, correct in _MISTAKES.items():
        match = pattern.fullmatch(line)
        if match and match[2] in _names():
            return correct(*match.groups())
    return None


def _columns_of_line(above: Sequence[str]) -> int:
    """Return the number of columns by which a line is probably indented, from the line above it."""
    previous = next((line.expandtabs(2) for line in reversed(above) if line.strip()), "")
    dashes = re.match(r"[ -]*", previous)
    columns = len(dashes[0]) if dashes else 0
    return columns + 2 if previous.rstrip().endswith(":") else columns


def _add_colon(head: str, name: str, value: str) -> _Correction:
    return _Correction(f'this line has no ": " after {name}', f"{head}{name}: {value}")


def _add_blank(head: str, name: str, value: str) -> _Correction:
    return _Correction("this line has no blank after its -", f"{head}- {name}: {value}")


def _add_brackets(head: str, name: str, value: str) -> _Correction:
    message = "a list item cannot begin in the line of the field's name"
    return _Correction(message, f"{head}{name}: [{value}]")


def _quote_colon(head: str, name: str, value: str) -> _Correction:
    message = 'a text that contains ": " is not in quotes'
    return _Correction(message, f"{head}{name}: {format_quoted(value.rstrip())}")


def _quote_start(head: str, name: str, value: str) -> _Correction:
    message = f"a text cannot begin with {value[0]}"
    return _Correction(message, f"{head}{name}: {format_quoted(value.rstrip())}")


_MISTAKES: Final[dict[re.Pattern[str], Callable[..., _Correction]]] = {
    re.compile(r"(\s*)-([A-Za-z]+): (\S.*)"): _add_blank,
    re.compile(r"(\s*(?:- +)*)([A-Za-z]+): - (\S.*)"): _add_brackets,
    re.compile(r"(\s*(?:- +)*)([A-Za-z]+): ([^\s\"'\[{#].*: .*)"): _quote_colon,
    re.compile(r"(\s*(?:- +)*)([A-Za-z]+): ([@`%,].*)"): _quote_start,
    re.compile(r"(\s*(?:- +)*)([A-Za-z]+)(?: *= *| +|:)([^\s:=](?:(?!: ).)*)"): _add_colon,
}  # lines that break YAML's grammar: the indentation with dashes, a name, and the value


@cache
def _names() -> frozenset[str]:
    names = all_field_names(KINDS.values())
    return frozenset(name for name in names if name not in _SECRET and not name.endswith("Env"))
