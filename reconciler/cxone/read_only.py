"""A fence below a reading client: it lets no write through (R10)."""

from __future__ import annotations

from contextlib import suppress

from reconciler.cxone.discovery import openid_request, parse_token_server
from reconciler.cxone.settings import ServerUrl, TenantSettings
from reconciler.cxone.transport.request import ApiRequest, ApiResponse, Transport
from reconciler.errors import ApiError
from reconciler.text.strict_json import STRICT_DECODER


def read_only_transport(transport: Transport, tenant: TenantSettings) -> Transport:
    """Return a transport for GETs and token requests; others fail before a byte is sent."""
    discovery = openid_request(ServerUrl.parse(tenant.issuer)) if tenant.issuer else None
    server = ServerUrl.parse(tenant.token_url) if tenant.token_url else None

    async def send(request: ApiRequest) -> ApiResponse:
        nonlocal server
        is_login = server and (request.method, request.server, request.target) == ("POST", server, server.path)
        if request.method != "GET" and not is_login:
            raise AssertionError(f"a reading client was about to send {request.method}")
        response = await transport(request)
        if discovery is not None and (request.server, request.target) == (discovery.server, discovery.target):
            server = None  # the fence reads the token server itself, from the response that passes through it
            with suppress(ApiError):
                server = parse_token_server(response.json(STRICT_DECODER), tenant)
        return response

    return send
