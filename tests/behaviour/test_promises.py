"""The facts about promises agree with every representative input, on thousands of small lists."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest

from reconciler.behaviour.diff.promises import check_promises
from tests.support.random_promises import PromiseOracle, a_promise, addressed
from tests.support.random_rules import a_list, chance
from tests.tiers import FULL

BLOCKS = 10
SIZE = 300


@pytest.mark.parametrize("block", range(BLOCKS))
def test_violations_are_sound_complete_and_disjoint(block: int) -> None:
    """A promise holds exactly if no input breaks it; otherwise each input that breaks it is in one region."""
    for seed in range(block * SIZE, (block + 1) * SIZE):
        random = Random(f"promise {seed}")
        rules = a_list(random, 5 if seed % 4 else 9)
        evaluation = "highest-first" if chance(random, 0.25) else "lowest-first"
        stated = a_promise(random, rules)
        (facts,) = check_promises(addressed(rules), [stated.promise], evaluation)
        PromiseOracle(rules, stated, evaluation).check(facts)
        assert facts.complete
