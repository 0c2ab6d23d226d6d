"""Lists are compared with the known state: a replica that is behind, one missing rule, many missing
rules.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from reconciler.core.apply.known_state import MAX_SINGLE_READS, KnownState
from reconciler.core.errors import IncompleteReadError
from reconciler.core.model.live import (
    FetchedRule,
    LiveRule,
    Marker,
    WritePayload,
    marker_digest,
)
from tests.support.builders import OWNER, address, managed, rule, unmanaged

A = managed("1", "cards/a", rule("a"))
B = managed("2", "cards/b", rule("b"))
THEIRS = unmanaged("3", rule("c"))
A_NOW = managed("1", "cards/a", rule("a", priority=1))


class Replica:
    """A server whose lists and single rules may differ; `looked_up` has the rules that were read by
    id.
    """

    def __init__(
        self, lists: Sequence[Sequence[LiveRule]], truth: Sequence[LiveRule]
    ) -> None:
        self.lists, self.truth = list(lists), {item.id: item for item in truth}
        self.looked_up: list[str] = []

    async def rules(self) -> tuple[LiveRule, ...]:
        """Return the next list."""
        return tuple(self.lists.pop(0))

    async def rule(self, rule_id: str) -> FetchedRule | None:
        """Return the true state of one rule."""
        self.looked_up.append(rule_id)
        actual = self.truth.get(rule_id)
        return None if actual is None else FetchedRule(actual)


def read(sight: KnownState) -> set[str]:
    return {f"{item.id} {item.rule.priority}" for item in asyncio.run(sight.read())}


def test_a_list_that_matches_is_trusted() -> None:
    """Nothing is read by id, and a new unmanaged rule is seen."""
    server = Replica([[A, B, THEIRS]], [])
    assert {"1 100", "2 100", "3 100"} == read(KnownState(server, [A, B]))
    assert [] == server.looked_up


def test_a_rule_missing_in_a_list_is_read_by_id() -> None:
    """One still exists, one is deleted."""
    server = Replica([[A], [A, B]], [B])
    sight = KnownState(server, [A, B, THEIRS])
    assert {"1 100", "2 100"} == read(sight)
    assert ["2", "3"] == server.looked_up
    assert {"1 100", "2 100"} == read(sight)
    assert ["2", "3"] == server.looked_up


def test_a_rule_that_differs_in_a_list_is_read_by_id() -> None:
    """The list is behind the acknowledged state, or the rule was edited: the rule itself
    decides.
    """
    subject = WritePayload(
        A_NOW.rule, Marker(OWNER, address("cards/a"), marker_digest(A_NOW.rule))
    )
    for truth, expected in ((A_NOW, "1 1"), (A, "1 100")):
        server = Replica([[A]], [truth])
        sight = KnownState(server, [A])
        sight.record_write("1", subject)
        assert {expected} == read(sight)
        assert ["1"] == server.looked_up


def test_a_deleted_rule_that_is_still_listed_is_read_by_id() -> None:
    """It does not exist; a list that still shows it leads to another read."""
    server = Replica([[A, B], [A, B]], [A])
    sight = KnownState(server, [A, B])
    sight.record_write("2", None)
    assert {"1 100"} == read(sight)
    assert {"1 100"} == read(sight)
    assert ["2", "2"] == server.looked_up


def test_a_list_with_many_missing_rules_is_not_trusted() -> None:
    """One more than are read by id: an error with the number; exactly as many: each is read."""
    for count in (MAX_SINGLE_READS, MAX_SINGLE_READS + 1):
        rules = [
            managed(str(number), f"cards/r{number}", rule(f"r{number}"))
            for number in range(count)
        ]
        server = Replica([[]], rules)
        if count <= MAX_SINGLE_READS:
            assert count == len(read(KnownState(server, rules)))
            continue
        with pytest.raises(
            IncompleteReadError,
            match=f"^{count} rules of the previous read are missing",
        ):
            read(KnownState(server, rules))
        assert [] == server.looked_up


def test_of_many_differing_rules_the_list_is_trusted() -> None:
    """They were all edited; reading each would take longer than planning again."""
    before = [
        managed(str(number), f"cards/r{number}", rule(f"r{number}"))
        for number in range(MAX_SINGLE_READS + 1)
    ]
    after = [
        managed(item.id, f"cards/r{item.id}", rule(f"r{item.id}", priority=7))
        for item in before
    ]
    server = Replica([after], [])
    assert {f"{item.id} 7" for item in after} == read(KnownState(server, before))
    assert [] == server.looked_up


def test_rules_of_this_run_are_not_missing() -> None:
    """Independent of the number that no list shows: each is read by id, also the one that was
    deleted again.
    """
    created = [
        managed(str(number), f"cards/r{number}", rule(f"r{number}"))
        for number in range(MAX_SINGLE_READS + 10)
    ]
    server = Replica([[], [], created], created)
    sight = KnownState(server, [])
    for item in created:
        sight.record_write(
            item.id,
            WritePayload(
                item.rule,
                Marker(OWNER, address(f"cards/r{item.id}"), marker_digest(item.rule)),
            ),
        )
    assert len(created) == len(read(sight))
    sight.record_write("0", None)  # acknowledged, and not done
    assert len(created) == len(read(sight))
    server.looked_up.clear()
    assert len(created) == len(read(sight))
    assert [] == server.looked_up
