"""`read_block` returns exactly the rules that `build_block` wrote."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest

from reconciler.core.model.live import marker_digest
from reconciler.core.target import NotStorableError
from reconciler.targets.studio.build import BlockEntry, build_block
from reconciler.targets.studio.layout import BlockLayout, storable_rule
from reconciler.targets.studio.read import read_block
from tests.support.studio_rules import (
    HIGHEST_FIRST,
    LAYOUT,
    block_of,
    entries_of,
    odd_rule,
    rebuilt,
)
from tests.tiers import size

LISTS = size(fast=15, slow=75, full=1500)


@pytest.mark.generated
@pytest.mark.parametrize(
    "layout", [LAYOUT, HIGHEST_FIRST], ids=["lowest-first", "highest-first"]
)
def test_a_block_is_read_as_the_rules_it_was_built_from(layout: BlockLayout) -> None:
    """Rules, order, addresses and digests are equal, for hostile names, ties, splits, and disabled
    rules.
    """
    for seed in range(LISTS):
        random = Random(f"round trip {seed}")
        entries = entries_of(
            [odd_rule(random) for _ in range(random.choice((0, 1, 2, 5, 9)))], layout
        )
        text = build_block(entries, layout, {"4001": "Fraud Desk"})
        block = read_block(text, layout)
        expected = {str(entry.address): (entry.rule, entry.digest) for entry in entries}
        assert expected == {rule.id: (rule.rule, rule.digest) for rule in block}, text
        assert [rule.digest for rule in block] == [
            marker_digest(rule.rule) for rule in block
        ]
        keys = [layout.order_key(rule.rule, rule.id) for rule in block]
        assert keys == sorted(keys)
        assert text == rebuilt(block, layout)


@pytest.mark.generated
def test_equal_rules_have_equal_text() -> None:
    """The text does not depend on the order of the entries, and a block of its own rules as they
    were read is equal.
    """
    for seed in range(LISTS // 3):
        random = Random(f"bytes {seed}")
        entries = entries_of(
            [odd_rule(random) for _ in range(random.choice((0, 1, 6)))], LAYOUT
        )
        text = build_block(entries, LAYOUT, {"12": "Desk"})
        assert text == build_block(
            random.sample(entries, len(entries)), LAYOUT, {"12": "Desk"}
        )
        retained = [
            BlockEntry(rule.rule, rule.address, rule.digest, rule.text)
            for rule in read_block(text, LAYOUT)
        ]
        assert text == build_block(random.sample(retained, len(retained)), LAYOUT, {})


@pytest.mark.generated
def test_a_storable_rule_is_stored_as_it_is() -> None:
    """`storable_rule` changes nothing the second time, not even the digest."""
    for seed in range(LISTS):
        rule = storable_rule(odd_rule(Random(f"twice {seed}")), LAYOUT)
        again = storable_rule(rule, LAYOUT)
        assert rule == again
        assert [getattr(part, "raw_value", None) for part in rule.conditions] == [
            getattr(part, "raw_value", None) for part in again.conditions
        ]
        assert marker_digest(rule) == marker_digest(again)


@pytest.mark.generated
def test_a_large_block_is_read() -> None:
    """Size alone changes nothing; `make bench` says how long it takes."""
    random = Random("size")
    rules = [
        replace(odd_rule(random), name="name", description="")
        for _ in range(size(fast=60, slow=300, full=5000))
    ]
    entries = entries_of(rules, LAYOUT)
    text = build_block(entries, LAYOUT, {})
    block = read_block(text, LAYOUT)
    assert text == rebuilt(block)
    assert {entry.rule for entry in entries} == {rule.rule for rule in block}


def test_a_block_that_could_not_be_read_is_not_built() -> None:
    """More characters than a snippet can have are an error when the block is built."""
    rules = [
        replace(odd_rule(Random("long")), description="x" * 1_000_000) for _ in range(6)
    ]
    with pytest.raises(NotStorableError, match="more than 5,242,880 characters"):
        block_of(rules)


def test_line_numbers_and_queue_names_are_those_of_the_text() -> None:
    """A rule's line is the line of its comment; names of queues have no brace and no line end."""
    text = block_of([odd_rule(Random("lines")) for _ in range(1)])
    lines = text.split("\n")
    for rule in read_block(text, LAYOUT, 101):
        assert (
            lines[rule.line - 101]
            .strip()
            .startswith(f"// cxroute:rule {rule.address}#")
        )
        assert rule.text.split("\n")[0] == lines[rule.line - 101]
        assert set(rule.queue_names.values()) <= {"Fraud Desk", "Ü Desk"}
