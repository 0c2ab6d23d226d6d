"""A fake script engine: one contact runs the script that asks a decision service.

It takes the steps of `cxroute studio recipe --decide`, in place of Studio: a SNIPPET sets the
default skill and fills `customPayload`, the exchange action calls the service, with a time-out and
two retries, and REQAGENT takes the skill. Nothing shows that Studio behaves in the same way.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

from reconciler.core.text.json_values import parse_object

DEFAULT_SKILL: Final = "default"
"""The skill of contacts for which the service names none."""
ATTEMPTS: Final = 3
_SECONDS: Final = 3.0  # of one attempt; the exchange's own time-out is not published
_MAX_ANSWER: Final = 32 * 1024
_RETURNED: Final = "ReturnControlToScript"


class ContactRun(NamedTuple):
    """How a contact went through the script."""

    branch: str  # of the exchange action
    attempts: int
    skill: str  # that REQAGENT gets
    variables: Mapping[str, Any]  # of the script, after the exchange

    def to_json(self) -> dict[str, Any]:
        """Return the steps for a reader."""
        return {
            "steps": [
                {"action": "SNIPPET", "cxr_skill": DEFAULT_SKILL},
                {
                    "action": "TEXTBOT EXCHANGE",
                    "attempts": self.attempts,
                    "branch": self.branch,
                },
                {"action": "REQAGENT", "skill": self.skill},
            ],
            "variables": dict(self.variables),
        }


@dataclass(frozen=True, slots=True)
class ContactScript:
    """The script of an Environment: the address of its decision service, and a key or none."""

    url: str
    key: str = ""

    def run(self, variables: Mapping[str, Any], contact: int) -> ContactRun:
        """Return the run of a contact, whose variables the script puts into `customPayload`."""
        script = {**variables, "cxr_skill": DEFAULT_SKILL, "cxr_rule": ""}
        request = {
            "virtualAgentId": "practice",
            "userInput": "",
            "executionInfo": {"contactId": contact, "scriptName": "practice"},
            "customPayload": dict(variables),
        }
        body = json.dumps(request).encode()
        for attempt in range(1, ATTEMPTS + 1):
            answer = self._exchange(body)
            if answer is None:
                continue
            if answer.get("branchName") != _RETURNED:
                return ContactRun("Error", attempt, DEFAULT_SKILL, script)
            payload = answer.get("customPayload")
            script |= payload if isinstance(payload, dict) else {}
            return ContactRun(_RETURNED, attempt, str(script["cxr_skill"]), script)
        return ContactRun("Error", ATTEMPTS, DEFAULT_SKILL, script)

    def _exchange(self, body: bytes) -> dict[str, Any] | None:
        """Return the answer to one attempt; None without a usable one."""
        parts = urlsplit(self.url)
        is_secure = parts.scheme == "https"
        connect = HTTPSConnection if is_secure else HTTPConnection
        headers = {"Content-Type": "application/json"}
        if self.key:
            headers["Authorization"] = f"Bearer {self.key}"
        connection = connect(parts.netloc, timeout=_SECONDS)
        try:
            path = f"{parts.path.rstrip('/')}/exchange"
            connection.request("POST", path, body, headers)
            response = connection.getresponse()
            content = response.read(_MAX_ANSWER)
        except (OSError, HTTPException):
            return None
        finally:
            connection.close()
        answer = parse_object(content)
        return answer if response.status == 200 and answer else None  # noqa: PLR2004 - a success
