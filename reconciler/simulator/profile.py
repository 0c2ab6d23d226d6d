"""A tenant with other names and paging than the tutorial's: translates requests to the tutorial's, and responses back.

The other modules, including the faults, use only the tutorial's names: each fault applies to every style.
"""

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, Final
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

from reconciler.simulator import messages as http

_UNKNOWN_PATH: Final = "/nowhere"
_REFUSAL_STATUSES: Final = (400, 409, 412, 422)  # a tenant may answer these with 200 and `success: false`
_UNLIMITED: Final = 10_000
_WORD_FIELDS: Final = ("type", "operator")


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedList:
    """A list as the tenant serves it. An empty name: the tenant does not have the parameter or member."""

    path: str
    member: str = "entities"  # the list's path in a response; a dot: the response is the list
    style: str = "page-number"
    position: str = "pageNumber"  # query parameter: the page, the offset or the token
    first: int = 1
    size: str = "pageSize"
    total: str = "total"
    next: str = "nextUri"  # member: the link to the next page, or the token
    no_content: bool = False
    names: Mapping[str, str] = field(default_factory=dict)  # fields of an entry, by the tutorial's names
    numbers: bool = False  # ids are numbers in JSON

    def window(self, query: str, cap: int) -> tuple[int, int]:
        """Return the offset and the size of a page. Raises ValueError."""
        values = dict(parse_qsl(query))
        size = min(max(int(values.get(self.size) or cap), 1), cap) if self.size else cap
        position = values.get(self.position, "").removeprefix("at-")
        if self.style == "page-number":
            return (max(int(position or self.first) - self.first, 0) * size, size)
        return (0, _UNLIMITED) if self.style == "all-at-once" else (max(int(position or 0), 0), size)

    def encode_page(self, canonical: dict[str, Any], window: tuple[int, int], entries: list[http.Json]) -> bytes:
        """Return a page in this style."""
        if self.member == ".":
            return http.encode_json(entries)
        form: http.Json = {}
        set_member(form, self.member, entries)
        if self.total:
            set_member(form, self.total, canonical["total"])
        if self.next:
            set_member(form, self.next, self._next_link(canonical.get("nextUri"), window))
        return http.encode_json(form)

    def _next_link(self, uri: str | None, window: tuple[int, int]) -> str | None:
        """Return the link or token for the tutorial's link to the next page, to the first page, or to another host."""
        if uri is None or self.style == "all-at-once":
            return None
        offset, size = window
        parts = urlsplit(uri)
        at = 0 if parse_qs(parts.query).get("pageNumber") == ["1"] else offset + size
        if self.style == "scroll-token":
            return f"at-{at}"
        number = str(at // size + self.first) if self.style == "page-number" else f"at-{at}"
        position = str(at) if self.style == "skip-top" else number
        query = urlencode({self.position: position, **({self.size: size} if self.size else {})})
        host = f"{parts.scheme}://{parts.netloc}" if parts.netloc else ""
        return f"{host}{self.path}?{query}"


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantProfile:
    """A tenant's names and styles; the defaults are the tutorial's."""

    rules: ServedList = field(default_factory=lambda: ServedList(path=http.RULES_PATH))
    queues: ServedList = field(default_factory=lambda: ServedList(path=http.QUEUES_PATH))
    single_member: str = "."
    condition: Mapping[str, str] = field(default_factory=dict)
    target: Mapping[str, str] = field(default_factory=dict)
    words: Mapping[str, str] = field(default_factory=dict)  # types and operators, by the tutorial's
    queue_numbers: bool = False  # ids of a target's queue are numbers in JSON
    update: str = "PUT"
    message_member: str = "errors[].message"
    message_header: str = ""
    refused_member: str = ""

    def canonical_request(self, request: http.SimRequest, cap: int) -> http.SimRequest:
        """Return the request in the tutorial's names; unknown parts are not changed."""
        if self is TUTORIAL_PROFILE:
            return request
        for served, path in ((self.rules, http.RULES_PATH), (self.queues, http.QUEUES_PATH)):
            rest = request.path.removeprefix(served.path)
            if request.path.startswith(served.path) and rest[:1] in ("", "/"):
                canonical = replace(request, path=path + rest)
                break
        else:
            is_tutorial = request.path.startswith((http.RULES_PATH, http.QUEUES_PATH))
            return replace(request, path=_UNKNOWN_PATH if is_tutorial else request.path)
        if request.method == "GET":
            try:
                canonical.window = served.window(request.query, cap)
            except ValueError:
                canonical.query = "pageNumber=0"
        if request.body:
            with suppress(ValueError):
                canonical.body = http.encode_json(self._canonical_rule(request.json()))
        return canonical

    def tenant_response(self, response: http.SimResponse, request: http.SimRequest) -> http.SimResponse:
        """Return the response to a canonical request in this tenant's names."""
        if self is TUTORIAL_PROFILE or not request.path.startswith((http.RULES_PATH, http.QUEUES_PATH)):
            return response
        if response.status >= 400:  # noqa: PLR2004 - errors
            return self._tenant_error(response, request)
        try:
            form = json.loads(response.body)
        except (ValueError, RecursionError):  # a deliberate fault
            return response
        if isinstance(form, dict) and isinstance(form.get("entities"), list):
            is_rules = request.path == http.RULES_PATH
            served, entries = self.rules if is_rules else self.queues, form["entities"]
            if served.no_content and not entries:
                return http.SimResponse(status=204)
            entries = [self._tenant_rule(entry) if is_rules else _tenant_entry(entry, served) for entry in entries]
            return replace(response, body=served.encode_page(form, request.window or (0, 1), entries))
        body = rule = self._tenant_rule(form)
        if self.single_member != ".":
            body = {}
            set_member(body, self.single_member, rule)
        return replace(response, body=http.encode_json(body))

    def _tenant_rule(self, rule: http.Json) -> http.Json:
        if not isinstance(rule, dict):
            return rule
        parts = {
            name: [self._tenant_part(part, names) for part in rule[name]]
            for name, names in (("conditions", self.condition), ("targets", self.target))
            if isinstance(rule.get(name), list)
        }
        return _tenant_entry({**rule, **parts}, self.rules)

    def _tenant_part(self, part: dict[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
        form = {name: self.words.get(value, value) if name in _WORD_FIELDS else value for name, value in part.items()}
        if self.queue_numbers and str(form.get("queueId")).isdigit():
            form["queueId"] = int(form["queueId"])
        return {names.get(name, name): value for name, value in form.items()}

    def _canonical_rule(self, body: http.Json) -> http.Json:
        if not isinstance(body, dict):
            return body
        canonical = {name: field for field, name in self.rules.names.items()}
        rule = {canonical.get(name, name): value for name, value in body.items()}
        for name, names in (("conditions", self.condition), ("targets", self.target)):
            if isinstance(rule.get(name), list):
                rule[name] = [self._canonical_part(part, names) for part in rule[name]]
        if self.rules.numbers and type(rule.get("id")) is int:
            rule["id"] = str(rule["id"])
        return rule

    def _canonical_part(self, part: http.Json, names: Mapping[str, str]) -> http.Json:
        if not isinstance(part, dict):
            return part
        fields, words = ({name: key for key, name in mapping.items()} for mapping in (names, self.words))
        form = {fields.get(name, name): value for name, value in part.items()}
        if self.queue_numbers and "queueId" in form:
            form["queueId"] = str(form["queueId"]) if type(form["queueId"]) is int else None
        for name in _WORD_FIELDS:
            value = form.get(name)
            if isinstance(value, str):
                form[name] = words.get(value, f"unknown {value}" if value in self.words else value)
        return form

    def _tenant_error(self, response: http.SimResponse, request: http.SimRequest) -> http.SimResponse:
        try:
            message = "; ".join(problem["message"] for problem in json.loads(response.body)["errors"])
        except (ValueError, KeyError, TypeError):
            return response
        form: http.Json = {}
        if self.message_member:
            set_member(form, self.message_member, message)
        headers = [header for header in response.headers if header[0] != "content-type"]
        if self.message_header:
            headers.append((self.message_header.lower(), message))
        if self.refused_member and response.status in _REFUSAL_STATUSES and request.method != "GET":
            set_member(form, self.refused_member, value=False)
            response = http.SimResponse(status=200)
        body, types = (http.encode_json(form), (http.JSON_TYPE,)) if form else (b"", ())
        return replace(response, body=body, headers=(*types, *headers))


def _tenant_entry(entry: http.Json, served: ServedList) -> http.Json:
    if not isinstance(entry, dict):
        return entry
    is_number = served.numbers and str(entry.get("id")).isdigit()
    form = {**entry, "id": int(entry["id"])} if is_number else entry
    return {served.names.get(name, name): value for name, value in form.items()}


def set_member(data: dict[str, Any], path: str, value: http.Json) -> None:
    """Set a value in an object at a path such as `_links.next` or `errors[].message`."""
    step, _, rest = path.partition(".")
    name = step.removesuffix("[]")
    if rest:
        member = data.setdefault(name, {} if name == step else [{}])
        set_member(member if name == step else member[0], rest, value)
    else:
        data[name] = value if name == step else [value]


TUTORIAL_PROFILE: Final = TenantProfile()
