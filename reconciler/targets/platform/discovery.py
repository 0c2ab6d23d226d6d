"""Token server and API server from an issuer's two well-known documents.

The documents decide where secrets go: each address is checked before a request is sent there.
"""

import binascii
import re
from base64 import b64decode
from collections.abc import Awaitable, Callable
from contextlib import suppress
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import urlencode

from reconciler.core.errors import CredentialsError, UnexpectedResponseError, UsageError
from reconciler.core.text.hosts import is_loopback
from reconciler.core.text.json_values import STRICT_DECODER
from reconciler.targets.platform.settings import ServerUrl, TenantSettings, check_host
from reconciler.targets.platform.transport.request import (
    ACCEPT_HEADERS,
    ApiRequest,
    ApiResponse,
)
from reconciler.targets.platform.transport.sender import RequestKind

SendRequest = Callable[[ApiRequest, RequestKind], Awaitable[ApiResponse]]

_OPENID: Final = "/.well-known/openid-configuration"
_CXONE: Final = "/.well-known/cxone-configuration"
# bytes of a document, and characters of an id token; real ones have some thousands
_MAX_DOCUMENT: Final = 256 * 1024
_MAX_URL: Final = 500
_HTTPS: Final = 443
_TENANT_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,128}", re.ASCII)
# no dot segments
_PATH: Final = re.compile(r"(?:/[A-Za-z0-9_-][A-Za-z0-9._~-]*)*/?", re.ASCII)


class Discovery:
    """Reads the documents, each once; the first again after `forget_token_server`."""

    def __init__(
        self,
        tenant: TenantSettings,
        send: SendRequest,
        explain: Callable[[ApiResponse], str],
    ) -> None:
        self._tenant = tenant
        self._send = send
        self._explain = explain
        self._issuer = ServerUrl.parse(tenant.issuer)
        self._token_server: ServerUrl | None = None

    async def token_server(self) -> ServerUrl:
        """Return the token server.

        Raises ApiErrors: of reading, and CredentialsError for a refused address.
        """
        if self._token_server is None:
            request = openid_request(self._issuer)
            document = await self._fetch_document(request, "check api.issuer")
            self._token_server = parse_token_server(document, self._tenant)
        return self._token_server

    def forget_token_server(self) -> None:
        """Read the issuer's document again before the next token."""
        self._token_server = None

    async def api_server(self, issuer: str, tenant_id: str) -> ServerUrl:
        """Return the API server of a tenant. Raises ApiErrors, as above."""
        server = _check_server(issuer.rstrip("/"), "the id token", "iss", self._tenant)
        query = urlencode({"tenantId": tenant_id})
        request = openid_request(server, f"{_CXONE}?{query}")
        advice = "set api.baseUrl to do without it"
        document = await self._fetch_document(request, advice)
        url = _require_text(document, "api_endpoint", _CXONE).rstrip("/")
        return _check_server(url, _CXONE, "api_endpoint", self._tenant)

    async def _fetch_document(self, request: ApiRequest, advice: str) -> object:
        response = await self._send(request, RequestKind.READ)
        where = f"{request.call} at {request.server.host}"
        if response.status != HTTPStatus.OK:
            explanation = self._explain(response)
            raise CredentialsError(
                f"{where}: status {response.status}, {explanation}; {advice}"
            )
        if len(response.content) > _MAX_DOCUMENT:
            raise UnexpectedResponseError(
                f"{where}: more than {_MAX_DOCUMENT // 1024} KiB; not a discovery document"
            )
        return response.payload


def openid_request(issuer: ServerUrl, path: str = _OPENID) -> ApiRequest:
    """Return the request for an issuer's document, by default for that which names the token
    server.
    """
    return ApiRequest("GET", issuer, f"{issuer.path}{path}", ACCEPT_HEADERS)


def parse_token_server(data: object, tenant: TenantSettings) -> ServerUrl:
    """Return the token server in the document.

    Raises UnexpectedResponseError and CredentialsError.
    """
    name = "token_endpoint"
    url = _require_text(data, name, _OPENID)
    return _check_server(url, _OPENID, name, tenant)


def _require_text(document: Any, name: str, where: str) -> str:  # noqa: ANN401 - any JSON
    if isinstance(document, dict):
        text = document.get(name)
        if isinstance(text, str) and text:
            return text
    raise UnexpectedResponseError(f"{where} has no {name}")


def _check_server(url: str, where: str, name: str, tenant: TenantSettings) -> ServerUrl:
    """Return the server of an address from outside.

    Raises CredentialsError for one that must not get a secret.
    """
    try:
        objection = _server_objection(url, tenant)
    except (CredentialsError, UsageError) as refusal:
        objection = str(refusal)
    if objection:
        raise CredentialsError(
            f"{where}: its {name} is not trusted, and nothing was sent to it: {objection}"
        )
    return ServerUrl.parse(url)


def _server_objection(url: str, tenant: TenantSettings) -> str:
    if len(url) > _MAX_URL:
        return f"it has more than {_MAX_URL} characters"
    server = ServerUrl.parse(url)
    issuer = ServerUrl.parse(tenant.issuer)
    if is_loopback(server.host) and not is_loopback(issuer.host):
        return f"{server.host} is this machine, and {issuer.host} is not"
    check_host(url, tenant.allowed_hosts)
    ports = (_HTTPS, issuer.port) if server.host == issuer.host else (_HTTPS,)
    if not is_loopback(server.host) and server.port not in ports:
        return (
            f"{server.authority} has another port than 443; only {issuer.host} may, with the port "
            f"of api.issuer"
        )
    path = server.path
    if not _PATH.fullmatch(path):
        return f"{path[:100]!r} is not a path that can be requested unchanged"
    return ""


def parse_identity(id_token: object) -> tuple[str, str]:
    """Return the issuer and the tenant's id in an id token. Raises UnexpectedResponseError."""
    # The signature is not verified: the issuer sent the token over TLS, and it only names the next
    # server.
    parts = (
        id_token.split(".")
        if isinstance(id_token, str) and len(id_token) <= _MAX_DOCUMENT
        else []
    )
    payload: object = None
    if len(parts) == 3:  # noqa: PLR2004 - header, payload, signature
        text = parts[1].rstrip("=")
        with suppress(binascii.Error, ValueError, RecursionError):
            payload = STRICT_DECODER.decode(
                b64decode(text + "=" * (-len(text) % 4), b"-_", validate=True).decode()
            )
    issuer, tenant = (
        (payload.get("iss"), payload.get("tenantId"))
        if isinstance(payload, dict)
        else (None, None)
    )
    if (
        not isinstance(issuer, str)
        or not isinstance(tenant, str)
        or not _TENANT_ID.fullmatch(tenant)
    ):
        problem = (
            "the token response has no id_token with the tenant's iss and tenantId"
        )
        raise UnexpectedResponseError(
            f"{problem}, so the API's address is unknown; set api.baseUrl"
        )
    return issuer, tenant
