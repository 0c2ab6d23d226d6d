"""Meaning of failed calls, and advice (api-contract "Errors")."""

from __future__ import annotations

from typing import Final, NamedTuple

from reconciler.doctor.check import CheckResult, ProbeReply, ReplyKind
from reconciler.text.escape import sanitize

_SCOPE: Final = "routing:read"
_SERVER: Final = 500
_REDIRECT_STATUSES: Final = (301, 302, 303, 307, 308)


class AdviceContext(NamedTuple):
    """A call's name in the output, the setting of its address, the credentials' variables, and the rate."""

    name: str
    setting: str
    credentials: str
    rate: float


NO_RULES_API: Final = (
    "No public NICE document describes an API for routing rules: this path is that of the tutorial which cxroute grew"
    " from. If your tenant has such a resource at another place, set {setting}. If it has none, cxroute cannot manage"
    " its rules; validate, test and explain work without it, and so do, on a file of rules,"
    " `cxroute plan --live FILE.json` and `cxroute export --live FILE.json`"
)
_KIND_TEXTS: Final[dict[ReplyKind, tuple[str, str]]] = {
    "page": (
        "a web page came in place of JSON",
        "A page to sign in, or a proxy's: {base} must be the API's address. Behind a proxy set CXROUTE_PROXY",
    ),
    "nothing": ("the answer is empty", "{base} may be the address of something else"),
    "garbled": ("the answer is no JSON", "{base} may be the address of something else, or a proxy cuts answers"),
    "strange": ("this is not what was asked for", "{setting} may be of something else, or api.profile of others"),
    "denied": ("the answer says that it refuses this", "See what the profile's `errors` say, and the client's rights"),
    "redirect": (
        "the server says that it is elsewhere{where}",
        "Redirects are not followed, for the credentials would go along: if you trust that place, set {base} to it",
    ),
    "too-large": ("the answer is larger or otherwise encoded than any CXone answer", "See what is at {base}"),
    "silent": ("no answer in time", "Raise api.timeoutSeconds if the tenant is slow; look for a firewall that drops"),
    "broken": ("the connection broke", "Try again; a proxy or firewall may end connections"),
    "unreachable": ("no connection", "Look at the address in {base}, at the network, and at CXROUTE_PROXY"),
    "untrusted": (
        "the server's certificate is not trusted, and nothing was sent to it",
        "A private authority goes into the file that CXROUTE_CA_FILE names; else this is not the server you mean",
    ),
}


def explain_failure(reply: ProbeReply, context: AdviceContext) -> CheckResult:
    """Return the finding for a failed call."""
    server_text = sanitize(reply.error_text)
    if reply.kind == "json" or (reply.kind in ("page", "nothing", "garbled") and reply.status >= 400):  # noqa: PLR2004 - an error, whatever its body
        attempts = "" if reply.attempts == 1 else f", {reply.attempts} times"
        text = f"{reply.call}: status {reply.status}{attempts}{f': {server_text}' if reply.error_text else ''}"
        return CheckResult(context.name, "fail", text, _status_advice(reply.status, context))
    message, advice = _KIND_TEXTS[reply.kind]
    is_redirect = reply.kind == "redirect"
    where = f" ({server_text})" if reply.error_text else ""
    status = f" (status {reply.status})" if reply.status and not is_redirect else ""
    detail = f": {server_text}" if reply.error_text and not is_redirect else ""
    base = "api.tokenUrl" if context.name == "token" else "api.baseUrl"
    text = f"{reply.call}: {message.format(where=where)}{status}{detail}"
    return CheckResult(context.name, "fail", text, advice.format(base=base, setting=context.setting))


def _status_advice(status: int, context: AdviceContext) -> str:
    if status == 429:  # noqa: PLR2004 - too many requests
        return f"Slower: set api.requestsPerSecond below {context.rate:g}, and look at who else uses this client"
    if status >= _SERVER and status != 501:  # noqa: PLR2004 - not implemented
        return "The tenant, or a proxy before it, failed: try again in a while; if it lasts, it is for its support"
    if context.name != "token":
        return _list_advice(status, context)
    if status not in (400, 401, 403):
        return f"Tokens are not given there: set {context.setting}"
    return (
        f"The id or secret is wrong, of another tenant, or disabled: check {context.credentials} (a space or line"
        " break at an end counts). Some tenants give tokens in another way than by client_credentials, and then"
        " not here"
    )


def _list_advice(status: int, context: AdviceContext) -> str:
    if status == 401:  # noqa: PLR2004 - unauthorized
        return "The token that was just given is not accepted here: are api.tokenUrl and api.baseUrl of one tenant?"
    if status == 403:  # noqa: PLR2004 - forbidden
        return (
            f"The client lacks the scope {_SCOPE}: give it that (for access keys, the role of the employee who owns"
            " the key decides)"
        )
    if status in (404, 405, 410, 501):
        return NO_RULES_API.format(setting=context.setting)
    return f"The tenant does not take this request: {context.setting} or api.pageSize may be wrong for it"
