"""Something happens meanwhile, and then the request is answered.

Answers in the place of the real one.

The real answer, spoilt on its way.
"""

from __future__ import annotations

import gzip
import json
import zlib
from dataclasses import replace
from email.utils import formatdate
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from reconciler.simulator.faults.spec import FaultCall, resource_of
from reconciler.simulator.messages import (
    RULES_PATH,
    ApiProblem,
    DeliveryMode,
    NotJsonError,
    SimulatorResponse,
    encode_json,
    error_response,
    json_response,
)
from reconciler.simulator.paging import page_window, rules_page

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

OTHER_HOST: Final = "https://elsewhere.example.com"
_HTML: Final = b"<!DOCTYPE html><html><head><title>Sign in</title></head><body><h1>Sign in</h1></body></html>"
_NAN: Final = b'{"entities":[{"id":"nan","priority":NaN}],"id":"nan","priority":NaN,"total":NaN,"expires_in":NaN}'
_MEGABYTE: Final = 1 << 20


def status_response(call: FaultCall, status: int) -> SimulatorResponse:
    """Return an error of that status; of a 429 the argument is its Retry-After."""
    problem = ApiProblem(f"Injected {status}", "injected")
    if status != 429:  # noqa: PLR2004 - too many requests
        return error_response(status, problem)
    after = formatdate(call.api.settings.clock() + 2, usegmt=True) if call.argument == "date" else call.argument or "1"
    return error_response(429, problem, headers=() if after == "none" else (("retry-after", after),))


def _default_status(call: FaultCall) -> int:
    return int(call.number(201 if call.request.method == "POST" and resource_of(call.request) == "rules" else 200))


def _html(call: FaultCall) -> SimulatorResponse:
    return SimulatorResponse(
        status=int(call.number(200)), body=_HTML, headers=(("content-type", "text/html; charset=utf-8"),)
    )


def _redirect(call: FaultCall) -> SimulatorResponse:
    return SimulatorResponse(
        status=int(call.number(302)), body=b"", headers=(("location", OTHER_HOST + call.request.path),)
    )


def _deep(call: FaultCall) -> SimulatorResponse:
    levels = int(call.number(100_000))
    return json_response(200, b"[" * levels + b"]" * levels)


def _huge(call: FaultCall) -> SimulatorResponse:
    return json_response(200, b" " * (int(call.number(100)) * _MEGABYTE) + b"{}")


def _gzip(call: FaultCall) -> SimulatorResponse:
    return json_response(200, _bomb(int(call.number(100))), ("content-encoding", "gzip"))


@cache
def _bomb(megabytes: int) -> bytes:
    """Return gzip of so many megabytes of spaces and an object; one block is packed once and repeated."""
    block, end = b" " * _MEGABYTE, b"{}"
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    first = packer.compress(block) + packer.flush(zlib.Z_FULL_FLUSH)
    last = packer.compress(end) + packer.flush()
    checksum = 0
    for _ in range(megabytes):
        checksum = zlib.crc32(block, checksum)
    checksum, size = zlib.crc32(end, checksum), (megabytes * _MEGABYTE + len(end)) & 0xFFFFFFFF
    head = gzip.compress(b"", mtime=0)[:10]
    return head + first * megabytes + last + checksum.to_bytes(4, "little") + size.to_bytes(4, "little")


REPLACED_RESPONSES: Final[Mapping[str, Callable[[FaultCall], SimulatorResponse]]] = {
    "html": _html,
    "empty": lambda call: SimulatorResponse(status=_default_status(call)),
    "shape": lambda call: json_response(_default_status(call), b'{"status":"ok","items":[[]]}'),
    "nan": lambda call: json_response(_default_status(call), _NAN),
    "deep": _deep,
    "gzip": _gzip,
    "huge": _huge,
    "redirect": _redirect,
    "reset": lambda _: SimulatorResponse(status=0, delivery=DeliveryMode.RESET),
    "timeout": lambda _: SimulatorResponse(status=0, delivery=DeliveryMode.SILENT),
    "refuse": lambda _: SimulatorResponse(status=0, delivery=DeliveryMode.REFUSED),
}
"""Answers in the place of the real one."""


def _half(call: FaultCall) -> SimulatorResponse:
    answer = call.run_request()
    return replace(answer, body=answer.body[: len(answer.body) // 2])


def _corrupt_page(spoil: Callable[[FaultCall, dict[str, Any]], None]) -> Callable[[FaultCall], SimulatorResponse]:
    """Make a fault of what spoils a page; other answers stay as they are."""

    def kind(call: FaultCall) -> SimulatorResponse:
        answer = call.run_request()
        if call.request.method != "GET" or answer.status != 200 or resource_of(call.request) not in ("rules", "queues"):  # noqa: PLR2004 - well
            return answer
        page = json.loads(answer.body)
        if "entities" not in page:  # the platform's own lists
            return answer
        spoil(call, page)
        return replace(answer, body=encode_json(page))

    return kind


def _duplicate(_: FaultCall, page: dict[str, Any]) -> None:
    page["entities"] += page["entities"][:1]


def _missing(_: FaultCall, page: dict[str, Any]) -> None:
    del page["entities"][-1:]


def _shift(call: FaultCall, page: dict[str, Any]) -> None:
    offset, size = page_window(call.request, call.api.settings.page_cap)
    start = offset + int(call.number(1))
    if offset > 0 and resource_of(call.request) == "rules":
        page["entities"] = call.api.state.rules()[start : start + size]


def _empty_list(_: FaultCall, page: dict[str, Any]) -> None:
    page |= {"entities": [], "total": 0, "pageCount": 0, "nextUri": None}


def _cycle(call: FaultCall, page: dict[str, Any]) -> None:
    page["nextUri"] = f"{call.request.path}?pageNumber=1&pageSize={page['pageSize']}"


def _other_host(call: FaultCall, page: dict[str, Any]) -> None:
    page["nextUri"] = f"{OTHER_HOST}{call.request.path}?pageNumber={page['pageNumber'] + 1}"


def _no_id(call: FaultCall) -> SimulatorResponse:
    return _corrupt_rules(call, lambda rule: rule.pop("id", None))


def _other_priority(call: FaultCall) -> SimulatorResponse:
    return _corrupt_rules(call, lambda rule: rule.update(priority=rule["priority"] + 1) if "priority" in rule else None)


def _corrupt_rules(call: FaultCall, spoil: Callable[[dict[str, Any]], object]) -> SimulatorResponse:
    """Spoil what the answer tells of a rule, or of each rule of a page."""
    answer = call.run_request()
    if answer.status not in (200, 201):
        return answer
    found = json.loads(answer.body)
    for rule in found.get("entities", [found]):
        spoil(rule)
    return replace(answer, body=encode_json(found))


def _cut(call: FaultCall) -> SimulatorResponse:
    return replace(call.run_request(), delivery=DeliveryMode.CUT)


def _drip(call: FaultCall) -> SimulatorResponse:
    return replace(call.run_request(), delivery=DeliveryMode.DRIPPING, byte_pause=call.number(1.0))


def _stale(call: FaultCall) -> SimulatorResponse:
    now = call.run_request()
    before = call.rules_before(int(call.number(1)))
    if call.request.method != "GET" or now.status not in (200, 404):
        return now
    if resource_of(call.request) == "rules":
        return rules_page(call.request, before, call.api.settings.page_cap)
    if resource_of(call.request) == "rule":
        found = [stored for stored in before if stored.rule["id"] == call.request.segments[-1]]
        return json_response(200, found[0].text) if found else error_response(404)
    return now


CORRUPTED_RESPONSES: Final[Mapping[str, Callable[[FaultCall], SimulatorResponse]]] = {
    "cut": _cut,
    "half": _half,
    "drip": _drip,
    "no-id": _no_id,
    "other": _other_priority,
    "duplicate": _corrupt_page(_duplicate),
    "missing": _corrupt_page(_missing),
    "shift": _corrupt_page(_shift),
    "empty-list": _corrupt_page(_empty_list),
    "cycle": _corrupt_page(_cycle),
    "other-host": _corrupt_page(_other_host),
    "stale": _stale,
}


def _revoke(call: FaultCall) -> SimulatorResponse:
    call.api.tokens.revoke()
    return call.run_request()


def _change_rule_first(
    meddle: Callable[[FaultCall, dict[str, Any]], object],
) -> Callable[[FaultCall], SimulatorResponse]:
    """Make a fault of what somebody does to a rule just before the request: to its own, else to one by lot."""

    def kind(call: FaultCall) -> SimulatorResponse:
        stored = call.api.state.stored_rules
        own = stored.get(call.request.segments[-1])
        if own is not None or stored:
            meddle(call, (own or call.random.choice(list(stored.values()))).rule)
        return call.run_request()

    return kind


def _edit(call: FaultCall, rule: dict[str, Any]) -> None:
    call.api.state.edit(rule["id"], call.api.settings.clock(), priority=rule.get("priority", 0) + 1)


def _remove(call: FaultCall, rule: dict[str, Any]) -> None:
    call.api.state.remove(rule["id"])


def _clone(call: FaultCall, rule: dict[str, Any]) -> None:
    identity = call.api.settings.new_id()
    own = {"id": identity, "name": f"{rule['name']} (copy)", "version": 1, "selfUri": f"{RULES_PATH}/{identity}"}
    call.api.state.put({**rule, **own})


ALTERED_FIELDS: Final[Mapping[str, Callable[[Any], Any]]] = {
    "description": lambda text: " ".join(str(text).split()),
    "name": lambda text: str(text).lower(),
    "priority": lambda _: 1,
    "enabled": lambda enabled: not enabled,
}
"""What a server that alters a field makes of it."""


def _altered(call: FaultCall) -> SimulatorResponse:
    field = call.argument or "description"
    if call.request.method not in ("POST", "PUT", "PATCH") or resource_of(call.request) not in ("rules", "rule"):
        return call.run_request()
    try:
        body = call.request.json()
    except NotJsonError:
        return call.run_request()
    if not isinstance(body, dict):
        return call.run_request()
    other = replace(call.request, body=encode_json({**body, field: ALTERED_FIELDS[field](body.get(field))}))
    answer = call.api.handle(other)
    call.request.changed_state = other.changed_state
    return answer


STATE_CHANGES: Final[Mapping[str, Callable[[FaultCall], SimulatorResponse]]] = {
    "revoke": _revoke,
    "edit": _change_rule_first(_edit),
    "remove": _change_rule_first(_remove),
    "clone": _change_rule_first(_clone),
    "altered": _altered,
}
