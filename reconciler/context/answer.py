"""An answer as the endpoint gives it: always JSON of its own words, never an upstream's or an exception's."""

from __future__ import annotations

import json
from typing import Any, Final, NamedTuple

from pydantic_core import PydanticSerializationError, to_json

_KEPT: Final = 4096
"""Bytes of an answer that is kept for who asks again."""
_WRITTEN: Final = "context updated for conversation "


class Answer(NamedTuple):
    """What is sent back; `outcome` is its name in log and metrics. `last`: the connection is closed after it."""

    status: int
    outcome: str
    body: bytes
    media: bytes = b"application/json"
    headers: tuple[tuple[bytes, bytes], ...] = ()
    last: bool = False

    @property
    def is_passing(self) -> bool:
        """Say whether the same request may end otherwise when it comes again."""
        return self.status in (408, 429) or self.status >= 500  # noqa: PLR2004 - classes of statuses


def success(outcome: str, message: str, data: Any, **more: Any) -> Answer:  # noqa: ANN401 - any JSON
    """Return a 200 in the form of docs/context.md#post-to-it."""
    return Answer(200, outcome, encoded({"success": True, "message": message, "data": data, **more}))


def written(conversation: str, data: Any, **more: Any) -> Answer:  # noqa: ANN401 - any JSON
    """Return the answer to a write that went well."""
    return success("written", f"{_WRITTEN}{conversation}", data, **more)


def beginning(conversation: str) -> bytes:
    """Return how the body of a `written` answer begins, whatever the tenant said."""
    return b'%b%b"' % (_BEGINNING, conversation.encode())


def brief(answer: Answer) -> Answer:
    """Return what is kept of an answer for who asks again: without the upstream's JSON where that is long.

    A hundred thousand are kept, and an upstream may say megabytes.
    """
    if len(answer.body) <= _KEPT:
        return answer
    return success(answer.outcome, "answered before; what the tenant said then was too long to be kept", None)


def refusal(status: int, outcome: str, error: str, *headers: tuple[bytes, bytes]) -> Answer:
    """Return an error in the form of docs/context.md#post-to-it."""
    return Answer(status, outcome, encoded({"success": False, "error": error}), headers=headers)


def later(status: int, outcome: str, error: str, seconds: float = 1) -> Answer:
    """Return an error that says when to come again."""
    wait = min(max(int(seconds + 0.999), 1), 120)
    return refusal(status, outcome, error, (b"retry-after", str(wait).encode()))


def encoded(value: Any) -> bytes:  # noqa: ANN401 - any JSON
    """Return compact JSON; a half character that an upstream sent is written as the escape that it was."""
    try:
        return to_json(value)
    except PydanticSerializationError:
        return json.dumps(value, allow_nan=False).encode()


_BEGINNING: Final = encoded({"success": True, "message": _WRITTEN}).removesuffix(b'"}')
