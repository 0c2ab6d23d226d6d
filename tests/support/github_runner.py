"""The commands in a step's output for a GitHub runner, by the runner's published behaviour
(actions/runner).

A line is a command if it begins with `::name ...::` after white space, or, in the older form, if it
contains `##[name ...]`; the first form has priority, and only known names count. Between
`::stop-commands::TOKEN` and `::TOKEN::` only the token counts, in either form and letters of either
case.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

KNOWN = {
    *(
        "error",
        "warning",
        "notice",
        "debug",
        "add-mask",
        "add-path",
        "set-env",
        "set-output",
        "save-state",
        "echo",
    ),
    *(
        "group",
        "endgroup",
        "add-matcher",
        "remove-matcher",
        "stop-commands",
        "internal-set-repo-path",
    ),
}


class WorkflowCommand(NamedTuple):
    """A command in the runner's form."""

    name: str
    properties: dict[str, str]
    data: str


def workflow_commands(output: str) -> list[WorkflowCommand]:
    """Return the commands that a runner executes, in order, without those that stop and resume
    commands.
    """
    actual = []
    declared = set(KNOWN)
    token = ""
    for line in re.split(r"\r\n|\r|\n", output):
        command = _new_form(line, declared) or _old_form(line, declared)
        if command is None:
            continue
        if token:
            if command.name.lower() == token:
                declared.discard(token)
                token = ""
        elif command.name.lower() == "stop-commands":
            token = command.data.lower()
            declared.add(token)
        else:
            actual.append(command)
    assert not token, "commands were never resumed"
    return actual


def _new_form(line: str, known: set[str]) -> WorkflowCommand | None:
    line = line.lstrip()
    head, end, data = line[2:].partition("::")
    name, _, properties = head.partition(" ")
    if not line.startswith("::") or not end or name.lower() not in known:
        return None
    return WorkflowCommand(
        name, _properties(properties.strip(), ",", _property), _data(data)
    )


def _old_form(line: str, known: set[str]) -> WorkflowCommand | None:
    _, begin, rest = line.partition("##[")
    head, end, data = rest.partition("]")
    name, _, properties = head.partition(" ")
    if not begin or not end or name.lower() not in known:
        return None
    return WorkflowCommand(name, _properties(properties, ";", _data), _data(data))


def _properties(
    text: str, between: str, unescaped: Callable[[str], str]
) -> dict[str, str]:
    pairs = (word.split("=", 1) for word in text.split(between) if word)
    return {
        pair[0]: unescaped(pair[1]) for pair in pairs if len(pair) == 2 and all(pair)
    }


def _data(text: str) -> str:
    return text.replace("%0D", "\r").replace("%0A", "\n").replace("%25", "%")


def _property(text: str) -> str:
    text = (
        text.replace("%0D", "\r")
        .replace("%0A", "\n")
        .replace("%3A", ":")
        .replace("%2C", ",")
    )
    return text.replace("%25", "%")
