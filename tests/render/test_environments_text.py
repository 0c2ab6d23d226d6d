"""Several environments in a table, on a terminal and in a comment."""

from __future__ import annotations

from dataclasses import replace
from typing import get_args

from reconciler.core.apply.progress import ApplyReport
from reconciler.core.model.change import Applied, Delete, Failed, Outcome
from reconciler.core.model.finding import Finding
from reconciler.core.plan.impact import NO_IMPACT
from reconciler.core.plan.stages import GuardResult, Plan
from reconciler.render.colour import ansi_style, no_style
from reconciler.render.text.environments import (
    EnvironmentRow,
    EnvironmentStatus,
    applied_row,
    environments_markdown,
    environments_text,
    planned_row,
    status_totals,
)
from tests.support.builders import address, managed, rule
from tests.support.cases import each_case
from tests.support.plans import empty_plan, plan_of_everything, with_unproven_regions

FREEZE = GuardResult(
    name="freeze", value=1, limit=0, ok=False, message="prod is frozen now"
)


def differing(**said: object) -> Plan:
    """A plan of seven changes, one of them held, that no guard refuses."""
    plan = replace(plan_of_everything(), guards=())
    plan = replace(
        plan,
        findings=tuple(
            finding for finding in plan.findings if finding.severity != "error"
        ),
    )
    return replace(plan, **said)  # type: ignore[arg-type]


def conflicting() -> Plan:
    """The same plan with rules in the way."""
    return replace(plan_of_everything(), guards=())


COUNTS = "1 create, 3 update, 1 adopt, 2 delete, 1 held"
ROWS = {
    "nothing to do": (planned_row(empty_plan()), ("none", "none", "same", "")),
    "changes": (planned_row(differing()), (COUNTS, "", "differs", "")),
    "a guard refuses": (
        planned_row(differing(guards=(FREEZE,))),
        (COUNTS, "", "refused", "apply will refuse this: freeze"),
    ),
    "rules in the way": (
        planned_row(replace(conflicting(), guards=(FREEZE,))),
        (COUNTS, "", "refused", "apply will refuse this: 1 rule in the way, freeze"),
    ),
    "failing route tests": (
        planned_row(
            differing(
                failed_tests=(
                    Finding(code="CXR220", severity="error", message="goes elsewhere"),
                )
            )
        ),
        (COUNTS, "", "refused", "1 route test fails: apply will refuse this plan"),
    ),
    "nothing was to be applied": (
        applied_row(empty_plan(), None),
        ("none", "none", "same", ""),
    ),
}


@each_case("name", ROWS)
def test_a_row_has_the_changes_and_the_conflicts(name: str) -> None:
    """Changes by kind, the impact, the status and its reason."""
    row, (changes, who, state, text) = ROWS[name]
    assert ("prod", changes, state, text) == (
        row.environment,
        row.changes,
        row.status,
        row.detail,
    )
    assert who in row.impact


def test_the_impact_is_a_count_or_not_known() -> None:
    """With the share of the sample, if there is one; without a proof it is "not known"."""
    effects, _, share = planned_row(differing()).impact.partition(", ")
    assert effects.endswith(" effects")
    assert share.endswith(" % of callers")
    assert (
        "not known"
        == planned_row(with_unproven_regions(differing(impact=NO_IMPACT), ())).impact
    )


def test_a_plan_with_only_a_clean_up() -> None:
    """A temporary copy does not count as a change."""
    copy = managed("9", "cards/vip", rule())
    assert copy.marker is not None
    clearing = Delete(
        address=address("cards/vip"),
        live=replace(copy, marker=replace(copy.marker, copy=True)),
        cause="duplicate",
    )
    assert "clean-up" == planned_row(replace(empty_plan(), changes=(clearing,))).changes


def test_a_row_has_the_result_of_an_apply() -> None:
    """All changes, some changes, and an interruption."""
    plan = differing()
    created: list[Outcome] = [Applied(change, 1, "") for change in plan.changes]
    part = (*created[:-1], Failed(plan.changes[-1], 1, "422"))
    reports = {
        "applied": ApplyReport(outcomes=tuple(created), converged=True),
        "partly": ApplyReport(outcomes=part, converged=False, error="HTTP 403"),
        "interrupted": ApplyReport(outcomes=part, converged=False, interrupted=True),
    }
    assert {
        "applied": "applied 7 of 7",
        "partly": "applied 6 of 7; HTTP 403",
        "interrupted": "applied 6 of 7",
    } == {state: applied_row(plan, report).detail for state, report in reports.items()}
    assert list(reports) == [
        applied_row(plan, report).status for report in reports.values()
    ]


TABLE = [
    EnvironmentRow(
        environment="prod-apac",
        changes="2 create",
        impact="2 effects",
        status="differs",
    ),
    EnvironmentRow(
        environment="prod-emea", changes="none", impact="none", status="same"
    ),
    EnvironmentRow(
        environment="prod-|us",
        changes="1 update",
        impact="none",
        status="partly",
        detail="applied 0 of 1; HTTP 403 <b>\x1b[31m",
    ),
    EnvironmentRow(
        environment="prod-x",
        changes="1 update",
        impact="none",
        status="failed",
        detail="x" * 80,
    ),
]


def test_the_table_reads_like_this() -> None:
    """The totals first; long text is cut, and text from outside has no effect."""
    assert f"""\
Plan for 4 environments: 1 with changes, 1 with nothing to do, 1 not fully applied, 1 failed

  environment  changes   who is affected
  prod-apac    2 create  2 effects
  prod-emea    none      none             nothing to do
  prod-|us     1 update  none             applied 0 of 1; HTTP 403 <b>\\u001b[31m
  prod-x       1 update  none             {"x" * 67}...
""" == environments_text(TABLE, "Plan for", no_style)
    assert f"""\
### Plan for 4 environments: 1 with changes, 1 with nothing to do, 1 not fully applied, 1 failed

| Environment | Changes | Who is affected | |
|---|---|---|---|
| `prod-apac` | 2 create | 2 effects |  |
| `prod-emea` | none | none | nothing to do |
| `prod-\\|us` | 1 update | none | applied 0 of 1; HTTP 403 `<b>\\u001b[31m` |
| `prod-x` | 1 update | none | {"x" * 67}... |
""" == environments_markdown(TABLE, "Plan for")


def test_every_status_has_a_phrase_and_a_colour() -> None:
    """Also no environment at all."""
    rows = [
        EnvironmentRow(environment="e", changes="none", impact="none", status=state)
        for state in get_args(EnvironmentStatus)
    ]
    assert (
        "7 environments: 1 applied, 1 with changes, 1 with nothing to do, 1 not fully applied, 1 "
        "refused, 1 failed,"
        " 1 interrupted"
    ) == status_totals(rows)
    painted = environments_text(rows, "Plan for", ansi_style)
    for words in (
        "\x1b[2mnothing to do",
        "\x1b[31mrefused",
        "\x1b[31mpartly",
        "\x1b[32mapplied",
    ):
        assert words in painted
    assert "0 environments" == status_totals([])
