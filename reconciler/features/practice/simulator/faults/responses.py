"""The faults: responses that replace the real one, corrupted real responses, and changes before a
request.
"""

import json
import zlib
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from email.utils import formatdate
from functools import cache
from typing import Any, Final

from reconciler.features.practice.simulator import messages as http
from reconciler.features.practice.simulator.faults.spec import FaultCall, resource_of
from reconciler.features.practice.simulator.paging import list_page, page_window

Respond = Callable[[FaultCall], http.SimResponse]

OTHER_HOST: Final = "https://elsewhere.example.com"
_HTML: Final = b"<!DOCTYPE html><html><head><title>Sign in</title></head><body><h1>Sign in</h1></body></html>"
_HTML_TYPE: Final = ("content-type", "text/html; charset=utf-8")
_NAN: Final = b'{"entities":[{"id":"nan","priority":NaN}],"id":"nan","priority":NaN,"total":NaN,"expires_in":NaN}'
_MEGABYTE: Final = 1 << 20
_GZIP: Final = zlib.MAX_WBITS | 16  # the format that zlib writes


def status_response(call: FaultCall, status: int) -> http.SimResponse:
    """Return an error of that status; the argument of a 429 is its Retry-After."""
    problem = http.ApiProblem(f"Injected {status}", "injected")
    if status != 429:  # noqa: PLR2004 - too many requests
        return http.error_response(status, problem)
    retry_after = call.argument or "1"
    if retry_after == "none":
        return http.error_response(429, problem)
    if retry_after == "date":
        retry_after = formatdate(call.api.settings.clock() + 2, usegmt=True)
    header = ("retry-after", retry_after)
    return http.error_response(429, problem, headers=(header,))


def _default_status(call: FaultCall) -> int:
    request = call.request
    is_create = request.method == "POST" and resource_of(request) == "rules"
    success = 201 if is_create else 200
    return call.count(success)


@cache
def _bomb(megabytes: int) -> bytes:
    # gzip of so many megabytes of spaces and an object, which are never in memory at once.
    packer = zlib.compressobj(wbits=_GZIP)
    parts = [packer.compress(b" " * _MEGABYTE) for _ in range(megabytes)]
    parts.append(packer.compress(b"{}"))
    parts.append(packer.flush())
    return b"".join(parts)


REPLACED_RESPONSES: Final[Mapping[str, Respond]] = {
    "html": lambda call: http.SimResponse(
        status=call.count(200),
        body=_HTML,
        headers=(_HTML_TYPE,),
    ),
    "empty": lambda call: http.SimResponse(status=_default_status(call)),
    "shape": lambda call: http.json_response(
        _default_status(call), b'{"status":"ok","items":[[]]}'
    ),
    "nan": lambda call: http.json_response(_default_status(call), _NAN),
    "deep": lambda call: http.json_response(
        200, b"[" * call.count(100_000) + b"]" * call.count(100_000)
    ),
    "gzip": lambda call: http.json_response(
        200,
        _bomb(call.count(100)),
        ("content-encoding", "gzip"),
    ),
    "huge": lambda call: http.json_response(
        200, b" " * (call.count(100) * _MEGABYTE) + b"{}"
    ),
    "redirect": lambda call: http.SimResponse(
        status=call.count(302),
        headers=(("location", OTHER_HOST + call.request.path),),
    ),
    "reset": lambda _: http.SimResponse(status=0, delivery=http.DeliveryMode.RESET),
    "timeout": lambda _: http.SimResponse(status=0, delivery=http.DeliveryMode.SILENT),
    "refuse": lambda _: http.SimResponse(status=0, delivery=http.DeliveryMode.REFUSED),
}


def _half(call: FaultCall) -> http.SimResponse:
    response = call.run_request()
    body = response.body
    half = body[: len(body) // 2]
    return replace(response, body=half)


def _corrupt_page(corrupt: Callable[[FaultCall, dict[str, Any]], object]) -> Respond:
    """Return a fault that corrupts a page; other responses stay as they are."""

    def respond(call: FaultCall) -> http.SimResponse:
        response = call.run_request()
        resource = resource_of(call.request)
        is_list = call.request.method == "GET" and resource in ("rules", "queues")
        page = json.loads(response.body) if is_list and response.status == 200 else {}  # noqa: PLR2004 - success
        if "entities" not in page:  # not a list, or one of the platform's own
            return response
        corrupt(call, page)
        return replace(response, body=http.encode_json(page))

    return respond


def _shift(call: FaultCall, page: dict[str, Any]) -> None:
    offset, size = page_window(call.request, call.api.settings.page_cap)
    if offset > 0 and resource_of(call.request) == "rules":
        rules = call.api.state.rules()
        start = offset + call.count(1)
        end = start + size
        page["entities"] = rules[start:end]


def _corrupt_rules(corrupt: Callable[[dict[str, Any]], object]) -> Respond:
    """Return a fault that corrupts a response's rule, or each rule of a page."""

    def respond(call: FaultCall) -> http.SimResponse:
        response = call.run_request()
        if response.status not in (200, 201):
            return response
        form = json.loads(response.body)
        for rule in form.get("entities", [form]):
            corrupt(rule)
        return replace(response, body=http.encode_json(form))

    return respond


def _stale(call: FaultCall) -> http.SimResponse:
    response = call.run_request()
    old_rules = call.rules_before(call.count(1))
    request = call.request
    if request.method != "GET" or response.status not in (200, 404):
        return response

    resource = resource_of(request)
    if resource == "rules":
        return list_page(request, old_rules, call.api.settings.page_cap)
    if resource == "rule":
        for rule in old_rules:
            if rule["id"] == request.segments[-1]:
                # with the ETag of that time: a write that follows is refused
                return call.api.rule_response(200, rule)
        return http.error_response(404)
    return response


def _revoke(call: FaultCall) -> http.SimResponse:
    call.api.tokens.revoke()
    return call.run_request()


def _change_rule_first(
    change: Callable[[FaultCall, dict[str, Any]], object],
) -> Respond:
    """Return a fault that changes the request's rule, or a random one, just before the request."""

    def respond(call: FaultCall) -> http.SimResponse:
        rules = call.api.state.stored_rules
        if rules:
            own = rules.get(call.request.segments[-1])
            change(call, own or call.random.choice(list(rules.values())))
        return call.run_request()

    return respond


def _clone(call: FaultCall, rule: dict[str, Any]) -> None:
    identity = call.api.settings.new_id()
    own = {
        "id": identity,
        "name": f"{rule['name']} (copy)",
        "version": 1,
        "selfUri": f"{http.RULES_PATH}/{identity}",
    }
    call.api.state.put({**rule, **own})


ALTERED_FIELDS: Final[Mapping[str, Callable[[Any], Any]]] = {
    "description": lambda text: " ".join(str(text).split()),
    "name": lambda text: str(text).lower(),
    "priority": lambda _: 1,
    "enabled": lambda enabled: not enabled,
}


def _altered(call: FaultCall) -> http.SimResponse:
    field = call.argument or "description"
    body = None
    resource = resource_of(call.request)
    if call.request.method in ("POST", "PUT") and resource in ("rules", "rule"):
        with suppress(ValueError):
            body = call.request.json()
    if not isinstance(body, dict):
        return call.run_request()

    altered_value = ALTERED_FIELDS[field](body.get(field))
    altered_body = http.encode_json({**body, field: altered_value})
    request = replace(call.request, body=altered_body)
    response = call.api.handle(request)
    call.request.changed_state = request.changed_state
    return response


REAL_RESPONSES: Final[Mapping[str, Respond]] = {
    # Corrupted:
    "cut": lambda call: replace(call.run_request(), delivery=http.DeliveryMode.CUT),
    "half": _half,
    "drip": lambda call: replace(
        call.run_request(),
        delivery=http.DeliveryMode.DRIPPING,
        byte_pause=call.number(1.0),
    ),
    "no-id": _corrupt_rules(lambda rule: rule.pop("id", None)),
    "other": _corrupt_rules(
        lambda rule: (
            rule.update(priority=rule["priority"] + 1) if "priority" in rule else None
        )
    ),
    "duplicate": _corrupt_page(
        lambda _, page: page["entities"].extend(page["entities"][:1])
    ),
    "missing": _corrupt_page(
        lambda _, page: page.update(entities=page["entities"][:-1])
    ),
    "shift": _corrupt_page(_shift),
    "empty-list": _corrupt_page(
        lambda _, page: page.update(entities=[], total=0, pageCount=0, nextUri=None)
    ),
    "cycle": _corrupt_page(
        lambda call, page: page.update(
            nextUri=f"{call.request.path}?pageNumber=1&pageSize={page['pageSize']}"
        )
    ),
    "other-host": _corrupt_page(
        lambda call, page: page.update(
            nextUri=f"{OTHER_HOST}{call.request.path}?pageNumber={page['pageNumber'] + 1}"
        )
    ),
    "stale": _stale,
    # After a change of the state:
    "revoke": _revoke,
    "edit": _change_rule_first(
        lambda call, rule: call.api.state.edit(
            rule["id"],
            call.api.settings.clock(),
            priority=rule.get("priority", 0) + 1,
        )
    ),
    "remove": _change_rule_first(lambda call, rule: call.api.state.remove(rule["id"])),
    "clone": _change_rule_first(_clone),
    "altered": _altered,
}
