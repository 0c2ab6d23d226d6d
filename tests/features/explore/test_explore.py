"""The page of `cxroute explore`, as an HTML parser reads it: the intended elements, for all names;
and its data.
"""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections import Counter
from dataclasses import replace
from functools import cache
from hashlib import sha256
from random import Random
from typing import Any

import pytest

from reconciler.core.behaviour.diff.promises import Promise
from reconciler.core.behaviour.endpoint_stage import FallbackPolicy
from reconciler.core.behaviour.routing_entry import RoutingEntry, order_entries
from reconciler.core.desired.expand_promises import StatedPromise
from reconciler.core.model.finding import Finding
from reconciler.core.model.rule import Target, make_condition, make_opaque
from reconciler.core.plan.assess import assess
from reconciler.core.plan.guards import check_guards
from reconciler.core.plan.promises import run_promises
from reconciler.core.plan.traffic_shares import ShareRange, rule_shares
from reconciler.core.text.phrases import Labels
from reconciler.core.traffic.sample import SampleRow, TrafficSample
from reconciler.features.explore.page import (
    ExplorePage,
    build_plan_sides,
    explore_data,
    fragment_of,
)
from tests.support.builders import intent_is, rule, wanted
from tests.support.explore_pages import (
    CONFIDENCE,
    INTENT,
    QUEUES,
    a_page,
    a_value,
    bank_page,
    explained,
    hostile_page,
    html_of,
    large_page,
    page_of,
    two_sides_page,
)
from tests.support.hostile_names import (
    CONTROL_CHARACTERS,
    HOSTILE_NAMES,
    MARKDOWN_NAMES,
)
from tests.support.parsed_html import Page, parse_html
from tests.support.plans import ORIGIN, assessed_plan, environment, plan_of_everything

NAMES = pytest.mark.parametrize(
    "name",
    (HOSTILE_NAMES | MARKDOWN_NAMES).values(),
    ids=HOSTILE_NAMES | MARKDOWN_NAMES,
)


@cache
def of(name: str) -> Page:
    return parse_html(html_of(hostile_page([name, "plain"])))


def shape(read: Page) -> list[str]:
    """Return the elements without values, whose number depends on a name."""
    return [tag for tag in read.shape if tag.strip("/") != "code"]


@pytest.mark.fast_cases(4)
@NAMES
def test_a_name_changes_only_text(name: str) -> None:
    """The elements are those of a plain name, each of them closed; no name becomes an attribute."""
    read = of(name)
    assert shape(of("Billing")) == shape(read)
    assert [] == read.unclosed
    assert [] == read.comments
    assert set() == {
        key
        for _, attributes in read.tags
        for key in attributes
        if key.startswith("on") or key == "style"
    }
    assert not CONTROL_CHARACTERS.search(html_of(hostile_page([name, "plain"])))


@pytest.mark.fast_cases(12)
@NAMES
def test_the_page_is_self_contained(name: str) -> None:
    """No element loads anything; links lead to the page itself; the policy allows only its own
    style and script.
    """
    read = of(name)
    loading = {
        "img",
        "link",
        "iframe",
        "object",
        "embed",
        "base",
        "form",
        "audio",
        "video",
        "source",
    }
    assert set() == loading & {tag for tag, _ in read.tags}
    assert [] == [
        link for link in read.all("a") if not str(link["href"]).startswith("#view=")
    ]
    html = html_of(hostile_page([name, "plain"]))
    for element, pattern in (
        ("style", "<style>(.*?)</style>"),
        ("script", "<script>(.*?)</script>"),
    ):
        (content,) = re.findall(pattern, html, re.DOTALL)
        digest = b64encode(sha256(content.encode()).digest()).decode()
        assert f"{element}-src 'sha256-{digest}'" in str(read.all("meta")[1]["content"])
    assert 2 == len(read.all("script"))


@pytest.mark.fast_cases(12)
@NAMES
def test_the_data_have_each_name_exactly(name: str) -> None:
    """The script's JSON is ASCII without markup, and has names, values and attributes unchanged."""
    html = html_of(hostile_page([name, "plain"]))
    (text,) = re.findall(
        '<script type="application/json" id="data">(.*?)</script>', html
    )
    assert text.isascii()
    assert "<" not in text
    data = json.loads(text)
    assert name == data["rules"][0][0]
    assert [name] == [
        value for _, operator, value in data["conditions"] if operator == "equals"
    ][:1]
    assert f"{name}a" in dict(data["attributes"])
    assert all(
        not link or link.startswith(f"{ORIGIN.repository}/blob/")
        for _, link in data["files"]
    )


@pytest.mark.fast_cases(1)
@pytest.mark.parametrize("build", [bank_page, two_sides_page, lambda: page_of([])])
def test_ids_are_unique_and_labels_refer_to_an_element(build: Any) -> None:
    """A screen reader can follow each reference."""
    read = parse_html(html_of(build()))
    ids = [attributes["id"] for _, attributes in read.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    keys = ("aria-labelledby", "for", "list")
    wanted = {
        word
        for _, each in read.tags
        for key in keys
        for word in str(each.get(key) or "").split()
    }
    assert set() == wanted - set(ids)


def test_the_table_has_every_rule_in_order() -> None:
    """Priority, conditions by attribute, queues, shares and place; an unknown condition has a
    column of its own.
    """
    read = parse_html(html_of(bank_page()))
    rows = read.rows()[0]
    heads = [
        "Rule",
        "Priority",
        "intent",
        "confidence",
        "customer tier",
        "language",
        "transfer amount",
    ]
    assert [*heads, "Queue", "Share of callers", "File"] == rows[0]
    assert 70 == len(rows)
    assert [10.0, 900.0] == [float(rows[1][1]), float(rows[-1][1])]
    unknown = make_opaque({"type": "schedule"})
    listed = [
        RoutingEntry(
            name="x",
            rule=rule(
                "x",
                conditions=[
                    unknown,
                    make_condition(INTENT, "notEquals", "a"),
                    make_condition(INTENT, "notEquals", "b"),
                ],
                enabled=False,
                targets=[Target("A", 1), Target("B", 3)],
            ),
        )
    ]
    (row,) = parse_html(html_of(page_of(listed))).rows()[0][1:]
    name, priority, intent, opaque, queue, place = row
    assert (
        '"x" (switched off, not managed)',
        "100",
        '75 % "Desk B", 25 % "A"',
        "",
    ) == (name, priority, queue, place)
    assert ('is not "a" and is not "b"', '{"type":"schedule"}') == (intent, opaque)


def test_labels_stand_in_the_table_and_names_in_the_data() -> None:
    """People read labels; the script returns names."""
    listed = [
        RoutingEntry(
            name="x", rule=rule("x", conditions=[make_condition("tier", "equals", "g")])
        )
    ]
    page = page_of(
        listed,
        labels=Labels(
            {INTENT: "intent"}, {("tier",): "Customer tier", ("tier", "g"): "Gold"}
        ),
    )
    (heads, row) = parse_html(html_of(page)).rows()[0]
    assert ("Customer tier", 'is "Gold"') == (heads[2], row[2])
    assert [[0, "equals", "g"]] == explore_data(page)["conditions"]


def test_groups_stand_in_the_table_and_values_in_the_data() -> None:
    """A cell with all values of a group has its name; the script gets the values of each group, for
    the search.
    """
    listed = [
        RoutingEntry(
            name="x",
            rule=rule("x", conditions=[make_condition("tier", "in", ["g", "p", "s"])]),
        )
    ]
    groups = {"tier": {"Best": frozenset({"p", "g"})}}
    page = page_of(
        listed, labels=Labels({INTENT: "intent"}, {("tier", "s"): "Silver"}, groups)
    )
    (_, row) = parse_html(html_of(page)).rows()[0]
    assert 'is one of "Best", "Silver"' == row[2]
    data = explore_data(page)
    assert [[0, "in", ["g", "p", "s"]]] == data["conditions"]
    assert [["tier", "Best", ["g", "p"]]] == data["groups"]


@pytest.mark.slow
def test_ten_thousand_rules_fit() -> None:
    """In 3 MB, with links and shares."""
    assert len(html_of(large_page(10_000)).encode()) <= 3_000_000


def test_each_side_has_its_rules_and_promises() -> None:
    """A rule of one side says so."""
    text = html_of(two_sides_page())
    assert 2 == text.count("(only today)")
    assert 2 == text.count("(only after this change)")
    assert 1 == text.count('<th scope="row">&#34;by hand&#34;')


def test_each_side_has_its_endpoint() -> None:
    """Under --base, the rules today are behind the endpoint before the change."""
    created = assessed_plan([wanted("cards/vip", rule())], [])
    created = replace(
        created,
        options=replace(
            created.options,
            base_fallback=FallbackPolicy("none", 0.5, frozenset({"vip"})),
        ),
    )
    sides = build_plan_sides(created)
    data = explore_data(
        ExplorePage(desired=created.desired, queues=created.queue_names, sides=sides)
    )
    assert [("none", 0.5, ["vip"]), (None, 0.0, [])] == [
        (side["fallback"], side["minConfidence"], side["known"])
        for side in data["sides"]
    ]


def test_a_broken_promise_has_an_example_to_try() -> None:
    """With its route; a promise that holds has none, and one that is about nothing says so."""
    listed = [
        RoutingEntry(
            name="x",
            rule=rule("x", conditions=[make_condition(INTENT, "equals", "lost")]),
        )
    ]
    never = Promise(
        conditions=(make_condition(INTENT, "equals", "lost"),), always=frozenset({"B"})
    )
    holds = Promise(
        conditions=(make_condition(INTENT, "equals", "lost"),),
        always=frozenset({"q-cards"}),
    )
    empty = Promise(
        conditions=(make_condition(INTENT, "in", []),), always=frozenset({"B"})
    )
    finding = Finding(code="CXR221", severity="error", message="")
    promises = tuple(
        StatedPromise(
            document="safety",
            name=name,
            promise=each,
            finding=finding,
            requirement='only "B"',
        )
        for name, each in (("never", never), ("holds", holds), ("empty", empty))
    )
    read = parse_html(
        html_of(page_of(listed, queues={"q-cards": "Cards"}, promises=promises))
    )
    _, broken, retained, nothing = read.rows()[1]
    assert [
        "never",
        "broken for intent lost: goes to Cards by rule x try it",
        "intent is lost",
        "only B",
    ] == broken
    assert ("holds", "about no conversation") == (retained[1], nothing[1])
    assert "#view=try&side=0&intent=lost" in [link["href"] for link in read.all("a")]


def test_a_fragment_has_each_attribute_once() -> None:
    """Texts that look like numbers are in quotes, and signs of an address are escaped."""
    endpoint = bank_page().desired.endpoint
    assert "#view=try&side=1&intent=a%20%26%3Cb&confidence=0.5" == fragment_of(
        {endpoint.intent: "a &<b", endpoint.confidence: 0.5}, endpoint, 1
    )
    assert "attr=a%253Db%3D%2210%22&attr=n%3D10&attr=e%3D%22%22" in fragment_of(
        {"a=b": "10", "n": 10, "e": ""}, endpoint, 0
    )


@pytest.mark.slow
def test_shares_of_rules_hold_for_every_completion_of_the_sample() -> None:
    """Each conversation of a sample is completed at random: a rule's share is inside its range, and
    so is a queue's.
    """
    random = Random(5)
    for _ in range(150):
        page = a_page(random)
        entries = page.sides[0].entries
        values = [
            {INTENT: text_value(random), CONFIDENCE: random.choice((0.5, 0.7, None, 1))}
            for _ in range(6)
        ]
        rows = tuple(
            SampleRow(
                {**each, **({"any": None} if random.random() < 0.5 else {})}, at + 1, at
            )
            for at, each in enumerate(values)
        )
        total = sum(row.count for row in rows)
        sample = TrafficSample(name="x", digest="", period="", rows=rows, total=total)
        direct = replace(
            page,
            sides=(
                replace(
                    page.sides[0],
                    endpoint=replace(page.sides[0].endpoint, context_types={}),
                ),
            ),
        )
        shares = rule_shares(
            entries, replace(page.desired, endpoint=direct.sides[0].endpoint), sample
        )
        for _ in range(4):
            claimed: dict[tuple[str, str] | None, float] = {}
            for row in rows:
                completed = {
                    name: a_value(random, [])
                    for name in ("any", "said", "odd", "face")
                    if name not in row.attributes
                }
                result = explained(direct, {**row.attributes, **completed})
                if result.undecided:
                    break
                key = (result.winner.name, result.winner.id) if result.winner else None
                claimed[key] = claimed.get(key, 0) + 100 * row.count / total
            else:
                for key in {*claimed, *shares.rules}:
                    share = shares.rules.get(key, ShareRange(0, 0))
                    assert (
                        share.least - 1e-9 <= claimed.get(key, 0) <= share.most + 1e-9
                    )
        assert len(order_entries(entries)) >= len([key for key in shares.rules if key])


def text_value(random: Random) -> str | None:
    return random.choice(("a", "b", "ab", "x", "true", "", None))


def test_queues_of_the_tests_have_names() -> None:
    """An unknown queue is named by its id alone."""
    listed = [
        RoutingEntry(
            name="x", rule=rule("x", conditions=[], targets=[Target("gone", 1)])
        )
    ]
    assert "gone" not in QUEUES
    assert "an unknown queue (gone)" in html_of(page_of(listed))


def test_the_list_of_queues_has_the_words_of_the_destinations() -> None:
    """Random pages: known queues, unknown ones, and targets that cxroute does not understand; the
    list of queues has names without quotes.
    """
    kinds = Counter[str]()
    for seed in range(60):
        data = explore_data(a_page(Random(f"queues {seed}")))
        for form, phrase, names in data["destinations"]:
            assert len(form.get("queues", ())) == len(names), phrase
            for name in names:
                assert name in phrase, (name, phrase)
                kinds[name.split("(")[0]] += 1
    assert {
        "an unknown queue ",
        "something that cxroute does not understand ",
        "Desk B",
    } < kinds.keys()


def test_the_sides_of_a_plan_have_its_shares_and_promises() -> None:
    """They are computed once for a plan; those of each side are what its rules alone give."""
    promise = Promise(
        conditions=(intent_is("card_lost"),), always=frozenset({"q-cards"})
    )
    finding = Finding(code="CXR221", severity="error", message="")
    stated = StatedPromise(
        document="safety",
        name="cards",
        promise=promise,
        finding=finding,
        requirement='only "Cards"',
    )
    created = plan_of_everything()
    changes = replace(created, desired=replace(created.desired, promises=(stated,)))
    assert created.impact.traffic
    sample = created.impact.traffic.sample
    created = check_guards(assess(changes, sample), environment())
    assert created.impact.traffic
    today, after = build_plan_sides(created)
    for side in (today, after):
        assert (
            rule_shares(side.entries, created.desired, created.impact.traffic.sample)
            == side.shares
        )
        assert (
            run_promises(created.desired, side.entries, created.queue_names)
            == side.promises
        )
    assert today.shares != after.shares
    assert today.promises != after.promises
