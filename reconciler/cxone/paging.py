"""One list of a tenant: queries for its pages, and parsing of a page. Five styles (manifest/kinds/profile.py).

Links and tokens are untrusted: only the query of a link is used, at the list's own address, and only if the link leads
to that address (invariants F32).
"""

import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qs, urlencode, urlsplit

from reconciler.cxone.profile_mapping import ProfileMapper, canonical_queue, id_from_number
from reconciler.cxone.settings import ServerUrl, TenantSettings
from reconciler.errors import UnexpectedResponseError, UsageError
from reconciler.manifest.kinds import profile as kinds
from reconciler.manifest.kinds.environment import Api
from reconciler.text.json_values import as_object, find_member, number_at

_MAX_TOTAL: Final = 1_000_000
_DIGITS: Final = 18
_QUERY: Final = re.compile(r"[!-\"$-~]{0,4000}", re.ASCII)
_TOTAL_NAMES: Final = ("total", "totalRecords", "totalCount", "totalHits", "hits")
# Usual names of a link to the next page: with a profile that has others, the first page is not the full list.
_LINK_NAMES: Final = (
    *("nextUri", "next", "nextPage", "_links.next", "links.next"),
    *("scrollToken", "nextPageToken", "nextToken"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One page. `total` is None if the response does not hold one."""

    entities: list[dict[str, Any]]
    total: int | None = None
    next_query: str = ""  # empty at the end, and for numbered pages
    token: str = ""  # the token in `next_query`; some servers repeat one until the end
    unknown_link: str = ""  # a link to more entries that the profile does not know


class ListEndpoint:
    """One list: rules, or queues."""

    def __init__(
        self,
        names: tuple[str, str],
        list_settings: kinds.ListSettings,
        page_size: int,
        server: Callable[[], ServerUrl],
        to_canonical: Callable[[Any], Any],
    ) -> None:
        """`names`: a noun, and the path. `server`: the API server, once known. `to_canonical` renames fields."""
        self.noun, self.path = names
        self.paging: Final = list_settings.paging
        self._list_settings, self._page_size = list_settings, page_size
        self._server, self._to_canonical = server, to_canonical
        self.call = "list or nothing" if list_settings.no_content else "list"  # name of the call for a page
        self.has_total = self.paging.total is not None  # in each response
        self.is_numbered = isinstance(self.paging, kinds.PageNumber | kinds.SkipTop)  # any page can be requested

    def page_query(self, index: int = 0, length: int = 0) -> str:
        """Return the query for the first page, or for the page with an index, given the pages' length."""
        match self.paging:
            case kinds.PageNumber() as paging:
                return urlencode({paging.page: paging.first + index, paging.size: self._page_size})
            case kinds.SkipTop() as paging:
                return urlencode({paging.skip: index * length, paging.top: self._page_size})
            case kinds.NextLink() | kinds.ScrollToken() as paging:
                return urlencode({paging.size: self._page_size}) if paging.size else ""
            case kinds.AllAtOnce():
                return ""

    def parse_page(self, data: object, query: str) -> Page:
        """Parse the response to a query; None means status 204. Raises UnexpectedResponseError."""
        if data is None and self._list_settings.no_content:
            return Page(entities=[])
        entities = find_member(data, self._list_settings.list)
        if not isinstance(entities, list):
            where = "is not a list" if self._list_settings.list == "." else f"has no list `{self._list_settings.list}`"
            raise UnexpectedResponseError(f"a page of {self.noun} {where}")
        name, numbers = self._list_settings.id, self._list_settings.ids == "number"
        for entity in entities:
            value = entity.get(name) if isinstance(entity, dict) else None
            is_number = type(value) is int and isinstance(id_from_number(value), str)
            if not (is_number if numbers else isinstance(value, str)):
                kind = "number" if numbers else "text"
                raise UnexpectedResponseError(f"a page of {self.noun} has an entry without a {kind} `{name}`")
        entities, total = list(map(self._to_canonical, entities)), None
        if self.paging.total is not None:
            total = find_member(data, self.paging.total)
            if not isinstance(total, int) or isinstance(total, bool) or not 0 <= total <= _MAX_TOTAL:
                raise UnexpectedResponseError(f"a page of {self.noun} has no usable `{self.paging.total}`")
        next_query, token = self._next_query(data, query)
        link = self._unknown_link(data)
        return Page(entities=entities, total=total, next_query=next_query, token=token, unknown_link=link)

    def _next_query(self, payload: object, query: str) -> tuple[str, str]:
        """Return the query of the next page, and the token in it, if any."""
        match self.paging:
            case kinds.PageNumber(next=name, page=parameter) | kinds.SkipTop(next=name, skip=parameter):
                self._check_position(find_member(payload, name), parameter, query)
            case kinds.NextLink() as paging:
                link = self._member_text(payload, paging.next)
                return self._link_query(link, paging.next) if link else "", ""
            case kinds.ScrollToken() as paging:
                token = self._member_text(payload, paging.token)
                size = {paging.size: self._page_size} if paging.size else {}
                return (urlencode({paging.parameter: token, **size}), token) if token else ("", "")
        return "", ""

    def _member_text(self, payload: object, name: str) -> str:
        text = find_member(payload, name)
        if text is not None and not isinstance(text, str):
            raise UnexpectedResponseError(f"a page of {self.noun} has a `{name}` that is not text")
        return text or ""

    def _unknown_link(self, payload: object) -> str:
        """Return the name of a link to more entries that the profile does not know."""
        profile_names = [getattr(self.paging, name, None) for name in ("next", "token")]
        links = ((name, find_member(payload, name)) for name in _LINK_NAMES if name not in profile_names)
        return next((name for name, link in links if isinstance(link, str) and link), "")

    def largest_total(self, data: object) -> int:
        """Return the largest total in a response, under any name."""
        return max(number_at(as_object(data), name) for name in _TOTAL_NAMES)

    def _link_query(self, link: str, name: str) -> str:
        path, query = self._split_link(link, name)
        paths = [own.rstrip("/") for own in (self.path, f"{self._server().path}{self.path}")]
        if path.rstrip("/") not in paths or not _QUERY.fullmatch(query) or not query:
            raise UnexpectedResponseError(f"a page of {self.noun} links to another path for the next one; not followed")
        return query

    def _split_link(self, link: str, name: str) -> tuple[str, str]:
        """Return path and query of a link to the API server."""
        try:
            parts = urlsplit(link)
        except ValueError:
            raise UnexpectedResponseError(f"a page of {self.noun} has a `{name}` that is not a URL") from None
        is_own = not parts.scheme and not parts.netloc
        with suppress(UsageError):
            is_own = is_own or ServerUrl.parse(f"{parts.scheme}://{parts.netloc}").origin == self._server().origin
        if not is_own:
            raise UnexpectedResponseError(f"a page of {self.noun} links to another host for the next one; not followed")
        return parts.path, parts.query

    def _check_position(self, link: object, parameter: str, query: str) -> None:
        """Raise UnexpectedResponseError for a link back or to another host. Links of counted lists are not followed."""
        if not isinstance(link, str):
            return
        _, next_query = self._split_link(link, "next")
        position = int(parse_qs(query)[parameter][0])
        for text in parse_qs(next_query).get(parameter, []):
            if text.isascii() and text.isdigit() and len(text) <= _DIGITS and int(text) <= position:
                step = f"from {parameter} {position} to {text}"
                raise UnexpectedResponseError(f"a page of {self.noun} links back for the next one: {step}")


def rules_endpoint(tenant: TenantSettings, mapper: ProfileMapper, server: Callable[[], ServerUrl]) -> ListEndpoint:
    """Return the list of rules."""
    names = ("rules", tenant.rules_path)
    return ListEndpoint(names, tenant.profile.rules, tenant.page_size, server, mapper.canonical_rule)


def queues_endpoint(tenant: TenantSettings, server: Callable[[], ServerUrl]) -> ListEndpoint:
    """Return the list of queues."""
    names, profile = ("queues", tenant.queues_path), tenant.queues
    return ListEndpoint(names, profile, tenant.page_size, server, lambda entry: canonical_queue(entry, profile))


def choose_queue_list(api: Api, default: kinds.ListedQueues) -> kinds.ListedQueues:
    """Return the environment's list of queues; `default` is the profile's list."""
    digital = ROUTING_QUEUES if api.queues == "digital" else default
    return skills_list(api.skills_version) if api.queues == "acd-skills" else digital


def skills_list(version: int) -> kinds.ListedQueues:
    """Return the list of ACD skills: numeric ids, 204 for an empty list."""
    path, paging = f"/inContactAPI/services/v{version}.0/skills", {"style": "skip-top"}
    names = {"list": "skills", "id": "skillId", "ids": "number", "name": "skillName", "active": "isActive"}
    return kinds.ListedQueues.model_validate({"path": path, "paging": paging, **names, "noContent": True})


_DIGITAL_PAGING: Final = {"style": "scroll-token", "size": "size", "total": "hits"}
ROUTING_QUEUES: Final = kinds.ListedQueues.model_validate(
    {"path": "/dfo/3.0/routing-queues", "paging": _DIGITAL_PAGING, "list": "data", "noContent": True}
)
