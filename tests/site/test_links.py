"""The built site without a browser: every link leads somewhere, and no page loads anything from
another host.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

from tests.site.built import ROOT, anchors, page

REPOSITORY = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))[
    "tool"
]["hatch"]["metadata"]["hooks"]["custom"]["repository"]
LOADED = {"script": "src", "img": "src", "source": "srcset", "iframe": "src"}
"""Elements that load a file, and the attribute with its address; `link` depends on its `rel`."""
LEADING = {"next", "prev", "canonical", "search", "author", "index"}
"""Values of `rel` that load nothing."""


def pages(site: Path) -> list[Path]:
    return [
        path for path in sorted(site.rglob("*.html")) if "_static" not in path.parts
    ]


def links(path: Path) -> Iterator[str]:
    """Yield each address that a page leads to or loads."""
    for _, attributes in page(path).tags:
        for name in ("href", "src"):
            if attributes.get(name):
                yield str(attributes[name])


def loaded(path: Path) -> Iterator[str]:
    """Yield each address that a browser loads with a page."""
    for tag, attributes in page(path).tags:
        is_loading = tag == "link" and attributes.get("rel") not in LEADING
        name = "href" if is_loading else LOADED.get(tag)
        if name and attributes.get(name):
            yield str(attributes[name])


def broken(path: Path) -> list[str]:
    """Return the links of a page to files or anchors of the site that do not exist."""
    actual = []
    for link in links(path):
        parts = urlsplit(link)
        if parts.scheme or parts.netloc:
            continue
        target = path.parent / unquote(parts.path) if parts.path else path
        anchor = unquote(parts.fragment)
        is_known = not anchor or target.suffix != ".html" or anchor == "top"
        if not target.is_file() or not (is_known or anchor in anchors(target)):
            actual.append(link)
    return actual


def test_every_page_of_docs_is_on_the_site(site: Path) -> None:
    """At the same place, and the navigation leads to each from the first page."""
    docs = ROOT / "docs"
    expected = {
        path.relative_to(docs).with_suffix(".html").as_posix()
        for path in docs.rglob("*.md")
    }
    latest = site / "latest"
    assert len(expected) > 40
    assert set() == {name for name in expected if not (latest / name).is_file()}
    reached, ahead = set(), ["index.html"]
    while ahead:
        name = ahead.pop()
        if name in reached:
            continue
        reached.add(name)
        for link in links(latest / name):
            file = (latest / name).parent / urlsplit(link).path
            if not urlsplit(link).scheme and file.suffix == ".html":
                ahead.append(file.resolve().relative_to(latest.resolve()).as_posix())
    assert set() == expected - reached


def test_every_link_and_anchor_of_the_site_resolves(site: Path) -> None:
    """Also those of the navigation, and of the page at the top that leads to a version."""
    found = {path: broken(path) for path in pages(site)}
    assert len(found) > 50
    assert {} == {path: links for path, links in found.items() if links}
    assert sum(1 for path in pages(site) for _ in links(path)) > 3_000


def test_links_to_the_repository_lead_to_files_of_the_built_commit(site: Path) -> None:
    """The file or folder exists, and the address has the view for it."""
    form = re.compile(rf"{re.escape(REPOSITORY)}/(blob|tree)/[0-9a-f]{{40}}/([^#]+)")
    addresses = {
        link
        for path in pages(site)
        for link in links(path)
        if link.startswith(f"{REPOSITORY}/")
    }
    assert len(addresses) > 10
    for address in addresses:
        found = form.match(address)
        assert found, address
        view = "tree" if (ROOT / found[2]).is_dir() else "blob"
        assert (ROOT / found[2]).exists(), address
        assert view == found[1]


def test_no_page_loads_anything_from_another_host(site: Path) -> None:
    """Scripts, styles, fonts and pictures are files of the site."""
    checked = 0
    for path in pages(site):
        for address in loaded(path):
            assert not urlsplit(address).netloc, (path, address)
            checked += 1
    assert checked > 500
    for style in site.rglob("*.css"):
        text = style.read_text(encoding="utf-8")
        for address in re.findall(r"(?:url\(|@import )[\"']?([^\"')]+)", text):
            parts = urlsplit(address)
            assert not parts.netloc, (style, address)
            is_here = (style.parent / parts.path).is_file()
            assert is_here or parts.scheme == "data" or address.startswith("#"), address


def test_signs_of_commands_stay_as_they_are(site: Path) -> None:
    """No quote becomes a curly one, and no `--` a dash."""
    docs = ROOT / "docs"
    latest = site / "latest"
    sources = sorted(docs.rglob("*.md"))
    assert sources
    for source in sources:
        text = source.read_text(encoding="utf-8")
        path = latest / source.relative_to(docs).with_suffix(".html")
        article = page(path).text_inside("article")
        assert article
        changed = [sign for sign in "“”‘’–—" if sign in article and sign not in text]
        assert [] == changed, path


def test_no_markdown_is_left_on_a_page(site: Path) -> None:
    """Each link of a page became one; outside of code, no text has the form of a link."""
    for path in pages(site):
        texts = page(path).texts_outside("pre", "code", "script", "style")
        left = [text for text in texts if re.search(r"\]\(|<!--", text)]
        assert [] == left, path
