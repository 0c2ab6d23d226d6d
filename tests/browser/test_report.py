"""The report in a real browser: self-contained, accessible, usable by keyboard or without
scripts.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from reconciler.core.plan.stages import Plan
from tests.browser.machine import PHONE, seen, thread_clock, violations
from tests.support.hostile_names import HOSTILE_NAMES, MARKDOWN_NAMES
from tests.support.plan_formats import as_html
from tests.support.plans import (
    empty_plan,
    large_plan,
    plan_of_everything,
    plan_of_many,
    plan_with_names,
)

PLANS: dict[str, Callable[[], Plan]] = {
    "everything": plan_of_everything,
    "many": plan_of_many,
    "empty": empty_plan,
    "german": lambda: plan_with_names(
        [
            "Kundenservice Deutsch",
            "Beschwerden und Reklamationen",
            "Sperrhotline (nachts)",
        ]
    ),
    "5": lambda: large_plan(5),
    "60": lambda: large_plan(60),
    "1000": lambda: large_plan(1_000),
    "hostile": lambda: plan_with_names(
        [*HOSTILE_NAMES.values(), *MARKDOWN_NAMES.values()]
    ),
}
REPORTS = pytest.mark.parametrize("name", PLANS)
SCHEMES = pytest.mark.parametrize("scheme", ["light", "dark"])
BROKEN = """() => {
  document.querySelectorAll("details").forEach(one => { one.open = true; });
  const found = [], texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const head = texts.currentNode.parentElement.closest("thead");
    if (head && head.getBoundingClientRect().width <= 1) { continue; }
    for (const word of texts.currentNode.data.matchAll(/\\p{L}{1,15}/gu)) {
      const range = document.createRange();
      range.setStart(texts.currentNode, word.index);
      range.setEnd(texts.currentNode, word.index + word[0].length);
      const lines = new Set([...range.getClientRects()].filter(one => one.width > 1).map(one => Math.round(one.top)));
      if (lines.size > 1) { found.push(word[0]); }
    }
  }
  return found;
}"""
"""Words of at most 15 letters that begin on one line and end on another."""
WIDER = """() => [...document.querySelectorAll("th, td")].filter(one => {
  const words = document.createRange();
  words.selectNodeContents(one);
  return words.getBoundingClientRect().right > one.getBoundingClientRect().right + 1;
}).map(one => one.textContent)"""
"""Cells whose words are wider than the cell."""


@cache
def written(name: str) -> str:
    return as_html(PLANS[name]())


@pytest.fixture
def report(tmp_path: Path) -> Callable[[str], str]:
    """The address of a report's file."""

    def address(name: str) -> str:
        path = tmp_path / f"{name}.html"
        path.write_text(written(name), encoding="utf-8")
        return path.as_uri()

    return address


def shown(page: Page) -> int:
    """Return the number of visible changes."""
    return int(
        page.evaluate(
            "[...document.querySelectorAll('.change')].filter(one => one.checkVisibility()).length"
        )
    )


@REPORTS
@SCHEMES
def test_the_report_is_self_contained_and_accessible(
    name: str, scheme: Any, browser: Browser, report: Callable[[str], str]
) -> None:
    """No request except the file itself, nothing on the console, no error, no dialog; axe-core
    finds nothing.
    """
    with seen(browser, color_scheme=scheme) as sight:
        sight.page.goto(report(name))
        actual = violations(sight.page)
        assert [report(name)] == sight.asked
    assert [] == sight.noise
    assert [] == actual


@REPORTS
def test_the_first_screen_has_the_titles_of_all_parts(
    name: str, browser: Browser, report: Callable[[str], str]
) -> None:
    """The headline and a link to each part stand on a screen of 1280 by 800; a link leads to its
    title.
    """
    with seen(browser, viewport={"width": 1280, "height": 800}) as sight:
        page = sight.page
        page.goto(report(name))
        links = page.locator("nav.parts a")
        bottoms = links.evaluate_all(
            "all => all.map(one => one.getBoundingClientRect().bottom)"
        )
        assert len(bottoms) >= 5
        assert max(bottoms) <= 800
        for number in range(len(bottoms)):
            target = str(links.nth(number).get_attribute("href"))
            links.nth(number).click()
            assert page.locator(f"h2{target}").is_visible()
            assert page.evaluate(
                "id => document.querySelector(id).getBoundingClientRect().top < 800",
                target,
            )


@REPORTS
def test_a_phone_scrolls_in_one_direction(
    name: str, browser: Browser, report: Callable[[str], str]
) -> None:
    """Nothing is wider than 360 pixels, with all parts open."""
    with seen(browser, viewport={"width": PHONE, "height": 740}) as sight:
        sight.page.goto(report(name))
        sight.page.evaluate(
            "document.querySelectorAll('details').forEach(one => { one.open = true })"
        )
        assert PHONE == sight.page.evaluate("document.scrollingElement.scrollWidth")


@pytest.mark.parametrize("width", [PHONE, 800, 1200])
@pytest.mark.parametrize("name", ["everything", "many", "60", "german"])
def test_no_word_is_broken_if_there_is_room(
    name: str, width: int, browser: Browser, report: Callable[[str], str]
) -> None:
    """Columns are as wide as the words of queue names and headings, which stay inside; longer words
    may break.
    """
    with seen(browser, viewport={"width": width, "height": 900}) as sight:
        sight.page.goto(report(name))
        assert [] == sight.page.evaluate(BROKEN)
        assert [] == sight.page.evaluate(WIDER)
        assert width == sight.page.evaluate("document.scrollingElement.scrollWidth")


def test_the_filter_counts_rules(
    browser: Browser, report: Callable[[str], str]
) -> None:
    """The filter finds a rule of many, and shows the number of rules."""
    with seen(browser) as sight:
        sight.page.goto(report("1000"))
        assert "1000 of 1000" == sight.page.locator("#count").inner_text()
        assert 1_000 == shown(sight.page)
        sight.page.fill("#find", "cards/r998")
        assert 1 == shown(sight.page)
        assert "1 of 1000" == sight.page.locator("#count").inner_text()


def test_tiles_filter_and_folds_work_by_keyboard(
    browser: Browser, report: Callable[[str], str]
) -> None:
    """Tab reaches the tiles, arrows choose one; Tab reaches the filter, which counts; Enter opens a
    part.
    """
    with seen(browser) as sight:
        page = sight.page
        page.goto(report("everything"))
        assert 8 == shown(page)
        page.focus("#show-all")
        page.keyboard.press("ArrowRight")
        assert (True, 2) == (page.locator("#show-delete").is_checked(), shown(page))
        assert "2 of 8" == page.locator("#count").inner_text()
        page.keyboard.press("Tab")
        page.keyboard.type("FAX general")
        assert (1, "1 of 8") == (shown(page), page.locator("#count").inner_text())
        page.keyboard.press("Control+a")
        page.keyboard.press("Delete")
        assert 2 == shown(page)
        page.locator("summary", has_text="1 further note").focus()
        page.keyboard.press("Enter")
        assert page.evaluate("document.activeElement.parentElement.open")


def test_tab_reaches_every_control(
    browser: Browser, report: Callable[[str], str]
) -> None:
    """Links, the chosen tile, the filter and collapsed parts: no more and no less."""
    with seen(browser) as sight:
        page = sight.page
        page.goto(report("everything"))
        expected = page.locator("a, summary, #show-all, #find").evaluate_all(
            "all => all.filter(one => one.checkVisibility()).length"
        )
        for _ in range(expected):
            page.keyboard.press("Tab")
            page.evaluate("document.activeElement.dataset.reached = 'yes'")
        assert expected == page.locator("[data-reached]").count()


def test_without_scripts_the_tiles_work(
    browser: Browser, report: Callable[[str], str]
) -> None:
    """Tiles and collapsed parts need no script; the filter, which would do nothing, is hidden."""
    with seen(browser, java_script_enabled=False) as sight:
        page = sight.page
        page.goto(report("everything"))
        changes = page.locator(".change")
        assert not page.locator("#find").is_visible()
        for kind, count in (
            ("delete", 2),
            ("update", 3),
            ("adopt", 1),
            ("create", 1),
            ("held", 1),
            ("all", 8),
        ):
            page.locator(f"label:has(#show-{kind})").click()
            assert count == sum(
                changes.nth(n).is_visible() for n in range(changes.count())
            )
        fold = page.locator("details", has_text="1 further note")
        assert not fold.locator("ul").is_visible()
        fold.locator("summary").click()
        assert fold.locator("ul").is_visible()
    assert [] == sight.noise


def test_a_thousand_changes_open_smoothly(
    browser: Browser, report: Callable[[str], str]
) -> None:
    """At most two seconds of the page's thread, measured by its processor time; the filter takes at
    most one.
    """
    with seen(browser) as sight:
        page = sight.page
        worked = thread_clock(page)
        page.goto(report("1000"))
        opened = worked()
        assert 0 < opened < 2
        page.fill("#find", "queue 12")
        assert 0 < shown(page) < 1_000
        assert 0 < worked() - opened < 1


def test_a_printed_page_has_everything(
    browser: Browser, report: Callable[[str], str]
) -> None:
    """In print, collapsed parts are open, and controls for a screen are hidden."""
    with seen(browser) as sight:
        page = sight.page
        page.goto(report("everything"))
        page.emulate_media(media="print")
        assert page.locator("details ul").first.is_visible()
        assert not page.locator(".tiles").is_visible()
        assert 8 == shown(page)
