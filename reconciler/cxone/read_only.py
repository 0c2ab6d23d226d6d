"""A fence below a reading client: it lets no write through (R10)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reconciler.cxone.discovery import openid_request, parse_token_server
from reconciler.cxone.settings import ServerUrl, TenantSettings
from reconciler.errors import ApiError
from reconciler.text.strict_json import STRICT_DECODER

if TYPE_CHECKING:
    from reconciler.cxone.transport.request import ApiRequest, ApiResponse, Transport


def read_only_transport(transport: Transport, tenant: TenantSettings) -> Transport:
    """Return a transport for GETs and token requests; others fail before a byte is sent."""
    opening = openid_request(ServerUrl.parse(tenant.issuer)) if tenant.issuer else None
    place = ServerUrl.parse(tenant.token_url) if tenant.token_url else None

    async def carried(request: ApiRequest) -> ApiResponse:
        nonlocal place
        token = place is not None and (request.method, request.server, request.target) == ("POST", place, place.path)
        if request.method != "GET" and not token:
            raise AssertionError(f"a reading client was about to send {request.method}")
        answer = await transport(request)
        if opening is not None and (request.server, request.target) == (opening.server, opening.target):
            place = _token_server(answer, tenant)
        return answer

    return carried


def _token_server(answer: ApiResponse, tenant: TenantSettings) -> ServerUrl | None:
    try:
        return parse_token_server(answer.json(STRICT_DECODER), tenant)
    except ApiError:
        return None
