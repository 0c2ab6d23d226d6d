"""A fake of the node Exit Interaction in Cognigy's CXone extension, in its versions, and of what a
Studio script finds afterwards.

The forms of requests and outputs are facts from the vendor's code, at the commits that are named.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qs, quote

Parameters = list[Any]
ScriptVariables = dict[str, Any]

_HOLE: Final = re.compile(r"\{\{([\w.]+)\}\}")


class Signal(NamedTuple):
    """A request to signal a contact."""

    contact: str
    query: str
    body: str


def _stringify(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _one_array(parameters: Parameters) -> list[str]:
    return [_stringify(parameters)] if parameters else []


def _one_each(parameters: Parameters) -> list[str]:
    return [each if isinstance(each, str) else _stringify(each) for each in parameters]


def _as_strings(parameters: Parameters) -> list[str]:
    """Return the elements as JavaScript joins them: an object has a fixed text."""
    return [each if isinstance(each, str) else "[object Object]" for each in parameters]


def _in_query(values: Mapping[str, str]) -> tuple[str, str]:
    return "&".join(
        f"{name}={quote(text, safe='')}" for name, text in values.items()
    ), ""


def _first_in_query(values: Mapping[str, str]) -> tuple[str, str]:
    others = {name: text for name, text in values.items() if name != "p1"}
    return f"p1={quote(values['p1'], safe='')}", _stringify(others)


def _in_body(values: Mapping[str, str]) -> tuple[str, str]:
    return "", _stringify(values)


class ExitVersion(NamedTuple):
    """How a version of the node prepares its parameters, and sends them."""

    name: str
    prepare: Callable[[Parameters], list[str]]
    send: Callable[[Mapping[str, str]], tuple[str, str]]
    # the path of the data in the output of a chat
    output: tuple[str, ...] = ("_cognigy", "_niceCXOne", "json", "data")


VERSIONS: Final = (
    ExitVersion("74231a7, mode objects", _one_array, _in_query, ()),
    ExitVersion("21ec1f3", _one_array, _first_in_query),
    ExitVersion("0055799", _one_each, _in_body),
)
STRING_MODE: Final = ExitVersion("74231a7, mode strings", _as_strings, _in_query, ())
"""The mode that does not fit a parameter which is an object."""


@dataclass(frozen=True)
class Flow:
    """What a flow knows at the node."""

    channel: str  # as Cognigy names it
    code_output: Any
    contact: str = "900000000001"
    spawned: str = "900000000002"
    action: str = "Escalate"

    def find(self, path: str) -> Any:
        """Return the value of an expression such as input.cxroute.intent."""
        data = {"contactId": self.contact, "spawnedContactId": self.spawned}
        value: Any = {
            "input": {"cxroute": self.code_output},
            "context": {"data": data},
        }
        for name in path.split("."):
            value = value[name]
        return value

    def resolve(self, field: Any) -> Any:
        """Return a field of a node with the values of its expressions."""
        if isinstance(field, list):
            return [self.resolve(each) for each in field]
        if isinstance(field, dict) and set(field) == {"$cs"}:
            return self.find(field["$cs"]["script"])
        if isinstance(field, dict):
            return {name: self.resolve(each) for name, each in field.items()}
        if not isinstance(field, str):
            return field
        return _HOLE.sub(lambda hole: str(self.find(hole[1])), field)


class ExitFields(NamedTuple):
    """The fields of the node as a person fills them."""

    main: str
    spawned: str
    parameters: Parameters


def signal(flow: Flow, fields: ExitFields, version: ExitVersion) -> Signal:
    """Return the signal of a voice flow: to the spawned contact, with the exit action first."""
    prepared = version.prepare(flow.resolve(fields.parameters))
    texts = [flow.action, *prepared]
    values = {f"p{number}": text for number, text in enumerate(texts, 1)}
    return Signal(flow.resolve(fields.spawned), *version.send(values))


def received(sent: Signal) -> ScriptVariables:
    """Return the variables that ONSIGNAL gets from the query and the body of a signal."""
    query = parse_qs(
        sent.query, keep_blank_values=True, strict_parsing=bool(sent.query)
    )
    body = json.loads(sent.body or "{}")
    values = {name: texts[0] for name, texts in query.items()} | body
    return {name.upper(): text for name, text in values.items()}


def chat_output(flow: Flow, fields: ExitFields, version: ExitVersion) -> dict[str, Any]:
    """Return the data that the node of a chat flow gives to the channel."""
    prepared = version.prepare(flow.resolve(fields.parameters))
    data: dict[str, Any] = {"Intent": flow.action}
    if prepared:
        data["Params"] = "|".join(prepared)
    output: dict[str, Any] = data
    for name in reversed(version.output):
        output = {name: output}
    return output


def returned(
    output: dict[str, Any], version: ExitVersion, first_index: int
) -> ScriptVariables:
    """Return the variables of the script after the bot's action: index 1 has the data, wherever
    arrays begin.
    """
    data: Any = output
    for name in version.output:
        data = data[name]
    payloads = [data] if first_index == 1 else [{"text": ""}, data]
    return {"customPayloadFromBot": {"scriptPayloads": payloads}}
