"""Login at a tenant: one access token for all callers, used until a minute before it expires, and the API's server."""

from __future__ import annotations

import asyncio
import json
import math
import re
from base64 import b64encode
from collections import deque
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Final, NamedTuple
from urllib.parse import urlencode

from reconciler import errors
from reconciler.cxone.discovery import Discovery, SendRequest, parse_identity
from reconciler.cxone.settings import ClientCredentials, ServerUrl, TenantSettings
from reconciler.cxone.transport.request import ACCEPT_HEADERS, ApiRequest, ApiResponse
from reconciler.cxone.transport.sender import RequestKind

_RENEWAL_MARGIN: Final = 60.0
_DEFAULT_LIFETIME: Final = 3600.0
_MAX_LIFETIME: Final = 86_400.0
_MAX_TOKEN: Final = 64 * 1024  # characters; servers refuse longer headers
_TOKEN: Final = re.compile(f"[!-~]{{1,{_MAX_TOKEN}}}", re.ASCII)
_FORM: Final = {"Content-Type": "application/x-www-form-urlencoded"}
_ANY_VARIABLES: Final = "the credentials' variables"
_KEY: Final = ("accessKeyId", "accessKeySecret")


class _Outcome(NamedTuple):
    """The result of the newest request: a token and its expiry, or the failure and the token before it."""

    token: str = ""
    expires: float = -math.inf
    failure: errors.ApiError | None = None


class TokenCache:
    """Holds the token of one client. `fetch` asks the server for a new one and returns its JSON."""

    def __init__(self, fetch: Callable[[], Awaitable[object]], clock: Callable[[], float]) -> None:
        """`clock` is monotonic: a change of the wall clock does not age a token."""
        self._fetch, self._clock = fetch, clock
        self._lock = asyncio.Lock()
        self._latest = _Outcome()

    async def token(self, rejected: str = "") -> str:
        """Return a token that is not the `rejected` one. Concurrent callers share one request and its failure."""
        before = self._latest
        if not rejected and not self._lock.locked() and self._clock() < before.expires:
            return before.token
        async with self._lock:
            newest = self._latest
            shared = newest is not before
            if shared and newest.failure is not None:
                raise newest.failure
            if newest.token not in ("", rejected) and (shared or self._clock() < newest.expires):
                return newest.token
            return await self._renew()

    async def _renew(self) -> str:
        requested_at = self._clock()
        try:
            token, lifetime = _parse_token(await self._fetch())
        except errors.ApiError as failure:
            self._latest = self._latest._replace(failure=failure)
            raise
        self._latest = _Outcome(token, requested_at + lifetime)
        return token


def issued_tokens(data: object) -> list[str]:
    """Return every token in a response: no message may repeat one."""
    fields = data.items() if isinstance(data, dict) else ()
    tokens = [text for name, text in fields if name.endswith("_token") and isinstance(text, str)]
    return [token for token in tokens if len(token) <= _MAX_TOKEN]


def _parse_token(payload: object) -> tuple[str, float]:
    fields = payload if isinstance(payload, dict) else {}
    token = fields.get("access_token")
    if not isinstance(token, str) or not _TOKEN.fullmatch(token):
        raise errors.UnexpectedResponseError("the answer to the request for a token holds no usable access_token")
    return token, _token_lifetime(fields.get("expires_in"))


def _token_lifetime(seconds: object) -> float:
    """Return the seconds to use a token; one that expires at once serves only the call that requested it."""
    try:
        lifetime = float(seconds) if isinstance(seconds, int | float | str) else _DEFAULT_LIFETIME
    except (ValueError, OverflowError):
        lifetime = math.nan
    lifetime = _DEFAULT_LIFETIME if math.isnan(lifetime) else lifetime
    return max(min(lifetime, _MAX_LIFETIME) - _RENEWAL_MARGIN, 0.0)


def token_request(server: ServerUrl, credentials: ClientCredentials) -> ApiRequest:
    """Return the request for a token: with a client's id and secret, an access key, or both (docs/access.md)."""
    if not credentials.key_id:
        form = {"grant_type": "client_credentials"}
        form |= {"client_id": credentials.client_id, "client_secret": credentials.client_secret}
        return _request(server, _FORM, urlencode(form))
    key = (credentials.key_id, credentials.key_secret)
    if not credentials.client_id:
        return _request(server, {"Content-Type": "application/json"}, json.dumps(dict(zip(_KEY, key, strict=True))))
    pair = b64encode(f"{credentials.client_id}:{credentials.client_secret}".encode()).decode()
    form = {"grant_type": "password", "username": key[0], "password": key[1]}
    return _request(server, {**_FORM, "Authorization": f"Basic {pair}"}, urlencode(form))


def _request(server: ServerUrl, headers: dict[str, str], text: str) -> ApiRequest:
    return ApiRequest("POST", server, server.path, {**ACCEPT_HEADERS, **headers}, text.encode())


def credentials_error(credentials: ClientCredentials, explanation: str) -> errors.CredentialsError:
    """Return the error for refused credentials; it names their variables and no value."""
    names = ("access key" if credentials.key_id else "", "client id or secret" if credentials.client_id else "")
    text = f"the tenant refuses the {' or the '.join(filter(None, names))} ({explanation})"
    return errors.CredentialsError(f"{text}; check {', '.join(credentials.variables) or _ANY_VARIABLES}")


_REJECTED_STATUSES: Final = (400, 401, 403)
_WRONG_ADDRESS_STATUSES: Final = (404, 405, 410, 421, 501)  # the address does not issue tokens
_MAX_REMEMBERED_TOKENS: Final = 1000  # an endpoint runs for months


class TenantLogin:
    """Access to one tenant. The API's server stays as first discovered: a plan must not change hosts midway."""

    def __init__(
        self, tenant: TenantSettings, credentials: ClientCredentials, send: SendRequest, clock: Callable[[], float]
    ) -> None:
        """`clock` is monotonic. No request is sent before the first token is needed."""
        self._credentials, self._send, self._errors = credentials, send, tenant.profile.errors
        self._tokens = TokenCache(self._fetch_token, clock)
        self.issued_tokens: deque[str] = deque(maxlen=_MAX_REMEMBERED_TOKENS)  # messages must not repeat them
        self._response_without_api: dict[str, object] = {}  # a token whose API is not found yet
        self._discovery = Discovery(tenant, send, self.explain_error) if tenant.issuer else None
        self._token_server = ServerUrl.parse(tenant.token_url) if tenant.token_url else None
        self._api_server = ServerUrl.parse(tenant.base_url) if tenant.base_url else None

    def token(self, rejected: str = "") -> Awaitable[str]:
        """Return a token that is not the `rejected` one."""
        return self._tokens.token(rejected)

    @property
    def api_server(self) -> ServerUrl:
        """Return the API's server, known once there was a token."""
        if self._api_server is None:
            raise AssertionError("a call was about to be made before anybody knows where the API is")
        return self._api_server

    def explain_error(self, response: ApiResponse) -> str:
        """Return the server's error text, without a secret."""
        return response.error_text((*self._credentials.secret_encodings(), *self.issued_tokens), self._errors)

    async def _fetch_token(self) -> object:
        payload, self._response_without_api = self._response_without_api or await self._request_token_data(), {}
        if self._api_server is None and self._discovery is not None and payload.get("access_token"):
            identity = parse_identity(payload.get("id_token"))
            self._response_without_api = payload
            self._api_server = await self._discovery.api_server(identity)
            self._response_without_api = {}
        return payload

    async def _request_token_data(self) -> dict[str, object]:
        try:
            answer = await self._request_token()
        except (errors.UnreachableError, errors.UnsupportedCallError):
            if self._discovery is not None:
                self._discovery.forget_token_server()
            raise
        payload = answer.payload if isinstance(answer.payload, dict) else {}
        self.issued_tokens += issued_tokens(payload)
        return payload

    async def _request_token(self) -> ApiResponse:
        server = await self._discovery.token_server() if self._discovery else self._token_server
        if server is None:
            raise AssertionError("a tenant has an address for tokens, or an issuer that knows it")
        answer = await self._send(token_request(server, self._credentials), RequestKind.TOKEN)
        if answer.status in _REJECTED_STATUSES:
            raise credentials_error(self._credentials, self.explain_error(answer))
        if answer.status in _WRONG_ADDRESS_STATUSES and self._discovery is not None:
            self._discovery.forget_token_server()
        if answer.status != HTTPStatus.OK:
            where = f"{answer.call} at {server.host}"
            raise errors.CredentialsError(f"no token: {where}: status {answer.status} ({self.explain_error(answer)})")
        return answer
