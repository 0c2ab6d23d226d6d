"""Hostile names in real manifests and real file names, through `validate` in every machine-readable
format.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.cases import each_case
from tests.support.github_runner import WorkflowCommand, workflow_commands
from tests.support.hostile_names import HOSTILE_NAMES
from tests.support.program import Program, write

WRITABLE = {
    why: name
    for why, name in HOSTILE_NAMES.items()
    if name.encode("utf-8", "replace").decode() == name
}
"""A manifest is UTF-8, which has no half characters."""
AS_A_FILE = {
    why: name
    for why, name in HOSTILE_NAMES.items()
    if why != "half a character"
    and name.strip()
    and not {"/", "\0"} & {*name}
    and len(name) < 200
}
"""Possible names of a file, including one that is not Unicode."""
HEAD = "apiVersion: routing/v1\nkind: {}\nname: {}\n"


def shown(command: WorkflowCommand) -> tuple[str, str, str]:
    return (
        command.name,
        command.properties["file"],
        command.properties["title"].split(":")[0],
    )


def results(cxroute: Program) -> list[Any]:
    cxroute("validate", "--format", "sarif")
    return list(json.loads(cxroute.out)["runs"][0]["results"])


@pytest.mark.fast_cases(10)
@pytest.mark.parametrize("name", WRITABLE.values(), ids=WRITABLE)
def test_names_in_manifests_are_data(
    cxroute: Program, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As intent, name and queue: a runner reads exactly the findings of the JSON document."""
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", "summary.md")
    stored_values = json.dumps(name)
    write(
        "q.yaml",
        HEAD.format("Queues", "q")
        + f"queues: {{{stored_values}: {stored_values}, other: General}}\n",
    )
    rules = f"  - {{key: a, intent: {stored_values}, name: {stored_values}, queue: {stored_values}}}\n"
    rules += (
        f"  - {{key: b, intent: {stored_values}, description: {stored_values}, queue: "
        f"{json.dumps(name + 'x')}}}\n"
    )
    write("r.yaml", HEAD.format("RuleSet", "r") + f"rules:\n{rules}")
    write(
        "i.yaml", HEAD.format("Intents", "i") + f"intents: [{json.dumps(name + 'z')}]\n"
    )
    _, form = cxroute.json("validate")
    output = [item for item in form["findings"] if item["severity"] != "info"]
    assert output
    cxroute("validate", "--format", "github")
    assert sorted(
        (item["severity"], item["source"]["file"], item["code"]) for item in output
    ) == sorted(map(shown, workflow_commands(cxroute.out)))
    assert sorted(item["code"] for item in form["findings"]) == sorted(
        result["ruleId"] for result in results(cxroute)
    )


@pytest.mark.fast_cases(10)
@pytest.mark.parametrize("name", WRITABLE.values(), ids=WRITABLE)
def test_names_in_errors_are_data(cxroute: Program, name: str) -> None:
    """As an unknown field, kind and operator."""
    stored_values = json.dumps(name + "!")
    write(
        "a.yaml",
        HEAD.format("RuleSet", "a")
        + f"{stored_values}: {stored_values}\nrules:\n  - {{{stored_values}: 1, intent: a, queue: b}}\n",
    )
    write("b.yaml", HEAD.format(stored_values, "b"))
    write(
        "c.yaml",
        HEAD.format("RuleSet", "c")
        + f"rules:\n  - {{queue: b, when: [{{attribute: a, {stored_values}: 1}}]}}\n",
    )
    assert 3 == cxroute("validate", "--format", "github")
    text = workflow_commands(cxroute.out)
    assert {"error"} == {item.name for item in text}
    assert {"manifests/a.yaml", "manifests/b.yaml", "manifests/c.yaml"} == {
        item.properties["file"] for item in text
    }
    assert len(text) == len(results(cxroute))


@each_case("name", AS_A_FILE.values())
def test_file_names_are_data(cxroute: Program, name: str) -> None:
    """For a file with one error: one command, one result."""
    file = Path("manifests") / f"{name}.yaml"
    file.parent.mkdir(exist_ok=True)
    file.write_text(
        HEAD.format("RuleSet", "a") + "rules:\n  - {intent: a}\n", encoding="utf-8"
    )
    assert 3 == cxroute("validate", "--format", "github")
    assert [("error", "5", "CXR103: missing field")] == [
        (command.name, command.properties["line"], command.properties["title"])
        for command in workflow_commands(cxroute.out)
    ]
    assert ["CXR103"] == [result["ruleId"] for result in results(cxroute)]
    file.unlink()
