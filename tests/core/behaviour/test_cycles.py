"""Breaking cycles of changes: no cycle remains, with few copies, and with no copy for cycles of
names.
"""

from __future__ import annotations

from itertools import combinations, permutations
from random import Random

import pytest

from reconciler.core.behaviour.ordering.graph import (
    Dependencies,
    SplitMoves,
    find_cycles,
)
from reconciler.core.behaviour.ordering.order import MAX_COPIES_SEARCHED, break_cycles
from tests.support.cases import each_case

NONE: frozenset[tuple[int, int]] = frozenset()


def ring(*moves: int) -> frozenset[tuple[int, int]]:
    """Return changes in a ring: each adds its rule before the next one removes its old rule."""
    return frozenset(zip(moves, (*moves[1:], moves[0]), strict=True))


def coming(
    edges: frozenset[tuple[int, int]], names: frozenset[tuple[int, int]] = NONE
) -> Dependencies:
    return Dependencies(edges, NONE, NONE, names)


@each_case("size", [2, 3, 16, 17, 40])
def test_one_copy_breaks_a_ring_of_any_size(size: int) -> None:
    """Up to sixteen changes each choice is tried; for more, the change with most links, less
    superfluous copies.
    """
    links = coming(ring(*range(size)))
    split = break_cycles(links, range(size), range(size))
    assert (1, frozenset()) == (len(split.copies), split.parked)
    assert [] == find_cycles(links.graph(range(size), split))


@pytest.mark.parametrize("size", [4, 18])
def test_where_each_waits_for_each_all_but_one_have_a_copy(size: int) -> None:
    links = coming(frozenset(permutations(range(size), 2)))
    split = break_cycles(links, range(size), range(size))
    assert size - 1 == len(split.copies)
    assert [] == find_cycles(links.graph(range(size), split))


def test_rings_through_one_change_need_its_copy_only() -> None:
    """The change with most links is chosen first, at any position."""
    links = coming(
        frozenset().union(*(ring(20, item, item + 1) for item in range(0, 20, 2)))
    )
    assert frozenset([20]) == break_cycles(links, range(21), range(21)).copies


def test_a_change_that_allows_no_copy_gets_none() -> None:
    """In a large ring only one change can be split; if no change can, the cycle remains and is
    reported.
    """
    links = coming(ring(*range(20)))
    assert frozenset([7]) == break_cycles(links, range(20), [7]).copies
    split = break_cycles(links, range(20), [])
    assert frozenset() == split.copies
    assert 1 == len(find_cycles(links.graph(range(20), split)))


def test_rules_that_exchange_names_need_a_second_call() -> None:
    """One rule of each cycle takes its name in a second call, without a copy."""
    links = coming(NONE, ring(0, 1, 2) | ring(3, 4))
    split = break_cycles(links, range(5), range(5))
    assert (frozenset(), 2) == (split.copies, len(split.parked))
    assert [] == find_cycles(links.graph(range(5), split))


def test_cycles_of_names_alone_are_broken_first() -> None:
    """One change that takes its name later breaks both cycles; starting with the mixed cycle would
    need two.
    """
    links = Dependencies(
        add_before_remove=frozenset({(2, 1)}),
        remove_before_remove=frozenset({(2, 3), (2, 0)}),
        add_before_add=frozenset({(0, 3), (1, 3)}),
        names=frozenset({(0, 1), (3, 2), (2, 3)}),
    )
    assert SplitMoves(parked=frozenset({2})) == break_cycles(links, range(4), [0, 1, 3])


def test_a_change_without_a_copy_takes_its_name_later() -> None:
    """A copy already has the temporary name that a parked rule would take."""
    links = coming(ring(0, 1), ring(0, 1))
    split = break_cycles(links, range(2), [0])
    assert (frozenset([0]), frozenset([1])) == (split.copies, split.parked)
    assert [] == find_cycles(links.graph(range(2), split))


@pytest.mark.fast_cases(8)
@pytest.mark.parametrize("seed", range(40))
def test_no_cycle_remains_and_few_copies_are_made(seed: int) -> None:
    """For random links; for up to seven changes without links of names, the number of copies is
    minimal.
    """
    draw = Random(seed)
    size = draw.randint(3, 7)
    pairs = list(permutations(range(size), 2))

    def some(most: int) -> frozenset[tuple[int, int]]:
        return frozenset(draw.sample(pairs, draw.randint(0, min(most, len(pairs)))))

    links = Dependencies(
        some(2 * size), some(size // 3), some(2), some(size // 2) if seed % 2 else NONE
    )
    split = break_cycles(links, range(size), range(size))
    assert breakable(links, size, links.names) == (
        find_cycles(links.graph(range(size), split)) == []
    )
    assert split.parked <= {takes for _, takes in links.names}
    fewest = next(
        (
            count
            for count in range(MAX_COPIES_SEARCHED + 1)
            for copies in combinations(range(size), count)
            if not find_cycles(links.graph(range(size), SplitMoves(frozenset(copies))))
        ),
        None,
    )
    if not links.names and fewest is not None:
        assert fewest == len(split.copies)


def breakable(
    links: Dependencies, size: int, names: frozenset[tuple[int, int]]
) -> bool:
    """Return whether no cycle remains if every change is split in every way."""
    everything = SplitMoves(
        frozenset(range(size)), frozenset(takes for _, takes in names)
    )
    return not find_cycles(links.graph(range(size), everything))


def test_beyond_the_limit_each_change_of_a_cycle_gets_a_copy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The search for the fewest copies ends at its limit."""
    monkeypatch.setattr(
        "reconciler.core.behaviour.ordering.order.MAX_DEPENDENCY_CHECKS", 0
    )
    links = coming(ring(*range(20)))
    split = break_cycles(links, range(25), range(25))
    assert frozenset(range(20)) == split.copies
    assert [] == find_cycles(links.graph(range(25), split))
