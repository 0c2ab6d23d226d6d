"""The example of every region of a plan goes, in the script, from the region's old to its new
queue.
"""

from __future__ import annotations

from random import Random

import pytest

from reconciler.core.behaviour.diff.difference import compare_behaviour
from reconciler.core.behaviour.routing_entry import Destination, RoutingEntry
from reconciler.core.model.rule import Rule
from reconciler.targets.studio.evaluate import possible_dialects, run_snippet
from reconciler.targets.studio.form import BlockForm
from reconciler.targets.studio.language import parse_snippet
from tests.support.studio_rules import LAYOUT, block_of, domain_rule
from tests.tiers import size


def entries(rules: list[Rule]) -> list[RoutingEntry]:
    return [
        RoutingEntry(name=f"r{i}", id=f"r{i}", rule=rule)
        for i, rule in enumerate(rules)
    ]


def is_queue_of(skill: object, destination: Destination) -> bool:
    return (
        skill is None
        if destination is None
        else any(str(skill) == queue for queue, _ in destination)
    )


@pytest.mark.generated
def test_the_text_sends_each_example_as_the_region_says() -> None:
    """In every dialect, before and after the change, where each attribute has the type that rules
    compare.
    """
    tried = 0
    pairs = size(fast=6, slow=60, full=3000)
    for seed in range(pairs):
        random = Random(f"regions {seed}")
        old, new = (
            [
                domain_rule(random, random.choice((1, 2, 3)))
                for _ in range(random.choice((1, 2, 4)))
            ]
            for _ in "ab"
        )
        types = BlockForm(LAYOUT).value_types([*old, *new])
        texts = [parse_snippet(block_of(rules)) for rules in (old, new)]
        for region in compare_behaviour(
            entries(old), entries(new), types=types
        ).regions:
            values = {
                LAYOUT.variables.get(name, name): value
                for name, value in region.example.attributes.items()
            }
            for dialect in possible_dialects({}):
                before, after = (
                    run_snippet(text, values, dialect).get("cxr_skill")
                    for text in texts
                )
                assert is_queue_of(before, region.before), (seed, dialect, values)
                assert is_queue_of(after, region.after), (seed, dialect, values)
                tried += 1
    assert tried > 16 * pairs
