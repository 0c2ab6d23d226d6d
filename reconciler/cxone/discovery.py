"""Where tokens are issued and where the API is, as an issuer's two well-known documents say.

What they say comes from outside and decides where secrets go: each address is checked before anything goes there.
"""

from __future__ import annotations

import binascii
import re
from base64 import b64decode
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import urlencode

from reconciler.cxone.settings import Server, Tenant, check_host
from reconciler.cxone.transport.request import ACCEPTED, Answer, Request
from reconciler.cxone.transport.sender import Kind
from reconciler.errors import CredentialsError, UnexpectedAnswerError, UsageError
from reconciler.text.hosts import is_loopback
from reconciler.text.strict_json import STRICT

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    Send = Callable[[Request, Kind], Awaitable[Answer]]
    Explain = Callable[[Answer], str]


_OPENID: Final = "/.well-known/openid-configuration"
_CXONE: Final = "/.well-known/cxone-configuration"
_LARGEST: Final = 256 * 1024
"""Bytes of a document, and characters of an id token. Real ones have some thousands."""
_LONGEST_URL: Final = 500
_HTTPS: Final = 443
_TENANT_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,128}", re.ASCII)
_PATH: Final = re.compile(r"(?:/[A-Za-z0-9_-][A-Za-z0-9._~-]*)*/?", re.ASCII)
"""A path that is asked for as it stands: every part begins with something else than a dot."""


class Identity(NamedTuple):
    """What an id token says of the tenant: who issued it, and the tenant's id."""

    issuer: str
    tenant: str


class Discovery:
    """Reads the documents, each once; the first again after `forget`."""

    def __init__(self, tenant: Tenant, send: Send, explain: Explain) -> None:
        """`explain` returns what an answer says of an error, fit to be shown."""
        self._tenant, self._send, self._explain = tenant, send, explain
        self._issuer = Server.of(tenant.issuer)
        self._token: Server | None = None

    async def token_server(self) -> Server:
        """Return where to ask for a token. Raises ApiErrors: of reading, and CredentialsError for a refused address."""
        if self._token is None:
            form = await self._document(openid_request(self._issuer), "check api.issuer")
            self._token = token_server_of(form, self._tenant)
        return self._token

    def forget(self) -> None:
        """Ask the issuer anew for where tokens are: they are no longer where it said."""
        self._token = None

    async def api(self, identity: Identity) -> Server:
        """Return where the API of a tenant is. Raises ApiErrors, as above."""
        issuer = _checked(identity.issuer.rstrip("/"), "the id token", "iss", self._tenant)
        target = f"{issuer.path}{_CXONE}?{urlencode({'tenantId': identity.tenant})}"
        form = await self._document(Request("GET", issuer, target, ACCEPTED), "give api.baseUrl to do without it")
        return _checked(_text(form, "api_endpoint", _CXONE).rstrip("/"), _CXONE, "api_endpoint", self._tenant)

    async def _document(self, request: Request, advice: str) -> object:
        answer = await self._send(request, Kind.READ)
        where = f"{request.call} at {request.server.host}"
        if answer.status != HTTPStatus.OK:
            raise CredentialsError(f"{where}: status {answer.status}, {self._explain(answer)}; {advice}")
        if len(answer.content) > _LARGEST:
            raise UnexpectedAnswerError(f"{where}: more than {_LARGEST // 1024} KiB, which is no such document")
        return answer.form


def openid_request(issuer: Server) -> Request:
    """Return the request for the document that says where tokens are issued."""
    return Request("GET", issuer, f"{issuer.path}{_OPENID}", ACCEPTED)


def token_server_of(form: object, tenant: Tenant) -> Server:
    """Return where the document says that tokens are issued. Raises UnexpectedAnswerError and CredentialsError."""
    return _checked(_text(form, "token_endpoint", _OPENID), _OPENID, "token_endpoint", tenant)


def _text(form: Any, name: str, where: str) -> str:  # noqa: ANN401 - any JSON
    found = form.get(name) if isinstance(form, dict) else None
    if not isinstance(found, str) or not found:
        raise UnexpectedAnswerError(f"{where} holds no {name}")
    return found


def _checked(url: str, where: str, name: str, tenant: Tenant) -> Server:
    """Return the server of an address from outside. Raises CredentialsError where no secret may go there."""
    try:
        why = _objection(url, tenant)
    except (CredentialsError, UsageError) as refusal:
        why = str(refusal)
    if why:
        raise CredentialsError(f"{where}: its {name} is not believed, and nothing was sent there: {why}")
    return Server.of(url)


def _objection(url: str, tenant: Tenant) -> str:
    """Say what is wrong with an address, if anything is. Raises CredentialsError and UsageError likewise."""
    if len(url) > _LONGEST_URL:
        return f"it has more than {_LONGEST_URL} characters"
    place, issuer = Server.of(url), Server.of(tenant.issuer)
    if is_loopback(place.host) and not is_loopback(issuer.host):
        return f"{place.host} is this machine, and {issuer.host} is not"
    check_host(url, tenant.allowed_hosts)
    if not is_loopback(place.host) and place.port not in (_HTTPS, *_own_port(place, issuer)):
        return f"{place.authority} has a port of its own; only {issuer.host} may, the port of api.issuer"
    if not _PATH.fullmatch(place.path):
        return f"{place.path[:100]!r} is no path that can be asked for as it stands"
    return ""


def _own_port(place: Server, issuer: Server) -> tuple[int, ...]:
    return (issuer.port,) if place.host == issuer.host else ()


def identity_of(id_token: object) -> Identity:
    """Read the payload of an id token. Raises UnexpectedAnswerError.

    Its signature is not looked at: it came from the issuer itself over TLS, and tells only where to ask on. Nobody is
    let in because of it.
    """
    payload = _payload(id_token) if isinstance(id_token, str) and len(id_token) <= _LARGEST else None
    issuer, tenant = (payload.get("iss"), payload.get("tenantId")) if isinstance(payload, dict) else (None, None)
    if not isinstance(issuer, str) or not isinstance(tenant, str) or not _TENANT_ID.fullmatch(tenant):
        raise UnexpectedAnswerError(
            "the answer to the request for a token holds no id_token that says the tenant's iss and tenantId, so nobody"
            " knows where its API is; give api.baseUrl"
        )
    return Identity(issuer, tenant)


def _payload(id_token: str) -> object:
    parts = id_token.split(".")
    if len(parts) != 3:  # noqa: PLR2004 - header, payload, signature
        return None
    text = parts[1].rstrip("=")
    try:
        return STRICT.decode(b64decode(text + "=" * (-len(text) % 4), b"-_", validate=True).decode())
    except (binascii.Error, ValueError, RecursionError):
        return None
