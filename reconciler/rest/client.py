"""A REST API: requests with the token, pages, waits for rate limits, and errors as one sentence."""

import json
import time as clocks
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import httpx

from reconciler.core.errors import CxrouteError
from reconciler.core.text.escape import sanitize
from reconciler.core.text.json_values import as_object, parse_object
from reconciler.core.text.redact import REDACTOR

MAX_PAGES: Final = 100  # ten thousand notes
_ATTEMPTS: Final = 4
_MINUTE: Final = 60.0  # for a rate limit without a time
_MAX_RESPONSE_BYTES: Final = 16 << 20
_MAX_MESSAGE: Final = 200
_OK: Final = 200
_MULTIPLE: Final = 300
_REFUSED: Final = 400
UNAUTHORIZED: Final = 401
FORBIDDEN: Final = 403
MISSING: Final = 404
_LIMITED: Final = 429
_SERVER: Final = 500


class RestError(CxrouteError, kind="Rest"):
    """A failed request; `status` is 0 without a response."""

    def __init__(self, message: str, status: int = 0) -> None:
        self.status = status
        super().__init__(message)


class Purpose(NamedTuple):
    """A request's task, as it follows "cannot", and the permission that the token needs for it."""

    task: str
    permission: str


class RestClock(NamedTuple):
    """A monotonic clock, the time of day in seconds, and sleep."""

    clock: Callable[[], float] = clocks.monotonic
    now: Callable[[], float] = clocks.time
    sleep: Callable[[float], object] = clocks.sleep


class RestResponse(NamedTuple):
    """A response."""

    status: int
    headers: httpx.Headers
    body: bytes
    url: httpx.URL  # of the request


class ListPage(NamedTuple):
    """One page of a list, and the address of the next; `items` is None for a response that is not a
    page.
    """

    items: list[Any] | None
    next_url: str | None


def page_by_link(response: RestResponse, payload: object) -> ListPage:
    """Return the page of a response that is a list, with the next one in its `Link` header."""
    items = payload if isinstance(payload, list) else None
    links = httpx.Response(_OK, headers=response.headers).links
    next_url = links.get("next", {}).get("url")
    return ListPage(items, next_url)


class RestDialect(NamedTuple):
    """How one API differs from the others in its requests, and in the words of its errors."""

    name: str  # "GitHub"
    token_variable: str  # the environment variable with the token
    permission_advice: str  # the remedy for a refusal; `{}` in it is Purpose.permission
    missing_advice: str  # the remedy for "not found"; `{}` in it is Purpose.permission
    headers: Mapping[str, str] = {}
    # Name and value; `{}` in it is the token.
    token_header: tuple[str, str] = ("Authorization", "Bearer {}")
    page: Callable[[RestResponse, object], ListPage] = page_by_link
    # Of a sign-in page, which an API sends in place of 401.
    sign_in_statuses: tuple[int, ...] = ()


@dataclass(kw_only=True)
class RestClient:
    """An API, through one token (empty: none) that is sent only to `base`."""

    dialect: RestDialect
    http: httpx.Client
    base: str  # no slash at its end
    token: str = field(repr=False)
    time: RestClock = field(default_factory=RestClock)
    wait_budget: float = 120.0  # seconds of all waits together
    exchange_timeout: float = 60.0  # seconds of one exchange

    def get_object(self, path: str, purpose: Purpose) -> dict[str, Any]:
        """Return the JSON object at a path of the API."""
        response = self._get(self.base + path, purpose)
        return as_object(self._payload(response, purpose))

    def get_file(self, path: str, max_bytes: int, purpose: Purpose) -> bytes:
        """Return the file that the API itself sends."""
        response = self._get(self.base + path, purpose, max_bytes)
        return response.body

    def pages(self, path: str, purpose: Purpose) -> Iterator[dict[str, Any]]:
        """Yield every object of a list, page after page."""
        url = self.base + path
        for _ in range(MAX_PAGES):
            response = self._get(url, purpose)
            page = self.dialect.page(response, self._payload(response, purpose))
            if page.items is None:
                raise RestError(
                    f"cannot {purpose.task}: {self.dialect.name}'s response is not a list"
                )
            yield from (item for item in page.items if isinstance(item, dict))
            if page.next_url is None:
                return
            url = page.next_url
            if not self._is_own_url(url):
                raise RestError(
                    f"cannot {purpose.task}: the link to the next page leads to another host"
                )
        raise RestError(f"cannot {purpose.task}: there are more than {MAX_PAGES} pages")

    def _is_own_url(self, text: str) -> bool:
        """Return whether a URL leads to the API's server, without a user of its own."""
        url = _parse_url(text)
        base = httpx.URL(self.base)
        is_same_server = (
            url.scheme == base.scheme
            and url.host == base.host
            and url.port == base.port
        )
        return is_same_server and not url.userinfo

    def send(
        self,
        method: str,
        path: str,
        payload: object,
        purpose: Purpose,
        content_type: str = "application/json",
    ) -> dict[str, Any]:
        """Create an object (POST) or change it.

        A POST that may have been executed is not repeated.
        """
        headers = {**self._headers, "Content-Type": content_type}
        content = json.dumps(REDACTOR.redact_json(payload)).encode()
        request = self.http.build_request(
            method, self.base + path, headers=headers, content=content
        )
        response = self._answer(request, purpose)
        return as_object(self._payload(response, purpose))

    def download(self, path: str, max_bytes: int, purpose: Purpose) -> bytes:
        """Return a file from the location that the forge names; the token is not sent there."""
        redirect = self._get(self.base + path, purpose)
        if redirect.status < _MULTIPLE:
            raise RestError(
                f"cannot {purpose.task}: {self.dialect.name} sends no link to it"
            )
        location = redirect.headers.get("location", "")
        return self.download_from(location, max_bytes, purpose)

    def download_from(self, location: str, max_bytes: int, purpose: Purpose) -> bytes:
        """Return the file at a location that the API named; the token is not sent there."""
        name = self.dialect.name
        url = _parse_url(location)
        base = httpx.URL(self.base)

        # Over https, or from the API's host if that is plain http.
        is_local = (
            base.scheme == "http" and url.scheme == "http" and url.host == base.host
        )
        if not url.host or not (url.scheme == "https" or is_local):
            raise RestError(
                f"cannot {purpose.task}: {name}'s link to it is not an https:// address"
            )
        request = self.http.build_request(
            "GET", url, headers={"Accept-Encoding": "identity"}
        )
        response = self._send_with_retries(request, purpose, max_bytes)
        status = response.status
        if status != _OK:
            raise RestError(
                f"cannot {purpose.task}: HTTP {status} from {name}'s link to it", status
            )
        return response.body

    @property
    def _headers(self) -> dict[str, str]:
        header, value = self.dialect.token_header
        token = {header: value.format(self.token)} if self.token else {}
        return {
            "Accept-Encoding": "identity",
            "User-Agent": "cxroute",
            **token,
            **self.dialect.headers,
        }

    def _get(
        self, url: str, purpose: Purpose, max_bytes: int = _MAX_RESPONSE_BYTES
    ) -> RestResponse:
        request = self.http.build_request("GET", url, headers=self._headers)
        return self._answer(request, purpose, max_bytes)

    def _answer(
        self,
        request: httpx.Request,
        purpose: Purpose,
        max_bytes: int = _MAX_RESPONSE_BYTES,
    ) -> RestResponse:
        response = self._send_with_retries(request, purpose, max_bytes)
        if response.status in self.dialect.sign_in_statuses:
            response = response._replace(status=UNAUTHORIZED, body=b"")
        if response.status >= _REFUSED:
            raise RestError(self._refusal_text(response, purpose), response.status)
        return response

    def _send_with_retries(
        self, request: httpx.Request, purpose: Purpose, max_bytes: int
    ) -> RestResponse:
        """Send a request, and repeat it after a rate limit; after a fault only if it is not a
        POST.
        """
        for attempt in range(1, _ATTEMPTS + 1):
            result: RestResponse | RestError
            try:
                result = self._exchange(request, purpose, max_bytes)
            except httpx.HTTPError as error:
                problem = "cannot be reached"
                if isinstance(error, httpx.TimeoutException):
                    problem = "took too long"
                host = request.url.host
                result = RestError(f"cannot {purpose.task}: {host} {problem}")

            wait = self._retry_pause(result, attempt, request.method)
            if wait is None or wait > self.wait_budget or attempt == _ATTEMPTS:
                if isinstance(result, RestError):
                    raise result
                return result
            self.wait_budget -= wait
            self.time.sleep(wait)
        raise AssertionError("the last attempt returns or raises")

    def _exchange(
        self, request: httpx.Request, purpose: Purpose, max_bytes: int
    ) -> RestResponse:
        end = self.time.clock() + self.exchange_timeout
        with closing(self.http.send(request, stream=True)) as response:
            body = bytearray()
            for part in response.iter_bytes():
                body += part
                if len(body) > max_bytes:
                    raise RestError(
                        f"cannot {purpose.task}: it is larger than {max_bytes >> 20} MiB"
                    )
                if self.time.clock() > end:
                    raise httpx.ReadTimeout("", request=request)
            return RestResponse(
                response.status_code, response.headers, bytes(body), request.url
            )

    def _retry_pause(
        self, result: RestResponse | RestError, attempt: int, method: str
    ) -> float | None:
        # In seconds; None without a retry.
        if isinstance(result, RestResponse):
            if result.status in (FORBIDDEN, _LIMITED):
                return _rate_limit_wait(result, self.time.now())
            if result.status < _SERVER:
                return None
        if method == "POST":
            return None
        return float(2 ** (attempt - 1))

    def _payload(self, response: RestResponse, purpose: Purpose) -> Any:  # noqa: ANN401 - any JSON
        try:
            return json.loads(response.body or b"null")
        except (ValueError, RecursionError):
            text = f"cannot {purpose.task}: {self.dialect.name}'s response is not JSON"
            raise RestError(text, response.status) from None

    def _refusal_text(self, response: RestResponse, purpose: Purpose) -> str:
        status = response.status
        dialect = self.dialect
        text = f"HTTP {status}"
        message = sanitize(_message(parse_object(response.body)))[:_MAX_MESSAGE]
        if message:
            text = f"{text} {message}"

        is_rate_limit = _rate_limit_wait(response, 0.0) is not None
        if is_rate_limit and status in (FORBIDDEN, _LIMITED):
            limit = f"{dialect.name}'s rate limit asks for a longer wait than a step may take"
            return f"cannot {purpose.task}: {limit} ({text})"

        advice = ""
        if status == UNAUTHORIZED:
            advice = f"{dialect.token_variable} is not valid (any more)"
        elif status == FORBIDDEN:
            advice = dialect.permission_advice.format(purpose.permission)
        elif status == MISSING:
            advice = dialect.missing_advice.format(purpose.permission)
        if advice:
            text = f"{text}; {advice}"
        return f"cannot {purpose.task}: {text}"


def _message(form: Mapping[str, Any]) -> str:
    """Return the message of an error: `message` (GitHub, GitLab, Azure), or `error` and its message
    (Bitbucket).
    """
    return str(
        form.get("message")
        or as_object(form.get("error")).get("message")
        or form.get("error")
        or ""
    )


def _rate_limit_wait(response: RestResponse, now: float) -> float | None:
    """Return the seconds that a rate limit asks for; None for another refusal."""
    retry_after = _header(response, "retry-after")
    reset = _header(response, "ratelimit-reset")
    remaining = _header(response, "ratelimit-remaining")
    if retry_after.isascii() and retry_after.isdecimal() and len(retry_after) < 8:  # noqa: PLR2004 - months
        return float(retry_after)
    if remaining == "0" and reset.isascii() and reset.isdecimal() and len(reset) < 12:  # noqa: PLR2004 - far future
        return max(float(reset) - now, 0.0) + 1
    if response.status == _LIMITED or b"rate limit" in response.body[:4096].lower():
        return _MINUTE
    return None


def _header(response: RestResponse, name: str) -> str:
    """Return a header under its name, or under that of an extension; empty without one."""
    headers = response.headers
    return headers.get(name) or headers.get(f"x-{name}") or ""


def _parse_url(text: str) -> httpx.URL:
    """Return a URL; an empty one in place of an invalid one."""
    try:
        return httpx.URL(text)
    except (httpx.InvalidURL, ValueError):
        return httpx.URL()
