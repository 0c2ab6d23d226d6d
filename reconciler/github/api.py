"""GitHub's REST API: requests with the token, pages, waits for rate limits, and errors as one sentence."""

from __future__ import annotations

import json
import time as clocks
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import httpx

from reconciler.errors import CxrouteError
from reconciler.text.escape import sanitize

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MAX_PAGES: Final = 100  # ten thousand comments: nobody reads such a pull request
_ATTEMPTS: Final = 4
_MINUTE: Final = 60.0  # what GitHub asks for where a limit comes without a time
_MAX_RESPONSE_BYTES: Final = 16 << 20
_MAX_MESSAGE: Final = 200
_OK, _MULTIPLE, _REFUSED, _UNAUTHORIZED, _FORBIDDEN, _MISSING, _LIMITED, _SERVER = (
    200,
    300,
    400,
    401,
    403,
    404,
    429,
    500,
)


class GitHubError(CxrouteError):
    """A failed request to GitHub; `status` is 0 without a response."""

    kind = "GitHub"

    def __init__(self, message: str, status: int = 0) -> None:
        """Keep the HTTP status beside the message."""
        self.status = status
        super().__init__(message)


class Purpose(NamedTuple):
    """A request's task, as it follows "cannot", and the permission that a job needs for it."""

    task: str
    permission: str


class GitHubClock(NamedTuple):
    """A monotonic clock, the time of day in seconds, and sleep."""

    clock: Callable[[], float] = clocks.monotonic
    now: Callable[[], float] = clocks.time
    sleep: Callable[[float], object] = clocks.sleep


class GitHubResponse(NamedTuple):
    """A response."""

    status: int
    headers: httpx.Headers
    body: bytes
    next_page: str | None


@dataclass(kw_only=True)
class GitHub:
    """A repository on GitHub, through one token that goes to `base` alone."""

    http: httpx.Client
    base: str
    repository: str
    token: str = field(repr=False)
    time: GitHubClock = field(default_factory=GitHubClock)
    wait_budget: float = 120.0  # seconds that all waits together may take
    exchange_timeout: float = 60.0  # seconds that one exchange may take

    def get(self, path: str, purpose: Purpose) -> Any:  # noqa: ANN401 - any JSON
        """Return the JSON at a path of the API."""
        return _form(self._ask("GET", self.base + path, purpose), purpose)

    def get_from_repository(self, path: str, purpose: Purpose) -> Any:  # noqa: ANN401 - any JSON
        """Return the JSON at a path of the repository."""
        return self.get(f"/repos/{self.repository}{path}", purpose)

    def pages(self, path: str, purpose: Purpose) -> Iterator[dict[str, Any]]:
        """Yield every object of a list, page after page."""
        url: str | None = f"{self.base}/repos/{self.repository}{path}"
        for _ in range(MAX_PAGES):
            answer = self._ask("GET", str(url), purpose)
            found = _form(answer, purpose)
            if not isinstance(found, list):
                raise GitHubError(f"cannot {purpose.task}: what GitHub answers is no list")
            yield from (one for one in found if isinstance(one, dict))
            url = answer.next_page
            if url is None:
                return
            if not self._is_same_server(url):
                raise GitHubError(f"cannot {purpose.task}: the next page is said to be on another host")
        raise GitHubError(f"cannot {purpose.task}: there are more than {MAX_PAGES} pages")

    def post(self, path: str, payload: object, purpose: Purpose) -> dict[str, Any]:
        """Create an object. A request that may have been executed is not repeated."""
        return self._send_json("POST", path, payload, purpose)

    def patch(self, path: str, payload: object, purpose: Purpose) -> dict[str, Any]:
        """Change an object."""
        return self._send_json("PATCH", path, payload, purpose)

    def download(self, path: str, max_bytes: int, purpose: Purpose) -> bytes:
        """Return a file from the location that GitHub names; the token is not sent there."""
        first = self._ask("GET", f"{self.base}/repos/{self.repository}{path}", purpose, _MAX_RESPONSE_BYTES)
        if first.status < _MULTIPLE:
            raise GitHubError(f"cannot {purpose.task}: GitHub does not say where it is")
        place = self._download_url(first.headers.get("location", ""))
        if place is None:
            raise GitHubError(f"cannot {purpose.task}: it is said to be where nothing of GitHub's is kept")
        request = self.http.build_request("GET", place, headers={"Accept-Encoding": "identity"})
        answer = self._send_with_retries(request, purpose, max_bytes)
        if answer.status != _OK:
            raise GitHubError(f"cannot {purpose.task}: HTTP {answer.status} where GitHub keeps it", answer.status)
        return answer.body

    def _download_url(self, place: str) -> httpx.URL | None:
        """Return an address to fetch without a token: https, or the API's host if that is plain http; else None."""
        try:
            url, base = httpx.URL(place), httpx.URL(self.base)
        except (httpx.InvalidURL, ValueError):
            return None
        local = base.scheme == "http" and url.scheme == "http" and url.host == base.host
        return url if url.host and (url.scheme == "https" or local) else None

    def _is_same_server(self, url: str) -> bool:
        try:
            there, here = httpx.URL(url), httpx.URL(self.base)
        except (httpx.InvalidURL, ValueError):
            return False
        return (there.scheme, there.host, there.port) == (here.scheme, here.host, here.port) and not there.userinfo

    def _send_json(self, method: str, path: str, form: object, purpose: Purpose) -> dict[str, Any]:
        url = f"{self.base}/repos/{self.repository}{path}"
        found = _form(self._ask(method, url, purpose, content=json.dumps(form).encode()), purpose)
        return found if isinstance(found, dict) else {}

    def _ask(
        self, method: str, url: str, purpose: Purpose, largest: int = _MAX_RESPONSE_BYTES, content: bytes | None = None
    ) -> GitHubResponse:
        headers = {
            "Accept": "application/vnd.github+json",
            "Accept-Encoding": "identity",
            "Authorization": f"Bearer {self.token}",
            "User-Agent": "cxroute",
            "X-GitHub-Api-Version": "2022-11-28",
        }
        request = self.http.build_request(method, url, headers=headers, content=content)
        answer = self._send_with_retries(request, purpose, largest)
        if answer.status >= _REFUSED:
            raise GitHubError(_refusal_text(answer, purpose), answer.status)
        return answer

    def _send_with_retries(self, request: httpx.Request, purpose: Purpose, largest: int) -> GitHubResponse:
        """Send a request, and repeat it after a rate limit; after a fault only if it is not a POST."""
        for attempt in range(1, _ATTEMPTS + 1):
            answer = self._once(request, purpose, largest)
            wait = self._wait(answer, attempt, request.method)
            if isinstance(answer, GitHubResponse) and wait is None:
                return answer
            if wait is None or wait > self.wait_budget or attempt == _ATTEMPTS:
                if isinstance(answer, GitHubResponse):
                    return answer
                raise answer
            self.wait_budget -= wait
            self.time.sleep(wait)
        raise AssertionError("the last attempt returns or raises")

    def _once(self, request: httpx.Request, purpose: Purpose, largest: int) -> GitHubResponse | GitHubError:
        try:
            return self._exchange(request, purpose, largest)
        except httpx.HTTPError as error:
            kind = "took too long" if isinstance(error, httpx.TimeoutException) else "cannot be reached"
            return GitHubError(f"cannot {purpose.task}: {request.url.host} {kind}")

    def _exchange(self, request: httpx.Request, purpose: Purpose, largest: int) -> GitHubResponse:
        end = self.time.clock() + self.exchange_timeout
        response = self.http.send(request, stream=True)
        try:
            body = bytearray()
            for part in response.iter_bytes():
                body += part
                if len(body) > largest:
                    raise GitHubError(f"cannot {purpose.task}: it is larger than {largest >> 20} MiB")
                if self.time.clock() > end:
                    raise httpx.ReadTimeout("", request=request)
            following = response.links.get("next", {}).get("url")
            return GitHubResponse(response.status_code, response.headers, bytes(body), following)
        finally:
            response.close()

    def _wait(self, answer: GitHubResponse | GitHubError, attempt: int, method: str) -> float | None:
        """Return the seconds before a retry; None without a retry."""
        again = float(2 ** (attempt - 1)) if method != "POST" else None
        if isinstance(answer, GitHubError):
            return again
        if answer.status in (_FORBIDDEN, _LIMITED):
            return _rate_limit_wait(answer, self.time.now())
        return again if answer.status >= _SERVER else None


def _rate_limit_wait(answer: GitHubResponse, now: float) -> float | None:
    """Return the seconds that a rate limit asks for; None for another refusal."""
    headers = answer.headers
    asked = headers.get("retry-after", "")
    if asked.isascii() and asked.isdecimal() and len(asked) < 8:  # noqa: PLR2004 - months
        return float(asked)
    reset = headers.get("x-ratelimit-reset", "")
    if headers.get("x-ratelimit-remaining") == "0" and reset.isascii() and reset.isdecimal() and len(reset) < 12:  # noqa: PLR2004 - far future
        return max(float(reset) - now, 0.0) + 1
    limited = answer.status == _LIMITED or b"rate limit" in answer.body[:4096].lower()
    return _MINUTE if limited else None


def _form(answer: GitHubResponse, purpose: Purpose) -> Any:  # noqa: ANN401 - any JSON
    try:
        return json.loads(answer.body or b"null")
    except (ValueError, RecursionError):
        raise GitHubError(f"cannot {purpose.task}: what GitHub answers is no JSON", answer.status) from None


def _refusal_text(answer: GitHubResponse, purpose: Purpose) -> str:
    try:
        form = json.loads(answer.body)
        said = sanitize(str(form.get("message", "")))[:_MAX_MESSAGE] if isinstance(form, dict) else ""
    except (ValueError, RecursionError):
        said = ""
    told = f"HTTP {answer.status}{f' {said}' if said else ''}"
    if _rate_limit_wait(answer, 0.0) is not None and answer.status in (_FORBIDDEN, _LIMITED):
        return f"cannot {purpose.task}: GitHub's rate limit asks for a longer wait than a step may take ({told})"
    advice = {
        _UNAUTHORIZED: "GITHUB_TOKEN is not valid (any more)",
        _FORBIDDEN: f"the job needs `permissions: {purpose.permission}`",
        _MISSING: f"it is not there, or the job lacks `permissions: {purpose.permission}`",
    }.get(answer.status, "")
    return f"cannot {purpose.task}: {told}{f'; {advice}' if advice else ''}"
