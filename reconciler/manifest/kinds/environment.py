"""Environment: a tenant, its owner, its guards, and how the context endpoint (`cxroute serve`) writes to it."""

from __future__ import annotations

from typing import Annotated, Final, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from reconciler.manifest.kinds.fields import (
    AREA,
    CONTEXT_PATH,
    DIGEST,
    ENVIRONMENT,
    TENANT,
    VAR_NAME,
    BaseUrl,
    Constant,
    LongList,
    ManifestDocument,
    NonEmptyText,
    NonNegative,
    Omittable,
    Positive,
    RelativePath,
    ServiceUrl,
    Share,
    ShortList,
    Slug,
    StrictModel,
    Url,
    Variable,
    exemplary,
    omittable,
    optional,
    require_exactly_one,
    required,
)
from reconciler.manifest.kinds.guard_limits import Accept, Freeze, Guard
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


Parameter = Annotated[int, Field(ge=1, le=9)]


class Fallback(StrictModel):
    """What the context endpoint writes in place of an unknown or unsure intent."""

    intent: NonEmptyText = required("The intent that is written instead.", "none")


class Signal(StrictModel):
    """Which of the parameters p1 to p9 of a signal holds what."""

    intent: Parameter = exemplary(1, "The parameter that holds the intent.")
    confidence: Parameter = exemplary(2, "The parameter that holds the confidence; empty where there is none.")
    updated_at: Parameter = exemplary(3, "The parameter that holds the event's time.")

    @model_validator(mode="after")
    def _check_distinct_parameters(self) -> Self:
        if len({self.intent, self.confidence, self.updated_at}) < 3:  # noqa: PLR2004 - three parameters
            message = "two of intent, confidence and updatedAt are in one parameter of the signal"
            raise PydanticCustomError("CXR104", message)
        return self


class Context(StrictModel):
    """How the context endpoint writes. Without `below`, values are written as they come."""

    writer: Literal["interaction", "digital-custom-fields", "voice-signal"] = optional(
        "interaction",
        "What is written: the context of an interaction, as in the tutorial; the custom fields of a digital contact,"
        " named as `attributes` says; or a signal to the script of a voice contact.",
    )
    signal: Signal = optional(
        Signal(),
        "With `writer: voice-signal`, in which parameters the script finds what.",
        {"intent": 1, "confidence": 2, "updatedAt": 3},
    )
    min_confidence: Omittable[Share] = omittable(
        "How sure the bot must be, from 0 to 1; below that, the fallback is written instead. Default: 0.", 0.4
    )
    below: Omittable[Fallback] = omittable(
        "What is written when the bot is less sure than that, or its intent is in no Intents document.",
        {"intent": "none"},
    )

    @model_validator(mode="after")
    def _check_fallback(self) -> Self:
        if self.below is None and self.min_confidence is not None:
            raise PydanticCustomError("CXR103", 'missing field "below"')
        return self


SANDBOX: Final = "sandbox"
"""The name of the built-in environment: the simulator, in process."""


class Attributes(StrictModel):
    """Under which attribute names the bot's findings are in a conversation's context."""

    intent: NonEmptyText = exemplary(
        "cognigyDetectedIntent", "Name of the attribute that holds what the caller wants, as the bot understood it."
    )
    confidence: NonEmptyText = exemplary(
        "cognigyConfidence", "Name of the attribute that holds how sure the bot was, from 0 to 1."
    )
    updated_at: NonEmptyText = exemplary(
        "routedAt", "Name of the attribute that holds when the other two were last written."
    )


class Notify(StrictModel):
    """Whom to tell of drift, of applied changes and of failures."""

    url: Omittable[Url] = omittable(
        "Address of a web hook, as Slack and others have them. `cxroute watch` and `cxroute apply` tell it when"
        " somebody changed rules in CXone, when changes were applied and when that failed.",
        "https://hooks.example/T0/B0",
    )
    url_env: Omittable[Variable] = omittable(
        "In place of `url`, where nobody may read it: the name of the environment variable that holds it. NAME_FILE,"
        " the path of a file that holds it, works too.",
        "CXROUTE_WEBHOOK_URL",
    )

    @model_validator(mode="after")
    def _check_single_address(self) -> Self:
        require_exactly_one(self, "url", "url_env")
        return self


class Traffic(StrictModel):
    """The traffic sample from which each change's share of callers is told."""

    file: RelativePath = required(
        "Path of a CSV file with a column for each attribute (or `intent` and `confidence`) and one named `count`.",
        "traffic/prod.csv",
    )
    period: str = optional("", "Which time the sample is of, in your words; shown beside the shares.", "October 2026")


class AcceptedRule(StrictModel):
    """A live rule that is not managed, and may send conversations elsewhere than the manifests do."""

    name: str = required("The live rule's name, exactly.", "IVR | after hours")
    digest: Annotated[str, Field(pattern=DIGEST)] = required(
        "The eight digits that `cxroute drift` prints for the rule's content. A rule that is edited has"
        " other ones, and is in the way again.",
        "1a2b3c4d",
    )
    reason: NonEmptyText = required("Why the rule may send conversations elsewhere.", "opened by telephony")


class Unmanaged(StrictModel):
    """Live rules that are not managed."""

    accept: LongList[AcceptedRule] = optional(
        (),
        "Live rules that may send conversations elsewhere than the manifests do. `cxroute drift` prints an entry for"
        " each rule that is in the way, and warns of an entry that matches no live rule.",
        [{"name": "IVR | after hours", "digest": "1a2b3c4d", "reason": "opened by telephony"}],
    )


class Environment(ManifestDocument):
    """A tenant, who manages it, and what must not happen to it."""

    kind: Literal["Environment"] = optional(
        "Environment", "This document describes a tenant and what may be done to it."
    )
    name: Annotated[str, Field(pattern=ENVIRONMENT)] = required(
        "What `-e` and `environments` call it. `sandbox` is simulated on your machine.", "prod"
    )
    owner: Slug = required(
        "Who manages these rules; every rule says so. Rules of other owners are never touched, rules made"
        " by hand only where `adopt` names them.",
        "acme-routing",
    )
    tenant: Omittable[Annotated[str, Field(pattern=TENANT)]] = omittable(
        "The tenant's name (acme means https://acme.my.cxone.com); with a dot, its whole host.", "acme"
    )
    api: Api = optional(
        Api(),
        "Where this tenant's API differs from what is usual. All of it is optional.",
        {"baseUrl": "https://acme.my.cxone.com", "requestsPerSecond": 20},
    )
    credentials: Credentials = optional(
        Credentials(),
        "Names of the environment variables that hold the client's id and secret, and the access key's; never the"
        " values.",
        {"clientIdEnv": "CXONE_CLIENT_ID", "clientSecretEnv": "CXONE_CLIENT_SECRET"},
    )
    attributes: Attributes = optional(
        Attributes(),
        "What the tenant calls the bot's intent, its confidence and the time of writing.",
        {"intent": "cognigyDetectedIntent", "confidence": "cognigyConfidence", "updatedAt": "routedAt"},
    )
    vars: dict[Annotated[str, Field(pattern=VAR_NAME)], Constant] = optional(
        {},
        "Values that stand for ${name} in rules and route tests; $$ is a dollar. Inside a text, ${name} is replaced"
        " by the value as text; as a whole value, it is a number, true, false or a list where this is one.",
        {"overflow": "General", "floor": 0.6},
    )
    prune: bool = Field(
        default=True,
        description="Whether apply deletes rules that no manifest names any more. With false they are shown and kept.",
    )
    context: Context = optional(
        Context(),
        "How `cxroute serve` writes what the bot understood, and what it writes where the bot is unsure.",
        {"writer": "digital-custom-fields", "minConfidence": 0.4, "below": {"intent": "none"}},
    )
    notify: Omittable[Notify] = omittable(
        "Whom to tell when rules were changed in CXone, when changes were applied and when that failed.",
        {"url": "https://hooks.example/T0/B0"},
    )
    traffic: Omittable[Traffic] = omittable(
        "A sample of conversations, from which plans tell which share of the callers a change moves.",
        {"file": "traffic/prod.csv", "period": "October 2026"},
    )
    guard: Guard = optional(
        Guard(),
        "What one apply must not do. Beyond these it refuses, until somebody allows it with a reason.",
        {"deletes": {"count": 2, "percent": 30}, "protected": ["cards/lost-or-stolen-card"]},
    )
    accept: ShortList[Accept] = optional(
        (),
        "Findings that are meant here, each with the reason: they are counted and not shown.",
        [{"code": "CXR202", "address": "exchange/*", "reason": "the rule made by hand goes in June"}],
    )
    freeze: ShortList[Freeze] = optional(
        (),
        "When nothing may change: every week on some days, or once between two days or times.",
        [{"days": ["fri", "sat", "sun"], "from": "16:00", "timezone": "Europe/Berlin", "reason": "weekend"}],
        [{"start": "2026-12-20", "end": "2027-01-02", "timezone": "Europe/Berlin", "reason": "peak season"}],
    )

    unmanaged: Unmanaged = optional(
        Unmanaged(),
        "Which live rules that this owner does not manage may send conversations elsewhere than the manifests do."
        " `cxroute drift` counts these rules, and reports all others that do so.",
        {"accept": [{"name": "IVR | after hours", "digest": "1a2b3c4d", "reason": "opened by telephony"}]},
    )

    @property
    def is_placeholder(self) -> bool:
        """Whether `tenant` is the placeholder of `init`: no host can have that name (RFC 2606)."""
        return (self.tenant or "").endswith(".invalid")

    @property
    def base_url(self) -> str:
        """The API's address without a slash at the end; empty where only the issuer knows it."""
        if self.api.base_url or self.api.issuer:
            return (self.api.base_url or "").rstrip("/")
        if self.api.area:
            return f"https://api-{self.api.area}.niceincontact.com"
        tenant = self.tenant or "sandbox.invalid"
        return f"https://{tenant}" if "." in tenant else f"https://{tenant}.my.cxone.com"

    @property
    def token_url(self) -> str:
        """The address of the token endpoint; empty where the issuer knows it."""
        if self.api.token_url or self.api.issuer:
            return self.api.token_url or ""
        if self.api.area:
            return f"https://{self.api.area}.nice-incontact.com/authentication/v1/token/access-key"
        return f"{self.base_url}/oauth/token"

    @property
    def address(self) -> str:
        """The tenant's address for people, unique per tenant: where tenants share a host, with the tenant's name."""
        url = self.base_url or (self.api.issuer or "").rstrip("/")
        return url + self._shared_host_suffix

    @property
    def _shared_host_suffix(self) -> str:
        return f"/{self.tenant}" if self.tenant and self.api.auth == "access-key" else ""

    @property
    def host(self) -> str:
        """The API's host in lower case, with an unusual port: equal for equal tenants."""
        parts = urlsplit(self.address)
        host = (parts.hostname or "").rstrip(".")
        usual = parts.port in {None, 443 if parts.scheme == "https" else 80}
        return f"{host if usual else f'{host}:{parts.port}'}{self._shared_host_suffix}"
