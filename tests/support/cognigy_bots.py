"""Bots for tests: intents of two locales, as a folder of the CLI, as an exported file, and behind a
fake API.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

from tests.support.threaded_server import HttpReply, HttpRequest, threaded_server

KEY: Final = "cognigy-key-of-a-test"
PROJECT: Final = "5f0c0ffee0ddba11c0ffee00"
LOCALES: Final[list[dict[str, Any]]] = [
    {"_id": "l-de", "referenceId": "r-de", "name": "Deutsch"},
    {"_id": "l-en", "referenceId": "r-en", "name": "English", "primary": True},
]

Intent = dict[str, Any]
# the intents by flow and locale, as the API lists them
Flows = dict[str, dict[str, list[Intent]]]


def intent(name: str, **fields: Any) -> Intent:
    """Return an intent as the API lists it; `parent` is the parent's name."""
    parent = fields.pop("parent", None)
    reference = str(
        uuid.uuid5(uuid.NAMESPACE_OID, name.encode("utf-8", "replace").decode())
    )
    item = {
        "_id": f"id-{reference}",
        "referenceId": reference,
        "name": name,
        "description": "",
        "tags": [],
    }
    above = {} if parent is None else {"parentIntentId": intent(parent)["_id"]}
    return {
        **item,
        "isDisabled": False,
        "isRejectIntent": False,
        "parentIntentId": None,
        **above,
        **fields,
    }


def large_bot() -> Flows:
    """Return 300 intents in two flows and two locales, with parents, disabled and reject
    intents.
    """
    flows: Flows = {"Main": {}, "Cards": {}}
    for number in range(300):
        name = f"topic_{number:03}"
        flow = "Main" if number % 3 else "Cards"
        parent = (
            f"topic_{number - number % 30:03}"
            if number % 30 and not number % 3
            else None
        )
        states = {"isDisabled": number % 100 == 7, "isRejectIntent": number % 100 == 8}
        for locale in ("English", "Deutsch"):
            if locale == "English" or number % 4:
                item = intent(
                    name,
                    parent=parent,
                    description=f"Topic {number} ({locale})",
                    **states,
                )
                flows[flow].setdefault(locale, []).append(item)
    return flows


def exported(items: list[Intent]) -> list[Intent]:
    """Return intents in the form of an export: the parent by its name."""
    names = {item["_id"]: item["name"] for item in items}
    return [
        {
            key: value
            for key, value in item.items()
            if key not in ("_id", "parentIntentId")
        }
        | {
            "parent": names.get(item["parentIntentId"]),
            "exampleSentences": ["Hello"],
            "rules": [],
        }
        for item in items
    ]


def write_folder(
    folder: Path, flows: Flows, charts: Mapping[str, Any] | None = None
) -> Path:
    """Write the intents as `cognigy clone` does, and charts by flow; return the folder."""
    for flow, locales in flows.items():
        for locale, items in locales.items():
            place = folder / "agent/flows" / flow / locale
            place.mkdir(parents=True, exist_ok=True)
            (place / "intents.json").write_text(
                json.dumps(exported(items)), encoding="utf-8"
            )
            if charts and flow in charts:
                (place / "chart.json").write_text(
                    json.dumps(charts[flow]), encoding="utf-8"
                )
    (folder / "agent/flows/locales.json").write_text(
        json.dumps(LOCALES), encoding="utf-8"
    )
    return folder


def write_file(path: Path, flows: Flows) -> Path:
    """Write the intents of all flows as one exported list, the primary locale first; return the
    path.
    """
    items = [
        item
        for flow in sorted(flows)
        for name in ("English", "Deutsch")
        for item in flows[flow].get(name, [])
    ]
    path.write_text(json.dumps(exported(items)), encoding="utf-8")
    return path


def lookup_chart(*values: Any, kind: str = "intent", **fields: Any) -> dict[str, Any]:
    """Return a chart with a Lookup node and its cases."""
    cases = [
        {"_id": f"c{at}", "type": "case", "config": {"case": {"value": value}}}
        for at, value in enumerate(values)
    ]
    lookup = {
        "_id": "lookup",
        "type": "switch",
        "config": {"switch": {"type": kind, "operator": "ci.intent"}},
        **fields,
    }
    default = {"_id": "rest", "type": "default", "config": {}}
    children = [case["_id"] for case in cases]
    return {
        "nodes": [lookup, *cases, default],
        "relations": [{"node": "lookup", "children": [*children, "rest"]}],
    }


@dataclass
class FakeCognigy:
    """The API of one project on a real socket.

    `faults` are raw responses that are sent first, in order.
    """

    flows: Flows
    prefix: str = "/v2.0"
    faults: list[bytes] = field(default_factory=list)
    answer: Callable[[str, Any], Any] | None = None
    requests: list[str] = field(default_factory=list)
    keys: set[str | None] = field(default_factory=set)
    methods: set[str] = field(default_factory=set)
    key: str = KEY
    page: int = 100
    url: str = ""

    def items(self, path: str, query: Mapping[str, str]) -> list[Any] | None:
        """Return the list at a path; None if it does not exist."""
        if path == "/flows" and query["projectId"] == PROJECT:
            return [
                {"_id": f"f-{number}", "name": name}
                for number, name in enumerate(self.flows)
            ]
        if path == "/locales" and query["projectId"] == PROJECT:
            return LOCALES
        for number, locales in enumerate(self.flows.values()):
            if (
                path == f"/flows/f-{number}/intents"
                and query["includeChildren"] == "true"
            ):
                names = {locale["_id"]: locale["name"] for locale in LOCALES}
                return locales.get(names[query["preferredLocaleId"]], [])
        return None

    def respond(self, target: str) -> tuple[int, Any]:
        """Return the status and the JSON of a GET."""
        parts = urlsplit(target)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        path = parts.path.removeprefix(self.prefix)
        items = self.items(path, query) if parts.path.startswith(self.prefix) else None
        if items is None:
            return 404, {"detail": "Not Found"}
        start = int(query.get("next", "c0")[1:])
        size = min(self.page, int(query["limit"]))
        following = f"c{start + size}" if start + size < len(items) else None
        page = {
            "items": items[start : start + size],
            "total": len(items),
            "nextCursor": following,
        }
        return 200, self.answer(path, page) if self.answer else page


@contextmanager
def serving(cognigy: FakeCognigy) -> Iterator[FakeCognigy]:
    """Serve the API on a loopback socket until the end of the block."""

    def respond(request: HttpRequest) -> HttpReply | bytes:
        cognigy.requests.append(request.target)
        cognigy.methods.add(request.method)
        cognigy.keys.add(request.headers["X-API-Key"])
        if cognigy.faults:
            return cognigy.faults.pop(0)
        status, payload = cognigy.respond(request.target)
        is_known = request.headers["X-API-Key"] == cognigy.key
        return (
            HttpReply(status, payload)
            if is_known
            else HttpReply(401, {"detail": "Unauthorized"})
        )

    with threaded_server(respond) as cognigy.url:
        yield cognigy


def reply(
    status: str, body: bytes = b"{}", *headers: str, length: int | None = None
) -> bytes:
    """Return a raw response; a `length` that differs from the body's cuts it."""
    size = len(body) if length is None else length
    lines = [
        f"HTTP/1.1 {status}",
        f"Content-Length: {size}",
        "Connection: close",
        *headers,
        "",
        "",
    ]
    return "\r\n".join(lines).encode() + body
