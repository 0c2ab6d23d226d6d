"""Examples of rows are events that a bot can send: with `context.below` each has an intent, where
one fits.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import islice, product
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Final

import pytest

from reconciler.core.behaviour.endpoint_stage import EndpointStage, FallbackPolicy
from reconciler.core.desired.desired import DesiredState, desire_offline, endpoint_stage
from reconciler.core.manifest.load import load_manifests
from reconciler.core.model.rule import Target
from reconciler.core.plan.behaviour_json import impact_to_json
from reconciler.core.plan.routing_table import desired_entries
from reconciler.core.text.phrases import Labels
from reconciler.render.effects import summarize_effects
from tests.support.brute_force import Json
from tests.support.brute_force_checks import holds_where
from tests.support.builders import NOW
from tests.support.cases import each_case
from tests.support.impacts import compare_behind, effect_rows, rows_of_document
from tests.support.random_rules import attribute, entries, rule

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from reconciler.core.behaviour.routing_entry import RoutingEntry
    from reconciler.core.behaviour.space.space import Example
    from reconciler.core.plan.impact import Impact


INTENT: Final = "cognigyDetectedIntent"
CONFIDENCE: Final = "cognigyConfidence"
TIERS: Final = tuple(f"t{number}" for number in range(6))
LABELS: Final = Labels({INTENT: "intent", CONFIDENCE: "confidence"})
FALLBACK: Final = FallbackPolicy("none", 0.4, frozenset({"refund", "card"}))
STAGE: Final = EndpointStage(
    fallback=FALLBACK, compared=FALLBACK, sent_intents=("card", "refund")
)


def impact_of(
    before: Sequence[RoutingEntry],
    after: Sequence[RoutingEntry],
    stage: EndpointStage = STAGE,
) -> Impact:
    return compare_behind(before, after, (stage, stage))


def bank() -> DesiredState:
    manifests = load_manifests(Path("manifests"), NOW)
    desired, _ = desire_offline(manifests, manifests.environment("sandbox"))
    return desired


def single_edits(rules: Sequence[RoutingEntry]) -> Iterator[list[RoutingEntry]]:
    """Yield the rules with one of them removed, or sent to another queue."""
    for number, each in enumerate(rules):
        remaining_items = [*rules[:number], *rules[number + 1 :]]
        yield remaining_items
        yield [
            *remaining_items,
            replace(each, rule=replace(each.rule, targets=(Target("elsewhere", 1),))),
        ]


PARTS: Final = 15
"""The parts of the two large tests, of which the fast tier runs one each."""
ALL_PARTS = pytest.mark.parametrize("part", range(PARTS))


@pytest.mark.fast_cases(1)
@ALL_PARTS
def test_every_example_of_the_bank_has_an_intent(part: int) -> None:
    """Each rule of the bank is removed or gets another queue: every row and region has an example
    with an intent.
    """
    desired = bank()
    rules = desired_entries(desired)
    stage = desired.endpoint
    examined = 0
    for edited in islice(single_edits(rules), part, None, PARTS):
        impact = impact_of(rules, edited, stage)
        for example, stored in zip(_examples(impact), _written(impact), strict=True):
            examined += 1
            assert example.attributes[INTENT] in stage.fallback.known_intents, stored
            truths = dict(example.assumed)
            assert holds_where(
                stored["where"], stored["except"], (example.attributes, truths)
            ), stored
    assert examined > 20


@pytest.mark.fast_cases(1)
@ALL_PARTS
def test_an_intent_is_added_to_an_example_without_one(
    part: int,
) -> None:
    """With more tiers than intents, each row with events that have a known intent shows one;
    without such an event one without an intent, or none.
    """
    with_intent = without = none = 0
    for seed in range(part, 300, PARTS):
        random = Random(f"tiers {seed}")
        before, after = (_tier_rules(random) for _ in range(2))
        for stored in _written(impact_of(entries(before), entries(after))):
            example = stored["example"] if "example" in stored else stored["witness"]
            inside = [
                event
                for event in _events()
                if holds_where(stored["where"], stored["except"], (event, {}))
            ]
            requests_sent = {event.get(INTENT) for event in inside}
            known = requests_sent & FALLBACK.known_intents
            if example is None:
                assert not known | requests_sent & {None}, stored
                none += 1
                continue
            assert holds_where(stored["where"], stored["except"], (example, {})), stored
            assert (
                (example.get(INTENT) in known) if known else (INTENT not in example)
            ), stored
            with_intent += INTENT in example
            without += INTENT not in example
    assert min(with_intent, without, none) > 1


def _examples(impact: Impact) -> list[Example]:
    """Return the examples of all rows, then those of all regions, in the order of `_written`."""
    rows = [row.example for row in effect_rows(impact)]
    regions = [region.example for region in impact.behaviour.regions]
    return [*rows, *regions]


def _written(impact: Impact) -> list[Json]:
    form = impact_to_json(impact, {})
    return [*rows_of_document(form), *form["regions"]]


def _tier_rules(random: Random) -> list[Json]:
    return [_tier_rule(random, f"k{number}") for number in range(random.randint(1, 5))]


def _tier_rule(random: Random, key: str) -> Json:
    intents = [
        attribute(INTENT, "notExists"),
        attribute(INTENT, "exists"),
        attribute(
            INTENT,
            random.choice(("equals", "notEquals")),
            random.choice(("card", "none")),
        ),
    ]
    tiers = [attribute("tier", random.choice(("in", "notIn")), random.sample(TIERS, 4))]
    conditions = random.sample(intents, random.choice((0, 1))) + tiers * random.choice(
        (0, 1, 1)
    )
    return rule(key, random.choice((1, 2, 3)), conditions, random.choice("ABC"))


def _events() -> Iterator[dict[str, str | float]]:
    for intent, tier, share in product(
        (None, "card", "refund", "unheard"), (None, *TIERS, "other"), (None, 0.2, 0.7)
    ):
        event = {INTENT: intent, "tier": tier, CONFIDENCE: share}
        yield {name: value for name, value in event.items() if value is not None}


def test_a_row_of_conversations_without_an_intent_says_so() -> None:
    """Where only conversations without an intent move, the example has none, and says it."""
    everything = rule("all", 9, [], "A")
    nobody = rule(
        "nobody",
        1,
        [attribute(INTENT, "notExists"), attribute(CONFIDENCE, "greaterThan", 0.5)],
        "B",
    )
    impact = impact_of(entries([everything]), entries([everything, nobody]))
    (row,) = effect_rows(impact)
    assert INTENT not in row.example.attributes
    (effect,) = summarize_effects(impact, {}, LABELS).effects
    (text,) = effect.rows
    assert text.example.startswith("no intent, confidence 0."), text.example


def test_intents_of_rules_serve_where_no_document_lists_intents(tmp_path: Path) -> None:
    """Without an Intents document, an example names an intent of the rules."""
    text = """
apiVersion: routing/v1
kind: Environment
name: prod
owner: acme
tenant: acme
context: {minConfidence: 0.3, below: {intent: none}}
---
apiVersion: routing/v1
kind: RuleSet
name: cards
rules:
  - {intent: "${first}", key: a, queue: A}
  - {intents: [lost_card, pin], key: b, queue: B}
"""
    (tmp_path / "all.yaml").write_text(text)
    manifests = load_manifests(tmp_path)
    stage = endpoint_stage(manifests, manifests.environment("prod"))
    assert ("lost_card", "pin") == stage.sent_types[INTENT].usual
    impact = impact_of(
        [], entries([rule("vip", 1, [attribute("tier", "equals", "gold")], "A")]), stage
    )
    assert ["lost_card"] == [
        row.example.attributes[INTENT] for row in effect_rows(impact)
    ]


@pytest.mark.parametrize("context", ["", "context: {}"])
def test_without_a_fallback_examples_stay_as_short_as_possible(
    tmp_path: Path, context: str
) -> None:
    """Without `context.below` the rules are about any conversation: no intent is added to an
    example.
    """
    text = (
        f"apiVersion: routing/v1\nkind: Environment\nname: prod\nowner: acme\ntenant: "
        f"acme\n{context}\n"
    )
    (tmp_path / "all.yaml").write_text(text)
    manifests = load_manifests(tmp_path)
    stage = endpoint_stage(manifests, manifests.environment("prod"))
    impact = impact_of(
        [], entries([rule("vip", 1, [attribute("tier", "equals", "gold")], "A")]), stage
    )
    assert [{"tier": "gold"}] == [row.example.attributes for row in effect_rows(impact)]


@each_case("condition", [("notIn", [0.1]), ("notEquals", 0.1), ("exists", None)])
@each_case("earlier", [[], [attribute(CONFIDENCE, "greaterThanOrEqual", 0.9)]])
def test_an_example_has_a_number_as_confidence_where_one_fits(
    condition: tuple[str, object], earlier: list[Json]
) -> None:
    """Rules compare the confidence with numbers, so an example is a number, from 0 to 1 where
    possible.
    """
    stage = EndpointStage()
    first = [rule("first", 1, earlier, "C")] if earlier else []
    impact = impact_of(
        entries(first),
        entries([*first, rule("x", 2, [attribute(CONFIDENCE, *condition)], "B")]),
        stage,
    )
    printed = [example.attributes[CONFIDENCE] for example in _examples(impact)]
    assert printed
    assert all(
        isinstance(value, int | float) and 0 <= value <= 1 for value in printed
    ), printed


def test_a_text_is_shown_where_only_texts_move() -> None:
    """Every number goes where it went before: the example is the text that moves."""
    numbers = [
        attribute(CONFIDENCE, "lessThan", 0.5),
        attribute(CONFIDENCE, "greaterThanOrEqual", 0.5),
    ]
    first = [rule(f"n{number}", 1, [each], "C") for number, each in enumerate(numbers)]
    impact = impact_of(
        entries(first),
        entries([*first, rule("x", 2, [attribute(CONFIDENCE, "exists")], "B")]),
        EndpointStage(),
    )
    assert {CONFIDENCE: "0.5"} == effect_rows(impact)[0].example.attributes
