"""GitHub's REST API: requests with the token, pages, waits for rate limits, and errors as one sentence."""

import json
import time as clocks
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import httpx

from reconciler.errors import CxrouteError
from reconciler.github.actions import as_object
from reconciler.text.escape import sanitize

BOT: Final = "github-actions[bot]"  # the login of a workflow's token
MAX_PAGES: Final = 100  # ten thousand comments
_ATTEMPTS: Final = 4
_MINUTE: Final = 60.0  # for a rate limit without a time
_MAX_RESPONSE_BYTES: Final = 16 << 20
_MAX_MESSAGE: Final = 200
_OK, _MULTIPLE, _REFUSED, _LIMITED, _SERVER = 200, 300, 400, 429, 500
_UNAUTHORIZED, _FORBIDDEN, _MISSING = 401, 403, 404


class GitHubError(CxrouteError, kind="GitHub"):
    """A failed request to GitHub; `status` is 0 without a response."""

    def __init__(self, message: str, status: int = 0) -> None:
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


class Post(NamedTuple):
    """A comment or an issue, and the login of its author."""

    id: int
    author: str
    body: str

    @classmethod
    def parse(cls, item: dict[str, Any], id_name: str) -> "Post":
        """Return the post in an object of the API."""
        body = item.get("body")
        author = str(as_object(item.get("user")).get("login", ""))
        return cls(int(item.get(id_name) or 0), author, body if isinstance(body, str) else "")


class Skip(NamedTuple):
    """The decision to write nothing, for a reason."""

    reason: str


class GitHubResponse(NamedTuple):
    """A response."""

    status: int
    headers: httpx.Headers
    body: bytes
    next_page: str | None


@dataclass(kw_only=True)
class GitHub:
    """A repository on GitHub, through one token that is sent only to `base`."""

    http: httpx.Client
    base: str
    repository: str
    token: str = field(repr=False)
    time: GitHubClock = field(default_factory=GitHubClock)
    wait_budget: float = 120.0  # seconds of all waits together
    exchange_timeout: float = 60.0  # seconds of one exchange

    def get(self, path: str, purpose: Purpose) -> Any:  # noqa: ANN401 - any JSON
        """Return the JSON at a path of the API."""
        return _payload(self._request("GET", self.base + path, purpose), purpose)

    def get_object(self, path: str, purpose: Purpose) -> dict[str, Any]:
        """Return the JSON object at a path of the repository."""
        return as_object(self.get(f"/repos/{self.repository}{path}", purpose))

    def pages(self, path: str, purpose: Purpose) -> Iterator[dict[str, Any]]:
        """Yield every object of a list, page after page."""
        url, base = f"{self.base}/repos/{self.repository}{path}", httpx.URL(self.base)
        for _ in range(MAX_PAGES):
            response = self._request("GET", url, purpose)
            items = _payload(response, purpose)
            if not isinstance(items, list):
                raise GitHubError(f"cannot {purpose.task}: GitHub's response is not a list")
            yield from (item for item in items if isinstance(item, dict))
            if response.next_page is None:
                return
            url, next_page = response.next_page, _parse_url(response.next_page)
            is_same_server = all(getattr(next_page, name) == getattr(base, name) for name in ("scheme", "host", "port"))
            if not is_same_server or next_page.userinfo:
                raise GitHubError(f"cannot {purpose.task}: the link to the next page leads to another host")
        raise GitHubError(f"cannot {purpose.task}: there are more than {MAX_PAGES} pages")

    def send(self, method: str, path: str, payload: object, purpose: Purpose) -> dict[str, Any]:
        """Create an object (POST) or change it (PATCH). A POST that may have been executed is not repeated."""
        url, content = f"{self.base}/repos/{self.repository}{path}", json.dumps(payload).encode()
        return as_object(_payload(self._request(method, url, purpose, content), purpose))

    def download(self, path: str, max_bytes: int, purpose: Purpose) -> bytes:
        """Return a file from the location that GitHub names; the token is not sent there."""
        redirect = self._request("GET", f"{self.base}/repos/{self.repository}{path}", purpose)
        if redirect.status < _MULTIPLE:
            raise GitHubError(f"cannot {purpose.task}: GitHub sends no link to it")
        # The location is fetched without the token: over https, or from the API's host if that is plain http.
        url, base = _parse_url(redirect.headers.get("location", "")), httpx.URL(self.base)
        is_local = base.scheme == "http" and url.scheme == "http" and url.host == base.host
        if not url.host or not (url.scheme == "https" or is_local):
            raise GitHubError(f"cannot {purpose.task}: GitHub's link to it is not an https:// address")
        request = self.http.build_request("GET", url, headers={"Accept-Encoding": "identity"})
        response = self._send_with_retries(request, purpose, max_bytes)
        if (status := response.status) != _OK:
            raise GitHubError(f"cannot {purpose.task}: HTTP {status} from GitHub's link to it", status)
        return response.body

    def _request(self, method: str, url: str, purpose: Purpose, content: bytes | None = None) -> GitHubResponse:
        headers = {
            "Accept": "application/vnd.github+json",
            "Accept-Encoding": "identity",
            "Authorization": f"Bearer {self.token}",
            "User-Agent": "cxroute",
            "X-GitHub-Api-Version": "2022-11-28",
        }
        request = self.http.build_request(method, url, headers=headers, content=content)
        response = self._send_with_retries(request, purpose, _MAX_RESPONSE_BYTES)
        if response.status >= _REFUSED:
            raise GitHubError(_refusal_text(response, purpose), response.status)
        return response

    def _send_with_retries(self, request: httpx.Request, purpose: Purpose, max_bytes: int) -> GitHubResponse:
        """Send a request, and repeat it after a rate limit; after a fault only if it is not a POST."""
        for attempt in range(1, _ATTEMPTS + 1):
            result: GitHubResponse | GitHubError
            try:
                result = self._exchange(request, purpose, max_bytes)
            except httpx.HTTPError as error:
                kind = "took too long" if isinstance(error, httpx.TimeoutException) else "cannot be reached"
                result = GitHubError(f"cannot {purpose.task}: {request.url.host} {kind}")
            wait = self._retry_pause(result, attempt, request.method)
            if wait is None or wait > self.wait_budget or attempt == _ATTEMPTS:
                if isinstance(result, GitHubError):
                    raise result
                return result
            self.wait_budget -= wait
            self.time.sleep(wait)
        raise AssertionError("the last attempt returns or raises")

    def _exchange(self, request: httpx.Request, purpose: Purpose, max_bytes: int) -> GitHubResponse:
        end = self.time.clock() + self.exchange_timeout
        with closing(self.http.send(request, stream=True)) as response:
            body = bytearray()
            for part in response.iter_bytes():
                body += part
                if len(body) > max_bytes:
                    raise GitHubError(f"cannot {purpose.task}: it is larger than {max_bytes >> 20} MiB")
                if self.time.clock() > end:
                    raise httpx.ReadTimeout("", request=request)
            next_page = response.links.get("next", {}).get("url")
            return GitHubResponse(response.status_code, response.headers, bytes(body), next_page)

    def _retry_pause(self, result: GitHubResponse | GitHubError, attempt: int, method: str) -> float | None:
        # In seconds; None without a retry.
        if isinstance(result, GitHubResponse) and result.status in (_FORBIDDEN, _LIMITED):
            return _rate_limit_wait(result, self.time.now())
        is_fault = isinstance(result, GitHubError) or result.status >= _SERVER
        return float(2 ** (attempt - 1)) if is_fault and method != "POST" else None


def _rate_limit_wait(response: GitHubResponse, now: float) -> float | None:
    """Return the seconds that a rate limit asks for; None for another refusal."""
    retry_after, reset = (response.headers.get(name, "") for name in ("retry-after", "x-ratelimit-reset"))
    if retry_after.isascii() and retry_after.isdecimal() and len(retry_after) < 8:  # noqa: PLR2004 - months
        return float(retry_after)
    is_exhausted = response.headers.get("x-ratelimit-remaining") == "0"
    if is_exhausted and reset.isascii() and reset.isdecimal() and len(reset) < 12:  # noqa: PLR2004 - far future
        return max(float(reset) - now, 0.0) + 1
    return _MINUTE if response.status == _LIMITED or b"rate limit" in response.body[:4096].lower() else None


def _parse_url(text: str) -> httpx.URL:
    """Return a URL; an empty one in place of an invalid one."""
    try:
        return httpx.URL(text)
    except (httpx.InvalidURL, ValueError):
        return httpx.URL()


def _payload(response: GitHubResponse, purpose: Purpose) -> Any:  # noqa: ANN401 - any JSON
    try:
        return json.loads(response.body or b"null")
    except (ValueError, RecursionError):
        raise GitHubError(f"cannot {purpose.task}: GitHub's response is not JSON", response.status) from None


def _refusal_text(response: GitHubResponse, purpose: Purpose) -> str:
    text = ""
    with suppress(ValueError, RecursionError):
        text = sanitize(str(as_object(json.loads(response.body)).get("message", "")))[:_MAX_MESSAGE]
    text = f"HTTP {response.status}{f' {text}' if text else ''}"
    if _rate_limit_wait(response, 0.0) is not None and response.status in (_FORBIDDEN, _LIMITED):
        return f"cannot {purpose.task}: GitHub's rate limit asks for a longer wait than a step may take ({text})"
    advice = {
        _UNAUTHORIZED: "GITHUB_TOKEN is not valid (any more)",
        _FORBIDDEN: f"the job needs `permissions: {purpose.permission}`",
        _MISSING: f"it does not exist, or the job lacks `permissions: {purpose.permission}`",
    }.get(response.status, "")
    return f"cannot {purpose.task}: {text}{f'; {advice}' if advice else ''}"


def fetch_login(github: GitHub) -> str:
    """Return the login of the token. A workflow's token has no permission to read it."""
    try:
        login = github.get("/user", Purpose("read the token's account", "none"))
    except GitHubError as error:
        if error.status in (_FORBIDDEN, _MISSING):
            return BOT
        raise
    return str(as_object(login).get("login") or BOT)
