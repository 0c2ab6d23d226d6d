"""A tenant that calls things otherwise and pages otherwise: requests are put into the tutorial's words, answers out of.

All else of the simulator knows the tutorial's words alone, faults too, so that each fault falls on every style.
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

from reconciler.simulator.messages import (
    QUEUES_PATH,
    RULES_PATH,
    Json,
    NotJsonError,
    SimulatorRequest,
    SimulatorResponse,
    encode_json,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

_UNKNOWN_PATH: Final = "/nowhere"
_REFUSAL_STATUSES: Final = (400, 409, 412, 422)
"""Statuses of refusals that a tenant may answer as a success that says `success: false`."""
_UNLIMITED: Final = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedList:
    """A list as it is served. Empty names: there is no such thing."""

    path: str
    member: str = "entities"  # where the list stands in an answer; a dot: it is the answer
    style: str = "page-number"
    position: str = "pageNumber"
    """Query parameter: the page, how many are skipped, the token; of a link, whatever it likes."""
    first: int = 1
    size: str = "pageSize"
    total: str = "total"
    next: str = "nextUri"  # member: the link to the next page, or the token
    no_content: bool = False
    names: Mapping[str, str] = field(default_factory=dict)  # fields of an entry, by the tutorial's names
    numbers: bool = False  # ids are numbers in JSON

    def window(self, query: str, cap: int) -> tuple[int, int]:
        """Return how many entries to leave out and how many to give. Raises ValueError."""
        asked = dict(parse_qsl(query))
        size = min(max(int(asked.get(self.size) or cap), 1), cap) if self.size else cap
        at = asked.get(self.position, "").removeprefix("at-")
        if self.style == "page-number":
            return (max(int(at or self.first) - self.first, 0) * size, size)
        return (0, _UNLIMITED) if self.style == "all-at-once" else (max(int(at or 0), 0), size)

    def encode_page(self, canonical: dict[str, Any], window: tuple[int, int], entries: list[Json]) -> bytes:
        """Return a page in this style."""
        form: Json = {}
        set_member(form, self.member, entries)
        if self.total:
            set_member(form, self.total, canonical["total"])
        if self.next:
            set_member(form, self.next, self._next_link(canonical.get("nextUri"), window))
        return encode_json(entries if self.member == "." else form)

    def _next_link(self, uri: str | None, window: tuple[int, int]) -> str | None:
        """Return the link, or the token, to what the tutorial's link leads to: on, back to the start, or elsewhere."""
        if uri is None or self.style == "all-at-once":
            return None
        offset, size = window
        parts = urlsplit(uri)
        back = parse_qs(parts.query).get("pageNumber") == ["1"]
        at = 0 if back else offset + size
        if self.style == "scroll-token":
            return f"at-{at}"
        number = str(at // size + self.first) if self.style == "page-number" else f"at-{at}"
        position = str(at) if self.style == "skip-top" else number
        query = urlencode({self.position: position, **({self.size: size} if self.size else {})})
        elsewhere = f"{parts.scheme}://{parts.netloc}" if parts.netloc else ""
        return f"{elsewhere}{self.path}?{query}"


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantProfile:
    """How a tenant speaks; the defaults are the tutorial's."""

    rules: ServedList = field(default_factory=lambda: ServedList(path=RULES_PATH))
    queues: ServedList = field(default_factory=lambda: ServedList(path=QUEUES_PATH))
    single_member: str = "."
    condition: Mapping[str, str] = field(default_factory=dict)
    target: Mapping[str, str] = field(default_factory=dict)
    words: Mapping[str, str] = field(default_factory=dict)  # types and operators, by the tutorial's
    queue_numbers: bool = False  # ids of a target's queue are numbers in JSON
    update: str = "PUT"
    message_member: str = "errors[].message"
    message_header: str = ""
    refused_member: str = ""

    def canonical_request(self, request: SimulatorRequest, cap: int) -> SimulatorRequest:
        """Return the request in the tutorial's words. What cannot be understood stays as it is."""
        if self is TUTORIAL_PROFILE:
            return request
        shelf, path = self._find_list(request.path)
        if shelf is None:
            return replace(request, path=path)
        asked = replace(request, path=path)
        if request.method == "GET":
            try:
                asked.window = shelf.window(request.query, cap)
            except ValueError:
                asked.query = "pageNumber=0"
        if request.body:
            with suppress(NotJsonError):
                asked.body = encode_json(self._canonical_rule(request.json()))
        return asked

    def tenant_response(self, response: SimulatorResponse, request: SimulatorRequest) -> SimulatorResponse:
        """Return an answer to a request that was understood, in this tenant's words."""
        if self is TUTORIAL_PROFILE or not request.path.startswith((RULES_PATH, QUEUES_PATH)):
            return response
        if response.status >= 400:  # noqa: PLR2004 - errors
            return self._tenant_error(response, request)
        try:
            form = json.loads(response.body)
        except ValueError:
            return response
        if isinstance(form, dict) and isinstance(form.get("entities"), list):
            return self._tenant_page(response, form, request)
        found: Json = {}
        set_member(found, self.single_member, self._tenant_rule(form))
        return replace(response, body=encode_json(self._tenant_rule(form) if self.single_member == "." else found))

    def _find_list(self, path: str) -> tuple[ServedList | None, str]:
        for shelf, canonical in ((self.rules, RULES_PATH), (self.queues, QUEUES_PATH)):
            rest = path.removeprefix(shelf.path)
            if path.startswith(shelf.path) and rest[:1] in ("", "/"):
                return shelf, canonical + rest
        return None, _UNKNOWN_PATH if path.startswith((RULES_PATH, QUEUES_PATH)) else path

    def _tenant_page(
        self, answer: SimulatorResponse, form: dict[str, Any], request: SimulatorRequest
    ) -> SimulatorResponse:
        of_rules = request.path == RULES_PATH
        shelf = self.rules if of_rules else self.queues
        if shelf.no_content and not form["entities"]:
            return SimulatorResponse(status=204)
        entries = [self._tenant_rule(one) if of_rules else _tenant_entry(one, shelf) for one in form["entities"]]
        return replace(answer, body=shelf.encode_page(form, request.window or (0, 1), entries))

    def _tenant_rule(self, rule: Json) -> Json:
        if not isinstance(rule, dict):
            return rule
        parts = {
            name: [self._tenant_part(one, names) for one in rule[name]]
            for name, names in (("conditions", self.condition), ("targets", self.target))
            if isinstance(rule.get(name), list)
        }
        return _tenant_entry({**rule, **parts}, self.rules)

    def _tenant_part(self, part: dict[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
        said = {name: self.words.get(value, value) if name in _WORD_FIELDS else value for name, value in part.items()}
        if self.queue_numbers and str(said.get("queueId")).isdigit():
            said["queueId"] = int(said["queueId"])
        return {names.get(name, name): value for name, value in said.items()}

    def _canonical_rule(self, body: Json) -> Json:
        """Return a rule that was sent, in the tutorial's words."""
        if not isinstance(body, dict):
            return body
        back = {theirs: ours for ours, theirs in self.rules.names.items()}
        rule = {back.get(name, name): value for name, value in body.items()}
        for name, names in (("conditions", self.condition), ("targets", self.target)):
            if isinstance(rule.get(name), list):
                rule[name] = [self._canonical_part(one, names) for one in rule[name]]
        if self.rules.numbers and type(rule.get("id")) is int:
            rule["id"] = str(rule["id"])
        return rule

    def _canonical_part(self, part: Json, names: Mapping[str, str]) -> Json:
        if not isinstance(part, dict):
            return part
        back, words = ({theirs: ours for ours, theirs in one.items()} for one in (names, self.words))
        heard = {back.get(name, name): value for name, value in part.items()}
        if self.queue_numbers and "queueId" in heard:
            heard["queueId"] = str(heard["queueId"]) if type(heard["queueId"]) is int else None
        return {
            name: words.get(value, f"unknown {value}" if value in self.words else value)
            if name in _WORD_FIELDS and isinstance(value, str)
            else value
            for name, value in heard.items()
        }

    def _tenant_error(self, answer: SimulatorResponse, request: SimulatorRequest) -> SimulatorResponse:
        try:
            said = "; ".join(one["message"] for one in json.loads(answer.body)["errors"])
        except (ValueError, KeyError, TypeError):
            return answer
        form: Json = {}
        if self.message_member:
            set_member(form, self.message_member, said)
        kept = [pair for pair in answer.headers if pair[0] != "content-type"]
        headers = [*kept, *([(self.message_header.lower(), said)] if self.message_header else [])]
        if self.refused_member and answer.status in _REFUSAL_STATUSES and request.method != "GET":
            set_member(form, self.refused_member, value=False)
            return SimulatorResponse(
                status=200, body=encode_json(form), headers=(("content-type", "application/json"), *headers)
            )
        if not form:
            return replace(answer, body=b"", headers=headers)
        return replace(answer, body=encode_json(form), headers=(("content-type", "application/json"), *headers))


_WORD_FIELDS: Final = ("type", "operator")


def _tenant_entry(entry: Json, shelf: ServedList) -> Json:
    if not isinstance(entry, dict):
        return entry
    said = dict(entry)
    if shelf.numbers and str(said.get("id")).isdigit():
        said["id"] = int(said["id"])
    return {shelf.names.get(name, name): value for name, value in said.items()}


def set_member(data: dict[str, Any], path: str, value: Json) -> None:
    """Put a value into an object at a path such as `_links.next` or `errors[].message`."""
    *way, last = path.split(".") if path != "." else [""]
    place: Any = data
    for step in way:
        name = step.removesuffix("[]")
        fresh: Any = [{}] if name != step else {}
        place = place.setdefault(name, fresh)
        place = place[0] if name != step else place
    if last:
        name = last.removesuffix("[]")
        place[name] = [value] if name != last else value


TUTORIAL_PROFILE: Final = TenantProfile()
