"""The real Chromium of this machine, with axe-core and Mermaid."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from playwright.sync_api import Browser, Dialog, Page, sync_playwright

MODULES: Final = Path(__file__).parent / "node_modules"
AXE: Final = MODULES / "axe-core" / "axe.min.js"
MERMAID: Final = MODULES / "mermaid" / "dist" / "mermaid.min.js"
FLAGS: Final = (
    *(
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
    ),
    # /dev/shm is small in containers
    *(
        "--disable-component-update",
        "--disable-sync",
        "--disable-dev-shm-usage",
    ),
)
PHONE: Final = 360
"""The width in pixels of a narrow one."""


def missing() -> str:
    """Return what this machine lacks for tests in a browser, or an empty text."""
    if shutil.which("chromium") is None:
        return "there is no chromium on the path (Debian, Ubuntu: apt-get install chromium)"
    if not AXE.exists() or not MERMAID.exists():
        return "axe-core and mermaid are not here (make browser)"
    return ""


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start the browser."""
    with sync_playwright() as play:
        browser = play.chromium.launch(
            executable_path=shutil.which("chromium"), args=list(FLAGS)
        )
        yield browser
        browser.close()


@dataclass
class Sight:
    """A page and its actions: its requests, prints, errors and dialogs."""

    page: Page
    asked: list[str] = field(default_factory=list)
    noise: list[str] = field(default_factory=list)

    def dismiss(self, dialog: Dialog) -> None:
        """Close a dialog, which would otherwise wait forever, and record it."""
        self.noise.append(f"dialog: {dialog.message}")
        dialog.dismiss()


def thread_clock(page: Page) -> Callable[[], float]:
    """Return a function that returns the processor seconds of the page's thread, whatever else the
    machine does.
    """
    tools = page.context.new_cdp_session(page)
    tools.send("Performance.enable", {"timeDomain": "threadTicks"})

    def seconds() -> float:
        metrics = tools.send("Performance.getMetrics")["metrics"]
        return float(
            next(
                metric["value"]
                for metric in metrics
                if metric["name"] == "TaskDuration"
            )
        )

    return seconds


@contextmanager
def seen(browser: Browser, **how: Any) -> Iterator[Sight]:
    """Open a page and record its actions; `how` has the browser settings of the user."""
    context = browser.new_context(**how)
    sight = Sight(context.new_page())
    sight.page.on("request", lambda request: sight.asked.append(request.url))
    sight.page.on(
        "console", lambda text: sight.noise.append(f"console {text.type}: {text.text}")
    )
    sight.page.on("pageerror", lambda error: sight.noise.append(f"error: {error}"))
    sight.page.on("dialog", sight.dismiss)
    sight.page.on(
        "popup", lambda candidate: sight.noise.append(f"popup: {candidate.url}")
    )
    yield sight
    context.close()


def violations(page: Page) -> list[str]:
    """Return the violations that axe-core finds in the page, including collapsed and lazily drawn
    parts.
    """
    page.evaluate(
        "document.querySelectorAll('details').forEach(one => { one.open = true })"
    )
    page.evaluate(
        "document.querySelectorAll('.change').forEach(one => { one.style.contentVisibility = "
        "'visible' })"
    )
    page.evaluate(AXE.read_text(encoding="utf-8"))
    actual = page.evaluate(
        "axe.run({resultTypes: ['violations']}).then(result => result.violations)"
    )
    return [
        f"{item['id']}: {item['nodes'][0]['html'][:200]} {item['nodes'][0]['failureSummary']}"
        for item in actual
    ]
