"""A target of another distribution works in every command, without a change elsewhere."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support import json_file_target
from tests.support.program import Program, write

ENVIRONMENT = """\
apiVersion: routing/v1
kind: Environment
name: prod
owner: acme
tenant: acme
api:
  rules: json-file
  json-file: {path: live.json}
"""
RULES = """\
apiVersion: routing/v1
kind: RuleSet
name: cards
rules:
  - {intent: lost_card, queue: Fraud Desk, priority: 10}
  - {intent: card_fee, queue: Billing, priority: 20}
"""
QUEUES = [{"id": "q1", "name": "Fraud Desk"}, {"id": "q2", "name": "Billing"}]
FOREIGN: dict[str, Any] = {
    "id": "r1",
    "name": "IVR | after hours",
    "description": "",
    "priority": 500,
    "enabled": False,
    "conditions": [],
    "targets": [{"type": "queue", "queueId": "q2", "weight": 1}],
    "colour": "red",
}


@pytest.fixture
def prod(cxroute: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Program:
    """The program, with an Environment whose rules are in a JSON file."""
    (tmp_path / "packages").mkdir()
    json_file_target.install(tmp_path / "packages")
    monkeypatch.syspath_prepend(tmp_path / "packages")
    write("prod.yaml", ENVIRONMENT)
    write("cards.yaml", RULES)
    save_rules([FOREIGN])
    return cxroute


def save_rules(rules: list[dict[str, Any]]) -> None:
    content = {"rules": rules, "queues": QUEUES}
    Path("live.json").write_text(json.dumps(content), "utf-8")


def live_rules() -> dict[str, dict[str, Any]]:
    """Return the rules of the file by name."""
    content = json.loads(Path("live.json").read_text("utf-8"))
    return {rule["name"]: rule for rule in content["rules"]}


def test_validate_knows_the_settings_of_a_foreign_target(prod: Program) -> None:
    """The target's own model checks them."""
    assert prod("validate") == 0, prod.out
    write("prod.yaml", ENVIRONMENT.replace("path:", "pfad:"))
    assert prod("validate") == 3
    assert '"pfad"' in prod.out + prod.err
    write("prod.yaml", ENVIRONMENT.replace("rules: json-file", "rules: xml-file"))
    assert prod("validate") == 3
    assert "xml-file" in prod.out + prod.err


def test_from_a_plan_to_an_undo(prod: Program) -> None:
    """Rules without a manifest stay as they are, with every field."""
    code, plan = prod.json("plan", "-e", "prod")
    assert code == 0
    assert [change["action"] for change in plan["changes"]] == ["create", "create"]
    assert list(live_rules()) == [FOREIGN["name"]]

    assert prod("apply", "-e", "prod", "--yes") == 0, prod.err
    assert len(live_rules()) == 3
    assert live_rules()[FOREIGN["name"]] == FOREIGN
    assert prod("drift", "-e", "prod") == 0, prod.out

    edit("lost_card", targets=FOREIGN["targets"])
    assert prod("drift", "-e", "prod") == 2
    assert '"Fraud Desk" -> "Billing"' in prod.out
    assert prod("apply", "-e", "prod", "--yes") == 0, prod.err
    assert prod("drift", "-e", "prod") == 0, prod.out

    _, history = prod.json("history", "-e", "prod")
    run = history["runs"][-1]["run"]
    assert prod("apply", "-e", "prod", "--undo", run, "--yes") == 0, prod.err
    assert prod("drift", "-e", "prod") == 2
    assert live_rules()[FOREIGN["name"]] == FOREIGN


def edit(word: str, **fields: Any) -> None:
    """Change fields of the rule whose name has a word."""
    rules = live_rules()
    (name,) = (name for name in rules if word in name)
    rules[name].update(fields)
    save_rules(list(rules.values()))


def test_a_file_in_the_format_of_rules_is_read_for_a_plan(prod: Program) -> None:
    """`--live FILE` uses the target's own reader."""
    Path("export.json").write_bytes(Path("live.json").read_bytes())
    assert prod("plan", "-e", "prod", "--live", "export.json") == 0, prod.err
    assert "2 to create" in prod.out
