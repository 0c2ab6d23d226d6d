"""The navigation of the documentation's site, which tests/site builds."""

from __future__ import annotations

import tomllib

from tests.support.house import ROOT


def test_every_page_of_docs_is_in_one_group_of_the_site() -> None:
    """A new page needs a place in site/pages.toml. A group's first page may exist only there."""
    docs = ROOT / "docs"
    listed = tomllib.loads((ROOT / "site/pages.toml").read_text(encoding="utf-8"))
    pages = [path.relative_to(docs).with_suffix("") for path in docs.rglob("*.md")]
    present = {page.as_posix() for page in pages}
    first = [group["page"] for group in listed["group"] if group["page"] in present]
    placed = first + [page for group in listed["group"] for page in group["pages"]]
    assert sorted(present) == sorted(placed)
    assert [
        "Start",
        "Manifests",
        "Review a change",
        "Run it",
        "Connect a tenant",
        "Reference",
        "Internals",
    ] == [group["title"] for group in listed["group"]]
