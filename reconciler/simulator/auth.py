"""The tokens that the simulator gave out.

How to come in: the tutorial's request for a token, and what is known of the real CXone, which has access keys.

There an issuer's two documents say where tokens and the API are, and there are two ways to ask for a token.
"""

from __future__ import annotations

import binascii
from base64 import b64decode, urlsafe_b64encode
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs

from reconciler.simulator.messages import (
    ApiProblem,
    NotJsonError,
    SimulatorRequest,
    SimulatorResponse,
    encode_json,
    error_response,
    json_response,
    oauth_error,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from reconciler.simulator.settings import SimulatorSettings

    PublicHandler = Callable[["TokenIssuer", SimulatorRequest], SimulatorResponse]

_TOKEN_PATH: Final = "/auth/token"  # noqa: S105 - a path
_ID_TOKEN_SECONDS: Final = 3600


def client_token(tokens: TokenIssuer, request: SimulatorRequest) -> SimulatorResponse:
    """POST a client's id and secret (api-contract "Token"): 400 wrong grant, 401 wrong id or secret."""
    form = parse_qs(request.body.decode(errors="replace"), keep_blank_values=True)
    if form.get("grant_type") != ["client_credentials"]:
        return oauth_error(400, "unsupported_grant_type", "Only client_credentials is supported")
    given = (form.get("client_id", [""])[-1], form.get("client_secret", [""])[-1])
    if not _is_valid_pair(given, tokens.settings.clients):
        return oauth_error(401, "invalid_client", "Client authentication failed")
    return tokens.token_response()


def openid_configuration(tokens: TokenIssuer, request: SimulatorRequest) -> SimulatorResponse:
    """GET the document that says where tokens are issued."""
    issuer = _issuer(tokens, request)
    return json_response(200, encode_json({"issuer": issuer, "token_endpoint": issuer + _TOKEN_PATH}))


def cxone_configuration(tokens: TokenIssuer, request: SimulatorRequest) -> SimulatorResponse:
    """GET the document that says where a tenant's API is."""
    if parse_qs(request.query).get("tenantId") != [tokens.settings.tenant_id]:
        return error_response(404, ApiProblem("No such tenant", "not.found", "tenantId"))
    return json_response(200, encode_json({"api_endpoint": _issuer(tokens, request)}))


def password_token(tokens: TokenIssuer, request: SimulatorRequest) -> SimulatorResponse:
    """POST an access key in a form, and the client's id and secret as Basic."""
    form = parse_qs(request.body.decode(errors="replace"), keep_blank_values=True)
    if form.get("grant_type") != ["password"]:
        return oauth_error(400, "unsupported_grant_type", "Only password is supported")
    if not _is_valid_pair(_basic(request), tokens.settings.clients):
        return oauth_error(401, "invalid_client", "Client authentication failed")
    key, secret = form.get("username", [""])[-1], form.get("password", [""])[-1]
    if not _is_valid_pair((key, secret), tokens.settings.access_keys):
        return oauth_error(400, "invalid_grant", "The access key is not valid")
    return tokens.token_response(id_token=_id_token(tokens, request))


def access_key_token(tokens: TokenIssuer, request: SimulatorRequest) -> SimulatorResponse:
    """POST an access key as JSON."""
    try:
        body = request.json()
    except NotJsonError:
        return error_response(400, ApiProblem("The body is not JSON", "invalid.body"))
    form = body if isinstance(body, dict) else {}
    if not _is_valid_pair((form.get("accessKeyId"), form.get("accessKeySecret")), tokens.settings.access_keys):
        return error_response(401, ApiProblem("The access key is not valid", "invalid.access.key"))
    return tokens.token_response()


PUBLIC_ROUTES: Final[Mapping[tuple[str, ...], tuple[str, PublicHandler]]] = {
    ("oauth", "token"): ("POST", client_token),
    (".well-known", "openid-configuration"): ("GET", openid_configuration),
    (".well-known", "cxone-configuration"): ("GET", cxone_configuration),
    ("auth", "token"): ("POST", password_token),
    ("authentication", "v1", "token", "access-key"): ("POST", access_key_token),
}
"""By path: how to come in without a token."""


def _issuer(tokens: TokenIssuer, request: SimulatorRequest) -> str:
    """Return the simulator's own address, as whoever asks sees it."""
    return tokens.settings.issuer or f"http://{request.headers.get('host', 'localhost')}"


def _is_valid_pair(pair: tuple[object, object], known: Mapping[str, str] | None) -> bool:
    """Tell whether an id and its secret are good: any, where none are set, that are not empty."""
    name, secret = pair
    if not isinstance(name, str) or not isinstance(secret, str) or not name or not secret:
        return False
    return known is None or known.get(name) == secret


def _basic(request: SimulatorRequest) -> tuple[str, str]:
    scheme, _, pair = request.headers.get("authorization", "").partition(" ")
    try:
        name, _, secret = b64decode(pair, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return "", ""
    return (name, secret) if scheme.lower() == "basic" else ("", "")


def _id_token(tokens: TokenIssuer, request: SimulatorRequest) -> str:
    """Return a JWT whose signature is a word: whoever reads it believes the connection, not the signature."""
    now = int(tokens.settings.clock())
    payload = {
        "iss": _issuer(tokens, request),
        "tenantId": tokens.settings.tenant_id,
        "iat": now,
        "exp": now + _ID_TOKEN_SECONDS,
    }
    return f"{_encode_segment({'alg': 'RS256', 'typ': 'JWT'})}.{_encode_segment(payload)}.simulated"


def _encode_segment(form: Mapping[str, Any]) -> str:
    return urlsafe_b64encode(encode_json(form)).decode().rstrip("=")


class TokenIssuer:
    """Issues tokens, and knows which are good."""

    def __init__(self, settings: SimulatorSettings) -> None:
        self.settings = settings
        self._expiry: dict[str, float] = {}
        self.issued_count = 0  # how many tokens were ever given out

    def token_response(self, **extra: str) -> SimulatorResponse:
        """Return the answer that gives a new token out."""
        form = {"access_token": self._issue(), "token_type": "Bearer", "expires_in": self.settings.token_seconds}
        return json_response(200, encode_json({**form, **extra}), ("cache-control", "no-store"))

    def accepts(self, request: SimulatorRequest) -> bool:
        """Tell whether the request carries a token that is known and has not expired."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        return scheme.lower() == "bearer" and self._expiry.get(token, 0) > self.settings.clock()

    def revoke(self) -> None:
        """Make every token worthless, as when an operator rotates the secret."""
        self._expiry.clear()

    def _issue(self) -> str:
        now = self.settings.clock()
        self._expiry = {token: until for token, until in self._expiry.items() if until > now}
        token = f"simulated-{self.settings.new_id()}"
        self._expiry[token] = now + self.settings.token_seconds
        self.issued_count += 1
        return token
