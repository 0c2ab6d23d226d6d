"""A rule without a positive weight takes conversations and sends them to no queue: refused, explained, never hidden."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from reconciler.model.rule import Target
from reconciler.plan.options import PlanOptions
from reconciler.plan.plan import Plan, draft_plan
from reconciler.plan.schedule import predict_impact, schedule_steps
from reconciler.render.routing_map import build_routing_map, render_mermaid
from reconciler.render.text.plan import plan_text
from reconciler.text.phrases import queues_phrase
from tests.support.builders import NOW, desired, live, managed, rule, unmanaged, wanted
from tests.support.many_tenants import Tenants, ruleset, tenants
from tests.support.many_tenants import rule as written
from tests.support.program import Program

CATCH_ALL = {"key": "all", "when": [], "queue": "General", "priority": 900, "name": "all"}
NONE = [{"queue": "Cards", "weight": 0}]


@pytest.fixture
def prod(elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Tenants]:
    """A tenant over a socket, with an Environment that names it."""
    del elsewhere
    monkeypatch.setenv("CXONE_CLIENT_ID", "id")
    monkeypatch.setenv("CXONE_CLIENT_SECRET", "secret")
    monkeypatch.delenv("CXROUTE_PROXY", raising=False)
    with tenants("prod") as here:
        here.manifests()
        yield here


def written_with(targets: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    """Return a rule of the manifests with these targets."""
    return {name: value for name, value in written("x", targets=targets, **more).items() if name != "queue"}


@pytest.mark.parametrize(
    "targets",
    [NONE, [*NONE, {"queue": "Fraud", "weight": 0.0}], [{"queue": "Cards", "weight": "${none}"}]],
    ids=["one", "several", "variable"],
)
def test_a_manifest_may_not_have_such_a_rule(prod: Tenants, cxroute: Program, targets: list[dict[str, Any]]) -> None:
    """`validate`, `plan` and `apply` say what is wrong, where, and what to do: exit 3, and nothing is written."""
    prod.manifests(prod="vars: {none: 0}")
    ruleset([written_with(targets), CATCH_ALL])
    for command in (["validate"], ["plan", "-e", "prod"], ["apply", "-e", "prod", "--yes"]):
        assert 3 == cxroute(*command), command
        said = cxroute.out + cxroute.err
        assert "cards.yaml:5:" in said
        assert "error[CXR123]: no target has a positive weight, so the conversations that this rule takes" in said
        assert "set a weight above 0; to switch the rule off, set `enabled: false`" in said
    assert 0 == prod.writes("prod")


def test_a_rule_that_is_switched_off_may_have_none(prod: Tenants, cxroute: Program) -> None:
    """It takes no conversation; switched on, it is refused."""
    del prod
    for enabled, code in ((False, 0), (True, 3)):
        ruleset([written_with(NONE, enabled=enabled), CATCH_ALL])
        assert code == cxroute("validate"), cxroute.out


def test_one_positive_weight_is_enough(prod: Tenants, cxroute: Program) -> None:
    """A target with the weight 0 may stand beside it, for later."""
    del prod
    ruleset([written_with([*NONE, {"queue": "Fraud", "weight": 1}])])
    assert 0 == cxroute("validate"), cxroute.err


def test_everything_else_that_is_wrong_with_the_rule_is_said_too(prod: Tenants, cxroute: Program) -> None:
    """Weights are looked at together with all other fields."""
    del prod
    ruleset([written_with(NONE, name="${gone}")])
    assert 3 == cxroute("validate")
    assert ["CXR107", "CXR123"] == [code for code in ("CXR107", "CXR123") if f"error[{code}]" in cxroute.out]


def test_a_live_rule_of_that_kind_is_read_compared_and_explained(prod: Tenants, cxroute: Program) -> None:
    """Somebody sets the weights to 0 in CXone: drift shows it, explain says it, apply makes it good."""
    ruleset([written("x"), CATCH_ALL])
    assert 0 == cxroute("apply", "-e", "prod", "--yes"), cxroute.err
    state = prod.states["prod"]
    rule_id = next(one["id"] for one in state.rules() if one["name"] == "x")
    state.edit(rule_id, targets=[{"type": "queue", "queueId": "q-Cards", "weight": 0}])
    assert 0 == cxroute("explain", "-e", "prod", "--live", "--intent", "x")
    assert 'goes to no queue ("Cards" with weight 0), by cards/x.' in cxroute.out
    code, form = cxroute.json("explain", "-e", "prod", "--live", "--intent", "x")
    assert (0, {"queues": []}) == (code, form["destination"])
    assert 2 == cxroute("drift", "-e", "prod")
    assert "no queue" in cxroute.out
    assert 0 == cxroute("plan", "-e", "prod", "--fail-on-guards"), cxroute.out
    assert 'no queue -> "Cards"' in cxroute.out
    assert 0 == cxroute("apply", "-e", "prod", "--yes"), cxroute.err
    assert [1, 1] == [one["targets"][0]["weight"] for one in state.rules()]


def test_export_leaves_it_out_and_says_why(prod: Tenants, cxroute: Program) -> None:
    """A manifest that `validate` refuses is never written; nor is a rule kept as it is edited."""
    ruleset([written("x"), CATCH_ALL])
    assert 0 == cxroute("apply", "-e", "prod", "--yes"), cxroute.err
    state = prod.states["prod"]
    targets = [{"type": "queue", "queueId": "q-Cards", "weight": 0}]
    state.put({**state.rules()[0], "id": "hand", "name": "By hand", "description": "", "targets": targets})
    assert 0 == cxroute("export", "--all", "-e", "prod")
    assert 'left out: "By hand" (hand): no target has a positive weight' in cxroute.err
    rule_id = next(one["id"] for one in state.rules() if one["name"] == "x")
    state.edit(rule_id, targets=targets)
    before = Path("manifests/cards.yaml").read_text("utf-8")
    assert 4 == cxroute("export", "cards/x", "-e", "prod", "--write")
    assert "no target has a positive weight" in cxroute.err
    assert before == Path("manifests/cards.yaml").read_text("utf-8")


def test_a_rule_of_that_kind_made_by_hand_is_in_the_way(prod: Tenants, cxroute: Program) -> None:
    """It sends conversations elsewhere than the manifests do, though to no queue."""
    ruleset([written("x"), CATCH_ALL])
    assert 0 == cxroute("apply", "-e", "prod", "--yes"), cxroute.err
    state = prod.states["prod"]
    targets = [{"type": "queue", "queueId": "q-Cards", "weight": 0}]
    hand = {"id": "hand", "name": "By hand", "description": "", "priority": 1, "targets": targets}
    state.put({**state.rules()[0], **hand})
    code, form = cxroute.json("drift", "-e", "prod")
    (found,) = form["changes"]
    assert (2, "none", "By hand") == (code, found["action"], found["name"])
    (row,) = form["behaviour"]["summary"]["rows"]
    assert {"queues": []} == row["after"]


def test_undo_may_put_such_a_rule_back_and_the_guard_asks(prod: Tenants, cxroute: Program) -> None:
    """An undo restores what was live; where that sends conversations to no queue, `unrouted` refuses."""
    state = prod.states["prod"]
    ruleset([written("x")])
    assert 0 == cxroute("apply", "-e", "prod", "--yes"), cxroute.err
    state.edit(state.rules()[0]["id"], targets=[{"type": "queue", "queueId": "q-Cards", "weight": 0}])
    assert 0 == cxroute("apply", "-e", "prod", "--yes"), cxroute.err
    assert 0 == cxroute("history", "-e", "prod")
    newest = re.findall(r"\S+-prod-\w+", cxroute.out)[0]
    assert 4 == cxroute("plan", "-e", "prod", "--undo", newest, "--fail-on-guards")
    assert "reach no queue, since no target of the rule that takes them has a positive weight" in cxroute.out


def no_weight() -> Plan:
    """A plan by which the rule `x` loses its weights; a rule made by hand never had any."""
    none = [Target("q-cards", 0)]
    want = desired(wanted("cards/x", rule("x", targets=none)))
    rules = [managed("1", "cards/x", rule("x")), unmanaged("2", rule("hand", targets=none))]
    return predict_impact(schedule_steps(draft_plan(want, live(*rules), PlanOptions(), NOW)))


def test_the_map_has_a_place_for_no_queue() -> None:
    """A rule that comes to have no queue is drawn with a line to it, and one that never had any, too."""
    lanes = {lane.rule: (lane.before, lane.after) for lane in build_routing_map(no_weight()).lanes}
    assert {"cards/x": (("Card Services",), ("no queue",)), '"hand"': (("no queue",), ("no queue",))} == lanes
    assert "no queue" in render_mermaid(build_routing_map(no_weight()))


def test_the_text_says_no_queue() -> None:
    """Who is affected, and what becomes of the rule."""
    said = plan_text(no_weight(), lambda _style, text: text, "tenant acme")
    assert '"Card Services" -> no queue' in said


@pytest.mark.parametrize(
    ("weights", "said"),
    [
        ([0], 'no queue ("Cards" with weight 0)'),
        ([0, -1], 'no queue ("Cards" with weight 0, "Fraud" with weight -1)'),
        ([3, -1], '100 % "Cards", 0 % "Fraud"'),
        ([], "no queue"),
        ([3, 1], '75 % "Cards", 25 % "Fraud"'),
    ],
)
def test_queues_are_said_as_conversations_are_sent(weights: list[int], said: str) -> None:
    """A weight that is not positive is no share (semantics S10)."""
    names = {"a": "Cards", "b": "Fraud"}
    assert said == queues_phrase([Target(queue, weight) for queue, weight in zip("ab", weights, strict=False)], names)
