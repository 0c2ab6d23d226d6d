"""Each command's JSON fits its published schema, also where every object refuses a field that is
not described.
"""

from __future__ import annotations

import json
import shutil
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from jsonschema import Draft202012Validator

from reconciler.cli.arguments import all_commands, command_module
from reconciler.cli.commands.schema import commands_with_json, output_schema
from reconciler.cli.parsing import CommandParser
from tests.support.fallback_project import git
from tests.support.program import write

if TYPE_CHECKING:
    from tests.support.program import Program

PROMISES = """
apiVersion: routing/v1
kind: Promises
name: p
promises:
  - {name: nobody falls through, never: {default: true}}
"""
RECORDS = "intent,confidence,count\nlost_card,0.9,3\nnothing,0.2,1\n"
COMMANDS = {
    "validate": ["validate"],
    "validate strict": ["validate", "--strict"],
    "test": ["test"],
    "test live": ["test", "--live"],
    "test adequacy": ["test", "--adequacy"],
    "plan": ["plan"],
    "plan replay": ["plan", "--replay", "records.csv"],
    "plan several": ["plan", "-e", "sandbox,prod"],
    "drift": ["drift"],
    "explain": ["explain", "--intent", "lost_card", "--confidence", "0.9"],
    "explain live": ["explain", "--live", "--intent", "x"],
    "explain code": ["explain", "CXR201"],
    "diff": ["diff", "live:sandbox", "manifests:sandbox"],
    "replay": ["replay", "records.csv", "live:sandbox", "manifests:sandbox"],
    "doctor": ["doctor"],
    "merge-check": ["merge-check", *["manifests"] * 3, "merged"],
    "simplify": ["simplify", "--join", "--redundant"],
    "apply": ["apply", "--yes"],
    "apply again": ["apply", "--yes"],
    "history": ["history"],
    "test adequacy write": ["test", "--adequacy", "--write", "manifests/more.yaml"],
}
"""In this order: those that write come after those that read."""
ERRORS = {
    "validate": ["validate", "--strict", "CXR9"],
    "test": ["test", "-e", "nowhere"],
    "plan": ["plan", "-e", "prod"],
    "apply": ["apply"],
    "drift": ["drift", "-e", "nowhere"],
    "explain": ["explain"],
    "since": ["since"],
    "diff": ["diff", "none.json", "none.json"],
    "replay": ["replay", "none.csv", "manifests:sandbox", "manifests:sandbox"],
    "history": ["history", "none"],
    "doctor": ["doctor", "-e", "nowhere"],
    "merge-check": ["merge-check", *["nowhere"] * 3],
    "simplify": ["simplify", "nowhere"],
}


def closed(schema: Any) -> Any:
    """Return a schema in which every object with named fields refuses others."""
    if isinstance(schema, list):
        return [closed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    form = {name: closed(each) for name, each in schema.items()}
    if "properties" in schema and schema.get("type") == "object":
        form["additionalProperties"] = False
    return form


@cache
def closed_validator(command: str) -> Draft202012Validator:
    """Return a command's schema as a validator that refuses further fields."""
    return Draft202012Validator(closed(output_schema(command)))


def check(command: str, text: str) -> None:
    """Assert that a document fits the schema of its command without further fields."""
    closed_validator(command).validate(json.loads(text))


@pytest.fixture
def started(cxroute: Program) -> Program:
    """Rules with a promise, one of them applied and then changed in the manifests."""
    assert 0 == cxroute("init")
    write("promises.yaml", PROMISES)
    Path("records.csv").write_text(RECORDS)
    assert 0 == cxroute("apply", "--yes", "--allow", "promises", "--reason", "first")
    write(
        "more.yaml",
        "{apiVersion: routing/v1, kind: RuleSet, name: more, rules: [{intent: z, queue: cards}]}\n",
    )
    shutil.copytree("manifests", "merged")
    Path("merged/more.yaml").write_text(
        "{apiVersion: routing/v1, kind: RuleSet, name: more, rules: [{intent: z, queue: general}]}\n"
    )
    return cxroute


def test_a_document_fits_its_schema(started: Program) -> None:
    """No field is missing, of another type, or without a description."""
    for words in COMMANDS.values():
        started(*words, "--format", "json")
        check(words[0], started.out)


def test_a_run_fits_the_schema_of_the_history(started: Program) -> None:
    """The list of runs, and one run in full."""
    _, form = started.json("history")
    assert form["runs"]
    assert 0 == started("history", form["runs"][0]["run"], "--format", "json")
    check("history", started.out)


def test_the_history_of_a_route_fits_its_schema(started: Program) -> None:
    """Alone, with every change and a version that is invalid, and as a part of `explain`."""
    git("init", "-q", "-b", "main")
    for text in ("rules: []", "rules: [", "rules: [{intent: z, queue: fraud}]"):
        head = "{apiVersion: routing/v1, kind: RuleSet, name: more, "
        write("more.yaml", f"{head}{text}}}\n")
        git("add", "manifests")
        git("commit", "-qm", "next (#4)")
    conversation = ("--intent", "z", "--format", "json")
    assert 0 == started("since", *conversation, "--all")
    found = json.loads(started.out)
    assert [1, 2] == [len(found["broken"]), len(found["changes"])]
    check("since", started.out)
    assert 0 == started("explain", *conversation, "--since")
    assert "since" in json.loads(started.out)
    check("explain", started.out)


def test_an_error_fits_the_schema(started: Program) -> None:
    """A command that fails prints one document too."""
    for command in commands_with_json():
        assert started(*ERRORS[command], "--format", "json"), command
        assert "error" in json.loads(started.out), command
        check(command, started.out)


@pytest.mark.fast_cases(3)
@pytest.mark.parametrize("command", commands_with_json())
def test_the_program_prints_the_schema(cxroute: Program, command: str) -> None:
    """`cxroute schema --for COMMAND` prints what is tested here."""
    assert 0 == cxroute("schema", "--for", command)
    assert output_schema(command) == json.loads(cxroute.out)
    assert command in json.loads(cxroute.out)["title"]


@pytest.mark.slow
def test_each_schema_is_valid() -> None:
    """By the schema of JSON Schema."""
    for command in commands_with_json():
        Draft202012Validator.check_schema(output_schema(command))


def test_a_schema_notices_a_field_that_is_not_described(started: Program) -> None:
    """The comparison of the tests above fails for a new field."""
    started("validate", "--format", "json")
    with pytest.raises(Exception, match="is not valid under any of the given schemas"):
        check("validate", json.dumps({**json.loads(started.out), "new": 1}))


def test_a_schema_and_a_command_are_not_printed_together(cxroute: Program) -> None:
    """`schema plan --for test` is refused."""
    assert 64 == cxroute("schema", "plan", "--for", "test")


def test_every_command_with_json_has_a_schema() -> None:
    """A new command with `--format json` needs a schema."""
    with_json = set()
    for name in all_commands():
        parser = CommandParser(name, command_module(name))
        actions = [
            action for action in parser._actions if "--format" in action.option_strings
        ]
        with_json |= {name for action in actions if "json" in (action.choices or ())}
    # `show` prints a plan; `cognigy` has its own page
    assert with_json - {"show", "cognigy"} == set(commands_with_json())
