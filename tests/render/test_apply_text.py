"""The result of an apply as text: each outcome, and each way in which a run can end."""

from __future__ import annotations

from dataclasses import replace
from typing import Final, get_args

from reconciler.cli.commands.apply import PARTLY, exit_code
from reconciler.core.apply.progress import ApplyReport, outcomes_to_json
from reconciler.core.errors import InterruptedRunError
from reconciler.core.model.change import (
    Adopt,
    Applied,
    Create,
    Delete,
    Failed,
    HeldChange,
    Outcome,
    Skipped,
    UnknownOutcome,
    Update,
)
from reconciler.core.model.finding import Finding
from reconciler.core.plan.stages import Plan, PlanOptions
from reconciler.core.plan.stored_texts import TEXT_ALTERED
from reconciler.render.colour import ansi_style, no_style
from reconciler.render.text.apply import outcome_line, report_text
from tests.support.builders import address, managed, rule, unmanaged
from tests.support.cases import each_case
from tests.support.plans import empty_plan
from tests.support.sentences import missing_sentences

CREATE: Final = Create(address("cards/new"), rule("new"), None)
UPDATE: Final = Update(
    address=address("cards/lost"),
    live=managed("2", "cards/lost", rule("lost")),
    after=rule("lost", priority=1),
    fields=(),
    source=None,
    cause="manifest",
)
ADOPT: Final = Adopt(
    address=address("cards/by-hand"),
    live=unmanaged("3", rule("by hand")),
    after=rule("by hand"),
    fields=(),
    source=None,
)
DELETE: Final = Delete(
    address=address("cards/fax"),
    live=managed("4", "cards/fax", rule("fax")),
    cause="manifest",
)

APPLIED: Final = (
    Applied(CREATE, 1, "91aa\x1b[31m03f2"),
    Applied(UPDATE, 2, "2"),
    Applied(ADOPT, 1, "3"),
    Applied(DELETE, 1, "4"),
)
NOT_APPLIED: Final = (
    Applied(CREATE, 1, ""),
    Failed(UPDATE, 4, "HTTP 422: no such queue\x1b[31m"),
    Skipped(ADOPT, "the run stopped early"),
    Skipped(DELETE, "kept, because another change was not applied"),
)
IN_BETWEEN: Final = (
    UnknownOutcome(CREATE, 2, "no answer within 30 s"),
    Failed(
        UPDATE,
        1,
        "the server stored other values than were sent: priority",
        left_partial=True,
    ),
    Skipped(ADOPT, "interrupted", left_partial=True),
    UnknownOutcome(DELETE, 1, "no answer within 30 s"),
)


def left(*, undo: str | None = None, kept: int = 0, held: int = 0) -> Plan:
    """The last read of a run: texts that the tenant stores differently, and held changes."""
    findings = [
        Finding(code=TEXT_ALTERED, severity="warning", message=f"text {n}")
        for n in range(kept)
    ]
    return replace(
        empty_plan(),
        options=PlanOptions(undo=undo),
        findings=tuple(findings),
        held=tuple(HeldChange(UPDATE, "incident 42") for _ in range(held)),
    )


READ_LIKE: Final[dict[str, tuple[ApplyReport, int, str]]] = {
    "all is applied": (
        ApplyReport(outcomes=APPLIED, converged=True, remaining=left()),
        0,
        """\
  + cards/new      created   id 91aa\\u001b[31m03f2
  ~ cards/lost     updated
  > cards/by-hand  adopted
  - cards/fax      deleted

Applied 4 of 4 in 2.3 s. Read again: no differences.
""",
    ),
    "nothing but settings": (
        ApplyReport(
            outcomes=(), converged=True, remaining=left(), has_saved_settings=True
        ),
        0,
        """\

Settings saved. Read again: no differences.
""",
    ),
    "nothing but a leftover": (
        ApplyReport(outcomes=(), converged=True, remaining=left()),
        0,
        """\

The leftovers of an earlier run are removed. Read again: no differences.
""",
    ),
    "all is applied, and some changes are held": (
        ApplyReport(
            outcomes=APPLIED[:1], converged=True, remaining=left(kept=1, held=2)
        ),
        0,
        """\
  + cards/new  created   id 91aa\\u001b[31m03f2

Applied 1 of 1 in 2.3 s. Read again: no differences, except 1 text that the tenant stores differently and 2 \
held changes.
""",
    ),
    "a run is undone": (
        ApplyReport(
            outcomes=APPLIED[1:2],
            converged=True,
            remaining=left(undo="2026-11-25T120000-prod-91aa", held=1),
        ),
        0,
        """\
  ~ cards/lost  updated

Applied 1 of 1 in 2.3 s. Read again: run 2026-11-25T120000-prod-91aa is undone, except 1 held change.
""",
    ),
    "the last read failed": (
        ApplyReport(
            outcomes=APPLIED[:2], converged=False, error="HTTP 503: try again\x1b[31m"
        ),
        5,
        """\
  + cards/new   created   id 91aa\\u001b[31m03f2
  ~ cards/lost  updated

Applied 2 of 2 in 2.3 s.
Stopped: HTTP 503: try again\\u001b[31m
Remaining differences: cxroute plan -e prod
""",
    ),
    "others changed rules during the apply": (
        ApplyReport(outcomes=APPLIED[:2], converged=False, remaining=left()),
        5,
        """\
  + cards/new   created   id 91aa\\u001b[31m03f2
  ~ cards/lost  updated

Applied 2 of 2 in 2.3 s.
Other rules changed during the apply, so the tenant still differs from the manifests.
Remaining differences: cxroute plan -e prod
""",
    ),
    "a rule became unmanaged, and nothing differs": (
        ApplyReport(
            outcomes=(*APPLIED[:1], Skipped(DELETE, "no longer managed by cxroute")),
            converged=True,
            remaining=left(),
        ),
        0,
        """\
  + cards/new  created   id 91aa\\u001b[31m03f2
  - cards/fax  not tried: no longer managed by cxroute

Applied 1 of 2 in 2.3 s.
1 not applied: it is as before.
Read again: no differences.
""",
    ),
    "changes are not applied": (
        ApplyReport(outcomes=NOT_APPLIED, converged=False, remaining=left()),
        5,
        """\
  + cards/new      created
  ~ cards/lost     failed    HTTP 422: no such queue\\u001b[31m
  > cards/by-hand  not tried: the run stopped early
  - cards/fax      not tried: kept, because another change was not applied

Applied 1 of 4 in 2.3 s.
3 not applied: they are as before.
Remaining differences: cxroute plan -e prod
""",
    ),
    "one change is not applied": (
        ApplyReport(
            outcomes=NOT_APPLIED[:2],
            converged=False,
            error="HTTP 403: the scope is missing",
            remaining=left(),
        ),
        5,
        """\
  + cards/new   created
  ~ cards/lost  failed    HTTP 422: no such queue\\u001b[31m

Applied 1 of 2 in 2.3 s.
Stopped: HTTP 403: the scope is missing
1 not applied: it is as before.
Remaining differences: cxroute plan -e prod
""",
    ),
    "interrupted": (
        ApplyReport(
            outcomes=(*APPLIED[:1], Skipped(DELETE, "interrupted")),
            converged=False,
            interrupted=True,
            remaining=left(),
        ),
        130,
        """\
  + cards/new  created   id 91aa\\u001b[31m03f2
  - cards/fax  not tried: interrupted

Applied 1 of 2 in 2.3 s.
Interrupted: no new write was started, and running writes were finished.
1 not applied: it is as before.
Remaining differences: cxroute plan -e prod
""",
    ),
    "some are in between, some unknown": (
        ApplyReport(
            outcomes=IN_BETWEEN,
            converged=False,
            interrupted=True,
            error="the tenant cannot be reached",
        ),
        130,
        """\
  + cards/new      unknown   no answer within 30 s
  ~ cards/lost     failed    the server stored other values than were sent: priority
  > cards/by-hand  not finished: interrupted
  - cards/fax      unknown   no answer within 30 s

Applied 0 of 4 in 2.3 s.
Stopped: the tenant cannot be reached
Interrupted: no new write was started, and running writes were finished.
Partly applied, neither as before nor as planned: cards/lost, cards/by-hand.
Unknown whether these were written: cards/new, cards/fax. The next run checks.
Remaining differences: cxroute plan -e prod
""",
    ),
}
"""Each ending: the report, the exit code, and the text."""


@each_case("name", READ_LIKE)
def test_a_report_reads_like_this(name: str) -> None:
    """Line by line; text from outside is escaped."""
    report, code, text = READ_LIKE[name]
    assert (code, text) == (
        exit_code(report),
        report_text(report, no_style, "cxroute plan -e prod", 2.345),
    )


def test_every_outcome_and_sentence_of_a_report_has_a_test() -> None:
    """A new outcome, and a new sentence, needs a text in READ_LIKE."""
    kinds = {
        type(outcome)
        for report, _, _ in READ_LIKE.values()
        for outcome in report.outcomes
    }
    assert set(get_args(Outcome)) == kinds
    assert [] == missing_sentences(
        ["render/text/apply.py"], [text for _, _, text in READ_LIKE.values()]
    )
    codes = {0, PARTLY, InterruptedRunError.exit_code}
    assert codes == {code for _, code, _ in READ_LIKE.values()}


def test_a_run_that_wrote_nothing_exits_with_1() -> None:
    """Exit code 5 is for a run that may be partly applied."""
    outcomes = (
        Failed(UPDATE, 1, "HTTP 422"),
        Skipped(DELETE, "kept, because another change was not applied"),
    )
    assert 1 == exit_code(ApplyReport(outcomes=outcomes, converged=False))
    assert PARTLY == exit_code(
        ApplyReport(
            outcomes=(*outcomes, UnknownOutcome(CREATE, 1, "no answer")),
            converged=False,
        )
    )
    assert PARTLY == exit_code(
        ApplyReport(
            outcomes=(replace(outcomes[0], left_partial=True),), converged=False
        )
    )


@each_case(
    "seconds, shown",
    [(0.0, "0.00 s"), (0.994, "0.99 s"), (1.0, "1.0 s"), (75.04, "75.0 s")],
)
def test_the_duration_is_in_seconds(seconds: float, shown: str) -> None:
    """With two digits below one second."""
    assert f"Applied 1 of 1 in {shown}." in report_text(
        ApplyReport(outcomes=APPLIED[1:2], converged=True), no_style, "", seconds
    )


def test_failed_changes_are_red_on_a_terminal() -> None:
    """The symbols have the colours that they have in a plan."""
    lines = [
        outcome_line(outcome, ansi_style, 9)
        for outcome in (*APPLIED[:2], *NOT_APPLIED[1:3], *IN_BETWEEN[:1])
    ]
    assert [
        "  \x1b[32m+\x1b[0m cards/new  created   id 91aa\\u001b[31m03f2",
        "  \x1b[33m~\x1b[0m cards/lost  updated",
        (
            "  \x1b[33m~\x1b[0m cards/lost  \x1b[31mfailed\x1b[0m    HTTP 422: no such "
            "queue\\u001b[31m"
        ),
        "  \x1b[34m>\x1b[0m cards/by-hand  not tried: the run stopped early",
        "  \x1b[32m+\x1b[0m cards/new  \x1b[31munknown\x1b[0m   no answer within 30 s",
    ] == lines


def test_programs_read_each_outcome_as_a_word() -> None:
    """The words of plan-json "Apply"; an applied change has no error."""
    outcomes = (APPLIED[1], NOT_APPLIED[1], IN_BETWEEN[2], IN_BETWEEN[3])
    assert ["applied", "failed", "skipped", "unknown"] == [
        outcome.status for outcome in outcomes
    ]
    assert [
        {
            "address": "cards/lost",
            "action": "update",
            "status": "applied",
            "error": None,
            "attempts": 2,
        },
        {
            "address": "cards/lost",
            "action": "update",
            "status": "failed",
            "error": "HTTP 422: no such queue\x1b[31m",
            "attempts": 4,
        },
        {
            "address": "cards/by-hand",
            "action": "adopt",
            "status": "skipped",
            "error": "interrupted",
            "attempts": 0,
        },
        {
            "address": "cards/fax",
            "action": "delete",
            "status": "unknown",
            "error": "no answer within 30 s",
            "attempts": 1,
        },
    ] == outcomes_to_json(ApplyReport(outcomes=outcomes, converged=False))
