"""Environment: a tenant, who manages it, and what must not happen to it."""

from __future__ import annotations

from typing import Annotated, Final, Literal
from urllib.parse import urlsplit

from pydantic import Field, GetPydanticSchema
from pydantic_core import core_schema

from reconciler.manifest.fields import (
    ADDRESS,
    API_PATH,
    CONTEXT_PATH,
    ENVIRONMENT,
    NAME_OF_VAR,
    TENANT,
    VARIABLE,
    Filled,
    LongList,
    NotNegative,
    Percent,
    Positive,
    RelativePath,
    ServiceUrl,
    Share,
    ShortList,
    Slug,
    Strict,
    Timestamp,
    Unset,
    Url,
)
from reconciler.manifest.freeze import Freeze  # noqa: TC001 - pydantic reads annotations
from reconciler.model import OPERATORS

SANDBOX: Final = "sandbox"
"""The name of the built-in environment: the simulator, in process."""

GuardName = Literal["deletes", "changes", "emptied", "protected", "unrouted", "traffic", "freeze", "transient"]
_Operator = Annotated[str, GetPydanticSchema(lambda _source, _handler: core_schema.literal_schema(sorted(OPERATORS)))]
_Path = Annotated[str, Field(pattern=API_PATH)]
_Variable = Annotated[str, Field(pattern=VARIABLE)]


class Api(Strict):
    """How to speak with the tenant. The defaults are the tutorial's contract, unverified against a tenant."""

    base_url: Unset[ServiceUrl] = Field(
        default=None, description="Where the API is; default: from `tenant`.", examples=["https://acme.my.cxone.com"]
    )
    token_url: Unset[ServiceUrl] = Field(
        default=None,
        description="Where tokens are issued; default: baseUrl and /oauth/token.",
        examples=["https://acme.my.cxone.com/oauth/token"],
    )
    rules_path: _Path = Field(default="/api/v2/routing/rules", description="Path of the routing rules.")
    queues_path: _Path = Field(default="/api/v2/routing/queues", description="Path of the queues.")
    context_path: Annotated[str, Field(pattern=CONTEXT_PATH)] = Field(
        default="/api/v2/interactions/interactions/{conversationId}/context",
        description="Path of a conversation's context; {conversationId} stands for its id.",
    )
    page_size: Annotated[int, Field(ge=1, le=10_000)] = Field(default=100, description="Rules to ask for in one page.")
    timeout_seconds: Positive = Field(default=10, description="How long one call may take, in seconds.")
    requests_per_second: Positive = Field(default=50, description="How many calls a second the tenant allows.")
    concurrency: Annotated[int, Field(ge=1, le=256)] = Field(default=16, description="Calls under way at one time.")
    evaluation: Literal["lowest-first", "highest-first"] = Field(
        default="lowest-first", description="Which priority the tenant tries first."
    )
    operators: ShortList[_Operator] = Field(
        default=tuple(sorted(OPERATORS)),
        description="The operators that this tenant understands.",
        examples=[["equals", "in"]],
    )
    names_unique: bool = Field(default=False, description="Whether the tenant refuses a second rule of one name (409).")
    idempotency_keys: bool = Field(default=False, description="Whether the tenant honours Idempotency-Key.")
    list_lag_seconds: NotNegative = Field(
        default=0, description="How long a new rule may be missing from listings, in seconds."
    )


class Credentials(Strict):
    """Names of environment variables, never values. NAME_FILE, the path of a file that holds it, works too."""

    client_id_env: _Variable = Field(default="CXONE_CLIENT_ID", description="Variable that holds the client id.")
    client_secret_env: _Variable = Field(
        default="CXONE_CLIENT_SECRET", description="Variable that holds the client secret."
    )


class Attributes(Strict):
    """Under which attribute names the bot's findings are in a conversation's context."""

    intent: Filled = Field(default="cognigyDetectedIntent", description="Attribute of the detected intent.")
    confidence: Filled = Field(
        default="cognigyConfidence", description="Attribute of the bot's confidence, from 0 to 1."
    )
    updated_at: Filled = Field(default="routedAt", description="Attribute of the time of the last update.")


class Fallback(Strict):
    """What the context endpoint writes in place of an unknown or unsure intent."""

    intent: Filled = Field(description="The intent to write.", examples=["none"])


class Context(Strict):
    """The context endpoint's fallback (`cxroute serve`). Without it, values are written as they come."""

    min_confidence: Share = Field(
        default=0, description="Confidence below which the fallback is written.", examples=[0.4]
    )
    below: Fallback = Field(description="What is written then.", examples=[{"intent": "none"}])


class Notify(Strict):
    """Whom to tell of drift, of applied changes and of failures."""

    url: Url = Field(description="Address that is posted to.", examples=["https://hooks.example/T0/B0"])


class Traffic(Strict):
    """The traffic sample from which each change's share of callers is told."""

    file: RelativePath = Field(
        description="CSV file: a column for each attribute and `count`.", examples=["traffic/prod.csv"]
    )
    period: str = Field(default="", description="What the sample covers, in words.", examples=["October 2026"])


class Limit(Strict):
    """How many may go or change: whichever of the two is more. One that is left out is 0."""

    count: Annotated[int, Field(ge=0, le=2**31 - 1)] = Field(default=0, description="This many, however few there are.")
    percent: Percent = Field(default=0, description="Percent of all managed rules.", examples=[30])


class TrafficLimit(Strict):
    """How much of the traffic sample may go to another queue."""

    percent: Percent = Field(description="Percent of the sample's conversations.", examples=[10])


class Allow(Strict):
    """A guard that is lifted until a time, reviewed like all else."""

    name: GuardName = Field(description="The guard to lift.", examples=["deletes"])
    until: Timestamp = Field(description="When it holds again.", examples=["2026-12-01T00:00:00Z"])
    reason: Filled = Field(description="Why; kept in the journal.", examples=["CHG-1042"])


class Guard(Strict):
    """What an apply must not do: beyond these, it refuses."""

    deletes: Limit = Field(default=Limit(count=2, percent=30), description="Most deletes of one apply.")
    changes: Unset[Limit] = Field(default=None, description="Most updates and deletes of one apply; default: no limit.")
    traffic: Unset[TrafficLimit] = Field(
        default=None, description="Most of the traffic sample that one apply may move; default: no limit."
    )
    protected: LongList[Annotated[str, Field(pattern=ADDRESS)]] = Field(
        default=(),
        description="Addresses of rules that may not be deleted, disabled or changed in what they route.",
        examples=[["cards/lost-or-stolen-card"]],
    )
    allow: ShortList[Allow] = Field(default=(), description="Guards that are lifted for a while.")


class Environment(Strict):
    """A tenant, who manages it, and what must not happen to it."""

    api_version: Literal["routing/v1"] = Field(default="routing/v1", description="The form of this document.")
    kind: Literal["Environment"] = Field(default="Environment", description="What this document describes.")
    name: Annotated[str, Field(pattern=ENVIRONMENT)] = Field(
        description="What `-e` and `environments` call it. `sandbox` is the built-in simulator.", examples=["prod"]
    )
    owner: Slug = Field(
        description="Who manages: stands in the marker of every rule; rules of other owners are never touched.",
        examples=["acme-routing"],
    )
    tenant: Unset[Annotated[str, Field(pattern=TENANT)]] = Field(
        default=None,
        description="The tenant's name (acme means https://acme.my.cxone.com); with a dot, its whole host.",
        examples=["acme"],
    )
    api: Api = Field(default=Api(), description="How to speak with the tenant.")
    credentials: Credentials = Field(
        default=Credentials(), description="Names of the variables that hold id and secret."
    )
    attributes: Attributes = Field(default=Attributes(), description="Attribute names of intent, confidence and time.")
    vars: dict[Annotated[str, Field(pattern=NAME_OF_VAR)], str] = Field(
        default={}, description="Texts for ${name} inside other texts.", examples=[{"overflow": "General"}]
    )
    prune: bool = Field(default=True, description="Whether apply deletes; if not, deletes stay in the plan, held back.")
    context: Unset[Context] = Field(default=None, description="The context endpoint's fallback.")
    notify: Unset[Notify] = Field(default=None, description="Where drift, applied changes and failures are told.")
    traffic: Unset[Traffic] = Field(default=None, description="The traffic sample for shares of callers.")
    guard: Guard = Field(default=Guard(), description="What an apply must not do.")
    freeze: ShortList[Freeze] = Field(default=(), description="When an apply refuses to change anything.")

    @property
    def base_url(self) -> str:
        """Where the API is, without a slash at the end. The sandbox has an address that leads nowhere."""
        if self.api.base_url:
            return self.api.base_url.rstrip("/")
        tenant = self.tenant or "sandbox.invalid"
        return f"https://{tenant}" if "." in tenant else f"https://{tenant}.my.cxone.com"

    @property
    def token_url(self) -> str:
        """Where tokens are issued."""
        return self.api.token_url or f"{self.base_url}/oauth/token"

    @property
    def host(self) -> str:
        """The API's host in lower case, with its port where that is not the usual one: equal for equal hosts."""
        parts = urlsplit(self.base_url)
        host = (parts.hostname or "").rstrip(".")
        usual = parts.port in {None, 443 if parts.scheme == "https" else 80}
        return host if usual else f"{host}:{parts.port}"
