"""The rules of every case, for any code: for each state, each request, each report, and the next
run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from reconciler.core import rule_json
from reconciler.core.model.change import (
    Applied,
    Create,
    Delete,
    Skipped,
    UnknownOutcome,
)
from tests.campaign.matrix_cases import MatrixCase
from tests.campaign.matrix_run import MatrixRun
from tests.campaign.matrix_tenant import FOREIGN, ODD, TENANT, UNKNOWN
from tests.campaign.oracle import Violation
from tests.campaign.world import SECRET
from tests.support.builders import managed
from tests.support.in_process_tenant import raw
from tests.support.simulated_routing import opaque_text, queue_shares

KEEPERS: Final = ("id-up", "id-edit")
"""Rules that are updated and have unknown fields."""


def violations(trial: MatrixRun) -> list[Violation]:
    """Return the oracle's findings, except those that it cannot judge in this case."""
    excused = {invariant for excuse, invariant in _EXCUSED if excuse(trial.case)}
    return [
        violation
        for violation in trial.oracle.violations
        if violation.invariant not in excused
    ]


_EXCUSED: Final[tuple[tuple[Callable[[MatrixCase], bool], str], ...]] = (
    # A probe of an unavailable server is not a repeat, although its request may be the same.
    (lambda case: case.number == "F26", "R21"),
    # A run that could not get a token requests one again to read the results of its writes.
    (lambda case: case.operation == "TOKEN" and case.when == "later", "R21"),
    # The run cannot know that rules exist if it never saw one.
    (lambda case: case.way.code == "?", "R5"),
    (lambda case: case.way.code == "?", "R18"),
    # No list contains the new rule of another applier; so the tool reads it again before it counts
    # it as missing.
    (lambda case: case.way.fault == "!second" and case.profile == "D", "R16"),
)


def assert_promises(trial: MatrixRun) -> None:
    """Check the promises that hold for every run."""
    _assert_one_rule_a_marker(trial)
    _assert_others_untouched(trial)
    _assert_unknown_fields_kept(trial)
    _assert_nobody_sent_elsewhere(trial)
    _assert_secret(trial)
    if trial.ended is not None:
        _assert_truthful(trial)


def assert_healed(trial: MatrixRun) -> None:
    """At most two further runs repair it, and one more writes nothing; a user's rule of the same
    name is removed.
    """
    if trial.case.way.fault == "!foreign-name":
        trial.world.state.remove("made-by-hand")
    trial.land()
    ended, stored = trial.heal("heal-1")
    if (
        trial.ended is not None
        and trial.ended.exit_code == 0
        and not trial.case.way.extra
    ):
        assert 0 == stored, "the run reported that nothing was left to do"
    for name in ("heal-2", "heal-3"):
        if stored or ended.exit_code:
            ended, stored = trial.heal(name)
    assert (0, 0) == (ended.exit_code, stored), ended
    assert [] == trial.left()
    _assert_others_untouched(trial)
    assert {*map(str, _markers(trial))} >= {
        str(address) for address in TENANT.wish.rules
    }
    assert trial.marked_twice() == set()


def _markers(trial: MatrixRun) -> Iterable[object]:
    for rule in trial.world.state.rules():
        marker = rule_json.parse_live_rule(rule).marker
        if marker is not None and marker.owner == TENANT.wish.owner:
            yield marker.address


def _assert_one_rule_a_marker(trial: MatrixRun) -> None:
    """R5, in every state."""
    way = trial.case.way
    profile = trial.case.profile
    if way.code != "?":
        assert trial.extra() <= (3 if way.fault == "!second" else 1) * (
            profile in way.extra
        )


def _assert_others_untouched(trial: MatrixRun) -> None:
    """R1: no write to them, and not a byte of them changed."""
    now = {rule["id"]: rule for rule in trial.world.state.rules()}
    before = {rule["id"]: rule for rule in trial.states[0]}
    for identity in {*FOREIGN} - trial.meddled:
        assert before[identity] == now[identity]
    stored = {
        event.request.segments[-1]
        for event in trial.world.events
        if event.request.method in ("PUT", "DELETE")
    }
    assert set() == stored & {*FOREIGN, "made-by-hand"}


def _assert_unknown_fields_kept(trial: MatrixRun) -> None:
    """R2, in every state."""
    for rules in trial.states:
        for rule in rules:
            if rule["id"] in KEEPERS:
                assert UNKNOWN == {name: rule.get(name) for name in UNKNOWN}


def _assert_nobody_sent_elsewhere(trial: MatrixRun) -> None:
    """R3 and R4, without manual edits and without a server that stores other values."""
    if trial.is_meddled_with():
        return
    wish = [
        raw(managed(str(address), str(address), rule.rule))
        for address, rule in TENANT.wish.rules.items()
    ]
    remaining_items = [rule for rule in trial.states[0] if rule["id"] in FOREIGN]
    before = _routes(trial.states[0])
    after = _routes([*wish, *remaining_items])
    for rules in trial.states:
        for destination_text, old, new in zip(
            _routes(rules), before, after, strict=True
        ):
            assert destination_text in (old, new)


def _routes(rules: Iterable[dict[str, object]]) -> list[object]:
    listed = [*rules]
    opaque = {opaque_text(ODD): True}
    return [
        queue_shares(listed, conversation, opaque=opaque)
        for conversation in TENANT.conversations
    ]


def _assert_secret(trial: MatrixRun) -> None:
    """R13: no output contains the secret or a token."""
    text = "\n".join(trial.world.said)
    assert SECRET not in text
    assert "simulated-" not in text


def _assert_truthful(trial: MatrixRun) -> None:
    """R18: the exit code and each outcome match the server's rules."""
    assert trial.ended is not None
    code = trial.ended.exit_code
    report = trial.ended.report
    assert code in (0, 1, 5, 130)
    if trial.case.way.code == "?":
        return
    if code == 0:
        remaining = [
            item
            for item in trial.left()
            if item.cause != "duplicate"
            or trial.case.profile not in trial.case.way.extra
        ]
        assert [] == remaining, "the run says that nothing is left to do"
    if code == 1 and trial.case.way.code != "U":
        assert [] == trial.made(), (
            "something was written, and the exit code does not say so"
        )
    outcomes = report.outcomes if report else ()
    if code == 5:
        assert any(
            isinstance(outcome, Applied | UnknownOutcome) for outcome in outcomes
        )
    live = {str(address) for address in _markers(trial)}
    for element in outcomes:
        address = str(element.change.address)
        if isinstance(element, Applied):
            removed = (
                isinstance(element.change, Delete)
                and element.change.live.id not in trial.ids()
            )
            assert removed if isinstance(element.change, Delete) else address in live, (
                element
            )
        elif isinstance(element, Skipped) and not trial.is_meddled_with():
            assert (address in live) is not isinstance(element.change, Create), element
