"""A tenant that drops the marker: the first write is made alone and reverted, in process with every
kind of failure.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from reconciler.core.apply.progress import ApplyReport
from reconciler.core.model.change import Failed, Skipped
from reconciler.features.practice.simulator.faults.injector import FaultInjector
from reconciler.features.practice.simulator.settings import PROFILES
from reconciler.features.practice.simulator.state import TenantState
from tests.support.builders import desired, rule, unmanaged, wanted
from tests.support.in_process_tenant import InProcessTenant

NEW = desired(
    wanted("cards/a", rule("a", description="text")),
    wanted("cards/b", rule("b", description="")),
)
HAND = unmanaged("id-a", rule("a", description="by hand", priority=70))
TAKING = desired(
    wanted("cards/a", rule("a", description="text"), adopt="a"),
    wanted("cards/b", rule("b", description="")),
)


@pytest.fixture(autouse=True)
def _losing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tenant cuts each description before a line that looks like a marker."""
    keep = TenantState.put

    def cut(state: TenantState, one: dict[str, Any]) -> dict[str, Any]:
        return keep(
            state,
            {
                **one,
                "description": one["description"]
                .partition("[cxroute:")[0]
                .rstrip("\n"),
            },
        )

    monkeypatch.setattr(TenantState, "put", cut)


def failed(report: ApplyReport) -> Failed:
    """Return the outcome of the one change that was tried; the other one has the reason that the
    run stopped early.
    """
    (tried,) = [outcome for outcome in report.outcomes if isinstance(outcome, Failed)]
    assert ["the run stopped early"] == [
        outcome.error for outcome in report.outcomes if isinstance(outcome, Skipped)
    ]
    assert (report.first_write_altered, report.converged) == (True, False)
    return tried


def kinds(world: InProcessTenant) -> list[str]:
    return [method for method, _ in world.writes()]


def test_a_created_rule_is_deleted_again() -> None:
    """The rule does not exist, and nothing else is written."""
    world = InProcessTenant()
    report = world.apply(NEW)
    assert "The rule was deleted again; nothing more was written" in report.error
    assert not failed(report).left_partial
    assert (["POST", "DELETE"], []) == (kinds(world), world.state.rules())


def test_a_first_rule_that_no_list_shows_is_waited_for() -> None:
    """Other rules of the list do not replace it: its state is unknown until a list shows it."""
    world = InProcessTenant(
        [unmanaged("theirs", rule("theirs", conditions=()))],
        replace(PROFILES["A"], lag_reads=2),
    )
    report = world.apply(desired(wanted("cards/a", rule("a", description="text"))))
    assert "The rule was deleted again; nothing more was written" in report.error
    assert (["POST", "DELETE"], ["theirs"]) == (
        kinds(world),
        [rule["name"] for rule in world.state.rules()],
    )


def test_an_adopted_rule_is_restored() -> None:
    """It has its own fields, and no marker."""
    world = InProcessTenant([HAND])
    report = world.apply(TAKING)
    assert "The rule was restored; nothing more was written" in report.error
    assert not failed(report).left_partial
    assert ["PUT", "PUT"] == kinds(world)
    assert [("by hand", 70)] == [
        (rule["description"], rule["priority"]) for rule in world.state.rules()
    ]


def test_a_delete_without_a_response_is_retried() -> None:
    """A read shows that the rule still exists."""
    world = InProcessTenant(faults=FaultInjector("DELETE rule:reset@#1-2", 1))
    report = world.apply(NEW)
    assert "The rule was deleted again; nothing more was written" in report.error
    assert not failed(report).left_partial
    assert [] == world.state.rules()


def test_a_rule_that_cannot_be_reverted_is_named() -> None:
    """By its id, with the reason, because the user must correct it."""
    world = InProcessTenant(faults=FaultInjector("DELETE rule:403", 1))
    report = world.apply(NEW)
    (remaining,) = world.state.rules()
    assert f"Rule {remaining['id']} could not be reverted (" in report.error
    assert "correct it in CXone" in report.error
    assert failed(report).left_partial
    # Looked up, since the list shows it otherwise than it was acknowledged; read before the delete;
    # and not again.
    requested = [
        request.method
        for request in world.state.requests
        if request.path.endswith(remaining["id"])
    ]
    assert ["GET", "GET", "DELETE"] == requested
