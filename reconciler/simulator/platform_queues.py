"""Queues as the platform itself lists them, as far as known: ACD skills (ids are numbers), and queues of Digital."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from reconciler.simulator.messages import ApiProblem, SimulatorRequest, SimulatorResponse, error_response, json_response
from reconciler.simulator.profile import ServedList

_DIGITAL: Final = ServedList(
    path="/dfo/3.0/routing-queues",
    member="data",
    style="scroll-token",
    position="scrollToken",
    size="size",
    total="hits",
    next="scrollToken",
)
_SKILLS: Final = ServedList(
    path="", member="skills", style="skip-top", position="skip", size="top", total="totalRecords", next="_links.next"
)
_DEFAULT_PAGE_SIZE: Final = 50  # routing queues of a page if the request does not set a size


def skills_page(request: SimulatorRequest, queues: Sequence[dict[str, Any]], cap: int) -> SimulatorResponse:
    """Return a page of skills: skip and top, a count, a link; 204 where there are none."""
    skills = [
        {"skillId": int(queue["id"]), "skillName": queue["name"], "isActive": queue.get("isActive", True)}
        for queue in queues
        if str(queue["id"]).isdigit()
    ]
    return _list_response(request, replace(_SKILLS, path=request.path), skills, cap)


def routing_queues_page(request: SimulatorRequest, queues: Sequence[dict[str, Any]], cap: int) -> SimulatorResponse:
    """Return a page of Digital's queues: a token leads from page to page."""
    entries = [{"id": queue["id"], "name": queue["name"]} for queue in queues if not str(queue["id"]).isdigit()]
    return _list_response(request, _DIGITAL, entries, cap if "size=" in request.query else min(cap, _DEFAULT_PAGE_SIZE))


def _list_response(
    request: SimulatorRequest, served: ServedList, entries: list[dict[str, Any]], cap: int
) -> SimulatorResponse:
    try:
        offset, size = served.window(request.query, cap)
    except ValueError:
        return error_response(400, ApiProblem("not a number", "invalid.query"))
    if not entries:
        return SimulatorResponse(status=204)
    next_uri = "?pageNumber=0" if offset + size < len(entries) else None
    page = {"total": len(entries), "nextUri": next_uri}
    return json_response(200, served.encode_page(page, (offset, size), entries[offset : offset + size]))
