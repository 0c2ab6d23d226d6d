"""What a GitHub runner makes of a step's output, after the runner's published behaviour (actions/runner).

A line is a command where it begins with `::name ...::` once white space before it is gone, or, the older form, where
`##[name ...]` stands anywhere in it; the first form is tried first, and only names that are known count. Between
`::stop-commands::TOKEN` and `::TOKEN::` nothing does, but the token itself, in either form and letters of either case.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

KNOWN = {
    *("error", "warning", "notice", "debug", "add-mask", "add-path", "set-env", "set-output", "save-state", "echo"),
    *("group", "endgroup", "add-matcher", "remove-matcher", "stop-commands", "internal-set-repo-path"),
}


class WorkflowCommand(NamedTuple):
    """A command as the runner understands it."""

    name: str
    properties: dict[str, str]
    data: str


def workflow_commands(output: str) -> list[WorkflowCommand]:
    """Return the commands that a runner carries out, in order; stopping and going on are none of them."""
    found, known, token = [], set(KNOWN), ""
    for line in re.split(r"\r\n|\r|\n", output):
        command = _new_form(line, known) or _old_form(line, known)
        if command is None:
            continue
        if token:
            if command.name.lower() == token:
                known.discard(token)
                token = ""
        elif command.name.lower() == "stop-commands":
            token = command.data.lower()
            known.add(token)
        else:
            found.append(command)
    assert not token, "the runner was never told to go on"
    return found


def _new_form(line: str, known: set[str]) -> WorkflowCommand | None:
    line = line.lstrip()
    head, end, data = line[2:].partition("::")
    name, _, properties = head.partition(" ")
    if not line.startswith("::") or not end or name.lower() not in known:
        return None
    return WorkflowCommand(name, _properties(properties.strip(), ",", _property), _data(data))


def _old_form(line: str, known: set[str]) -> WorkflowCommand | None:
    _, begin, rest = line.partition("##[")
    head, end, data = rest.partition("]")
    name, _, properties = head.partition(" ")
    if not begin or not end or name.lower() not in known:
        return None
    return WorkflowCommand(name, _properties(properties, ";", _data), _data(data))


def _properties(text: str, between: str, unescaped: Callable[[str], str]) -> dict[str, str]:
    pairs = (one.split("=", 1) for one in text.split(between) if one)
    return {pair[0]: unescaped(pair[1]) for pair in pairs if len(pair) == 2 and all(pair)}


def _data(text: str) -> str:
    return text.replace("%0D", "\r").replace("%0A", "\n").replace("%25", "%")


def _property(text: str) -> str:
    text = text.replace("%0D", "\r").replace("%0A", "\n").replace("%3A", ":").replace("%2C", ",")
    return text.replace("%25", "%")
