"""Tokens: the tutorial's token request and, as far as known, the real CXone's: discovery, access
keys.
"""

from base64 import b64decode, urlsafe_b64encode
from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qs
from zlib import crc32

from reconciler.simulator import messages as http
from reconciler.simulator.settings import SimulatorSettings

_TOKEN_PATH: Final = "/auth/token"  # noqa: S105 - a path
_ID_TOKEN_SECONDS: Final = 3600


def client_token(tokens: "TokenIssuer", request: http.SimRequest) -> http.SimResponse:
    """POST a client's id and secret (api-contract "Token"): 400 wrong grant, 401 wrong id or
    secret.
    """
    form = parse_qs(request.body.decode(errors="replace"), keep_blank_values=True)
    if form.get("grant_type") != ["client_credentials"]:
        return http.oauth_error(
            400, "unsupported_grant_type", "Only client_credentials is supported"
        )
    client = (form.get("client_id", [""])[-1], form.get("client_secret", [""])[-1])
    if not _is_valid_pair(client, tokens.settings.clients):
        return http.oauth_error(401, "invalid_client", "Client authentication failed")
    return tokens.token_response(client[0])


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
        return http.error_response(
            404, http.ApiProblem("No such tenant", "not.found", "tenantId")
        )
    return http.json_response(200, {"api_endpoint": _issuer(tokens, request)})


def password_token(tokens: "TokenIssuer", request: http.SimRequest) -> http.SimResponse:
    """POST an access key in a form, and the client's id and secret as Basic."""
    form = parse_qs(request.body.decode(errors="replace"), keep_blank_values=True)
    if form.get("grant_type") != ["password"]:
        return http.oauth_error(
            400, "unsupported_grant_type", "Only password is supported"
        )
    scheme, _, text = request.headers.get("authorization", "").partition(" ")
    try:
        name, _, secret = (
            b64decode(text if scheme.lower() == "basic" else "", validate=True)
            .decode()
            .partition(":")
        )
    except ValueError:
        name = secret = ""
    if not _is_valid_pair((name, secret), tokens.settings.clients):
        return http.oauth_error(401, "invalid_client", "Client authentication failed")
    key = (form.get("username", [""])[-1], form.get("password", [""])[-1])
    if not _is_valid_pair(key, tokens.settings.access_keys):
        return http.oauth_error(400, "invalid_grant", "The access key is not valid")
    # A JWT without a real signature: a client trusts the connection, not the signature.
    now = int(tokens.settings.clock())
    owner = {"iss": _issuer(tokens, request), "tenantId": tokens.settings.tenant_id}
    segments = (
        {"alg": "RS256", "typ": "JWT"},
        {**owner, "iat": now, "exp": now + _ID_TOKEN_SECONDS},
    )
    head, payload = (
        urlsafe_b64encode(http.encode_json(segment)).decode().rstrip("=")
        for segment in segments
    )
    return tokens.token_response(key[0], id_token=f"{head}.{payload}.simulated")


def access_key_token(
    tokens: "TokenIssuer", request: http.SimRequest
) -> http.SimResponse:
    """POST an access key as JSON."""
    try:
        body = request.json()
    except ValueError:
        return http.error_response(
            400, http.ApiProblem("The body is not JSON", "invalid.body")
        )
    form = body if isinstance(body, dict) else {}
    if not _is_valid_pair(
        (form.get("accessKeyId"), form.get("accessKeySecret")),
        tokens.settings.access_keys,
    ):
        return http.error_response(
            401, http.ApiProblem("The access key is not valid", "invalid.access.key")
        )
    return tokens.token_response(form["accessKeyId"])


def _issuer(tokens: "TokenIssuer", request: http.SimRequest) -> str:
    """Return the simulator's own address, as the client sees it."""
    return (
        tokens.settings.issuer or f"http://{request.headers.get('host', 'localhost')}"
    )


def _is_valid_pair(
    pair: tuple[object, object], accepted: Mapping[str, str] | None
) -> bool:
    """Return whether an id and its secret are accepted: all nonempty ones if `accepted` is None."""
    name, secret = pair
    if (
        not isinstance(name, str)
        or not isinstance(secret, str)
        or not name
        or not secret
    ):
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
        token = f"simulated-{self.settings.new_id()}-{crc32(owner.encode()):08x}"
        self._expiry[token] = self.settings.clock() + seconds
        form = {"access_token": token, "token_type": "Bearer", "expires_in": seconds}
        return http.json_response(200, {**form, **extra}, ("cache-control", "no-store"))

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
