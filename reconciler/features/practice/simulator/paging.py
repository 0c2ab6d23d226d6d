"""Lists in pages (api-contract "Pages"), and lists that lack new rules for a while.

The platform, as far as known, lists ACD skills, whose ids are numbers, and Digital's queues.
"""

from collections.abc import Sequence
from typing import Final

from reconciler.features.practice.simulator import messages as http
from reconciler.features.practice.simulator.settings import SimulatorSettings
from reconciler.features.practice.simulator.state import JsonObject, TenantState

_DIGITAL_PAGE_SIZE: Final = 50  # entries of a page if the request does not set a size


class ListLag:
    """Hides new rules from lists for a number of seconds, or of reads."""

    def __init__(self, settings: SimulatorSettings) -> None:
        self._settings = settings
        self._hidden: dict[str, tuple[float, int]] = {}

    def hide(self, rule_id: str) -> None:
        """Start to hide a new rule."""
        settings = self._settings
        if settings.lag_seconds or settings.lag_reads:
            end = settings.clock() + settings.lag_seconds
            self._hidden[rule_id] = (end, settings.lag_reads)

    def visible(self, rules: Sequence[JsonObject]) -> Sequence[JsonObject]:
        """Return the rules that one read shows; counts as a read."""
        now = self._settings.clock()
        hidden = self._hidden
        self._hidden = {}
        for rule_id, (end, reads) in hidden.items():
            if end > now or reads > 0:
                self._hidden[rule_id] = (end, reads - 1)

        return [rule for rule in rules if rule["id"] not in self._hidden]


def page_window(request: http.SimRequest, cap: int) -> tuple[int, int]:
    """Return a page's offset and its maximum size. Raises ApiProblemError."""
    size = request.whole_number("pageSize", cap)
    size = min(size, cap)
    number = request.whole_number("pageNumber", 1)
    offset = (number - 1) * size
    return offset, size


def list_page(
    request: http.SimRequest,
    items: Sequence[JsonObject],
    cap: int,
) -> http.SimResponse:
    """Return a page of rules or queues. Raises ApiProblemError."""
    offset, size = page_window(request, cap)
    total = len(items)
    number = offset // size + 1
    next_uri = None
    if offset + size < total:
        next_uri = f"/{request.route}?pageNumber={number + 1}&pageSize={size}"
    page = {
        "entities": items[offset : offset + size],
        "pageNumber": number,
        "pageSize": size,
        "total": total,
        "pageCount": -(-total // size),
        "nextUri": next_uri,
    }
    return http.json_response(200, page)


def queues_page(
    state: TenantState,
    settings: SimulatorSettings,
    request: http.SimRequest,
) -> http.SimResponse:
    """Return a page of queues."""
    return list_page(request, state.queues, settings.page_cap)


def skills_page(
    state: TenantState,
    settings: SimulatorSettings,
    request: http.SimRequest,
) -> http.SimResponse:
    """Return a page of skills: skip and top, a count, a link; 204 if there are none."""
    skills = [
        {
            "skillId": int(queue["id"]),
            "skillName": queue["name"],
            "isActive": queue.get("isActive", True),
        }
        for queue in state.queues
        if str(queue["id"]).isdigit()
    ]
    if not skills:
        return http.SimResponse(status=204)

    top = min(request.whole_number("top", settings.page_cap), settings.page_cap)
    skip = request.whole_number("skip", 0, least=0)
    following = skip + top
    link = None
    if following < len(skills):
        link = f"{request.path}?skip={following}&top={top}"
    page = {
        "skills": skills[skip:following],
        "totalRecords": len(skills),
        "_links": {"next": link},
    }
    return http.json_response(200, page)


def routing_queues_page(
    state: TenantState,
    settings: SimulatorSettings,
    request: http.SimRequest,
) -> http.SimResponse:
    """Return a page of Digital's queues: a token leads to the next page; 204 if there are none."""
    digital = [queue for queue in state.queues if not str(queue["id"]).isdigit()]
    queues = [{"id": queue["id"], "name": queue["name"]} for queue in digital]
    if not queues:
        return http.SimResponse(status=204)

    size = min(request.whole_number("size", _DIGITAL_PAGE_SIZE), settings.page_cap)
    offset = request.whole_number("scrollToken", 0, least=0)
    following = offset + size
    token = str(following) if following < len(queues) else None
    page = {
        "data": queues[offset:following],
        "hits": len(queues),
        "scrollToken": token,
    }
    return http.json_response(200, page)
