"""How to reach an Environment's tenant: API, token endpoint, and the variables with the credentials."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from reconciler.manifest.kinds.fields import (
    AREA,
    CONTEXT_PATH,
    BaseUrl,
    NonNegative,
    Omittable,
    Positive,
    ServiceUrl,
    ShortList,
    Slug,
    StrictModel,
    Variable,
    exemplary,
    omittable,
    optional,
)
from reconciler.manifest.kinds.profile import ApiPath, Operator
from reconciler.model.rule import OPERATORS


class AuthSettings(StrictModel):
    """How to get in: with a client's id and secret, or with an access key."""

    auth: Literal["client-credentials", "access-key"] = optional(
        "client-credentials",
        "With what a token is asked for: a client's id and secret, as in the tutorial, or an access key, as NICE"
        " documents it. An access key needs `issuer` or `area`.",
    )
    issuer: Omittable[ServiceUrl] = omittable(
        "With an access key, who issues tokens: its documents say where, and where the tenant's API is. The client's"
        " id and secret are needed as well.",
        "https://cxone.niceincontact.com",
    )
    area: Omittable[Annotated[str, Field(pattern=AREA)]] = omittable(
        "In place of `issuer`, the area that the tenant is in: one call, and no client's id. The API is at"
        " api-AREA.niceincontact.com.",
        "na1",
    )


class Credentials(StrictModel):
    """Names of environment variables, never values. NAME_FILE, the path of a file that holds it, works too."""

    client_id_env: Variable = exemplary(
        "CXONE_CLIENT_ID", "Name of the environment variable that holds the client id. Never the id itself."
    )
    client_secret_env: Variable = exemplary(
        "CXONE_CLIENT_SECRET", "Name of the environment variable that holds the client secret. Never the secret itself."
    )
    access_key_id_env: Variable = exemplary(
        "CXONE_ACCESS_KEY_ID",
        "With `auth: access-key`, name of the environment variable that holds the access key's id.",
    )
    access_key_secret_env: Variable = exemplary(
        "CXONE_ACCESS_KEY_SECRET",
        "With `auth: access-key`, name of the environment variable that holds the access key's secret.",
    )


class Api(AuthSettings):
    """How to speak with the tenant. The defaults are the tutorial's contract, unverified against a tenant."""

    base_url: Omittable[BaseUrl] = omittable(
        "Address of the tenant's API, without a path. Default: made from `tenant` or `area`, or what the issuer says.",
        "https://acme.my.cxone.com",
    )
    token_url: Omittable[ServiceUrl] = omittable(
        "Address that issues access tokens. Default: `baseUrl` followed by /oauth/token; or made from `area`.",
        "https://acme.my.cxone.com/oauth/token",
    )
    profile: Omittable[Slug] = omittable(
        "Name of the Profile document that says what this tenant's API calls things and how it answers. Default: the"
        " tutorial's, as `cxroute schema profile` prints it.",
        "acd",
    )
    queues: Literal["rules-api", "acd-skills", "digital"] = optional(
        "rules-api",
        "Where the queues' names and ids are read: beside the rules (the profile's `queues`), from the ACD skills of"
        " the platform, or from the routing queues of Digital.",
    )
    skills_version: Annotated[int, Field(ge=1, le=99)] = exemplary(
        30, "With `queues: acd-skills`, the version in the path /inContactAPI/services/vN.0/skills."
    )
    rules_path: Omittable[ApiPath] = omittable(
        "Path of the routing rules, below `baseUrl`. Default: the profile's.", "/api/v2/routing/rules"
    )
    queues_path: Omittable[ApiPath] = omittable(
        "Path of the list of queues, below `baseUrl`. Default: that of where the queues are read.",
        "/api/v2/routing/queues",
    )
    context_path: Omittable[Annotated[str, Field(pattern=CONTEXT_PATH)]] = omittable(
        "Path of a conversation's context, below `baseUrl`; {conversationId} stands for its id. Default: the"
        " profile's, else that of `context.writer`.",
        "/api/v2/interactions/interactions/{conversationId}/context",
    )
    page_size: Omittable[Annotated[int, Field(ge=1, le=10_000)]] = omittable(
        "How many rules are asked for in one page of a list. Default: the profile's, which is 100.", 100
    )
    timeout_seconds: Positive = exemplary(10, "How long one call may take, in seconds, before it counts as failed.")
    requests_per_second: Positive = exemplary(
        50, "How many calls a second the tenant allows. cxroute makes no more, and slows down when told to."
    )
    concurrency: Annotated[int, Field(ge=1, le=256)] = exemplary(16, "How many calls may be under way at one time.")
    evaluation: Literal["lowest-first", "highest-first"] = optional(
        "lowest-first", "Whether the tenant tries the rule with the lowest priority number first."
    )
    operators: ShortList[Operator] = optional(
        tuple(sorted(OPERATORS)),
        "The operators that this tenant understands; a rule with another one is an error. Default: all.",
        ["equals", "in"],
    )
    names_unique: bool = Field(
        default=False, description="Set this to true where the tenant refuses a second rule of the same name (409)."
    )
    idempotency_keys: bool = Field(
        default=False,
        description="Set this to true where the tenant honours the header Idempotency-Key: a repeated create is safe.",
    )
    list_lag_seconds: NonNegative = optional(
        0, "For how many seconds a rule that was just made may be missing from the list of rules.", 5
    )
