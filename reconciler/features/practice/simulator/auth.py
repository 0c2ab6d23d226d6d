"""Tokens: the tutorial's token request and, as far as known, the real CXone's: discovery, access
keys.
"""

from base64 import b64decode, urlsafe_b64encode
from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qs
from zlib import crc32

from reconciler.features.practice.simulator import messages as http
from reconciler.features.practice.simulator.settings import SimulatorSettings

_TOKEN_PATH: Final = "/auth/token"  # noqa: S105 - a path
_ID_TOKEN_SECONDS: Final = 3600


def client_token(tokens: "TokenIssuer", request: http.SimRequest) -> http.SimResponse:
    """POST a client's id and secret (api-contract "Token"): 400 wrong grant, 401 wrong id or
    secret.
    """
    form = _read_form(request)
    if form.get("grant_type") != ["client_credentials"]:
        problem = "Only client_credentials is supported"
        return http.oauth_error(400, "unsupported_grant_type", problem)
    client_id = form.get("client_id", [""])[-1]
    secret = form.get("client_secret", [""])[-1]
    if not _is_valid_pair((client_id, secret), tokens.settings.clients):
        return http.oauth_error(401, "invalid_client", "Client authentication failed")
    return tokens.token_response(client_id)


def openid_configuration(
    tokens: "TokenIssuer", request: http.SimRequest
) -> http.SimResponse:
    """GET the document with the address of the token endpoint."""
    issuer = _issuer(tokens, request)
    return http.json_response(
        200, {"issuer": issuer, "token_endpoint": issuer + _TOKEN_PATH}
    )


def cxone_configuration(
    tokens: "TokenIssuer", request: http.SimRequest
) -> http.SimResponse:
    """GET the document with the address of a tenant's API."""
    if parse_qs(request.query).get("tenantId") != [tokens.settings.tenant_id]:
        problem = http.ApiProblem("No such tenant", "not.found", "tenantId")
        return http.error_response(404, problem)
    return http.json_response(200, {"api_endpoint": _issuer(tokens, request)})


def password_token(tokens: "TokenIssuer", request: http.SimRequest) -> http.SimResponse:
    """POST an access key in a form, and the client's id and secret as Basic."""
    form = _read_form(request)
    if form.get("grant_type") != ["password"]:
        problem = "Only password is supported"
        return http.oauth_error(400, "unsupported_grant_type", problem)
    if not _is_valid_pair(_basic_pair(request), tokens.settings.clients):
        return http.oauth_error(401, "invalid_client", "Client authentication failed")
    key_id = form.get("username", [""])[-1]
    key_secret = form.get("password", [""])[-1]
    if not _is_valid_pair((key_id, key_secret), tokens.settings.access_keys):
        return http.oauth_error(400, "invalid_grant", "The access key is not valid")

    # A JWT without a real signature: a client trusts the connection, not the signature.
    now = int(tokens.settings.clock())
    claims = {
        "iss": _issuer(tokens, request),
        "tenantId": tokens.settings.tenant_id,
        "iat": now,
        "exp": now + _ID_TOKEN_SECONDS,
    }
    head = _encode_segment({"alg": "RS256", "typ": "JWT"})
    payload = _encode_segment(claims)
    return tokens.token_response(key_id, id_token=f"{head}.{payload}.simulated")


def _read_form(request: http.SimRequest) -> dict[str, list[str]]:
    text = request.body.decode(errors="replace")
    return parse_qs(text, keep_blank_values=True)


def _basic_pair(request: http.SimRequest) -> tuple[str, str]:
    """Return the id and the secret of a request's Basic header; empty ones for another header."""
    scheme, _, text = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return "", ""
    try:
        name, _, secret = b64decode(text, validate=True).decode().partition(":")
    except ValueError:
        return "", ""
    return name, secret


def _encode_segment(segment: http.Json) -> str:
    data = http.encode_json(segment)
    text = urlsafe_b64encode(data).decode()
    return text.rstrip("=")


def access_key_token(
    tokens: "TokenIssuer", request: http.SimRequest
) -> http.SimResponse:
    """POST an access key as JSON."""
    try:
        body = request.json()
    except ValueError:
        problem = http.ApiProblem("The body is not JSON", "invalid.body")
        return http.error_response(400, problem)
    form = body if isinstance(body, dict) else {}
    key = (form.get("accessKeyId"), form.get("accessKeySecret"))
    if not _is_valid_pair(key, tokens.settings.access_keys):
        message = "The access key is not valid"
        problem = http.ApiProblem(message, "invalid.access.key")
        return http.error_response(401, problem)
    return tokens.token_response(form["accessKeyId"])


def _issuer(tokens: "TokenIssuer", request: http.SimRequest) -> str:
    """Return the simulator's own address, as the client sees it."""
    host = request.headers.get("host", "localhost")
    return tokens.settings.issuer or f"http://{host}"


def _is_valid_pair(
    pair: tuple[object, object], accepted: Mapping[str, str] | None
) -> bool:
    """Return whether an id and its secret are accepted: all nonempty ones if `accepted` is None."""
    name, secret = pair
    if not isinstance(name, str) or not isinstance(secret, str):
        return False
    if not name or not secret:
        return False
    return accepted is None or accepted.get(name) == secret


class TokenIssuer:
    """Issues tokens and checks them."""

    def __init__(self, settings: SimulatorSettings) -> None:
        self.settings = settings
        self._expiry: dict[str, float] = {}

    def token_response(self, owner: str, **extra: str) -> http.SimResponse:
        """Return a response with a new token, whose end stands for its owner, the id of a client or
        an access key.
        """
        seconds = self.settings.token_seconds
        owner_digest = crc32(owner.encode())
        token = f"simulated-{self.settings.new_id()}-{owner_digest:08x}"
        self._expiry[token] = self.settings.clock() + seconds
        form = {
            "access_token": token,
            "token_type": "Bearer",
            "expires_in": seconds,
            **extra,
        }
        return http.json_response(200, form, ("cache-control", "no-store"))

    def accepts(self, request: http.SimRequest) -> bool:
        """Return whether the request carries a valid token."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        return (
            scheme.lower() == "bearer"
            and self._expiry.get(token, 0) > self.settings.clock()
        )

    def revoke(self) -> None:
        """Invalidate every token, as when an operator rotates the secret."""
        self._expiry.clear()
