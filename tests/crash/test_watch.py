"""The oracle of the killed runs detects each kind of harm."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from reconciler.features.practice.simulator.state import TenantState
from tests.crash.stage import CrashRun


def the(state: TenantState, name: str) -> dict[str, Any]:
    """Return the rule with that name, or with that end of its name."""
    return next(rule for rule in state.rules() if rule["name"].endswith(name))


def sent_elsewhere(state: TenantState) -> None:
    """To a queue that is neither the old nor the new one, and back again."""
    rule = the(state, "updated-3")
    state.edit(
        rule["id"], targets=[{"type": "queue", "queueId": "q-Fraud", "weight": 1}]
    )
    state.put(rule)


def left_to_none(state: TenantState) -> None:
    """The catch-all rules are disabled, then the rule is deleted before its replacement exists."""
    state.remove(the(state, "Everything else")["id"])
    state.remove(the(state, ": moved")["id"])


def made_twice(state: TenantState) -> None:
    """One marker, two rules."""
    state.put({**the(state, "kept-1"), "id": "another", "name": "Another"})


def others_rule_edited(state: TenantState) -> None:
    """A field of an unmanaged rule is changed."""
    state.put({**the(state, "Legacy"), "version": 8})


@pytest.mark.parametrize(
    ("harm", "seen"),
    [
        (sent_elsewhere, "goes to frozenset({'q-Fraud'})"),
        (left_to_none, "'cognigyDetectedIntent': 'moved'} goes to None"),
        (made_twice, "rules/kept-1 occurs twice"),
        (others_rule_edited, "an unmanaged rule was changed"),
    ],
)
def test_the_watch_detects_each_kind_of_harm(
    trial: CrashRun, harm: Callable[[TenantState], None], seen: str
) -> None:
    """Even for a short time; and it reports none without a change."""
    assert [] == trial.watch.wrong()
    harm(trial.state)
    assert seen in "\n".join(trial.watch.wrong())
