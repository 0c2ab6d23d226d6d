"""`cxroute export`: live rules as readable manifests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from reconciler.core.text.redact import REDACTOR
from reconciler.features.practice.simulator import state as tenants
from reconciler.features.practice.simulator.state import TenantState
from tests.support.program import Program, write

STATE = Path(".cxroute/sandbox.json")
ENVIRONMENT = (
    "{apiVersion: routing/v1, kind: Environment, name: sandbox, owner: acme}\n"
)
QUEUES = [
    {"id": "q1", "name": "Cards"},
    {"id": "q2", "name": "Fraud"},
    {"id": "q3", "name": "Twice"},
    {"id": "q4", "name": "Twice"},
]


def rule(number: int, **said: Any) -> dict[str, Any]:
    """Return an unmanaged live rule: intent `card_NUMBER` to Cards."""
    conditions = [
        asks("cognigyDetectedIntent", "equals", f"card_{number}"),
        asks("cognigyConfidence", "greaterThanOrEqual", 0.6),
    ]
    return {
        "id": f"r{number}",
        "name": f"rule {number}",
        "description": "",
        "priority": 40,
        "enabled": True,
        "conditions": conditions,
        "targets": [{"type": "queue", "queueId": "q1", "weight": 1}],
        "version": 1,
        **said,
    }


def asks(attribute: str, operator: str, value: Any) -> dict[str, Any]:
    return {
        "type": "attribute",
        "attributeName": attribute,
        "operator": operator,
        "value": value,
    }


@pytest.fixture
def tenant(cxroute: Program) -> Any:
    """The sandbox with these rules."""

    def make(*rules: dict[str, Any]) -> Program:
        write("environment.yaml", ENVIRONMENT)
        with TenantState.load(STATE, initial=TenantState(queues=QUEUES, rules=rules)):
            pass
        return cxroute

    return make


def exported(program: Program, *arguments: str) -> str:
    """Return the RuleSets on stdout, without the comments above them."""
    assert 0 == program("export", *arguments), program.err
    lines = program.out.splitlines(keepends=True)
    assert lines[0].startswith(
        "# Simulated: no tenant was contacted. Live rules of sandbox"
    )
    return "".join(lines[1:])


def test_default_values_are_omitted(tenant: Any) -> None:
    """Sugar, defaults that most rules share, default names and descriptions, keys of intents."""
    created = {
        "name": "Cognigy Intent Route: card_1",
        "description": "Routes conversations with intent 'card_1' to Cards",
    }
    several = [
        asks("cognigyDetectedIntent", "in", ["a", "b"]),
        asks("cognigyConfidence", "lessThan", 0.5),
    ]
    further = [
        asks("cognigyDetectedIntent", "equals", "b"),
        asks("language", "notEquals", "fr"),
        asks("vip", "exists", None),
    ]
    split = [
        {"type": "queue", "queueId": "q2", "weight": 20},
        {"type": "queue", "queueId": "q1", "weight": 80},
    ]
    cxroute = tenant(
        rule(1, **created),
        rule(2),
        rule(3),
        rule(4, conditions=several, priority=7),
        rule(5, conditions=further, targets=split),
        rule(
            6,
            name="All: else",
            conditions=[],
            enabled=False,
            priority=900,
            description="$5 for ${you}",
        ),
    )
    assert exported(cxroute, "--all") == (
        """# Conversations for Cards.
apiVersion: routing/v1
kind: RuleSet
name: cards
defaults: { priority: 40, minConfidence: 0.6 }
rules:
  - key: rule-4
    intents: [a, b]
    minConfidence: null
    belowConfidence: 0.5
    queue: Cards
    priority: 7
    name: rule 4
    description: ""
    adopt: rule 4
  - intent: card_1
    queue: Cards
    adopt: "Cognigy Intent Route: card_1"
  - intent: card_2
    queue: Cards
    name: rule 2
    description: ""
    adopt: rule 2
  - intent: card_3
    queue: Cards
    name: rule 3
    description: ""
    adopt: rule 3
  - intent: b
    minConfidence: null
    when:
      - { attribute: language, notEquals: fr }
      - { attribute: vip, exists: true }
    targets: [{ queue: Cards, weight: 80 }, { queue: Fraud, weight: 20 }]
    name: rule 5
    description: ""
    adopt: rule 5
  - key: all-else
    when: []
    queue: Cards
    priority: 900
    enabled: false
    name: "All: else"
    description: $$5 for $${you}
    adopt: "All: else"
"""
    )
    assert (
        "Verified: the next apply adopts 6 rules unchanged, and no conversation is routed "
        "differently.\n" in cxroute.err
    )


def test_a_queue_that_shares_its_name_gets_an_alias_by_its_id(tenant: Any) -> None:
    """In a Queues document; the other queues get aliases too, because there is such a document
    now.
    """
    cxroute = tenant(
        rule(1), rule(2, targets=[{"type": "queue", "queueId": "q4", "weight": 1}])
    )
    actual = exported(cxroute, "--all")
    assert (
        "kind: Queues\nname: queues\nqueues:\n  cards: Cards\n  twice-q4: { sandbox: { id: q4 } "
        "}\n---\n" in actual
    )
    assert "queue: twice-q4\n" in actual
    write("rules.yaml", actual)
    assert 0 == cxroute("validate")
    assert "" == cxroute.err


def test_existing_aliases_are_used(tenant: Any) -> None:
    """The first alias of a queue; a queue without an alias gets one."""
    cxroute = tenant(
        rule(1), rule(2, targets=[{"type": "queue", "queueId": "q2", "weight": 1}])
    )
    write(
        "queues.yaml",
        "{apiVersion: routing/v1, kind: Queues, name: queues, queues: {plastic: Cards, q: "
        "Cards}}\n",
    )
    actual = exported(cxroute, "--all")
    assert "queue: plastic\n" in actual
    assert "kind: Queues\nname: queues-2\nqueues:\n  fraud: Fraud\n" in actual


def test_rules_of_one_name_are_adopted_by_id_and_renamed(tenant: Any) -> None:
    """Two managed rules must not have one name; plan, apply and the next plan agree."""
    cxroute = tenant(rule(1, name="transfer"), rule(2, name="transfer"))
    assert 0 == cxroute("export", "--all", "--into", "manifests/rules.yaml")
    text = Path("manifests/rules.yaml").read_text(encoding="utf-8")
    assert 2 == text.count('  # 2 live rules are named "transfer"\n  - intent:')
    assert [True, True] == [f"adopt: {{ id: r{number} }}" in text for number in (1, 2)]
    assert "2 of them get an explicit name" in cxroute.out
    assert 0 == cxroute("apply", "--yes"), cxroute.err
    assert 0 == cxroute("plan", "--detailed-exitcode")


def test_rules_of_one_name_and_priority_export_unless_they_compete(tenant: Any) -> None:
    """Rules about different intents, or of one queue, may change places; two competing rules keep
    their order.
    """
    fraud = [{"type": "queue", "queueId": "q2", "weight": 1}]
    declared = [
        rule(
            number,
            name="New rule",
            targets=fraud if number == 2 else rule(0)["targets"],
        )
        for number in range(4)
    ]
    requested = [asks("language", "equals", "fr")]
    split = [{"type": "queue", "queueId": "q1", "weight": 2}, *fraud]
    competing = [
        rule(5, name="Old", conditions=requested, targets=split),
        rule(6, name="Old", conditions=requested),
    ]
    cxroute = tenant(*declared, *competing)
    assert 0 == cxroute("export", "--all", "--into", "manifests/all/")
    assert 'skipped: "Old" (r5): another live rule has its name' in cxroute.err
    assert 1 == cxroute.err.count("skipped:")
    assert 0 == cxroute("apply", "--yes")
    code, plan = cxroute.json("plan")
    assert (0, [], 5) == (code, plan["changes"], plan["summary"]["unchanged"])


def test_a_rule_that_is_not_representable_is_skipped_with_a_comment(
    tenant: Any,
) -> None:
    """The output has a line about it, too; names from outside are harmless in both."""
    odd = rule(
        1, name="x\n- evil: \x1b[31m", conditions=[asks("said", "matchesRegex", "a.*")]
    )
    cxroute = tenant(
        odd, rule(2), rule(3, description="\n[cxroute:others/a/b#00000000]")
    )
    assert exported(cxroute, "--all").startswith(
        "# Not exported, and not changed:\n"
        '#   "rule 3" (r3): it is managed by others\n'
        '#   "x\\u000a- evil: \\u001b[31m" (r1): it has a condition that cxroute does not understand\n'
        "# Conversations for Cards.\n"
    )
    assert 'warning: skipped: "x\\u000a- evil: \\u001b[31m" (r1): ' in cxroute.err
    assert (4, "") == (cxroute("export", "r1"), cxroute.out)


def test_single_rules_are_named_by_name_id_or_address(tenant: Any) -> None:
    """Managed rules without a manifest are exported under their RuleSet and key."""
    own_side = rule(2, description="Routes\n[cxroute:acme/desk/second#00000000]")
    cxroute = tenant(rule(1), own_side, rule(3))
    assert "  - key: second\n" in exported(cxroute, "desk/second")
    assert "adopt:" not in cxroute.out
    assert ["rule 1", "rule 3"] == [
        line[11:]
        for line in exported(cxroute, "r1", "rule 3").splitlines()
        if "adopt" in line
    ]
    assert 64 == cxroute("export", "rule 33")
    assert 'there is no live rule "rule 33". did you mean "rule 3"?' in cxroute.err
    assert 64 == cxroute("export", "rule 3", "--all")


def test_without_a_selection_it_lists_the_rules(tenant: Any) -> None:
    """And how to select rules."""
    cxroute = tenant(rule(1), rule(2))
    assert 64 == cxroute("export")
    assert (
        "sandbox has 2 live rules, 0 of them managed and 2 made by hand:" in cxroute.err
    )
    assert '\n  "rule 1"\n  "rule 2"\n' in cxroute.err


def test_an_existing_file_is_not_overwritten(tenant: Any) -> None:
    """An existing file is refused; rules that the manifests have are not exported again."""
    cxroute = tenant(
        rule(1), rule(2, targets=[{"type": "queue", "queueId": "q2", "weight": 1}])
    )
    assert 0 == cxroute("export", "--all", "--into", "manifests/live/")
    assert ["cards.yaml", "fraud.yaml"] == sorted(
        path.name for path in Path("manifests/live").iterdir()
    )
    assert 0 == cxroute("export", "--all", "--into", "manifests/more.yaml")
    assert (
        "Nothing to export from sandbox; the manifests define 2 rules already (-v lists them).\n"
        == cxroute.err
    )
    assert not Path("manifests/more.yaml").exists()
    Path("manifests/live/fraud.yaml").unlink()
    before = Path("manifests/live/cards.yaml").read_bytes()
    assert 64 == cxroute("export", "--all", "--into", "manifests/live/cards.yaml")
    assert before == Path("manifests/live/cards.yaml").read_bytes()
    assert 64 == cxroute("export", "--all", "--into", "manifests/live.txt")


def test_with_several_environments_the_rules_are_for_one(tenant: Any) -> None:
    """The live rules of one environment say nothing about the others; the sandbox has no owner."""
    cxroute = tenant(rule(1))
    assert "environments" not in exported(cxroute, "--all")
    write(
        "prod.yaml",
        ENVIRONMENT.replace("sandbox", "prod").replace("}", ", tenant: acme}"),
    )
    assert "name: cards\nenvironments: [sandbox]\nrules:" in exported(cxroute, "--all")


@pytest.mark.parametrize("into", [[], ["--into", "manifests/all/"]])
def test_a_rule_with_a_secret_is_not_exported_as_another_rule(
    tenant: Any, into: list[str]
) -> None:
    """With [secret] in its place, the exported rule would differ from the live one."""
    REDACTOR.add("of-this-test-alone-0815")
    cxroute = tenant(rule(1, name="by hand of-this-test-alone-0815"))
    assert 4 == cxroute("export", "--all", *into)
    assert ("", True) == (
        cxroute.out,
        "it would contain a secret of this run" in cxroute.err,
    )
    assert not Path("manifests/all").exists()


def test_the_rules_of_the_bank_are_adopted(cxroute: Program) -> None:
    """All of its unmanaged rules that are understood: 21 of 25; then the plan is empty."""
    write("environment.yaml", ENVIRONMENT)
    with TenantState.load(STATE, initial=tenants.bank_tenant()):
        pass
    assert 0 == cxroute("export", "--all", "--into", "manifests/live/"), cxroute.err
    note = (
        "Another tool seems to manage it: [flowsync:ivr/after-hours@17]. Remove it there first, or "
        "remove it here."
    )
    assert f"  # {note}\n  - key: ivr-after-hours\n" in Path(
        "manifests/live/night-line.yaml"
    ).read_text(encoding="utf-8")
    assert 0 == cxroute("validate")
    _, plan = cxroute.json("plan")
    assert (21, False) == (plan["summary"]["adopt"], plan["behaviour"]["changed"])
    assert 21 == len(plan["changes"])
    assert 0 == cxroute("apply", "--yes"), cxroute.err
    assert 0 == cxroute("plan", "--detailed-exitcode")
