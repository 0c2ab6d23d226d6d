"""What is printed in a pipeline: no text from outside is a command of its runner."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

import pytest

from tests.support.program import Program, write

COMMANDS: Final = (
    "##vso[task.setvariable variable=PATH]",
    "##[add-mask]x",
    "##VSO[a.b]",
)


@pytest.mark.parametrize("runner", ["TF_BUILD", "GITHUB_ACTIONS"])
@pytest.mark.parametrize("command", COMMANDS)
def test_a_runner_reads_no_command_from_a_name(
    elsewhere: Path,
    cxroute: Program,
    monkeypatch: pytest.MonkeyPatch,
    runner: str,
    command: str,
) -> None:
    """A runner of Azure DevOps or GitHub looks for commands at any place of a line."""
    assert Path.cwd() == elsewhere
    name = json.dumps(f"a rule {command}")
    write(
        "cards.yaml",
        "apiVersion: routing/v1\nkind: RuleSet\nname: cards\nrules:\n"
        f"  - {{key: fees, name: {name}, intent: fees, queue: Q}}\n",
    )
    monkeypatch.setenv(runner, "True")
    for words in (("plan",), ("validate",), ("plan", "--format", "markdown")):
        cxroute(*words)
        assert "##" + command[2:] not in cxroute.out + cxroute.err
    code, document = cxroute.json("plan")
    assert 0 == code
    assert command not in cxroute.out
    (change,) = document["changes"]
    assert json.loads(name) == change["after"]["name"]

    monkeypatch.delenv(runner)
    cxroute("plan", "--format", "json")
    assert command in cxroute.out
