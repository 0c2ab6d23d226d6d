"""One HTTP exchange, bounded in time and size, and its errors translated once (contract.md, "Errors")."""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import httpx

from reconciler.errors import NotOfferedError, UnexpectedAnswerError
from reconciler.strict_json import STRICT, refuse_constant

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from reconciler.cxone.pace import Time

LARGEST: Final = 16 * 1024 * 1024
"""Bytes of an answer, decoded. A page of 100 rules has about 50,000."""

_SHOWN: Final = 200


class GarbledAnswerError(UnexpectedAnswerError):
    """A body that is no JSON, or only the beginning of some: the next one may be whole."""


class UntrustedError(httpx.ConnectError):
    """The server's certificate is not one that is trusted for its name; nothing was sent to it."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: status, headers, and the raw body; `form` is its JSON, once it was read."""

    call: str
    status: int
    headers: Mapping[str, str]
    content: bytes
    form: Any = None

    def json(self, decoder: json.JSONDecoder) -> Any:  # noqa: ANN401 - any JSON
        """Return the body as JSON. Raises GarbledAnswerError, and UnexpectedAnswerError for what no luck can mend."""
        what = f"{self.call}: {self._kind()} instead of JSON (status {self.status})"
        try:
            return decoder.decode(self.content.decode("utf-8"))
        except (json.JSONDecodeError, UnicodeDecodeError):
            raise GarbledAnswerError(what) from None
        except (ValueError, RecursionError):  # NaN, infinity, 5,000 digits, 100,000 brackets
            raise UnexpectedAnswerError(what) from None

    def is_fragment(self) -> bool:
        """Say whether the body begins as an object does."""
        return self.content.lstrip().startswith(b"{")

    def explanation(self, secrets: Iterable[str]) -> str:
        """Return what the server says of an error, in one harmless line, without a secret that it may repeat."""
        try:
            form = STRICT.decode(self.content[:65_536].decode("utf-8"))
        except (ValueError, RecursionError):
            return "it is HTML" if self.is_page() else "no reason given"
        said = _said(form)
        for secret in secrets:
            said = said.replace(secret, "[secret]")
        return said[:_SHOWN] or "no reason given"  # cut last: the half of a secret is one too

    def _kind(self) -> str:
        if not self.content:
            return "nothing"
        return "HTML (a proxy's or login page? check api.baseUrl)" if self.is_page() else "something else"

    def is_page(self) -> bool:
        """Say whether the body is a web page: a proxy's, or one to sign in."""
        return self.content[:500].lstrip().startswith(b"<")


def _said(form: object) -> str:
    errors = form.get("errors") if isinstance(form, dict) else None
    if isinstance(errors, list):
        parts = [str(one.get("message")) for one in errors[:3] if isinstance(one, dict) and one.get("message")]
    elif isinstance(form, dict):
        parts = [
            str(form[name]) for name in ("error", "error_description", "message") if isinstance(form.get(name), str)
        ]
    else:
        parts = []
    text = "; ".join(parts)
    return "".join(one if one.isprintable() else " " for one in text)


LENIENT: Final = json.JSONDecoder(parse_constant=refuse_constant)
"""For a token, which nobody shows or sends back: a life of 1e999 seconds is merely long."""


async def exchange(http: httpx.AsyncClient, request: httpx.Request, seconds: float, time: Time) -> Answer:
    """Send one request and read its answer.

    Raises httpx.TransportError, TimeoutError and UnexpectedAnswerError; NotOfferedError for a redirect, behind which a
    write was not done either.
    """
    async with time.deadline(seconds):
        response = await http.send(request, stream=True, follow_redirects=False)
        try:
            content = await _bounded(response)
        finally:
            await response.aclose()
    if response.is_redirect:
        call = f"{request.method} {request.url.path}"
        raise NotOfferedError(
            f"{call}: the server redirects to another place (status {response.status_code}); not followed"
        )
    return Answer(f"{request.method} {request.url.path}", response.status_code, response.headers, content)


async def _bounded(response: httpx.Response) -> bytes:
    """Read the body, decompressed, up to the largest size that is believed."""
    if response.is_stream_consumed:
        return response.content  # a transport that had the whole answer in memory
    encoding = response.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("identity", "gzip", "deflate", ""):
        raise UnexpectedAnswerError(f"the answer is encoded as {encoding[:20]!r}, which nobody asked for")
    inflate = zlib.decompressobj(zlib.MAX_WBITS | 32) if encoding in ("gzip", "deflate") else None
    parts: list[bytes] = []
    left = LARGEST
    async for raw in response.aiter_raw():
        part = _inflated(inflate, raw, left) if inflate else raw
        left -= len(part)
        if left <= 0:
            raise UnexpectedAnswerError(f"the answer has more than {LARGEST // 2**20} MiB")
        parts.append(part)
    return b"".join(parts)


def _inflated(inflate: zlib._Decompress, raw: bytes, left: int) -> bytes:
    try:
        return inflate.decompress(raw, left)
    except zlib.error as error:
        raise UnexpectedAnswerError("the answer's compression is broken") from error


def reason(failure: BaseException) -> str:
    """Say why a call got no answer, in one harmless line: the operating system's words where there are any."""
    if isinstance(failure, TimeoutError | httpx.TimeoutException):
        return "no answer in time"
    said = str(failure) or type(failure).__name__
    cause: BaseException | None = failure
    while cause is not None:
        if isinstance(cause, OSError) and cause.strerror:
            said = cause.strerror
        cause = cause.__cause__ or cause.__context__
    return "".join(one if one.isprintable() else " " for one in said)[:200]
