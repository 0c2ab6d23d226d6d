"""Profile: the names and manners of one kind of tenant's API. The defaults are the tutorial's contract."""

from __future__ import annotations

from typing import Annotated, Final, Literal, Self

from pydantic import AfterValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from reconciler.manifest.fields import (
    API_PATH,
    API_VERSION,
    CONTEXT_PATH,
    FIELD,
    HEADER,
    MESSAGE,
    WHOLE_OR_MEMBER,
    ShortList,
    Slug,
    Strict,
    Unset,
)
from reconciler.manifest.names import named
from reconciler.manifest.paging import PageNumber, Paging
from reconciler.manifest.vocabulary import ConditionNames, OperatorNames, RuleNames, TargetNames, distinct

Name = Annotated[str, Field(pattern=FIELD)]


def _straight(path: str) -> str:
    """Return a path that means one place to everybody."""
    if "//" in path or {".", "..", "%2e", "%2e%2e", ".%2e", "%2e."}.intersection(path.lower().split("/")):
        raise PydanticCustomError("CXR104", "must be a path without // and without . or .. in it")
    return path


Path = Annotated[str, Field(pattern=API_PATH), AfterValidator(_straight)]
_Messages = ShortList[Annotated[str, Field(pattern=MESSAGE)]]

RULES_PATH: Final = "/api/v2/routing/rules"
QUEUES_PATH: Final = "/api/v2/routing/queues"
INTERACTION_PATH: Final = "/api/v2/interactions/interactions/{conversationId}/context"


class Listed(Strict):
    """A list of the tenant, and how it is read to its end."""

    paging: Paging = Field(
        default=PageNumber(),
        description="How the list comes in pages, and what the parameters and members for that are called.",
        examples=[{"style": "skip-top", "skip": "skip", "top": "top", "total": "totalRecords"}],
    )
    list: Annotated[str, Field(pattern=WHOLE_OR_MEMBER)] = Field(
        default="entities",
        description="Member of an answer that is the list itself; a dot where the answer is the list.",
        examples=["entities"],
    )
    id: Name = Field(default="id", description="Field that holds an entry's id.", examples=["id"])
    ids: Literal["text", "number"] = Field(
        default="text", description="Whether the ids are texts or whole numbers in JSON."
    )
    no_content: bool = Field(
        default=False, description="Set this to true where an empty list is answered with status 204 and nothing else."
    )


class ListedRules(Listed):
    """The list of routing rules, and single ones of them."""

    path: Path = Field(
        default=RULES_PATH,
        description="Path of the routing rules, below `baseUrl`. One rule is at the path, a slash and its id.",
        examples=[RULES_PATH],
    )
    single: Annotated[str, Field(pattern=WHOLE_OR_MEMBER)] = Field(
        default=".",
        description="Member of an answer that is a single rule; a dot where the answer is the rule.",
        examples=[".", "rule"],
    )


class ListedQueues(Listed):
    """The list of queues, and what stands in it of each."""

    path: Path = Field(
        default=QUEUES_PATH, description="Path of the list of queues, below `baseUrl`.", examples=[QUEUES_PATH]
    )
    name: Name = Field(default="name", description="Field that holds a queue's name.", examples=["name"])
    active: Unset[Name] = Field(
        default=None,
        description="Field that says with true or false whether a queue may be used, if there is one.",
        examples=["isActive"],
    )


class Errors(Strict):
    """Where an answer says what was wrong."""

    messages: _Messages = Field(
        default=("errors[].message", "error", "error_description", "message"),
        description="Members of an answer that say what was wrong; [] stands for each item of a list.",
        examples=[["errors[].message", "error_description"]],
    )
    header: Unset[Annotated[str, Field(pattern=HEADER)]] = Field(
        default=None,
        description="Header of an answer that says what was wrong where its body does not.",
        examples=["icStatusDescription"],
    )
    refused: _Messages = Field(
        default=(),
        description="Members that are false where an answer of status 200 refuses what was asked.",
        examples=[["success", "results[].success"]],
    )


class Profile(Strict):
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
    def _one_meaning(self) -> Self:
        distinct(self.rules.id, *self.rule.written().values())
        queue = [self.queues.id, self.queues.name, *filter(None, [self.queues.active])]
        distinct(*queue)
        if self.rules.path.rstrip("/") == self.queues.path.rstrip("/"):
            raise PydanticCustomError("CXR104", f"rules and queues have one path, {named(self.rules.path)}")
        return self


TUTORIAL: Final = Profile(name="tutorial")
"""The default: the tutorial's contract, unverified against a tenant."""
