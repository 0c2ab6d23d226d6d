"""The loop on a fake clock, the results of its rounds, and their notifications."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import pytest

from reconciler.core.apply.progress import ApplyReport
from reconciler.core.errors import (
    CxrouteError,
    ManifestError,
    RefusedError,
    UnreachableError,
)
from reconciler.core.model.change import (
    Applied,
    Create,
    Failed,
    Outcome,
    UnknownOutcome,
)
from reconciler.core.model.finding import Finding
from reconciler.core.plan.stages import GuardResult
from reconciler.core.target import CallCounts
from reconciler.core.text.prometheus import exposition
from reconciler.features.watch.cycle import (
    REMINDER_SECONDS,
    CycleResult,
    NotificationState,
    WatchLoop,
    WatchMetrics,
)
from tests.support.builders import NOW, address, rule
from tests.support.cases import each_case
from tests.support.fake_clock import FakeClock
from tests.support.plans import empty_plan, plan_of_everything

AWAY = UnreachableError("the tenant cannot be reached")
BROKEN = ManifestError(
    [Finding(code="CXR101", severity="error", message="no such key")]
)


def failed(error: CxrouteError = AWAY) -> CycleResult:
    return CycleResult(started_at=NOW, error=error)


def clean() -> CycleResult:
    return CycleResult(started_at=NOW, plan=empty_plan())


def differing(**said: object) -> CycleResult:
    """A round with a difference that no guard refuses and no rule conflicts with."""
    plan = plan_of_everything()
    plan = replace(
        plan,
        guards=(),
        findings=tuple(
            finding for finding in plan.findings if finding.severity != "error"
        ),
    )
    return CycleResult(started_at=NOW, plan=replace(plan, **said))  # type: ignore[arg-type]


def applied(*, converged: bool = True) -> CycleResult:
    plan = differing().plan
    assert plan is not None
    created: list[Outcome] = [Applied(change, 1, "id") for change in plan.changes]
    created[-1:] = [] if converged else [Failed(plan.changes[-1], 1, "422")]
    return CycleResult(
        started_at=NOW,
        plan=plan,
        report=ApplyReport(
            outcomes=tuple(created), converged=converged, remaining=empty_plan()
        ),
        may_write=True,
    )


def looped(
    every: float,
    rounds: Sequence[CycleResult],
    lasting: float = 1.0,
    chance: float = 0.5,
) -> list[float]:
    """Run these rounds, each with its duration; return the seconds at which each began, and the
    loop's end.
    """
    time = FakeClock(chance)
    began: list[float] = []

    async def one() -> CycleResult:
        began.append(time.seconds - 1000)
        await time.time.sleep(lasting)
        return rounds[len(began) - 1]

    async def told(_round: CycleResult, _following: float) -> None:
        await asyncio.sleep(0)

    loop = WatchLoop(
        interval=every,
        clock=time.time.clock,
        sleep=time.time.sleep,
        random=time.time.random,
    )
    assert rounds[-1] is asyncio.run(
        loop.run(one, told, lambda: len(began) == len(rounds))
    )
    return [*began, time.seconds - 1000]


def test_rounds_start_at_intervals() -> None:
    """From start to start, independent of their duration; the loop ends with the last round."""
    assert [0, 300, 600, 601] == looped(300, [clean()] * 3)


@pytest.mark.parametrize(
    ("chance", "second"), [(0.0, 270), (0.25, 285), (0.999999, 330)]
)
def test_an_interval_is_a_tenth_shorter_or_longer(chance: float, second: int) -> None:
    """Loops that started together do not stay together."""
    assert second == round(looped(300, [clean()] * 2, chance=chance)[1])


def test_a_round_longer_than_the_interval_delays_the_next() -> None:
    """Rounds never overlap, and there is a pause between them."""
    assert [0, 701, 1402, 2102] == looped(300, [clean()] * 3, lasting=700)


def test_failures_double_the_interval_up_to_a_limit() -> None:
    """At most fifteen minutes; a successful round resets it."""
    began = looped(60, [failed()] * 6 + [clean()] * 2)
    assert [120, 240, 480, 900, 900, 900, 60] == [
        b - a for a, b in pairwise(began[:-1])
    ]
    assert [0, 3600, 3601] == looped(3600, [failed()] * 2)


def test_invalid_manifests_do_not_change_the_interval() -> None:
    """The tenant is not the cause, and the correction should count soon."""
    assert [0, 60, 120, 121] == looped(60, [failed(BROKEN)] * 3)


def test_health_depends_on_the_loop_and_not_on_the_tenant() -> None:
    """Healthy before the first round, during waits and in long rounds; unhealthy if none starts or
    ends for long.
    """
    time = FakeClock()
    observed: list[tuple[float, bool]] = []
    loop = WatchLoop(
        interval=60,
        clock=time.time.clock,
        sleep=time.time.sleep,
        random=time.time.random,
    )

    async def one() -> CycleResult:
        for seconds in (0.0, 1799.0, 2.0):
            time.seconds += seconds
            observed.append((seconds, loop.is_alive))
        return await asyncio.sleep(0, failed())

    async def told(_round: CycleResult, following: float) -> None:
        for seconds in (0.0, following + 119, 2.0):
            time.seconds += seconds
            observed.append((0, loop.is_alive))
        await asyncio.sleep(0)

    assert loop.is_alive
    asyncio.run(loop.run(one, told, lambda: True))
    assert [True, True, False, True, True, False] == [alive for _, alive in observed]


def frozen() -> tuple[GuardResult, ...]:
    return (
        GuardResult(
            name="freeze", value=1, limit=0, ok=False, message="prod is frozen now"
        ),
    )


@each_case(
    "one, result",
    [
        (clean(), "clean"),
        (replace(clean(), may_write=True), "clean"),
        (differing(), "pending"),
        (differing(guards=frozen()), "pending"),
        (replace(differing(guards=frozen()), may_write=True), "refused"),
        (
            CycleResult(started_at=NOW, plan=plan_of_everything(), may_write=True),
            "refused",
        ),
        (
            replace(
                differing(), may_write=True, error=RefusedError("the tenant changed")
            ),
            "refused",
        ),
        (replace(differing(), may_write=True, error=AWAY), "failed"),
        (failed(), "failed"),
        (failed(BROKEN), "failed"),
        (applied(), "applied"),
        (applied(converged=False), "partly"),
        (
            replace(applied(), report=ApplyReport(outcomes=(), converged=False)),
            "failed",
        ),
    ],
)
def test_each_status_of_a_round(one: CycleResult, result: str) -> None:
    """Every status and its condition."""
    assert result == one.status


def test_a_write_with_an_unknown_outcome_counts_as_a_write() -> None:
    """It may have been done."""
    plan = differing().plan
    assert plan is not None
    report = ApplyReport(
        outcomes=(UnknownOutcome(plan.changes[0], 1, "timeout"),), converged=False
    )
    assert (
        "partly"
        == CycleResult(started_at=NOW, plan=plan, report=report, may_write=True).status
    )


def told(
    *rounds: CycleResult, every: float = 300, news: NotificationState | None = None
) -> list[tuple[str, ...]]:
    """Return the notifications of these rounds, one interval apart."""
    memory = news or NotificationState()
    return [memory.find_due(item, number * every) for number, item in enumerate(rounds)]


def moved(number: int) -> CycleResult:
    """A distinct difference for each number."""
    return differing(
        changes=(Create(address("cards/vip"), rule("vip", priority=number), None),)
    )


def test_a_state_is_notified_once_until_it_changes() -> None:
    """Drift, the same drift, another, the first again, and its end."""
    observed = told(
        clean(), moved(1), moved(1), moved(2), moved(1), clean(), clean(), moved(1)
    )
    assert [
        (),
        ("drift",),
        (),
        ("drift",),
        ("drift",),
        ("recovered",),
        (),
        ("drift",),
    ] == observed


def test_a_failure_is_notified_once_in_six_hours_and_its_end_once() -> None:
    """Times and counts in its message do not matter; another kind is another failure."""
    candidate = UnreachableError("the tenant cannot be reached, after 90 s")
    observed = told(
        failed(), failed(candidate), failed(BROKEN), clean(), failed(), clean()
    )
    assert [("failed",), (), ("failed",), ("recovered",), (), ()] == observed
    rounds = int(2 * REMINDER_SECONDS / 300) + 1
    assert 3 == sum(item == ("failed",) for item in told(*[failed()] * rounds))


def test_an_equal_apply_is_notified_once_an_hour() -> None:
    """A change that is reverted and corrected every five minutes is notified every hour."""
    assert [("applied",), ()] == told(applied(), applied())
    assert 3 == sum(item == ("applied",) for item in told(*[applied()] * 25))
    assert [("failed",), ("recovered", "applied")] == told(failed(), applied())


def test_a_refusal_is_notified_for_each_of_its_reasons() -> None:
    """With --apply, the end of a freeze is another state of the same drift."""
    item = replace(moved(1), may_write=True)
    refused = replace(item, plan=replace(item.plan, guards=frozen()))  # type: ignore[type-var]
    assert [("drift",), ("refused",), ()] == told(moved(1), refused, refused)


def test_a_failure_does_not_repeat_earlier_notifications() -> None:
    """After an outage the same drift is not notified again; the recovery is."""
    assert [("drift",), ("failed",), ("recovered",), ()] == told(
        moved(1), failed(), moved(1), moved(1)
    )


def test_each_new_difference_is_notified() -> None:
    """Another conflict, edit, guard or failed check is another state, also if the number of
    differences is equal.
    """
    conflict = Finding(
        code="CXR301",
        severity="error",
        message="the name is taken",
        address=address("cards/a"),
    )
    test = Finding(code="CXR220", severity="error", message="goes to General")
    first = differing(findings=(conflict,))
    remaining_items = [
        differing(findings=(replace(conflict, address=address("cards/b")),)),
        differing(findings=(replace(conflict, message="the name is missing"),)),
        differing(failed_tests=(test,)),
        differing(failed_tests=(replace(test, message="goes to Fraud"),)),
    ]
    prints = [item.fingerprint for item in (first, *remaining_items)]
    assert len(set(prints)) == len(prints)
    assert first.fingerprint == differing(findings=(conflict,)).fingerprint
    kinds = told(*[item for each in (first, *remaining_items) for item in (each, each)])
    assert [True, False] * len(prints) == [bool(kind) for kind in kinds]


def test_a_failure_that_lasts_is_notified_again_after_six_hours() -> None:
    """An operator who missed the first message gets another one."""
    news = NotificationState()
    hours = [hour for hour in range(25) if news.find_due(failed(), 3600.0 * hour)]
    assert [0, 6, 12, 18, 24] == hours


def test_a_notification_that_is_repeated_stays_among_the_remembered() -> None:
    """Of 200 the oldest is forgotten: not the one that was sent first and again a moment ago."""
    news = NotificationState()
    assert news._is_due("lasting", 0.0, 1.0)
    assert all(news._is_due(f"other {number}", 1.0, 1.0) for number in range(150))
    assert news._is_due("lasting", 2.0, 1.0)
    assert all(news._is_due(f"another {number}", 2.0, 1.0) for number in range(150))
    assert not news._is_due("lasting", 2.5, 1.0)


@pytest.mark.parametrize(
    ("result", "expected"),
    [(applied(converged=False), True), (failed(), True), (clean(), False)],
)
def test_a_round_that_failed_also_in_part_slows_the_loop(
    result: CycleResult,
    expected: bool,  # noqa: FBT001 - a table's column
) -> None:
    """A tenant that takes a part of the changes is not asked for the others in each interval."""
    assert expected is result.should_back_off


@pytest.mark.campaign
def test_remembered_notifications_are_limited() -> None:
    """A process runs for months."""
    news = NotificationState()
    told(
        *[replace(applied(), plan=moved(number).plan) for number in range(210)],
        news=news,
    )
    assert 200 == len(news._reported_at)


def test_a_round_without_a_plan_keeps_the_gauges() -> None:
    """Counters increase; gauges keep the last known state."""
    metrics = WatchMetrics()
    metrics.record_cycle(
        replace(differing(), seconds=2.0, calls=CallCounts(10, 2, 1)), 0
    )
    before = exposition(metrics.lines())
    metrics.record_cycle(replace(failed(), calls=CallCounts(4, 3, 0)), 1)
    lines = exposition(metrics.lines()).splitlines()
    actual = [
        line
        for line in before.splitlines()
        if line.startswith(("cxroute_pending", "cxroute_drifted"))
    ]
    assert 2 == len(
        [line for line in actual if line in lines and not line.endswith(" 0")]
    )
    assert {
        "cxroute_api_requests_total 14",
        "cxroute_api_retries_total 5",
        "cxroute_api_throttled_total 1",
    } <= set(lines)
    assert f"cxroute_last_success_timestamp_seconds {NOW.timestamp() + 2:.14g}" in lines
    assert "cxroute_failures_in_a_row 1" in lines


@pytest.mark.parametrize("result", ["failed", "partly"])
def test_a_round_that_failed_in_part_is_not_a_success(result: str) -> None:
    """An alert on the age of the last success sees each later round that does not succeed, however
    many there are.
    """
    metrics = WatchMetrics()
    metrics.record_cycle(clean(), 0)
    lasting = {"failed": failed(), "partly": applied(converged=False)}[result]
    assert result == lasting.status
    for number in range(1, 4):
        metrics.record_cycle(
            replace(lasting, started_at=NOW + timedelta(hours=number)), number
        )
    lines = [*metrics.lines()]
    assert f"cxroute_last_success_timestamp_seconds {NOW.timestamp():.14g}" in lines
    last = NOW + timedelta(hours=3)
    assert f"cxroute_last_round_timestamp_seconds {last.timestamp():.14g}" in lines


@pytest.mark.parametrize("result", [clean(), differing(), applied()])
def test_every_other_round_is_a_success(result: CycleResult) -> None:
    """Differences and applied changes are results, not failures."""
    metrics = WatchMetrics()
    metrics.record_cycle(result, 0)
    assert f"cxroute_last_success_timestamp_seconds {NOW.timestamp():.14g}" in [
        *metrics.lines()
    ]


def test_metrics_are_in_the_format_of_prometheus() -> None:
    """HELP and TYPE precede the samples, and each name appears once."""
    lines = [*WatchMetrics().lines()]
    heads = [line.split()[2] for line in lines if line.startswith("# TYPE")]
    assert (
        len(set(heads))
        == len(heads)
        == sum(line.startswith("# HELP") for line in lines)
    )
    assert {"counter", "gauge", "summary"} == {
        line.split()[3] for line in lines if line.startswith("# TYPE")
    }
    for line in lines:
        if not line.startswith("#"):
            name, value = line.rsplit(" ", 1)
            float(value)
            assert (
                name.partition("{")[0].removesuffix("_sum").removesuffix("_count")
                in heads
            )
