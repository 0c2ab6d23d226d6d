"""How a tenant gives a list in pages: five styles, each with its names; a discriminated union by `style`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final, Literal

from pydantic import Discriminator, Field, Tag

from reconciler.manifest.fields import MEMBER, PARAMETER, Strict, Unset

Member = Annotated[str, Field(pattern=MEMBER)]
Parameter = Annotated[str, Field(pattern=PARAMETER)]

STYLES: Final = ("page-number", "skip-top", "next-link", "scroll-token", "all-at-once")


class PageNumber(Strict):
    """Pages have numbers, and each says how many entries there are in all."""

    style: Literal["page-number"] = Field(
        default="page-number", description="Pages have numbers, and each says how many entries there are in all."
    )
    page: Parameter = Field(
        default="pageNumber", description="Query parameter that holds the page's number.", examples=["pageNumber"]
    )
    first: Literal[0, 1] = Field(default=1, description="The number of the first page, which is 0 or 1.")
    size: Parameter = Field(
        default="pageSize", description="Query parameter that says how many a page may hold.", examples=["pageSize"]
    )
    total: Member = Field(
        default="total", description="Member of an answer: how many entries there are in all.", examples=["total"]
    )
    next: Member = Field(
        default="nextUri",
        description="Member of an answer: the link to the next page. It is never followed, but must not lead elsewhere"
        " or back.",
        examples=["nextUri"],
    )


class SkipTop(Strict):
    """A page begins behind so many entries, and says how many there are in all."""

    style: Literal["skip-top"] = Field(
        default="skip-top", description="A page begins behind so many entries, and says how many there are in all."
    )
    skip: Parameter = Field(
        default="skip", description="Query parameter: how many entries are left out in front.", examples=["skip"]
    )
    top: Parameter = Field(
        default="top", description="Query parameter that says how many a page may hold.", examples=["top"]
    )
    total: Member = Field(
        default="totalRecords",
        description="Member of an answer: how many entries there are in all.",
        examples=["totalRecords"],
    )
    next: Member = Field(
        default="_links.next",
        description="Member of an answer: the link to the next page. It is never followed, but must not lead elsewhere"
        " or back.",
        examples=["_links.next"],
    )


class NextLink(Strict):
    """Each page has a link to the next one; the last has none."""

    style: Literal["next-link"] = Field(
        default="next-link", description="Each page has a link to the next one; the last has none."
    )
    size: Unset[Parameter] = Field(
        default=None, description="Query parameter that says how many a page may hold, if any.", examples=["limit"]
    )
    total: Unset[Member] = Field(
        default=None,
        description="Member of an answer: how many entries there are in all. Without one, every list is read twice.",
        examples=["total"],
    )
    next: Member = Field(
        default="_links.next",
        description="Member of an answer: the link to the next page, at the same address but for its query.",
        examples=["_links.next"],
    )


class ScrollToken(Strict):
    """Each page has a token with which the next one is asked for; at the end there is none, or nothing comes."""

    style: Literal["scroll-token"] = Field(
        default="scroll-token",
        description="Each page has a token with which the next one is asked for, until there is none or nothing comes.",
    )
    parameter: Parameter = Field(
        default="scrollToken", description="Query parameter that holds the token.", examples=["scrollToken"]
    )
    size: Unset[Parameter] = Field(
        default=None, description="Query parameter that says how many a page may hold, if any.", examples=["size"]
    )
    total: Unset[Member] = Field(
        default=None,
        description="Member of an answer: how many entries there are in all. Without one, every list is read twice.",
        examples=["hits"],
    )
    token: Member = Field(
        default="scrollToken",
        description="Member of an answer: the token with which to ask for the next page.",
        examples=["scrollToken"],
    )


class AllAtOnce(Strict):
    """One answer holds the whole list."""

    style: Literal["all-at-once"] = Field(default="all-at-once", description="One answer holds the whole list.")
    total: Unset[Member] = Field(
        default=None,
        description="Member of an answer: how many entries there are in all. Without one, every list is read twice.",
        examples=["total"],
    )


AnyPaging = PageNumber | SkipTop | NextLink | ScrollToken | AllAtOnce


def _style(value: object) -> str | None:
    """Name the style that was meant, so that its errors alone are told."""
    found = value.get("style") if isinstance(value, Mapping) else getattr(value, "style", None)
    return found if isinstance(found, str) and found in STYLES else None


Paging = Annotated[
    Annotated[PageNumber, Tag("page-number")]
    | Annotated[SkipTop, Tag("skip-top")]
    | Annotated[NextLink, Tag("next-link")]
    | Annotated[ScrollToken, Tag("scroll-token")]
    | Annotated[AllAtOnce, Tag("all-at-once")],
    Discriminator(
        _style,
        custom_error_type="CXR104",
        custom_error_message=f"paging needs a `style`, one of {', '.join(STYLES)}",
    ),
]
