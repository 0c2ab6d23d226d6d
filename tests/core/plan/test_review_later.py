"""Changes of several times as one, where a live rule has a leftover of the same address."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final

from reconciler.core.plan.review_later import (
    ChangeFacts,
    ReviewedBoundary,
    join_changes,
)

ADDRESS: Final = "cards/vip"
OLD: Final = {"name": "old"}
NEW: Final = {"name": "new"}
LATER: Final = {"name": "later"}
UPDATE: Final = ChangeFacts("update", ADDRESS, "1", OLD, NEW)
LEFTOVER: Final = ChangeFacts("delete", ADDRESS, "2", OLD, None)


def joined(first: Iterable[ChangeFacts], *later: ChangeFacts) -> frozenset[str]:
    boundary = ReviewedBoundary(datetime(2026, 12, 10, tzinfo=UTC), later, ())
    return join_changes([change.identity for change in first], [boundary])


def test_a_leftover_does_not_allow_to_delete_the_rule() -> None:
    """In either order of the two changes of one plan."""
    following = ChangeFacts("update", ADDRESS, "1", NEW, LATER)
    both = ChangeFacts("update", ADDRESS, "1", OLD, LATER)
    expected = {each.identity for each in (UPDATE, LEFTOVER, following, both)}
    for first in ((UPDATE, LEFTOVER), (LEFTOVER, UPDATE)):
        assert expected == joined(first, following)


def test_a_rule_that_ends_and_begins_again_is_one_update() -> None:
    """The rule that begins again has no id in the plan."""
    end = ChangeFacts("delete", ADDRESS, "1", OLD, None)
    again = ChangeFacts("create", ADDRESS, None, None, NEW)
    one = ChangeFacts("update", ADDRESS, "1", OLD, NEW)
    assert {each.identity for each in (end, again, one)} == joined([], end, again)


def test_nothing_joins_the_begin_and_the_end_of_a_rule() -> None:
    begin = ChangeFacts("create", ADDRESS, None, None, NEW)
    end = ChangeFacts("delete", ADDRESS, None, NEW, None)
    assert {begin.identity, end.identity} == joined([begin], end)
