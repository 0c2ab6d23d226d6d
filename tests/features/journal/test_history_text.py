"""The journal as text: one line per run, and one run with each change before and after."""

from __future__ import annotations

from typing import Any

from reconciler.features.journal.history import RecordedRun
from reconciler.features.journal.text import run_text, runs_text
from tests.support.builders import managed, rule
from tests.support.in_process_tenant import raw

START = {
    "at": "2026-11-25T12:00:00.123+00:00",
    "who": "ann",
    "environment": "prod",
    "planId": "a1b2",
    "allowed": {},
}


def entry(
    action: str, before: Any = None, after: Any = None, **said: Any
) -> dict[str, Any]:
    """A change of the journal."""
    return {
        "action": action,
        "address": "cards/vip",
        "status": "applied",
        "before": before,
        "after": after,
        **said,
    }


def form(**said: Any) -> dict[str, Any]:
    """A rule as the journal has it: with the names of queues."""
    printed = raw(managed("1", "cards/vip", rule(**said)))
    return {
        **printed,
        "targets": [
            {**target, "queueName": "Card Services"} for target in printed["targets"]
        ],
    }


def test_runs_are_lines_newest_first() -> None:
    """Time, author, result and reason; for an undo the undone run; text from outside is escaped."""
    done = entry("create", after=form())
    failed = entry("update", form(), form(), status="failed")
    runs = [
        RecordedRun(
            id="r1",
            start={**START, "reason": "INC-7"},
            changes=(done, failed),
            end={"converged": False},
        ),
        RecordedRun(
            id="r2",
            start={**START, "who": "", "undo": "r1"},
            changes=(done,),
            end={"converged": True},
        ),
        RecordedRun(
            id="r3",
            start={**START, "undo": "r1", "reason": "INC-8\x1b[31m"},
            changes=(),
            end=None,
        ),
    ]
    assert """\
run  time                       who  result                      reason
r3   2026-11-25T12:00:00+00:00  ann  0 changes, no end recorded  undoes r1: INC-8\\u001b[31m
r2   2026-11-25T12:00:00+00:00  -    1 of 1 change applied       undoes r1
r1   2026-11-25T12:00:00+00:00  ann  1 of 2 changes applied      INC-7
""" == runs_text(runs)


def test_a_run_lists_each_change_as_a_plan_does() -> None:
    """A created or deleted rule as one sentence, an updated one by its changed fields; an error
    below its change.
    """
    changes = (
        entry("create", after=form()),
        entry(
            "update",
            form(),
            form(priority=7, targets=[]),
            error="HTTP 422\x1b[31m",
            status="failed",
        ),
        entry("delete", form(enabled=False)),
    )
    run = RecordedRun(
        id="r1",
        start={**START, "undo": "r0", "allowed": {"deletes": "CHG-1"}},
        changes=changes,
        end={"converged": False},
    )
    assert """\
Run r1   2 of 3 changes applied
  at: 2026-11-25T12:00:00+00:00
  environment: prod
  who: ann
  reason: -
  planId: a1b2
  allowed: {"deletes": "CHG-1"}
  undo: r0

  create cards/vip   applied
      intent is "vip": to "Card Services", priority 100

  update cards/vip   failed
      HTTP 422\\u001b[31m
      queue: "Card Services" -> no queue
      priority: 100 -> 7

  delete cards/vip   applied
      intent is "vip": to "Card Services", priority 100, switched off
""" == run_text(run)


def test_an_invalid_rule_is_said_to_be_one() -> None:
    """Other programs may have written to a journal; a queue without a name has its id."""
    odd = {"name": "a\x1b[31m", "priority": True, "targets": [7, {"queueId": "q"}]}
    output = run_text(
        RecordedRun(
            id="r1",
            start=START,
            changes=(entry("update", odd, {"name": "b"}),),
            end=None,
        )
    )
    half = run_text(
        RecordedRun(
            id="r1",
            start=START,
            changes=(entry("update", form(), {"name": "b"}),),
            end=None,
        )
    )
    for text in (output, half):
        assert (
            "  update cards/vip   applied\n      a rule that cannot be read\n" in text
        )
    nameless = raw(managed("1", "cards/vip", rule()))
    assert "to an unknown queue (q-cards)" in run_text(
        RecordedRun(
            id="r1", start=START, changes=(entry("create", None, nameless),), end=None
        )
    )
    assert run_text(
        RecordedRun(
            id="r1",
            start=START,
            changes=(entry("create", "a text", ["a list"]),),
            end=None,
        )
    ).endswith("cards/vip   applied\n")
