"""Profile: the names, types, operators and paging of a tenant's API.

The defaults are the tutorial's contract.

Names are one to one, because values that are read must be written back unchanged.
"""

from collections.abc import Mapping
from typing import Annotated, Final, Literal, Self

from pydantic import (
    AfterValidator,
    Discriminator,
    Field,
    GetPydanticSchema,
    Tag,
    model_validator,
)
from pydantic_core import PydanticCustomError, core_schema

import reconciler.core.manifest.kinds.fields as f
from reconciler.core.model.operators import OPERATORS
from reconciler.core.text.escape import quote_name

FieldName = Annotated[str, Field(pattern=f.FIELD)]
TenantWord = Annotated[str, Field(pattern=f.WORD)]
Operator = Annotated[
    str,
    GetPydanticSchema(
        lambda _source, _handler: core_schema.literal_schema(sorted(OPERATORS))
    ),
]


def require_distinct(*names: str) -> None:
    """Raise if one name has two meanings."""
    for index, name in enumerate(names):
        if name in names[:index]:
            raise PydanticCustomError(
                "CXR104", f"the name {quote_name(name)} has two meanings"
            )


class _NameTable(f.StrictModel):
    """The tenant's names of the fields of one object."""

    def tenant_names(self) -> dict[str, str]:
        """Return each field's manifest name and tenant name, without other settings."""
        return self.model_dump(
            by_alias=True,
            exclude={"attribute", "queue", "queue_ids"},
        )


class RuleNames(_NameTable):
    """The fields of a rule; `rules` names its id."""

    name: FieldName = f.exemplary("name", "Field with the rule's name.")
    description: FieldName = f.exemplary(
        "description", "Field with the rule's description; it must keep line ends."
    )
    priority: FieldName = f.exemplary("priority", "Field with the rule's priority.")
    enabled: FieldName = f.exemplary(
        "enabled", "Field that is true if the rule is enabled, false if not."
    )
    conditions: FieldName = f.exemplary(
        "conditions", "Field with the list of the rule's conditions."
    )
    targets: FieldName = f.exemplary(
        "targets", "Field with the list of the rule's targets."
    )
    date_created: FieldName = f.exemplary(
        "dateCreated",
        "Field with the rule's creation time (ISO 8601); of several copies, the oldest is managed.",
    )


class _PartNames(_NameTable):
    @model_validator(mode="after")
    def _check_distinct(self) -> Self:
        require_distinct(*self.tenant_names().values())
        return self


class ConditionNames(_PartNames):
    """The fields and the type of a condition."""

    type: FieldName = f.exemplary("type", "Field with the condition's type.")
    attribute_name: FieldName = f.exemplary(
        "attributeName", "Field with the name of the tested attribute."
    )
    operator: FieldName = f.exemplary(
        "operator", "Field with the condition's operator."
    )
    value: FieldName = f.exemplary("value", "Field with the condition's value.")
    attribute: TenantWord = f.exemplary(
        "attribute", "The type of a condition on an attribute."
    )


class TargetNames(_PartNames):
    """The fields and the type of a target, and the JSON type of its id."""

    type: FieldName = f.exemplary("type", "Field with the target's type.")
    queue_id: FieldName = f.exemplary(
        "queueId", "Field with the id of the target's queue."
    )
    weight: FieldName = f.exemplary("weight", "Field with the target's weight.")
    queue: TenantWord = f.exemplary("queue", "The type of a target that is a queue.")
    queue_ids: Literal["text", "number"] = f.optional(
        "text", "Whether the queue id is a text or an integer in JSON."
    )


def operator_names(overrides: Mapping[str, str]) -> dict[str, str]:
    """Return the tenant's name of every operator; without an override, the name in manifests."""
    return {name: overrides.get(name, name) for name in sorted(OPERATORS)}


def _check_operators(overrides: dict[str, str]) -> dict[str, str]:
    require_distinct(*operator_names(overrides).values())
    return overrides


OperatorNames = Annotated[dict[Operator, TenantWord], AfterValidator(_check_operators)]

Member = Annotated[str, Field(pattern=f.MEMBER)]
Parameter = Annotated[str, Field(pattern=f.PARAMETER)]

PAGING_STYLES: Final = ("page-number", "skip-top", "scroll-token")

_SIZE: Final = "Query parameter with the size of a page."
_TOTAL: Final = "Response member with the total number of entries."
_NEXT: Final = (
    "Response member with the next page's link. It is not followed, but must not lead elsewhere or "
    "back."
)


class PageNumber(f.StrictModel):
    """Pages have numbers, and contain the total number of entries."""

    style: Literal["page-number"] = f.optional(
        "page-number", "The style of the paging."
    )
    page: Parameter = f.exemplary(
        "pageNumber", "Query parameter with the page's number."
    )
    first: Literal[0, 1] = f.optional(1, "The number of the first page.")
    size: Parameter = f.exemplary("pageSize", _SIZE)
    total: Member = f.exemplary("total", _TOTAL)
    next: Member = f.exemplary("nextUri", _NEXT)


class SkipTop(f.StrictModel):
    """A request skips a number of entries, and each page contains the total number of entries."""

    style: Literal["skip-top"] = f.optional("skip-top", "The style of the paging.")
    skip: Parameter = f.exemplary(
        "skip", "Query parameter with the number of entries to skip."
    )
    top: Parameter = f.exemplary("top", _SIZE)
    total: Member = f.exemplary("totalRecords", _TOTAL)
    next: Member = f.exemplary("_links.next", _NEXT)


class ScrollToken(f.StrictModel):
    """Each page has a token to request the next one; the last has no token, or is empty."""

    style: Literal["scroll-token"] = f.optional(
        "scroll-token", "The style of the paging."
    )
    parameter: Parameter = f.exemplary("scrollToken", "Query parameter with the token.")
    size: Parameter = f.exemplary("size", _SIZE)
    total: Member = f.exemplary("hits", _TOTAL)
    token: Member = f.exemplary(
        "scrollToken", "Response member with the token of the next page."
    )


def _style(value: object) -> str | None:
    style = (
        value.get("style")
        if isinstance(value, Mapping)
        else getattr(value, "style", None)
    )
    return style if isinstance(style, str) and style in PAGING_STYLES else None


Paging = Annotated[
    Annotated[PageNumber, Tag("page-number")]
    | Annotated[SkipTop, Tag("skip-top")]
    | Annotated[ScrollToken, Tag("scroll-token")],
    Discriminator(
        _style,
        custom_error_type="CXR104",
        custom_error_message=f"paging needs a `style`, one of {', '.join(PAGING_STYLES)}",
    ),
]


def _check_path(path: str) -> str:
    if "//" in path or {".", "..", "%2e", "%2e%2e", ".%2e", "%2e."}.intersection(
        path.lower().split("/")
    ):
        raise PydanticCustomError("CXR104", "must be a path without //, . and ..")
    return path


ApiPath = Annotated[str, Field(pattern=f.API_PATH), AfterValidator(_check_path)]
_Messages = f.ShortList[Annotated[str, Field(pattern=f.MESSAGE)]]

RULES_PATH: Final = "/api/v2/routing/rules"
QUEUES_PATH: Final = "/api/v2/routing/queues"
INTERACTION_PATH: Final = "/api/v2/interactions/interactions/{conversationId}/context"


class ListSettings(f.StrictModel):
    """A list endpoint of the tenant, and its paging."""

    paging: Paging = f.optional(
        PageNumber(),
        "The paging of the list.",
        {"style": "skip-top", "skip": "skip", "top": "top", "total": "totalRecords"},
    )
    list: Member = f.exemplary("entities", "Response member with the list.")
    id: FieldName = f.exemplary("id", "Field with an entry's id.")
    ids: Literal["text", "number"] = f.optional(
        "text", "Whether the ids are texts or integers in JSON."
    )
    no_content: bool = Field(
        default=False,
        description="Whether the response for an empty list has status 204 and no body.",
    )


class ListedRules(ListSettings):
    """The endpoints of routing rules: the list, and single rules."""

    path: ApiPath = f.exemplary(
        RULES_PATH,
        "Path of the routing rules, below `baseUrl`. A single rule has the path, a slash and its "
        "id.",
    )
    single: Annotated[str, Field(pattern=f.DOT_OR_MEMBER)] = f.optional(
        ".",
        "Response member with a single rule; a dot if the response is the rule.",
        ".",
        "rule",
    )


class ListedQueues(ListSettings):
    """The list endpoint of queues, and the fields of a queue."""

    path: ApiPath = f.exemplary(
        QUEUES_PATH, "Path of the list of queues, below `baseUrl`."
    )
    name: FieldName = f.exemplary("name", "Field with a queue's name.")
    active: f.Omittable[FieldName] = f.omittable(
        "Field, if any, that is true if a queue may be used.", "isActive"
    )


class Errors(f.StrictModel):
    """The places of error messages in responses."""

    messages: _Messages = f.optional(
        ("errors[].message", "error", "error_description", "message"),
        "Response members with the error message; [] means each item of a list.",
        ["errors[].message", "error_description"],
    )
    header: f.Omittable[Annotated[str, Field(pattern=f.HEADER)]] = f.omittable(
        "Response header with the error message, for responses without one in the body.",
        "icStatusDescription",
    )
    refused: _Messages = f.optional(
        (),
        "Members that are false if a response with status 200 is a refusal.",
        ["success", "results[].success"],
    )


class Profile(f.ManifestDocument):
    """The names and conventions of a tenant's API.

    Omitted fields are as in the default profile, the tutorial's.
    """

    kind: Literal["Profile"] = f.optional(
        "Profile",
        "This document describes the names of a tenant's API and the form of its responses.",
    )
    name: f.Slug = f.required(
        "The name for Environments, in `api: {profile: NAME}`.", "acd"
    )
    page_size: Annotated[int, Field(ge=1, le=10_000)] = f.exemplary(
        100, "The number of entries of a requested page."
    )
    context_path: Annotated[str, Field(pattern=f.CONTEXT_PATH)] = f.exemplary(
        INTERACTION_PATH,
        "Path of a conversation's context, below `baseUrl`, with {conversationId} for its id.",
    )
    rules: ListedRules = f.optional(
        ListedRules(),
        "The path of the rules, and the form of their list.",
        {"path": RULES_PATH, "list": "rules"},
    )
    queues: ListedQueues = f.optional(
        ListedQueues(),
        "The path of the queues, and the form of their list.",
        {"path": QUEUES_PATH, "list": "queues"},
    )
    rule: RuleNames = f.optional(
        RuleNames(),
        "The names of a rule's fields.",
        {"name": "ruleName"},
    )
    condition: ConditionNames = f.optional(
        ConditionNames(),
        "A condition's fields, and its type.",
        {"attributeName": "field", "type": "kind"},
    )
    target: TargetNames = f.optional(
        TargetNames(),
        "A target's fields, and its type.",
        {"queueId": "skillId", "queueIds": "number"},
    )
    operators: OperatorNames = f.optional(
        {},
        "The names of the operators. Default: those in manifests.",
        {"equals": "EQ", "in": "IN"},
    )
    update: Literal["PUT", "PATCH"] = f.optional(
        "PUT",
        "How a rule is updated: PUT sends the full rule, PATCH the fields that cxroute knows.",
    )
    errors: Errors = f.optional(
        Errors(),
        "Response members and headers with error messages.",
        {"messages": ["message"], "header": "icStatusDescription"},
    )

    @model_validator(mode="after")
    def _check_distinct_names(self) -> Self:
        require_distinct(self.rules.id, *self.rule.tenant_names().values())
        require_distinct(
            *filter(None, [self.queues.id, self.queues.name, self.queues.active])
        )
        if self.rules.path.rstrip("/") == self.queues.path.rstrip("/"):
            raise PydanticCustomError(
                "CXR104",
                f"rules and queues have the same path, {quote_name(self.rules.path)}",
            )
        return self


# the default: the tutorial's contract, unverified against a tenant
DEFAULT_PROFILE: Final = Profile(name="tutorial")
