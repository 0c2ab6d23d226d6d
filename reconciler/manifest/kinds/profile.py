"""Profile: the names and manners of one kind of tenant's API. The defaults are the tutorial's contract.

What a tenant calls the parts of a rule: fields, types and operators.

Names are one to one, or what is read could not be written back as it was.

How a tenant gives a list in pages: five styles, each with its names; a discriminated union by `style`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final, Literal, Self

from pydantic import AfterValidator, Discriminator, Field, GetPydanticSchema, Tag, model_validator
from pydantic_core import PydanticCustomError, core_schema

from reconciler.manifest.kinds.fields import (
    API_PATH,
    API_VERSION,
    CONTEXT_PATH,
    DOT_OR_MEMBER,
    FIELD,
    HEADER,
    MEMBER,
    MESSAGE,
    PARAMETER,
    WORD,
    Omittable,
    ShortList,
    Slug,
    StrictModel,
)
from reconciler.model.rule import OPERATORS
from reconciler.text.escape import quote_name

FieldName = Annotated[str, Field(pattern=FIELD)]
TenantWord = Annotated[str, Field(pattern=WORD)]
Operator = Annotated[str, GetPydanticSchema(lambda _source, _handler: core_schema.literal_schema(sorted(OPERATORS)))]


def require_distinct(*names: str) -> None:
    """Refuse two meanings of one name."""
    for place, name in enumerate(names):
        if name in names[:place]:
            raise PydanticCustomError("CXR104", f"two meanings have one name, {quote_name(name)}")


class _NameTable(StrictModel):
    """Names of one kind of part, by ours."""

    def tenant_names(self) -> dict[str, str]:
        """Return each of our names and the tenant's."""
        return {name: str(found) for name, found in self.model_dump(by_alias=True).items()}


class RuleNames(_NameTable):
    """What the fields of a rule are called; its id's name is in `rules`."""

    name: FieldName = Field(default="name", description="Field that holds a rule's name.", examples=["name"])
    description: FieldName = Field(
        default="description",
        description="Field that holds a rule's description; it must keep a text of several lines.",
        examples=["description"],
    )
    priority: FieldName = Field(
        default="priority", description="Field that holds a rule's priority.", examples=["priority"]
    )
    enabled: FieldName = Field(
        default="enabled", description="Field that says with true or false whether a rule is on.", examples=["enabled"]
    )
    conditions: FieldName = Field(
        default="conditions", description="Field that holds the list of a rule's conditions.", examples=["conditions"]
    )
    targets: FieldName = Field(
        default="targets", description="Field that holds the list of a rule's targets.", examples=["targets"]
    )
    date_created: FieldName = Field(
        default="dateCreated",
        description="Field that holds when a rule was made, as an ISO 8601 date and time: of several copies of one"
        " rule the oldest one is ours.",
        examples=["dateCreated"],
    )


class ConditionNames(_NameTable):
    """What the fields of a condition are called, and which type of condition asks about an attribute."""

    type: FieldName = Field(default="type", description="Field that holds a condition's type.", examples=["type"])
    attribute_name: FieldName = Field(
        default="attributeName",
        description="Field that holds the name of the attribute that is asked about.",
        examples=["attributeName"],
    )
    operator: FieldName = Field(
        default="operator", description="Field that holds a condition's operator.", examples=["operator"]
    )
    value: FieldName = Field(default="value", description="Field that holds a condition's value.", examples=["value"])
    attribute: TenantWord = Field(
        default="attribute",
        description="The type of a condition that asks about an attribute.",
        examples=["attribute"],
    )

    @model_validator(mode="after")
    def _check_distinct(self) -> Self:
        require_distinct(self.type, self.attribute_name, self.operator, self.value)
        return self

    def tenant_names(self) -> dict[str, str]:
        """Return each of our names and the tenant's, without the type's value."""
        return {ours: theirs for ours, theirs in super().tenant_names().items() if ours != "attribute"}


class TargetNames(_NameTable):
    """What the fields of a target are called, which type of target is a queue, and how its id is written."""

    type: FieldName = Field(default="type", description="Field that holds a target's type.", examples=["type"])
    queue_id: FieldName = Field(
        default="queueId", description="Field that holds the id of a target's queue.", examples=["queueId"]
    )
    weight: FieldName = Field(default="weight", description="Field that holds a target's weight.", examples=["weight"])
    queue: TenantWord = Field(default="queue", description="The type of a target that is a queue.", examples=["queue"])
    queue_ids: Literal["text", "number"] = Field(
        default="text", description="Whether a target's queue id is a text or a whole number in JSON."
    )

    @model_validator(mode="after")
    def _check_distinct(self) -> Self:
        require_distinct(self.type, self.queue_id, self.weight)
        return self

    def tenant_names(self) -> dict[str, str]:
        """Return each of our names and the tenant's."""
        return {ours: theirs for ours, theirs in super().tenant_names().items() if ours not in ("queue", "queueIds")}


def operator_names(overrides: Mapping[str, str]) -> dict[str, str]:
    """Return the tenant's name of every operator; one that is not given has the name that manifests use."""
    return {name: overrides.get(name, name) for name in sorted(OPERATORS)}


def _check_operators(overrides: dict[str, str]) -> dict[str, str]:
    require_distinct(*operator_names(overrides).values())
    return overrides


OperatorNames = Annotated[dict[Operator, TenantWord], AfterValidator(_check_operators)]


Member = Annotated[str, Field(pattern=MEMBER)]
Parameter = Annotated[str, Field(pattern=PARAMETER)]

PAGING_STYLES: Final = ("page-number", "skip-top", "next-link", "scroll-token", "all-at-once")


class PageNumber(StrictModel):
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


class SkipTop(StrictModel):
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


class NextLink(StrictModel):
    """Each page has a link to the next one; the last has none."""

    style: Literal["next-link"] = Field(
        default="next-link", description="Each page has a link to the next one; the last has none."
    )
    size: Omittable[Parameter] = Field(
        default=None, description="Query parameter that says how many a page may hold, if any.", examples=["limit"]
    )
    total: Omittable[Member] = Field(
        default=None,
        description="Member of an answer: how many entries there are in all. Without one, every list is read twice.",
        examples=["total"],
    )
    next: Member = Field(
        default="_links.next",
        description="Member of an answer: the link to the next page, at the same address but for its query.",
        examples=["_links.next"],
    )


class ScrollToken(StrictModel):
    """Each page has a token with which the next one is asked for; at the end there is none, or nothing comes."""

    style: Literal["scroll-token"] = Field(
        default="scroll-token",
        description="Each page has a token with which the next one is asked for, until there is none or nothing comes.",
    )
    parameter: Parameter = Field(
        default="scrollToken", description="Query parameter that holds the token.", examples=["scrollToken"]
    )
    size: Omittable[Parameter] = Field(
        default=None, description="Query parameter that says how many a page may hold, if any.", examples=["size"]
    )
    total: Omittable[Member] = Field(
        default=None,
        description="Member of an answer: how many entries there are in all. Without one, every list is read twice.",
        examples=["hits"],
    )
    token: Member = Field(
        default="scrollToken",
        description="Member of an answer: the token with which to ask for the next page.",
        examples=["scrollToken"],
    )


class AllAtOnce(StrictModel):
    """One answer holds the whole list."""

    style: Literal["all-at-once"] = Field(default="all-at-once", description="One answer holds the whole list.")
    total: Omittable[Member] = Field(
        default=None,
        description="Member of an answer: how many entries there are in all. Without one, every list is read twice.",
        examples=["total"],
    )


AnyPaging = PageNumber | SkipTop | NextLink | ScrollToken | AllAtOnce


def _style(value: object) -> str | None:
    """Name the style that was meant, so that its errors alone are told."""
    found = value.get("style") if isinstance(value, Mapping) else getattr(value, "style", None)
    return found if isinstance(found, str) and found in PAGING_STYLES else None


Paging = Annotated[
    Annotated[PageNumber, Tag("page-number")]
    | Annotated[SkipTop, Tag("skip-top")]
    | Annotated[NextLink, Tag("next-link")]
    | Annotated[ScrollToken, Tag("scroll-token")]
    | Annotated[AllAtOnce, Tag("all-at-once")],
    Discriminator(
        _style,
        custom_error_type="CXR104",
        custom_error_message=f"paging needs a `style`, one of {', '.join(PAGING_STYLES)}",
    ),
]


def _check_path(path: str) -> str:
    """Return a path that means one place to everybody."""
    if "//" in path or {".", "..", "%2e", "%2e%2e", ".%2e", "%2e."}.intersection(path.lower().split("/")):
        raise PydanticCustomError("CXR104", "must be a path without // and without . or .. in it")
    return path


ApiPath = Annotated[str, Field(pattern=API_PATH), AfterValidator(_check_path)]
_Messages = ShortList[Annotated[str, Field(pattern=MESSAGE)]]

RULES_PATH: Final = "/api/v2/routing/rules"
QUEUES_PATH: Final = "/api/v2/routing/queues"
INTERACTION_PATH: Final = "/api/v2/interactions/interactions/{conversationId}/context"


class ListSettings(StrictModel):
    """A list of the tenant, and how it is read to its end."""

    paging: Paging = Field(
        default=PageNumber(),
        description="How the list comes in pages, and what the parameters and members for that are called.",
        examples=[{"style": "skip-top", "skip": "skip", "top": "top", "total": "totalRecords"}],
    )
    list: Annotated[str, Field(pattern=DOT_OR_MEMBER)] = Field(
        default="entities",
        description="Member of an answer that is the list itself; a dot where the answer is the list.",
        examples=["entities"],
    )
    id: FieldName = Field(default="id", description="Field that holds an entry's id.", examples=["id"])
    ids: Literal["text", "number"] = Field(
        default="text", description="Whether the ids are texts or whole numbers in JSON."
    )
    no_content: bool = Field(
        default=False, description="Set this to true where an empty list is answered with status 204 and nothing else."
    )


class ListedRules(ListSettings):
    """The list of routing rules, and single ones of them."""

    path: ApiPath = Field(
        default=RULES_PATH,
        description="Path of the routing rules, below `baseUrl`. One rule is at the path, a slash and its id.",
        examples=[RULES_PATH],
    )
    single: Annotated[str, Field(pattern=DOT_OR_MEMBER)] = Field(
        default=".",
        description="Member of an answer that is a single rule; a dot where the answer is the rule.",
        examples=[".", "rule"],
    )


class ListedQueues(ListSettings):
    """The list of queues, and what stands in it of each."""

    path: ApiPath = Field(
        default=QUEUES_PATH, description="Path of the list of queues, below `baseUrl`.", examples=[QUEUES_PATH]
    )
    name: FieldName = Field(default="name", description="Field that holds a queue's name.", examples=["name"])
    active: Omittable[FieldName] = Field(
        default=None,
        description="Field that says with true or false whether a queue may be used, if there is one.",
        examples=["isActive"],
    )


class Errors(StrictModel):
    """Where an answer says what was wrong."""

    messages: _Messages = Field(
        default=("errors[].message", "error", "error_description", "message"),
        description="Members of an answer that say what was wrong; [] stands for each item of a list.",
        examples=[["errors[].message", "error_description"]],
    )
    header: Omittable[Annotated[str, Field(pattern=HEADER)]] = Field(
        default=None,
        description="Header of an answer that says what was wrong where its body does not.",
        examples=["icStatusDescription"],
    )
    refused: _Messages = Field(
        default=(),
        description="Members that are false where an answer of status 200 refuses what was asked.",
        examples=[["success", "results[].success"]],
    )


class Profile(StrictModel):
    """The names and manners of a tenant's API. What is left out is as in the default profile, the tutorial's."""

    api_version: Literal["routing/v1"] = Field(default="routing/v1", description=API_VERSION)
    kind: Literal["Profile"] = Field(
        default="Profile", description="This document says what a tenant's API calls things and how it answers."
    )
    name: Slug = Field(description="What Environments call it, in `api: {profile: NAME}`.", examples=["acd"])
    page_size: Annotated[int, Field(ge=1, le=10_000)] = Field(
        default=100, description="How many entries are asked for in one page of a list.", examples=[100]
    )
    context_path: Annotated[str, Field(pattern=CONTEXT_PATH)] = Field(
        default=INTERACTION_PATH,
        description="Path of a conversation's context, below `baseUrl`; {conversationId} stands for its id.",
        examples=[INTERACTION_PATH],
    )
    rules: ListedRules = Field(
        default=ListedRules(),
        description="Where the routing rules are and how their list is read.",
        examples=[{"path": RULES_PATH, "list": "rules", "id": "ruleId"}],
    )
    queues: ListedQueues = Field(
        default=ListedQueues(),
        description="Where the queues are and how their list is read.",
        examples=[{"path": QUEUES_PATH, "list": "queues"}],
    )
    rule: RuleNames = Field(
        default=RuleNames(), description="What the fields of a rule are called.", examples=[{"name": "ruleName"}]
    )
    condition: ConditionNames = Field(
        default=ConditionNames(),
        description="What the fields of a condition are called, and its type.",
        examples=[{"attributeName": "field", "operator": "op"}],
    )
    target: TargetNames = Field(
        default=TargetNames(),
        description="What the fields of a target are called, and its type.",
        examples=[{"queueId": "skillId", "queueIds": "number"}],
    )
    operators: OperatorNames = Field(
        default={},
        description="What the operators are called; one that is left out has the name that manifests use.",
        examples=[{"equals": "EQ", "in": "IN"}],
    )
    update: Literal["PUT", "PATCH"] = Field(
        default="PUT",
        description="How a rule is updated: PUT sends all of it, unknown fields as they were read; PATCH sends the"
        " fields that cxroute knows, and the tenant keeps the others.",
    )
    errors: Errors = Field(
        default=Errors(),
        description="Which members and headers of an answer say what was wrong.",
        examples=[{"messages": ["message"], "header": "icStatusDescription"}],
    )

    @model_validator(mode="after")
    def _check_distinct_names(self) -> Self:
        require_distinct(self.rules.id, *self.rule.tenant_names().values())
        queue = [self.queues.id, self.queues.name, *filter(None, [self.queues.active])]
        require_distinct(*queue)
        if self.rules.path.rstrip("/") == self.queues.path.rstrip("/"):
            raise PydanticCustomError("CXR104", f"rules and queues have one path, {quote_name(self.rules.path)}")
        return self


DEFAULT_PROFILE: Final = Profile(name="tutorial")
"""The default: the tutorial's contract, unverified against a tenant."""
