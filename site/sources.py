"""What Sphinx reads for one version: the pages of docs/, whose links lead to pages of the site or to
the repository; the first page; and the first page of each group that has none.
"""

from __future__ import annotations

import json
import posixpath
import re
import shutil
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

HERE: Final = Path(__file__).parent
_FENCE: Final = re.compile(r" *(```|~~~)")
_LINK: Final = re.compile(r"(?P<mark>!?)\[(?P<text>[^\]]*)\]\((?P<to>[^)\s]+)\)")
_ADDRESS: Final = re.compile(r"[a-z][a-z+.-]*:|#")
_COMMENT: Final = re.compile(r"<!--.*?-->\s*", re.DOTALL)
_PURPOSE: Final = "Use this page to "
_FURTHER: Final = re.compile(r"(, and|;(?: and)?) to\b")
"""What comes before a further purpose in such a sentence."""
_INTRODUCTION: Final = "<!-- the introduction of README.md -->"


@dataclass(frozen=True, kw_only=True)
class Version:
    """A version of the documentation, and where its files are in the repository.

    `name` is its folder on the site, `label` its name in the list of versions. `release` is its
    number, with `.dev` if it is not released. `files` is the folder with docs/, site/ and
    README.md. `revision` is a tag or a commit of the repository, which is at `repository`.
    """

    name: str
    label: str
    release: str
    files: Path
    repository: str
    revision: str

    def address(self, path: str) -> str:
        """Return the address of a file or folder of this version."""
        view = "tree" if (self.files / path).is_dir() else "blob"
        return f"{self.repository}/{view}/{self.revision}/{path}"


@dataclass(frozen=True)
class Group:
    """A part of the navigation: its title, its first page, and its other pages, in order."""

    title: str
    page: str
    pages: tuple[str, ...]


def read_groups(files: Path) -> list[Group]:
    """Return the groups of a version, in order.

    Raises:
        ValueError: A page of docs/ is in no group or in several, or a page does not exist.
    """
    listed = tomllib.loads((files / "site/pages.toml").read_text(encoding="utf-8"))
    groups = [
        Group(
            title=item["title"],
            page=f"{item['page']}.md",
            pages=tuple(f"{page}.md" for page in item["pages"]),
        )
        for item in listed["group"]
    ]
    docs = files / "docs"
    present = {path.relative_to(docs).as_posix() for path in docs.rglob("*.md")}
    first = [group.page for group in groups if group.page in present]
    placed = [*first, *(page for group in groups for page in group.pages)]
    twice = {page for page in placed if placed.count(page) > 1}
    wrong = twice | (present ^ set(placed))
    if wrong:
        names = ", ".join(sorted(wrong))
        raise ValueError(f"site/pages.toml must name each page of docs/ once: {names}")
    return groups


def write_sources(version: Version, versions: list[Version], folder: Path) -> None:
    """Write what Sphinx reads for a version into an empty folder.

    `versions` are those that readers choose from, with the recommended one first.
    """
    groups = read_groups(version.files)
    sources = _Sources(version, folder)
    docs = version.files / "docs"
    for page in sorted(docs.rglob("*.md")):
        sources.write_page(page.relative_to(docs).as_posix())
    for group in groups:
        sources.write_first_page(group)
    sources.write_index(groups)
    shutil.copytree(HERE / "static", folder / "_static")
    shutil.copy(HERE / "conf.py", folder)
    settings = json.dumps(_settings(version, versions))
    (folder / "site.json").write_text(settings, encoding="utf-8")


def _settings(version: Version, versions: list[Version]) -> dict[str, Any]:
    """Return what conf.py reads."""
    listed = [
        {"version": item.name, "name": item.label, "preferred": item == versions[0]}
        for item in versions
    ]
    return {
        "name": version.name,
        "release": version.release,
        "repository": version.repository,
        "versions": listed,
    }


@dataclass(frozen=True)
class _Sources:
    version: Version
    folder: Path

    def write_page(self, name: str) -> None:
        """Write a page of docs/ at the same place."""
        text = (self.version.files / "docs" / name).read_text(encoding="utf-8")
        self._write(name, self._linked(text, f"docs/{name}"))

    def write_first_page(self, group: Group) -> None:
        """Add the navigation of a group to its first page; make the page if there is none."""
        page = self.folder / group.page
        if page.is_file():
            text = page.read_text(encoding="utf-8")
        else:
            rows = "".join(self._row(name) for name in group.pages)
            text = f"# {group.title}\n\n{rows}"
        start = posixpath.dirname(group.page) or "."
        names = [posixpath.relpath(name, start) for name in group.pages]
        self._write(group.page, f"{text}\n{_toctree(names)}")

    def write_index(self, groups: list[Group]) -> None:
        """Write the first page: its own text, with the introduction of README.md."""
        readme = (self.version.files / "README.md").read_text(encoding="utf-8")
        introduction, _, _ = readme.partition("\n## ")
        own = (self.version.files / "site/index.md").read_text(encoding="utf-8")
        text = self._linked(own, "site/index.md").replace(
            _INTRODUCTION, self._linked(introduction, "README.md")
        )
        names = [f"{group.title} <{group.page}>" for group in groups]
        self._write("index.md", f"{text}\n{_toctree(names)}")

    def _write(self, name: str, text: str) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def _linked(self, text: str, page: str) -> str:
        """Return a text with the links of the site; `page` is its path in the repository."""

        def link(found: re.Match[str]) -> str:
            to = found["to"]
            text = found["text"]
            if not _ADDRESS.match(to):
                to = self._target(to, page, is_picture=bool(found["mark"]))
            if to.startswith("/") and text.endswith(".md"):
                text = ""  # Sphinx fills in the title of the page or part
            return f"{found['mark']}[{text}]({to})"

        return "".join(
            line if is_code else _LINK.sub(link, line)
            for line, is_code in _marked_lines(text)
        )

    def _target(self, to: str, page: str, *, is_picture: bool) -> str:
        """Return where a relative link of a page leads on the site."""
        file, hash_sign, anchor = to.partition("#")
        path = posixpath.normpath(posixpath.join(posixpath.dirname(page), file))
        if is_picture:
            return self._copied(path)
        if path.startswith("docs/") and path.endswith(".md"):
            return f"/{path.removeprefix('docs/')}{hash_sign}{anchor}"
        if path == "README.md" and not anchor:
            return "/index.md"
        return f"{self.version.address(path)}{hash_sign}{anchor}"

    def _copied(self, path: str) -> str:
        """Copy a picture of the repository, and return its place on the site."""
        place = f"pictures/{posixpath.basename(path)}"
        (self.folder / "pictures").mkdir(parents=True, exist_ok=True)
        shutil.copy(self.version.files / path, self.folder / place)
        return f"/{place}"

    def _row(self, name: str) -> str:
        """Return a page in the list of its group: its title, and its first sentence."""
        page = (self.folder / name).read_text(encoding="utf-8")
        title, _, body = _COMMENT.sub("", page).partition("\n")
        paragraph = " ".join(body.strip().partition("\n\n")[0].split())
        text = _LINK.sub(r"\g<text>", paragraph)
        sentence = re.split(r"(?<=[.:]) ", text, maxsplit=1)[0]
        if sentence.startswith(_PURPOSE):
            sentence = _FURTHER.sub(r"\1", sentence.removeprefix(_PURPOSE))
        purpose = f"{sentence[:1].upper()}{sentence[1:].rstrip(':.')}."
        return f"- [{title.removeprefix('# ')}](/{name})\\\n  {purpose}\n"


def _marked_lines(text: str) -> Iterator[tuple[str, bool]]:
    """Yield each line, and whether it is in a fenced block."""
    fence = ""
    for line in text.splitlines(keepends=True):
        mark = _FENCE.match(line)
        is_border = mark is not None and fence in ("", mark[1])
        yield line, bool(fence) or is_border
        if mark is not None and is_border:
            fence = "" if fence else mark[1]


def _toctree(names: list[str]) -> str:
    listed = "\n".join(names)
    return f"```{{toctree}}\n:hidden:\n:titlesonly:\n\n{listed}\n```\n"
