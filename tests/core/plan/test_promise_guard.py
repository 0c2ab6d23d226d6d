"""The guard `promises`: the rules that are live after a plan keep each promise of severity
error.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from reconciler.cli.files import STATE
from reconciler.core.behaviour.diff.promises import Promise
from reconciler.core.behaviour.endpoint_stage import EndpointStage, FallbackPolicy
from reconciler.core.desired.desired_rule import DesiredRule
from reconciler.core.desired.expand_promises import StatedPromise
from reconciler.core.manifest.kinds.environment import Environment
from reconciler.core.model.finding import Finding
from reconciler.core.model.live import LiveRule
from reconciler.core.model.rule import Source, Target
from reconciler.core.plan.assess import assess
from reconciler.core.plan.changes import find_changes
from reconciler.core.plan.guards import check_guards, guard_refusals, lift_guards
from reconciler.core.plan.schedule import schedule_steps
from reconciler.core.plan.stages import GuardResult, Plan, PlanOptions
from reconciler.features.practice.sandbox import open_state
from tests.support.builders import (
    NOW,
    OWNER,
    at_least,
    desired,
    intent_is,
    live,
    managed,
    rule,
    unmanaged,
    wanted,
)
from tests.support.program import Program, write

ENVIRONMENT = Environment.model_validate(
    {"name": "prod", "owner": OWNER, "tenant": "acme"}
)
SOURCE = Source("manifests/p.yaml", 3, 5)
FRAUD = [Target("q-fraud", 1)]


def stated(
    name: str = "safe", severity: Any = "error", **promise: Any
) -> StatedPromise:
    finding = Finding(code="CXR221", severity=severity, message="", source=SOURCE)
    fields: dict[str, Any] = {
        "conditions": (intent_is("vip"),),
        "always": frozenset(["q-cards"]),
        **promise,
    }
    return StatedPromise(
        document="d",
        name=name,
        finding=finding,
        promise=Promise(**fields),
        requirement='only "cards"',
    )


SAFE = (stated(),)


def guarded(
    *rules: DesiredRule,
    at: tuple[LiveRule, ...] = (),
    promises: Any = SAFE,
    **more: Any,
) -> Plan:
    want = replace(desired(*rules), promises=tuple(promises), **more)
    created = schedule_steps(find_changes(want, live(*at), PlanOptions(), NOW))
    return check_guards(assess(created), ENVIRONMENT)


def result(plan: Plan) -> GuardResult:
    (actual,) = [guard for guard in plan.guards if guard.name == "promises"]
    return actual


def test_a_plan_that_keeps_its_promises_is_not_refused() -> None:
    """The guard is one of the plan's, with a value of 0."""
    actual = result(guarded(wanted("cards/vip", rule())))
    expected = (
        0,
        0,
        True,
        "the rules after this plan keep every promise of severity error",
    )
    assert expected == (actual.value, actual.limit, actual.ok, actual.message)


def test_without_promises_there_is_no_guard() -> None:
    """Plans of environments without promises stay as they were."""
    assert [] == [
        guard
        for guard in guarded(wanted("cards/vip", rule()), promises=()).guards
        if guard.name == "promises"
    ]


def test_a_promise_that_would_be_broken_refuses_the_plan() -> None:
    """With its name, an example, the destination and the rule; a reason lifts it."""
    plan = guarded(
        wanted("cards/vip", rule(targets=FRAUD)),
        at=(managed("1", "cards/vip", rule()),),
    )
    expected = 'promise "safe" is broken for intent "vip": '
    expected += 'expected only "cards", but goes to "Fraud" by rule cards/vip (manifests/x.yaml:1)'
    assert (1, False, expected) == (
        result(plan).value,
        result(plan).ok,
        result(plan).message,
    )
    assert ["promises"] == [guard.name for guard in guard_refusals(plan)]
    assert () == guard_refusals(lift_guards(plan, ["promises"], "why"))


def test_a_promise_that_is_broken_today_too_refuses() -> None:
    """A new rule elsewhere does not repair it; a plan that repairs it is not refused."""
    hand = unmanaged(
        "9", rule("by hand", priority=1, conditions=[intent_is("vip")], targets=FRAUD)
    )
    plan = guarded(
        wanted("cards/vip", rule()),
        wanted("cards/b", rule("b")),
        at=(managed("1", "cards/vip", rule()), hand),
    )
    assert result(plan).message.endswith('but goes to "Fraud" by rule "by hand"')
    wrong = managed("1", "cards/vip", rule(targets=FRAUD))
    assert result(guarded(wanted("cards/vip", rule()), at=(wrong,))).ok


def test_a_warning_never_refuses() -> None:
    """Severity `warning` is for the reports; of two promises only the error counts."""
    both = (stated("soft", "warning"), stated("hard"))
    assert result(
        guarded(wanted("cards/vip", rule(targets=FRAUD)), promises=both[:1])
    ).ok
    assert (
        1
        == result(
            guarded(wanted("cards/vip", rule(targets=FRAUD)), promises=both)
        ).value
    )


def test_decided_by_counts_an_unmanaged_rule_as_another_one() -> None:
    """With the same queue, too: the address decides."""
    promise = stated(always=None, decided_by="cards/*")
    hand = unmanaged("9", rule("by hand", priority=1, conditions=[intent_is("vip")]))
    assert result(guarded(wanted("cards/vip", rule()), promises=[promise])).ok
    assert not result(
        guarded(wanted("cards/vip", rule()), at=(hand,), promises=[promise])
    ).ok


def test_an_undecided_promise_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    """An analysis that stopped at its bound proves nothing."""
    for name in ("DEFAULT_WORK", "WORK_PER_RULE"):
        monkeypatch.setattr(f"reconciler.core.behaviour.diff.promises.{name}", 0)
    actual = result(guarded(wanted("cards/vip", rule())))
    assert not actual.ok
    assert (
        'promise "safe" is not proven: the analysis stopped at its bound of work'
        in actual.message
    )


def test_the_endpoint_comes_before_the_rules() -> None:
    """An event below the endpoint's confidence is another intent for the rules, so it breaks the
    promise.
    """
    endpoint = EndpointStage(fallback=FallbackPolicy("none", 0.5, frozenset()))
    rules = (
        wanted("cards/vip", rule()),
        wanted("cards/none", rule("none", targets=FRAUD)),
    )
    actual = result(guarded(*rules, endpoint=endpoint))
    assert 'but goes to "Fraud" by rule cards/none' in actual.message
    sure = stated(conditions=(intent_is("vip"), at_least(0.5)))
    assert result(guarded(*rules, endpoint=endpoint, promises=[sure])).ok


def test_many_broken_promises_are_counted() -> None:
    """Five are named, and the first one is explained."""
    many = [stated(f"p{n}") for n in range(8)]
    actual = result(guarded(wanted("cards/vip", rule(targets=FRAUD)), promises=many))
    assert 8 == actual.value
    names = '8 promises are not kept: "p0", "p1", "p2", "p3", "p4" and 3 more. The first: promise "p0" is broken for'
    assert actual.message.startswith(names)


PROMISE = """\
apiVersion: routing/v1
kind: Promises
name: safety
promises:
  - name: lost cards reach cards
    for: {intent: lost_or_stolen_card, minConfidence: 0.4}
    always: {queues: [cards]}
"""


def test_apply_refuses_and_a_reason_lifts_the_guard(cxroute: Program) -> None:
    """Exit 4 for a rule made by hand that breaks a promise; every form of the plan names guard and
    promise.
    """
    assert 0 == cxroute("init")
    write("promises.yaml", PROMISE)
    assert 0 == cxroute("apply", "--yes"), cxroute.out + cxroute.err
    with open_state(STATE) as state:
        first = next(iter(state.rules()))
        hand = {
            "id": "hand",
            "name": "by hand",
            "description": "",
            "priority": -5,
            "conditions": [],
        }
        candidate = next(
            queue
            for queue in state.queues
            if queue["id"] != first["targets"][0]["queueId"]
        )
        state.put(
            {
                **first,
                **hand,
                "targets": [{"type": "queue", "queueId": candidate["id"], "weight": 1}],
            }
        )
    write(
        "more.yaml",
        "{apiVersion: routing/v1, kind: RuleSet, name: more, rules: [{intent: z, queue: cards}]}\n",
    )
    code, form = cxroute.json("plan")
    (guard,) = [item for item in form["guards"] if item["name"] == "promises"]
    assert (0, False, 1) == (code, guard["ok"], guard["value"])
    for options in ([], ["--format", "markdown"], ["--format", "html"]):
        assert 0 == cxroute("plan", *options)
        assert "lost cards reach cards" in cxroute.out
    assert 4 == cxroute("plan", "--fail-on-guards")
    assert 4 == cxroute("apply", "--yes")
    assert '--allow promises --reason "why"' in cxroute.err
    assert 0 == cxroute("apply", "--yes", "--allow", "promises", "--reason", "CHG-1"), (
        cxroute.err
    )


def test_a_broken_promise_that_is_a_warning_is_in_each_form_of_the_plan(
    cxroute: Program,
) -> None:
    """It does not refuse; the guard is about promises of severity error."""
    assert 0 == cxroute("init")
    write(
        "promises.yaml",
        f"{PROMISE.replace('[cards]', '[nobody]')}    severity: warning\n",
    )
    code, form = cxroute.json("plan")
    (guard,) = [item for item in form["guards"] if item["name"] == "promises"]
    (finding,) = [item for item in form["findings"] if item["code"] == "CXR221"]
    assert (0, True, "warning") == (code, guard["ok"], finding["severity"])
    for options in ([], ["--format", "markdown"], ["--format", "html"]):
        assert 0 == cxroute("plan", *options)
        assert "lost cards reach cards" in cxroute.out
