"""Rules with dates: which rules exist at a time, with which weights, and the errors of dates."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import pytest

from reconciler.core.desired.desired import (
    DesiredState,
    expand_manifests,
    phases_from_now,
    state_at,
)
from reconciler.core.desired.queues import OfflineQueueResolver
from reconciler.core.errors import ManifestError, UsageError
from reconciler.core.manifest.load import load_manifests
from reconciler.core.model.rule import Address, Target
from tests.support.cases import each_case
from tests.support.written_manifests import ENVIRONMENT, HEAD

ZURICH = "timezone: Europe/Zurich\n"
NOW = datetime(2026, 11, 1, tzinfo=UTC)
RAMP = (
    "{intent: card, targets: [{queue: Cards, weight: 100}, {queue: Partner, weight: 0}], steps: ["
    "{at: 2026-12-01T06:00, weights: {Cards: 95, Partner: 5}},"
    "{at: 2026-12-03T06:00, weights: {Cards: 75, Partner: 25}, if: {query: q, above: 0.8, for: 30m}},"
    "{at: 2026-12-05T06:00, weights: {Cards: 0, Partner: 1}}]}"
)


def expanded(
    room: Path, *rules: str, instant: datetime | None = NOW, more: str = ZURICH
) -> DesiredState:
    """Return the desired rules of prod, one on each line from line 5."""
    (room / "environment.yaml").write_text(ENVIRONMENT + more, "utf-8")
    text = HEAD + "".join(f"  - {rule}\n" for rule in rules)
    (room / "rules.yaml").write_text(text, "utf-8")
    manifests = load_manifests(room, instant)
    return expand_manifests(
        manifests, manifests.environment("prod"), OfflineQueueResolver("prod", {})
    )


def errors(room: Path, *rules: str, more: str = ZURICH) -> list[str]:
    """Return the errors in prod: position, code, message and hint."""
    with pytest.raises(ManifestError) as caught:
        expanded(room, *rules, more=more)
    return [
        f"{finding.source.line}:{finding.source.column} {finding.code} {finding.message} | "
        f"{finding.hint}"
        for finding in caught.value.findings
        if finding.source
    ]


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@each_case(
    "time, keys",
    [
        ("2026-12-27T04:59:59", ["always"]),
        ("2026-12-27T05:00:00", ["always", "xmas"]),
        ("2027-01-06T22:59:59", ["always", "xmas"]),
        ("2027-01-06T23:00:00", ["always"]),
    ],
)
def test_a_rule_exists_from_its_start_until_its_end(
    room: Path, time: str, keys: list[str]
) -> None:
    """Local times are those of the Environment; the end is excluded."""
    desired = expanded(
        room,
        "{key: xmas, intent: refund, queue: Cards, from: 2026-12-27T06:00, until: 2027-01-07T00:00}",
        "{key: always, intent: other, queue: Cards}",
    )
    state = state_at(desired, utc(time))
    assert keys == sorted(address.key for address in state.rules)


@each_case(
    "time, weights",
    [
        ("2026-12-01T04:59:59", {"Cards": 100}),
        ("2026-12-01T05:00:00", {"Cards": 95, "Partner": 5}),
        ("2026-12-03T05:00:00", {"Cards": 75, "Partner": 25}),
        ("2027-12-05T05:00:00", {"Partner": 1}),
    ],
)
def test_the_last_due_step_has_the_weights(
    room: Path, time: str, weights: dict[str, int]
) -> None:
    """A queue of weight 0 is left out, in the description too."""
    state = state_at(expanded(room, RAMP), utc(time))
    (desired,) = state.rules.values()
    names = {f"assumed:{name}" for name in weights} | set(weights)
    targets = {
        target.queue_id: target.weight
        for target in desired.rule.targets
        if isinstance(target, Target)
    }
    assert sorted(weights.values()) == sorted(targets.values())
    assert targets.keys() <= names
    listed = desired.rule.description.rpartition(" to ")[2].split(", ")
    assert sorted(weights) == sorted(listed)


def test_a_key_may_stand_several_times_at_different_times(room: Path) -> None:
    """It is one address, with the rule of the time; between them it does not exist."""
    desired = expanded(
        room,
        "{key: a, name: A, intent: x, queue: Cards, until: 2026-12-01T00:00}",
        "{key: a, name: A, intent: x, queue: Fraud, from: 2026-12-01T00:00, until: 2026-12-05T00:00}",
        "{key: a, name: A, intent: y, queue: Fraud, from: 2026-12-06T00:00Z}",
    )
    lines = [
        [
            rule.source.line
            for rule in state_at(desired, utc(time)).rules.values()
            if rule.source
        ]
        for time in (
            "2026-11-30T22:59:59",
            "2026-11-30T23:00:00",
            "2026-12-04T23:00:00",
            "2026-12-06T00:00:00",
        )
    ]
    assert [[5], [6], [], [7]] == lines
    assert {Address("cards", "a")} == {rule.address for rule in desired.stated_rules}


@each_case(
    "rules, expected",
    [
        (
            ["{intent: a, queue: Q, from: 2026-12-02T00:00, until: 2026-12-01T00:00}"],
            (
                "5:58 CXR104 the rule ends before it begins: from 2026-12-02T00:00:00+01:00 until "
                "2026-12-01T00:00:00+01:00 | write a time after `from`"
            ),
        ),
        (
            ["{intent: a, queue: Q, from: 2026-12-02T00:00, until: 2026-12-02T00:00}"],
            (
                "5:58 CXR104 the rule ends before it begins: from 2026-12-02T00:00:00+01:00 until "
                "2026-12-02T00:00:00+01:00 | write a time after `from`"
            ),
        ),
        (
            [
                "{key: a, intent: a, queue: Q, until: 2026-12-02T00:00}",
                "{key: a, intent: b, queue: Q, from: 2026-12-01T00:00}",
            ],
            (
                "6:5 CXR109 rule cards/a is defined twice in prod at 2026-12-01T00:00:00+01:00, "
                "first at rules.yaml:5 | end one with `until` before the other begins, or give one "
                "of them another `key`"
            ),
        ),
        (
            [
                "{key: a, intent: a, queue: Q}",
                "{key: a, intent: b, queue: Q, from: 2026-12-01T00:00, until: 2026-12-02T00:00}",
            ],
            (
                "6:5 CXR109 rule cards/a is defined twice in prod at 2026-12-01T00:00:00+01:00, "
                "first at rules.yaml:5 | end one with `until` before the other begins, or give one "
                "of them another `key`"
            ),
        ),
        (
            [
                "{key: a, name: N, intent: a, queue: Q, until: 2026-12-02T00:00}",
                "{key: b, name: N, intent: b, queue: Q, until: 2026-12-01T00:00}",
            ],
            (
                "6:5 CXR110 rule name 'N' is already used by cards/a at rules.yaml:5 at the same "
                "time | give one of them another `name`"
            ),
        ),
    ],
)
def test_intervals_that_cannot_be(room: Path, rules: list[str], expected: str) -> None:
    """The message says when, and what to do."""
    assert [expected] == [line.replace(f"{room}/", "") for line in errors(room, *rules)]


def ramp(
    *steps: str, targets: str = "{queue: A, weight: 1}, {queue: B, weight: 0}"
) -> str:
    listed = ", ".join(steps)
    return f"{{intent: x, targets: [{targets}], steps: [{listed}]}}"


@each_case(
    "rule, expected",
    [
        (
            ramp("{at: 2026-12-02T00:00, weights: {A: 1}}"),
            'CXR104 a step must name exactly the queues of `targets`: "B" is missing',
        ),
        (
            ramp("{at: 2026-12-02T00:00, weights: {A: 1, B: 2, C: 0}}"),
            'CXR104 a step must name exactly the queues of `targets`: "C" is not one of them',
        ),
        (
            ramp(
                "{at: 2026-12-02T00:00, weights: {A: 1, B: 2}}",
                "{at: 2026-12-01T23:00Z, weights: {A: 1, B: 3}}",
            ),
            (
                "CXR104 steps must ascend in time, and 2026-12-02T00:00:00+01:00 does not follow "
                "2026-12-02T00:00:00+01:00"
            ),
        ),
        (
            ramp("{at: 2026-12-02T00:00, weights: {A: 1.0, B: 0}}"),
            "CXR104 step 1 has the weights of `targets`, so it changes nothing",
        ),
        (
            ramp(
                "{at: 2026-12-02T00:00, weights: {A: 1, B: 1}}",
                "{at: 2026-12-03T00:00, weights: {A: 1, B: 1}}",
            ),
            "CXR104 step 2 has the weights of step 1, so it changes nothing",
        ),
        (
            ramp(
                "{at: 2026-12-02T00:00, weights: {A: 1, B: 1}, if: {query: q, below: 1, for: 1m}}",
                "{at: 2026-12-03T00:00, weights: {A: 1, B: 0}}",
            ),
            (
                "CXR104 step 2 has the weights of `targets`, and a step with `if` is between them: "
                "the live rule could not show which of the two is made"
            ),
        ),
        (
            ramp(
                "{at: 2026-12-02T00:00, weights: {A: 1, B: 1}}",
                "{at: 2026-12-03T00:00, weights: {A: 1, B: 0}, if: {query: q, below: 1, for: 1m}}",
            ),
            (
                "CXR104 step 2 has the weights of `targets`, and a step with `if` is between them: "
                "the live rule could not show which of the two is made"
            ),
        ),
        (
            ramp("{at: 2026-12-02T00:00, weights: {A: 0, B: 0}}"),
            (
                "CXR123 no queue has a positive weight, so the conversations of this rule would "
                "reach no queue"
            ),
        ),
        (
            ramp(
                "{at: 2026-12-02T00:00, weights: {A: 1, B: 2}}",
                targets="{queue: A}, {queue: B}, {queue: A}",
            ),
            'CXR104 a rule with steps must name each queue once, and "A" is named twice',
        ),
    ],
)
def test_steps_that_cannot_be(room: Path, rule: str, expected: str) -> None:
    """Each has one error."""
    (line,) = errors(room, rule)
    assert expected in line


def test_equal_weights_are_allowed_where_the_live_rule_says_enough(room: Path) -> None:
    """A ramp may go up and down again."""
    desired = expanded(
        room,
        ramp(
            "{at: 2026-12-02T00:00, weights: {A: 1, B: 1}}",
            "{at: 2026-12-03T00:00, weights: {A: 1, B: 0}}",
        ),
    )
    assert 3 == len(list(desired.stated_rules))


def test_a_local_time_needs_the_zone_of_the_environment(room: Path) -> None:
    """A time with an offset does not; both times of a rule are reported."""
    rule = "{intent: a, queue: Q, from: 2026-12-01T00:00}"
    (line,) = errors(room, rule, more="")
    assert "2026-12-01T00:00:00 is a local time, and prod has no `timezone`" in line
    assert "write `timezone: Europe/Berlin` there" in line
    expanded(room, "{intent: a, queue: Q, from: 2026-12-01T00:00Z}", more="")
    step = ramp("{at: 2026-12-02T00:00, weights: {A: 1, B: 1}}")
    assert 2 == len(errors(room, rule, step, more=""))


def test_all_errors_of_a_rule_are_reported_in_one_run(room: Path) -> None:
    """Those of its dates, and the others."""
    rule = (
        "{intent: a, priority: '${none}', from: 2026-12-02T00:00, until: 2026-12-01T00:00, targets: "
        "[{queue: A}], steps: [{at: 2026-12-02T00:00, weights: {B: 1}}]}"
    )
    codes = [line.split()[1] for line in errors(room, rule)]
    assert ["CXR104", "CXR104", "CXR107"] == sorted(codes)


def test_rules_with_dates_need_an_instant(room: Path) -> None:
    """Without one, nothing is assumed; rules without dates need none."""
    with pytest.raises(UsageError, match="need an instant"):
        expanded(room, "{intent: a, queue: Q, from: 2026-12-01T00:00Z}", instant=None)
    desired = expanded(room, "{intent: a, queue: Q}", instant=None)
    assert desired.calendar is None
    assert desired == state_at(desired, NOW)


def test_weights_may_be_variables(room: Path) -> None:
    """Each environment has its own ramp."""
    more = f"{ZURICH}vars: {{share: 7, partner: B}}\n"
    rule = (
        "{intent: x, targets: [{queue: A, weight: 1}, {queue: '${partner}', weight: 0}], "
        "steps: [{at: 2026-12-02T00:00, weights: {A: 1, '${partner}': '${share}'}}]}"
    )
    state = state_at(expanded(room, rule, more=more), utc("2026-12-03T00:00"))
    (desired,) = state.rules.values()
    weights = [each.weight for each in desired.rule.targets if isinstance(each, Target)]
    assert [1, 7] == sorted(weights)


def test_phases_have_each_rule_and_each_step_that_can_be_live(room: Path) -> None:
    """Beside a simple walk over each second around the boundaries of generated rules."""
    for seed in range(40):
        random = Random(seed)
        rules, stated = generated(random)
        desired = expanded(room, *rules, more="")
        phases = list(phases_from_now(desired))
        assert phases[0].interval.covers(NOW)
        for number in range(0, 30 * 24 * 3600, 1800):
            for second in (-1, 0):
                instant = NOW + timedelta(seconds=number + second)
                if instant < NOW:
                    continue
                expected = possible(stated, instant)
                actual = {
                    (str(rule.address), weights_of(rule.rule.targets))
                    for phase in phases
                    if phase.interval.covers(instant)
                    for rule in phase.state.rules.values()
                }
                assert expected == actual, (seed, instant)


Stated = tuple[str, datetime | None, datetime | None, list[tuple[datetime, int, bool]]]


def generated(random: Random) -> tuple[list[str], list[Stated]]:
    """Return rules as texts, and what they say."""
    rules = []
    stated: list[Stated] = []
    half = timedelta(minutes=30)
    for number in range(random.randint(1, 4)):
        times = sorted(random.sample(range(1, 30 * 48 - 1), 5))
        first, *inner, last = [NOW + half * time for time in times]
        start = random.choice([None, first])
        end = random.choice([None, last])
        steps = [
            (at, 2 + position, random.random() < 0.4)
            for position, at in enumerate(inner[: random.randint(0, 3)])
        ]
        fields = [
            f"intent: i{number}",
            "targets: [{queue: A, weight: 1}, {queue: B, weight: 1}]",
        ]
        fields += [f"from: {start.isoformat()}"] if start else []
        fields += [f"until: {end.isoformat()}"] if end else []
        written = [
            f"{{at: {at.isoformat()}, weights: {{A: 1, B: {weight}}}"
            + (", if: {query: q, above: 1, for: 5m}}" if waits else "}")
            for at, weight, waits in steps
        ]
        fields += [f"steps: [{', '.join(written)}]"] if steps else []
        rules.append(f"{{{', '.join(fields)}}}")
        stated.append((f"cards/i{number}", start, end, steps))
    return rules, stated


def possible(
    stated: list[Stated], instant: datetime
) -> set[tuple[str, tuple[float, ...]]]:
    """Return each rule that exists, with the weights of each step that can be made."""
    rules: set[tuple[str, tuple[float, ...]]] = set()
    for name, start, end, steps in stated:
        if (start and instant < start) or (end and instant >= end):
            continue
        made = [1]
        for at, weight, waits in steps:
            if at > instant:
                break
            made = [*made, weight] if waits or len(made) > 1 else [weight]
        rules |= {(name, (1, weight)) for weight in made}
    return rules


def weights_of(targets: object) -> tuple[float, ...]:
    assert isinstance(targets, tuple)
    return tuple(sorted(target.weight for target in targets))
