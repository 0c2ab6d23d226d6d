"""Answers in the place of the real one."""

from __future__ import annotations

import gzip
import zlib
from email.utils import formatdate
from functools import cache
from typing import TYPE_CHECKING, Final

from reconciler.simulator.exchange import Answer, Manner, Problem, json_answer, refusal
from reconciler.simulator.faults.spec import kind_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from reconciler.simulator.faults.call import Call

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
    return Answer(int(call.number(200)), _HTML, (("content-type", "text/html; charset=utf-8"),))


def _redirect(call: Call) -> Answer:
    return Answer(int(call.number(302)), b"", (("location", ELSEWHERE + call.request.path),))


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
    "empty": lambda call: Answer(_usual(call)),
    "shape": lambda call: json_answer(_usual(call), b'{"status":"ok","items":[[]]}'),
    "nan": lambda call: json_answer(_usual(call), _NAN),
    "deep": _deep,
    "gzip": _gzip,
    "huge": _huge,
    "redirect": _redirect,
    "reset": lambda _: Answer(0, manner=Manner.RESET),
    "timeout": lambda _: Answer(0, manner=Manner.SILENT),
    "refuse": lambda _: Answer(0, manner=Manner.REFUSED),
}
"""Answers in the place of the real one."""
