"""The fence around a client that only reads: below all other code, whatever that is told (R10)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reconciler.cxone.discovery import openid_request, token_server_of
from reconciler.cxone.settings import Server, Tenant
from reconciler.errors import ApiError
from reconciler.text.strict_json import STRICT_DECODER

if TYPE_CHECKING:
    from reconciler.cxone.transport.request import Answer, Carry, Request


def reading_only(carry: Carry, tenant: Tenant) -> Carry:
    """Return what carries GETs, and the request for a token; all else is refused before a byte is sent.

    Where an issuer says where tokens are, the fence reads that itself, from the very answer that passes through it.
    """
    opening = openid_request(Server.of(tenant.issuer)) if tenant.issuer else None
    place = Server.of(tenant.token_url) if tenant.token_url else None

    async def carried(request: Request) -> Answer:
        nonlocal place
        token = place is not None and (request.method, request.server, request.target) == ("POST", place, place.path)
        if request.method != "GET" and not token:
            raise AssertionError(f"a reading client was about to send {request.method}")
        answer = await carry(request)
        if opening is not None and (request.server, request.target) == (opening.server, opening.target):
            place = _place(answer, tenant)
        return answer

    return carried


def _place(answer: Answer, tenant: Tenant) -> Server | None:
    """Return where the document says that tokens are issued; nowhere, where it says nothing that is believed."""
    try:
        return token_server_of(answer.json(STRICT_DECODER), tenant)
    except ApiError:
        return None
