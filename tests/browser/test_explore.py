"""The page of `cxroute explore` in a real browser: its evaluator agrees with Python's, and people
can use it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any, Final

import pytest
from playwright.sync_api import Browser, Page

from reconciler.core.behaviour.endpoint_stage import EndpointStage, store_values
from reconciler.core.behaviour.evaluate import canonical_attributes
from reconciler.core.behaviour.routing_entry import RoutingEntry, destination_of_rule
from reconciler.core.behaviour.space.value_type import ANY_VALUE
from reconciler.core.model.rule import Target, make_condition
from reconciler.core.plan.words import destination_phrase
from reconciler.core.text.escape import quote
from reconciler.core.text.phrases import Labels, condition_phrase
from reconciler.core.traffic.sample import SampleRow, TrafficSample
from reconciler.features.explore.page import (
    ExplorePage,
    evaluator_script,
    explore_data,
    fragment_of,
)
from reconciler.features.explore.tables import encode
from reconciler.render.text.explain import rule_destination
from tests.browser.machine import PHONE, Sight, seen, thread_clock, violations
from tests.support.added_operator import ExtendedPackage
from tests.support.builders import rule
from tests.support.explore_pages import (
    CONFIDENCE,
    INTENT,
    a_compared_page,
    a_page,
    an_event,
    bank_page,
    changed_bank_page,
    document_of,
    explained,
    hostile_change_page,
    hostile_page,
    html_of,
    large_change_page,
    large_page,
    page_of,
    two_sides_page,
)
from tests.support.hostile_names import HOSTILE_NAMES, MARKDOWN_NAMES
from tests.support.plans import ORIGIN
from tests.tiers import FULL

CONVERSATIONS: Final = 100_000 if FULL else 6_000
REASONS: Final = 1_000 if FULL else 150
PER_LIST: Final = 50
HELPERS: Final = """() => {
window.shrunk = value => JSON.parse(JSON.stringify(value, (_name, part) =>
  typeof part === 'bigint' ? {big: String(part)} : part));
window.toEvent = pairs => Object.fromEntries(pairs.map(([name, value]) => [name, evaluator.decode(value)]));
}"""
ROUTE_ALL: Final = """([data, events]) => {
  const router = evaluator.create(JSON.parse(data));
  return JSON.stringify(JSON.parse(events).map(pairs => shrunk(router.route(toEvent(pairs), router.sides[0]))));
}"""
ROUTE: Final = (
    "events => JSON.stringify(JSON.parse(events).map(pairs => "
    "shrunk(window.cxroute.route(toEvent(pairs)))))"
)
RANGES: Final = """([data, events]) => {
  const router = evaluator.create(JSON.parse(data)), side = router.sides[0], name = rule => rule && rule.name;
  return JSON.stringify(JSON.parse(events).map(pairs => {
    const ranges = router.confidenceRanges(evaluator.eventOf(toEvent(pairs)), [side]);
    return ranges && ranges.map(({low, hasLow, high, hasHigh, answers: [{winner, tied, undecided}]}) => (
      {low, hasLow, high, hasHigh, rule: name(winner), tied: tied.map(name),
      undecided: undecided.map(one => name(one.rule))}));
  }));
}"""

MOVES: Final = """([data, events]) => {
  const router = evaluator.create(JSON.parse(data)), name = rule => rule && rule.name;
  return JSON.stringify(JSON.parse(events).map(pairs => {
    const event = evaluator.eventOf(toEvent(pairs)), found = router.effectOf(event);
    const answers = router.sides.map(side => router.explain(side, event));
    const intent = event.get(router.intent), intents = [...router.effects.keys()].flatMap(number =>
      router.effects[number].rows.filter(row => router.mayHaveIntent(row, intent)));
    return {
      winners: answers.map(({winner}) => name(winner)),
      undecided: answers.map(({undecided}) => undecided.map(one => name(one.rule))),
      moved: found && [found.row.before, found.row.after],
      isOffered: Boolean(found && (intent === undefined || intents.includes(found.row)
        || router.effects[found.effect].unwritten.includes(found.row))),
    };
  }));
}"""


@pytest.fixture(scope="module")
def evaluator(browser: Browser) -> Iterator[Sight]:
    """An empty page with the evaluator."""
    with seen(browser) as sight:
        sight.page.add_script_tag(content=evaluator_script())
        sight.page.evaluate(HELPERS)
        yield sight


def encoded(events: list[dict[str, Any]]) -> str:
    return json.dumps(
        [[[name, encode(value)] for name, value in event.items()] for event in events]
    )


def restored(value: Any) -> Any:
    """JSON with the integers that JavaScript marked."""
    if isinstance(value, list):
        return list(map(restored, value))
    if isinstance(value, dict):
        return (
            int(value["big"])
            if value.keys() == {"big"}
            else {name: restored(part) for name, part in value.items()}
        )
    return value


def answers(text: str) -> list[dict[str, Any]]:
    return list(restored(json.loads(text)))


def test_javascript_and_python_route_alike(evaluator: Sight) -> None:
    """Every operator, every type, missing attributes, ties, conditions that are not understood, and
    the endpoint.
    """
    random = Random(1)
    done = 0
    while done < CONVERSATIONS:
        page = a_page(random)
        events = [an_event(random, page) for _ in range(PER_LIST)]
        source_values = [json.dumps(explore_data(page)), encoded(events)]
        actual = answers(evaluator.page.evaluate(ROUTE_ALL, source_values))
        for event, answer in zip(events, actual, strict=True):
            assert document_of(page, event) == answer, event
        done += len(events)
    assert [] == evaluator.noise


def test_the_ranges_of_confidence_are_exact(evaluator: Sight) -> None:
    """Each confidence is in one range, whose answer is that of the analysis; neighbours have
    different answers.
    """
    random = Random(2)
    missing = 0
    for _ in range(2_000 if FULL else 200):
        page = a_page(random)
        events = [{**an_event(random, page), CONFIDENCE: None} for _ in range(5)]
        actual = json.loads(
            evaluator.page.evaluate(
                RANGES, [json.dumps(explore_data(page)), encoded(events)]
            )
        )
        for event, ranges in zip(events, actual, strict=True):
            if ranges is None:
                missing += 1
                continue
            bounds = {item[end] for item in ranges for end in ("low", "high")}
            for value in {
                *bounds,
                *(min(1.0, bound + 1e-12) for bound in bounds),
                *(random.random() for _ in range(5)),
            }:
                (element,) = [each for each in ranges if contains(each, value)]
                result = explained(page, {**event, CONFIDENCE: typed(value)})
                assert element["rule"] == (result.winner and result.winner.name), (
                    event,
                    value,
                )
                assert element["tied"] == [entry.name for entry in result.tied_rules]
                assert element["undecided"] == [
                    each.entry.name for each in result.undecided
                ]
            keys = [(item["rule"], item["tied"], item["undecided"]) for item in ranges]
            assert all(first != second for first, second in pairwise(keys))
    assert missing < 60


def typed(value: float) -> float:
    return int(value) if float(value).is_integer() else value


def contains(part: dict[str, Any], value: float) -> bool:
    above = value >= part["low"] if part["hasLow"] else value > part["low"]
    return bool(
        above and (value <= part["high"] if part["hasHigh"] else value < part["high"])
    )


def test_the_page_gives_the_reasons_of_explain(
    browser: Browser, tmp_path: Path
) -> None:
    """The whole page, with its own data, answers as `explain --format json`."""
    random = Random(3)
    path = tmp_path / "explore.html"
    for _ in range(REASONS // 25):
        page = a_page(random, 12)
        path.write_text(html_of(page), encoding="utf-8")
        events = [an_event(random, page) for _ in range(25)]
        with seen(browser) as sight:
            sight.page.goto(path.as_uri())
            sight.page.evaluate(HELPERS)
            actual = answers(sight.page.evaluate(ROUTE, encoded(events)))
            assert [] == sight.noise
        for event, answer in zip(events, actual, strict=True):
            assert document_of(page, event) == answer, event


def test_an_operator_that_one_record_adds_works_on_the_page(
    browser: Browser, tmp_path: Path
) -> None:
    """The page routes by it as Python does, at its bounds and beside them."""
    package = ExtendedPackage(tmp_path)
    written = package.run(
        "-e", "sandbox", "--no-input", "explore", "--out", "page.html"
    )
    assert written.code == 0, written.text
    with seen(browser) as sight:
        sight.page.goto((package.folder / "page.html").as_uri())
        sight.page.evaluate(HELPERS)
        events = [{"score": score} for score in (0.2, 0.3, 0.5, 0.7, 0.8, "0.9")]
        routes = answers(sight.page.evaluate(ROUTE, encoded([*events, {}])))
        assert [] == sight.noise
    rest = "scores/rest"
    odd = "scores/odd"
    winners = [route["rule"] for route in routes]
    assert winners == [odd, rest, rest, rest, odd, rest, rest]


def test_the_effects_are_what_moves(evaluator: Sight) -> None:
    """For random changes and conversations: both answers are Python's, and the row is there exactly
    if they differ.
    """
    random = Random(5)
    moves = 0
    stays = 0
    for _ in range(1_500 if FULL else 150):
        page = a_compared_page(random)
        assert page.impact is not None
        data = explore_data(page)
        events = [an_event(random, page) for _ in range(20)]
        actual = json.loads(
            evaluator.page.evaluate(MOVES, [json.dumps(data), encoded(events)])
        )
        for event, answer in zip(events, actual, strict=True):
            results = [explained(page, event, side) for side in (0, 1)]
            assert [
                result.winner and result.winner.name for result in results
            ] == answer["winners"], event
            assert [
                [item.entry.name for item in result.undecided] for result in results
            ] == answer["undecided"]
            if any(result.undecided for result in results) or not is_analysed(
                page, event
            ):
                continue
            forms = [rule_destination(result.winner, page.queues) for result in results]
            text = answer["moved"] and [
                data["destinations"][at][0] for at in answer["moved"]
            ]
            if text is None and any(
                operator is None for _, operator, _ in data["conditions"]
            ):
                continue  # the row depends on what the analysis does not understand
            assert (None if forms[0] == forms[1] else forms) == text, (
                event,
                page.impact.edits,
            )
            assert answer["isOffered"] is bool(text), event
            moves += bool(text)
            stays += not text
    assert moves > 100
    assert stays > 100
    assert [] == evaluator.noise


def is_analysed(page: ExplorePage, event: dict[str, Any]) -> bool:
    """Return whether the effects are about a conversation: its values have the known types."""
    endpoint = page.sides[1].endpoint
    stored = {
        name: kind
        for name, kind in endpoint.context_types.items()
        if endpoint.types.get(name) == kind
    }
    for name, value in store_values(stored, canonical_attributes(event)).items():
        kind = endpoint.types.get(name, ANY_VALUE)
        if isinstance(value, str):
            if not kind.texts:
                return False
        elif kind.numbers is None or not kind.numbers[0] <= value <= kind.numbers[1]:
            return False
    return True


def squeezed(text: str) -> str:
    return re.sub(r"\s+", " ", text)


PAGES: Final[dict[str, Callable[[], ExplorePage]]] = {
    "bank": bank_page,
    "odd": lambda: a_page(Random(7), 40),
    "empty": lambda: page_of([]),
    "hostile": lambda: hostile_page([*(HOSTILE_NAMES | MARKDOWN_NAMES).values()]),
    "two sides": two_sides_page,
    "changed bank": changed_bank_page,
    "hostile change": lambda: hostile_change_page(
        [*(HOSTILE_NAMES | MARKDOWN_NAMES).values()]
    ),
}
VIEWS: Final = ("try", "rules", "queues", "promises")
CHANGES: Final = ("two sides", "changed bank", "hostile change")
VIEWS_OF: Final = [
    (name, view)
    for name in PAGES
    for view in (VIEWS if name not in CHANGES else ("changes", *VIEWS))
]


@cache
def written(name: str) -> str:
    return html_of(PAGES[name]())


@pytest.fixture
def address(tmp_path: Path) -> Callable[[str], str]:
    """The address of a page's file."""

    def of(name: str) -> str:
        path = tmp_path / "explore.html"
        path.write_text(written(name), encoding="utf-8")
        return path.as_uri()

    return of


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("name", "view"), VIEWS_OF)
def test_the_page_is_self_contained_and_accessible(
    name: str, view: str, scheme: Any, browser: Browser, address: Callable[[str], str]
) -> None:
    """One request, nothing on the console; axe-core finds nothing, with all parts open; 360 pixels
    suffice.
    """
    with seen(
        browser, color_scheme=scheme, viewport={"width": PHONE, "height": 800}
    ) as sight:
        sight.page.goto(
            f"{address(name)}#view={view}&intent=card_not_working&confidence=0.6"
        )
        actual = violations(sight.page)
        sight.page.wait_for_timeout(100)
        assert PHONE == sight.page.evaluate("document.scrollingElement.scrollWidth")
        assert (
            1
            == len({item.partition("#")[0] for item in sight.asked})
            == len(sight.asked)
        )
    assert ([], []) == (actual, sight.noise)


@pytest.mark.parametrize("kind", ["hostile", "hostile change"])
def test_no_name_becomes_markup(
    kind: str, browser: Browser, address: Callable[[str], str]
) -> None:
    """In no view: the page's own elements alone, and links to places in the page and to the
    repository.
    """
    with seen(browser) as sight:
        page = sight.page
        # Each is a name of the page's rules; a share of them is typed, too.
        for name in (*HOSTILE_NAMES.values(), *MARKDOWN_NAMES.values())[
            :: 1 if FULL else 4
        ]:
            page.goto("about:blank")
            fragment = fragment_of(
                {INTENT: name, CONFIDENCE: 0.5, f"{name}a": name},
                EndpointStage(intent=INTENT),
                0,
            )
            page.goto(address(kind) + fragment)
            for view in (*VIEWS, *(("changes",) if kind in CHANGES else ())):
                page.click(f"[data-view={view}]")
                page.evaluate(
                    "document.querySelectorAll('details').forEach(one => { one.open = true })"
                )
        tags = page.evaluate(
            "[...new Set([...document.body.querySelectorAll('*')].map(one => one.localName))]"
        )
        assert set() == set(tags) & {
            "img",
            "iframe",
            "object",
            "embed",
            "form",
            "svg",
            "style",
            "link",
            "base",
            "video",
        }
        assert 2 == page.locator("script").count()
        links = page.evaluate(
            "[...document.querySelectorAll('a')].map(one => one.getAttribute('href'))"
        )
        assert [] == [
            link
            for link in links
            if not link.startswith(("#", f"{ORIGIN.repository}/blob/"))
        ]
        attributes = "[...document.querySelectorAll('*')].flatMap(one => one.getAttributeNames())"
        assert [] == [
            item
            for item in page.evaluate(attributes)
            if item.startswith("on") or item == "style"
        ]
    assert [] == sight.noise


def test_the_sentences_state_what_explain_finds(
    browser: Browser, tmp_path: Path
) -> None:
    """Queues and rules of the answer, each reason's condition, and each range of confidences, for
    random ones.
    """
    random = Random(4)
    path = tmp_path / "explore.html"
    for _ in range(100 if FULL else 6):
        page = a_page(random, 8)
        path.write_text(html_of(page), encoding="utf-8")
        with seen(browser) as sight:
            for _ in range(4):
                event = canonical_attributes(an_event(random, page))
                event = {
                    name: value
                    for name, value in event.items()
                    if "\ud83d" not in f"{value}" and "\ude00" not in f"{value}"
                }
                if not isinstance(event.get(CONFIDENCE, 0), str):
                    event[CONFIDENCE] = random.choice((0, 0.5, 0.69, 0.7, 1))
                sight.page.goto("about:blank")
                sight.page.goto(
                    path.as_uri() + fragment_of(event, page.desired.endpoint, 0)
                )
                check_sentences(sight, page, event)
            assert [] == sight.noise


def check_sentences(sight: Sight, page: ExplorePage, event: dict[str, Any]) -> None:
    result = explained(page, event)
    labels = page.desired.labels
    text = squeezed(sight.page.locator("#answer").inner_text())
    if isinstance(event.get(CONFIDENCE), str):
        return  # the field takes numbers alone; the address has it as a further attribute
    destination_text = squeezed(sight.page.locator("#answer .goes").inner_text())
    for entry in (result.winner, *result.tied_rules):
        assert answer_of(entry, page) in destination_text, (event, destination_text)
    assert bool(result.tied_rules) == ("each answer is possible" in text)
    assert destination_text.startswith("Otherwise" if result.undecided else "goes to")
    assert len(result.switched_off) == text.count(
        "is switched off; it would take this conversation"
    )
    assert all(
        f"If it holds, the conversation goes to {answer_of(each.entry, page)}" in text
        for each in result.undecided
    )
    if result.winner and not result.tied_rules:
        assert f"it would go to {answer_of(result.next_match, page)}." in text
    assert bool(result.fallback) == ("after the endpoint's fallback" in text)
    sight.page.evaluate(
        "document.querySelectorAll('#details details').forEach(one => { one.open = true })"
    )
    sight.page.wait_for_timeout(30)
    rows = sight.page.evaluate(
        "[...document.querySelectorAll('#details tbody tr')].map(row => row.cells[1].textContent)"
    )
    near = [each for each in result.non_matches if not each.other_intent]
    ordered = [*near, *(each for each in result.non_matches if each.other_intent)]
    assert len(ordered) == len(rows)
    for each, row in zip(ordered, rows, strict=True):
        phrase = condition_phrase(each.condition, labels).replace(
            "a part that", "a condition that"
        )
        assert squeezed(row).startswith(squeezed(phrase)), event
    for line in sight.page.locator("#ranges > li").all_inner_texts():
        where, _, answer = squeezed(line).partition(": ")
        value = confidence_in(where)
        candidate = explained(page, {**event, CONFIDENCE: value})
        assert answer_of(candidate.winner, page) in answer, (event, where)


def answer_of(entry: RoutingEntry | None, page: ExplorePage) -> str:
    name = f", by {quote(entry.name)}" if entry else ": no rule takes it"
    return squeezed(
        f"{destination_phrase(destination_of_rule(entry), page.queues)}{name}"
    )


def confidence_in(where: str) -> float | None:
    """Return a confidence in a range in words; None for a missing one."""
    if where == "without a confidence":
        return None
    numbers = [float(text) for text in re.findall(r"[\d.e-]*\d", where)]
    low, high = (
        numbers
        if len(numbers) == 2
        else (numbers * 2 if where.startswith("at ") else [0.0, 1.0])
    )
    if len(numbers) == 1 and where.startswith(("below", "up to")):
        high = numbers[0]
    elif len(numbers) == 1 and not where.startswith("at "):
        low = numbers[0]
    return typed((low + high) / 2)


def test_a_conversation_is_tried_by_keyboard_and_shared_by_its_address(
    browser: Browser, address: Callable[[str], str]
) -> None:
    """Type an intent and a confidence; the answer, its reason and the address follow; the address
    opens it again.
    """
    with seen(browser) as sight:
        page = sight.page
        page.goto(address("bank"))
        page.focus("#intent")
        page.keyboard.type("PIN blocked")
        assert "pin_blocked" in page.locator("#intents option").evaluate_all(
            "all => all.map(one => one.label)"
        )
        page.keyboard.press("Tab")
        page.keyboard.type("0.65")
        text = page.locator("#answer").inner_text()
        assert 'goes to "General Service", by general/catch-all.' in squeezed(text)
        assert (
            "confidence >= 0.7, but it is 0.65" in page.locator("#details").inner_text()
        )
        assert "cards/pin-blocked" in page.locator("#ranges").inner_text()
        page.wait_for_timeout(400)
        shared = page.url
        page.keyboard.press("Tab")
        page.keyboard.press("End")
        assert "1" == page.input_value("#confidence")
        page.goto("about:blank")
        page.goto(shared)
        assert text == page.locator("#answer").inner_text()
        page.locator("#answer a").first.focus()
        page.keyboard.press("Enter")
        page.wait_for_selector("#view-rules:not([hidden])")
        assert "1 of 69 rules" == page.locator("#count").inner_text()
    assert [] == sight.noise


def test_an_invalid_value_is_named(
    browser: Browser, address: Callable[[str], str]
) -> None:
    """A confidence above 1, a number that is too large, a quote that is not closed."""
    with seen(browser) as sight:
        page = sight.page
        page.goto(address("bank"))
        for field, value, reason in (
            ("#confidence", "2", "must be a number from 0 to 1"),
            ("#confidence", "", "goes to"),
            ("#field-0", '"gold', "must end with a quote"),
            ("#field-0", "1e999", "the number is too large"),
            ("#field-0", '"1"', 'customer tier "1"'),
        ):
            page.fill(field, value)
            assert reason in page.locator("#answer").inner_text()


def test_a_value_that_no_rule_names_is_said_as_large_as_the_answer(
    browser: Browser, address: Callable[[str], str]
) -> None:
    """Another case is another value, which gets another answer: the nearest values of the list are
    named.
    """
    with seen(browser) as sight:
        page = sight.page
        page.goto(address("bank"))
        for field, value, doubt in (
            (
                "#intent",
                "stolen CARD",
                'No rule names the intent "stolen CARD". Did you mean: Lost or stolen card',
            ),
            ("#intent", "zzz", 'No rule names the intent "zzz".'),
            ("#intent", "Lost or stolen card", ""),
            (
                "#field-0",
                "GOLD",
                'No rule names the customer tier "GOLD". Did you mean: Gold',
            ),
            ("#field-0", "gold", ""),
            (
                "#field-2",
                "10,000",
                'The transfer amount "10,000" is a text, not a number. Its comma may separate thousands: write 10000.',
            ),
            ("#field-2", "10000", ""),
            ("#field-2", "much", 'The transfer amount "much" is a text, not a number.'),
        ):
            page.fill(field, value)
            assert ([doubt] if doubt else []) == page.locator(
                "#answer .doubt"
            ).all_inner_texts()
            sizes = (
                "all => [...new Set(all.map(one => getComputedStyle(one).fontSize))]"
            )
            assert 1 == len(
                page.locator("#answer :is(.doubt, .goes)").evaluate_all(sizes)
            )
    assert [] == sight.noise


def test_an_attribute_that_no_rule_tests_is_said(
    browser: Browser, address: Callable[[str], str]
) -> None:
    """It may be in an address only."""
    with seen(browser) as sight:
        sight.page.goto(address("bank") + "#intent=pin_blocked&attr=shoe=44")
        assert ["No rule tests shoe."] == sight.page.locator(
            "#answer .doubt"
        ).all_inner_texts()


def test_a_decimal_comma_is_a_point(
    browser: Browser, address: Callable[[str], str]
) -> None:
    """In the confidence and in fields that rules compare with numbers; a text stays a text."""
    with seen(browser) as sight:
        page = sight.page
        page.goto(address("bank"))
        page.fill("#intent", "pin_blocked")
        for field, value, text in (
            ("#confidence", "0,7", 'intent "PIN blocked", confidence 0.7'),
            ("#confidence", " 1,0 ", "confidence 1"),
            ("#field-2", "2500,5", "transfer amount 2500.5"),
            ("#field-0", "0,7", 'customer tier "0,7"'),
        ):
            page.fill(field, value)
            assert text in page.locator("#answer").inner_text()
        page.fill("#confidence", "0,7")
        assert "0.7" == page.input_value("#slider")
        page.fill("#confidence", "1,5")
        assert "must be a number from 0 to 1" in page.locator("#answer").inner_text()
    assert [] == sight.noise


def test_a_page_without_input_says_what_to_do(
    browser: Browser, address: Callable[[str], str]
) -> None:
    """Until there is an attribute, and again after all are cleared; the answer is there, too."""
    with seen(browser) as sight:
        page = sight.page
        page.goto(address("bank"))
        hints = []
        for field, value in (
            ("", ""),
            ("#intent", "pin_blocked"),
            ("#clear", ""),
            ("#field-0", "gold"),
        ):
            if value:
                page.fill(field, value)
            elif field:
                page.click(field)
            page.wait_for_timeout(30)
            text = page.locator("#answer").inner_text()
            assert "goes to" in text
            hints.append(text.startswith("Choose an intent above."))
        assert [True, False, True, False] == hints
    assert [] == sight.noise


ODD_FRAGMENTS: Final = {
    "empty": ("#", "goes to the tenant's default routing"),
    "unknown names": (
        "#view=nope&side=9&more=1",
        "goes to the tenant's default routing",
    ),
    "unknown intent": ("#intent=nope", 'intent "nope"'),
    "not a number": ("#confidence=abc", "must be a number from 0 to 1"),
    "negative number": ("#confidence=-1", "must be a number from 0 to 1"),
    "number too large": (f"#attr=x={'9' * 500}", "the number is too large"),
    "open quote": ("#attr=x=%221", "must end with a quote"),
    "broken escapes": ("#intent=%E0%A4%A&attr=%&attr=%ZZ=%", '%ZZ "%"'),
    "names of the language": (
        "#attr=__proto__=x&attr=constructor=1",
        '__proto__ "x", constructor 1',
    ),
    "another type": ("#attr=customerTier=5&attr=transferAmount=much", '"much"'),
    "very long": (f"#intent={'x' * 100_000}&find={'y' * 100_000}", "xxxxxx"),
}


@pytest.mark.parametrize("name", ["bank", "two sides"])
def test_an_odd_address_gets_an_answer(
    name: str, browser: Browser, address: Callable[[str], str]
) -> None:
    """Or a sentence about what is wrong; the address that the page writes opens the same answer."""
    start = address(name)
    with seen(browser) as sight:
        page = sight.page
        for case, (fragment, expected) in ODD_FRAGMENTS.items():
            page.goto("about:blank")
            page.goto(start + fragment)
            # a page of a change begins with what changes
            if page.locator("#view-try").is_hidden():
                page.click("[data-view=try]")
            text = page.locator("#answer").inner_text()
            assert expected in text, case
            page.wait_for_timeout(300)
            written_address = page.url
            page.goto("about:blank")
            page.goto(written_address)
            assert text == page.locator("#answer").inner_text(), case
    assert [] == sight.noise


def test_groups_help_to_search(browser: Browser, tmp_path: Path) -> None:
    """The name of a group finds rules that name one of its values, also those that a cell does not
    show, and values.
    """
    tiers = {
        "a": ["g", "p"],
        "b": ["p"],
        "c": ["s"],
        "d": ["g", "p", *(f"x{number}" for number in range(9)), "z"],
    }
    listed = [
        RoutingEntry(
            name=f"rule {name}",
            rule=rule(name, conditions=[make_condition("tier", "in", values)]),
        )
        for name, values in tiers.items()
    ]
    texts: dict[tuple[str, ...], str] = {
        ("tier", "g"): "Gold",
        ("tier", "p"): "Platinum",
        ("tier", "z"): "Zinc",
    }
    labels = Labels(
        {INTENT: "intent"}, texts, {"tier": {"Best of all": frozenset({"g", "p"})}}
    )
    path = tmp_path / "explore.html"
    path.write_text(html_of(page_of(listed, labels=labels)), encoding="utf-8")
    with seen(browser) as sight:
        page = sight.page
        page.goto(path.as_uri() + "#view=rules")
        expected = {
            "best of": "abd",
            "platinum": "abd",
            "gold": "ad",
            "zinc": "d",
            "x8": "d",
            "best zinc": "d",
            "lead": "",
        }
        for words, names in expected.items():
            page.fill("#find", words)
            printed = page.locator("#rows tr:visible th").all_inner_texts()
            assert [*names] == [
                actual[1]
                for text in printed
                if (actual := re.match(r'"rule (.)"', text))
            ], words
        page.goto(path.as_uri() + "#view=try")
        field = page.locator(".field")
        field.fill("best")
        options = page.locator(f"#{field.get_attribute('list')} option")
        assert ["Gold", "Platinum"] == options.evaluate_all(
            "all => all.map(one => one.value)"
        )
        field.fill("Best of all")
        message = squeezed(page.locator("#answer").inner_text())
        assert (
            'No rule names the tier "Best of all". Did you mean: Gold | Platinum'
            in message
        )
    assert [] == sight.noise


def test_an_unknown_queue_in_the_address_hides_no_rule(
    browser: Browser, address: Callable[[str], str]
) -> None:
    """A link made from another file."""
    with seen(browser) as sight:
        sight.page.goto(address("bank") + "#view=rules&queue=gone")
        assert "69 of 69 rules" == sight.page.locator("#count").inner_text()
        assert "all" == sight.page.locator("#queue option:checked").inner_text()


def test_rules_without_a_queue_are_found(browser: Browser, tmp_path: Path) -> None:
    """From the list of queues and by the choice of a queue; their share is there."""
    rows = (SampleRow({INTENT: "lost"}, 1, 0), SampleRow({INTENT: "other"}, 3, 1))
    listed = [
        RoutingEntry(
            name="x",
            rule=rule(
                "x", conditions=[make_condition(INTENT, "equals", "lost")], targets=[]
            ),
        ),
        RoutingEntry(
            name="y",
            rule=rule("y", conditions=[], targets=[Target("A", 1)], priority=200),
        ),
    ]
    path = tmp_path / "explore.html"
    sample = TrafficSample(name="x", digest="", period="", rows=rows, total=4)
    path.write_text(html_of(page_of(listed, sample=sample)), encoding="utf-8")
    with seen(browser) as sight:
        page = sight.page
        page.goto(path.as_uri() + "#view=queues")
        page.get_by_text("no queue: 1 rule, 25.0 % of callers").click()
        page.get_by_text("Show them in the table").click()
        page.wait_for_selector("#view-rules:not([hidden])")
        assert "1 of 2 rules" == page.locator("#count").inner_text()
        page.select_option("#queue", label="all")
        assert "2 of 2 rules" == page.locator("#count").inner_text()
        page.select_option("#queue", label="no queue")
        assert "1 of 2 rules" == page.locator("#count").inner_text()
    assert [] == sight.noise


TYPE_AND_CLICK: Final = """([text, target]) => {
  const field = document.getElementById("intent");
  field.value = text;
  field.dispatchEvent(new Event("input"));
  document.querySelector(target).click();
}"""


def test_the_back_button_and_a_pasted_link_change_the_page(
    browser: Browser, address: Callable[[str], str]
) -> None:
    """What was typed just before a click is kept; another tab has its own conversation."""
    with seen(browser) as sight:
        page = sight.page
        page.goto(address("bank"))
        page.evaluate(TYPE_AND_CLICK, ["pin_blocked", "[data-view=rules]"])
        page.wait_for_selector("#view-rules:not([hidden])")
        page.go_back()
        page.wait_for_selector("#view-try:not([hidden])")
        assert "pin_blocked" == page.input_value("#intent")
        candidate = page.context.new_page()
        candidate.goto(page.url.replace("pin_blocked", "card_swallowed"))
        assert ("card_swallowed", "pin_blocked") == (
            candidate.input_value("#intent"),
            page.input_value("#intent"),
        )
        page.evaluate("location.hash = '#intent=card_arrival&confidence=0.9'")
        page.wait_for_timeout(50)
        assert 'intent "Card has not arrived"' in page.locator("#answer").inner_text()
        page.evaluate(TYPE_AND_CLICK, ["x", "#clear"])
        page.wait_for_timeout(50)
        assert "" == page.input_value("#intent")
    assert [] == sight.noise


def test_a_new_address_is_read_before_the_state_is_kept(
    browser: Browser, address: Callable[[str], str]
) -> None:
    """A click between a step back and its event does not write the old state over the address."""
    with seen(browser) as sight:
        page = sight.page
        page.goto(address("bank"))
        page.evaluate("() => { location.hash = '#view=rules'; document.body.click(); }")
        page.wait_for_selector("#view-rules:not([hidden])")
    assert [] == sight.noise


def test_a_field_replaces_its_attribute_in_the_address(
    browser: Browser, address: Callable[[str], str]
) -> None:
    """An address may name the attribute of the intent, for example if its value is a number."""
    with seen(browser) as sight:
        page = sight.page
        page.goto(address("two sides") + f"#attr={bot_intent('two sides')}=5")
        assert "intent 5" in page.locator("#answer").inner_text()
        page.fill("#intent", "moved")
        assert 'intent "moved"' in page.locator("#answer").inner_text()


def bot_intent(name: str) -> str:
    return str(explore_data(PAGES[name]())["intent"])


def test_a_switch_shows_the_rules_today_and_after(
    browser: Browser, address: Callable[[str], str]
) -> None:
    """In the views of rules, queues and promises; the other two show both sides."""
    with seen(browser) as sight:
        page = sight.page
        page.goto(address("two sides"))
        assert not page.locator("#sides").is_visible()
        page.click("[data-view=rules]")
        assert page.locator("[name=side]").nth(1).is_checked()
        rules = []
        for side in (0, 1):
            page.locator("[name=side]").nth(side).check()
            rules.append(page.locator("#rows tr:not([hidden])").all_inner_texts())
        assert rules[0] != rules[1]
        assert "only today" in rules[0][0]
        assert "only after this change" in rules[1][0]
        page.click("[data-view=try]")
        assert not page.locator("#sides").is_visible()
    assert [] == sight.noise


def test_answers_today_and_afterwards_stand_side_by_side(
    browser: Browser, address: Callable[[str], str]
) -> None:
    """In equal large type, each with its rule; whether the conversation moves, and the edit that
    moves it.
    """
    with seen(browser) as sight:
        page = sight.page
        page.goto(address("changed bank"))
        page.click("[data-view=try]")
        page.fill("#intent", "pin_blocked")
        page.fill("#confidence", "0,9")
        destination_text = page.locator("#answer .goes")
        answers = [
            'goes to "Card Services", by cards/pin-blocked.',
            'goes to "Fraud Desk", by cards/pin-blocked.',
        ]
        assert answers == [
            squeezed(text) for text in destination_text.all_inner_texts()
        ]
        assert ["Today", "After this change"] == page.locator(
            "#answer h3"
        ).all_inner_texts()
        places = [destination_text.nth(at).bounding_box() for at in (0, 1)]
        assert places[0]
        assert places[1]
        assert places[0]["y"] == places[1]["y"]
        assert places[0]["x"] < places[1]["x"]
        assert (
            "It moves. The cause: cards/pin-blocked."
            == page.locator(".verdict").inner_text()
        )
        cells = page.locator("#ranges tr").last.locator("td").all_inner_texts()
        assert ["without a confidence", "the same"] == [cells[0], cells[2]]

        reasons = page.locator("#details h3").all_inner_texts()
        assert ["By confidence", "Why earlier rules do not take it"] == reasons
        page.fill("#intent", "card_arrival")
        assert (
            "It goes to the same place today and after this change."
            == page.locator(".verdict").inner_text()
        )
        page.fill("#intent", "card_swallowed")
        assert (
            "It moves. The cause: cash/card-swallowed."
            == page.locator(".verdict").inner_text()
        )
        page.set_viewport_size({"width": PHONE, "height": 800})
        assert PHONE == page.evaluate("document.scrollingElement.scrollWidth")
    assert [] == sight.noise


def test_effects_are_filtered_without_a_mouse(
    browser: Browser, address: Callable[[str], str]
) -> None:
    """By queue, intent and file; counts are shown, and the address keeps the choice.

    The text of an effect is read with `text_content`: the browser paints an effect that
    comes into view one frame later (`content-visibility`), and until then its
    `inner_text` is empty.
    """
    with seen(browser) as sight:
        page = sight.page
        page.goto(address("changed bank"))
        counted = page.locator("#change-count")
        before = counted.inner_text()
        assert re.fullmatch(r"(\d+) of \1 effects, (\d+) of \2 moves", before)
        page.focus("#change-intent")
        page.keyboard.type("PIN blocked")
        assert "pin_blocked" == page.input_value("#change-intent")
        printed = page.locator("#effects > article:visible")
        assert 1 == printed.count()
        assert "cards/pin-blocked" in (printed.text_content() or "")
        assert counted.inner_text().startswith("1 of ")
        page.wait_for_timeout(300)
        retained = page.url
        page.goto("about:blank")
        page.goto(retained)
        assert "pin_blocked" == page.input_value("#change-intent")
        assert 1 == printed.count()

        page.select_option("#change-intent", "")
        page.select_option(
            "#change-queue", label=option_of(page, "#change-queue", "Fraud Desk")
        )
        assert "cards/pin-blocked" in " ".join(printed.all_text_contents())
        for row in page.locator("#effects tbody tr:visible").all():
            text = row.text_content() or ""
            assert "Fraud Desk" in text
            assert "..." not in text
        page.select_option("#change-queue", "")
        page.select_option(
            "#change-file", label=option_of(page, "#change-file", "cash.yaml")
        )
        assert 1 == printed.count()
        assert "cash/card-swallowed" in (printed.text_content() or "")
        assert not page.get_by_text("Everyone else: no change").is_visible()
        page.select_option("#change-file", "")
        assert before == counted.inner_text()
        assert page.get_by_text("Everyone else: no change").is_visible()
    assert [] == sight.noise


def option_of(page: Page, field: str, text: str) -> str:
    """Return the choice of a field that has a text."""
    options = page.locator(f"{field} option").all_inner_texts()
    return next(option for option in options if text in option)


def test_an_example_of_an_effect_moves_as_its_row_says(
    browser: Browser, address: Callable[[str], str]
) -> None:
    """The link of each row opens a conversation whose two answers are those of the row."""
    with seen(browser) as sight:
        page = sight.page
        page.goto(address("changed bank"))
        rows = page.locator("#effects tbody tr").evaluate_all(
            """all => all.map(row => [row.querySelector("a").getAttribute("href"),
              ...[1, 2].map(at => row.cells[at].firstChild.textContent.trim())])"""
        )
        assert len(rows) > 5
        for href, before, after in rows:
            page.evaluate("href => { location.hash = href; }", href)
            page.wait_for_function(
                "href => document.querySelector('#view-try').hidden === false", arg=href
            )
            page.wait_for_timeout(50)
            destination_text = [
                squeezed(text)
                for text in page.locator("#answer .goes").all_inner_texts()
            ]
            assert squeezed(before) in destination_text[0], (href, destination_text)
            assert squeezed(after) in destination_text[1], (href, destination_text)
            assert (
                page.locator(".verdict")
                .inner_text()
                .startswith("It moves. The cause: ")
            )
    assert [] == sight.noise


@pytest.mark.parametrize("name", ["bank", "changed bank"])
def test_the_number_of_rules_is_the_same_everywhere(
    name: str, browser: Browser, address: Callable[[str], str]
) -> None:
    """In the head, above the table, and for a queue in its list and in the table."""
    with seen(browser) as sight:
        page = sight.page
        page.goto(f"{address(name)}#view=rules")
        head = page.locator("header .meta").inner_text()
        total = page.locator("#count").inner_text().partition(" of ")[2]
        assert total in head
        page.goto(f"{address(name)}#view=queues")
        titles = page.locator("#queue-list summary").all_inner_texts()
        assert len(titles) > 5
        for title in titles:
            queue, _, rest = title.partition(": ")
            page.click("[data-view=rules]")
            page.select_option("#queue", label=queue)
            number = rest.partition(" rule")[0]
            assert page.locator("#count").inner_text().startswith(f"{number} of "), (
                title
            )
    assert [] == sight.noise


def test_without_scripts_the_table_is_there(
    browser: Browser, address: Callable[[str], str]
) -> None:
    """All rules and promises, and a note; no form that does nothing.

    The printed page has them, too.
    """
    with seen(browser, java_script_enabled=False) as sight:
        page = sight.page
        page.goto(address("bank"))
        page.emulate_media(media="print")
        assert 69 == page.locator("#rows tr").count()
        assert page.locator("#rows tr").last.is_visible()
        assert page.locator(".promises").is_visible()
        assert not page.locator("#intent").is_visible()
        assert page.locator("noscript p").is_visible()


def test_without_scripts_the_effects_are_there(
    browser: Browser, address: Callable[[str], str]
) -> None:
    """All of them, below the headline; no filter that does nothing."""
    with seen(browser, java_script_enabled=False) as sight:
        page = sight.page
        page.goto(address("changed bank"))
        assert page.locator(".headline").is_visible()
        assert page.locator("#effects > article").last.is_visible()
        assert not page.locator("#change-queue").is_visible()


def test_a_script_that_does_not_run_hides_nothing(
    browser: Browser, tmp_path: Path
) -> None:
    """After two seconds at most; the promises are there at once."""
    path = tmp_path / "explore.html"
    path.write_text(
        written("bank").replace("<script>", "<script>stop(", 1), encoding="utf-8"
    )
    with seen(browser) as sight:
        page = sight.page
        page.goto(path.as_uri())
        assert page.locator(".promises").is_visible()
        page.locator("#rows tr").last.wait_for(state="visible", timeout=4_000)
        assert not page.evaluate("document.body.classList.contains('ready')")


LARGE: Final[dict[str, Callable[[], ExplorePage]]] = {
    "rules": lambda: large_page(10_000),
    "change": lambda: large_change_page(10_000, 100),
}


@pytest.mark.campaign
@pytest.mark.parametrize("name", LARGE)
def test_ten_thousand_rules_are_fast(
    name: str, browser: Browser, tmp_path: Path
) -> None:
    """The page's thread opens it in 1.5 s of its processor, and answers in 50 ms for each side; it
    has at most 3 MB.
    """
    path = tmp_path / "explore.html"
    created = LARGE[name]()
    text = html_of(created)
    assert len(text.encode()) <= 3_000_000
    path.write_text(text, encoding="utf-8")
    with seen(browser) as sight:
        page = sight.page
        worked = thread_clock(page)
        page.goto(f"{path.as_uri()}#view=try")
        opened = worked()
        assert 0 < opened < 1.5

        texts = ["intent_number_9998", "none", "intent_number_5"] * 3
        page.evaluate(
            """texts => texts.forEach(text => {
          const field = document.getElementById("intent");
          field.value = text;
          field.dispatchEvent(new Event("input"));
          document.body.offsetHeight;
        })""",
            texts,
        )
        assert 0 < (worked() - opened) / len(texts) < 0.05 * len(created.sides)
    assert [] == sight.noise
