"""The elements and texts of HTML or Markdown for a browser or GitHub, as a list that is easy to
compare.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Final

from cmarkgfm import github_flavored_markdown_to_html  # type: ignore[import-untyped]
from cmarkgfm.cmark import Options  # type: ignore[import-untyped]

VOID: Final = {"br", "meta", "input", "hr", "img", "link"}


@dataclass
class Text:
    """A text, its elements, outermost first, and their attributes."""

    text: str
    inside: tuple[str, ...]


@dataclass
class Page:
    """The content that a parser found, in order."""

    tags: list[tuple[str, dict[str, str | None]]] = field(default_factory=list)
    texts: list[Text] = field(default_factory=list)
    comments: list[str] = field(default_factory=list)
    shape: list[str] = field(default_factory=list)
    """Starts and ends of elements, without texts."""
    unclosed: list[str] = field(default_factory=list)
    """Elements that were not closed, or closed in the wrong order."""

    def all(self, tag: str) -> list[dict[str, str | None]]:
        """The attributes of each such element."""
        return [attributes for name, attributes in self.tags if name == tag]

    def text_inside(self, *inside: str) -> str:
        """All text in such elements."""
        return "".join(
            text.text for text in self.texts if set(inside) <= set(text.inside)
        )

    def texts_outside(self, *elements: str) -> list[str]:
        """Each text outside of the elements."""
        return [
            text.text for text in self.texts if not set(elements) & set(text.inside)
        ]

    def rows(self) -> list[list[list[str]]]:
        """For each table its rows, for each row the texts of its cells."""
        return self._tables

    _tables: list[list[list[str]]] = field(default_factory=list)


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.page = Page()
        self._open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.page.tags.append((tag, dict(attrs)))
        self.page.shape.append(tag)
        if tag == "table":
            self.page.rows().append([])
        elif tag == "tr":
            self.page.rows()[-1].append([])
        elif tag in ("td", "th"):
            self.page.rows()[-1][-1].append("")
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        self.page.shape.append(f"/{tag}")
        if not self._open or self._open.pop() != tag:
            self.page.unclosed.append(tag)

    def handle_data(self, data: str) -> None:
        self.page.texts.append(Text(data, tuple(self._open)))
        if {"td", "th"} & set(self._open):
            self.page.rows()[-1][-1][-1] += data

    def handle_comment(self, data: str) -> None:
        self.page.comments.append(data)

    def close(self) -> None:
        super().close()
        self.page.unclosed += self._open


def parse_html(html: str) -> Page:
    """Read HTML."""
    reader = _Reader()
    reader.feed(html)
    reader.close()
    return reader.page


def parse_as_github(markdown: str) -> Page:
    """Read Markdown with GitHub's own parser, including raw HTML; without GitHub's later
    sanitizing.
    """
    return parse_html(
        github_flavored_markdown_to_html(markdown, options=Options.CMARK_OPT_UNSAFE)
    )
