"""A rule without a positive weight takes conversations and sends them to no queue: refused,
explained, never hidden.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from reconciler.core.model.rule import Target
from reconciler.core.plan.changes import find_changes
from reconciler.core.plan.stages import Plan, PlanOptions
from reconciler.core.text.phrases import queues_phrase
from reconciler.render.routing_map import build_routing_map, render_mermaid
from reconciler.render.text.plan import plan_text
from tests.support.builders import NOW, desired, live, managed, rule, unmanaged, wanted
from tests.support.cases import each_case
from tests.support.many_tenants import Tenants, ruleset, tenants
from tests.support.many_tenants import rule as written
from tests.support.plans import complete
from tests.support.program import Program

CATCH_ALL = {
    "key": "all",
    "when": [],
    "queue": "General",
    "priority": 900,
    "name": "all",
}
NONE = [{"queue": "Cards", "weight": 0}]


@pytest.fixture
def prod(elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Tenants]:
    """Return a tenant over a socket, and an Environment that names it."""
    del elsewhere
    monkeypatch.setenv("CXONE_CLIENT_ID", "id")
    monkeypatch.setenv("CXONE_CLIENT_SECRET", "secret")
    monkeypatch.delenv("CXROUTE_PROXY", raising=False)
    with tenants("prod") as here:
        here.manifests()
        yield here


def written_with(targets: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    """Return a rule of the manifests with these targets."""
    return {
        name: value
        for name, value in written("x", targets=targets, **more).items()
        if name != "queue"
    }


@pytest.mark.parametrize(
    "targets",
    [
        NONE,
        [*NONE, {"queue": "Fraud", "weight": 0.0}],
        [{"queue": "Cards", "weight": "${none}"}],
    ],
    ids=["one", "several", "variable"],
)
def test_a_manifest_with_a_rule_without_weight_is_refused(
    prod: Tenants, cxroute: Program, targets: list[dict[str, Any]]
) -> None:
    """`validate`, `plan` and `apply` report the problem, its position and the fix: exit 3, and
    nothing is written.
    """
    prod.manifests(prod="vars: {none: 0}")
    ruleset([written_with(targets), CATCH_ALL])
    for command in (
        ["validate"],
        ["plan", "-e", "prod"],
        ["apply", "-e", "prod", "--yes"],
    ):
        assert 3 == cxroute(*command), command
        text = cxroute.out + cxroute.err
        assert "cards.yaml:5:" in text
        assert (
            "error[CXR123]: no target has a positive weight, so the conversations of this rule"
            in text
        )
        assert (
            "set a weight above 0; to switch the rule off, set `enabled: false`" in text
        )
    assert 0 == prod.writes("prod")


def test_a_disabled_rule_may_have_no_positive_weight(
    prod: Tenants, cxroute: Program
) -> None:
    """The rule takes no conversation; once enabled, it is refused."""
    del prod
    for enabled, code in ((False, 0), (True, 3)):
        ruleset([written_with(NONE, enabled=enabled), CATCH_ALL])
        assert code == cxroute("validate"), cxroute.out


def test_one_positive_weight_is_enough(prod: Tenants, cxroute: Program) -> None:
    """Another target of the rule may have the weight 0."""
    del prod
    ruleset([written_with([*NONE, {"queue": "Fraud", "weight": 1}])])
    assert 0 == cxroute("validate"), cxroute.err


def test_other_errors_of_the_rule_are_reported_too(
    prod: Tenants, cxroute: Program
) -> None:
    """Weights are checked together with all other fields."""
    del prod
    ruleset([written_with(NONE, name="${gone}")])
    assert 3 == cxroute("validate")
    assert ["CXR107", "CXR123"] == [
        code for code in ("CXR107", "CXR123") if f"error[{code}]" in cxroute.out
    ]


def test_a_live_rule_without_weight_is_read_and_explained(
    prod: Tenants, cxroute: Program
) -> None:
    """The weights are set to 0 in CXone: `drift` shows it, `explain` explains it, and `apply`
    corrects it.
    """
    ruleset([written("x"), CATCH_ALL])
    assert 0 == cxroute("apply", "-e", "prod", "--yes"), cxroute.err
    state = prod.states["prod"]
    rule_id = next(rule["id"] for rule in state.rules() if rule["name"] == "x")
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
    assert [1, 1] == [rule["targets"][0]["weight"] for rule in state.rules()]


def test_export_skips_a_rule_without_weight_and_reports_it(
    prod: Tenants, cxroute: Program
) -> None:
    """Export never writes a manifest that `validate` refuses, and an update of manifests never
    keeps such a rule.
    """
    ruleset([written("x"), CATCH_ALL])
    assert 0 == cxroute("apply", "-e", "prod", "--yes"), cxroute.err
    state = prod.states["prod"]
    targets = [{"type": "queue", "queueId": "q-Cards", "weight": 0}]
    state.put(
        {
            **state.rules()[0],
            "id": "hand",
            "name": "By hand",
            "description": "",
            "targets": targets,
        }
    )
    assert 0 == cxroute("export", "--all", "-e", "prod")
    assert 'skipped: "By hand" (hand): no target has a positive weight' in cxroute.err
    rule_id = next(rule["id"] for rule in state.rules() if rule["name"] == "x")
    state.edit(rule_id, targets=targets)
    before = Path("manifests/cards.yaml").read_text("utf-8")
    assert 4 == cxroute("export", "cards/x", "-e", "prod", "--write")
    assert "no target has a positive weight" in cxroute.err
    assert before == Path("manifests/cards.yaml").read_text("utf-8")


def test_an_unmanaged_rule_without_weight_is_drift(
    prod: Tenants, cxroute: Program
) -> None:
    """It takes conversations that the manifests route otherwise, although it has no queue."""
    ruleset([written("x"), CATCH_ALL])
    assert 0 == cxroute("apply", "-e", "prod", "--yes"), cxroute.err
    state = prod.states["prod"]
    targets = [{"type": "queue", "queueId": "q-Cards", "weight": 0}]
    hand = {
        "id": "hand",
        "name": "By hand",
        "description": "",
        "priority": 1,
        "targets": targets,
    }
    state.put({**state.rules()[0], **hand})
    code, form = cxroute.json("drift", "-e", "prod")
    (actual,) = form["changes"]
    assert (2, "none", "By hand") == (code, actual["action"], actual["name"])
    ((row,),) = (effect["rows"] for effect in form["behaviour"]["effects"])
    assert {"queues": []} == row["after"]


def test_undo_restores_such_a_rule_only_past_the_guard(
    prod: Tenants, cxroute: Program
) -> None:
    """An undo restores the live rule; if conversations then reach no queue, the guard `unrouted`
    refuses.
    """
    state = prod.states["prod"]
    ruleset([written("x")])
    assert 0 == cxroute("apply", "-e", "prod", "--yes"), cxroute.err
    state.edit(
        state.rules()[0]["id"],
        targets=[{"type": "queue", "queueId": "q-Cards", "weight": 0}],
    )
    assert 0 == cxroute("apply", "-e", "prod", "--yes"), cxroute.err
    assert 0 == cxroute("history", "-e", "prod")
    newest = re.findall(r"\S+-prod-\w+", cxroute.out)[0]
    assert 4 == cxroute("plan", "-e", "prod", "--undo", newest, "--fail-on-guards")
    assert (
        "reach no queue, since no target of the rule that takes them has a positive weight"
        in cxroute.out
    )


def no_weight() -> Plan:
    """Return a plan in which the rule `x` loses its weights; an unmanaged rule never had any."""
    none = [Target("q-cards", 0)]
    want = desired(wanted("cards/x", rule("x", targets=none)))
    rules = [
        managed("1", "cards/x", rule("x")),
        unmanaged("2", rule("hand", targets=none)),
    ]
    return complete(find_changes(want, live(*rules), PlanOptions(), NOW))


def test_the_map_draws_no_queue() -> None:
    """A rule that loses its queues has a line to "no queue", and so has a rule that never had
    any.
    """
    lanes = {
        lane.rule: (lane.before, lane.after) for lane in build_routing_map(no_weight())
    }
    assert {
        "cards/x": (("Card Services",), ("no queue",)),
        '"hand"': (("no queue",), ("no queue",)),
    } == lanes
    assert "no queue" in render_mermaid(build_routing_map(no_weight()))


def test_the_text_names_no_queue() -> None:
    """The text contains the affected conversations and the change of the rule."""
    message = plan_text(no_weight(), lambda _style, text: text, "tenant acme")
    assert '"Card Services" -> no queue' in message


@each_case(
    "weights, said",
    [
        ([0], 'no queue ("Cards" with weight 0)'),
        ([0, -1], 'no queue ("Cards" with weight 0, "Fraud" with weight -1)'),
        ([3, -1], '100 % "Cards", 0 % "Fraud"'),
        ([], "no queue"),
        ([3, 1], '75 % "Cards", 25 % "Fraud"'),
    ],
)
def test_queues_have_the_shares_of_the_routing(weights: list[int], said: str) -> None:
    """A weight that is not positive has no share (semantics S10)."""
    names = {"a": "Cards", "b": "Fraud"}
    assert said == queues_phrase(
        [Target(queue, weight) for queue, weight in zip("ab", weights, strict=False)],
        names,
    )
