"""The behaviour that each code of the table requires, and the rules that hold in every case."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Final

from reconciler.core.model.change import (
    Applied,
    Delete,
    Failed,
    Outcome,
    Skipped,
    UnknownOutcome,
)
from tests.campaign.matrix_cases import clean, content, is_call, is_write
from tests.campaign.matrix_run import MatrixRun
from tests.campaign.matrix_tenant import COVERED, FOREIGN, TENANT
from tests.campaign.world import ApplierResult, Event

MOST_ATTEMPTS: Final = 4
PROBES: Final = 12
"""Requests that may probe an unavailable server, beyond the attempts of the first request."""


def ended(trial: MatrixRun) -> ApplierResult:
    """Return the end of the run; it must have ended."""
    assert trial.ended is not None, "the run was killed"
    return trial.ended


def converged(trial: MatrixRun) -> None:
    """The run continued to the end and reports that."""
    assert 0 == ended(trial).exit_code, trial.said()


def retried(trial: MatrixRun) -> None:
    """R: repeated within the budget, then on to the end."""
    converged(trial)
    for event in trial.fallen:
        same = [item for item in trial.world.events if _is_same(item, event)]
        usual = 0 if is_write(event.request) else _usual(trial, event)
        allowed = MOST_ATTEMPTS + usual + PROBES * (trial.case.number == "F26")
        assert len(same) <= allowed, (
            f"{len(same)} times {event.request.method} {event.request.path}"
        )


def read_again(trial: MatrixRun) -> None:
    """Q: after an unclear response, no write on the key before a complete new read; then to the
    end.
    """
    for event in trial.fallen:
        if is_write(event.request):
            _assert_read_before_next(trial, event)
    if trial.case.once or trial.case.parts[0].endswith("-applied"):
        assert (5 if trial.case.way.apart else 0) == ended(trial).exit_code, (
            trial.said()
        )
        return
    assert ended(trial).exit_code in (1, 5)
    keys = [trial.key(event) for event in trial.fallen]
    assert max(map(keys.count, keys)) <= MOST_ATTEMPTS
    for outcome in outcomes(trial):
        if key_of(outcome) in keys:
            assert isinstance(outcome, Failed | UnknownOutcome), outcome
    _assert_covers_stand(trial)


def stopped(trial: MatrixRun) -> None:
    """S: no further write, and the run reports why it stopped."""
    assert trial.fallen
    assert [] == [
        item
        for item in _writes_after(trial, trial.fallen[0])
        if item not in trial.fallen
    ]
    assert [] == [item for item in trial.fallen if item.request.changed_state]
    unknown = any(isinstance(outcome, UnknownOutcome) for outcome in outcomes(trial))
    assert (5 if trial.made() or unknown else 1) == ended(trial).exit_code, trial.said()
    assert trial.said().strip()
    assert trial.case.way.says in trial.said()
    if trial.case.way.fault.startswith(("!outage", "!bad-certificate")):
        assert len(trial.fallen) <= MOST_ATTEMPTS + PROBES
    else:
        requested = Counter(content(event.request) for event in trial.fallen)
        assert max(requested.values()) <= _most(trial), requested


def _most(trial: MatrixRun) -> int:
    """Return how often a request that stops a run may be sent: once, if a repeat cannot help."""
    if trial.case.number == "F16":
        return 2
    return 1 if trial.case.once or is_write(trial.fallen[0].request) else MOST_ATTEMPTS


def undone(trial: MatrixRun) -> None:
    """U: one write, and one that undoes it; the run reports the tenant's version of the rule, and
    changed nothing.
    """
    (event,) = trial.fallen
    assert [event.request.method, "DELETE"] == [
        write.request.method for write in trial.writes()
    ]
    assert {*FOREIGN} == trial.ids()
    assert 1 == ended(trial).exit_code
    assert trial.case.way.says in trial.said()
    assert ["Failed", *["Skipped"] * (len(outcomes(trial)) - 1)] == sorted(
        type(outcome).__name__ for outcome in outcomes(trial)
    )


def failed(trial: MatrixRun) -> None:
    """K: that change failed with a reason, its dependents are skipped, the rest is applied; the old
    rule remains.
    """
    status = trial.case.parts[0]
    keys = {trial.key(event) for event in trial.fallen}
    assert keys
    for item in outcomes(trial):
        if key_of(item) in keys:
            assert isinstance(item, Failed), item
            assert (status if status.isdigit() else "") in item.error
        elif isinstance(item.change, Delete) and trial.case.operation != "DELETE":
            assert isinstance(item, Skipped), item
        else:
            assert isinstance(item, Applied), item
    remaining_items = [
        outcome for outcome in outcomes(trial) if isinstance(outcome, Applied)
    ]
    assert (5 if remaining_items else 1) == ended(trial).exit_code
    if status.isdigit():
        assert 1 == len(trial.fallen), "asked again"
    _assert_covers_stand(trial)


def failed_and_stopped(trial: MatrixRun) -> None:
    """K>S: that change failed, and nothing more was tried."""
    stopped(trial)
    (event,) = trial.fallen
    (item,) = [
        outcome for outcome in outcomes(trial) if key_of(outcome) == trial.key(event)
    ]
    assert isinstance(item, Failed), item
    assert trial.case.way.says in item.error
    _assert_covers_stand(trial)


def renewed(trial: MatrixRun) -> None:
    """T: one new token, and the request once more."""
    converged(trial)
    (event,) = trial.fallen
    assert 2 == trial.counted("TOKEN")
    same = [item for item in trial.world.events if _is_same(item, event)]
    assert len(same) - _usual(trial, event) == 1


def tolerated(trial: MatrixRun) -> None:
    """OK: the result has no trace of it; a run that gets a stop request stops after its started
    changes.
    """
    assert trial.fallen
    if trial.case.way.fault != "!stopped":
        converged(trial)
        return
    assert (130 if trial.left() else 0) == ended(trial).exit_code
    place = [id(event) for event in trial.world.events].index(id(trial.fallen[0]))
    begun = trial.world.events[: place + trial.case.concurrency]
    assert {id(write) for write in trial.writes()} <= {id(item) for item in begun}
    assert all(write.answer is not None for write in trial.writes())


def crashed(trial: MatrixRun) -> None:
    """C: the process has ended; the next run is judged."""
    assert trial.ended is None


def unknowable(trial: MatrixRun) -> None:
    """This run has no promise; the next one finds everything and repairs it."""
    assert trial.fallen


CODES: Final[Mapping[str, Callable[[MatrixRun], None]]] = {
    "R": retried,
    "Q": read_again,
    "S": stopped,
    "K": failed,
    "K>S": failed_and_stopped,
    "U": undone,
    "T": renewed,
    "OK": tolerated,
    "C": crashed,
    "?": unknowable,
}


def key_of(one: Outcome) -> str:
    """Return the marker's address, with its owner, of an outcome."""
    return f"{TENANT.wish.owner}/{one.change.address}"


def outcomes(trial: MatrixRun) -> tuple[Outcome, ...]:
    """Return the run's outcome of each change; empty if it ended before the first."""
    report = ended(trial).report
    return report.outcomes if report else ()


def _is_same(one: Event, event: Event) -> bool:
    """Return whether two requests of one applier are the same."""
    return one.actor == event.actor and content(one.request) == content(event.request)


def _usual(trial: MatrixRun, event: Event) -> int:
    """Return how often a run without faults sends this request."""
    return clean(trial.case.profile, trial.case.concurrency).asked[
        content(event.request)
    ]


def _writes_after(trial: MatrixRun, event: Event) -> list[Event]:
    """Return the applier's writes that began after an event."""
    return [write for write in trial.writes() if write.number > event.number]


def _assert_read_before_next(trial: MatrixRun, event: Event) -> None:
    """The complete list is read between an event and the next write on its key."""
    key = trial.key(event)
    until = min(
        (item.number for item in _writes_after(trial, event) if trial.key(item) == key),
        default=None,
    )
    if until is not None:
        between = [
            item
            for item in trial.world.events
            if item.actor == "a" and event.number < item.number < until
        ]
        assert _is_listed(between), f"{key} was written again without a fresh reading"


def _is_listed(events: list[Event]) -> bool:
    """Return whether all pages of the list arrived."""
    pages: set[int] = set()
    needed = 1
    for event in events:
        if (
            is_call(event.request, "LIST")
            and event.request.status == 200
            and event.answer is not None
        ):
            pages.add(event.request.whole_number("pageNumber", 1))
            needed = json.loads(event.answer.body)["pageCount"]
    return {*range(1, needed + 1)} <= pages


def _assert_covers_stand(trial: MatrixRun) -> None:
    """A rule to delete exists as long as its replacement does not."""
    present = {trial.addresses.get(identity) for identity in trial.ids()}
    for cover, covered in COVERED.items():
        if f"{TENANT.wish.owner}/{cover}" not in present:
            assert covered in trial.ids()
