"""The traffic sample of the example bank: made from generated records, and complete enough for
single figures.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from reconciler.core.desired.desired import DesiredState, expand_manifests
from reconciler.core.desired.queues import OfflineQueueResolver, resolve_aliases
from reconciler.core.manifest.kinds.environment import BotAttributes
from reconciler.core.manifest.load import load_manifests
from reconciler.core.model.rule import Condition
from reconciler.core.traffic.sample import load_traffic
from tests.support.bank_traffic import RECORDS, SAMPLE, import_arguments, records_text
from tests.support.builders import NOW
from tests.support.cases import each_case
from tests.support.program import Program

MANIFESTS: Final = load_manifests(Path(__file__).parents[3] / "manifests", NOW)
ENVIRONMENTS: Final = sorted(MANIFESTS.environments)
INTENTS: Final = frozenset(
    name for loaded in MANIFESTS.intents for name in loaded.document.names
)
ROWS: Final = load_traffic(str(SAMPLE), BotAttributes()).rows
INTENT: Final = "cognigyDetectedIntent"
CONFIDENCE: Final = "cognigyConfidence"
NEAR: Final = 0.15
"""The greatest distance of the nearest confidence below a bound."""


def bank(environment: str) -> DesiredState:
    """Return the bank's rules in an Environment."""
    resolver = OfflineQueueResolver(
        environment, resolve_aliases(MANIFESTS, environment)
    )
    return expand_manifests(
        MANIFESTS, MANIFESTS.environments[environment].document, resolver
    )


def conditions_of_rules(environment: str) -> Iterator[list[Condition]]:
    """Yield the conditions of each rule."""
    for desired_rule in bank(environment).rules.values():
        yield [
            part for part in desired_rule.rule.conditions if isinstance(part, Condition)
        ]


def bounds_by_intent(environment: str) -> dict[str, set[float]]:
    """Return the bounds of the confidence that decide about each intent: those of rules, and the
    endpoint's.
    """
    fallback = MANIFESTS.environments[environment].document.context
    assert fallback is not None
    bounds: dict[str, set[float]] = {
        intent: {fallback.min_confidence or 0} for intent in INTENTS
    }
    for conditions in conditions_of_rules(environment):
        tested = {
            part.attribute: part for part in conditions if part.attribute != CONFIDENCE
        }
        values = tested[INTENT].value if INTENT in tested else None
        named = values if isinstance(values, tuple) else (values,)
        intents = INTENTS if values is None else {str(value) for value in named}
        for part in conditions:
            if part.attribute == CONFIDENCE:
                assert isinstance(part.value, int | float)
                for intent in intents:
                    bounds[intent].add(part.value)
    return bounds


def test_the_records_are_those_of_the_generator() -> None:
    """manifests/traffic/README.md says how to write them again."""
    assert records_text() == RECORDS.read_text("utf-8")


def test_the_sample_is_made_from_the_records(cxroute: Program) -> None:
    """By `cxroute traffic import`: the file in the repository is the same, apart from the
    version.
    """
    assert 0 == cxroute(*import_arguments(Path("bank.csv")))
    texts = [
        path.read_text("utf-8").splitlines() for path in (Path("bank.csv"), SAMPLE)
    ]
    imported, stored = (
        [line for line in text if not line.startswith("# tool: ")] for text in texts
    )
    assert stored == imported


def test_the_sample_has_a_few_thousand_rows() -> None:
    """A plan reads them each time."""
    assert 2_000 < len(ROWS) < 5_000


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_the_sample_has_every_tested_attribute(environment: str) -> None:
    """Otherwise a share would have a lower and an upper bound."""
    tested = {
        part.attribute
        for conditions in conditions_of_rules(environment)
        for part in conditions
    }
    assert tested <= set(ROWS[0].attributes)


def test_the_sample_has_every_declared_value() -> None:
    """Each value of an `Attributes` document occurs, and each attribute is missing in some
    conversations.
    """
    values = defaultdict(set)
    for row in ROWS:
        for name, value in row.attributes.items():
            values[name].add(value)
    (declared,) = MANIFESTS.attributes
    for name, attribute in declared.document.attributes.items():
        assert {*(attribute.values or ())} <= values[name]
        assert None in values[name] or name == "channel"
    assert INTENTS <= values[INTENT]


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_the_sample_has_confidences_on_both_sides_of_every_bound(
    environment: str,
) -> None:
    """For each intent: exactly the bound, and a confidence shortly below it.

    So a moved bound moves callers.
    """
    confidences: dict[str, set[float]] = defaultdict(set)
    for row in ROWS:
        confidence = row.attributes[CONFIDENCE]
        if isinstance(confidence, int | float):
            confidences[str(row.attributes[INTENT])].add(confidence)
    for intent, bounds in bounds_by_intent(environment).items():
        for bound in bounds:
            assert bound in confidences[intent], (intent, bound)
            assert any(
                bound - NEAR <= confidence < bound for confidence in confidences[intent]
            ), (
                intent,
                bound,
            )


@each_case(
    "attribute, prefix, least, most",
    [
        ("language", "en", 65, 75),
        ("language", "de", 12, 18),
        ("language", "fr", 8, 13),
        ("customerTier", "gold", 6, 10),
        ("customerTier", "platinum", 1, 3),
        ("channel", "phone", 50, 65),
    ],
)
def test_the_sample_has_realistic_proportions(
    attribute: str, prefix: str, least: float, most: float
) -> None:
    """In percent of all conversations."""
    total = sum(row.count for row in ROWS)
    share = (
        100
        * sum(
            row.count
            for row in ROWS
            if str(row.attributes[attribute]).startswith(prefix)
        )
        / total
    )
    assert least < share < most
