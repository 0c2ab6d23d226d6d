"""The managed live rules, and the causes of differences."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from reconciler.core.model.live import LiveRule, marker_digest
from reconciler.core.plan.ownership import classify_by_owner, find_cause
from tests.support.builders import OWNER, address, managed, rule, unmanaged
from tests.support.cases import each_case


def test_only_an_exact_marker_makes_a_rule_managed() -> None:
    """Rules without a marker, and those of other owners, are unmanaged."""
    own_side = managed("1", "cards/a", rule("a"))
    candidate = managed("2", "cards/b", rule("b"), owner="acme-2")
    hand_made = unmanaged("3", rule("c"))
    owned = classify_by_owner([hand_made, candidate, own_side], OWNER)
    assert {address("cards/a"): own_side} == owned.managed
    assert (candidate, hand_made) == owned.unmanaged


@each_case(
    "created, first",
    [
        (("2026-01-02T00:00:00Z", "2026-01-01T00:00:00Z"), "2"),
        (("2026-01-01T02:00:00+02:00", "2026-01-01T01:00:00Z"), "1"),
        (("2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z"), "1"),
        ((None, "2026-01-01T00:00:00Z"), "2"),
        ((None, None), "1"),
        (("yesterday", 7), "1"),
        (("2026-02-30T00:00:00Z", "2026-01-01T00:00:00Z"), "2"),
        (("2026-01-01T00:00:00Z", "2000-01-01T00:00:00Z"), "2"),
        (("1999-12-31T23:59:59Z", "2000-01-01T00:00:00Z"), "2"),
    ],
)
def test_of_two_rules_with_one_marker_the_earliest_stays(
    created: tuple[object, object], first: str
) -> None:
    """Without dates, the smallest id; the other one is a duplicate if it was not edited."""
    twins = [
        managed(str(n), "cards/a", rule("a"), dateCreated=when)
        for n, when in enumerate(created, 1)
    ]
    owned = classify_by_owner(reversed(twins), OWNER)
    assert first == owned.managed[address("cards/a")].id
    assert [twin for twin in twins if twin.id != first] == list(owned.duplicates)


def test_an_edited_temporary_copy_stays_managed_while_it_has_its_name() -> None:
    """Its name would stay taken.

    A user's copy of it has another name, and is unmanaged after an edit.
    """

    def copy(rule_id: str, name: str, **edits: Any) -> LiveRule:
        created = managed(
            rule_id, "cards/a", rule(name, **edits), last_written=rule(name)
        )
        assert created.marker is not None
        return replace(created, marker=replace(created.marker, copy=True))

    complete = copy("1", "(next) acme/cards/a")
    edited = copy("2", "(next) acme/cards/a", priority=7)
    twin = copy("3", "(next) acme/cards/a (copy)")
    foreign_side = copy("4", "(next) acme/cards/a (copy)", priority=7)
    owned = classify_by_owner([complete, edited, twin, foreign_side], OWNER)
    assert ((complete, edited, twin), (foreign_side,)) == (
        owned.temporary_copies,
        owned.edited_copies,
    )


def test_an_edited_copy_is_not_a_duplicate() -> None:
    """A managed rule was copied in CXone, and the copy was edited: it is a user's rule."""
    own_side = managed("1", "cards/a", rule("a"), dateCreated="2026-01-01T00:00:00Z")
    clone = managed(
        "2",
        "cards/a",
        rule("a", priority=5),
        last_written=rule("a"),
        dateCreated="2026-02-01T00:00:00Z",
    )
    owned = classify_by_owner([own_side, clone], OWNER)
    assert (clone,) == owned.edited_copies
    assert () == owned.duplicates


OLD = "2026-01-01T00:00:00Z"
NEW = "2026-02-01T00:00:00Z"
NO_DATES = [
    *((None, None), (OLD, OLD), (OLD, None), ("yesterday", OLD), ("", "")),
    *(
        (1767225600000, 1769904000000),
        ("1767225600000", "1769904000000"),
        ("20260101", "20260201"),
    ),
    *(
        ("0001-01-01T00:00:00Z", OLD),
        ("2026-01-01", "2026-02-01"),
        ("01/02/2026 10:00", NEW),
        ({"a": 1}, [NEW]),
    ),
]


def pair(
    first: str, second: str, dates: tuple[object, object], **fields: Any
) -> list[LiveRule]:
    """Return two rules with one marker, each `whole` or `edited`; `fields` are unknown fields of
    the second.
    """
    kinds = {
        "whole": rule("a"),
        "edited": rule("a", priority=5),
        "edited too": rule("a", priority=6),
    }
    further: tuple[dict[str, Any], ...] = ({}, fields)
    return [
        managed(
            str(n),
            "cards/a",
            kinds[kind],
            last_written=rule("a"),
            dateCreated=date,
            **further[n - 1],
        )
        for n, (kind, date) in enumerate(zip((first, second), dates, strict=True), 1)
    ]


@each_case("dates", [(OLD, NEW), (NEW, OLD), *NO_DATES])
@each_case("kinds", [("whole", "edited"), ("edited", "whole")])
def test_the_unedited_rule_is_managed_with_any_dates(
    kinds: tuple[str, str], dates: tuple[object, object]
) -> None:
    """Its edited copy, or the edited original with an unedited copy, is a user's rule: it is never
    written.
    """
    rules = pair(*kinds, dates)
    complete = rules[kinds.index("whole")]
    edited = rules[kinds.index("edited")]
    owned = classify_by_owner(rules, OWNER)
    assert ({address("cards/a"): complete}, (), (edited,), {}) == (
        *(owned.managed, owned.duplicates, owned.edited_copies, owned.ambiguous),
    )


@pytest.mark.fast_cases(12)
@pytest.mark.parametrize("dates", NO_DATES)
@pytest.mark.parametrize(
    ("kinds", "fields"),
    [
        (("edited", "edited too"), {}),
        (("edited", "edited"), {}),
        (("whole", "whole"), {"d": 1}),
    ],
)
def test_without_usable_dates_two_edited_rules_stay(
    kinds: tuple[str, str], fields: dict[str, Any], dates: tuple[object, object]
) -> None:
    """Missing, equal, a number, only a day, a placeholder year, or not ISO 8601: neither is
    changed.
    """
    rules = tuple(pair(*kinds, dates, **fields))
    owned = classify_by_owner(rules, OWNER)
    assert {address("cards/a"): rules} == owned.ambiguous
    assert ({}, (), rules) == (owned.managed, owned.duplicates, owned.edited_copies)


@pytest.mark.parametrize(("dates", "ours"), [((OLD, NEW), 0), ((NEW, OLD), 1)])
@pytest.mark.parametrize(
    ("kinds", "fields"),
    [(("edited", "edited too"), {}), (("whole", "whole"), {"schedule": {"id": 7}})],
)
def test_usable_dates_show_which_of_two_edited_rules_is_managed(
    kinds: tuple[str, str], fields: dict[str, Any], dates: tuple[str, str], ours: int
) -> None:
    """The oldest is the original; the other one is a user's rule."""
    rules = pair(*kinds, dates, **fields)
    owned = classify_by_owner(rules, OWNER)
    assert {address("cards/a"): rules[ours]} == owned.managed
    assert ((), (rules[1 - ours],), {}) == (
        owned.duplicates,
        owned.edited_copies,
        owned.ambiguous,
    )


def test_an_edited_copy_does_not_stop_the_removal_of_duplicates() -> None:
    """Of two unedited rules one is a duplicate; the edited one is a user's rule."""
    first, edited = pair("whole", "edited", (None, None))
    twin = managed("3", "cards/a", rule("a"))
    owned = classify_by_owner([twin, edited, first], OWNER)
    assert {address("cards/a"): first} == owned.managed
    assert ((twin,), (edited,)) == (owned.duplicates, owned.edited_copies)


@pytest.mark.parametrize(
    ("live", "wanted", "expected"),
    [
        ("old", "new", "manifest"),
        ("edited", "old", "drift"),
        ("edited", "new", "both"),
        ("old", "old", "manifest"),
    ],
)
def test_the_digest_shows_the_cause_of_the_difference(
    live: str, wanted: str, expected: str
) -> None:
    """Live differs from the digest: edited.

    Desired differs from the digest: the manifest changed.
    """
    rules = {
        "old": rule(priority=1),
        "new": rule(priority=2),
        "edited": rule(priority=3),
    }
    actual = managed("1", "cards/vip", rules[live], last_written=rules["old"])

    assert expected == find_cause(actual, marker_digest(rules[wanted]))
