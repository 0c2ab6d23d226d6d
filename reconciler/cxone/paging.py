"""Queues where the platform itself has them, as far as public documents and SDKs tell (docs/profiles.md).

One list of a tenant: how its pages are asked for, and what one of them says. Five styles (manifest/kinds/profile.py).

Links and tokens are the server's, and hostile: of a link nothing is followed but the query, at the address of the list
itself, and only where the link leads there (invariants F32).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs, urlencode, urlsplit

from reconciler.cxone.profile_mapping import Dialect, id_of_number, queue
from reconciler.cxone.settings import Server, Tenant
from reconciler.errors import UnexpectedAnswerError, UsageError
from reconciler.manifest.kinds.profile import (
    AllAtOnce,
    Listed,
    ListedQueues,
    NextLink,
    PageNumber,
    ScrollToken,
    SkipTop,
)
from reconciler.text.strict_json import member

if TYPE_CHECKING:
    from collections.abc import Callable

    from reconciler.manifest.kinds.tenant_api import Api


_MOST: Final = 1_000_000
_DIGITS: Final = 18
_QUERY: Final = re.compile(r"[!-\"$-~]{0,4000}", re.ASCII)
_TOTALS: Final = ("total", "totalRecords", "totalCount", "totalHits", "hits")
_LINKS: Final = (
    "nextUri",
    "next",
    "nextPage",
    "_links.next",
    "links.next",
    "scrollToken",
    "nextPageToken",
    "nextToken",
)
"""What lists call these: a profile that names others does not make the first page of a list the whole."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """What one answer says. `total` is None where it does not say how many there are in all."""

    entities: list[dict[str, Any]]
    total: int | None = None
    following: str = ""
    """The query of the next page; empty at the end, and where pages are counted."""
    token: str = ""
    """The token that `following` is made of: some servers give the same one until nothing is left."""
    more: str = ""
    """What else the answer says of there being more than the profile knows of."""


class Book:
    """One list: rules, or queues."""

    def __init__(
        self,
        what: str,
        path: str,
        listed: Listed,
        size: int,
        server: Callable[[], Server],
        ours: Callable[[Any], Any] = lambda form: form,
    ) -> None:
        """`server` is where the API is, once that is known; `ours` puts an entry under our names."""
        self.what, self.path, self.paging = what, path, listed.paging
        self._listed, self._size, self._server, self._ours = listed, size, server, ours

    @property
    def call(self) -> str:
        """Return which kind of call asks for a page."""
        return "list or nothing" if self._listed.no_content else "list"

    @property
    def counted(self) -> bool:
        """Say whether answers tell how many there are in all."""
        return self.paging.total is not None

    @property
    def numbered(self) -> bool:
        """Say whether any page can be asked for once the first is known."""
        return isinstance(self.paging, PageNumber | SkipTop)

    def query(self, index: int = 0, length: int = 0) -> str:
        """Return how a page is asked for: the first, or that of an index where pages have a length."""
        match self.paging:
            case PageNumber() as by:
                return urlencode({by.page: by.first + index, by.size: self._size})
            case SkipTop() as by:
                return urlencode({by.skip: index * length, by.top: self._size})
            case NextLink() | ScrollToken() as by:
                return urlencode({by.size: self._size}) if by.size else ""
            case AllAtOnce():
                return ""

    def read(self, form: object, asked: str) -> Page:
        """Read an answer to a query; None stands for status 204. Raises UnexpectedAnswerError, naming what is wrong."""
        if form is None and self._listed.no_content:
            return Page(entities=[])
        entities = member(form, self._listed.list)
        if not isinstance(entities, list):
            where = "is no list" if self._listed.list == "." else f"has no list `{self._listed.list}`"
            raise UnexpectedAnswerError(f"a page of {self.what} {where}")
        entities, total = self._entities(entities), self._total(form)
        following, token = self._following(form, asked)
        return Page(entities=entities, total=total, following=following, token=token, more=self._more(form))

    def _entities(self, entities: list[Any]) -> list[dict[str, Any]]:
        name, numbers = self._listed.id, self._listed.ids == "number"
        for entity in entities:
            found = entity.get(name) if isinstance(entity, dict) else None
            if not (type(found) is int and isinstance(id_of_number(found), str) if numbers else isinstance(found, str)):
                kind = "number" if numbers else "text"
                raise UnexpectedAnswerError(f"a page of {self.what} has an entry without a {kind} `{name}`")
        return list(map(self._ours, entities))

    def _total(self, form: object) -> int | None:
        if self.paging.total is None:
            return None
        total = member(form, self.paging.total)
        if not isinstance(total, int) or isinstance(total, bool) or not 0 <= total <= _MOST:
            raise UnexpectedAnswerError(f"a page of {self.what} has no usable `{self.paging.total}`")
        return total

    def _following(self, form: object, asked: str) -> tuple[str, str]:
        """Return the query of the next page, and the token that it is made of, if any."""
        match self.paging:
            case PageNumber() as by:
                self._check_position(member(form, by.next), by.page, asked)
            case SkipTop() as by:
                self._check_position(member(form, by.next), by.skip, asked)
            case NextLink() as by:
                return self._query_of(member(form, by.next), by.next), ""
            case ScrollToken() as by:
                token = self._text(member(form, by.token), by.token)
                size = {by.size: self._size} if by.size else {}
                return (urlencode({by.parameter: token, **size}), token) if token else ("", "")
            case AllAtOnce():
                pass
        return "", ""

    def _more(self, form: object) -> str:
        """Return what says that there is more than the profile knows of; a total is compared at the end."""
        if not isinstance(form, dict):
            return ""
        known = [getattr(self.paging, name, None) for name in ("next", "token")]
        return next((name for name in _LINKS if name not in known and _is_link(member(form, name))), "")

    def totals(self, form: object) -> int:
        """Return the most that an answer says there are, under any name."""
        found = [form[name] for name in _TOTALS if type(form.get(name)) is int] if isinstance(form, dict) else []
        return max(found, default=0)

    def _query_of(self, link: object, name: str) -> str:
        """Return the query of a link to the next page; none at the end."""
        text = self._text(link, name)
        if not text:
            return ""
        path, query = self._parts(text, name)
        ours = (self.path, f"{self._server().path}{self.path}")
        if path.rstrip("/") not in [one.rstrip("/") for one in ours] or not _QUERY.fullmatch(query) or not query:
            raise UnexpectedAnswerError(f"a page of {self.what} links to another path for the next one; not followed")
        return query

    def _text(self, found: object, name: str) -> str:
        if found is not None and not isinstance(found, str):
            raise UnexpectedAnswerError(f"a page of {self.what} has a `{name}` that is no text")
        return found or ""

    def _parts(self, link: str, name: str) -> tuple[str, str]:
        """Return path and query of a link to this very server."""
        try:
            parts = urlsplit(link)
        except ValueError:
            raise UnexpectedAnswerError(f"a page of {self.what} has a `{name}` that is none") from None
        if (parts.scheme or parts.netloc) and not self._is_here(f"{parts.scheme}://{parts.netloc}"):
            raise UnexpectedAnswerError(f"a page of {self.what} links to another host for the next one; not followed")
        return parts.path, parts.query

    def _is_here(self, origin: str) -> bool:
        try:
            return Server.of(origin).origin == self._server().origin
        except UsageError:
            return False

    def _check_position(self, link: object, parameter: str, asked: str) -> None:
        """A counted list's link is never followed; one that leads elsewhere, or back, says that this is no CXone."""
        if not isinstance(link, str):
            return
        _, query = self._parts(link, "next")
        at = int(parse_qs(asked)[parameter][0])
        for text in parse_qs(query).get(parameter, []):
            if text.isascii() and text.isdigit() and len(text) <= _DIGITS and int(text) <= at:
                raise UnexpectedAnswerError(
                    f"a page of {self.what} links back for the next one: from {parameter} {at} to {text}"
                )


def rules_of(tenant: Tenant, dialect: Dialect, server: Callable[[], Server]) -> Book:
    """Return the list of rules."""
    listed = tenant.profile.rules
    return Book("rules", tenant.rules_path, listed, tenant.page_size, server, dialect.rule)


def queues_of(tenant: Tenant, server: Callable[[], Server]) -> Book:
    """Return the list of queues."""
    listed = tenant.queues
    return Book("queues", tenant.queues_path, listed, tenant.page_size, server, lambda form: queue(form, listed))


def _is_link(found: object) -> bool:
    return isinstance(found, str) and found != ""


def platform_queues_of(api: Api, otherwise: ListedQueues) -> ListedQueues:
    """Return where and how the environment's queues are read; `otherwise` is the profile's list beside the rules."""
    match api.queues:
        case "acd-skills":
            return skills(api.skills_version)
        case "digital":
            return ROUTING_QUEUES
    return otherwise


def skills(version: int) -> ListedQueues:
    """Return the list of ACD skills: numeric ids, 204 where there is none."""
    return ListedQueues.model_validate(
        {
            "path": f"/inContactAPI/services/v{version}.0/skills",
            "paging": {"style": "skip-top"},
            "list": "skills",
            "id": "skillId",
            "ids": "number",
            "name": "skillName",
            "active": "isActive",
            "noContent": True,
        }
    )


ROUTING_QUEUES: Final = ListedQueues.model_validate(
    {
        "path": "/dfo/3.0/routing-queues",
        "paging": {"style": "scroll-token", "size": "size", "total": "hits"},
        "list": "data",
        "noContent": True,
    }
)
