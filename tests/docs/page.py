"""A page of the documentation as the steps that a reader takes: what is run, what is written, what is only told.

A comment in front of a fenced block says what the block is:

    (nothing), console                the commands after `$` are run, and what is printed is what is shown
    <!-- background -->, console      one command that goes on running, once it has said where it listens
    <!-- background: WORDS -->        the same, once it has said WORDS
    <!-- file: PATH -->               the reader writes this file
    <!-- edit: PATH -->, diff         the reader puts the lines with + in place of those with -
    <!-- not run: WHY -->, console/sh the options of each `cxroute` are looked up, and nothing is run
    <!-- continues: PAGE -->          at the top: the folder is the one that PAGE left

`# exit N` behind a command says how it ends (0 where nothing is said); a shown line `...` stands for any lines.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
PAGES: Final = sorted(
    [ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), ROOT / "deploy/README.md", ROOT / "benchmarks/README.md"]
)

GAP: Final = "..."
"""A line that stands for any lines."""
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
    """The reader exchanges lines of a file."""

    line: int
    path: str
    before: str
    after: str


@dataclass(frozen=True)
class Run:
    """The reader runs a command; `line` and `end` are where what is shown begins and ends (0-based, half open)."""

    line: int
    end: int
    command: str
    code: int
    shown: tuple[str, ...]
    background: str = ""


@dataclass(frozen=True)
class Told:
    """The page tells of a command that is not run, and says why not."""

    line: int
    command: str
    why: str


Step = Write | Edit | Run | Told


def continued(text: str) -> str:
    """Return the page whose folder this one goes on in, or nothing."""
    found = re.search(r"^<!-- continues: (\S+) -->$", text, re.MULTILINE)
    return found[1] if found else ""


def steps(text: str) -> list[Step]:
    """Return the steps of a page, in order."""
    lines = text.splitlines()
    found: list[Step] = []
    number = 0
    while number < len(lines):
        fence = _FENCE.fullmatch(lines[number])
        if fence:
            end = next(one for one in range(number + 1, len(lines)) if lines[one].strip() == "```")
            body = [line.removeprefix(fence[1]) for line in lines[number + 1 : end]]
            mark = _MARK.fullmatch(lines[number - 1].strip()) if number else None
            found += _block(fence[2], mark, body, number + 1)
            number = end
        number += 1
    return found


def _block(language: str, mark: re.Match[str] | None, body: list[str], start: int) -> list[Step]:
    kind, said = (mark[1], mark[2] or "") if mark else ("", "")
    text = "".join(f"{line}\n" for line in body)
    if kind == "file":
        return [Write(start, said, text)]
    if kind == "edit":
        before, after = ("".join(f"{line[1:]}\n" for line in body if line[0] != sign) for sign in "+-")
        return [Edit(start, said, before, after)]
    if language == "console" and kind != "not run":
        return list(_runs(body, start, (said or " on http://") if kind else ""))
    if language in _SHELLS:
        return [Told(start, one, said) for one in _commands(text) or [""] * bool(language)]
    return []


def _runs(body: list[str], start: int, background: str) -> list[Run]:
    places = [place for place, line in enumerate(body) if line.startswith("$ ")]
    runs = []
    for place, following in zip(places, [*places[1:], len(body)], strict=True):
        shown = body[place + 1 : following]
        while shown and not shown[-1].strip():
            shown.pop()
        code = _EXIT.search(body[place])
        first = start + place + 1
        command = _EXIT.sub("", body[place])[2:]
        runs.append(Run(first, first + len(shown), command, int(code[1]) if code else 0, tuple(shown), background))
    return runs


def _commands(text: str) -> list[str]:
    """Return the `cxroute ...` of a shell's text, each up to where its words end."""
    joined = text.replace("\\\n", " ")
    return re.findall(r"(?:^ *(?:\$ )?|[|;&(] *)(cxroute [^|;&>#\n)]*)", joined, re.MULTILINE)


def inline(text: str) -> list[str]:
    """Return the `cxroute ...` in the running text of a page."""
    prose = re.sub(r"^ *```.*?^ *```$", "", text, flags=re.DOTALL | re.MULTILINE)
    return re.findall(r"`(cxroute [^`]+)`", prose)
