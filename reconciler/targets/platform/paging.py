"""One list of a tenant: queries for its pages, and parsing of a page (manifest/kinds/profile.py).

Links and tokens are untrusted (invariants F32): no link is followed, and a link to another host
or to an earlier page is an error.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, Final
from urllib.parse import parse_qs, urlencode, urlsplit

from reconciler.core.errors import UnexpectedResponseError, UsageError
from reconciler.core.manifest.kinds import profile as kinds
from reconciler.core.manifest.kinds.environment import Api
from reconciler.core.text.json_values import as_object, find_member, number_at
from reconciler.targets.platform.profile_mapping import (
    ProfileMapper,
    canonical_queue,
    id_from_number,
)
from reconciler.targets.platform.settings import ServerUrl, TenantSettings

_MAX_TOTAL: Final = 1_000_000
_MAX_DIGITS: Final = 18
_TOTAL_NAMES: Final = ("total", "totalRecords", "totalCount", "totalHits", "hits")
# Usual names of a link to the next page: with a profile that has others, the first page is not
# the full list.
_LINK_NAMES: Final = (
    *("nextUri", "next", "nextPage", "_links.next", "links.next"),
    *("scrollToken", "nextPageToken", "nextToken"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One page."""

    entities: list[dict[str, Any]]
    total: int | None = None  # None for a response without content
    token: str = ""  # for the next page; empty at the end, and for numbered pages
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
        """`names`: a noun, and the path. `to_canonical` renames the fields of an entry."""
        self.noun, self.path = names
        self._paging: Final = list_settings.paging
        self._list_settings = list_settings
        self._page_size = page_size
        self._server = server
        self._to_canonical = to_canonical
        # The name of the call for a page:
        self.call = "list or nothing" if list_settings.no_content else "list"
        # Whether any page can be requested:
        self.is_numbered = not isinstance(self._paging, kinds.ScrollToken)

    def page_query(self, index: int = 0, length: int = 0, token: str = "") -> str:
        """Return the query for the page with an index, given the pages' length, or with a token."""
        match self._paging:
            case kinds.PageNumber() as paging:
                position = {
                    paging.page: paging.first + index,
                    paging.size: self._page_size,
                }
            case kinds.SkipTop() as paging:
                position = {paging.skip: index * length, paging.top: self._page_size}
            case kinds.ScrollToken() as paging:
                position = {paging.size: self._page_size}
                if token:
                    return urlencode({paging.parameter: token, **position})
        return urlencode(position)

    def parse_page(self, data: object, query: str) -> Page:
        """Parse the response to a query; None means status 204. Raises UnexpectedResponseError."""
        if data is None and self._list_settings.no_content:
            return Page(entities=[])
        return Page(
            entities=[self._to_canonical(entry) for entry in self._entries(data)],
            total=self._total(data),
            token=self._next_token(data, query),
            unknown_link=self._unknown_link(data),
        )

    def _entries(self, data: object) -> list[dict[str, Any]]:
        """Return a page's entries, each with an id of the profile's type."""
        member = self._list_settings.list
        entries = find_member(data, member)
        if not isinstance(entries, list):
            raise UnexpectedResponseError(
                f"a page of {self.noun} has no list `{member}`"
            )
        name = self._list_settings.id
        kind = self._list_settings.ids
        for entry in entries:
            value = entry.get(name) if isinstance(entry, dict) else None
            if kind == "number":
                is_valid = type(value) is int and isinstance(id_from_number(value), str)
            else:
                is_valid = isinstance(value, str)
            if not is_valid:
                problem = f"has an entry without a {kind} `{name}`"
                raise UnexpectedResponseError(f"a page of {self.noun} {problem}")
        return entries

    def _total(self, data: object) -> int:
        name = self._paging.total
        total = find_member(data, name)
        if type(total) is not int or not 0 <= total <= _MAX_TOTAL:
            raise UnexpectedResponseError(
                f"a page of {self.noun} has no usable `{name}`"
            )
        return total

    def _next_token(self, data: object, query: str) -> str:
        """Return the token of the next page, if any; check the link of a numbered page."""
        match self._paging:
            case kinds.PageNumber(next=name, page=parameter):
                self._check_link(find_member(data, name), parameter, query)
                return ""
            case kinds.SkipTop(next=name, skip=parameter):
                self._check_link(find_member(data, name), parameter, query)
                return ""
            case kinds.ScrollToken(token=name):
                token = find_member(data, name)
                if token is not None and not isinstance(token, str):
                    problem = f"has a `{name}` that is not text"
                    raise UnexpectedResponseError(f"a page of {self.noun} {problem}")
                return token or ""

    def _unknown_link(self, data: object) -> str:
        """Return the name of a link to more entries that the profile does not know."""
        paging = self._paging
        known = paging.token if isinstance(paging, kinds.ScrollToken) else paging.next
        for name in _LINK_NAMES:
            link = find_member(data, name)
            if name != known and isinstance(link, str) and link:
                return name
        return ""

    def largest_total(self, data: object) -> int:
        """Return the largest total in a response, under any name."""
        return max(number_at(as_object(data), name) for name in _TOTAL_NAMES)

    def _check_link(self, link: object, parameter: str, query: str) -> None:
        """Raise UnexpectedResponseError for a link back or to another host."""
        if not isinstance(link, str):
            return
        try:
            parts = urlsplit(link)
        except ValueError:
            problem = "has a link to the next one that is not a URL"
            raise UnexpectedResponseError(f"a page of {self.noun} {problem}") from None
        is_own = not parts.scheme and not parts.netloc
        with suppress(UsageError):
            origin = f"{parts.scheme}://{parts.netloc}"
            is_own = is_own or ServerUrl.parse(origin).origin == self._server().origin
        if not is_own:
            problem = "links to another host for the next one; not followed"
            raise UnexpectedResponseError(f"a page of {self.noun} {problem}")
        self._check_link_back(parts.query, parameter, query)

    def _check_link_back(self, link_query: str, parameter: str, query: str) -> None:
        """Raise UnexpectedResponseError for a link to an earlier page, or to the same one."""
        position = int(parse_qs(query)[parameter][0])
        for text in parse_qs(link_query).get(parameter, []):
            is_number = text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS
            if is_number and int(text) <= position:
                step = f"from {parameter} {position} to {text}"
                problem = f"links back for the next one: {step}"
                raise UnexpectedResponseError(f"a page of {self.noun} {problem}")


def rules_endpoint(
    tenant: TenantSettings,
    mapper: ProfileMapper,
    server: Callable[[], ServerUrl],
) -> ListEndpoint:
    """Return the list of rules."""
    names = ("rules", tenant.rules_path)
    rules = tenant.profile.rules
    return ListEndpoint(names, rules, tenant.page_size, server, mapper.canonical_rule)


def queues_endpoint(
    tenant: TenantSettings, server: Callable[[], ServerUrl]
) -> ListEndpoint:
    """Return the list of queues."""
    names = ("queues", tenant.queues_path)
    queues = tenant.queues
    to_canonical = partial(canonical_queue, list_profile=queues)
    return ListEndpoint(names, queues, tenant.page_size, server, to_canonical)


def choose_queue_list(api: Api, default: kinds.ListedQueues) -> kinds.ListedQueues:
    """Return the environment's list of queues; `default` is the profile's list."""
    if api.queues == "acd-skills":
        return skills_list(api.skills_version)
    return ROUTING_QUEUES if api.queues == "digital" else default


def skills_list(version: int) -> kinds.ListedQueues:
    """Return the list of ACD skills: numeric ids, 204 for an empty list."""
    settings = {
        "path": f"/inContactAPI/services/v{version}.0/skills",
        "paging": {"style": "skip-top"},
        "list": "skills",
        "id": "skillId",
        "ids": "number",
        "name": "skillName",
        "active": "isActive",
        "noContent": True,
    }
    return kinds.ListedQueues.model_validate(settings)


ROUTING_QUEUES: Final = kinds.ListedQueues.model_validate(
    {
        "path": "/dfo/3.0/routing-queues",
        "paging": {"style": "scroll-token"},
        "list": "data",
        "noContent": True,
    }
)
