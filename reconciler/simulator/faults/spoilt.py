"""The real answer, spoilt on its way."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from reconciler.simulator.exchange import Answer, Manner, encoded, json_answer, refusal
from reconciler.simulator.faults.instead import ELSEWHERE
from reconciler.simulator.faults.spec import kind_of
from reconciler.simulator.listing import rules_page, window

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from reconciler.simulator.faults.call import Call


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
