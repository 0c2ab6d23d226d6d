"""One list of a tenant: queries for its pages, and parsing of a page. Five styles (manifest/kinds/profile.py).

Links and tokens are untrusted: only the query of a link is used, at the list's own address, and only if the link leads
to that address (invariants F32).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs, urlencode, urlsplit

from reconciler.cxone.profile_mapping import ProfileMapper, canonical_queue, id_from_number
from reconciler.cxone.settings import ServerUrl, TenantSettings
from reconciler.errors import UnexpectedResponseError, UsageError
from reconciler.manifest.kinds.profile import (
    AllAtOnce,
    ListedQueues,
    ListSettings,
    NextLink,
    PageNumber,
    ScrollToken,
    SkipTop,
)
from reconciler.text.strict_json import find_member

if TYPE_CHECKING:
    from collections.abc import Callable

    from reconciler.manifest.kinds.tenant_api import Api

_MAX_TOTAL: Final = 1_000_000
_DIGITS: Final = 18
_QUERY: Final = re.compile(r"[!-\"$-~]{0,4000}", re.ASCII)
_TOTAL_NAMES: Final = ("total", "totalRecords", "totalCount", "totalHits", "hits")
_LINK_NAMES: Final = (
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
    """One page. `total` is None if the response does not hold one."""

    entities: list[dict[str, Any]]
    total: int | None = None
    next_query: str = ""  # the query of the next page; empty at the end, and where pages are counted
    token: str = ""  # the token that `next_query` is made of: some servers give the same one until nothing is left
    unknown_link: str = ""  # what else the answer says of there being more than the profile knows of


class ListEndpoint:
    """One list: rules, or queues."""

    def __init__(
        self,
        noun: str,
        path: str,
        list_profile: ListSettings,
        page_size: int,
        server: Callable[[], ServerUrl],
        to_canonical: Callable[[Any], Any] = lambda form: form,
    ) -> None:
        """`server` returns the API server, once known; `to_canonical` renames the fields of an entry."""
        self.noun, self.path, self.paging = noun, path, list_profile.paging
        self._list_profile, self._page_size, self._server, self._to_canonical = (
            list_profile,
            page_size,
            server,
            to_canonical,
        )

    @property
    def call(self) -> str:
        """Return the name of the call for a page."""
        return "list or nothing" if self._list_profile.no_content else "list"

    @property
    def has_total(self) -> bool:
        """Return whether responses hold a total."""
        return self.paging.total is not None

    @property
    def is_numbered(self) -> bool:
        """Return whether any page can be requested once the first is known."""
        return isinstance(self.paging, PageNumber | SkipTop)

    def page_query(self, index: int = 0, length: int = 0) -> str:
        """Return the query for the first page, or for a page by its index and the pages' length."""
        match self.paging:
            case PageNumber() as by:
                return urlencode({by.page: by.first + index, by.size: self._page_size})
            case SkipTop() as by:
                return urlencode({by.skip: index * length, by.top: self._page_size})
            case NextLink() | ScrollToken() as by:
                return urlencode({by.size: self._page_size}) if by.size else ""
            case AllAtOnce():
                return ""

    def parse_page(self, data: object, query: str) -> Page:
        """Parse the response to a query; None stands for status 204. Raises UnexpectedResponseError."""
        if data is None and self._list_profile.no_content:
            return Page(entities=[])
        entities = find_member(data, self._list_profile.list)
        if not isinstance(entities, list):
            where = "is no list" if self._list_profile.list == "." else f"has no list `{self._list_profile.list}`"
            raise UnexpectedResponseError(f"a page of {self.noun} {where}")
        entities, total = self._check_entities(entities), self._total(data)
        following, token = self._next_query(data, query)
        return Page(
            entities=entities, total=total, next_query=following, token=token, unknown_link=self._unknown_link(data)
        )

    def _check_entities(self, entities: list[Any]) -> list[dict[str, Any]]:
        name, numbers = self._list_profile.id, self._list_profile.ids == "number"
        for entity in entities:
            found = entity.get(name) if isinstance(entity, dict) else None
            if not (
                type(found) is int and isinstance(id_from_number(found), str) if numbers else isinstance(found, str)
            ):
                kind = "number" if numbers else "text"
                raise UnexpectedResponseError(f"a page of {self.noun} has an entry without a {kind} `{name}`")
        return list(map(self._to_canonical, entities))

    def _total(self, form: object) -> int | None:
        if self.paging.total is None:
            return None
        total = find_member(form, self.paging.total)
        if not isinstance(total, int) or isinstance(total, bool) or not 0 <= total <= _MAX_TOTAL:
            raise UnexpectedResponseError(f"a page of {self.noun} has no usable `{self.paging.total}`")
        return total

    def _next_query(self, form: object, asked: str) -> tuple[str, str]:
        match self.paging:
            case PageNumber() as by:
                self._check_position(find_member(form, by.next), by.page, asked)
            case SkipTop() as by:
                self._check_position(find_member(form, by.next), by.skip, asked)
            case NextLink() as by:
                return self._link_query(find_member(form, by.next), by.next), ""
            case ScrollToken() as by:
                token = self._text(find_member(form, by.token), by.token)
                size = {by.size: self._page_size} if by.size else {}
                return (urlencode({by.parameter: token, **size}), token) if token else ("", "")
            case AllAtOnce():
                pass
        return "", ""

    def _unknown_link(self, form: object) -> str:
        if not isinstance(form, dict):
            return ""
        known = [getattr(self.paging, name, None) for name in ("next", "token")]
        return next((name for name in _LINK_NAMES if name not in known and _is_link(find_member(form, name))), "")

    def largest_total(self, data: object) -> int:
        """Return the largest total in a response, under any name."""
        found = [data[name] for name in _TOTAL_NAMES if type(data.get(name)) is int] if isinstance(data, dict) else []
        return max(found, default=0)

    def _link_query(self, link: object, name: str) -> str:
        text = self._text(link, name)
        if not text:
            return ""
        path, query = self._split_link(text, name)
        ours = (self.path, f"{self._server().path}{self.path}")
        if path.rstrip("/") not in [one.rstrip("/") for one in ours] or not _QUERY.fullmatch(query) or not query:
            raise UnexpectedResponseError(f"a page of {self.noun} links to another path for the next one; not followed")
        return query

    def _text(self, found: object, name: str) -> str:
        if found is not None and not isinstance(found, str):
            raise UnexpectedResponseError(f"a page of {self.noun} has a `{name}` that is no text")
        return found or ""

    def _split_link(self, link: str, name: str) -> tuple[str, str]:
        try:
            parts = urlsplit(link)
        except ValueError:
            raise UnexpectedResponseError(f"a page of {self.noun} has a `{name}` that is none") from None
        if (parts.scheme or parts.netloc) and not self._is_same_server(f"{parts.scheme}://{parts.netloc}"):
            raise UnexpectedResponseError(f"a page of {self.noun} links to another host for the next one; not followed")
        return parts.path, parts.query

    def _is_same_server(self, origin: str) -> bool:
        try:
            return ServerUrl.parse(origin).origin == self._server().origin
        except UsageError:
            return False

    def _check_position(self, link: object, parameter: str, asked: str) -> None:
        """Links of counted lists are not followed; one to another place or back raises UnexpectedResponseError."""
        if not isinstance(link, str):
            return
        _, query = self._split_link(link, "next")
        at = int(parse_qs(asked)[parameter][0])
        for text in parse_qs(query).get(parameter, []):
            if text.isascii() and text.isdigit() and len(text) <= _DIGITS and int(text) <= at:
                raise UnexpectedResponseError(
                    f"a page of {self.noun} links back for the next one: from {parameter} {at} to {text}"
                )


def rules_endpoint(tenant: TenantSettings, mapper: ProfileMapper, server: Callable[[], ServerUrl]) -> ListEndpoint:
    """Return the list of rules."""
    listed = tenant.profile.rules
    return ListEndpoint("rules", tenant.rules_path, listed, tenant.page_size, server, mapper.canonical_rule)


def queues_endpoint(tenant: TenantSettings, server: Callable[[], ServerUrl]) -> ListEndpoint:
    """Return the list of queues."""
    listed = tenant.queues
    return ListEndpoint(
        "queues", tenant.queues_path, listed, tenant.page_size, server, lambda form: canonical_queue(form, listed)
    )


def _is_link(found: object) -> bool:
    return isinstance(found, str) and found != ""


def choose_queue_list(api: Api, default: ListedQueues) -> ListedQueues:
    """Return the environment's list of queues; `default` is the profile's list beside the rules."""
    match api.queues:
        case "acd-skills":
            return skills_list(api.skills_version)
        case "digital":
            return ROUTING_QUEUES
    return default


def skills_list(version: int) -> ListedQueues:
    """Return the list of ACD skills: numeric ids, 204 for an empty list."""
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
