"""The site in a real browser, on a phone and on a desk, light and dark: accessible, no wider than
the screen, found by its search, and usable by keyboard.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import pytest
from playwright.sync_api import Browser, Page

from tests.browser.machine import PHONE, Sight, seen, violations

DESK = 1280
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
READ = ("index.html", "commands.html", "manifests/environment.html", "start.html")
"""The first page, two long ones with tables, and a list of pages."""
FOUND = {
    "freeze": "manifests/environment.html",
    "CXR240": "codes.html",
    "promise": "manifests/promises.html",
    "strike": "dates.html",
    "ramp": "dates.html",
    "rollback": "operations.html",
}
"""A word to search for, and a page that has it."""
SHOWN = """scheme => document.documentElement.dataset.theme === scheme
  && !document.getAnimations().length"""
"""A scheme is chosen, and all colours have changed."""
SUMMARY = "p.search-summary"
RESULTS = "#search-results ul.search > li > a"


def troubles(sight: Sight, address: str) -> list[str]:
    """Return what a page should not do: ask another host, or fail."""
    asked = [
        url
        for url in sight.asked
        if not url.startswith((f"{address}/", "data:application/json,"))
    ]
    said = [
        text
        for text in sight.noise
        if not text.startswith(("console log: [PST]", "console debug: [PST]"))
    ]
    return asked + said


def names_of_pages(folder: Path) -> list[str]:
    """Return the addresses of all pages in the folder of a version."""
    paths = [path.relative_to(folder) for path in sorted(folder.rglob("*.html"))]
    return [path.as_posix() for path in paths if "_static" not in path.parts]


def found_by(page: Page, address: str, word: str) -> list[str]:
    """Type a word into the search of the first page; return the addresses of the results."""
    page.goto(f"{address}/index.html")
    page.keyboard.press("Control+k")
    page.keyboard.type(word)
    page.keyboard.press("Enter")
    page.wait_for_url("**/search.html?q=*")
    page.wait_for_selector(RESULTS)
    page.wait_for_selector(f"{SUMMARY}:has-text('Search finished')")
    links = page.locator(RESULTS).all()
    return [str(link.evaluate("one => one.href")) for link in links]


def violations_in_each_form(page: Page, ready: str = "h1") -> list[str]:
    """Return what axe-core finds in a page: light and dark, on a phone and on a desk.

    The page is complete when it has an element that `ready` selects.
    """
    actual = []
    for width in (PHONE, DESK):
        page.set_viewport_size({"width": width, "height": 900})
        page.reload()
        page.wait_for_selector(ready)
        for scheme in SCHEMES:
            page.emulate_media(color_scheme=scheme)
            page.wait_for_function(SHOWN, arg=scheme)
            actual += [f"{scheme}, {width}: {item}" for item in violations(page)]
    return actual


@pytest.mark.parametrize("name", READ)
def test_a_page_is_accessible_and_asks_no_other_host(
    name: str, browser: Browser, address: str
) -> None:
    """axe-core finds nothing; all requests go to the site."""
    with seen(browser) as sight:
        sight.page.goto(f"{address}/{name}")
        assert [] == violations_in_each_form(sight.page)
    assert len(sight.asked) > 5
    assert [] == troubles(sight, address)


@pytest.mark.campaign
@pytest.mark.timeout(900)
def test_every_page_is_accessible(browser: Browser, site: Path, address: str) -> None:
    """As those above are."""
    found = {}
    with seen(browser) as sight:
        for name in names_of_pages(site / "latest"):
            sight.page.goto(f"{address}/{name}")
            found[name] = violations_in_each_form(sight.page)
    assert len(found) > 50
    assert {} == {name: items for name, items in found.items() if items}
    assert [] == troubles(sight, address)


def test_the_results_of_a_search_are_accessible(browser: Browser, address: str) -> None:
    """As a page is."""
    with seen(browser) as sight:
        assert found_by(sight.page, address, "freeze")
        assert [] == violations_in_each_form(sight.page, RESULTS)
    assert [] == troubles(sight, address)


def test_the_menus_of_a_phone_are_accessible(browser: Browser, address: str) -> None:
    """The navigation and the parts of the page open, have no violation, and close by Escape."""
    size: Any = {"width": PHONE, "height": 740}
    with seen(browser, viewport=size) as sight:
        page = sight.page
        page.goto(f"{address}/dates.html")
        for button, menu in (
            (".primary-toggle", "#pst-primary-sidebar-modal"),
            (".secondary-toggle", "#pst-secondary-sidebar-modal"),
        ):
            page.click(button)
            page.wait_for_function("!document.getAnimations().length")
            assert page.locator(menu).is_visible()
            assert [] == violations(page)
            page.keyboard.press("Escape")
            page.wait_for_selector(menu, state="hidden")
        page.click(".primary-toggle")
        navigation = page.locator("#pst-primary-sidebar-modal")
        navigation.get_by_role("link", name="Connect a tenant").click()
        page.wait_for_url("**/connect.html")


def test_a_phone_scrolls_every_page_in_one_direction(
    browser: Browser, address: str, site: Path
) -> None:
    """No page is wider than 360 pixels: tables and code scroll by themselves."""
    size: Any = {"width": PHONE, "height": 740}
    with seen(browser, viewport=size) as sight:
        page = sight.page
        wide = {}
        for name in names_of_pages(site / "latest"):
            page.goto(f"{address}/{name}", wait_until="domcontentloaded")
            wide[name] = page.evaluate("document.scrollingElement.scrollWidth")
        assert len(wide) > 50
        assert {} == {name: width for name, width in wide.items() if width != PHONE}
    with seen(browser, viewport=size) as sight:
        page = sight.page
        page.goto(f"{address}/internals/invariants.html")
        scrolling = page.evaluate(
            "[...document.querySelectorAll('.pst-scrollable-table-container')]"
            ".filter(one => one.scrollWidth > one.clientWidth && one.tabIndex === 0).length"
        )
        assert scrolling


def test_a_phone_shows_a_row_as_a_block_with_the_names_of_its_columns(
    browser: Browser, address: str
) -> None:
    """Each cell of a row is below the one before; on a desk it is beside it."""
    for width, is_below in ((PHONE, True), (DESK, False)):
        size: Any = {"width": width, "height": 740}
        with seen(browser, viewport=size) as sight:
            sight.page.goto(f"{address}/manifests/environment.html")
            cells = sight.page.locator("#fields tbody tr").first.locator("td")
            tops = cells.evaluate_all(
                "all => all.map(one => one.getBoundingClientRect().top)"
            )
            assert 4 == len(tops)
            assert is_below == (len(set(tops)) == len(tops))
            assert ["field", "type", "meaning", "example"] == cells.evaluate_all(
                "all => all.map(one => one.dataset.column)"
            )


@pytest.mark.parametrize("word", FOUND)
def test_the_search_finds_a_word(word: str, browser: Browser, address: str) -> None:
    """The word is typed into the field that the keys open; a page with the word is a result."""
    with seen(browser) as sight:
        actual = found_by(sight.page, address, word)
    expected = f"{address}/{FOUND[word]}"
    assert [url for url in actual if url.startswith(expected)], actual


@pytest.mark.parametrize("word", ["campaign", "exception", "delete"])
def test_pages_for_developers_are_the_last_results(
    word: str, browser: Browser, address: str
) -> None:
    """Users of cxroute and its developers have different questions about these words."""
    with seen(browser) as sight:
        actual = found_by(sight.page, address, word)
    is_internal = [url.startswith(f"{address}/internals") for url in actual]
    assert {True, False} == {*is_internal}
    assert is_internal == sorted(is_internal), actual


def test_the_keyboard_skips_the_navigation_and_sets_the_colours(
    browser: Browser, address: str
) -> None:
    """The first stop is the link to the text; Tab reaches the switch, and the choice stays."""
    with seen(browser, color_scheme="light") as sight:
        page = sight.page
        page.goto(f"{address}/guide.html")
        page.keyboard.press("Tab")
        assert "Skip to main content" == page.evaluate(
            "document.activeElement.innerText"
        )
        page.keyboard.press("Enter")
        assert page.url.endswith("#main-content")
        page.goto(f"{address}/guide.html")
        for _ in range(40):
            page.keyboard.press("Tab")
            if page.locator(".theme-switch-button:focus").count():
                break
        page.keyboard.press("Enter")
        page.keyboard.press("ArrowUp")
        page.keyboard.press("Enter")
        assert "dark" == page.evaluate("document.documentElement.dataset.theme")
        page.goto(f"{address}/install.html")
        assert "dark" == page.evaluate("document.documentElement.dataset.theme")


def test_a_page_can_be_read_without_scripts(browser: Browser, address: str) -> None:
    """Text and links are there; what needs a script is hidden."""
    with seen(browser, java_script_enabled=False) as sight:
        page = sight.page
        page.goto(f"{address}/commands.html")
        assert page.locator("h1").is_visible()
        assert page.locator("nav").get_by_text("Run it").first.is_visible()
        assert not page.locator(".theme-switch-button").first.is_visible()
