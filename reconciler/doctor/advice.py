"""The table of errors as advice: what a call that went wrong means, and what to do about it (api-contract "Errors")."""

from __future__ import annotations

from typing import Final, NamedTuple

from reconciler.doctor.check import Kind, Line, Reply
from reconciler.text.escape import sanitize

_SCOPE: Final = "routing:read"
_SERVER: Final = 500
_MOVED: Final = (301, 302, 303, 307, 308)


class Asked(NamedTuple):
    """What a call was for: its name in the output, the setting that says where it goes, the credentials' variables."""

    name: str
    setting: str
    credentials: str
    rate: float


RESOURCE: Final = (
    "No public NICE document describes an API for routing rules: this path is that of the tutorial which cxroute grew"
    " from. If your tenant has such a resource at another place, set {setting}. If it has none, cxroute cannot manage"
    " its rules; validate, test and explain work without it, and so do, on a file of rules,"
    " `cxroute plan --live FILE.json` and `cxroute export --live FILE.json`"
)
_KINDS: Final[dict[Kind, tuple[str, str]]] = {
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


def refused(reply: Reply, asked: Asked) -> Line:
    """Return what a call that went wrong means."""
    if reply.kind != "json" and not (reply.kind in ("page", "nothing", "garbled") and reply.status >= 400):  # noqa: PLR2004 - an error, whatever its body
        return _of_kind(reply, asked)
    advice = _advice(reply.status, asked)
    said = f": {sanitize(reply.said)}" if reply.said else ""
    again = "" if reply.tries == 1 else f", {reply.tries} times"
    return Line(asked.name, "fail", f"{reply.call}: status {reply.status}{again}{said}", advice)


def _of_kind(reply: Reply, asked: Asked) -> Line:
    message, advice = _KINDS[reply.kind]
    where = f" ({sanitize(reply.said)})" if reply.said else ""
    status = f" (status {reply.status})" if reply.status and reply.kind != "redirect" else ""
    detail = "" if reply.kind == "redirect" or not reply.said else f": {sanitize(reply.said)}"
    base = "api.tokenUrl" if asked.name == "token" else "api.baseUrl"
    text = f"{reply.call}: {message.format(where=where)}{status}{detail}"
    return Line(asked.name, "fail", text, advice.format(base=base, setting=asked.setting))


def _advice(status: int, asked: Asked) -> str:
    if status == 429:  # noqa: PLR2004 - too many requests
        return f"Slower: set api.requestsPerSecond below {asked.rate:g}, and look at who else uses this client"
    if status >= _SERVER and status != 501:  # noqa: PLR2004 - not implemented
        return "The tenant, or a proxy before it, failed: try again in a while; if it lasts, it is for its support"
    return _of_token(status, asked) if asked.name == "token" else _of_list(status, asked)


def _of_token(status: int, asked: Asked) -> str:
    if status in (400, 401, 403):
        return (
            f"The id or secret is wrong, of another tenant, or disabled: check {asked.credentials} (a space or line"
            " break at an end counts). Some tenants give tokens in another way than by client_credentials, and then"
            " not here"
        )
    return f"Tokens are not given there: set {asked.setting}"


def _of_list(status: int, asked: Asked) -> str:
    if status == 401:  # noqa: PLR2004 - unauthorized
        return "The token that was just given is not accepted here: are api.tokenUrl and api.baseUrl of one tenant?"
    if status == 403:  # noqa: PLR2004 - forbidden
        return (
            f"The client lacks the scope {_SCOPE}: give it that (for access keys, the role of the employee who owns"
            " the key decides)"
        )
    if status in (404, 405, 410, 501):
        return RESOURCE.format(setting=asked.setting)
    return f"The tenant does not take this request: {asked.setting} or api.pageSize may be wrong for it"
