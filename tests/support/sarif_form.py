"""The part of SARIF 2.1.0 that cxroute writes, as a JSON Schema; stricter than the standard
schema.
"""

from __future__ import annotations

import json
from typing import Any

import jsonschema

from reconciler import __version__
from reconciler.core.model.finding import CODES


def mapping(
    required: dict[str, Any], optional: dict[str, Any] | None = None
) -> dict[str, Any]:
    """A mapping with these fields and no other."""
    properties = required | (optional or {})
    return {
        "type": "object",
        "properties": properties,
        "required": [*required],
        "additionalProperties": False,
    }


def listed(items: dict[str, Any], **bounds: int) -> dict[str, Any]:
    return {"type": "array", "items": items, **bounds}


NUMBER = {"type": "integer", "minimum": 1}
SAID = mapping({"text": {"type": "string", "minLength": 1}})
REGION = mapping(
    dict.fromkeys(("startLine", "startColumn", "endLine", "endColumn"), NUMBER)
)
ARTIFACT = mapping(
    {"uri": {"type": "string", "pattern": "^[A-Za-z0-9._~!$&'()*+,;=:@/%-]*$"}}
)
LOCATION = mapping(
    {},
    {
        "physicalLocation": mapping({"artifactLocation": ARTIFACT, "region": REGION}),
        "logicalLocations": listed(
            mapping({"fullyQualifiedName": {"type": "string"}}), minItems=1, maxItems=1
        ),
    },
)

RESULT = mapping(
    {
        "ruleId": {"enum": [*CODES]},
        "ruleIndex": {"type": "integer", "minimum": 0},
        "level": {"enum": ["error", "warning", "note"]},
        "message": SAID,
        "locations": listed(LOCATION, maxItems=1),
        "partialFingerprints": mapping(
            {"cxroute/v1": {"type": "string", "pattern": "^[0-9a-f]{32}:[1-9][0-9]*$"}}
        ),
    },
    {
        "suppressions": listed(
            mapping(
                {"kind": {"const": "inSource"}, "justification": {"type": "string"}}
            ),
            minItems=1,
        )
    },
)

RULE = mapping(
    {
        "id": {"pattern": "^CXR[0-9]{3}$"},
        "shortDescription": SAID,
        "fullDescription": SAID,
        "help": SAID,
    },
)

VERSION = {"const": __version__}
DRIVER = mapping(
    {
        "name": {"const": "cxroute"},
        "version": VERSION,
        "semanticVersion": VERSION,
        "rules": listed(RULE, minItems=1),
    }
)

NOTICE = mapping({"level": {"enum": ["error", "warning"]}, "message": SAID})
INVOCATION = mapping(
    {"executionSuccessful": {"type": "boolean"}},
    {"toolExecutionNotifications": listed(NOTICE, minItems=1)},
)

RUN = mapping(
    {
        "tool": mapping({"driver": DRIVER}),
        "invocations": listed(INVOCATION, minItems=1, maxItems=1),
        "columnKind": {"const": "unicodeCodePoints"},
        "results": listed(RESULT, maxItems=5000),
    }
)

FORM = mapping(
    {
        "$schema": {
            "type": "string",
            "pattern": "^https://docs\\.oasis-open\\.org/.*/sarif-schema-2\\.1\\.0\\.json$",
        },
        "version": {"const": "2.1.0"},
        "runs": listed(RUN, minItems=1, maxItems=1),
    }
)


def run_of(log: Any) -> Any:
    """Return the one run of a valid log, also after a round trip through JSON."""
    read = json.loads(json.dumps(log))
    VALIDATOR.validate(read)
    return read["runs"][0]


VALIDATOR: Any = jsonschema.Draft202012Validator(FORM)
