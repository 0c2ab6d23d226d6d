"""The oracle reads markers, digests and rules without the package, and its results are compared
with the package's.
"""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from reconciler.core.model.live import marker_digest as package_digest
from reconciler.core.plan.ownership import was_edited
from reconciler.core.rule_json import parse_live_rule
from tests.campaign.oracle_facts import as_json, mark, text_of
from tests.campaign.oracle_marks import digest, is_edited
from tests.campaign.scenario import Scenario
from tests.campaign.scenarios import SCENARIOS
from tests.campaign.scenarios_generated import generated
from tests.support.cases import each_case
from tests.support.imports import imported

SHARED: Final = {
    "reconciler.core.model.change": "the kinds of a run's outcomes: the oracle judges the report itself",
    "reconciler.core.model.rule": "the types of desired rules: the input of a run, not its result",
    "reconciler.features.practice.simulator.messages": "how the simulated platform loses an answer",
    "reconciler.features.practice.simulator.faults.injector": "the faults of a manual history",
}
"""The parts of the package that the oracle uses at run time, and the reasons."""
HERE: Final = Path(__file__).parent


def asks(attribute: str, operator: str, *value: Any) -> dict[str, Any]:
    text = {"type": "attribute", "attributeName": attribute, "operator": operator}
    return text | ({"value": value[0]} if value else {})


def form(**more: Any) -> dict[str, Any]:
    """A rule with an own marker, as the server returns it."""
    text = {
        "id": "7",
        "name": "vip",
        "description": "Routes vip\n[cxroute:acme/cards/vip#00000000]",
        "priority": 1,
    }
    sends = {"type": "queue", "queueId": "q", "weight": 1.0}
    return {
        **text,
        "enabled": True,
        "conditions": [asks("intent", "equals", "vip")],
        "targets": [sends],
        **more,
    }


ODD: Final = [
    form(priority=1.0),
    form(priority=0.25, enabled=False),
    form(
        description="\u00fc\U0001f642\r\nlines\r\n\r\n[cxroute:acme/cards/vip#00000000] \r\n"
    ),
    form(description="[cxroute:acme/cards/vip~next#00000000]"),
    form(
        conditions=[
            asks("b", "equals", True),
            asks("a", "in", ["y", 1.0, "x"]),
            asks("a", "in", [1, "x", "y"]),
        ]
    ),
    form(
        conditions=[
            asks("a", "equals", 1),
            asks("a", "equals", 1.0),
            asks("a", "equals", "1"),
        ]
    ),
    form(conditions=[asks("a", "equals", True), asks("a", "equals", "true")]),
    form(
        conditions=[
            asks("a", "exists"),
            asks("a", "notExists", None),
            asks("a", "exists", "x"),
        ]
    ),
    form(
        conditions=[
            asks("a", "lessThan", "0.50"),
            asks("a", "lessThan", 0.5),
            asks("a", "greaterThan", "1e3"),
        ]
    ),
    form(
        conditions=[
            asks("a", "lessThan", "soon"),
            asks("a", "between", [1, 2, 3]),
            asks("a", "between", [1.0, "2"]),
        ]
    ),
    form(
        conditions=[
            asks("a", "contains", 7),
            asks("a", "startsWith", "x"),
            asks("a", "in", "x"),
            asks("a", "in", {}),
        ]
    ),
    form(
        conditions=[
            {**asks("a", "equals", "x"), "hint": 1},
            {"type": "schedule", "open": True, "weight": 2.0},
        ]
    ),
    form(
        conditions=[
            asks("a", "soundsLike", "x"),
            {**asks("a", "equals", "x"), "attributeName": 7},
        ]
    ),
    form(
        targets=[
            {"type": "queue", "queueId": "q"},
            {"type": "queue", "queueId": "q", "weight": 1, "hint": 2},
        ]
    ),
    form(
        targets=[
            {"type": "skill", "level": 2.0},
            {"type": "queue", "queueId": 7},
            {"type": "queue", "weight": "1"},
        ]
    ),
    form(conditions=None, targets=None),
    {
        "id": "7",
        "name": "bare",
        "description": "[cxroute:acme/cards/vip#00000000]",
        "priority": 3,
    },
]


def everything() -> Iterator[Scenario]:
    yield from SCENARIOS.values()
    yield from map(generated, range(60))


def assert_alike(rule: dict[str, Any]) -> None:
    """Both read the same marker, text and digest; a rule without a marker is not compared."""
    live = parse_live_rule(rule)
    actual = mark(rule)
    assert (actual is None) is (live.marker is None), rule
    if actual is None or live.marker is None:
        return
    assert (actual.owner, actual.address, actual.copy) == (
        live.marker.owner,
        str(live.marker.address),
        live.marker.copy,
    )
    assert (text_of(rule), digest(rule)) == (
        live.rule.description,
        package_digest(live.rule),
    ), rule
    assert is_edited(rule) is was_edited(live), rule


def test_a_digest_is_that_of_the_specification() -> None:
    """Written out: keys and parts sorted, no spaces, 1.0 as 1, without the marker and the server's
    additions.
    """
    output = [asks("tier", "exists"), asks("intent", "equals", "vip")]
    text = (
        '{"conditions":[{"attributeName":"intent","operator":"equals","type":"attribute","value":"vip"},'
        '{"attributeName":"tier","operator":"exists","type":"attribute"}],"description":"Routes vip","enabled":true,'
        '"name":"vip","priority":1,"targets":[{"queueId":"q","type":"queue","weight":1}]}'
    )
    assert sha256(text.encode()).hexdigest()[:8] == digest(
        form(conditions=output, version=7, division="x")
    )


@each_case("rule", ODD)
def test_odd_rules_are_read_equally(rule: dict[str, Any]) -> None:
    """Values in several spellings, meaningless parts, absent fields."""
    assert_alike(rule)


def test_rules_of_every_scenario_are_read_equally() -> None:
    """And a desired rule of a manifest has the digest of its future marker."""
    for each in everything():
        for rule in each.rules:
            assert_alike(rule)
        for where, item in each.wish.rules.items():
            assert item.marker_digest == digest(as_json(item.rule, str(where)))


@each_case(
    "edit",
    [
        {"name": "x"},
        {"description": "x"},
        {"priority": 2},
        {"enabled": False},
        {"conditions": []},
        {"targets": []},
    ],
)
def test_a_change_of_any_field_is_an_edit(edit: dict[str, Any]) -> None:
    """As long as the marker exists; the server's additions are not edits."""
    rule = form()
    line = f"[cxroute:acme/cards/vip#{digest(rule)}]"
    rule["description"] = f"Routes vip\n{line}"
    assert not is_edited({**rule, "version": 7, "dateModified": "now"})
    assert is_edited(
        {
            **rule,
            **edit,
            "description": f"{edit.get('description', 'Routes vip')}\n{line}",
        }
    )
    assert not is_edited({**rule, **edit, "description": "Routes vip"})


def test_the_oracle_shares_no_reader_with_the_package() -> None:
    """Its modules import only the listed parts of the package, each with a reason."""
    actual = {module for path in HERE.glob("oracle*.py") for module in imported(path)}
    assert set(SHARED) == {
        module for module in actual if module.startswith("reconciler")
    }
