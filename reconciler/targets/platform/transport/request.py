"""One HTTP exchange, bounded in time and size, and its errors translated once (api-contract
"Errors").
"""

import json
import math
import re
import zlib
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import nullcontext, suppress
from typing import Any, Final, NamedTuple

from reconciler.core.errors import UnexpectedResponseError, UnsupportedCallError
from reconciler.core.manifest.kinds.profile import Errors
from reconciler.core.text.escape import escape_invisible, sanitize
from reconciler.core.text.json_values import (
    STRICT_DECODER,
    find_members,
    refuse_constant,
)
from reconciler.targets.platform.settings import ServerUrl
from reconciler.targets.platform.transport.rate_limiter import TimeSource

# bytes, decoded; a page of 100 rules has about 50,000
MAX_RESPONSE_BYTES: Final = 16 * 1024 * 1024
ACCEPT_HEADERS: Final = {"Accept": "application/json", "Accept-Encoding": "gzip"}
_DEFAULT_MESSAGE_PATHS: Final = (
    "errors[].message",
    "error",
    "error_description",
    "message",
)
_MAX_MESSAGES: Final = 3
_MAX_ERROR_TEXT: Final = 200
_LINE_BREAKS: Final = re.compile(r"[\t-\r]")
REDIRECTS: Final = (301, 302, 303, 307, 308)


class MalformedResponseError(UnexpectedResponseError, kind="GarbledAnswer"):
    """A body that is not JSON, or is cut off: the next one may be complete."""


class NoResponseError(Exception):
    """No response, or an incomplete one: the request may have been executed."""


class NotSentError(NoResponseError):
    """No connection: nothing was sent."""


class UntrustedCertificateError(NotSentError):
    """The server's certificate is not trusted for its name; nothing was sent."""


class ApiRequest(NamedTuple):
    """A request: `target` is path and query, exactly as sent."""

    method: str
    server: ServerUrl
    target: str
    headers: Mapping[str, str]
    content: bytes = b""

    def __repr__(self) -> str:
        """Show nothing that could be a secret."""
        return f"Request({self.method} {self.url})"

    @property
    def call(self) -> str:
        """Return the request's name in messages."""
        return f"{self.method} {self.target.partition('?')[0]}"

    @property
    def url(self) -> str:
        """Return the full URL."""
        return f"{self.server.origin}{self.target}"


class ApiResponse(NamedTuple):
    """A response: status, headers by lower-case names, raw body, and its JSON once parsed."""

    call: str
    status: int
    headers: Mapping[str, str]
    content: bytes
    payload: Any = None

    @property
    def is_success(self) -> bool:
        """Return whether the status is a success."""
        return self.status < 300  # noqa: PLR2004 - 2xx; transports skip 1xx

    def json(self, decoder: json.JSONDecoder) -> Any:  # noqa: ANN401 - any JSON
        """Return the body as JSON.

        Raises MalformedResponseError; UnexpectedResponseError if repeating is useless.
        """
        try:
            return decoder.decode(self.content.decode("utf-8"))
        except (ValueError, RecursionError) as error:
            # The others: NaN, infinity, 5,000 digits, 100,000 brackets.
            is_malformed = isinstance(error, json.JSONDecodeError | UnicodeDecodeError)
            kind = (
                "HTML (a proxy's or login page? check api.baseUrl)"
                if self.is_html()
                else "something else"
            )
            text = (
                f"{self.call}: {kind if self.content else 'nothing'} instead of JSON (status "
                f"{self.status})"
            )
            raise (MalformedResponseError if is_malformed else UnexpectedResponseError)(
                text
            ) from None

    def error_text(self, secrets: Iterable[str], errors: Errors) -> str:
        """Return the server's error text in one sanitized line, without a secret that it may
        repeat.
        """
        payload = None
        with suppress(ValueError, RecursionError):
            payload = STRICT_DECODER.decode(self.content[:65_536].decode("utf-8"))
        header = self.headers.get(errors.header.lower(), "") if errors.header else ""
        # A token server may belong to another product, with the usual members instead of the
        # profile's.
        text = (
            _join_messages(payload, errors.messages)
            or header
            or _join_messages(payload, _DEFAULT_MESSAGE_PATHS)
        )
        text = escape_invisible(_LINE_BREAKS.sub(" ", text)) or (
            "it is HTML" if self.is_html() else ""
        )
        for secret in secrets:
            text = text.replace(secret, "[secret]")
        # cut last: a part of a secret is secret too
        return text[:_MAX_ERROR_TEXT] or "no reason given"

    def is_html(self) -> bool:
        """Return whether the body is a web page, for example a proxy's or a login page."""
        return self.content[:500].lstrip().startswith(b"<")


Transport = Callable[[ApiRequest], Awaitable[ApiResponse]]
"""Sends one request, without redirects, retries and time-outs; raises NoResponseError and
UnexpectedResponseError."""


def _join_messages(payload: object, paths: Iterable[str]) -> str:
    texts = [
        text
        for path in paths
        for text in find_members(payload, path)
        if isinstance(text, str) and text
    ]
    return "; ".join(dict.fromkeys(texts[:_MAX_MESSAGES]))


LENIENT_DECODER: Final = json.JSONDecoder(parse_constant=refuse_constant)
"""For a token response, which is not shown or sent back: a lifetime of 1e999 seconds is only a long
one."""


async def send_with_timeout(
    transport: Transport,
    request: ApiRequest,
    seconds: float,
    time: TimeSource,
) -> ApiResponse:
    """Send one request within `seconds`.

    Raises the transport's errors, TimeoutError, and UnsupportedCallError.
    """
    async with nullcontext() if seconds == math.inf else time.deadline(seconds):
        response = await transport(request)
    # a write was not executed
    if response.status in REDIRECTS and "location" in response.headers:
        text = f"the server redirects to another place (status {response.status}); not followed"
        raise UnsupportedCallError(f"{response.call}: {text}")
    return response


class ResponseBody:
    """A response's body, decompressed as it arrives, up to the maximum size."""

    def __init__(self, encoding: str) -> None:
        """`encoding` is the header's.

        Raises UnexpectedResponseError for one that was not requested.
        """
        name = encoding.strip().lower()
        if name not in ("identity", "gzip", "deflate", ""):
            raise UnexpectedResponseError(
                f"the response is encoded as {name[:20]!r}, which was not requested"
            )
        self._inflate = (
            zlib.decompressobj(zlib.MAX_WBITS | 32)
            if name in ("gzip", "deflate")
            else None
        )
        self._parts: list[bytes] = []
        self._remaining = MAX_RESPONSE_BYTES

    def add(self, raw: bytes) -> None:
        """Add a chunk.

        Raises UnexpectedResponseError for a too large body, and for broken compression.
        """
        try:
            chunk = (
                self._inflate.decompress(raw, self._remaining) if self._inflate else raw
            )
        except zlib.error as error:
            raise UnexpectedResponseError(
                "the response's compression is invalid"
            ) from error
        self._remaining -= len(chunk)
        if self._remaining <= 0:
            raise too_large_error()
        self._parts.append(chunk)

    def content(self) -> bytes:
        """Return the full body."""
        return b"".join(self._parts)


def too_large_error() -> UnexpectedResponseError:
    """Return the error for a response above the maximum size."""
    return UnexpectedResponseError(
        f"the response has more than {MAX_RESPONSE_BYTES // 2**20} MiB"
    )


def describe_failure(failure: BaseException) -> str:
    """Return the reason for a missing response in one sanitized line: the operating system's text
    if there is one.
    """
    if isinstance(failure, TimeoutError):
        return "no response in time"
    return sanitize(
        system_error(failure) or str(failure) or type(failure).__name__, _MAX_ERROR_TEXT
    )


def system_error(failure: BaseException | None) -> str:
    """Return the operating system's text of the innermost cause that has one, or an empty text."""
    text = ""
    while failure is not None:
        if isinstance(failure, OSError) and failure.strerror:
            text = failure.strerror
        failure = failure.__cause__ or failure.__context__
    return text
