"""Draws the views of a plan into .github: report and comment, and the page to try conversations,
also on a phone.
"""

from __future__ import annotations

import re
import tempfile
from pathlib import Path
from typing import Final

from cmarkgfm import github_flavored_markdown_to_html  # type: ignore[import-untyped]
from cmarkgfm.cmark import Options  # type: ignore[import-untyped]
from playwright.sync_api import Browser, FloatRect, Page

from reconciler.features.practice.command_demo import SMALL_CHANGE
from tests.browser.machine import MERMAID, chromium, missing, seen
from tests.support.bank_review import review

INTO: Final = Path(__file__).resolve().parents[2] / ".github"
EXPLORED: Final = "#intent=pin_blocked&confidence=0.72"
STYLE: Final = """
body{margin:24px auto;max-width:920px;font:14px/1.5 system-ui,sans-serif;color:#1f2328;background:#fff}
main{border:1px solid #d0d7de;border-radius:6px;padding:16px}
h3{font-size:1.25em;margin:0 0 16px}p,ul,table,details{margin:0 0 16px}
table{border-collapse:collapse;display:block;overflow:auto}
th,td{border:1px solid #d0d7de;padding:6px 13px}th{font-weight:600}
tr:nth-child(even) td{background:#f6f8fa}a{color:#0969da;text-decoration:none}ul{padding-left:2em}sub{font-size:75%}
code{font:85% ui-monospace,monospace;background:#eff1f3;border-radius:6px;padding:.2em .4em}
pre{background:#f6f8fa;border-radius:6px;padding:16px;overflow:auto}pre code{background:none;padding:0}
blockquote{margin:0 0 16px;padding:8px 16px;border-left:4px solid #d0d7de}blockquote :last-child{margin-bottom:0}
.NOTE{border-color:#0969da}.WARNING{border-color:#9a6700}.CAUTION{border-color:#cf222e}
.NOTE b{color:#0969da}.WARNING b{color:#9a6700}.CAUTION b{color:#cf222e}
"""


def render_comment(markdown: str) -> str:
    """Return a page with a comment as on GitHub: its parser's HTML, its coloured boxes, a similar
    style.
    """
    printed = github_flavored_markdown_to_html(
        markdown, options=Options.CMARK_OPT_UNSAFE
    )
    printed = re.sub(
        r"<blockquote>\s*<p>\[!(\w+)\]\s*",
        lambda actual: (
            f'<blockquote class="{actual[1]}"><p><b>{actual[1].title()}</b></p><p>'
        ),
        printed,
    )
    printed = re.sub(
        r'<pre lang="mermaid"><code>(.*?)</code></pre>',
        r'<pre class="mermaid">\1</pre>',
        printed,
        flags=re.DOTALL,
    )
    return (
        f"<!DOCTYPE html><html lang=en><meta "
        f"charset=utf-8><style>{STYLE}</style><main>{printed}</main>"
    )


def draw(browser: Browser, files: dict[str, str], into: Path) -> None:
    """Draw all pictures."""
    with tempfile.TemporaryDirectory() as folder:
        report, comment, explore = (
            Path(folder) / f"{name}.html" for name in ("plan", "comment", "explore")
        )
        report.write_text(files["plan.html"], encoding="utf-8")
        explore.write_text(files["explore.html"], encoding="utf-8")
        comment.write_text(render_comment(files["plan.md"]), encoding="utf-8")
        for name, width, height, scheme in (
            ("report-light", 960, 1010, "light"),
            ("report-dark", 960, 1010, "dark"),
            ("report-phone", 390, 1040, "light"),
        ):
            with seen(
                browser,
                viewport={"width": width, "height": height},
                color_scheme=scheme,
            ) as sight:
                sight.page.goto(report.as_uri())
                sight.page.screenshot(path=into / f"{name}.png")
        for name, width, height in (
            ("explore", 960, 1010),
            ("explore-phone", 390, 1500),
        ):
            with seen(browser, viewport={"width": width, "height": height}) as sight:
                sight.page.goto(f"{explore.as_uri()}{EXPLORED}")
                sight.page.screenshot(path=into / f"{name}.png")
        with seen(browser, viewport={"width": 980, "height": 1080}) as sight:
            sight.page.goto(comment.as_uri())
            render_diagram(sight.page)
            sight.page.screenshot(path=into / "comment.png")


def draw_small_comment(browser: Browser, markdown: str, into: Path) -> None:
    """Draw the comment of a small pull request, with its parts closed."""
    with tempfile.TemporaryDirectory() as folder:
        comment = Path(folder) / "comment.html"
        comment.write_text(render_comment(markdown), encoding="utf-8")
        with seen(browser, viewport={"width": 980, "height": 400}) as sight:
            sight.page.goto(comment.as_uri())
            closed = sight.page.locator("details").first.bounding_box()
            assert closed is not None
            shown: FloatRect = {"x": 0, "y": 0, "width": 980, "height": closed["y"]}
            sight.page.screenshot(
                path=into / "comment-small.png", full_page=True, clip=shown
            )


def render_diagram(page: Page) -> None:
    """Draw the map as on GitHub, and open its folded block."""
    page.add_script_tag(path=MERMAID)
    page.evaluate(
        "document.querySelectorAll('details:has(.mermaid)').forEach(one => { one.open = true })"
    )
    page.evaluate(
        "mermaid.initialize({startOnLoad: false, securityLevel: 'strict'}); mermaid.run()"
    )
    page.wait_for_selector(".mermaid svg")


if __name__ == "__main__":
    if missing():
        raise SystemExit(f"pictures: {missing()}")
    # before the browser, which has an event loop
    made = review()
    small = review(SMALL_CHANGE)
    with chromium() as found:
        draw(found, made, INTO)
        draw_small_comment(found, small["plan.md"], INTO)
