"""Writes to a conversation: the tutorial's context, and the platform's custom fields (digital) and
signals (voice).

All become attributes of the conversation, which rules read. For fields and signals this is an
assumption.
"""

import re
from collections.abc import Collection, Iterator
from typing import Final
from urllib.parse import parse_qsl

from reconciler.features.practice.simulator import messages as http
from reconciler.features.practice.simulator.scripts import run_script
from reconciler.features.practice.simulator.settings import SimulatorSettings
from reconciler.features.practice.simulator.state import JsonObject, TenantState

_CONVERSATION: Final = re.compile(r"[A-Za-z0-9._:-]{1,128}")
_PARAMETERS: Final = tuple(f"p{number}" for number in range(1, 10))


def merge_context(
    state: TenantState,
    settings: SimulatorSettings,
    request: http.SimRequest,
) -> http.SimResponse:
    """POST attributes of a conversation."""
    conversation = request.segments[4]
    if not _exists(conversation):
        raise http.ApiProblemError(
            404, http.ApiProblem("Interaction not found", "not.found")
        )
    body = http.parse_json_body(request)
    attributes = body.get("attributes") if isinstance(body, dict) else None
    if attributes is None:
        raise http.ApiProblemError(
            422,
            http.ApiProblem("attributes is required", "missing.field", "attributes"),
        )
    if not isinstance(attributes, dict):
        raise http.ApiProblemError(
            422, http.ApiProblem("must be an object", "invalid.type", "attributes")
        )
    problems = [
        http.ApiProblem(
            "must be text, a number, true, false or null",
            "invalid.type",
            f"attributes.{name}",
        )
        for name, value in attributes.items()
        if not name or isinstance(value, (dict, list))
    ]
    if problems:
        raise http.ApiProblemError(422, *problems)
    merged = _merge(state, settings, conversation, attributes)
    return http.json_response(200, {"id": conversation, "attributes": merged})


def set_custom_fields(
    state: TenantState,
    settings: SimulatorSettings,
    request: http.SimRequest,
) -> http.SimResponse:
    """PUT values of a contact's custom fields; the others stay."""
    contact = request.segments[3]
    defined = settings.custom_fields
    if not _exists(contact):
        return _digital_error(
            settings,
            404,
            [http.ApiProblem("Contact not found", "not.found")],
        )
    try:
        body = http.parse_json_body(request)
    except http.ApiProblemError as refused:
        problem = http.ApiProblem("The body is not JSON", "invalid.body")
        return _digital_error(settings, refused.response.status, [problem])
    if problems := list(_field_problems(body, defined)):
        return _digital_error(settings, 422, problems)
    # An empty text is stored as null: rules see no value.
    attributes = {item["ident"]: item["value"] or None for item in body}
    _merge(state, settings, contact, attributes)
    return http.SimResponse(status=204)


def send_signal(
    state: TenantState,
    settings: SimulatorSettings,
    request: http.SimRequest,
) -> http.SimResponse:
    """POST p1 to p9 to a contact's script, which receives them under these names."""
    contact = request.segments[4]
    if not _exists(contact):
        return http.oauth_error(
            404,
            "not_found",
            "The contact does not exist or has ended",
        )
    values = dict(parse_qsl(request.query, keep_blank_values=True))
    if "p1" not in values:
        return http.oauth_error(400, "invalid_request", "p1 is required")
    _merge(
        state,
        settings,
        contact,
        {name: values[name] for name in _PARAMETERS if name in values},
    )
    return http.SimResponse(status=204)


def _merge(
    state: TenantState,
    settings: SimulatorSettings,
    contact: str,
    attributes: JsonObject,
) -> JsonObject:
    """Merge attributes, and what the tenant's script then chooses."""
    context = {**state.contexts.get(contact, {}), **attributes}
    return state.merge(
        contact, attributes | run_script(state, settings, contact, context)
    )


def _exists(conversation: str) -> bool:
    # Any well-formed id exists, unless it begins with `unknown-`.
    return bool(_CONVERSATION.fullmatch(conversation)) and not conversation.startswith(
        "unknown-"
    )


def _field_problems(
    body: http.Json, defined: Collection[str]
) -> Iterator[http.ApiProblem]:
    if not isinstance(body, list):
        yield http.ApiProblem("must be a list of custom fields", "invalid.type")
        return
    for index, item in enumerate(body):
        ident, value = (
            (item.get("ident"), item.get("value"))
            if isinstance(item, dict)
            else (None, None)
        )
        if not isinstance(ident, str):
            yield http.ApiProblem("must be text", "invalid.type", f"[{index}].ident")
        elif ident not in defined:
            yield http.ApiProblem(
                f"Custom field {ident} is not defined",
                "not.defined",
                f"[{index}].ident",
            )
        elif not isinstance(value, str):
            yield http.ApiProblem("must be text", "invalid.type", f"[{index}].value")


def _digital_error(
    settings: SimulatorSettings,
    status: int,
    problems: list[http.ApiProblem],
) -> http.SimResponse:
    """Return an error in Digital's form, with an id for the vendor's support."""
    errors = [
        {"field": field or None, "message": message, "errorCode": code}
        for message, code, field in problems
    ]
    return http.json_response(status, {"errors": errors, "uid": settings.new_id()})
