"""Which runs and which changes of a journal an undo takes: those of the same rules, and no
others.
"""

from __future__ import annotations

import json
from typing import Any, Final

import pytest

from reconciler.core.errors import RefusedError
from reconciler.core.manifest.kinds.environment import Environment
from reconciler.core.model.live import Marker, marker_digest
from reconciler.core.model.rule import Rule
from reconciler.core.plan.document import rule_to_json
from reconciler.core.plan.plan_json import RuleJson
from reconciler.features.journal.history import read_changes
from reconciler.features.journal.journal import parse_runs
from reconciler.features.journal.undo_request import UndoRequest
from tests.support.builders import OWNER, address, rule
from tests.support.cases import each_case

PROD: Final = Environment.model_validate(
    {"name": "prod", "owner": OWNER, "tenant": "acme"}
)
AT: Final = "2026-11-25T12:00:00Z"


def started(run: str, **fields: str) -> str:
    start = {
        "environment": "prod",
        "owner": OWNER,
        "tenant": "acme",
        "who": "anna",
        "reason": "",
        **fields,
    }
    return json.dumps({"event": "start", "run": run, "at": AT, **start})


def test_only_later_runs_on_the_same_rules_are_later() -> None:
    """Runs of another owner and of another environment wrote other rules: they do not prevent an
    undo.
    """
    lines = [
        started("earlier"),
        started("this"),
        started("other-owner", owner="others"),
        started("other-environment", environment="staging"),
        started("later"),
    ]
    runs = parse_runs(lines)
    request = UndoRequest.of(runs[1], runs, PROD, "acme", None)
    assert ("this", ["later"]) == (request.run.id, [run.id for run in request.later])


def test_lines_that_are_not_entries_are_counted() -> None:
    """`cxroute history` warns with their number; blank lines are none."""
    counts: list[int] = []
    lines = [started("a"), "", "{", '{"run": 7, "at": "x", "event": "end"}', "[]", "  "]
    assert ["a"] == [run.id for run in parse_runs(lines, counts.append)]
    assert [3] == counts
    parse_runs([started("a"), ""], counts.append)
    assert [3] == counts


def written(
    what: Rule, *, owner: str = OWNER, where: str = "cards/vip", copy: bool = False
) -> RuleJson:
    """Return a rule as a journal has it."""
    return rule_to_json(
        what, Marker(owner, address(where), marker_digest(what), copy=copy), {}
    )


@each_case(
    "before, after, expected",
    [
        (None, written(rule()), 1),
        (written(rule(priority=1)), written(rule()), 1),
        (None, written(rule(), owner="others"), 0),
        (written(rule(), owner="others"), written(rule()), 0),
        (None, written(rule(), copy=True), 0),
        (None, written(rule(), where="cards/other"), 0),
        (None, None, 0),
    ],
)
def test_a_change_is_undone_only_if_its_rules_are_those_of_the_owner(
    before: dict[str, Any] | None, after: dict[str, Any] | None, expected: int
) -> None:
    """A journal is a file that users may edit: rules of another owner, address or kind are
    refused.
    """
    action = "create" if before is None else "update"
    change = {
        "address": "cards/vip",
        "action": action,
        "id": "7",
        "before": before,
        "after": after,
    }
    entries: list[dict[str, Any]] = [
        {"event": "intend", **change},
        {"event": "outcome", **change, "status": "applied", "attempts": 1},
        {"event": "end", "converged": True, "interrupted": False, "error": ""},
    ]
    lines = [
        started("this"),
        *(json.dumps({"run": "this", "at": AT, **entry}) for entry in entries),
    ]
    (run,) = parse_runs(lines)
    if expected:
        assert ["cards/vip"] == [
            str(change.address) for change in read_changes(run, OWNER)
        ]
    else:
        with pytest.raises(RefusedError, match="is not a possible change of owner"):
            read_changes(run, OWNER)
