"""Profile: the names, types, operators and paging of a tenant's API. The defaults are the tutorial's contract.

Names are one to one, because values that are read must be written back unchanged.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final, Literal, Self

from pydantic import AfterValidator, Discriminator, Field, GetPydanticSchema, Tag, model_validator
from pydantic_core import PydanticCustomError, core_schema

from reconciler.manifest.kinds.fields import (
    API_PATH,
    CONTEXT_PATH,
    DOT_OR_MEMBER,
    FIELD,
    HEADER,
    MEMBER,
    MESSAGE,
    PARAMETER,
    WORD,
    ManifestDocument,
    Omittable,
    ShortList,
    Slug,
    StrictModel,
    exemplary,
    omittable,
    optional,
    required,
)
from reconciler.model.rule import OPERATORS
from reconciler.text.escape import quote_name

FieldName = Annotated[str, Field(pattern=FIELD)]
TenantWord = Annotated[str, Field(pattern=WORD)]
Operator = Annotated[str, GetPydanticSchema(lambda _source, _handler: core_schema.literal_schema(sorted(OPERATORS)))]


def require_distinct(*names: str) -> None:
    """Raise if one name has two meanings."""
    for index, name in enumerate(names):
        if name in names[:index]:
            raise PydanticCustomError("CXR104", f"two meanings have one name, {quote_name(name)}")


class _NameTable(StrictModel):
    """The tenant's names for the fields of one kind of part."""

    def tenant_names(self) -> dict[str, str]:
        """Return each field's manifest name and tenant name."""
        return self.model_dump(by_alias=True)


class RuleNames(_NameTable):
    """What the fields of a rule are called; its id's name is in `rules`."""

    name: FieldName = exemplary("name", "Field that holds a rule's name.")
    description: FieldName = exemplary(
        "description", "Field that holds a rule's description; it must keep a text of several lines."
    )
    priority: FieldName = exemplary("priority", "Field that holds a rule's priority.")
    enabled: FieldName = exemplary("enabled", "Field that says with true or false whether a rule is on.")
    conditions: FieldName = exemplary("conditions", "Field that holds the list of a rule's conditions.")
    targets: FieldName = exemplary("targets", "Field that holds the list of a rule's targets.")
    date_created: FieldName = exemplary(
        "dateCreated",
        "Field that holds when a rule was made, as an ISO 8601 date and time: of several copies of one rule the"
        " oldest one is ours.",
    )


class ConditionNames(_NameTable):
    """What the fields of a condition are called, and which type of condition asks about an attribute."""

    type: FieldName = exemplary("type", "Field that holds a condition's type.")
    attribute_name: FieldName = exemplary(
        "attributeName", "Field that holds the name of the attribute that is asked about."
    )
    operator: FieldName = exemplary("operator", "Field that holds a condition's operator.")
    value: FieldName = exemplary("value", "Field that holds a condition's value.")
    attribute: TenantWord = exemplary("attribute", "The type of a condition that asks about an attribute.")

    @model_validator(mode="after")
    def _check_distinct(self) -> Self:
        require_distinct(self.type, self.attribute_name, self.operator, self.value)
        return self

    def tenant_names(self) -> dict[str, str]:
        """Return each field's manifest name and tenant name, without the type's value."""
        return self.model_dump(by_alias=True, exclude={"attribute"})


class TargetNames(_NameTable):
    """What the fields of a target are called, which type of target is a queue, and how its id is written."""

    type: FieldName = exemplary("type", "Field that holds a target's type.")
    queue_id: FieldName = exemplary("queueId", "Field that holds the id of a target's queue.")
    weight: FieldName = exemplary("weight", "Field that holds a target's weight.")
    queue: TenantWord = exemplary("queue", "The type of a target that is a queue.")
    queue_ids: Literal["text", "number"] = optional(
        "text", "Whether a target's queue id is a text or a whole number in JSON."
    )

    @model_validator(mode="after")
    def _check_distinct(self) -> Self:
        require_distinct(self.type, self.queue_id, self.weight)
        return self

    def tenant_names(self) -> dict[str, str]:
        """Return each field's manifest name and tenant name, without the type's value."""
        return self.model_dump(by_alias=True, exclude={"queue", "queue_ids"})


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

_SIZE: Final = "Query parameter that says how many a page may hold, if any."
_TOTAL: Final = "Member of an answer: how many entries there are in all. Without one, every list is read twice."
_NEXT: Final = (
    "Member of an answer: the link to the next page. It is never followed, but must not lead elsewhere or back."
)


class PageNumber(StrictModel):
    """Pages have numbers, and each says how many entries there are in all."""

    style: Literal["page-number"] = optional(
        "page-number", "Pages have numbers, and each says how many entries there are in all."
    )
    page: Parameter = exemplary("pageNumber", "Query parameter that holds the page's number.")
    first: Literal[0, 1] = optional(1, "The number of the first page, which is 0 or 1.")
    size: Parameter = exemplary("pageSize", "Query parameter that says how many a page may hold.")
    total: Member = exemplary("total", "Member of an answer: how many entries there are in all.")
    next: Member = optional("nextUri", _NEXT, "nextUri")


class SkipTop(StrictModel):
    """A page begins behind so many entries, and says how many there are in all."""

    style: Literal["skip-top"] = optional(
        "skip-top", "A page begins behind so many entries, and says how many there are in all."
    )
    skip: Parameter = exemplary("skip", "Query parameter: how many entries are left out in front.")
    top: Parameter = exemplary("top", "Query parameter that says how many a page may hold.")
    total: Member = exemplary("totalRecords", "Member of an answer: how many entries there are in all.")
    next: Member = optional("_links.next", _NEXT, "_links.next")


class NextLink(StrictModel):
    """Each page has a link to the next one; the last has none."""

    style: Literal["next-link"] = optional("next-link", "Each page has a link to the next one; the last has none.")
    size: Omittable[Parameter] = omittable(_SIZE, "limit")
    total: Omittable[Member] = omittable(_TOTAL, "total")
    next: Member = exemplary(
        "_links.next", "Member of an answer: the link to the next page, at the same address but for its query."
    )


class ScrollToken(StrictModel):
    """Each page has a token with which the next one is asked for; at the end there is none, or nothing comes."""

    style: Literal["scroll-token"] = optional(
        "scroll-token",
        "Each page has a token with which the next one is asked for, until there is none or nothing comes.",
    )
    parameter: Parameter = exemplary("scrollToken", "Query parameter that holds the token.")
    size: Omittable[Parameter] = omittable(_SIZE, "size")
    total: Omittable[Member] = omittable(_TOTAL, "hits")
    token: Member = exemplary("scrollToken", "Member of an answer: the token with which to ask for the next page.")


class AllAtOnce(StrictModel):
    """One answer holds the whole list."""

    style: Literal["all-at-once"] = optional("all-at-once", "One answer holds the whole list.")
    total: Omittable[Member] = omittable(_TOTAL, "total")


AnyPaging = PageNumber | SkipTop | NextLink | ScrollToken | AllAtOnce


def _style(value: object) -> str | None:
    style = value.get("style") if isinstance(value, Mapping) else getattr(value, "style", None)
    return style if isinstance(style, str) and style in PAGING_STYLES else None


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

    paging: Paging = optional(
        PageNumber(),
        "How the list comes in pages, and what the parameters and members for that are called.",
        {"style": "skip-top", "skip": "skip", "top": "top", "total": "totalRecords"},
    )
    list: Annotated[str, Field(pattern=DOT_OR_MEMBER)] = exemplary(
        "entities", "Member of an answer that is the list itself; a dot where the answer is the list."
    )
    id: FieldName = exemplary("id", "Field that holds an entry's id.")
    ids: Literal["text", "number"] = optional("text", "Whether the ids are texts or whole numbers in JSON.")
    no_content: bool = Field(
        default=False, description="Set this to true where an empty list is answered with status 204 and nothing else."
    )


class ListedRules(ListSettings):
    """The list of routing rules, and single ones of them."""

    path: ApiPath = exemplary(
        RULES_PATH, "Path of the routing rules, below `baseUrl`. One rule is at the path, a slash and its id."
    )
    single: Annotated[str, Field(pattern=DOT_OR_MEMBER)] = optional(
        ".", "Member of an answer that is a single rule; a dot where the answer is the rule.", ".", "rule"
    )


class ListedQueues(ListSettings):
    """The list of queues, and what stands in it of each."""

    path: ApiPath = exemplary(QUEUES_PATH, "Path of the list of queues, below `baseUrl`.")
    name: FieldName = exemplary("name", "Field that holds a queue's name.")
    active: Omittable[FieldName] = omittable(
        "Field that says with true or false whether a queue may be used, if there is one.", "isActive"
    )


class Errors(StrictModel):
    """Where an answer says what was wrong."""

    messages: _Messages = optional(
        ("errors[].message", "error", "error_description", "message"),
        "Members of an answer that say what was wrong; [] stands for each item of a list.",
        ["errors[].message", "error_description"],
    )
    header: Omittable[Annotated[str, Field(pattern=HEADER)]] = omittable(
        "Header of an answer that says what was wrong where its body does not.", "icStatusDescription"
    )
    refused: _Messages = optional(
        (),
        "Members that are false where an answer of status 200 refuses what was asked.",
        ["success", "results[].success"],
    )


class Profile(ManifestDocument):
    """The names and manners of a tenant's API. What is left out is as in the default profile, the tutorial's."""

    kind: Literal["Profile"] = optional(
        "Profile", "This document says what a tenant's API calls things and how it answers."
    )
    name: Slug = required("What Environments call it, in `api: {profile: NAME}`.", "acd")
    page_size: Annotated[int, Field(ge=1, le=10_000)] = exemplary(
        100, "How many entries are asked for in one page of a list."
    )
    context_path: Annotated[str, Field(pattern=CONTEXT_PATH)] = exemplary(
        INTERACTION_PATH, "Path of a conversation's context, below `baseUrl`; {conversationId} stands for its id."
    )
    rules: ListedRules = optional(
        ListedRules(),
        "Where the routing rules are and how their list is read.",
        {"path": RULES_PATH, "list": "rules", "id": "ruleId"},
    )
    queues: ListedQueues = optional(
        ListedQueues(), "Where the queues are and how their list is read.", {"path": QUEUES_PATH, "list": "queues"}
    )
    rule: RuleNames = optional(RuleNames(), "What the fields of a rule are called.", {"name": "ruleName"})
    condition: ConditionNames = optional(
        ConditionNames(),
        "What the fields of a condition are called, and its type.",
        {"attributeName": "field", "operator": "op"},
    )
    target: TargetNames = optional(
        TargetNames(),
        "What the fields of a target are called, and its type.",
        {"queueId": "skillId", "queueIds": "number"},
    )
    operators: OperatorNames = optional(
        {},
        "What the operators are called; one that is left out has the name that manifests use.",
        {"equals": "EQ", "in": "IN"},
    )
    update: Literal["PUT", "PATCH"] = optional(
        "PUT",
        "How a rule is updated: PUT sends all of it, unknown fields as they were read; PATCH sends the fields that"
        " cxroute knows, and the tenant keeps the others.",
    )
    errors: Errors = optional(
        Errors(),
        "Which members and headers of an answer say what was wrong.",
        {"messages": ["message"], "header": "icStatusDescription"},
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
