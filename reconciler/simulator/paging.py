"""Lists in pages (api-contract "Pages"), lists that lack new rules for a while, and the platform's queues.

The platform, as far as known, lists ACD skills, whose ids are numbers, and Digital's queues.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from reconciler.simulator import messages as http
from reconciler.simulator.profile import ServedList
from reconciler.simulator.settings import SimulatorSettings
from reconciler.simulator.state import JsonObject, TenantState

_DIGITAL: Final = ServedList(
    path="", member="data", style="scroll-token", position="scrollToken", size="size", total="hits", next="scrollToken"
)
_SKILLS: Final = ServedList(
    path="", member="skills", style="skip-top", position="skip", size="top", total="totalRecords", next="_links.next"
)
_DEFAULT_PAGE_SIZE: Final = 50  # routing queues of a page if the request does not set a size


class ListLag:
    """Hides new rules from lists for a number of seconds, or of reads."""

    def __init__(self, settings: SimulatorSettings) -> None:
        self._settings = settings
        self._hidden: dict[str, tuple[float, int]] = {}

    def hide(self, rule_id: str) -> None:
        """Start to hide a new rule."""
        settings = self._settings
        if settings.lag_seconds or settings.lag_reads:
            self._hidden[rule_id] = (settings.clock() + settings.lag_seconds, settings.lag_reads)

    def visible(self, rules: Sequence[JsonObject]) -> Sequence[JsonObject]:
        """Return the rules that one read shows; counts as a read."""
        if not self._hidden:
            return rules
        now = self._settings.clock()
        hidden = {rule_id: (end, reads) for rule_id, (end, reads) in self._hidden.items() if end > now or reads > 0}
        self._hidden = {rule_id: (end, reads - 1) for rule_id, (end, reads) in hidden.items()}
        return [rule for rule in rules if rule["id"] not in hidden]


def queues_page(state: TenantState, settings: SimulatorSettings, request: http.SimRequest) -> http.SimResponse:
    """Return a page of queues."""
    return list_page(request, state.queues, settings.page_cap)


def page_window(request: http.SimRequest, cap: int) -> tuple[int, int]:
    """Return a page's offset and its maximum size. Raises ApiProblemError."""
    if request.window is not None:
        return request.window
    size = min(request.positive_number("pageSize") or cap, cap)
    return ((request.positive_number("pageNumber") or 1) - 1) * size, size


def list_page(request: http.SimRequest, items: Sequence[JsonObject], cap: int) -> http.SimResponse:
    """Return a page of rules or queues. Raises ApiProblemError."""
    offset, size = page_window(request, cap)
    total, number = len(items), offset // size + 1
    next_uri = f"/{request.route}?pageNumber={number + 1}&pageSize={size}" if offset + size < total else None
    page = {"entities": items[offset : offset + size], "pageNumber": number, "pageSize": size, "total": total}
    return http.json_response(200, {**page, "pageCount": -(-total // size), "nextUri": next_uri})


def skills_page(state: TenantState, settings: SimulatorSettings, request: http.SimRequest) -> http.SimResponse:
    """Return a page of skills: skip and top, a count, a link; 204 if there are none."""
    skills = [
        {"skillId": int(queue["id"]), "skillName": queue["name"], "isActive": queue.get("isActive", True)}
        for queue in state.queues
        if str(queue["id"]).isdigit()
    ]
    return _list_response(request, replace(_SKILLS, path=request.path), skills, settings.page_cap)


def routing_queues_page(state: TenantState, settings: SimulatorSettings, request: http.SimRequest) -> http.SimResponse:
    """Return a page of Digital's queues: a token leads to the next page."""
    entries = [{"id": queue["id"], "name": queue["name"]} for queue in state.queues if not str(queue["id"]).isdigit()]
    cap = settings.page_cap if "size=" in request.query else min(settings.page_cap, _DEFAULT_PAGE_SIZE)
    return _list_response(request, _DIGITAL, entries, cap)


def _list_response(
    request: http.SimRequest, served: ServedList, entries: list[dict[str, Any]], cap: int
) -> http.SimResponse:
    try:
        offset, size = served.window(request.query, cap)
    except ValueError:
        return http.error_response(400, http.ApiProblem("not a number", "invalid.query"))
    if not entries:
        return http.SimResponse(status=204)
    page = {"total": len(entries), "nextUri": "?pageNumber=0" if offset + size < len(entries) else None}
    return http.json_response(200, served.encode_page(page, (offset, size), entries[offset : offset + size]))
