"""Route tests, promises and the lint of rules with dates: at all times from now on."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import NamedTuple

import pytest

from reconciler.cli.validation import check_environments, validate
from reconciler.core.checks.route_tests import Checked, RouteTestResult
from reconciler.core.desired.calendar import Interval
from reconciler.core.manifest.load import load_manifests
from reconciler.core.model.finding import Finding
from reconciler.core.plan.promises import PromiseResult
from tests.support.cases import each_case
from tests.support.written_manifests import ENVIRONMENT, HEAD

NOW = datetime(2026, 11, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
HOURS = 24 * 20
TESTS = "---\napiVersion: routing/v1\nkind: RouteTests\nname: t\ntests:\n"
PROMISES = "---\napiVersion: routing/v1\nkind: Promises\nname: p\npromises:\n"


def checked(
    room: Path,
    rules: Sequence[str],
    tests: Sequence[str] = (),
    promises: Sequence[str] = (),
    more: str = "schedule: {every: 10m}\n",
) -> tuple[Checked, list[Finding]]:
    """Return the checks of prod, and the findings of `validate`."""
    text = f"{ENVIRONMENT}{more}---\n{HEAD}" + lines(rules)
    text += TESTS + lines(tests) if tests else ""
    text += PROMISES + lines(promises) if promises else ""
    (room / "m.yaml").write_text(text, "utf-8")
    manifests = load_manifests(room, NOW)
    results = check_environments(manifests, "prod")
    found = validate(manifests, results, "prod", str(room))
    return results[0], found.findings


def lines(items: Sequence[str]) -> str:
    return "".join(f"  - {item}\n" for item in items)


class Written(NamedTuple):
    """A rule of the oracle: its intent, its queue by hour, its priority and its hours."""

    intent: str
    queues: list[str]
    priority: int
    start: int
    end: int


def generated(random: Random) -> tuple[list[str], list[Written]]:
    """Return rules as texts, and what they say by the hour."""
    texts = []
    rules = []
    priorities = random.sample(range(100), 8)
    for number, priority in enumerate(priorities):
        start, end = sorted(random.sample(range(-100, HOURS), 2))
        intent = random.choice("ab")
        first, second = random.sample(["Q1", "Q2", "Q3"], 2)
        at = random.randrange(-100, HOURS)
        waits = random.random() < 0.3
        fields = [f"key: k{number}, intent: {intent}, priority: {priority}"]
        if random.random() < 0.3:
            start = -1000
        else:
            fields.append(f"from: {(NOW + HOUR * start).isoformat()}")
        if random.random() < 0.3:
            end = 10 * HOURS
        else:
            fields.append(f"until: {(NOW + HOUR * end).isoformat()}")
        queues = [first] * (HOURS + 1)
        if random.random() < 0.5:
            fields.append(f"queue: {first}")
        else:
            condition = ", if: {query: q, above: 1, for: 5m}" if waits else ""
            fields.append(
                f"targets: [{{queue: {first}, weight: 1}}, {{queue: {second}, weight: 0}}], "
                f"steps: [{{at: {(NOW + HOUR * at).isoformat()}, weights: {{{first}: 0, {second}: 1}}"
                f"{condition}}}]"
            )
            for hour in range(max(at, 0), HOURS + 1):
                queues[hour] = f"{first}|{second}" if waits else second
        texts.append(f"{{{', '.join(fields)}}}")
        rules.append(Written(intent, queues, priority, start, end))
    return texts, rules


def route(rules: list[Written], intent: str, hour: int) -> str:
    """Return the queue of an intent in an hour: of a step that may wait, both."""
    taking = [
        rule
        for rule in rules
        if rule.intent == intent and rule.start <= hour < rule.end
    ]
    if not taking:
        return ""
    return min(taking, key=lambda rule: rule.priority).queues[hour]


@pytest.mark.parametrize("seed", range(30))
def test_tests_and_promises_hold_at_each_hour_or_name_the_first(
    seed: int, room: Path
) -> None:
    """A test takes a due step for made; a promise holds for each step that can be made."""
    random = Random(seed)
    texts, rules = generated(random)
    expected = {intent: random.choice(["Q1", "Q2", "Q3"]) for intent in "ab"}
    queues = {intent: random.sample(["Q1", "Q2", "Q3"], 2) for intent in "ab"}
    tests = [
        f"{{given: {{intent: {intent}}}, expect: {{queue: {queue}}}}}"
        for intent, queue in expected.items()
    ]
    promises = [
        f"{{name: {intent}, for: {{intent: {intent}}}, always: {{queues: [{', '.join(names)}]}}}}"
        for intent, names in queues.items()
    ]
    results, _ = checked(room, texts, tests, promises)
    assert 4 == len(results.tried)
    for result in results.tried:
        if isinstance(result, RouteTestResult):
            intent = "ab"[result.number - 1]
            bad = [
                hour
                for hour in range(HOURS)
                if route(rules, intent, hour).split("|")[-1] != expected[intent]
            ]
        else:
            assert isinstance(result, PromiseResult)
            intent = result.name
            bad = [
                hour
                for hour in range(HOURS)
                if not set(route(rules, intent, hour).split("|")) <= set(queues[intent])
            ]
        assert bool(bad) == (result.failure is not None), result
        if bad:
            assert result.interval is not None
            assert result.interval.covers(NOW + HOUR * bad[0])
            assert all(
                not result.interval.covers(NOW + HOUR * hour) or hour in bad
                for hour in range(HOURS)
            )


CAMPAIGN = (
    "{key: usual, intent: refund, queue: Q1}",
    "{key: xmas, intent: refund, queue: Q2, priority: 9, from: 2026-12-27T06:00Z, until: 2027-01-07T00:00Z}",
)


@each_case(
    "at, queue, fails",
    [
        ("2026-12-27T06:00Z", "Q2", False),
        ("2026-12-27T05:59:59Z", "Q2", True),
        ("2027-01-06T23:59:59Z", "Q2", False),
        ("2027-01-07T00:00Z", "Q1", False),
        ("2020-01-01T00:00Z", "Q1", False),
        ("2020-01-01T00:00Z", "Q2", True),
    ],
)
def test_a_test_may_be_about_one_time(
    room: Path, at: str, queue: str, *, fails: bool
) -> None:
    """The time may be over."""
    test = f"{{given: {{intent: refund, at: '{at}'}}, expect: {{queue: {queue}}}}}"
    results, findings = checked(room, CAMPAIGN, [test])
    (result,) = results.tried
    assert fails == (result.failure is not None)
    assert fails == any(finding.code == "CXR220" for finding in findings)


def test_a_failure_names_the_time_and_the_command_for_it(room: Path) -> None:
    """In the time zone of the Environment."""
    more = "schedule: {every: 10m}\ntimezone: Europe/Zurich\n"
    test = "{given: {intent: refund}, expect: {queue: Q1}}"
    _, findings = checked(room, CAMPAIGN, [test], more=more)
    (failure,) = findings
    assert failure.message.endswith(
        "from 2026-12-27T07:00:00+01:00 until 2027-01-07T01:00:00+01:00"
    )
    assert failure.hint.endswith("--intent refund --at 2026-12-27T06:00:00Z")


def test_a_failure_at_all_times_names_no_time(room: Path) -> None:
    """The dates of rules that it is not about do not end it."""
    tests = ["{given: {intent: other}, expect: {queue: Q1}}"]
    promises = ["{name: p, for: {intent: other}, always: {queues: [Q1]}}"]
    results, findings = checked(room, CAMPAIGN, tests, promises)
    assert [Interval(), Interval()] == [each.interval for each in results.tried]
    assert not [finding for finding in findings if "until" in finding.message]


def test_a_failure_ends_when_another_rule_takes_the_conversation(room: Path) -> None:
    """The message names the rule, so its time is that of the rule."""
    test = "{given: {intent: refund}, expect: {queue: Q3}}"
    results, _ = checked(room, CAMPAIGN, [test])
    (result,) = results.tried
    assert Interval(None, datetime(2026, 12, 27, 6, tzinfo=UTC)) == result.interval


def test_a_local_time_of_a_test_needs_a_zone(room: Path) -> None:
    """Also where no rule has a date."""
    test = "{given: {intent: refund, at: 2026-12-27T06:00}, expect: {queue: Q1}}"
    for rules in (CAMPAIGN, CAMPAIGN[:1]):
        _, findings = checked(room, rules, [test])
        assert ["CXR104"] == [finding.code for finding in findings]
        assert "prod has no `timezone`" in findings[0].message


def test_a_rule_that_a_campaign_hides_for_a_time_is_fine(room: Path) -> None:
    """A rule that is hidden whenever it exists is a finding."""
    _, findings = checked(room, CAMPAIGN)
    assert [] == findings
    always = CAMPAIGN[1].partition(", from")[0] + ", until: 2027-03-01T00:00Z}"
    hidden = "{key: usual, intent: refund, queue: Q1, until: 2027-02-01T00:00Z}"
    _, findings = checked(room, (hidden, always))
    assert ["CXR202"] == [finding.code for finding in findings]


def test_ties_of_a_later_time_are_found(room: Path) -> None:
    """With the first time at which they hold."""
    tied = CAMPAIGN[1].replace("priority: 9", "priority: 100")
    _, findings = checked(room, (CAMPAIGN[0], tied))
    (tie,) = {finding.message for finding in findings}
    assert {"CXR204"} == {finding.code for finding in findings}
    assert tie.endswith("from 2026-12-27T06:00:00Z until 2027-01-07T00:00:00Z")


@each_case(
    "rule, expected",
    [
        (
            "{intent: a, queue: Q, until: 2026-10-31T00:00Z}",
            "never active again: the rule ended at 2026-10-31T00:00:00Z",
        ),
        (
            (
                "{intent: a, targets: [{queue: Q}, {queue: P}], until: 2026-12-01T00:00Z, steps: ["
                "{at: 2026-12-01T00:00Z, weights: {Q: 1, P: 2}}]}"
            ),
            (
                "the step at 2026-12-01T00:00:00Z is never made: the rule ends at "
                "2026-12-01T00:00:00Z"
            ),
        ),
    ],
)
def test_rules_and_steps_that_are_over(room: Path, rule: str, expected: str) -> None:
    """`accept:` of the rule accepts the finding."""
    _, findings = checked(room, [rule, "{intent: b, queue: Q}"])
    assert [("CXR242", expected)] == [(each.code, each.message) for each in findings]
    accepted = rule.replace("{intent", "{accept: {CXR242: history}, intent", 1)
    assert [] == checked(room, [accepted, "{intent: b, queue: Q}"])[1]


@each_case(
    "more, codes",
    [
        ("", ["CXR240"]),
        ("schedule: {every: 16m}\n", ["CXR240"]),
        ("schedule: {every: 15m}\n", []),
        ("schedule: {every: 900s}\n", []),
    ],
)
def test_a_date_needs_a_run_near_it(room: Path, more: str, codes: list[str]) -> None:
    """Not if all dates are over, or no rule has one."""
    _, findings = checked(room, CAMPAIGN, more=more)
    assert codes == [finding.code for finding in findings]
    assert [] == checked(room, CAMPAIGN[:1], more=more)[1]
    over = "{intent: a, queue: Q, from: 2026-10-31T00:00Z}"
    assert [] == checked(room, [over], more=more)[1]
