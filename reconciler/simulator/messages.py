"""A request as the simulator sees it, and an answer as it gives it; both free of ASGI."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from enum import Enum
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeGuard
from urllib.parse import parse_qs, unquote

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Json = Any  # any JSON value

JSON_TYPE: Final = ("content-type", "application/json")
_ENCODER: Final = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))


class NotJsonError(Exception):
    """A request's body that is not JSON, or JSON that no server could store: NaN, half a surrogate pair."""


class ApiProblem(NamedTuple):
    """One thing that is wrong with a request. `field` is in the API's words: `targets[0].queueId`."""

    message: str
    code: str = ""
    field: str = ""


class DeliveryMode(Enum):
    """How an answer travels. All but WHOLE are faults."""

    COMPLETE = "whole"
    DRIPPING = "a byte at a time, Answer.pause seconds apart"
    CUT = "half the body under the whole one's Content-Length, then the connection is closed"
    RESET = "the connection is reset instead"
    SILENT = "nothing comes"
    REFUSED = "no connection is made"


@dataclass(slots=True, kw_only=True)
class SimulatorRequest:
    """A request, and what became of it: the simulator's log keeps them (`TenantState.requests`)."""

    method: str
    path: str  # as it was sent: percent-encoded
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Names in lower case. Neither they nor the body are shown by repr: secrets stand in both."""
    body: bytes = field(default=b"", repr=False)
    status: int | None = None  # what was answered; None where nothing was
    window: tuple[int, int] | None = None
    """Of a list: how many entries are left out in front and how many are asked for, where its query is not the
    tutorial's."""
    changed_state: bool = False  # whether it changed the state, however late

    @property
    def segments(self) -> tuple[str, ...]:
        """The path's parts, decoded one by one, so that an encoded slash separates nothing."""
        return tuple(unquote(part) for part in self.path.split("/")[1:])

    def positive_number(self, name: str) -> int | None:
        """Return a query parameter that is a whole number of 1 or more; None where it is absent. Raises ValueError."""
        given = parse_qs(self.query, keep_blank_values=True).get(name)
        if given is None:
            return None
        text = given[-1]
        if not (text.isascii() and text.isdigit() and len(text) < 10 and int(text) > 0):  # noqa: PLR2004 - digits
            raise ValueError(name)
        return int(text)

    def json(self) -> Json:
        """Return the body's JSON. Raises NotJsonError."""
        try:
            found = json.loads(self.body)
            encode_json(found)
        except (ValueError, RecursionError) as error:
            raise NotJsonError from error
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatorResponse:
    """What is sent back. Headers have names in lower case; Content-Length is added on the way out."""

    status: int
    body: bytes = b""
    headers: Sequence[tuple[str, str]] = ()
    delivery: DeliveryMode = DeliveryMode.COMPLETE
    byte_pause: float = 0.0


class ApiProblemError(Exception):
    """A request that is answered with an error."""

    def __init__(self, response: SimulatorResponse) -> None:
        self.response = response


def encode_json(value: Json) -> bytes:
    """Return compact JSON. Raises ValueError for what JSON cannot say: NaN, infinity, half a surrogate pair."""
    return _ENCODER.encode(value).encode()


def json_response(status: int, body: bytes, *headers: tuple[str, str]) -> SimulatorResponse:
    """Return an answer whose body is JSON already."""
    return SimulatorResponse(status=status, body=body, headers=(JSON_TYPE, *headers))


def error_response(status: int, *problems: ApiProblem, headers: Sequence[tuple[str, str]] = ()) -> SimulatorResponse:
    """Return an error in the API's form: `{"errors": [{"message", "errorCode", "field"}]}`."""
    found = problems or (ApiProblem(HTTPStatus(status).phrase),)
    errors = [
        {key: text for key, text in (("message", one.message), ("errorCode", one.code), ("field", one.field)) if text}
        for one in found
    ]
    return json_response(status, encode_json({"errors": errors}), *headers)


def oauth_error(status: int, error: str, description: str) -> SimulatorResponse:
    """Return an error in the form of OAuth, which the ACD has too."""
    return json_response(status, encode_json({"error": error, "error_description": description}))


def parse_json_body(request: SimulatorRequest) -> Json:
    """Return the body's JSON. Raises RefusedError for another media type, and for what is no JSON."""
    media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media != "application/json":
        raise ApiProblemError(
            error_response(415, ApiProblem("The body must be application/json", "invalid.media.type"))
        )
    try:
        return request.json()
    except NotJsonError:
        raise ApiProblemError(error_response(400, ApiProblem("The body is not JSON", "invalid.body"))) from None


def is_number(value: object) -> TypeGuard[int | float]:
    """Tell whether a JSON value is a number: true and false are none, though Python says so."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


RULES_PATH: Final = "/api/v2/routing/rules"
QUEUES_PATH: Final = "/api/v2/routing/queues"
