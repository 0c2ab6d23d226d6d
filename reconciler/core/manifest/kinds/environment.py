"""Environment: a tenant, its owner, its guards, and how the context endpoint (`cxroute serve`)
writes to it.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Final, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

import reconciler.core.manifest.kinds.fields as f
from reconciler.core.manifest.kinds.guard_limits import (
    Accept,
    Freeze,
    Guard,
)
from reconciler.core.manifest.kinds.profile import ApiPath, Operator
from reconciler.core.model.operators import OPERATORS
from reconciler.core.text.local_time import InvalidTimeError, instant_of


class Credentials(f.StrictModel):
    """Names of environment variables, never values.

    NAME_FILE, the path of a file with the value, works too.
    """

    client_id_env: f.Variable = f.exemplary(
        "CXONE_CLIENT_ID",
        "Variable with the client id.",
    )
    client_secret_env: f.Variable = f.exemplary(
        "CXONE_CLIENT_SECRET",
        "Variable with the client secret.",
    )
    access_key_id_env: f.Variable = f.exemplary(
        "CXONE_ACCESS_KEY_ID",
        "With `auth: access-key`: variable with the key's id.",
    )
    access_key_secret_env: f.Variable = f.exemplary(
        "CXONE_ACCESS_KEY_SECRET",
        "With `auth: access-key`: variable with the key's secret.",
    )


class Api(f.StrictModel):
    """How to call the tenant's API.

    The defaults are the tutorial's contract, unverified against a tenant.
    """

    auth: Literal["client-credentials", "access-key"] = f.optional(
        "client-credentials",
        "The credentials of a token request: a client's id and secret, or an access key, which "
        "requires `issuer` or `area`.",
    )
    issuer: f.Omittable[f.ServiceUrl] = f.omittable(
        "With an access key: the issuer of tokens. Its documents contain the other addresses. The "
        "client's id and secret are required too.",
        "https://cxone.niceincontact.com",
    )
    area: f.Omittable[Annotated[str, Field(pattern=f.AREA)]] = f.omittable(
        "Instead of `issuer`: the tenant's area. One call gets a token, without a client's id. The "
        "API is at"
        " api-AREA.niceincontact.com.",
        "na1",
    )
    base_url: f.Omittable[f.BaseUrl] = f.omittable(
        "Address of the tenant's API, without a path. Default: derived from `tenant` or `area`, or "
        "from the issuer.",
        "https://acme.my.cxone.com",
    )
    token_url: f.Omittable[f.ServiceUrl] = f.omittable(
        "Address that issues access tokens. Default: `baseUrl` followed by /oauth/token; or "
        "derived from `area`.",
        "https://acme.my.cxone.com/oauth/token",
    )
    rules: str = f.exemplary(
        "rules-api", "Where the rules are: a REST API, a script, or a decision service."
    )
    profile: f.Omittable[f.Slug] = f.omittable(
        "Name of the Profile document that describes this tenant's API. Default: the tutorial's, "
        "which `cxroute schema"
        " profile` prints.",
        "acd",
    )
    queues: Literal["rules-api", "acd-skills", "digital"] = f.optional(
        "rules-api",
        "The source of the queues' names and ids: the API of the rules (the profile's `queues`), "
        "the ACD skills of the"
        " platform, or the routing queues of Digital.",
    )
    skills_version: Annotated[int, Field(ge=1, le=99)] = f.exemplary(
        30,
        "With `queues: acd-skills`: the version in the path /inContactAPI/services/vN.0/skills.",
    )
    rules_path: f.Omittable[ApiPath] = f.omittable(
        "Path of the routing rules, below `baseUrl`. Default: the profile's.",
        "/api/v2/routing/rules",
    )
    queues_path: f.Omittable[ApiPath] = f.omittable(
        "Path of the list of queues, below `baseUrl`. Default: that of the source of queues.",
        "/api/v2/routing/queues",
    )
    context_path: f.Omittable[Annotated[str, Field(pattern=f.CONTEXT_PATH)]] = (
        f.omittable(
            "Path of a conversation's context, below `baseUrl`, with {conversationId} for its id. "
            "Default: the profile's,"
            " or that of `context.writer`.",
            "/api/v2/interactions/interactions/{conversationId}/context",
        )
    )
    page_size: f.Omittable[Annotated[int, Field(ge=1, le=10_000)]] = f.omittable(
        "How many rules one page of a list has. Default: the profile's.",
        100,
    )
    timeout_seconds: f.Positive = f.exemplary(
        10, "The time limit of one call, in seconds."
    )
    requests_per_second: f.Positive = f.exemplary(
        50,
        "How many calls per second the tenant allows. cxroute sends no more.",
    )
    concurrency: Annotated[int, Field(ge=1, le=256)] = f.exemplary(
        16, "How many calls may run at once."
    )
    evaluation: Literal["lowest-first", "highest-first"] = f.optional(
        "lowest-first",
        "Which priority number the tenant tries first.",
    )
    operators: f.ShortList[Operator] = f.optional(
        tuple(sorted(OPERATORS)),
        "The operators that this tenant supports; another one is an error. Default: all.",
        ["equals", "in"],
    )
    names_unique: bool = Field(
        default=False,
        description="Whether the tenant refuses a second rule with the same name (409).",
    )
    idempotency_keys: bool = Field(
        default=False,
        description="Whether the tenant honours Idempotency-Key, so that repeated creates are safe.",
    )
    list_lag_seconds: f.NonNegative = f.optional(
        0,
        "For how many seconds a newly created rule may be missing from the list of rules.",
        5,
    )

    @property
    def target_settings(self) -> object:
        """The target's own part, which `rules` names; None if it has none."""
        return getattr(self, settings_field(self.rules), None)

    @property
    def place(self) -> tuple[str, str]:
        """The target of the rules, and its own address; empty for rules at the tenant's."""
        return self.rules, getattr(self.target_settings, "url", "").rstrip("/")


def settings_field(target: str) -> str:
    """Return the name of the field of `Api` that a target's own part has in Python."""
    return target.replace("-", "_")


_SignalParameter = Annotated[int, Field(ge=1, le=9)]


class Fallback(f.StrictModel):
    """The replacement for an unknown or uncertain intent."""

    intent: f.NonEmptyText = f.required("The intent that is written instead.", "none")


class Signal(f.StrictModel):
    """The parameters p1 to p9 of a signal that hold the values.

    The defaults leave p1 and the next ones to Cognigy's hand-over, which signals the same script.
    """

    intent: _SignalParameter = f.exemplary(7, "The parameter that holds the intent.")
    confidence: _SignalParameter = f.exemplary(
        8, "The parameter that holds the confidence; empty if there is none."
    )
    updated_at: _SignalParameter = f.exemplary(
        9, "The parameter that holds the event's time."
    )
    _distinct_parameters = f.require(
        lambda signal: len({signal.intent, signal.confidence, signal.updated_at}) == 3,  # noqa: PLR2004 - parameters
        "two of intent, confidence and updatedAt use the same parameter of the signal",
    )


class Context(f.StrictModel):
    """How the context endpoint writes. Without `below`, it writes the values unchanged."""

    writer: Literal["interaction", "digital-custom-fields", "voice-signal"] = (
        f.optional(
            "interaction",
            "The target of the write: the context of an interaction, as in the tutorial; the "
            "custom fields of a digital"
            " contact, named by `attributes`; or a signal to the script of a voice contact.",
        )
    )
    signal: Signal = f.optional(
        Signal(),
        "With `writer: voice-signal`: the parameters in which the script finds the values.",
        {"intent": 7, "confidence": 8, "updatedAt": 9},
    )
    min_confidence: f.Omittable[f.Share] = f.omittable(
        "The lowest confidence with which an intent is written; below it, the fallback. Default: 0.",
        0.4,
    )
    below: f.Omittable[Fallback] = f.omittable(
        "The fallback if the confidence is too low, or the intent is not in an Intents document.",
        {"intent": "none"},
    )
    _complete_fallback = f.require(
        lambda context: context.below is not None or context.min_confidence is None,
        'missing field "below"',
        "CXR103",
    )


SANDBOX: Final = (
    "sandbox"  # the name of the built-in environment: the simulator, in process
)


class BotAttributes(f.StrictModel):
    """The attributes of a conversation's context with the bot's results."""

    intent: f.NonEmptyText = f.exemplary(
        "cognigyDetectedIntent",
        "Attribute with the detected intent.",
    )
    confidence: f.NonEmptyText = f.exemplary(
        "cognigyConfidence",
        "Attribute with the bot's confidence, from 0 to 1.",
    )
    updated_at: f.NonEmptyText = f.exemplary(
        "routedAt",
        "Attribute with the time of the last write of the other two.",
    )


class Notify(f.StrictModel):
    """The receiver of notifications."""

    url: f.Omittable[f.Url] = f.omittable(
        "Address of a webhook, such as Slack's, which `cxroute watch` and `cxroute apply` notify.",
        "https://hooks.example/T0/B0",
    )
    url_env: f.Omittable[f.Variable] = f.omittable(
        "Instead of `url`, to keep the address secret: the name of the environment variable that "
        "holds it, or, as NAME_FILE, the path of a file with it.",
        "CXROUTE_WEBHOOK_URL",
    )
    _exactly_one = f.require_exactly_one("url", "url_env")


class Traffic(f.StrictModel):
    """A sample of conversations."""

    file: f.RelativePath = f.required(
        "Path of a CSV file with a column `count` and one per attribute, such as `intent`.",
        "traffic/prod.csv",
    )
    period: str = f.optional(
        "",
        "The period of the sample, as free text; shown with the shares.",
        "October 2026",
    )
    max_age_days: f.Omittable[Annotated[int, Field(ge=1, le=3660)]] = f.omittable(
        "How many days before a plan the sample may end (CXR235). Default: no limit.",
        30,
    )


class AcceptedRule(f.StrictModel):
    """An accepted unmanaged rule."""

    name: str = f.required("The live rule's exact name.", "IVR | after hours")
    digest: Annotated[str, Field(pattern=f.DIGEST)] = f.required(
        "The 8 hexadecimal digits that `cxroute drift` prints for the rule's content. An edit of "
        "the rule changes them,"
        " and the rule is in the way again.",
        "1a2b3c4d",
    )
    reason: f.NonEmptyText = f.required(
        "Why the rule is accepted.", "opened by telephony"
    )


class Unmanaged(f.StrictModel):
    """Live rules that are not managed."""

    accept: f.LongList[AcceptedRule] = f.optional(
        (),
        "The accepted rules. `cxroute drift` prints an entry for each rule in the way, and warns of "
        "an entry that matches no live rule.",
        [
            {
                "name": "IVR | after hours",
                "digest": "1a2b3c4d",
                "reason": "opened by telephony",
            }
        ],
    )


class RunSchedule(f.StrictModel):
    """How often the manifests are applied."""

    every: f.Duration = f.required(
        "The longest time between two runs of the scheduled job, or of `cxroute watch`.",
        "10m",
    )


def _is_zone(stated: object) -> bool:
    return isinstance(stated, str) and stated in f.time_zones()


class Environment(f.ManifestDocument):
    """A tenant, its owner, and the limits of changes to it."""

    kind: Literal["Environment"] = f.optional(
        "Environment", "This document describes a tenant and its limits."
    )
    name: Annotated[str, Field(pattern=f.ENVIRONMENT)] = f.required(
        "The name for `-e` and `environments`. `sandbox` is simulated on your machine.",
        "prod",
    )
    owner: f.Slug = f.required(
        "The owner of these rules, which cxroute writes into each managed rule. Rules of other "
        "owners are never"
        " changed; rules without an owner only if `adopt` names them.",
        "acme-routing",
    )
    tenant: f.Omittable[Annotated[str, Field(pattern=f.TENANT)]] = f.omittable(
        "The tenant's name (acme means https://acme.my.cxone.com); with a dot, its full host name.",
        "acme",
    )
    api: Api = f.optional(
        Api(),
        "Settings of this tenant's API that differ from the defaults.",
        {"baseUrl": "https://acme.my.cxone.com", "requestsPerSecond": 20},
    )
    credentials: Credentials = f.optional(
        Credentials(),
        "Names of the environment variables with the credentials.",
        {"clientIdEnv": "CXONE_CLIENT_ID", "clientSecretEnv": "CXONE_CLIENT_SECRET"},
    )
    attributes: BotAttributes = f.optional(
        BotAttributes(),
        "The attributes with the bot's results.",
        {
            "intent": "cognigyDetectedIntent",
            "confidence": "cognigyConfidence",
            "updatedAt": "routedAt",
        },
    )
    vars: dict[Annotated[str, Field(pattern=f.VAR_NAME)], f.Constant] = f.optional(
        {},
        "Values that replace ${name} in rules and route tests; $$ is a dollar. If ${name} is the "
        "entire value, it keeps its type.",
        {"overflow": "General", "floor": 0.6},
    )
    prune: bool = Field(
        default=True,
        description="Whether apply deletes managed rules that are in no manifest.",
    )
    context: Context = f.optional(
        Context(),
        "How `cxroute serve` writes the bot's results.",
        {
            "writer": "digital-custom-fields",
            "minConfidence": 0.4,
            "below": {"intent": "none"},
        },
    )
    notify: f.Omittable[Notify] = f.omittable(
        "The webhook to notify of drift, applied changes and failures.",
        {"url": "https://hooks.example/T0/B0"},
    )
    journal: f.Omittable[f.JournalText] = f.omittable(
        "Where the runs of this Environment are recorded: a shared directory, or an address that "
        "fsspec opens (extra `journal`). Credentials come from environment variables. "
        "`$CXROUTE_JOURNAL` and `--journal` win. Default: .cxroute/journal.jsonl, on this machine.",
        "s3://acme-routing/journal",
        "/mnt/shared/routing-journal",
    )
    traffic: f.Omittable[Traffic] = f.omittable(
        "A sample, for the share of conversations that a change moves.",
        {"file": "traffic/prod.csv", "period": "October 2026"},
    )
    guard: Guard = f.optional(
        Guard(),
        "Limits of one apply. Beyond them, apply refuses.",
        {
            "deletes": {"count": 2, "percent": 30},
            "protected": ["cards/lost-or-stolen-card"],
        },
    )
    accept: f.ShortList[Accept] = f.optional(
        (),
        "Accepted findings, each with the reason.",
        [
            {
                "code": "CXR202",
                "address": "exchange/*",
                "reason": "the unmanaged rule will be deleted in June",
            }
        ],
    )
    strict: f.ShortList[f.StrictCode] = f.optional(
        (),
        "The codes of warnings that make `cxroute validate` exit with 3; [all] means every "
        "warning.",
        ["CXR203", "CXR204"],
        ["all"],
    )
    freeze: f.ShortList[Freeze] = f.optional(
        (),
        "When no rule may change: on some days of every week, or once between two days or times.",
        [
            {
                "days": ["fri", "sat", "sun"],
                "from": "16:00",
                "timezone": "Europe/Berlin",
                "reason": "weekend",
            }
        ],
        [
            {
                "start": "2026-12-20",
                "end": "2027-01-02",
                "timezone": "Europe/Berlin",
                "reason": "peak season",
            }
        ],
    )

    @model_validator(mode="before")
    @classmethod
    def _place_freezes(cls, stated: object) -> object:
        """Give each freeze window without a time zone that of the Environment."""
        if not isinstance(stated, Mapping) or not _is_zone(stated.get("timezone")):
            return stated
        windows = stated.get("freeze")
        if not isinstance(windows, list):
            return stated
        placed = [
            {"timezone": stated["timezone"], **window}
            if isinstance(window, Mapping)
            else window
            for window in windows
        ]
        return {**stated, "freeze": placed}

    @model_validator(mode="after")
    def _check_exceptions(self) -> Self:
        for entry in self.guard.allow:
            for name, time in (("until", entry.until), ("at", entry.at)):
                try:
                    _ = time and self.instant_of(time)
                except InvalidTimeError as error:
                    message = f"`{name}` of guard.allow: {error}"
                    raise PydanticCustomError("CXR104", message) from None
        return self

    def instant_of(self, time: datetime) -> datetime:
        """Return the instant of a time in the Environment. Raises InvalidTimeError."""
        return instant_of(time, self.timezone, self.name)

    timezone: f.Omittable[f.Zone] = f.omittable(
        "The time zone of days and local times, also in `--at`.",
        "Europe/Berlin",
    )
    schedule: f.Omittable[RunSchedule] = f.omittable(
        "How often these rules are applied: a rule with a date changes at the first run after the "
        "date.",
        {"every": "10m"},
    )
    unmanaged: Unmanaged = f.optional(
        Unmanaged(),
        "Unmanaged live rules that may differ from the manifests. `cxroute drift` counts them, and "
        "reports all others.",
        {
            "accept": [
                {
                    "name": "IVR | after hours",
                    "digest": "1a2b3c4d",
                    "reason": "opened by telephony",
                }
            ]
        },
    )

    @property
    def is_placeholder(self) -> bool:
        """Whether `tenant` is the placeholder of `init`: no host can have that name (RFC 2606)."""
        return (self.tenant or "").endswith(".invalid")

    @property
    def has_tenant(self) -> bool:
        """Whether it names a tenant; rules may be kept without access to one."""
        named = (self.tenant, self.api.base_url, self.api.issuer, self.api.area)
        return self.name == SANDBOX or any(named)

    @property
    def base_url(self) -> str:
        """The API's address without a slash at the end; empty if only the issuer knows it."""
        if self.api.base_url or self.api.issuer:
            return (self.api.base_url or "").rstrip("/")
        if self.api.area:
            return f"https://api-{self.api.area}.niceincontact.com"
        tenant = self.tenant or "sandbox.invalid"
        return (
            f"https://{tenant}" if "." in tenant else f"https://{tenant}.my.cxone.com"
        )

    @property
    def token_url(self) -> str:
        """The address of the token endpoint; empty if the issuer knows it."""
        if self.api.token_url or self.api.issuer:
            return self.api.token_url or ""
        if self.api.area:
            return f"https://{self.api.area}.nice-incontact.com/authentication/v1/token/access-key"
        return f"{self.base_url}/oauth/token"

    @property
    def max_sample_age(self) -> int | None:
        """`traffic.maxAgeDays`; None without a limit."""
        return self.traffic.max_age_days if self.traffic else None

    @property
    def address(self) -> str:
        """The tenant's address in messages, unique per tenant: if tenants share a host, with the
        tenant's name. Without a tenant, that of the rules.
        """
        if not self.has_tenant:
            return str(getattr(self.api.target_settings, "url", self.name))
        return (
            self.base_url or (self.api.issuer or "").rstrip("/")
        ) + self._shared_host_suffix

    @property
    def _shared_host_suffix(self) -> str:
        return (
            f"/{self.tenant}" if self.tenant and self.api.auth == "access-key" else ""
        )

    @property
    def host(self) -> str:
        """The API's host in lower case, with an unusual port: equal for equal tenants."""
        parts = urlsplit(self.address)
        host = (parts.hostname or "").rstrip(".")
        usual_port = 443 if parts.scheme == "https" else 80
        if parts.port not in {None, usual_port}:
            host = f"{host}:{parts.port}"
        return f"{host}{self._shared_host_suffix}"
