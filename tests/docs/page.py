"""A page of the documentation as a list of steps: commands to run, files to write, and commands that are only shown.

A comment before a fenced block determines its kind:

    (nothing), console                the commands after `$` are run, and their output must equal the shown output
    <!-- background -->, console      one command that keeps running, after it has printed its address
    <!-- background: WORDS -->        the same, after it has printed WORDS
    <!-- file: PATH -->               the reader writes this file
    <!-- edit: PATH -->, diff         the reader replaces the lines with - by those with +
    <!-- not run: WHY -->, console/sh the options of each `cxroute` are checked, and nothing is run
    <!-- continues: PAGE -->          at the top: the page continues in the folder of PAGE

`# exit N` after a command is its exit code (default: 0); a shown line `...` matches any lines.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
PAGES: Final = sorted(
    [
        ROOT / "README.md",
        *(ROOT / "docs").rglob("*.md"),
        ROOT / "deploy/README.md",
        ROOT / "benchmarks/README.md",
    ]
)
CONTRIBUTING: Final = ROOT / "CONTRIBUTING.md"
"""Its recipes edit the program: tests/docs/test_recipes.py follows them."""

GAP: Final = "..."
"""A line that matches any lines."""
_MARK: Final = re.compile(r"<!-- (background|file|edit|not run)(?:: (.+?))? -->")
_FENCE: Final = re.compile(r"( *)```(\w*)")
_EXIT: Final = re.compile(r" +# exit (\d+)$")
_SHELLS: Final = ("", "sh", "bash", "console")


@dataclass(frozen=True)
class Write:
    """The reader writes a file."""

    line: int
    path: str
    text: str


@dataclass(frozen=True)
class Edit:
    """The reader replaces lines of a file."""

    line: int
    path: str
    before: str
    after: str


@dataclass(frozen=True)
class Run:
    """The reader runs a command; `line` and `end` bound its output on the page (0-based, half
    open).
    """

    line: int
    end: int
    command: str
    code: int
    shown: tuple[str, ...]
    background: str = ""


@dataclass(frozen=True)
class Told:
    """The page contains a command that is not run, with the reason."""

    line: int
    command: str
    why: str


Step = Write | Edit | Run | Told


def continued(text: str) -> str:
    """Return the page whose folder this page continues in, or nothing."""
    actual = re.search(r"^<!-- continues: (\S+) -->$", text, re.MULTILINE)
    return actual[1] if actual else ""


def steps(text: str) -> list[Step]:
    """Return the steps of a page, in order."""
    lines = text.splitlines()
    actual: list[Step] = []
    number = 0
    while number < len(lines):
        fence = _FENCE.fullmatch(lines[number])
        if fence:
            end = next(
                item
                for item in range(number + 1, len(lines))
                if lines[item].strip() == "```"
            )
            body = [line.removeprefix(fence[1]) for line in lines[number + 1 : end]]
            mark = _MARK.fullmatch(lines[number - 1].strip()) if number else None
            actual += _block(fence[2], mark, body, number + 1)
            number = end
        number += 1
    return actual


def _block(
    language: str, mark: re.Match[str] | None, body: list[str], start: int
) -> list[Step]:
    kind, message = (mark[1], mark[2] or "") if mark else ("", "")
    text = "".join(f"{line}\n" for line in body)
    if kind == "file":
        return [Write(start, message, text)]
    if kind == "edit":
        before, after = (
            "".join(f"{line[1:]}\n" for line in body if line[0] != sign)
            for sign in "+-"
        )
        return [Edit(start, message, before, after)]
    if language == "console" and kind != "not run":
        return list(_runs(body, start, (message or " on http://") if kind else ""))
    if language in _SHELLS:
        return [
            Told(start, item, message)
            for item in _commands(text) or [""] * bool(language)
        ]
    return []


def _runs(body: list[str], start: int, background: str) -> list[Run]:
    places = [place for place, line in enumerate(body) if line.startswith("$ ")]
    runs = []
    for place, following in zip(places, [*places[1:], len(body)], strict=True):
        printed = body[place + 1 : following]
        while printed and not printed[-1].strip():
            printed.pop()
        code = _EXIT.search(body[place])
        first = start + place + 1
        command = _EXIT.sub("", body[place])[2:]
        runs.append(
            Run(
                first,
                first + len(printed),
                command,
                int(code[1]) if code else 0,
                tuple(printed),
                background,
            )
        )
    return runs


def _commands(text: str) -> list[str]:
    """Return each `cxroute ...` in a shell's text, up to the end of its words."""
    joined = text.replace("\\\n", " ")
    return re.findall(
        r"(?:^ *(?:\$ )?|[|;&(] *)(cxroute [^|;&>#\n)]*)", joined, re.MULTILINE
    )


def inline(text: str) -> list[str]:
    """Return each `cxroute ...` in the running text of a page."""
    prose = re.sub(r"^ *```.*?^ *```$", "", text, flags=re.DOTALL | re.MULTILINE)
    return re.findall(r"`(cxroute [^`]+)`", prose)


def fields_of_rows(text: str) -> list[tuple[str, bool]]:
    """Return the fields in the first cells of a table, and whether each is always present: its
    value does not begin with "optional".
    """
    rows = re.findall(
        r"^\| (`[\w.]+`(?:, `[\w.]+`)*) \| (optional: )?", text, re.MULTILINE
    )
    return [
        (field, not optional)
        for fields, optional in rows
        for field in re.findall(r"`([\w.]+)`", fields)
    ]
