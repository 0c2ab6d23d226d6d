"""The reply to one call, and the advice about a failed one (api-contract "Errors")."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, NamedTuple

from reconciler.core.model.check import CheckResult
from reconciler.core.text.escape import sanitize

_FailureKind = Literal["silent", "broken", "unreachable", "untrusted"]
ReplyKind = (
    Literal["json", "page", "garbled", "strange", "denied", "redirect"] | _FailureKind
)
"""page: HTML. strange: JSON, but not a list. denied: a success status with a refusal. silent: a
time-out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeReply:
    """Result of one call. `status` is 0 without a response; `error_text` is the server's."""

    call: str
    kind: ReplyKind
    status: int = 0
    error_text: str = ""
    payload: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    clock_skew: float | None = (
        None  # seconds by which the server's clock is ahead, if it sends its time
    )

    @property
    def is_good(self) -> bool:
        """Return whether it is a success with the expected JSON."""
        return self.kind == "json" and 200 <= self.status < 300  # noqa: PLR2004 - HTTP's successes


class AdviceContext(NamedTuple):
    """A call's name in the output, the setting of its address, the credentials' variables, and the
    rate.
    """

    name: str
    setting: str
    credentials: str
    rate: float


NO_RULES_API: Final = (
    "No public NICE document describes an API for routing rules: this path is from the tutorial "
    "that cxroute is based"
    " on. If your tenant has the resource at another path, set {setting}. If it has none, cxroute "
    "cannot manage its"
    " rules; validate, test and explain work without it, and `cxroute plan --live FILE.json` and"
    " `cxroute export --live FILE.json` work on a file of rules"
)
_KIND_TEXTS: Final[dict[ReplyKind, tuple[str, str]]] = {
    "page": (
        "a web page instead of JSON",
        (
            "It may be a sign-in page or a proxy's: {base} must be the API's address. Behind a proxy, "
            "set CXROUTE_PROXY"
        ),
    ),
    "garbled": (
        "the response is not JSON",
        "{base} may be the address of another service, or a proxy cuts off responses",
    ),
    "strange": (
        "the response is not the requested list",
        "{setting} may be wrong, or api.profile may be that of another tenant",
    ),
    "denied": (
        "the response refuses the request",
        "Check the profile's `errors` and the client's rights",
    ),
    "redirect": (
        "the server redirects to another address",
        (
            "Redirects are not followed, because the target would get the credentials: if you trust "
            "it, set {base} to it"
        ),
    ),
    "silent": (
        "no response in time",
        "Raise api.timeoutSeconds if the tenant is slow; check for a firewall that drops packets",
    ),
    "broken": (
        "the connection broke",
        "Try again; a proxy or firewall may end connections",
    ),
    "unreachable": (
        "no connection",
        "Check the address in {base}, the network, and CXROUTE_PROXY",
    ),
    "untrusted": (
        "the server's certificate is not trusted, and nothing was sent to it",
        (
            "Add a private authority to the file that CXROUTE_CA_FILE names; otherwise this is not the "
            "intended server"
        ),
    ),
}


def explain_failure(reply: ProbeReply, context: AdviceContext) -> CheckResult:
    """Return the finding for a failed call."""
    server_text = f": {sanitize(reply.error_text)}" if reply.error_text else ""
    if reply.kind == "json" or (
        reply.kind in ("page", "garbled") and reply.status >= 400  # noqa: PLR2004 - an error with any body
    ):
        text = f"{reply.call}: status {reply.status}{server_text}"
        advice = _status_advice(reply.status, context)
        return CheckResult(context.name, "fail", text, advice)

    detail = server_text
    if reply.status:
        detail = f" (status {reply.status}){server_text}"
    if reply.kind == "redirect":  # the text is the other address
        detail = f" ({sanitize(reply.error_text)})" if reply.error_text else ""
    message, advice_form = _KIND_TEXTS[reply.kind]
    text = f"{reply.call}: {message}{detail}"
    base = "api.tokenUrl" if context.name == "token" else "api.baseUrl"
    advice = advice_form.format(base=base, setting=context.setting)
    return CheckResult(context.name, "fail", text, advice)


def _status_advice(status: int, context: AdviceContext) -> str:
    if status == 429:  # noqa: PLR2004 - too many requests
        return (
            f"Set api.requestsPerSecond below {context.rate:g}, and check which other programs use "
            f"this client"
        )
    if status >= 500 and status != 501:  # noqa: PLR2004 - a server error; not implemented
        return (
            "The tenant, or a proxy in front of it, failed: try again later; if it persists, "
            "contact its support"
        )
    if context.name != "token":
        default = (
            "The tenant does not accept this request: {setting} or api.pageSize may be wrong for "
            "it"
        )
        return _LIST_ADVICE.get(status, default).format(setting=context.setting)
    if status not in (400, 401, 403):
        return f"Tokens are not issued there: set {context.setting}"
    check = f"check {context.credentials} (a space or line break at an end counts)"
    others = "Some tenants do not issue tokens for client_credentials, or not at this address"
    return (
        f"The id or secret is wrong, of another tenant, or disabled: {check}. {others}"
    )


_LIST_ADVICE: Final = {
    401: "The token that was just issued is not accepted here: api.tokenUrl and api.baseUrl must be of one tenant",
    403: "The client lacks the scope routing:read: grant it (for access keys, the role of the key's owner decides)",
    **dict.fromkeys((404, 405, 410, 501), NO_RULES_API),
}
