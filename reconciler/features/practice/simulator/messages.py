"""Requests and responses as the simulator handles them, free of ASGI."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from http import HTTPStatus
from typing import Any, Final, NamedTuple, TypeGuard
from urllib.parse import parse_qsl, unquote

Json = Any  # any JSON value

RULES_PATH: Final = "/api/v2/routing/rules"
QUEUES_PATH: Final = "/api/v2/routing/queues"
_MAX_DIGITS: Final = 9  # digits of a number in a query
JSON_TYPE: Final = ("content-type", "application/json")
_ENCODER: Final = json.JSONEncoder(
    ensure_ascii=False,
    allow_nan=False,
    separators=(",", ":"),
)


class ApiProblem(NamedTuple):
    """One problem of a request. `field` is a path in the API's notation: `targets[0].queueId`."""

    message: str
    code: str = ""
    field: str = ""


class DeliveryMode(Enum):
    """How a response is sent. All but COMPLETE are faults."""

    COMPLETE = "complete"
    DRIPPING = "one byte at a time, byte_pause seconds apart"
    CUT = (
        "half of the body under the full Content-Length, then the connection is closed"
    )
    RESET = "the connection is reset"
    SILENT = "no response"
    REFUSED = "no connection"


@dataclass(slots=True, kw_only=True)
class SimRequest:
    """A request and its result, as the simulator's log stores them (`TenantState.requests`)."""

    # Headers and body may hold secrets: repr does not show them.
    method: str
    path: str  # percent-encoded
    query: str = ""
    # Names in lower case.
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes = field(default=b"", repr=False)
    status: int | None = None  # None without a response
    changed_state: bool = False  # whether it changed the state, however late

    @property
    def segments(self) -> tuple[str, ...]:
        """The path's parts, decoded one by one: an encoded slash is not a separator."""
        _, *parts = self.path.split("/")
        return tuple(map(unquote, parts))

    @property
    def route(self) -> str:
        """The decoded path without its first slash; an encoded slash stays encoded."""
        return "/".join(segment.replace("/", "%2F") for segment in self.segments)

    def whole_number(self, name: str, default: int, least: int = 1) -> int:
        """Return a query parameter, an integer of `least` or more. Raises ApiProblemError."""
        parameters = dict(parse_qsl(self.query, keep_blank_values=True))
        text = parameters.get(name)
        if text is None:
            return default

        is_number = text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS
        if not is_number or int(text) < least:
            message = f"{name} must be a whole number of {least} or more"
            problem = ApiProblem(message, "invalid.query", name)
            raise ApiProblemError(400, problem)
        return int(text)

    def json(self) -> Json:
        """Return the body's JSON. Raises ValueError, as `decode_json` does."""
        return decode_json(self.body)


@dataclass(frozen=True, slots=True, kw_only=True)
class SimResponse:
    """A response. Header names are in lower case; the delivery adds Content-Length."""

    status: int
    body: bytes = b""
    headers: Sequence[tuple[str, str]] = ()
    delivery: DeliveryMode = DeliveryMode.COMPLETE
    byte_pause: float = 0.0


class ApiProblemError(Exception):
    """Ends a request with an error response."""

    def __init__(self, status: int, *problems: ApiProblem) -> None:
        self.response = error_response(status, *problems)


def encode_json(value: Json) -> bytes:
    """Return compact JSON. Raises ValueError for NaN, infinity and an unpaired surrogate."""
    return _ENCODER.encode(value).encode()


def decode_json(data: bytes) -> Json:
    """Return the JSON in the bytes.

    Raises ValueError for no JSON, and for NaN and unpaired surrogates.
    """
    try:
        value = json.loads(data)
        encode_json(value)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    return value


def json_response(status: int, value: Json, *headers: tuple[str, str]) -> SimResponse:
    """Return a response with a JSON value; bytes are JSON already."""
    body = value
    if not isinstance(value, bytes):
        body = encode_json(value)
    all_headers = (JSON_TYPE, *headers)
    return SimResponse(status=status, body=body, headers=all_headers)


def error_response(
    status: int,
    *problems: ApiProblem,
    headers: Sequence[tuple[str, str]] = (),
) -> SimResponse:
    """Return an error in the API's form: `{"errors": [{"message", "errorCode", "field"}]}`."""
    if not problems:
        problems = (ApiProblem(HTTPStatus(status).phrase),)
    errors = []
    for message, code, place in problems:
        texts = {"message": message, "errorCode": code, "field": place}
        error = {name: text for name, text in texts.items() if text}
        errors.append(error)
    return json_response(status, {"errors": errors}, *headers)


def oauth_error(status: int, error: str, description: str) -> SimResponse:
    """Return an error in the form of OAuth, which the ACD also uses."""
    return json_response(status, {"error": error, "error_description": description})


def parse_json_body(request: SimRequest) -> Json:
    """Return the body's JSON.

    Raises ApiProblemError for another media type and for invalid JSON.
    """
    media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media != "application/json":
        message = "The body must be application/json"
        raise ApiProblemError(415, ApiProblem(message, "invalid.media.type"))
    try:
        return request.json()
    except ValueError:
        problem = ApiProblem("The body is not JSON", "invalid.body")
        raise ApiProblemError(400, problem) from None


def is_number(value: object) -> TypeGuard[int | float]:
    """Return whether a JSON value is a number; true and false are not."""
    return (
        isinstance(value, (int, float))
        and not isinstance(value, bool)
        and math.isfinite(value)
    )
