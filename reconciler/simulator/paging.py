"""Lists in pages (api-contract "Pages"), and new rules that lists do not show yet."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reconciler.simulator.messages import (
    QUEUES_PATH,
    RULES_PATH,
    Answer,
    Problem,
    Request,
    encoded,
    json_answer,
    refusal,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reconciler.simulator.settings import Settings
    from reconciler.simulator.state import Stored


class Lag:
    """Hides new rules from lists for some seconds, or for some reads."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._hidden: dict[str, tuple[float, int]] = {}

    def hide(self, rule_id: str) -> None:
        """Start to hide a new rule."""
        if self._settings.lag_seconds or self._settings.lag_reads:
            self._hidden[rule_id] = (
                self._settings.clock() + self._settings.lag_seconds,
                self._settings.lag_reads,
            )

    def visible(self, stored: Sequence[Stored]) -> Sequence[Stored]:
        """Return the rules that one read shows; counts as a read."""
        if not self._hidden:
            return stored
        now = self._settings.clock()
        hidden = {one: (until, reads) for one, (until, reads) in self._hidden.items() if until > now or reads > 0}
        self._hidden = {one: (until, reads - 1) for one, (until, reads) in hidden.items()}
        return [one for one in stored if one.rule["id"] not in hidden]


def rules_page(request: Request, stored: Sequence[Stored], cap: int) -> Answer:
    """Answer with one page of rules, their JSON as it was encoded once."""
    try:
        offset, size = window(request, cap)
    except ValueError as error:
        return _bad_query(error)
    entities = b",".join([one.text for one in stored[offset : offset + size]])
    return _page(entities, offset, size, len(stored), RULES_PATH)


def queues_page(request: Request, queues: Sequence[dict[str, Any]], cap: int) -> Answer:
    """Answer with one page of queues."""
    try:
        offset, size = window(request, cap)
    except ValueError as error:
        return _bad_query(error)
    entities = b",".join(map(encoded, queues[offset : offset + size]))
    return _page(entities, offset, size, len(queues), QUEUES_PATH)


def window(request: Request, cap: int) -> tuple[int, int]:
    """Return how many entries a page leaves out in front, and how many it may hold. Raises ValueError."""
    if request.window is not None:
        return request.window
    size = min(request.number("pageSize") or cap, cap)
    return ((request.number("pageNumber") or 1) - 1) * size, size


def _bad_query(error: ValueError) -> Answer:
    name = str(error)
    return refusal(400, Problem(f"{name} must be a whole number of 1 or more", "invalid.query", name))


def _page(entities: bytes, offset: int, size: int, total: int, path: str) -> Answer:
    number, count = offset // size + 1, -(-total // size)
    following = f'"{path}?pageNumber={number + 1}&pageSize={size}"' if offset + size < total else "null"
    rest = f'],"pageNumber":{number},"pageSize":{size},"total":{total},"pageCount":{count},"nextUri":{following}}}'
    return json_answer(200, b'{"entities":[' + entities + rest.encode())
