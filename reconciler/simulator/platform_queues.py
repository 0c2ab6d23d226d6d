"""Queues as the platform itself lists them, as far as public documents tell: ACD skills, and Digital's routing queues.

A queue whose id is a number is a skill; any other is one of Digital.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from reconciler.simulator.messages import ApiProblem, SimulatorRequest, SimulatorResponse, error_response, json_response
from reconciler.simulator.profile import ServedList

if TYPE_CHECKING:
    from collections.abc import Sequence

_DIGITAL: Final = ServedList(
    path="/dfo/3.0/routing-queues",
    member="data",
    style="scroll-token",
    position="scrollToken",
    size="size",
    total="hits",
    next="scrollToken",
)
_DEFAULT_PAGE_SIZE: Final = 50  # routing queues of a page where nobody says how many


def skills_page(request: SimulatorRequest, queues: Sequence[dict[str, Any]], cap: int) -> SimulatorResponse:
    """Answer with skills: skip and top, a count, a link; 204 where there are none."""
    shelf = ServedList(
        path=request.path,
        member="skills",
        style="skip-top",
        position="skip",
        size="top",
        total="totalRecords",
        next="_links.next",
    )
    skills = [
        {"skillId": int(one["id"]), "skillName": one["name"], "isActive": one.get("isActive", True)}
        for one in queues
        if str(one["id"]).isdigit()
    ]
    return _list_response(request, shelf, skills, cap)


def routing_queues_page(request: SimulatorRequest, queues: Sequence[dict[str, Any]], cap: int) -> SimulatorResponse:
    """Answer with Digital's queues: a token leads from page to page."""
    found = [{"id": one["id"], "name": one["name"]} for one in queues if not str(one["id"]).isdigit()]
    return _list_response(request, _DIGITAL, found, cap if "size=" in request.query else min(cap, _DEFAULT_PAGE_SIZE))


def _list_response(
    request: SimulatorRequest, shelf: ServedList, entries: list[dict[str, Any]], cap: int
) -> SimulatorResponse:
    try:
        offset, size = shelf.window(request.query, cap)
    except ValueError:
        return error_response(400, ApiProblem("not a number", "invalid.query"))
    if not entries:
        return SimulatorResponse(status=204)
    shown = entries[offset : offset + size]
    following = "?pageNumber=0" if offset + size < len(entries) else None
    return json_response(200, shelf.encode_page({"total": len(entries), "nextUri": following}, (offset, size), shown))
