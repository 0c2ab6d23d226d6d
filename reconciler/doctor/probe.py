"""Single calls, each as it came: for `doctor`, which wants to see what the client makes up for or translates."""

from __future__ import annotations

import math
from dataclasses import replace
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import urlsplit

from reconciler.cxone import rule_json as wire
from reconciler.cxone.auth import Access
from reconciler.cxone.client import rule_path
from reconciler.cxone.paging import Book, queues_of, rules_of
from reconciler.cxone.profile_mapping import Dialect
from reconciler.cxone.transport.rate_limiter import Tell, Time, untold
from reconciler.cxone.transport.request import (
    ACCEPTED,
    LENIENT,
    Answer,
    Carry,
    LostError,
    NotSentError,
    Request,
    UntrustedError,
    reason,
)
from reconciler.doctor.check import Kind, Reply
from reconciler.errors import NotOfferedError, UnexpectedAnswerError, UnreachableError
from reconciler.text.escape import sanitize
from reconciler.text.strict_json import STRICT

if TYPE_CHECKING:
    from reconciler.cxone.settings import Credentials, Tenant
    from reconciler.cxone.transport.sender import Kind as Call
    from reconciler.model.live import LiveRule
    from reconciler.model.rule import Queue


_TRIES: Final = 2
_WAIT: Final = 1.0
_LONGEST_WAIT: Final = 5.0
LONGEST: Final = 10.0
"""Seconds for one call, where the tenant is not given less."""
_REDIRECTS: Final = (301, 302, 303, 307, 308)
_PASSING: Final = (408, 429, 500, 502, 503, 504)


class FirstPage(NamedTuple):
    """What the first page of a list holds. `total` is None where the answer does not say how many there are in all."""

    forms: list[dict[str, object]]
    total: int | None
    whole: bool
    """There is no other page."""

    @property
    def rules(self) -> list[LiveRule]:
        """Return the rules. Raises UnexpectedAnswerError."""
        return [wire.live_rule(form) for form in self.forms]

    @property
    def queues(self) -> list[Queue]:
        """Return the queues. Raises UnexpectedAnswerError."""
        return [wire.queue(form) for form in self.forms]


class Probe:
    """Asks a tenant single things, twice where the first answer may have been bad luck."""

    def __init__(self, carry: Carry, tenant: Tenant, credentials: Credentials, time: Time, tell: Tell = untold) -> None:
        """`carry` is one that lets reads through alone; `tell` is told what is waited for."""
        self._carry, self._tenant, self._time, self._tell = carry, tenant, time, tell
        self._access = Access(tenant, credentials, self._for_access, time.clock)
        self._dialect = Dialect(tenant.profile)
        self.replies: list[Reply] = []

    async def open(self) -> Reply:
        """Ask for a token, wherever tokens are; return how it came. Raises ApiError, and the last reply tells more."""
        await self._access.token()
        return next(reply for reply in reversed(self.replies) if reply.call.startswith("POST"))

    async def rules(self) -> tuple[Reply, FirstPage | None]:
        """Ask for the first page of rules."""
        return await self._first(rules_of(self._tenant, self._dialect, lambda: self._access.base))

    async def queues(self) -> tuple[Reply, FirstPage | None]:
        """Ask for the first page of queues."""
        return await self._first(queues_of(self._tenant, lambda: self._access.base))

    async def rule(self, rule_id: str) -> Reply:
        """Ask for one rule. Raises UnexpectedAnswerError for an id that cannot be one."""
        return await self._get(rule_path(self._tenant.rules_path, rule_id))

    async def _first(self, book: Book) -> tuple[Reply, FirstPage | None]:
        query = book.query()
        reply = await self._get(f"{book.path}?{query}" if query else book.path)
        if reply.status == HTTPStatus.NO_CONTENT and book.call == "list or nothing":
            reply = replace(reply, kind="json")
        if not reply.good:
            return reply, None
        try:
            page = book.read(reply.form, query)
        except UnexpectedAnswerError as error:
            return replace(reply, kind="strange", said=str(error)), None
        there = book.totals(reply.form) if page.total is None else page.total
        whole = len(page.entities) >= there and not page.following and not page.more
        return reply, FirstPage(page.entities, page.total, whole)

    async def _get(self, path: str) -> Reply:
        base = self._access.base
        headers = {"Authorization": f"Bearer {await self._access.token()}", **ACCEPTED}
        reply, answer = await self._ask(Request("GET", base, f"{base.path}{path}", headers))
        if reply.good and answer is not None and self._dialect.refuses(answer):
            return replace(reply, kind="denied", said=self._access.explanation(answer))
        return reply

    async def _for_access(self, request: Request, _call: Call) -> Answer:
        reply, answer = await self._ask(request)
        if answer is None:
            raise UnreachableError(f"{reply.call}: {reply.said}")
        if reply.kind == "redirect":
            raise NotOfferedError(f"{reply.call}: the server redirects to another place")
        if answer.is_success and reply.kind != "json":
            raise UnexpectedAnswerError(f"{reply.call}: the answer is no JSON")
        return answer

    async def _ask(self, request: Request) -> tuple[Reply, Answer | None]:
        for tries in range(1, _TRIES + 1):
            reply, answer = await self._once(request, tries)
            if not _passes(reply) or tries == _TRIES:
                self.replies.append(reply)
                return reply, answer
            wait, brief = _wait(reply), f"HTTP {reply.status} from {reply.call}" if reply.status else reply.call
            self._tell(brief, f"waiting for the tenant: {brief}, attempt {tries + 1} in {math.ceil(wait)} s", wait)
            await self._time.sleep(wait)
        raise AssertionError("the last try returns")

    async def _once(self, request: Request, tries: int) -> tuple[Reply, Answer | None]:
        before = self._time.now()
        try:
            async with self._time.deadline(min(self._tenant.timeout_seconds, LONGEST)):
                answer = await self._carry(request)
        except TimeoutError:
            return Reply(call=request.call, kind="silent", tries=tries), None
        except (LostError, UnexpectedAnswerError) as error:
            return Reply(call=request.call, kind=_of_failure(error), said=reason(error), tries=tries), None
        middle = before + (self._time.now() - before) / 2
        skew = _ahead(answer.headers.get("date", ""), middle.timestamp())
        return self._read(answer, skew, tries)

    def _read(self, answer: Answer, skew: float | None, tries: int) -> tuple[Reply, Answer]:
        said, kind = "", _kind(answer)
        if kind == "redirect":
            said = _host(answer.headers.get("location", ""))
        elif kind == "json":
            try:
                answer = answer._replace(form=answer.json(LENIENT if answer.call.startswith("POST") else STRICT))
            except UnexpectedAnswerError:
                kind = "garbled"
        if answer.status >= HTTPStatus.BAD_REQUEST and kind == "json":
            said = self._access.explanation(answer)
        return Reply(
            call=answer.call,
            kind=kind,
            status=answer.status,
            said=said,
            form=answer.form,
            headers=answer.headers,
            skew=skew,
            tries=tries,
        ), answer


def _kind(answer: Answer) -> Kind:
    if answer.status in _REDIRECTS:
        return "redirect"
    if not answer.content.strip():
        return "nothing"
    return "page" if answer.is_page() else "json"


def _of_failure(error: Exception) -> Kind:
    if isinstance(error, UnexpectedAnswerError):
        return "too-large"
    if isinstance(error, UntrustedError):
        return "untrusted"
    return "unreachable" if isinstance(error, NotSentError) else "broken"


def _passes(reply: Reply) -> bool:
    """Say whether another try may end otherwise."""
    return reply.status in _PASSING or reply.kind in ("silent", "broken", "unreachable")


def _host(location: str) -> str:
    """Return the host that a redirect leads to; what else stands there may be a session's."""
    try:
        return sanitize(urlsplit(location).hostname or "", 100)
    except ValueError:
        return ""


def _ahead(date: str, now: float) -> float | None:
    try:
        return parsedate_to_datetime(date).timestamp() - now
    except (ValueError, TypeError, OverflowError):
        return None


def _wait(reply: Reply) -> float:
    asked = reply.headers.get("retry-after", "")
    if asked.isascii() and asked.isdecimal() and len(asked) < 6:  # noqa: PLR2004 - nobody waits longer
        return min(float(asked), _LONGEST_WAIT)
    return _WAIT
