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

from reconciler.simulator.faults.spec import Call, kind_of
from reconciler.simulator.messages import (
    RULES_PATH,
    Answer,
    Manner,
    NotJsonError,
    Problem,
    encoded,
    json_answer,
    refusal,
)
from reconciler.simulator.paging import rules_page, window

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


ELSEWHERE: Final = "https://elsewhere.example.com"
_HTML: Final = b"<!DOCTYPE html><html><head><title>Sign in</title></head><body><h1>Sign in</h1></body></html>"
_NAN: Final = b'{"entities":[{"id":"nan","priority":NaN}],"id":"nan","priority":NaN,"total":NaN,"expires_in":NaN}'
_MEGABYTE: Final = 1 << 20


def status_answer(call: Call, status: int) -> Answer:
    """Return an error of that status; of a 429 the argument is its Retry-After."""
    problem = Problem(f"Injected {status}", "injected")
    if status != 429:  # noqa: PLR2004 - too many requests
        return refusal(status, problem)
    after = formatdate(call.api.settings.clock() + 2, usegmt=True) if call.argument == "date" else call.argument or "1"
    return refusal(429, problem, headers=() if after == "none" else (("retry-after", after),))


def _usual(call: Call) -> int:
    return int(call.number(201 if call.request.method == "POST" and kind_of(call.request) == "rules" else 200))


def _html(call: Call) -> Answer:
    return Answer(status=int(call.number(200)), body=_HTML, headers=(("content-type", "text/html; charset=utf-8"),))


def _redirect(call: Call) -> Answer:
    return Answer(status=int(call.number(302)), body=b"", headers=(("location", ELSEWHERE + call.request.path),))


def _deep(call: Call) -> Answer:
    levels = int(call.number(100_000))
    return json_answer(200, b"[" * levels + b"]" * levels)


def _huge(call: Call) -> Answer:
    return json_answer(200, b" " * (int(call.number(100)) * _MEGABYTE) + b"{}")


def _gzip(call: Call) -> Answer:
    return json_answer(200, _bomb(int(call.number(100))), ("content-encoding", "gzip"))


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


INSTEAD: Final[Mapping[str, Callable[[Call], Answer]]] = {
    "html": _html,
    "empty": lambda call: Answer(status=_usual(call)),
    "shape": lambda call: json_answer(_usual(call), b'{"status":"ok","items":[[]]}'),
    "nan": lambda call: json_answer(_usual(call), _NAN),
    "deep": _deep,
    "gzip": _gzip,
    "huge": _huge,
    "redirect": _redirect,
    "reset": lambda _: Answer(status=0, manner=Manner.RESET),
    "timeout": lambda _: Answer(status=0, manner=Manner.SILENT),
    "refuse": lambda _: Answer(status=0, manner=Manner.REFUSED),
}
"""Answers in the place of the real one."""


def _half(call: Call) -> Answer:
    answer = call.real()
    return replace(answer, body=answer.body[: len(answer.body) // 2])


def _listed(spoil: Callable[[Call, dict[str, Any]], None]) -> Callable[[Call], Answer]:
    """Make a fault of what spoils a page; other answers stay as they are."""

    def kind(call: Call) -> Answer:
        answer = call.real()
        if call.request.method != "GET" or answer.status != 200 or kind_of(call.request) not in ("rules", "queues"):  # noqa: PLR2004 - well
            return answer
        page = json.loads(answer.body)
        if "entities" not in page:  # the platform's own lists
            return answer
        spoil(call, page)
        return replace(answer, body=encoded(page))

    return kind


def _duplicate(_: Call, page: dict[str, Any]) -> None:
    page["entities"] += page["entities"][:1]


def _missing(_: Call, page: dict[str, Any]) -> None:
    del page["entities"][-1:]


def _shift(call: Call, page: dict[str, Any]) -> None:
    offset, size = window(call.request, call.api.settings.page_cap)
    start = offset + int(call.number(1))
    if offset > 0 and kind_of(call.request) == "rules":
        page["entities"] = call.api.state.rules()[start : start + size]


def _empty_list(_: Call, page: dict[str, Any]) -> None:
    page |= {"entities": [], "total": 0, "pageCount": 0, "nextUri": None}


def _cycle(call: Call, page: dict[str, Any]) -> None:
    page["nextUri"] = f"{call.request.path}?pageNumber=1&pageSize={page['pageSize']}"


def _other_host(call: Call, page: dict[str, Any]) -> None:
    page["nextUri"] = f"{ELSEWHERE}{call.request.path}?pageNumber={page['pageNumber'] + 1}"


def _no_id(call: Call) -> Answer:
    return _told(call, lambda rule: rule.pop("id", None))


def _other(call: Call) -> Answer:
    return _told(call, lambda rule: rule.update(priority=rule["priority"] + 1) if "priority" in rule else None)


def _told(call: Call, spoil: Callable[[dict[str, Any]], object]) -> Answer:
    """Spoil what the answer tells of a rule, or of each rule of a page."""
    answer = call.real()
    if answer.status not in (200, 201):
        return answer
    found = json.loads(answer.body)
    for rule in found.get("entities", [found]):
        spoil(rule)
    return replace(answer, body=encoded(found))


def _cut(call: Call) -> Answer:
    return replace(call.real(), manner=Manner.CUT)


def _drip(call: Call) -> Answer:
    return replace(call.real(), manner=Manner.DRIPPING, pause=call.number(1.0))


def _stale(call: Call) -> Answer:
    now = call.real()
    before = call.past(int(call.number(1)))
    if call.request.method != "GET" or now.status not in (200, 404):
        return now
    if kind_of(call.request) == "rules":
        return rules_page(call.request, before, call.api.settings.page_cap)
    if kind_of(call.request) == "rule":
        found = [stored for stored in before if stored.rule["id"] == call.request.segments[-1]]
        return json_answer(200, found[0].text) if found else refusal(404)
    return now


SPOILT: Final[Mapping[str, Callable[[Call], Answer]]] = {
    "cut": _cut,
    "half": _half,
    "drip": _drip,
    "no-id": _no_id,
    "other": _other,
    "duplicate": _listed(_duplicate),
    "missing": _listed(_missing),
    "shift": _listed(_shift),
    "empty-list": _listed(_empty_list),
    "cycle": _listed(_cycle),
    "other-host": _listed(_other_host),
    "stale": _stale,
}


def _revoke(call: Call) -> Answer:
    call.api.tokens.revoke()
    return call.real()


def _meddled(meddle: Callable[[Call, dict[str, Any]], object]) -> Callable[[Call], Answer]:
    """Make a fault of what somebody does to a rule just before the request: to its own, else to one by lot."""

    def kind(call: Call) -> Answer:
        stored = call.api.state.stored
        own = stored.get(call.request.segments[-1])
        if own is not None or stored:
            meddle(call, (own or call.random.choice(list(stored.values()))).rule)
        return call.real()

    return kind


def _edit(call: Call, rule: dict[str, Any]) -> None:
    call.api.state.edit(rule["id"], call.api.settings.clock(), priority=rule.get("priority", 0) + 1)


def _remove(call: Call, rule: dict[str, Any]) -> None:
    call.api.state.remove(rule["id"])


def _clone(call: Call, rule: dict[str, Any]) -> None:
    identity = call.api.settings.new_id()
    own = {"id": identity, "name": f"{rule['name']} (copy)", "version": 1, "selfUri": f"{RULES_PATH}/{identity}"}
    call.api.state.put({**rule, **own})


NORMALISED: Final[Mapping[str, Callable[[Any], Any]]] = {
    "description": lambda text: " ".join(str(text).split()),
    "name": lambda text: str(text).lower(),
    "priority": lambda _: 1,
    "enabled": lambda enabled: not enabled,
}
"""What a server that alters a field makes of it."""


def _altered(call: Call) -> Answer:
    field = call.argument or "description"
    if call.request.method not in ("POST", "PUT", "PATCH") or kind_of(call.request) not in ("rules", "rule"):
        return call.real()
    try:
        body = call.request.json()
    except NotJsonError:
        return call.real()
    if not isinstance(body, dict):
        return call.real()
    other = replace(call.request, body=encoded({**body, field: NORMALISED[field](body.get(field))}))
    answer = call.api.answer(other)
    call.request.changed = other.changed
    return answer


MEANWHILE: Final[Mapping[str, Callable[[Call], Answer]]] = {
    "revoke": _revoke,
    "edit": _meddled(_edit),
    "remove": _meddled(_remove),
    "clone": _meddled(_clone),
    "altered": _altered,
}
