"""The contract of a Custom Exchange Endpoint: a schema of its response, and random requests.

The schema is written from the facts in the design: objects have no other properties, optional fields
are left out, and numbers are numbers.
"""

from __future__ import annotations

import json
from random import Random
from typing import Any, Final

_TEXT: Final = {"type": "string"}
_PROMPTS: Final = {
    "type": "object",
    "additionalProperties": False,
    "properties": {"prompts": {"type": "array"}},
}
RESPONSE: Final[dict[str, Any]] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["branchName"],
    "properties": {
        "branchName": {
            "enum": [
                "DoNotBegin",
                "PromptAndCollectNextResponse",
                "ReturnControlToScript",
                "EndContact",
                "AudioInputUntranscribeable",
                "Error",
                "DTMFBreakout",
                "UserInputTimeout",
                "UserInputNotUnderstood",
            ]
        },
        "intentInfo": {
            "type": "object",
            "additionalProperties": False,
            "properties": {
                "intent": _TEXT,
                "context": _TEXT,
                "intentConfidence": {"type": "number"},
                "lastUserUtterance": _TEXT,
                "slots": {"type": "object"},
            },
        },
        "customPayload": {"type": "object"},
        "nextPromptSequence": _PROMPTS,
        "nextPromptBehaviors": {"type": "object"},
        "errorDetails": {
            "type": "object",
            "additionalProperties": False,
            "required": ["errorBehavior"],
            "properties": {
                "errorBehavior": {
                    "enum": ["ReturnControlToScriptThroughErrorBranch", "EndContact"]
                },
                "errorPromptSequence": _PROMPTS,
                "systemErrorMessage": _TEXT,
            },
        },
        "botSessionState": {},
    },
}
REQUEST: Final[dict[str, Any]] = {
    "virtualAgentId": "agent",
    "botConfig": {"a": 1},
    "userInput": "my card is gone",
    "userInputType": "TEXT",
    "executionInfo": {
        "contactId": 4711,
        "busNo": 1,
        "requestId": 2,
        "actionType": "TEXTBOT",
        "actionId": 3,
        "scriptName": "main",
    },
    "systemTelemetryData": {},
    "base64wavFile": "UklGRg==",
    "botSessionState": {"turn": 1},
    "customPayload": {"intent": "lost", "confidence": "0.9", "tier": "gold"},
    "mediaType": "chat",
}
_ODD: Final[tuple[Any, ...]] = (
    None,
    "",
    " ",
    "0",
    "0.5",
    "1e2",
    "\x00",
    "\ud800",
    "lost",
    "x" * 600,
    0,
    -1,
    0.5,
    2**63,
    10**30,
    True,
    False,
    [],
    [1],
    {},
    {"intent": "lost"},
    {"a": {"b": {"c": [{}]}}},
)
_BODIES: Final = (
    b"",
    b"null",
    b"[]",
    b'"text"',
    b"{",
    b"\xff\xfe",
    b'{"customPayload": NaN}',
    b'{"customPayload": {"confidence": 1e999}}',
    b'{"customPayload": {}, "customPayload": {"intent": "lost"}}',
    b"[" * 5000,
    b'{"a":' * 100 + b"1" + b"}" * 100,
)


def a_request(random: Random) -> bytes:
    """Return a body: valid, partial, with nulls, with odd values, or no object at all."""
    kind = random.choice(("valid", "partial", "null", "odd", "odd", "payload", "bytes"))
    if kind == "bytes":
        return random.choice(_BODIES)
    form = dict(REQUEST)
    names = random.sample(sorted(form), random.randint(1, len(form)))
    for name in names if kind != "valid" else ():
        if kind == "partial":
            del form[name]
        elif kind == "null":
            form[name] = None
        elif kind == "odd":
            form[name] = random.choice(_ODD)
    if kind == "payload":
        keys = ("intent", "confidence", "tier", "script_skill", "other", "")
        form["customPayload"] = {
            key: random.choice(_ODD) for key in random.sample(keys, 4)
        }
        form["executionInfo"] = {"contactId": random.choice(_ODD)}
    return json.dumps(form).encode()
