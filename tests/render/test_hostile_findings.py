"""Hostile names in real manifests and real file names, through `validate` in every machine-readable
format.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

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


@pytest.mark.parametrize("name", WRITABLE.values(), ids=WRITABLE)
def test_names_in_manifests_are_data(
    cxroute: Program, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As intent, name and queue: a runner reads exactly the findings of the JSON document."""
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", "summary.md")
    held = json.dumps(name)
    write(
        "q.yaml",
        HEAD.format("Queues", "q") + f"queues: {{{held}: {held}, other: General}}\n",
    )
    rules = f"  - {{key: a, intent: {held}, name: {held}, queue: {held}}}\n"
    rules += (
        f"  - {{key: b, intent: {held}, description: {held}, queue: "
        f"{json.dumps(name + 'x')}}}\n"
    )
    write("r.yaml", HEAD.format("RuleSet", "r") + f"rules:\n{rules}")
    write(
        "i.yaml", HEAD.format("Intents", "i") + f"intents: [{json.dumps(name + 'z')}]\n"
    )
    _, form = cxroute.json("validate")
    told = [one for one in form["findings"] if one["severity"] != "info"]
    assert told
    cxroute("validate", "--format", "github")
    assert sorted(
        (one["severity"], one["source"]["file"], one["code"]) for one in told
    ) == sorted(map(shown, workflow_commands(cxroute.out)))
    assert sorted(one["code"] for one in form["findings"]) == sorted(
        one["ruleId"] for one in results(cxroute)
    )


@pytest.mark.parametrize("name", WRITABLE.values(), ids=WRITABLE)
def test_names_in_errors_are_data(cxroute: Program, name: str) -> None:
    """As an unknown field, kind and operator."""
    held = json.dumps(name + "!")
    write(
        "a.yaml",
        HEAD.format("RuleSet", "a")
        + f"{held}: {held}\nrules:\n  - {{{held}: 1, intent: a, queue: b}}\n",
    )
    write("b.yaml", HEAD.format(held, "b"))
    write(
        "c.yaml",
        HEAD.format("RuleSet", "c")
        + f"rules:\n  - {{queue: b, when: [{{attribute: a, {held}: 1}}]}}\n",
    )
    assert 3 == cxroute("validate", "--format", "github")
    said = workflow_commands(cxroute.out)
    assert {"error"} == {one.name for one in said}
    assert {"manifests/a.yaml", "manifests/b.yaml", "manifests/c.yaml"} == {
        one.properties["file"] for one in said
    }
    assert len(said) == len(results(cxroute))


@pytest.mark.parametrize("name", AS_A_FILE.values(), ids=AS_A_FILE)
def test_file_names_are_data(cxroute: Program, name: str) -> None:
    """For a file with one error: one command, one result."""
    file = Path("manifests") / f"{name}.yaml"
    file.parent.mkdir()
    file.write_text(
        HEAD.format("RuleSet", "a") + "rules:\n  - {intent: a}\n", encoding="utf-8"
    )
    assert 3 == cxroute("validate", "--format", "github")
    assert [("error", "5", "CXR103: missing field")] == [
        (one.name, one.properties["line"], one.properties["title"])
        for one in workflow_commands(cxroute.out)
    ]
    assert ["CXR103"] == [one["ruleId"] for one in results(cxroute)]
