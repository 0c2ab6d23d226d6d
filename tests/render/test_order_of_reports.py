"""The comment and the page of a plan: every edit, row and note once, no condition dropped, and the
verdict first.
"""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest

from reconciler.core.behaviour.diff.difference import compare_behaviour
from reconciler.core.behaviour.diff.effects import EditSet
from reconciler.core.model.finding import Finding
from reconciler.core.model.rule import Source
from reconciler.core.plan.edits import edits_of_lists
from reconciler.core.plan.guards import check_guards
from reconciler.core.plan.impact import Impact
from reconciler.core.plan.words import ALL_VALUES, row_phrases
from reconciler.core.text.phrases import Labels, conversation_phrase
from reconciler.render.effects import EffectsSummary, summarize_effects
from reconciler.render.html import render_html
from reconciler.render.markdown import plan as comment
from reconciler.render.markdown.plan import DETAIL_LEVELS, WANTED_BYTES, render_markdown
from reconciler.render.refusals import group_failed_tests, next_step
from reconciler.render.summary import PlanSummary
from tests.support.brute_force_checks import QUEUES
from tests.support.effect_tables import plain, read_tables, told_tables
from tests.support.grown_pairs import generate_pair
from tests.support.parsed_html import Page, parse_as_github, parse_html
from tests.support.plans import (
    FACTS,
    assessed_plan,
    environment,
    hostile_plan,
    large_plan,
    plan_of_everything,
    plan_of_many,
    summary_of,
)
from tests.support.random_rules import RulePair, a_pair, entries
from tests.tiers import size

LABELS = Labels({"intent": "intent", "conf": "confidence"})
PAIRS = size(fast=12, slow=60, full=300)
EVERYTHING = replace(DETAIL_LEVELS[0], rows=10**6, wanted=10**9, max_row=10**6)
PARTS = (
    "What apply will refuse",
    "What changes for callers",
    "What else changes",
    "How to go on",
    "Changed rules",
)
SEEDS = pytest.mark.parametrize("seed", range(PAIRS))


def impact_of_pair(pair: RulePair) -> Impact:
    old = entries(pair.old)
    new = entries(pair.new)
    edits = edits_of_lists(old, new, LABELS, words="plan")
    change = compare_behaviour(
        old, new, pair.evaluation, edited=EditSet([edited.edit for edited in edits])
    )
    return Impact(change, edits)


def with_effects(effects: EffectsSummary) -> PlanSummary:
    """A plan with refusals, held changes, lifted guards and these effects."""
    return replace(summary_of(plan_of_everything())[0], effects=effects)


def written(summary: PlanSummary, monkeypatch: pytest.MonkeyPatch) -> Page:
    """Return the comment without limits."""
    monkeypatch.setattr(comment, "DETAIL_LEVELS", (EVERYTHING,))
    return parse_as_github(
        render_markdown(summary, [], FACTS, characters=10**9, size=10**9)
    )


@pytest.mark.fast_cases(12)
@pytest.mark.generated
@SEEDS
def test_every_edit_row_and_note_stands_once(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The table of the comment and that of the page are the summary's, row by row, for random edits
    of rules.
    """
    random = Random(f"reports {seed}")
    pair = (generate_pair if seed % 2 else a_pair)(random)
    impact = impact_of_pair(pair)
    effects = summarize_effects(impact, QUEUES, LABELS)
    summary = with_effects(effects)
    assert told_tables(effects, short=True) == read_tables(
        written(summary, monkeypatch)
    )
    assert told_tables(effects, short=False) == read_tables(
        parse_html(render_html(summary, FACTS))
    )


@pytest.mark.generated
@pytest.mark.fast_cases(6)
@SEEDS
def test_no_condition_is_dropped(seed: int) -> None:
    """The closed part of a row on the page has every condition, with all values of each list."""
    impact = impact_of_pair(generate_pair(Random(f"conditions {seed}")))
    effects = summarize_effects(impact, QUEUES, LABELS)
    page = parse_html(render_html(with_effects(effects), FACTS))
    cells = [
        plain(row[0])
        for table in page.rows()
        if table[0][0] == "Callers"
        for row in table[1:]
        if len(row) > 1
    ]

    output = [
        row
        for effect in impact.behaviour.effects
        for row in effect.rows
        if not row.other_type
    ]
    assert len(output) == len(cells)
    closed = [cell.split("example", 1)[1] for cell in cells]
    for row in output:
        example = conversation_phrase(
            row.example.attributes, LABELS, row.example.absent
        )
        ending = plain(f"For example: {example}")
        phrases = [plain(text) for text in row_phrases(row, LABELS, ALL_VALUES)]
        having = [
            cell
            for cell in closed
            if cell.endswith(ending) and all(text in cell for text in phrases)
        ]
        assert having, phrases


def test_the_verdict_is_first() -> None:
    """Headline, refusals, effects, what else changes, how to go on: in the comment and on the
    page.
    """
    summary = full_summary()
    effects = summary.effects
    assert effects is not None
    output = [
        effects.headline,
        summary.failed_tests[0].message,
        summary.broken_promises[0].message,
        summary.refusals[0].message,
        effects.effects[0].edits[0],
        effects.closing,
        effects.quiet,
        summary.lifted_guards[0].message,
        next_step(summary),
    ]
    page = parse_html(render_html(summary, FACTS))
    for text in (
        parse_as_github(render_markdown(summary, [], FACTS)).texts,
        page.texts,
    ):
        complete = plain(
            "".join(
                part.text for part in text if not {"style", "script"} & set(part.inside)
            )
        )
        places = [complete.find(plain(sentence)) for sentence in output]
        assert sorted(places) == places
        assert -1 not in places


def full_summary() -> PlanSummary:
    """A summary with each kind of refusal."""
    summary = summary_of(plan_of_everything())[0]
    source = Source("manifests/tests/a.yaml", 3, 1)
    test = Finding(
        code="CXR220",
        severity="error",
        message='expected "Fraud", but goes to "Cards" by rule cards/lost (manifests/cards.yaml:4)',
        source=source,
        hint="why: cxroute explain -e prod --intent lost",
    )
    promise = Finding(
        code="CXR221",
        severity="error",
        message='promise "lost cards" is broken for intent "lost"',
    )
    return replace(summary, failed_tests=(test,), broken_promises=(promise,))


def test_the_page_lists_its_parts_first() -> None:
    """Before the first section there is a link to each part, in order; a part with refusals is
    marked.
    """
    page = parse_html(render_html(full_summary(), FACTS))
    links = [link for link in page.all("a") if str(link["href"]).startswith("#")]
    titles = page.text_inside("nav")
    assert ["#refused", "#who", "#others", "#next", "#rules", "#notes"] == [
        link["href"] for link in links
    ]
    assert sorted(map(titles.index, PARTS)) == [titles.index(title) for title in PARTS]
    assert ["bad", None, None, None, None, None] == [
        link.get("class") for link in links
    ]
    assert page.shape.index("nav") < page.shape.index("section")
    assert [*PARTS, "Warnings and notes"] == [
        next(
            title for title in [*PARTS, "Warnings and notes"] if text.startswith(title)
        )
        for text in [
            part.text
            for part in page.texts
            if "h2" in part.inside and "small" not in part.inside
        ]
    ]


def test_failed_tests_are_grouped_by_their_rule() -> None:
    """Three groups are shown in a comment, others are counted; the page has each test."""
    tests = [
        failed_test(number, rule=number % 5, queue=number % 2) for number in range(20)
    ]
    groups = group_failed_tests(tests)
    assert 10 == len(groups)
    assert sorted(map(id, tests)) == sorted(
        id(test) for group in groups for test in group.tests
    )
    assert groups[0].message.startswith(
        '2 route tests: expected "Fraud", but goes to "Queue 0" by rule cards/r0'
    )

    summary = replace(full_summary(), failed_tests=tuple(tests))
    text = "".join(
        parse_as_github(render_markdown(summary, [], FACTS)).texts_outside("pre")
    )
    assert 3 == text.count("2 route tests: expected")
    assert "and 14 further tests" in text
    page = parse_html(render_html(summary, FACTS)).text_inside("section")
    assert all(f"manifests/tests/a.yaml:{number + 1}" in page for number in range(20))


def failed_test(number: int, rule: int, queue: int) -> Finding:
    return Finding(
        code="CXR220",
        severity="error",
        message=f'expected "Fraud", but goes to "Queue {queue}" by rule cards/r{rule} (manifests/cards.yaml:{rule})',
        source=Source("manifests/tests/a.yaml", number + 1, 1),
    )


def test_different_expectations_of_one_rule_are_counted() -> None:
    """A group says how many tests expect which queue; a name with `, but ` in it is not divided."""
    route = 'goes to "Cards" by rule cards/r0'
    texts = [
        f'expected "A, but B", but {route}',
        f'expected "C", but {route}',
        f'expected "C", but {route}',
    ]
    findings = [
        Finding(code="CXR220", severity="error", message=text) for text in texts
    ]
    (group,) = group_failed_tests(findings)
    assert (
        f'3 route tests: expected "A, but B" (1 test) or "C" (2 tests), but {route}'
        == group.message
    )


def test_a_failed_test_of_another_form_stands_alone() -> None:
    """A message without the two halves is shown as it is."""
    finding = Finding(
        code="CXR220", severity="error", message="the destination is unknown"
    )
    assert [("the destination is unknown", 1)] * 2 == [
        (group.message, len(group.tests))
        for group in group_failed_tests([finding, finding])
    ]


def test_each_broken_promise_has_its_example() -> None:
    """The guard's own sentence, which has the first example alone, is left out."""
    summary = full_summary()
    promises = tuple(
        Finding(
            code="CXR221",
            severity="error",
            message=f'promise "p{number}" is broken for intent "i{number}"',
        )
        for number in range(7)
    )
    guard = summary.refusals[0]._replace(
        name="promises", message="7 promises are not kept"
    )
    summary = replace(
        summary, broken_promises=promises, refusals=(*summary.refusals, guard)
    )
    text = "".join(
        parse_as_github(render_markdown(summary, [], FACTS)).texts_outside("pre")
    )
    assert all(
        f"promise p{number} is broken for intent i{number}" in text
        for number in range(5)
    )
    assert "and 2 further promises" in text
    assert "not kept" not in text
    page = parse_html(render_html(summary, FACTS)).text_inside("section")
    assert all(
        f"promise p{number} is broken for intent i{number}" in page
        for number in range(7)
    )
    assert "not kept" not in page


@pytest.mark.parametrize("count", [1, 5, 30])
def test_a_comment_of_up_to_thirty_edits_is_short(count: int) -> None:
    """Below 12 KB, with nothing but closed parts after the line that says how to go on."""
    text = render_markdown(*summary_of(large_plan(count)))
    assert len(text.encode()) < WANTED_BYTES
    rest = (
        text.partition("how to go on")[2]
        or text.partition("Nothing has been changed")[2]
    )
    assert "\n|" not in outside_details(rest)


def outside_details(text: str) -> str:
    """Return Markdown without its closed parts."""
    pieces = [piece.rpartition("</details>")[2] for piece in text.split("<details>")]
    return "".join(pieces)


def test_examples_and_the_map_are_closed() -> None:
    """No example and no diagram is visible before a part is opened."""
    for plan in (plan_of_everything(), plan_of_many(), hostile_plan("Billing")):
        text = outside_details(render_markdown(*summary_of(plan)))
        assert "for example" not in text
        assert "mermaid" not in text
        assert "```" not in text


def test_nothing_to_do_asks_for_nothing() -> None:
    """Without changes the comment and the page name no next step."""
    plan = check_guards(assessed_plan([], []), environment())
    summary = summary_of(plan)[0]
    assert not next_step(summary)
    assert "merge" not in render_markdown(summary, [], FACTS)
    assert "Nothing is to be done." in parse_html(
        render_html(summary, FACTS)
    ).text_inside("section")
