"""Lists in pages (api-contract "Pages"), and new rules that lists do not show yet."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reconciler.simulator.messages import (
    QUEUES_PATH,
    RULES_PATH,
    ApiProblem,
    SimulatorRequest,
    SimulatorResponse,
    encode_json,
    error_response,
    json_response,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reconciler.simulator.settings import SimulatorSettings
    from reconciler.simulator.state import StoredRule


class ListLag:
    """Hides new rules from lists for some seconds, or for some reads."""

    def __init__(self, settings: SimulatorSettings) -> None:
        self._settings = settings
        self._hidden: dict[str, tuple[float, int]] = {}

    def hide(self, rule_id: str) -> None:
        """Start to hide a new rule."""
        if self._settings.lag_seconds or self._settings.lag_reads:
            self._hidden[rule_id] = (self._settings.clock() + self._settings.lag_seconds, self._settings.lag_reads)

    def visible(self, stored_rules: Sequence[StoredRule]) -> Sequence[StoredRule]:
        """Return the rules that one read shows; counts as a read."""
        if not self._hidden:
            return stored_rules
        now = self._settings.clock()
        hidden = {one: (until, reads) for one, (until, reads) in self._hidden.items() if until > now or reads > 0}
        self._hidden = {one: (until, reads - 1) for one, (until, reads) in hidden.items()}
        return [one for one in stored_rules if one.rule["id"] not in hidden]


def rules_page(request: SimulatorRequest, stored_rules: Sequence[StoredRule], cap: int) -> SimulatorResponse:
    """Answer with one page of rules, their JSON as it was encoded once."""
    try:
        offset, size = page_window(request, cap)
    except ValueError as error:
        return _bad_query(error)
    entities = b",".join([one.text for one in stored_rules[offset : offset + size]])
    return _page(entities, offset, size, len(stored_rules), RULES_PATH)


def queues_page(request: SimulatorRequest, queues: Sequence[dict[str, Any]], cap: int) -> SimulatorResponse:
    """Answer with one page of queues."""
    try:
        offset, size = page_window(request, cap)
    except ValueError as error:
        return _bad_query(error)
    entities = b",".join(map(encode_json, queues[offset : offset + size]))
    return _page(entities, offset, size, len(queues), QUEUES_PATH)


def page_window(request: SimulatorRequest, cap: int) -> tuple[int, int]:
    """Return how many entries a page leaves out in front, and how many it may hold. Raises ValueError."""
    if request.window is not None:
        return request.window
    size = min(request.positive_number("pageSize") or cap, cap)
    return ((request.positive_number("pageNumber") or 1) - 1) * size, size


def _bad_query(error: ValueError) -> SimulatorResponse:
    name = str(error)
    return error_response(400, ApiProblem(f"{name} must be a whole number of 1 or more", "invalid.query", name))


def _page(entities: bytes, offset: int, size: int, total: int, path: str) -> SimulatorResponse:
    number, count = offset // size + 1, -(-total // size)
    following = f'"{path}?pageNumber={number + 1}&pageSize={size}"' if offset + size < total else "null"
    rest = f'],"pageNumber":{number},"pageSize":{size},"total":{total},"pageCount":{count},"nextUri":{following}}}'
    return json_response(200, b'{"entities":[' + entities + rest.encode())
