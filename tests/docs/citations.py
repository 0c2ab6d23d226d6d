"""Citations of the reference pages: their syntax, and the available anchors (CONTRIBUTING.md,
"Layout").
"""

from __future__ import annotations

import ast
import io
import re
import subprocess
import tokenize
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

from tests.docs.page import ROOT

REFERENCE: Final = ROOT / "docs/reference"
INTERNALS: Final = ROOT / "docs/internals"
CITED: Final = {
    **{path.stem: path for path in REFERENCE.glob("*.md") if path.stem != "README"},
    "algorithms": INTERNALS / "algorithms.md",
    "invariants": INTERNALS / "invariants.md",
}
"""The pages that code and tests cite by name."""
HOMES: Final = {
    "S": "semantics",
    "R": "invariants",
    "W": "invariants",
    "F": "invariants",
}
"""The page that holds the items of a letter."""
_TEXT: Final = (".py", ".md", ".yaml", ".yml", ".toml", ".lua", ".js", ".sh")
_ITEM: Final = r"\b[SRWF]\d{1,2}\b(?![-=+/])"
_NAME: Final = rf"(?<![\w/.-])({'|'.join(sorted(CITED))})(?![\w/.-])"
_LIST: Final = rf"{_ITEM}(?:(?:,? (?:to|and) |, ){_ITEM})*"
_ITEMS: Final = re.compile(rf"{_NAME} ({_LIST})", re.IGNORECASE)
_HEADING: Final = re.compile(rf'{_NAME} "([^"\n]+)"', re.IGNORECASE)
_PATH: Final = re.compile(r"(?<![\w/.-])(docs/[\w/-]+\.md)(?:#([\w-]+))?")
_RANGE: Final = re.compile(r"([SRWF])(\d{1,2}) to \1(\d{1,2})\b")


class Citation(NamedTuple):
    """The place of a citation, and its page and anchor; no anchor means the page."""

    place: str
    page: str
    anchor: str


@cache
def files() -> tuple[Path, ...]:
    """Return the text files of the repository."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    paths = [ROOT / name for name in listed.stdout.decode().splitlines()]
    return tuple(path for path in paths if path.suffix in _TEXT and path.is_file())


@cache
def prose(path: Path) -> str:
    """Return the text for readers: of code the docstrings and comments, of other files
    everything.
    """
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".py":
        text = "\n".join([*_docstrings(text), *_comments(text)])
    return re.sub(r"\s*\n[\s#]*", " ", text) if path.suffix != ".md" else text


def _docstrings(text: str) -> Iterator[str]:
    """Yield the bare strings of a module: docstrings, and those after constants."""
    for node in ast.walk(ast.parse(text)):
        if (
            isinstance(node, ast.Expr)
            and isinstance(node.value, ast.Constant)
            and isinstance(node.value.value, str)
        ):
            yield f"{node.value.value}."


def _comments(text: str) -> Iterator[str]:
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            yield token.string.lstrip("# ")


def citations(path: Path) -> Iterator[Citation]:
    """Yield every citation of a file."""
    yield from found_in(prose(path), str(path.relative_to(ROOT)))


def found_in(text: str, place: str) -> Iterator[Citation]:
    """Yield every citation in the text of a file."""
    for name, heading in _HEADING.findall(text):
        yield Citation(place, _path(name), slug(heading))
    for name, items in _ITEMS.findall(text):
        yield from (
            Citation(place, _path(name), item.lower()) for item in expanded(items)
        )
    # there test_pages follows the links
    for page, anchor in _PATH.findall(text) if not place.endswith(".md") else ():
        yield Citation(place, page, anchor)
    if place.endswith((".py", ".md")):
        for item in expanded(text):
            yield Citation(place, _path(HOMES[item[0]]), item.lower())


def _path(name: str) -> str:
    """Return the path of a cited page in the repository."""
    return str(CITED[name.lower()].relative_to(ROOT))


def expanded(text: str) -> set[str]:
    """Return the items that a text names, including those within ranges."""
    actual = set(re.findall(_ITEM, text))
    for letter, first, last in _RANGE.findall(text):
        assert int(first) < int(last), f"{letter}{first} to {letter}{last}"
        actual |= {f"{letter}{number}" for number in range(int(first), int(last) + 1)}
    return actual


def slug(heading: str) -> str:
    """Return the anchor that GitHub gives a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def ids(page: Path) -> list[str]:
    """Return the explicit anchors of a page."""
    return re.findall(r'<a id="([^"]+)"></a>', page.read_text(encoding="utf-8"))


@cache
def anchors(page: Path) -> frozenset[str]:
    """Return every anchor of a page: its headings and explicit ones."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return frozenset([*map(slug, headings), *ids(page)])
