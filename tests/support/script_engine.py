"""A fake of Studio that runs the steps which `cxroute studio recipe --decide` prints.

It shares no code with the product: it reads the printed SNIPPETs, sends the request of the exchange
action or of the REST API action with two retries, takes a branch, and reads Skill of REQAGENT.
"""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, NamedTuple, TypedDict

Variables = dict[str, Any]
Post = Callable[[str, bytes], Awaitable[bytes]]
"""Sends a body to a URL, and returns that of the response; raises TimeoutError."""

TRIES: Final = 3  # one, and two retries
_BLOCK: Final = re.compile(r"^((?:ASSIGN|DYNAMIC|IF) (?:.+\n)+)", re.MULTILINE)
_ASSIGN: Final = re.compile(r'ASSIGN ([A-Za-z][\w.]*) = "([^"]*)"', re.ASCII)
_GUARD: Final = re.compile(r'IF \( (\w+) != "" \)', re.ASCII)
_VARIABLE: Final = re.compile(r"\{([A-Za-z][\w.]*)\}", re.ASCII)
_SKILL: Final = re.compile(r"Set Skill of REQAGENT to \{(\w+)\}", re.ASCII)
_EXCHANGE: Final = re.compile(r"^ +URL +(\S+)$", re.MULTILINE)
_REST: Final = re.compile(
    r"Set the action to POST (\S+),\s+the parameters to \{(\w+)\."
)
_RESULT: Final = re.compile(r"the result to (\w+)")


class ExchangeInfo(TypedDict):
    """What the platform adds to a request by itself."""

    contactId: int
    busNo: int
    requestId: int
    actionType: str
    actionId: int
    scriptName: str


class RoutedContact(NamedTuple):
    """The skill that REQAGENT requests, the branch of the action, and how often it called."""

    skill: str
    branch: str
    calls: int


class RecipeScript:
    """The script that a printed recipe describes."""

    def __init__(self, recipe: str, default_skill: str, post: Post) -> None:
        text = recipe.replace("DEFAULT_SKILL", default_skill)
        self.snippets = _BLOCK.findall(text)
        self._post = post
        self._text = text
        self._skill = _found(_SKILL, text)[1]

    async def by_exchange(self, contact: int, variables: Variables) -> RoutedContact:
        """Run way A: the action EXCHANGE of a bot. The variables of the contact change."""
        run_snippet(self.snippets[0], variables)
        info = ExchangeInfo(
            contactId=contact,
            busNo=1,
            requestId=1,
            actionType="TEXTBOT EXCHANGE",
            actionId=2,
            scriptName="Bot\\Hand-over",
        )
        request = {
            "virtualAgentId": "cxroute",
            "userInput": "",
            "userInputType": "AUTOMATED_TEXT",
            "executionInfo": info,
            "botSessionState": None,
            "customPayload": variables["customPayload"],
        }
        url = _found(_EXCHANGE, self._text)[1]
        answer, calls = await self._call(url, request)
        branch = answer.get("branchName", "Error")
        if branch == "ReturnControlToScript":
            variables.update(answer["customPayload"])
        return self._request_agent(variables, branch, calls)

    async def by_rest(self, contact: int, variables: Variables) -> RoutedContact:
        """Run way B: the action REST API, between two SNIPPETs."""
        variables["contactId"] = str(contact)
        run_snippet(self.snippets[1], variables)
        action = _found(_REST, self._text)
        answer, calls = await self._call(action[1], variables[action[2]])
        if not answer:
            return self._request_agent(variables, "Error", calls)
        variables[_found(_RESULT, self._text)[1]] = answer
        run_snippet(self.snippets[2], variables)
        return self._request_agent(variables, "Default", calls)

    def _request_agent(
        self, variables: Mapping[str, Any], branch: str, calls: int
    ) -> RoutedContact:
        return RoutedContact(variables[self._skill], branch, calls)

    async def _call(self, url: str, request: Any) -> tuple[dict[str, Any], int]:
        """Return the answer, empty after the last time-out, and the number of calls."""
        body = json.dumps(request).encode()
        for number in range(1, TRIES + 1):
            try:
                response = await self._post(url, body)
            except TimeoutError:
                continue
            return json.loads(response), number
        return {}, TRIES


def run_snippet(snippet: str, variables: Variables) -> None:
    """Run the statements of a SNIPPET. Raises ValueError for one that is not understood."""
    skipped = False
    for line in map(str.strip, snippet.splitlines()):
        guard = _GUARD.fullmatch(line)
        assignment = _ASSIGN.fullmatch(line)
        if guard:
            skipped = _read(guard[1], variables) == ""
        elif line == "}":
            skipped = False
        elif line.startswith("DYNAMIC "):
            variables[line.removeprefix("DYNAMIC ")] = {}
        elif assignment and not skipped:
            value = _VARIABLE.sub(
                lambda name: str(_read(name[1], variables)), assignment[2]
            )
            _assign(assignment[1], value, variables)
        elif line != "{" and not assignment:
            raise ValueError(f"not a statement of the recipe: {line}")


def _assign(path: str, value: str, variables: Variables) -> None:
    *folders, name = path.split(".")
    place = variables
    for folder in folders:
        place = place.setdefault(folder, {})
    place[name] = value


def _read(path: str, variables: Mapping[str, Any]) -> Any:
    """Return a variable or a member; an empty text for one that does not exist."""
    value: Any = variables
    for name in path.split("."):
        value = value.get(name, "") if isinstance(value, Mapping) else ""
    return value


def _found(pattern: re.Pattern[str], text: str) -> re.Match[str]:
    match = pattern.search(text)
    if match is None:
        raise ValueError(f"the recipe does not say {pattern.pattern}")
    return match
