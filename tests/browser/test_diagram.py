"""The comment's map in the real Mermaid: it is accepted, drawn, and shows the text of every
label.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from reconciler.core.plan.stages import Plan
from reconciler.render.routing_map import (
    build_routing_map,
    drawn_lanes,
    label,
    render_mermaid,
)
from tests.browser.machine import MERMAID, Sight, seen
from tests.support.hostile_names import HOSTILE_NAMES, MARKDOWN_NAMES
from tests.support.plans import (
    hostile_plan,
    large_plan,
    plan_of_everything,
    plan_with_names,
)

NAMES = HOSTILE_NAMES | MARKDOWN_NAMES
DRAW = """
async text => {
  await mermaid.parse(text);
  const {svg} = await mermaid.render('drawing', text);
  document.body.innerHTML = svg;
  return [...document.querySelectorAll('.node')].map(one => one.textContent);
}
"""


@pytest.fixture(scope="module")
def sight(browser: Browser) -> Iterator[Sight]:
    """A page with Mermaid, set up as strictly as GitHub does."""
    with seen(browser) as actual:
        actual.page.set_content("<!DOCTYPE html><title>map</title>")
        actual.page.add_script_tag(path=MERMAID)
        actual.page.evaluate(
            "mermaid.initialize({startOnLoad: false, securityLevel: 'strict'})"
        )
        yield actual


def drawn(sight: Sight, made: Plan) -> list[str]:
    """Return the labels in the drawing."""
    return list(
        map(
            squeezed,
            sight.page.evaluate(
                DRAW, render_mermaid(drawn_lanes(build_routing_map(made)))
            ),
        )
    )


def meant(made: Plan) -> list[str]:
    """Return the labels in the text, read by Mermaid's manual: `#35;` is a character's number."""
    actual = re.findall(
        r'"([^"]+)"', render_mermaid(drawn_lanes(build_routing_map(made)))
    )
    return [
        squeezed(re.sub(r"#(\d+);", lambda item: chr(int(item[1])), text))
        for text in actual
    ]


def squeezed(text: str) -> str:
    return " ".join(text.split())


@pytest.mark.parametrize(
    "made",
    [
        plan_of_everything(),
        large_plan(60),
        large_plan(1_000),
        plan_with_names(NAMES.values()),
    ],
    ids=lambda _: "plan",
)
def test_a_map_is_drawn_with_all_labels(made: Plan, sight: Sight) -> None:
    """Every node has its label's text, and no other."""
    assert sorted(meant(made)) == sorted(drawn(sight, made))
    assert [] == sight.noise


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_a_hostile_label_is_text(name: str, sight: Sight) -> None:
    """Any name is shown as text: no markup, no link, no error, no dialog."""
    created = hostile_plan(name)
    assert sorted(meant(created)) == sorted(drawn(sight, created))
    assert (
        0
        == sight.page.locator(
            "svg a, svg img, svg script, svg [onclick], svg [onerror]"
        ).count()
    )
    assert [] == sight.noise


def test_a_label_shows_special_signs(sight: Sight) -> None:
    """Signs with a meaning in Mermaid are shown unchanged."""
    text = '1. "a" -> [b] #35; & <i>c</i> `d` {e} |f| %% g'
    printed = sight.page.evaluate(DRAW, f'flowchart LR\n  a["{label(text)}"]\n')
    assert [squeezed(text)] == list(map(squeezed, printed))
