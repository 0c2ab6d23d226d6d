"""The routes `/rules` of a decision service: read, publish, list versions (docs/decide.md).

They are the same in `cxroute serve --decide`, in the sandbox and in the simulator. Authentication
is the caller's.
"""

import json
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from http import HTTPStatus
from typing import Any, Final, NamedTuple

from reconciler.core.target import Author
from reconciler.core.text.json_values import STRICT_DECODER
from reconciler.targets.decide.publication import (
    Publication,
    PublishConflictError,
    StoreUnavailableError,
    TableStore,
)
from reconciler.targets.decide.slices import Steps, finish, in_slices
from reconciler.targets.decide.table import (
    MAX_TABLE_BYTES,
    PublishedTable,
    TableError,
    encoding_steps,
    table_steps,
)

RULES_PATH: Final = "/rules"
VERSIONS_PATH: Final = "/rules/versions"
AUTHOR_HEADER: Final = "x-cxroute-author"
COMMIT_HEADER: Final = "x-cxroute-commit"
_VERSION: Final = re.compile(r"/rules/versions/([1-9][0-9]{0,8})", re.ASCII)
_JSON: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


class RulesRequest(NamedTuple):
    """A request that is allowed; header names are in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes = b""


class RulesResponse(NamedTuple):
    """A response with JSON."""

    status: int
    content: dict[str, Any]
    headers: Mapping[str, str] = {}

    @property
    def body(self) -> bytes:
        """Return the content as bytes."""
        return finish(self.body_steps())

    def body_steps(self) -> Steps[bytes]:
        """Encode the content in steps."""
        if "rules" in self.content:
            text = yield from encoding_steps(self.content, _JSON)
        else:
            text = _JSON.encode(self.content)
        return text.encode("utf-8", "surrogatepass")


def is_rules_path(path: str) -> bool:
    """Return whether these routes answer a path."""
    return path in (RULES_PATH, VERSIONS_PATH) or bool(_VERSION.fullmatch(path))


async def respond(
    request: RulesRequest, store: TableStore, now: Callable[[], datetime]
) -> RulesResponse:
    """Return the response to a request for one of the routes."""
    try:
        if request.path == RULES_PATH and request.method == "PUT":
            return await _publish(request, store, now())
        if request.method not in ("GET", "HEAD"):
            allowed = "GET, PUT" if request.path == RULES_PATH else "GET"
            return _error(
                HTTPStatus.METHOD_NOT_ALLOWED, f"only {allowed}", {"allow": allowed}
            )
        return await _read(request.path, store)
    except StoreUnavailableError as error:
        return _error(HTTPStatus.SERVICE_UNAVAILABLE, str(error), {"retry-after": "1"})


async def _read(path: str, store: TableStore) -> RulesResponse:
    if path == VERSIONS_PATH:
        facts = [version.to_json() for version in await store.versions()]
        return RulesResponse(HTTPStatus.OK, {"versions": facts})
    number = _VERSION.fullmatch(path)
    if number:
        kept = await store.version(int(number[1]))
        if kept is None:
            return _error(HTTPStatus.NOT_FOUND, "this version is not kept")
        return _answer(kept)
    current = await store.current()
    if current is None:
        return _error(HTTPStatus.NOT_FOUND, "no table is published yet")
    return _answer(current)


async def _publish(
    request: RulesRequest, store: TableStore, now: datetime
) -> RulesResponse:
    expected = request.headers.get("if-match")
    is_first = request.headers.get("if-none-match", "").strip() == "*"
    if (expected is None) == (not is_first):
        problem = (
            "send If-Match with the ETag that you read, or, for the first table, "
            "If-None-Match: *"
        )
        return _error(HTTPStatus.PRECONDITION_REQUIRED, problem)
    if len(request.body) > MAX_TABLE_BYTES:
        limit = f"a table has at most {MAX_TABLE_BYTES // 2**20} MiB"
        return _error(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, limit)

    try:
        table = await in_slices(_decoding_steps(request.body))
        tag = expected.strip() if expected is not None else None
        published = await store.publish(table, tag, _author_of(request), now)
    except TableError as error:
        return _error(HTTPStatus.UNPROCESSABLE_ENTITY, str(error))
    except PublishConflictError as error:
        headers = {"etag": error.current.etag} if error.current else {}
        return _error(HTTPStatus.PRECONDITION_FAILED, str(error), headers)
    headers = {"etag": published.etag}
    return RulesResponse(HTTPStatus.OK, published.facts.to_json(), headers)


def _author_of(request: RulesRequest) -> Author:
    name = request.headers.get(AUTHOR_HEADER, "")
    return Author(name, request.headers.get(COMMIT_HEADER, ""))


def _decoding_steps(body: bytes) -> Steps[PublishedTable]:
    """Decode and check the table of a request in steps. Raises TableError."""
    try:
        data = STRICT_DECODER.decode(body.decode("utf-8"))
    except (ValueError, RecursionError):
        raise TableError("the body is not valid JSON") from None
    yield
    return (yield from table_steps(data))


def _answer(publication: Publication) -> RulesResponse:
    return RulesResponse(
        HTTPStatus.OK, publication.to_json(), {"etag": publication.etag}
    )


def _error(
    status: HTTPStatus, problem: str, headers: Mapping[str, str] | None = None
) -> RulesResponse:
    return RulesResponse(status, {"success": False, "error": problem}, headers or {})
