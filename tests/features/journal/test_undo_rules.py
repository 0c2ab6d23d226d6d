"""The undo of each rule that a run wrote: a rule is restored only if it has not changed since the
run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from reconciler.core.desired.desired import DesiredState
from reconciler.core.desired.desired_rule import DesiredRule
from reconciler.core.manifest.kinds.ruleset import AdoptById
from reconciler.core.model.live import LiveRule, Marker, copy_name, marker_digest
from reconciler.core.model.rule import Queue, Rule, Target
from reconciler.core.plan.stages import LiveState
from reconciler.features.journal.history import RecordedChange, RecordedRun
from reconciler.features.journal.undo import build_undo_state
from tests.support.builders import (
    OWNER,
    QUEUES,
    address,
    desired,
    managed,
    rule,
    unmanaged,
    wanted,
)
from tests.support.cases import each_case

X = address("cards/x")
Y = address("cards/y")
RUN = RecordedRun(id="the-run", start={}, changes=(), end={})
BEFORE = rule("x")
AFTER = rule("x", priority=7)
BY_HAND = unmanaged("id-x", BEFORE)
ADOPTED = managed("id-x", "cards/x", AFTER)
ADOPTION = RecordedChange(
    address=X, before=BY_HAND, after=ADOPTED, id="id-x", is_confirmed=True
)
CREATION = RecordedChange(
    address=X, before=None, after=ADOPTED, id="id-x", is_confirmed=True
)
CHANGE = RecordedChange(
    address=X,
    before=managed("id-x", "cards/x", BEFORE),
    after=ADOPTED,
    id="id-x",
    is_confirmed=True,
)
DELETION = RecordedChange(
    address=X,
    before=managed("id-x", "cards/x", BEFORE),
    after=None,
    id="id-x",
    is_confirmed=True,
)
RELEASE = RecordedChange(
    address=X,
    before=managed("id-x", "cards/x", AFTER),
    after=BY_HAND,
    id="id-x",
    is_confirmed=True,
)
EDITED = managed(
    "id-x",
    "cards/x",
    rule("x", priority=99),
    last_written=AFTER,
    dateModified="2026-11-25T11:00:00Z",
)


def undone(
    deed: RecordedChange,
    *live: LiveRule,
    later: Sequence[RecordedRun] = (),
    manifests: DesiredState | None = None,
    queues: tuple[Queue, ...] = QUEUES,
) -> DesiredState:
    """The desired rules that undo one change of the run."""
    return build_undo_state(
        RUN, [deed], later, LiveState(live, queues), manifests or desired()
    )


def left(found: DesiredState) -> dict[str, str]:
    return {str(where): why for where, why in found.skipped.items()}


def wants(found: DesiredState) -> dict[str, Rule]:
    return {str(where): rule.rule for where, rule in found.rules.items()}


def told(found: DesiredState) -> list[tuple[str, str]]:
    return [(finding.code, finding.message) for finding in found.findings]


def later(status: str = "applied", **start: str) -> RecordedRun:
    """A run after the one to undo, which wrote the rule or tried to."""
    return RecordedRun(
        id="later",
        start={"who": "eve", "at": "12:00", **start},
        changes=({"address": "cards/x", "status": status},),
        end={},
    )


# An adoption


def test_an_adoption_is_undone_by_releasing_the_rule() -> None:
    """The rule is in its original state; its id identifies it."""
    actual = undone(ADOPTION, ADOPTED)
    assert ({"cards/x": BEFORE}, {}, "id-x") == (
        wants(actual),
        left(actual),
        actual.rules[X].unadopted_id,
    )
    assert frozenset([X]) == actual.scope


def test_an_adopted_rule_that_was_edited_since_the_run_is_skipped() -> None:
    """The edit is kept, and the message contains its time."""
    actual = undone(ADOPTION, EDITED)
    assert {"cards/x": "changed in CXone since, last at 2026-11-25T11:00:00Z"} == left(
        actual
    )
    assert frozenset([X]) == actual.scope


def test_an_adopted_rule_that_a_later_run_wrote_is_skipped() -> None:
    """The message contains that run, its author, and what to do first."""
    now = managed("id-x", "cards/x", rule("x", priority=8))
    assert {
        "cards/x": "changed since by run later (eve, 12:00): undo that run first"
    } == left(undone(ADOPTION, now, later=[later()]))
    assert {
        "cards/x": "changed since; the journal does not contain the author"
    } == left(undone(ADOPTION, now))


def test_an_adopted_rule_whose_earlier_queue_no_longer_exists_is_skipped() -> None:
    """The tenant would refuse the write."""
    actual = undone(ADOPTION, ADOPTED, queues=QUEUES[1:])
    assert {"cards/x": "its earlier queue no longer exists (q-cards)"} == left(actual)


def test_an_adoption_that_was_undone_already_needs_no_change() -> None:
    """The rule is unmanaged and in its original state; another value causes a warning."""
    assert ({}, frozenset(), []) == (
        wants(undone(ADOPTION, BY_HAND)),
        undone(ADOPTION, BY_HAND).scope,
        told(undone(ADOPTION, BY_HAND)),
    )
    expected = [("CXR311", "the adopted rule is no longer managed")]
    assert expected == told(undone(ADOPTION, unmanaged("id-x", AFTER)))
    assert expected == told(undone(ADOPTION))
    assert expected == told(undone(ADOPTION, replace(ADOPTED, id="id-z")))


def test_a_rule_is_not_released_under_a_name_that_is_taken() -> None:
    """The managed rule has another name now, and an unmanaged rule has its old one."""
    renamed = managed("id-x", "cards/x", rule("x 2"))
    actual = undone(
        replace(ADOPTION, after=renamed), renamed, unmanaged("id-z", rule("x"))
    )
    assert [
        ("CXR311", 'it is not restored: an unmanaged rule has the name "x" now')
    ] == told(actual)
    assert ({}, {}) == (wants(actual), left(actual))


# An adoption that was undone


def adopting(adopt: str | AdoptById) -> DesiredState:
    item: DesiredRule = wanted("cards/x", AFTER, adopt=adopt)
    return desired(item)


@pytest.mark.parametrize("adopt", ["x", AdoptById(id="id-x")], ids=["by name", "by id"])
def test_a_released_rule_is_adopted_again_if_the_manifests_adopt_it(
    adopt: str | AdoptById,
) -> None:
    """The rule has not changed since its release."""
    actual = undone(RELEASE, BY_HAND, manifests=adopting(adopt))
    assert ({"cards/x": AFTER}, adopt, []) == (
        wants(actual),
        actual.rules[X].adopt,
        told(actual),
    )


@each_case(
    "adopt, live",
    [
        ("another", [BY_HAND]),
        (AdoptById(id="id-z"), [BY_HAND]),
        ("x", [BY_HAND, unmanaged("id-z", rule("x"))]),
        ("x", [unmanaged("id-x", rule("x", priority=99))]),
        ("x", [managed("id-x", "cards/x", BEFORE, owner="eve")]),
        ("x", []),
    ],
)
def test_a_released_rule_is_not_adopted_again_otherwise(
    adopt: str | AdoptById, live: list[LiveRule]
) -> None:
    """A journal alone adopts no rule: there is a warning and no desired rule."""
    actual = undone(RELEASE, *live, manifests=adopting(adopt))
    assert [("CXR311", "the rule was released and is not managed")] == told(actual)
    assert ({}, frozenset()) == (wants(actual), actual.scope)


def test_a_rule_that_was_adopted_again_already_needs_no_change() -> None:
    """The rule is managed and in its earlier state."""
    actual = undone(RELEASE, ADOPTED)
    assert ({}, frozenset(), []) == (wants(actual), actual.scope, told(actual))


# Creates, updates, deletes


def test_a_created_rule_is_deleted_unless_it_was_edited() -> None:
    """The scope has its address without a desired rule; a rule that was deleted already is not in
    the scope.
    """
    actual = undone(CREATION, ADOPTED)
    assert ({}, {}, frozenset([X])) == (wants(actual), left(actual), actual.scope)
    assert {"cards/x": "changed in CXone since, last at 2026-11-25T11:00:00Z"} == left(
        undone(CREATION, EDITED)
    )
    assert frozenset() == undone(CREATION).scope


def test_an_updated_rule_is_restored_unless_it_was_edited() -> None:
    """A rule that an edit restored already needs no change."""
    actual = undone(CHANGE, ADOPTED)
    assert ({"cards/x": BEFORE}, {}) == (wants(actual), left(actual))
    assert {"cards/x": "changed in CXone since, last at 2026-11-25T11:00:00Z"} == left(
        undone(CHANGE, EDITED)
    )
    assert {
        "cards/x": "deleted since; the journal does not contain the author"
    } == left(undone(CHANGE))
    back = undone(CHANGE, managed("id-x", "cards/x", BEFORE))
    assert ({}, frozenset()) == (wants(back), back.scope)


def test_a_deleted_rule_is_restored_unless_it_was_recreated() -> None:
    """A rule that was recreated since the run is skipped."""
    actual = undone(DELETION)
    assert ({"cards/x": BEFORE}, {}) == (wants(actual), left(actual))
    candidate = managed("id-z", "cards/x", rule("x", priority=8))
    assert {
        "cards/x": "recreated since; the journal does not contain the author"
    } == left(undone(DELETION, candidate))
    assert [
        ("CXR311", 'it is not restored: an unmanaged rule has the name "x" now')
    ] == told(undone(DELETION, unmanaged("id-z", BEFORE)))


def test_a_rule_returns_to_its_earlier_address() -> None:
    """Both addresses are in the scope; if the earlier one has another rule, both are skipped."""
    deed = RecordedChange(
        address=X,
        before=managed("id-x", "cards/y", BEFORE),
        after=ADOPTED,
        id="id-x",
        is_confirmed=True,
    )
    actual = undone(deed, ADOPTED)
    assert ({"cards/y": BEFORE}, {}, frozenset([X, Y])) == (
        wants(actual),
        left(actual),
        actual.scope,
    )
    moved_in = managed("id-z", "cards/y", rule("y"))
    assert ["cards/x", "cards/y"] == sorted(left(undone(deed, ADOPTED, moved_in)))


@pytest.mark.parametrize(
    ("status", "start", "alone"),
    [
        ("applied", {}, False),
        ("unknown", {}, False),
        ("failed", {}, True),
        ("skipped", {}, True),
        ("applied", {"undo": "the-run"}, True),
    ],
)
def test_an_unconfirmed_change_is_its_runs_unless_a_later_run_wrote(
    status: str, start: dict[str, str], *, alone: bool
) -> None:
    """A later run may have written the same values; an undo of this run does not count as a later
    run.
    """
    deed = replace(CHANGE, is_confirmed=False)
    actual = undone(deed, ADOPTED, later=[later(status, **start)])
    assert alone is ({} == left(actual))


def test_an_unconfirmed_change_in_neither_state_is_skipped() -> None:
    """There was no response, and the rule has neither its state before nor that after the run."""
    now = managed("id-x", "cards/x", rule("x", priority=8))
    text = (
        "run the-run got no response for it, and its state is neither that before nor that after "
        "the run"
    )
    assert {"cards/x": text} == left(undone(replace(CHANGE, is_confirmed=False), now))


@pytest.mark.parametrize("suffix", ["", ", renamed"])
def test_a_temporary_name_from_an_interrupted_run_is_not_an_edit(suffix: str) -> None:
    """A rule that differs by its temporary name only is unchanged; another name is an edit."""
    name = copy_name(OWNER, X) + suffix
    aside = replace(AFTER, name=name)
    assert {} == left(undone(CHANGE, managed("id-x", "cards/x", aside)))
    assert {} != left(
        undone(CHANGE, managed("id-x", "cards/x", replace(AFTER, name=f"{name} 2")))
    )


def test_an_undo_deletes_the_temporary_copy_of_the_run() -> None:
    """Even if the rule itself is in its state before the run."""
    temporary = replace(AFTER, name=copy_name(OWNER, X))
    copy = LiveRule(
        "id-c", temporary, Marker(OWNER, X, marker_digest(temporary), copy=True), {}
    )
    actual = undone(CHANGE, managed("id-x", "cards/x", BEFORE), copy)
    assert ({"cards/x": BEFORE}, frozenset([X])) == (wants(actual), actual.scope)
    actual = undone(CREATION, copy)
    assert ({}, frozenset([X])) == (wants(actual), actual.scope)


def test_a_change_is_skipped_if_several_rules_have_the_marker() -> None:
    """CXR311, with what to do first."""
    twins = [
        managed(
            f"id-{n}",
            "cards/x",
            rule("x", priority=n),
            last_written=AFTER,
            dateCreated="2026-01-01T00:00:00Z",
        )
        for n in (1, 2)
    ]
    actual = undone(CHANGE, *twins)
    assert [
        (
            "CXR311",
            "several live rules have its marker, so the managed rule is not known",
        )
    ] == told(actual)
    assert ({}, frozenset(), "keep one of them in CXone, and undo the run again") == (
        wants(actual),
        actual.scope,
        actual.findings[0].hint,
    )


# Text from outside is truncated


def test_texts_of_a_later_run_and_of_an_edit_are_truncated() -> None:
    """A journal and a tenant are not trusted: one name or date cannot fill a line."""
    now = managed("id-x", "cards/x", rule("x", priority=8))
    run = RecordedRun(
        id="r" * 200,
        start={"who": "w" * 200, "at": "a" * 200},
        changes=later().changes,
        end={},
    )
    told_of = f"changed since by run {'r' * 130} ({'w' * 60}, {'a' * 60}): undo that run first"
    assert {"cards/x": told_of} == left(undone(CHANGE, now, later=[run]))
    edited = managed(
        "id-x",
        "cards/x",
        rule("x", priority=9),
        last_written=AFTER,
        dateModified="d" * 200,
    )
    assert {"cards/x": f"changed in CXone since, last at {'d' * 40}"} == left(
        undone(CHANGE, edited)
    )


def test_the_first_of_several_deleted_queues_is_named() -> None:
    """By its id, in order."""
    deed = replace(
        CHANGE,
        before=managed(
            "id-x", "cards/x", rule("x", targets=[Target("z", 1), Target("g", 1)])
        ),
    )
    assert {"cards/x": "its earlier queue no longer exists (g)"} == left(
        undone(deed, ADOPTED)
    )


def test_the_warning_about_a_released_rule_says_how_to_adopt_it() -> None:
    """The hint names `adopt:` in the manifest."""
    (finding,) = undone(RELEASE, BY_HAND).findings
    assert "adopt it with `adopt:` in the manifest" == finding.hint
