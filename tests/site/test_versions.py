"""The site of several versions, from the tags of a small repository; and what `make site` refuses."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.machine import PHONE, seen, violations
from tests.site.built import ROOT, build, page, require_sphinx, served

PAGES = """\
[[group]]
title = "Start"
page = "start"
pages = [{pages}]
"""


class Checkout:
    """A small repository with the program that builds the site, and pages of its own."""

    def __init__(self, root: Path) -> None:
        self.root = root
        shutil.copytree(
            ROOT / "site", root / "site", ignore=shutil.ignore_patterns("__pycache__")
        )
        for name in ("pyproject.toml", ".github/comment.png", "deploy/README.md"):
            self.write(name, (ROOT / name).read_bytes())
        self.write("README.md", "# cxroute\n\nAn introduction.\n\n## Not shown\n")
        self.write("site/index.md", "<!-- the introduction of README.md -->\n")
        self.git("init", "--quiet")

    def write(self, name: str, text: str | bytes) -> None:
        """Write a file."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())

    def write_pages(self, **pages: str) -> None:
        """Replace the pages of docs/, and list them."""
        shutil.rmtree(self.root / "docs", ignore_errors=True)
        for name, text in pages.items():
            self.write(f"docs/{name}.md", text)
        names = ", ".join(f'"{name}"' for name in pages)
        self.write("site/pages.toml", PAGES.format(pages=names))

    def release(self, number: str) -> None:
        """Commit all, and tag it."""
        self.write("reconciler/version.py", f'__version__ = "{number}"\n')
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", number)
        self.git("tag", f"v{number}")

    def git(self, *arguments: str) -> None:
        """Run git with a name of its own, and without the user's settings."""
        names = ("GIT_AUTHOR_NAME", "GIT_COMMITTER_NAME")
        addresses = ("GIT_AUTHOR_EMAIL", "GIT_COMMITTER_EMAIL")
        own = {
            **dict.fromkeys(names, "A Person"),
            **dict.fromkeys(addresses, "person@example.com"),
            "GIT_CONFIG_GLOBAL": os.devnull,
        }
        subprocess.run(
            ("git", *arguments), cwd=self.root, env=os.environ | own, check=True
        )


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    """A repository without pages."""
    require_sphinx()
    return Checkout(tmp_path / "my clone")


@pytest.fixture(scope="module")
def versions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A site of two minor versions and of what is not released, in a folder of a web server."""
    require_sphinx()
    checkout = Checkout(tmp_path_factory.mktemp("versions") / "my clone")
    checkout.git("commit", "--allow-empty", "--quiet", "--message", "before the site")
    checkout.git("tag", "v0.0.9")
    checkout.write_pages(first="# First\n\nText of 0.1.0.\n", other="# Other\n")
    checkout.release("0.1.0")
    first = "# First\n\nText of 0.1.1. Run [it](../deploy/README.md).\n"
    checkout.write_pages(first=first, other="# Other\n")
    checkout.release("0.1.1")
    checkout.write_pages(first="# First\n\nText of 0.2.0.\n")
    checkout.release("0.2.0")
    checkout.write_pages(first="# First\n\nText of tomorrow.\n")
    top = checkout.root.parent / "top"
    done = build(checkout.root, top / "docs", "--releases")
    assert 0 == done.returncode, done.stderr
    return top


@pytest.fixture(scope="module")
def address(versions: Path) -> Iterator[str]:
    """The address of that site."""
    with served(versions) as root:
        yield f"{root}/docs"


def chosen(page: Page, label: str) -> None:
    """Choose a version on a desk."""
    page.locator("header .version-switcher__button").click()
    page.get_by_role("option", name=label, exact=True).click()


def test_a_folder_has_the_newest_release_of_a_minor_version(versions: Path) -> None:
    """Older tags without a site are left out; the top leads to the newest release; links go to the
    files of the tag.
    """
    site = versions / "docs"
    assert {"0.1", "0.2", "latest", "index.html"} == {
        path.name for path in site.iterdir()
    }
    assert "Text of 0.1.1." in page(site / "0.1/first.html").text_inside("article")
    assert "Text of tomorrow." in page(site / "latest/first.html").text_inside(
        "article"
    )
    assert 'url=0.2/index.html"' in (site / "index.html").read_text("utf-8")
    links = [link["href"] for link in page(site / "0.1/first.html").all("a")]
    assert [link for link in links if link and link.endswith("v0.1.1/deploy/README.md")]


def test_a_reader_changes_the_version(browser: Browser, address: str) -> None:
    """The button shows the version; a choice leads to the same page, or to the first page if the
    other version does not have it. An old version and one that is not released say so.
    """
    with seen(browser, viewport={"width": 1280, "height": 800}) as sight:
        page = sight.page
        page.goto(f"{address}/0.1/first.html")
        button = page.locator("header .version-switcher__button")
        expect(button).to_have_text("0.1.1")
        expect(page.locator("#bd-header-version-warning")).to_contain_text(
            "This is documentation for an old version (0.1.1)."
        )
        button.click()
        assert ["0.2.0", "0.1.1", "latest (not released)"] == page.get_by_role(
            "option"
        ).all_inner_texts()
        assert [] == violations(page)
        page.keyboard.press("Escape")

        chosen(page, "0.2.0")
        page.wait_for_url(f"{address}/0.2/first.html")
        expect(button).to_have_text("0.2.0")
        assert not page.locator("#bd-header-version-warning").is_visible()

        chosen(page, "latest (not released)")
        page.wait_for_url(f"{address}/latest/first.html")
        expect(page.locator("#bd-header-version-warning")).to_contain_text(
            "an unstable development version"
        )

        page.goto(f"{address}/0.1/other.html")
        chosen(page, "0.2.0")
        page.wait_for_url(f"{address}/0.2/")


def test_the_warning_fits_a_phone(browser: Browser, address: str) -> None:
    """Nothing is wider than the screen; the link leads to the newest release."""
    with seen(browser, viewport={"width": PHONE, "height": 740}) as sight:
        page = sight.page
        page.goto(f"{address}/0.1/first.html")
        link = page.get_by_role("link", name="Switch to stable version")
        expect(link).to_be_visible()
        assert PHONE == page.evaluate("document.scrollingElement.scrollWidth")
        assert [] == violations(page)
        link.click()
        page.wait_for_url(f"{address}/0.2/first.html")


@pytest.mark.parametrize(
    ("pages", "listed", "said"),
    [
        ({"a": "# A\n", "b": "# B\n"}, '"a"', "each page of docs/ once: b.md"),
        ({"a": "# A\n"}, '"a", "a"', "each page of docs/ once: a.md"),
        ({"a": "# A\n"}, '"a", "c"', "each page of docs/ once: c.md"),
        ({"a": "# A\n\n[b](b.md)\n"}, '"a"', "'/b.md'"),
        ({"a": "# A\n\n[b](#b)\n"}, '"a"', "'b'"),
    ],
    ids=["a page without a place", "twice", "no page", "no such page", "no anchor"],
)
def test_a_wrong_page_fails_the_build(
    pages: dict[str, str], listed: str, said: str, checkout: Checkout, tmp_path: Path
) -> None:
    """The message names it, and nothing is written."""
    checkout.write_pages(**pages)
    checkout.write("site/pages.toml", PAGES.format(pages=listed))
    checkout.write("reconciler/version.py", '__version__ = "1.0.0"\n')
    done = build(checkout.root, tmp_path / "out")
    assert 1 == done.returncode
    assert said in done.stderr
    assert not (tmp_path / "out").exists()


def test_a_build_replaces_only_an_earlier_site(
    checkout: Checkout, tmp_path: Path
) -> None:
    """A folder with other files stays as it is."""
    checkout.write_pages(a="# A\n")
    checkout.write("reconciler/version.py", '__version__ = "1.0.0"\n')
    out = tmp_path / "out"
    out.mkdir()
    (out / "letter.txt").write_text("mine", "utf-8")
    done = build(checkout.root, out)
    assert 0 != done.returncode
    assert "has other files" in done.stderr
    assert ["letter.txt"] == [path.name for path in out.iterdir()]
