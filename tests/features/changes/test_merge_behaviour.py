"""The report of a merge agrees with every representative input, on thousands of small merges."""

from __future__ import annotations

from random import Random

import pytest

from reconciler.core.behaviour.routing_entry import order_entries
from reconciler.features.changes.merge_behaviour import MergeBehaviour, check_merge
from reconciler.features.changes.merge_document import merge_to_json
from tests.support.brute_force import Json
from tests.support.brute_force_checks import QUEUES
from tests.support.merge_oracle import Quadruple, a_quadruple, oracle_of
from tests.support.random_rules import entries
from tests.tiers import size

BLOCKS = 30
SIZE = size(fast=10, slow=50, full=100)
"""Quadruples in each block."""


def report(four: Quadruple, work: int | None = None) -> MergeBehaviour:
    lists = [order_entries(entries(rules), four.evaluation) for rules in four.versions]
    return check_merge(lists, work=work)


def document(four: Quadruple, work: int | None = None) -> Json:
    return merge_to_json(report(four, work), QUEUES)


@pytest.mark.generated
@pytest.mark.fast_cases(2)
@pytest.mark.parametrize("block", range(BLOCKS))
def test_a_merge_report_is_exact_disjoint_and_complete(block: int) -> None:
    """An input that the merge sends elsewhere than expected is in one row, and no other one is."""
    for seed in range(block * SIZE, (block + 1) * SIZE):
        four = a_quadruple(Random(f"merge {seed}"), 4 if seed % 4 else 7)
        oracle_of(four).check(document(four))
