"""Which step of a rule is made where live rules are read, and what waits."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import pytest

from reconciler.core.desired.made_steps import Answer, StepKey
from reconciler.core.model.change import Adopt, Create, Delete, Update
from reconciler.core.model.live import LiveRule
from reconciler.core.model.rule import Target
from reconciler.core.pipeline import Planner
from reconciler.core.plan.stages import Changes, LiveState, PlanOptions
from tests.support.builders import QUEUES, managed
from tests.support.cases import each_case
from tests.support.ramps import (
    Step,
    made,
    planner_at,
    planner_of,
    ramp_text,
    share_of,
)

START = datetime(2026, 12, 1, tzinfo=UTC)
DAY = timedelta(days=1)
STEPS = [
    Step(START, 5, waits=False),
    Step(START + DAY, 25, waits=True),
    Step(START + 2 * DAY, 50, waits=False),
    Step(START + 3 * DAY, 100, waits=True),
]
LATE = START + 9 * DAY
KEPT = "{intent: other, queue: Fraud}"


@pytest.fixture
def planner(room: Path) -> Planner:
    return planner_of(room, [ramp_text(STEPS), KEPT], LATE)


def state(*rules: LiveRule) -> LiveState:
    return LiveState(rules, QUEUES)


def with_share(planner: Planner, share: int) -> LiveState:
    """Return the tenant after an apply, in which the ramp has a share of "General"."""
    rules = made(planner.find_changes(state()))
    (ramp,) = [rule for rule in rules if rule.rule.name.endswith("card")]
    others = [rule for rule in rules if rule is not ramp]
    weights = {"q-fraud": 100 - share, "q-general": share}
    targets = tuple(
        Target(queue, weight) for queue, weight in weights.items() if weight
    )
    changed = managed("9", "cards/card", replace(ramp.rule, targets=targets))
    return state(*others, changed)


def answered(planner: Planner, **answers: bool) -> Planner:
    """Return the planner with the answers to the steps `second` and `fourth`."""
    times = {"second": STEPS[1].at, "fourth": STEPS[3].at}
    (ramp,) = [entry for entry in planner.desired.rules if entry.key == "card"]
    given = {
        StepKey(ramp, times[name]): Answer(holds, "" if holds else "too low")
        for name, holds in answers.items()
    }
    return replace(planner, answers=given)


@each_case(
    "live, answers, share, waiting",
    [
        (0, {}, 5, "2026-12-02"),
        (5, {}, 5, "2026-12-02"),
        (5, {"second": False, "fourth": True}, 5, "2026-12-02"),
        (5, {"second": True}, 50, "2026-12-04"),
        (5, {"second": True, "fourth": False}, 50, "2026-12-04"),
        (5, {"second": True, "fourth": True}, 100, None),
        (25, {}, 50, "2026-12-04"),
        (50, {"second": False}, 50, "2026-12-04"),
        (50, {"fourth": True}, 100, None),
        (100, {"second": False, "fourth": False}, 100, None),
        # an edit in CXone: no step is made
        (33, {}, 5, "2026-12-02"),
    ],
)
def test_the_live_rule_says_which_step_is_made(
    planner: Planner,
    live: int,
    answers: dict[str, bool],
    share: int,
    waiting: str | None,
) -> None:
    """A step without a condition follows a made one; one that waits holds all later ones."""
    before = with_share(planner, live)
    changes = answered(planner, **answers).find_changes(before)
    assert share == share_of(made(changes))
    listed = [each.step.at for each in changes.waiting]
    assert ([waiting] if waiting else []) == [f"{at:%Y-%m-%d}" for at in listed if at]


def test_a_rule_that_is_not_live_begins_before_its_steps(planner: Planner) -> None:
    """Steps without a condition are made at once."""
    changes = planner.find_changes(state())
    assert 5 == share_of(made(changes))
    assert [STEPS[1].at] == [each.step.at for each in changes.waiting]


def test_a_step_that_waits_is_a_held_change(planner: Planner) -> None:
    """With its reason, and a finding; it is not a difference."""
    asked = answered(planner, second=False)
    changes = asked.find_changes(with_share(planner, 5))
    assert () == changes.changes
    (held,) = changes.held
    assert isinstance(held.change, Update)
    assert "the step waits: too low" == held.reason
    assert 25 == share_of([replace(held.change.live, rule=held.change.after)])
    (finding,) = [each for each in changes.findings if each.code == "CXR241"]
    assert "warning" == finding.severity
    assert "the step at 2026-12-02T00:00:00Z waits: too low" == finding.message


def test_a_plan_does_not_ask_and_says_so(planner: Planner) -> None:
    """Its held change names the condition."""
    (held,) = planner.find_changes(with_share(planner, 5)).held
    assert (
        "the step waits: apply asks Prometheus for its condition, q above 0.8 for 30m"
        == held.reason
    )


def test_another_change_of_the_rule_comes_first(planner: Planner) -> None:
    """One address has one change: then the step that waits is a finding alone."""
    changes = planner.find_changes(with_share(planner, 33))
    assert () == changes.held
    assert ["CXR241"] == [each.code for each in changes.findings]
    assert 1 == len(changes.changes)


def test_a_rule_with_a_new_key_keeps_its_step(room: Path, planner: Planner) -> None:
    """The live rule is found by its name, as for its other fields."""
    before = with_share(planner, 50)
    text = ramp_text(STEPS).replace("{intent", "{key: moved, intent", 1)
    (name,) = [
        rule.rule.name
        for address, rule in planner.desired.rules.items()
        if address.key == "card"
    ]
    text = text.replace("intent: card", f'intent: card, name: "{name}"')
    moved = planner_of(room, [text, KEPT], LATE)
    assert 50 == share_of(made(moved.find_changes(before)), "moved")


def test_steps_of_other_addresses_are_not_named(planner: Planner) -> None:
    """With --only, a step that waits elsewhere is neither held nor a finding."""
    chosen = replace(planner, options=PlanOptions(only=("cards/other",)))
    changes = chosen.find_changes(with_share(planner, 5))
    assert ((), (), ()) == (changes.held, changes.waiting, changes.findings)


@dataclass
class Metric:
    """A noisy metric: each question is answered by chance, and kept for the oracle."""

    random: Random
    asked: dict[datetime, bool] = field(default_factory=dict)

    def ask(self, planner: Planner, live: LiveState) -> Planner:
        """Return the planner with answers to its questions, until it has none."""
        self.asked = {}
        while questions := planner.settle(live).questions:
            found = {}
            for question in questions:
                assert question.key.at not in self.asked, "asked twice"
                self.asked[question.key.at] = self.random.random() < 0.3
                found[question.key] = Answer(self.asked[question.key.at], "too low")
            planner = replace(planner, answers={**planner.answers, **found})
        return planner


def drawn(random: Random) -> list[Step]:
    """Return a ramp of up to five steps over ten days; each share is another one."""
    hours = sorted(random.sample(range(240), random.randint(1, 5)))
    shares = random.sample(range(1, 101), len(hours))
    return [
        Step(START + timedelta(hours=hour), share, random.random() < 0.6)
        for hour, share in zip(hours, shares, strict=True)
    ]


def check_run(
    steps: list[Step],
    now: datetime,
    before: int | None,
    after: int | None,
    asked: dict[datetime, bool],
) -> None:
    """Check one run, by a walk over the steps that shares nothing with the product."""
    shares = [0, *(step.share for step in steps)]
    first = shares.index(before) if before is not None else 0
    last = shares.index(after) if after is not None else 0
    assert last >= first, "a made step was unmade"
    for step in steps[first:last]:
        assert step.at <= now, "a step was made before its time"
        assert not step.waits or asked.get(step.at), "a step without its condition"
    if last < len(steps):
        following = steps[last]
        is_held = following.waits and asked.get(following.at) is False
        assert following.at > now or is_held, "a step was skipped for no reason"
    expected = [step.at for step in steps[first : last + 1] if step.waits]
    assert [at for at in expected if at <= now] == sorted(asked)


def run_ramp(room: Path, seed: int) -> None:
    """Run a ramp for twelve days by two runners, one of which may see an old state."""
    random = Random(seed)
    steps = drawn(random)
    base = planner_of(room, [ramp_text(steps)], START)
    metric = Metric(random)
    live = state()
    now = START - DAY
    while now < START + 11 * DAY:
        now += timedelta(hours=random.randint(1, 30))
        runners = [planner_at(base, now) for _ in range(random.choice([1, 1, 2]))]
        live = run_together(runners, metric, live, steps, now)
    metric.random = Always()
    live = run_together([planner_at(base, now)], metric, live, steps, now)
    assert steps[-1].share == share_of(live.rules), "the ramp did not end"


class Always(Random):
    """Chance that lets each condition hold."""

    def random(self) -> float:
        """Return the smallest number."""
        return 0.0


def run_together(
    runners: list[Planner],
    metric: Metric,
    live: LiveState,
    steps: list[Step],
    now: datetime,
) -> LiveState:
    """Return the tenant after runs that ask at the same time, and write one after the other.

    Each reads again before it writes, as apply does, and writes only what it planned.
    """
    planned: list[tuple[Planner, Changes]] = []
    holds: set[datetime] = set()
    asked: dict[datetime, bool] = {}
    first = share_of(live.rules)
    for runner in runners:
        asking = metric.ask(runner, live)
        holds |= {at for at, answer in metric.asked.items() if answer}
        asked |= metric.asked
        planned.append((asking, asking.find_changes(live)))
        if len(runners) == 1:
            check_run(steps, now, first, share_of(made(planned[0][1])), metric.asked)
    for runner, plan in planned:
        fresh = runner.find_changes(live)
        intended = {change.address: change.after for change in written(plan)}
        accepted = [
            change
            for change in written(fresh)
            if intended.get(change.address) == change.after
        ]
        before = share_of(live.rules)
        live = replace(live, rules=made(replace(fresh, changes=tuple(accepted))))
        shares = [0, *(step.share for step in steps)]
        start = shares.index(before or 0)
        end = shares.index(share_of(live.rules) or 0)
        assert end >= start, "a made step was unmade"
        for step in steps[start:end]:
            assert not step.waits or step.at in holds, "a step without its condition"
    again = [runner.find_changes(live).changes for runner, _ in planned]
    assert () in again, "the runs did not converge"
    return live


def written(changes: Changes) -> Iterator[Create | Update | Adopt]:
    """Yield the changes that write a rule; a ramp is never deleted."""
    for change in changes.changes:
        assert not isinstance(change, Delete)
        yield change


def test_noisy_metrics_make_no_step_without_its_condition(room: Path) -> None:
    """Nor is a step skipped or unmade, and two runners converge."""
    for seed in range(25):
        run_ramp(room, seed)


@pytest.mark.campaign
@pytest.mark.parametrize("part", range(20))
def test_a_thousand_noisy_metrics(room: Path, part: int) -> None:
    """As above, with more seeds."""
    for seed in range(50 * part, 50 * part + 50):
        run_ramp(room, seed)
