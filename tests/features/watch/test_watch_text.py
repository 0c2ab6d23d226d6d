"""One round of watch as one line of a log, and as JSON."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Final

from reconciler.core.apply.progress import ApplyReport
from reconciler.core.errors import ManifestError, RefusedError, UnreachableError
from reconciler.core.model.change import Applied, Change, Create, Failed
from reconciler.core.model.finding import Finding
from reconciler.core.model.rule import Source
from reconciler.core.plan.drift import Drift
from reconciler.core.plan.stages import GuardResult, Plan
from reconciler.core.target import CallCounts
from reconciler.features.watch.cycle import CYCLE_STATUSES, CycleResult
from reconciler.features.watch.text import cycle_document, cycle_line
from tests.support.builders import NOW, rule, unmanaged
from tests.support.cases import each_case
from tests.support.plans import empty_plan, plan_of_everything
from tests.support.sentences import missing_sentences

BROKEN: Final = ManifestError(
    [
        Finding(
            code="CXR101",
            severity="error",
            message="no such kind",
            source=Source("m.yaml", 2, 7),
        )
    ]
)
FREEZE: Final = GuardResult(
    name="freeze", value=1, limit=0, ok=False, message="prod is frozen now"
)
FAILED_TEST: Final = Finding(code="CXR220", severity="error", message="goes elsewhere")
HAND: Final = unmanaged("9", rule("by hand"))


def differing(
    *, about: str = "", conflicts: bool = False, held: bool = True, **said: object
) -> CycleResult:
    """A round that found differences; `about` has the causes and kinds of its changes, all of them
    if it is empty.
    """
    plan = plan_of_everything()
    findings = [
        finding for finding in plan.findings if conflicts or finding.severity != "error"
    ]
    changes = tuple(
        change for change in plan.changes if not about or _kind(change) in about.split()
    )
    plan = replace(
        plan,
        guards=(),
        findings=tuple(findings),
        changes=changes,
        held=plan.held if held else (),
    )
    return CycleResult(started_at=NOW, plan=replace(plan, **said))  # type: ignore[arg-type]


def _kind(change: Change) -> str:
    return "create" if isinstance(change, Create) else change.cause


def applied(*failed: int, error: str = "", left: Plan | None = None) -> CycleResult:
    """A round that applied some changes; those with these numbers failed."""
    changes = plan_of_everything().changes
    outcomes = [
        Failed(change, 1, "422") if n in failed else Applied(change, 1, "id")
        for n, change in enumerate(changes)
    ]
    report = ApplyReport(
        outcomes=tuple(outcomes),
        converged=not failed and not error,
        error=error,
        remaining=left or empty_plan(),
    )
    return CycleResult(
        started_at=NOW,
        seconds=2.25,
        calls=CallCounts(5, 1, 2),
        plan=plan_of_everything(),
        report=report,
        may_write=True,
    )


def drifting(one: CycleResult) -> CycleResult:
    """The round, with an unmanaged rule in the way, and route tests that fail on the live rules."""
    assert one.plan is not None
    return replace(
        one,
        drift=Drift(
            plan=one.plan, in_the_way=(HAND,), failed_checks=(FAILED_TEST, FAILED_TEST)
        ),
    )


EDITED = "2 rules changed in CXone, 1 rule missing in CXone"
ALL = f"{EDITED}, 4 changes not applied"
LINES: Final[dict[str, tuple[CycleResult, str]]] = {
    "clean": (
        CycleResult(
            started_at=NOW, seconds=0.25, calls=CallCounts(5), plan=empty_plan()
        ),
        "no differences",
    ),
    "clean, something held": (
        CycleResult(started_at=NOW, plan=replace(differing().plan, changes=())),  # type: ignore[type-var]
        "no differences, 1 held",
    ),
    "pending": (differing(), f"{ALL}, 1 held"),
    "changed in CXone": (
        differing(about="drift", held=False),
        "1 rule changed in CXone",
    ),
    "changed here and there": (
        differing(about="both", held=False),
        "1 rule changed in CXone",
    ),
    "missing in CXone": (
        differing(about="create", held=False),
        "1 rule missing in CXone",
    ),
    "changed in the manifests": (
        differing(about="manifest", held=False),
        "3 changes not applied",
    ),
    "in conflict": (differing(about="drift", conflicts=True), "1 rule in conflict"),
    "in the way": (
        drifting(differing(held=False)),
        (
            f"{EDITED}, 1 rule in the way, 2 route tests failed on the live rules, 4 changes not "
            f"applied"
        ),
    ),
    "refused by a guard": (
        replace(differing(guards=(FREEZE,)), may_write=True),
        f"{ALL}, 1 held; refused: freeze",
    ),
    "refused by a conflict": (
        replace(differing(conflicts=True), may_write=True),
        f"{ALL}, 1 rule in conflict, 1 held; refused",
    ),
    "refused by route tests and a guard": (
        replace(
            differing(
                failed_tests=(FAILED_TEST, FAILED_TEST), guards=(FREEZE,), held=False
            ),
            may_write=True,
        ),
        f"{ALL}, 2 route tests fail; refused: freeze",
    ),
    "refused while it began": (
        replace(
            differing(held=False),
            may_write=True,
            error=RefusedError("the tenant changed\x1b[31m"),
        ),
        f"{ALL}; refused: the tenant changed\\u001b[31m",
    ),
    "failed before a plan": (
        CycleResult(started_at=NOW, error=UnreachableError("no route\x1b[31m")),
        "failed: no route\\u001b[31m",
    ),
    "failed after a plan": (
        replace(differing(), error=UnreachableError("no route")),
        "failed: no route",
    ),
    "broken manifests": (
        CycleResult(started_at=NOW, error=BROKEN),
        "failed: 1 error in the manifests",
    ),
    "applied": (applied(), "7 of 7 changes applied"),
    "applied, and something remains": (
        drifting(applied()),
        "7 of 7 changes applied, 1 rule in the way, 2 route tests failed on the live rules",
    ),
    "partly": (
        applied(0, 1, error="HTTP 403\x1b[31m"),
        "5 of 7 changes applied: HTTP 403\\u001b[31m",
    ),
}
"""Each round, and the text of its result."""


@each_case("name", LINES)
def test_a_round_is_one_line(name: str) -> None:
    """Its start, findings, writes and calls, and the start of the next round; text from outside is
    escaped.
    """
    item, text = LINES[name]
    line = cycle_line(item, 271.6)
    assert line.startswith("2026-11-25T12:00:00Z ")
    assert text in line
    assert line.endswith(
        f", {item.calls.requests} calls in {item.seconds:.1f} s; next in 272 s"
    )


def test_the_lines_are_complete() -> None:
    """Nothing further is between the time and the calls; every result and every sentence is among
    them.
    """
    complete = {
        name: f"2026-11-25T12:00:00Z {text}, "
        for name, (_, text) in LINES.items()
        if name != "in conflict"
    }
    assert [] == [
        name
        for name, start in complete.items()
        if not cycle_line(LINES[name][0], 1).startswith(start)
    ]
    assert set(CYCLE_STATUSES) == {item.status for item, _ in LINES.values()}
    assert [] == missing_sentences(
        ["features/watch/text.py"], [cycle_line(item, 1) for item, _ in LINES.values()]
    )


def test_programs_read_a_round_as_json() -> None:
    """Counts of remaining differences at its end; null without a comparison."""
    item = drifting(applied(0, error="HTTP 403", left=differing().plan))
    assert {
        "event": "round",
        "at": "2026-11-25T12:00:00Z",
        "environment": "prod",
        "result": "partly",
        "pending": 7,
        "drifted": 3,
        "missing": 1,
        "inTheWay": 1,
        "failedTests": 2,
        "brokenPromises": 0,
        "held": 1,
        "conflicts": 0,
        "refused": ["unrouted"],
        "applied": 6,
        "error": "HTTP 403",
        "findings": [],
        "seconds": 2.25,
        "calls": 5,
        "retries": 1,
        "throttled": 2,
        "nextSeconds": 300.0,
    } == json.loads(json.dumps(cycle_document(item, "prod", 300)))
    failed = cycle_document(CycleResult(started_at=NOW, error=BROKEN), "prod", 300)
    assert "CXR101" in failed["findings"][0]["code"]
    unknown = (
        "pending",
        "drifted",
        "missing",
        "inTheWay",
        "failedTests",
        "held",
        "conflicts",
    )
    assert [None] * len(unknown) == [failed[name] for name in unknown]
    clean = cycle_document(CycleResult(started_at=NOW, plan=empty_plan()), "prod", 300)
    assert (0, None, [], None) == (
        clean["pending"],
        clean["error"],
        clean["findings"],
        clean["inTheWay"],
    )
    tested = cycle_document(differing(failed_tests=(FAILED_TEST,)), "prod", 300)
    assert ["CXR220"] == [finding["code"] for finding in tested["findings"]]
