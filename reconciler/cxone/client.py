"""The client: a reading one and a writing one. A plan is handed the first, which has no method that writes."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

import httpx

from reconciler.change import Read
from reconciler.cxone import wire
from reconciler.cxone.auth import Tokens, wrong_credentials
from reconciler.cxone.exchange import LENIENT, Answer, exchange, reason
from reconciler.cxone.listing import complete
from reconciler.cxone.pace import Pacer
from reconciler.errors import (
    AmbiguousWriteError,
    ApiError,
    ChangedMeanwhileError,
    CredentialsError,
    GoneError,
    NameTakenError,
    OverloadedError,
    RejectedError,
    ScopeError,
    UnexpectedAnswerError,
    UnreachableError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from reconciler.change import LiveRule, Marker
    from reconciler.cxone.pace import Time
    from reconciler.cxone.settings import Credentials, Tenant
    from reconciler.model import Queue, Rule

_REJECTED: Final = {404: GoneError, 409: NameTakenError, 412: ChangedMeanwhileError}


class ReadingClient:
    """Reads a tenant's rules and queues."""

    def __init__(
        self,
        http: httpx.AsyncClient,
        tenant: Tenant,
        credentials: Credentials,
        time: Time,
        progress: Callable[[str, int, int], None] = lambda _what, _done, _all: None,
    ) -> None:
        """`progress` is told what is read, how many pages of it are done, and of how many."""
        tenant.check()
        self._http, self._tenant, self._credentials, self._time = http, tenant, credentials, time
        self._progress = progress
        self.pacer = Pacer(tenant.requests_per_second, tenant.concurrency, time, tenant.run_seconds)
        self._tokens = Tokens(self._fetch_token, time.clock)

    async def rules(self) -> tuple[LiveRule, ...]:
        """Return every live rule, in no particular order. Raises IncompleteReadError where that cannot be proven."""
        forms = await complete(self._page(self._tenant.rules_path), "rules", self._time, self.pacer, self._progress)
        return tuple(map(wire.live_rule, forms))

    async def queues(self) -> tuple[Queue, ...]:
        """Return every queue."""
        forms = await complete(self._page(self._tenant.queues_path), "queues", self._time, self.pacer, self._progress)
        return tuple(map(wire.queue, forms))

    async def rule(self, rule_id: str) -> Read | None:
        """Return one rule as it is now, or None where it is gone."""
        try:
            answer = await self._call("GET", self._rule_path(rule_id))
        except GoneError:
            return None
        live = wire.live_rule(answer.json())
        if live.id != rule_id:
            raise UnexpectedAnswerError(f"{answer.call}: another rule came, {live.id[:64]!r}")
        return Read(live, _sendable(answer.headers.get("etag")))

    def _page(self, path: str) -> Callable[[int], Any]:
        async def page(number: int) -> object:
            answer = await self._call("GET", path, params={"pageNumber": number, "pageSize": self._tenant.page_size})
            return answer.json()

        return page

    def _rule_path(self, rule_id: str) -> str:
        """Quote the id into the path. Ids come from the server: dots alone would lead out of the rules."""
        if rule_id in ("", ".", "..") or not wire.is_text(rule_id):
            raise UnexpectedAnswerError(f"{rule_id[:64]!r} cannot be the id of a rule")
        return f"{self._tenant.rules_path}/{quote(rule_id, safe='')}"

    async def _call(
        self,
        method: str,
        path: str,
        body: object = None,
        params: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Make one call with a token; a refused token is renewed once."""
        content = None if body is None else json.dumps(body, allow_nan=False).encode()
        token = await self._tokens.token()
        for turn in (1, 2):
            request = self._http.build_request(
                method,
                f"{self._tenant.base_url}{path}",
                params=params,
                content=content,
                headers={"Authorization": f"Bearer {token}", **_headers(content), **(headers or {})},
            )
            answer = await self._exchange(request)
            if answer.status != httpx.codes.UNAUTHORIZED:
                return self._checked(answer)
            if turn == 1:
                token = await self._tokens.token(refused=token)
        raise CredentialsError("the tenant refuses a token that it has just given; check the client's rights")

    def _checked(self, answer: Answer) -> Answer:
        """Translate the statuses that are final."""
        if answer.status < httpx.codes.MULTIPLE_CHOICES:
            return answer
        why = f"{answer.call}: status {answer.status}, {self._explanation(answer)}"
        if answer.status == httpx.codes.FORBIDDEN:
            scope = "routing:read" if answer.call.startswith("GET ") else "routing:write"
            raise ScopeError(f"the client lacks the scope {scope} ({why})")
        raise _REJECTED.get(answer.status, RejectedError)(why, answer.status)

    def _explanation(self, answer: Answer) -> str:
        return answer.explanation((*self._credentials.forms(), *self._tokens.given))

    async def _fetch_token(self) -> object:
        form = {
            "grant_type": "client_credentials",
            "client_id": self._credentials.client_id,
            "client_secret": self._credentials.client_secret,
        }
        request = self._http.build_request("POST", self._tenant.token_url, data=form, headers=_headers(None))
        answer = await self._exchange(request)
        if answer.status in (400, 401, 403):
            raise wrong_credentials(self._explanation(answer))
        if answer.status != httpx.codes.OK:
            raise UnexpectedAnswerError(f"no token: status {answer.status} ({self._explanation(answer)})")
        return answer.json(LENIENT)

    async def _exchange(self, request: httpx.Request) -> Answer:
        """Send a request, again within the budget where that is safe: reads always, writes when nothing was done."""
        attempt = 0
        while True:
            attempt += 1
            self.pacer.check()
            result = await self._try(request)
            if isinstance(result, Answer):
                return result
            if isinstance(result.error, AmbiguousWriteError) or not self.pacer.may_retry(attempt):
                self.pacer.give_up_if_down()
                raise result.error
            await self.pacer.wait(attempt, hold=result.hold)

    async def _try(self, request: httpx.Request) -> Answer | _Failure:
        """Send a request once. Raises what asking again would not change."""
        safe = request.method == "GET" or request.url == httpx.URL(self._tenant.token_url)
        call = f"{request.method} {request.url.path}"
        try:
            async with self.pacer.slot():
                answer = await exchange(self._http, request, self._tenant.timeout_seconds, self._time)
        except httpx.ConnectError as failure:
            return _Failure(UnreachableError(f"{request.url.host} cannot be reached: {reason(failure)}"))
        except (httpx.TransportError, TimeoutError) as failure:
            return _Failure(_lost(call, reason(failure), safe))
        except UnexpectedAnswerError as failure:
            if safe:
                raise UnexpectedAnswerError(f"{call}: {failure}") from failure
            raise AmbiguousWriteError(f"{call}: {failure}") from failure
        if answer.status == httpx.codes.TOO_MANY_REQUESTS:
            hold = self.pacer.retry_after(answer.headers.get("retry-after"))
            return _Failure(OverloadedError(f"{call}: the tenant says that this is too fast (429)"), hold)
        if answer.status >= httpx.codes.INTERNAL_SERVER_ERROR:
            return _Failure(_lost(call, f"status {answer.status}, {self._explanation(answer)}", safe))
        self.pacer.answered = True
        return answer


class WritingClient(ReadingClient):
    """Reads, creates, updates and deletes rules."""

    async def create(self, rule: Rule, marker: Marker) -> LiveRule:
        """Create a rule and return it as the server answered."""
        return _written(await self._call("POST", self._tenant.rules_path, wire.body(rule, marker)))

    async def update(self, read: Read, rule: Rule, marker: Marker) -> LiveRule:
        """Replace a rule that was just read; what we do not know of it goes back as it was."""
        path, headers = self._rule_path(read.live.id), {"If-Match": read.etag} if read.etag else {}
        return _written(await self._call("PUT", path, wire.body(rule, marker, read.live.raw), headers=headers))

    async def delete(self, read: Read) -> None:
        """Delete a rule that was just read; one that is gone already is a success."""
        headers = {"If-Match": read.etag} if read.etag else {}
        try:
            await self._call("DELETE", self._rule_path(read.live.id), headers=headers)
        except GoneError:
            return


def _sendable(etag: str | None) -> str | None:
    """Return the ETag if it can go back in a header; a rule without a usable one is compared before it is written."""
    return etag if etag and etag.isascii() and etag.isprintable() else None


def _written(answer: Answer) -> LiveRule:
    """Read the answer to a write; one that cannot be used leaves open what was written."""
    try:
        return wire.live_rule(answer.json())
    except UnexpectedAnswerError as error:
        raise AmbiguousWriteError(f"the write was answered with status {answer.status}, but {error}") from error


@dataclass(frozen=True, slots=True)
class _Failure:
    """An attempt that may be repeated. `hold` is for how long the server asked every call to wait."""

    error: ApiError
    hold: float | None = None


def _lost(call: str, why: str, safe: bool) -> ApiError:  # noqa: FBT001 - whether the call changes nothing
    if safe:
        return OverloadedError(f"{call}: no usable answer: {why}")
    return AmbiguousWriteError(f"{call}: nobody knows whether it was done: {why}")


def _headers(content: bytes | None) -> dict[str, str]:
    accepted = {"Accept": "application/json", "Accept-Encoding": "gzip"}
    return accepted if content is None else {**accepted, "Content-Type": "application/json"}
