"""What an undo wants of each rule that a run wrote: put back only where the rule is as the run left it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from reconciler.desired.desired import DesiredRule, DesiredState
from reconciler.journal.history import RecordedChange
from reconciler.journal.journal import RecordedRun
from reconciler.journal.undo import build_undo_state
from reconciler.manifest.kinds.ruleset import AdoptById
from reconciler.model.live import LiveRule, Marker, copy_name, marker_digest
from reconciler.model.rule import Queue, Rule, Target
from reconciler.plan.plan import LiveState
from tests.support.builders import OWNER, QUEUES, address, desired, managed, rule, unmanaged, wanted

X, Y = address("cards/x"), address("cards/y")
RUN = RecordedRun(id="the-run", start={}, changes=(), end={})
BEFORE, AFTER = rule("x"), rule("x", priority=7)
BY_HAND = unmanaged("id-x", BEFORE)
ADOPTED = managed("id-x", "cards/x", AFTER)
ADOPTION = RecordedChange(address=X, before=BY_HAND, after=ADOPTED, id="id-x", is_confirmed=True)
CREATION = RecordedChange(address=X, before=None, after=ADOPTED, id="id-x", is_confirmed=True)
CHANGE = RecordedChange(
    address=X, before=managed("id-x", "cards/x", BEFORE), after=ADOPTED, id="id-x", is_confirmed=True
)
DELETION = RecordedChange(
    address=X, before=managed("id-x", "cards/x", BEFORE), after=None, id="id-x", is_confirmed=True
)
RELEASE = RecordedChange(
    address=X, before=managed("id-x", "cards/x", AFTER), after=BY_HAND, id="id-x", is_confirmed=True
)
EDITED = managed("id-x", "cards/x", rule("x", priority=99), last_written=AFTER, dateModified="2026-11-25T11:00:00Z")


def undone(
    deed: RecordedChange,
    *live: LiveRule,
    later: Sequence[RecordedRun] = (),
    manifests: DesiredState | None = None,
    queues: tuple[Queue, ...] = QUEUES,
) -> DesiredState:
    """What is to be live so that one change of the run is undone."""
    return build_undo_state(RUN, [deed], later, LiveState(live, queues), manifests or desired())


def left(found: DesiredState) -> dict[str, str]:
    return {str(where): why for where, why in found.skipped.items()}


def wants(found: DesiredState) -> dict[str, Rule]:
    return {str(where): one.rule for where, one in found.rules.items()}


def told(found: DesiredState) -> list[tuple[str, str]]:
    return [(one.code, one.message) for one in found.findings]


def later(status: str = "applied", **start: str) -> RecordedRun:
    """A run behind the one that is undone, which wrote the rule, or tried to."""
    return RecordedRun(
        id="later",
        start={"who": "eve", "at": "12:00", **start},
        changes=({"address": "cards/x", "status": status},),
        end={},
    )


# An adoption


def test_an_adoption_is_undone_by_giving_the_rule_back() -> None:
    """As it was made by hand; which rule that is, its id says."""
    found = undone(ADOPTION, ADOPTED)
    assert ({"cards/x": BEFORE}, {}, "id-x") == (wants(found), left(found), found.rules[X].unadopted_id)
    assert frozenset([X]) == found.scope


def test_an_adopted_rule_that_was_edited_since_is_left_alone() -> None:
    """Somebody's edit is not undone with the adoption, and when it was made is told."""
    found = undone(ADOPTION, EDITED)
    assert {"cards/x": "changed in CXone since, last at 2026-11-25T11:00:00Z"} == left(found)
    assert frozenset([X]) == found.scope


def test_an_adopted_rule_that_a_later_run_wrote_is_left_alone() -> None:
    """With that run, who started it, and what to do first."""
    now = managed("id-x", "cards/x", rule("x", priority=8))
    assert {"cards/x": "changed since by run later (eve, 12:00): undo that one first"} == left(
        undone(ADOPTION, now, later=[later()])
    )
    assert {"cards/x": "changed since, and this journal does not say by whom"} == left(undone(ADOPTION, now))


def test_an_adopted_rule_that_sent_to_a_queue_which_is_gone_is_left_alone() -> None:
    """Nothing can be given back that the tenant would refuse."""
    found = undone(ADOPTION, ADOPTED, queues=QUEUES[1:])
    assert {"cards/x": "a queue that it sent to is gone (q-cards)"} == left(found)


def test_an_adoption_that_was_undone_already_wants_nothing() -> None:
    """The rule is nobody's, and as it was; with another value it is told of."""
    assert ({}, frozenset(), []) == (
        wants(undone(ADOPTION, BY_HAND)),
        undone(ADOPTION, BY_HAND).scope,
        told(undone(ADOPTION, BY_HAND)),
    )
    expected = [("CXR311", "the rule that was taken over is not ours any more")]
    assert expected == told(undone(ADOPTION, unmanaged("id-x", AFTER)))
    assert expected == told(undone(ADOPTION))
    assert expected == told(undone(ADOPTION, replace(ADOPTED, id="id-z")))


def test_a_rule_is_not_given_back_under_a_taken_name() -> None:
    """Ours has another name by now, and a rule of somebody else has its old one."""
    renamed = managed("id-x", "cards/x", rule("x 2"))
    found = undone(replace(ADOPTION, after=renamed), renamed, unmanaged("id-z", rule("x")))
    assert [("CXR311", 'it is not put back: a rule that is not ours is named "x" now')] == told(found)
    assert ({}, {}) == (wants(found), left(found))


# An adoption that was undone


def adopting(adopt: str | AdoptById) -> DesiredState:
    one: DesiredRule = wanted("cards/x", AFTER, adopt=adopt)
    return desired(one)


@pytest.mark.parametrize("adopt", ["x", AdoptById(id="id-x")], ids=["by name", "by id"])
def test_a_rule_is_taken_over_again_where_the_manifests_adopt_just_that(adopt: str | AdoptById) -> None:
    """And it is as it was given back."""
    found = undone(RELEASE, BY_HAND, manifests=adopting(adopt))
    assert ({"cards/x": AFTER}, adopt, []) == (wants(found), found.rules[X].adopt, told(found))


@pytest.mark.parametrize(
    ("adopt", "live"),
    [
        ("another", [BY_HAND]),
        (AdoptById(id="id-z"), [BY_HAND]),
        ("x", [BY_HAND, unmanaged("id-z", rule("x"))]),
        ("x", [unmanaged("id-x", rule("x", priority=99))]),
        ("x", [managed("id-x", "cards/x", BEFORE, owner="eve")]),
        ("x", []),
    ],
    ids=["another name", "another id", "two of the name", "edited", "of another owner", "gone"],
)
def test_a_rule_is_not_taken_over_again_otherwise(adopt: str | AdoptById, live: list[LiveRule]) -> None:
    """A journal alone takes no rule over: that is told, and nothing is wanted."""
    found = undone(RELEASE, *live, manifests=adopting(adopt))
    assert [("CXR311", "the rule was given back and is not ours")] == told(found)
    assert ({}, frozenset()) == (wants(found), found.scope)


def test_a_rule_that_was_taken_over_again_already_wants_nothing() -> None:
    """It is ours and as it was before."""
    found = undone(RELEASE, ADOPTED)
    assert ({}, frozenset(), []) == (wants(found), found.scope, told(found))


# Creates, updates, deletes


def test_a_rule_that_was_created_is_to_go_unless_it_was_edited() -> None:
    """About its address, with nothing wanted there; gone already, it is no matter of the undo."""
    found = undone(CREATION, ADOPTED)
    assert ({}, {}, frozenset([X])) == (wants(found), left(found), found.scope)
    assert {"cards/x": "changed in CXone since, last at 2026-11-25T11:00:00Z"} == left(undone(CREATION, EDITED))
    assert frozenset() == undone(CREATION).scope


def test_a_rule_that_was_changed_is_to_be_as_before_unless_it_was_edited() -> None:
    """An edit that put it back already is nothing to do."""
    found = undone(CHANGE, ADOPTED)
    assert ({"cards/x": BEFORE}, {}) == (wants(found), left(found))
    assert {"cards/x": "changed in CXone since, last at 2026-11-25T11:00:00Z"} == left(undone(CHANGE, EDITED))
    assert {"cards/x": "deleted since, and this journal does not say by whom"} == left(undone(CHANGE))
    back = undone(CHANGE, managed("id-x", "cards/x", BEFORE))
    assert ({}, frozenset()) == (wants(back), back.scope)


def test_a_rule_that_was_deleted_is_to_be_again_unless_another_is_there() -> None:
    """Made again since, by somebody: that one is left alone."""
    found = undone(DELETION)
    assert ({"cards/x": BEFORE}, {}) == (wants(found), left(found))
    other = managed("id-z", "cards/x", rule("x", priority=8))
    assert {"cards/x": "made again since, and this journal does not say by whom"} == left(undone(DELETION, other))
    assert [("CXR311", 'it is not put back: a rule that is not ours is named "x" now')] == told(
        undone(DELETION, unmanaged("id-z", BEFORE))
    )


def test_a_rule_that_came_from_another_address_goes_back_there() -> None:
    """Both addresses are meant; where one has moved in meanwhile, both are left alone."""
    deed = RecordedChange(
        address=X, before=managed("id-x", "cards/y", BEFORE), after=ADOPTED, id="id-x", is_confirmed=True
    )
    found = undone(deed, ADOPTED)
    assert ({"cards/y": BEFORE}, {}, frozenset([X, Y])) == (wants(found), left(found), found.scope)
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
def test_an_unsure_change_belongs_to_its_run_unless_a_later_run_wrote(
    status: str, start: dict[str, str], *, alone: bool
) -> None:
    """A later run may have made the same; one that undoes this run is no rival."""
    deed = replace(CHANGE, is_confirmed=False)
    found = undone(deed, ADOPTED, later=[later(status, **start)])
    assert alone is ({} == left(found))


def test_an_unsure_change_that_shows_neither_state_is_left_alone() -> None:
    """No answer came, and the rule is neither as before nor as after."""
    now = managed("id-x", "cards/x", rule("x", priority=8))
    said = "run the-run did not get an answer for it, and it is neither as before nor as after"
    assert {"cards/x": said} == left(undone(replace(CHANGE, is_confirmed=False), now))


@pytest.mark.parametrize("suffix", ["", ", renamed"])
def test_a_temporary_name_from_an_interrupted_run_is_not_an_edit(suffix: str) -> None:
    """But for the name it is the same; under any other name it was changed."""
    name = copy_name(OWNER, X) + suffix
    aside = replace(AFTER, name=name)
    assert {} == left(undone(CHANGE, managed("id-x", "cards/x", aside)))
    assert {} != left(undone(CHANGE, managed("id-x", "cards/x", replace(AFTER, name=f"{name} 2"))))


def test_a_temporary_copy_that_a_run_left_goes_with_the_undo() -> None:
    """Although the rule itself is as it was before the run."""
    temporary = replace(AFTER, name=copy_name(OWNER, X))
    copy = LiveRule("id-c", temporary, Marker(OWNER, X, marker_digest(temporary), copy=True), {})
    found = undone(CHANGE, managed("id-x", "cards/x", BEFORE), copy)
    assert ({"cards/x": BEFORE}, frozenset([X])) == (wants(found), found.scope)
    found = undone(CREATION, copy)
    assert ({}, frozenset([X])) == (wants(found), found.scope)


def test_nothing_is_undone_where_several_rules_share_the_marker() -> None:
    """CXR311, with what to do first."""
    twins = [
        managed(f"id-{n}", "cards/x", rule("x", priority=n), last_written=AFTER, dateCreated="2026-01-01T00:00:00Z")
        for n in (1, 2)
    ]
    found = undone(CHANGE, *twins)
    assert [("CXR311", "several live rules have its marker, and nothing says which is ours")] == told(found)
    assert ({}, frozenset(), "keep one of them in CXone, and undo the run again") == (
        wants(found),
        found.scope,
        found.findings[0].hint,
    )


# What people and the tenant wrote is shown within bounds


def test_what_is_told_of_a_later_run_and_of_an_edit_is_cut() -> None:
    """A journal and a tenant are from outside: no line is filled with one name or one date."""
    now = managed("id-x", "cards/x", rule("x", priority=8))
    run = RecordedRun(id="r" * 200, start={"who": "w" * 200, "at": "a" * 200}, changes=later().changes, end={})
    told_of = f"changed since by run {'r' * 130} ({'w' * 60}, {'a' * 60}): undo that one first"
    assert {"cards/x": told_of} == left(undone(CHANGE, now, later=[run]))
    edited = managed("id-x", "cards/x", rule("x", priority=9), last_written=AFTER, dateModified="d" * 200)
    assert {"cards/x": f"changed in CXone since, last at {'d' * 40}"} == left(undone(CHANGE, edited))


def test_of_several_queues_that_are_gone_the_first_is_named() -> None:
    """By its id, in order."""
    deed = replace(CHANGE, before=managed("id-x", "cards/x", rule("x", targets=[Target("z", 1), Target("g", 1)])))
    assert {"cards/x": "a queue that it sent to is gone (g)"} == left(undone(deed, ADOPTED))


def test_what_is_not_taken_over_again_says_how_to() -> None:
    """The way is in the manifest."""
    (finding,) = undone(RELEASE, BY_HAND).findings
    assert "take it over with `adopt:` in the manifest" == finding.hint
