"""Queues as the platform itself lists them, as far as public documents tell: ACD skills, and Digital's routing queues.

A queue whose id is a number is a skill; any other is one of Digital.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from reconciler.simulator.messages import Answer, Problem, Request, json_answer, refusal
from reconciler.simulator.profile import Shelf

if TYPE_CHECKING:
    from collections.abc import Sequence


_DIGITAL: Final = Shelf(
    path="/dfo/3.0/routing-queues",
    member="data",
    style="scroll-token",
    position="scrollToken",
    size="size",
    total="hits",
    next="scrollToken",
)
_USUAL: Final = 50
"""Routing queues of a page where nobody says how many."""


def skills_page(request: Request, queues: Sequence[dict[str, Any]], cap: int) -> Answer:
    """Answer with skills: skip and top, a count, a link; 204 where there are none."""
    shelf = Shelf(
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
    return _answer(request, shelf, skills, cap)


def routing_queues_page(request: Request, queues: Sequence[dict[str, Any]], cap: int) -> Answer:
    """Answer with Digital's queues: a token leads from page to page."""
    found = [{"id": one["id"], "name": one["name"]} for one in queues if not str(one["id"]).isdigit()]
    return _answer(request, _DIGITAL, found, cap if "size=" in request.query else min(cap, _USUAL))


def _answer(request: Request, shelf: Shelf, entries: list[dict[str, Any]], cap: int) -> Answer:
    try:
        offset, size = shelf.window(request.query, cap)
    except ValueError:
        return refusal(400, Problem("not a number", "invalid.query"))
    if not entries:
        return Answer(status=204)
    shown = entries[offset : offset + size]
    following = "?pageNumber=0" if offset + size < len(entries) else None
    return json_answer(200, shelf.page({"total": len(entries), "nextUri": following}, (offset, size), shown))
