"""The OpenAPI document of the endpoint, and a check of responses against it."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator

from tests.features.endpoint.in_process_endpoint import Reply

FILE = Path(__file__).parents[3] / "schema" / "context-endpoint.openapi.yaml"
DOCUMENT: dict[str, Any] = yaml.safe_load(FILE.read_text("utf-8"))
RESPONSES: dict[str, Any] = DOCUMENT["paths"]["/api/route"]["post"]["responses"]
STATUSES = {int(status) for status in RESPONSES}


def fault(reply: Reply) -> str:
    """Return the parts of a response to a post that the document does not allow."""
    if reply.status not in STATUSES:
        return f"status {reply.status}"
    response = _followed(RESPONSES[str(reply.status)])
    missing = [
        name
        for name, text in response.get("headers", {}).items()
        if text.get("required")
    ]
    if any(name.lower() not in reply.headers for name in missing):
        return f"{reply.status} without {missing}"
    errors = [
        error.message for error in _validator(reply.status).iter_errors(reply.form)
    ]
    return f"{reply.status}: {errors}" if errors else ""


@cache
def _validator(status: int) -> Draft202012Validator:
    schema = _followed(RESPONSES[str(status)])["content"]["application/json"]["schema"]
    return Draft202012Validator({**schema, "components": DOCUMENT["components"]})


def _followed(part: dict[str, Any]) -> dict[str, Any]:
    actual: Any = part
    for step in part.get("$ref", "#").split("/")[1:]:
        actual = DOCUMENT[step] if actual is part else actual[step]
    return dict(actual)
