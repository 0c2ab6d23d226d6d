"""What is written of a conversation: the tutorial's context; custom fields and signals of the platform, as known.

A digital contact has custom fields; a voice contact's script gets signals. All end as attributes of the conversation,
which rules read: of fields and signals that is our assumption.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs

from reconciler.simulator.messages import (
    ApiProblem,
    ApiProblemError,
    Json,
    SimulatorRequest,
    SimulatorResponse,
    encode_json,
    error_response,
    json_response,
    oauth_error,
    parse_json_body,
)
from reconciler.simulator.validate import DECIMAL

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from reconciler.simulator.settings import SimulatorSettings
    from reconciler.simulator.state import TenantState

_CONVERSATION: Final = re.compile(r"[A-Za-z0-9._:-]{1,128}")
_PARAMETERS: Final = tuple(f"p{place}" for place in range(1, 10))


def merge_context(state: TenantState, request: SimulatorRequest) -> SimulatorResponse:
    """POST attributes of a conversation."""
    conversation = request.segments[4]
    if not _exists(conversation):
        return error_response(404, ApiProblem("Interaction not found", "not.found"))
    body = parse_json_body(request)
    problems = _attribute_problems(body)
    if problems:
        return error_response(422, *problems)
    merged = state.merge(conversation, body["attributes"])
    return json_response(200, encode_json({"id": conversation, "attributes": merged}))


def set_custom_fields(state: TenantState, settings: SimulatorSettings, request: SimulatorRequest) -> SimulatorResponse:
    """PUT values of custom fields of a contact; those that are not named keep theirs."""
    contact, defined = request.segments[3], settings.custom_fields
    if not _exists(contact):
        return _digital_error(settings, 404, [ApiProblem("Contact not found", "not.found")])
    try:
        body = parse_json_body(request)
    except ApiProblemError as refused:
        return _digital_error(settings, refused.response.status, [ApiProblem("The body is not JSON", "invalid.body")])
    problems = list(_field_problems(body, defined))
    if problems:
        return _digital_error(settings, 422, problems)
    state.merge(contact, {one["ident"]: _rule_value(one["value"], defined[one["ident"]]) for one in body})
    return SimulatorResponse(status=204)


def send_signal(state: TenantState, request: SimulatorRequest) -> SimulatorResponse:
    """POST p1 to p9 to the script that a contact is in; it finds them under these names."""
    contact = request.segments[4]
    if not _exists(contact):
        return oauth_error(404, "not_found", "The contact does not exist or has ended")
    given = parse_qs(request.query, keep_blank_values=True)
    if "p1" not in given:
        return oauth_error(400, "invalid_request", "p1 is required")
    state.merge(contact, {name: given[name][-1] for name in _PARAMETERS if name in given})
    return SimulatorResponse(status=204)


def _exists(conversation: str) -> bool:
    """Say whether there is such a conversation: any well-formed id exists, unless it begins with `unknown-`."""
    return bool(_CONVERSATION.fullmatch(conversation)) and not conversation.startswith("unknown-")


def _attribute_problems(body: Json) -> list[ApiProblem]:
    """Return everything that is wrong with a context's body."""
    attributes = body.get("attributes") if isinstance(body, dict) else None
    if attributes is None:
        return [ApiProblem("attributes is required", "missing.field", "attributes")]
    if not isinstance(attributes, dict):
        return [ApiProblem("must be an object", "invalid.type", "attributes")]
    return [
        ApiProblem("must be text, a number, true, false or null", "invalid.type", f"attributes.{name}")
        for name, value in attributes.items()
        if not name or isinstance(value, (dict, list))
    ]


def _field_problems(body: Json, defined: Mapping[str, str]) -> Iterator[ApiProblem]:
    if not isinstance(body, list):
        yield ApiProblem("must be a list of custom fields", "invalid.type")
        return
    for place, one in enumerate(body):
        ident, value = (one.get("ident"), one.get("value")) if isinstance(one, dict) else (None, None)
        if not isinstance(ident, str):
            yield ApiProblem("must be text", "invalid.type", f"[{place}].ident")
        elif ident not in defined:
            yield ApiProblem(f"Custom field {ident} is not defined", "not.defined", f"[{place}].ident")
        elif not isinstance(value, str):
            yield ApiProblem("must be text", "invalid.type", f"[{place}].value")


def _rule_value(value: str, kind: str) -> str | float | None:
    """Return a field's text as rules see it: an empty one is no value; in a field for numbers a decimal is a number."""
    if not value:
        return None
    return float(value) if kind == "number" and DECIMAL.fullmatch(value) else value


def _digital_error(settings: SimulatorSettings, status: int, problems: list[ApiProblem]) -> SimulatorResponse:
    """Return an error as Digital has them: with an id to ask the vendor about."""
    errors: list[dict[str, Any]] = [
        {"field": one.field or None, "message": one.message, "errorCode": one.code} for one in problems
    ]
    return json_response(status, encode_json({"errors": errors, "uid": settings.new_id()}))
