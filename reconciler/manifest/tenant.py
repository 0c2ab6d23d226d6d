"""How an Environment's tenant is spoken with: its API, and where the credentials are."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, GetPydanticSchema
from pydantic_core import core_schema

from reconciler.manifest.fields import (
    API_PATH,
    CONTEXT_PATH,
    NotNegative,
    Positive,
    ServiceUrl,
    ShortList,
    Strict,
    Unset,
    Variable,
)
from reconciler.model import OPERATORS

_Operator = Annotated[str, GetPydanticSchema(lambda _source, _handler: core_schema.literal_schema(sorted(OPERATORS)))]
_Path = Annotated[str, Field(pattern=API_PATH)]


class Api(Strict):
    """How to speak with the tenant. The defaults are the tutorial's contract, unverified against a tenant."""

    base_url: Unset[ServiceUrl] = Field(
        default=None,
        description="Address of the tenant's API, without a path. Default: made from `tenant`.",
        examples=["https://acme.my.cxone.com"],
    )
    token_url: Unset[ServiceUrl] = Field(
        default=None,
        description="Address that issues access tokens. Default: `baseUrl` followed by /oauth/token.",
        examples=["https://acme.my.cxone.com/oauth/token"],
    )
    rules_path: _Path = Field(
        default="/api/v2/routing/rules",
        description="Path of the routing rules, below `baseUrl`.",
        examples=["/api/v2/routing/rules"],
    )
    queues_path: _Path = Field(
        default="/api/v2/routing/queues",
        description="Path of the list of queues, below `baseUrl`.",
        examples=["/api/v2/routing/queues"],
    )
    context_path: Annotated[str, Field(pattern=CONTEXT_PATH)] = Field(
        default="/api/v2/interactions/interactions/{conversationId}/context",
        description="Path of a conversation's context, below `baseUrl`; {conversationId} stands for its id.",
        examples=["/api/v2/interactions/interactions/{conversationId}/context"],
    )
    page_size: Annotated[int, Field(ge=1, le=10_000)] = Field(
        default=100, description="How many rules are asked for in one page of a list.", examples=[100]
    )
    timeout_seconds: Positive = Field(
        default=10, description="How long one call may take, in seconds, before it counts as failed.", examples=[10]
    )
    requests_per_second: Positive = Field(
        default=50,
        description="How many calls a second the tenant allows. cxroute makes no more, and slows down when told to.",
        examples=[50],
    )
    concurrency: Annotated[int, Field(ge=1, le=256)] = Field(
        default=16, description="How many calls may be under way at one time.", examples=[16]
    )
    evaluation: Literal["lowest-first", "highest-first"] = Field(
        default="lowest-first", description="Whether the tenant tries the rule with the lowest priority number first."
    )
    operators: ShortList[_Operator] = Field(
        default=tuple(sorted(OPERATORS)),
        description="The operators that this tenant understands; a rule with another one is an error. Default: all.",
        examples=[["equals", "in"]],
    )
    names_unique: bool = Field(
        default=False, description="Set this to true where the tenant refuses a second rule of the same name (409)."
    )
    idempotency_keys: bool = Field(
        default=False,
        description="Set this to true where the tenant honours the header Idempotency-Key: a repeated create is safe.",
    )
    list_lag_seconds: NotNegative = Field(
        default=0,
        description="For how many seconds a rule that was just made may be missing from the list of rules.",
        examples=[5],
    )


class Credentials(Strict):
    """Names of environment variables, never values. NAME_FILE, the path of a file that holds it, works too."""

    client_id_env: Variable = Field(
        default="CXONE_CLIENT_ID",
        description="Name of the environment variable that holds the client id. Never the id itself.",
        examples=["CXONE_CLIENT_ID"],
    )
    client_secret_env: Variable = Field(
        default="CXONE_CLIENT_SECRET",
        description="Name of the environment variable that holds the client secret. Never the secret itself.",
        examples=["CXONE_CLIENT_SECRET"],
    )
