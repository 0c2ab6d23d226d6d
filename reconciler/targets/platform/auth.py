"""Login at a tenant: one access token for all callers, used until a minute before it expires, and
the API's server.
"""

import asyncio
import json
import math
import re
from base64 import b64encode
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from http import HTTPStatus
from typing import Final, NamedTuple
from urllib.parse import urlencode

from reconciler.core import errors
from reconciler.core.text.json_values import as_object
from reconciler.targets.platform.discovery import Discovery, SendRequest, parse_identity
from reconciler.targets.platform.settings import (
    ClientCredentials,
    ServerUrl,
    TenantSettings,
)
from reconciler.targets.platform.transport.request import (
    ACCEPT_HEADERS,
    ApiRequest,
    ApiResponse,
)
from reconciler.targets.platform.transport.sender import RequestKind

_RENEWAL_MARGIN: Final = 60.0
_DEFAULT_LIFETIME: Final = 3600.0
_MAX_LIFETIME: Final = 86_400.0
_MAX_TOKEN: Final = 64 * 1024  # characters; servers refuse longer headers
_TOKEN: Final = re.compile(f"[!-~]{{1,{_MAX_TOKEN}}}", re.ASCII)
DOCTOR_ADVICE: Final = "`cxroute doctor` tries each step of the login"
_REJECTED_STATUSES: Final = (400, 401, 403)
# the address does not issue tokens
_WRONG_ADDRESS_STATUSES: Final = (
    404,
    405,
    410,
    421,
    501,
)
_MAX_REMEMBERED_TOKENS: Final = 1000  # an endpoint runs for months


class _Outcome(NamedTuple):
    """The result of the newest request: a token and its expiry, or the failure and the token before
    it.
    """

    token: str = ""
    expires: float = -math.inf
    failure: errors.ApiError | None = None


class TokenCache:
    """Holds the token of one client. `fetch` asks the server for a new one and returns its JSON."""

    def __init__(
        self,
        fetch: Callable[[], Awaitable[dict[str, object]]],
        clock: Callable[[], float],
    ) -> None:
        """`clock` is monotonic: a change of the wall clock does not age a token."""
        self._fetch = fetch
        self._clock = clock
        self._lock = asyncio.Lock()
        self._latest = _Outcome()

    async def token(self, rejected: str = "") -> str:
        """Return a token that is not the `rejected` one.

        Concurrent callers share one request and its failure.
        """
        before = self._latest
        if not rejected and not self._lock.locked() and self._clock() < before.expires:
            return before.token
        async with self._lock:
            newest = self._latest
            shared = newest is not before
            if shared and newest.failure is not None:
                raise newest.failure
            if newest.token not in ("", rejected) and (
                shared or self._clock() < newest.expires
            ):
                return newest.token
            requested_at = self._clock()
            try:
                token, lifetime = _parse_token(await self._fetch())
            except errors.ApiError as failure:
                self._latest = newest._replace(failure=failure)
                raise
            self._latest = _Outcome(token, requested_at + lifetime)
            return token


def issued_tokens(data: object) -> list[str]:
    """Return every token in a response: no message may repeat one."""
    tokens = [
        text
        for name, text in as_object(data).items()
        if name.endswith("_token") and isinstance(text, str)
    ]
    return [token for token in tokens if len(token) <= _MAX_TOKEN]


def _parse_token(fields: dict[str, object]) -> tuple[str, float]:
    """Return a token and the seconds to use it; with 0 it serves only the call that requested
    it.
    """
    token = fields.get("access_token")
    if not isinstance(token, str) or not _TOKEN.fullmatch(token):
        raise errors.UnexpectedResponseError(
            "the token response has no usable access_token"
        )

    lifetime = math.nan
    seconds = fields.get("expires_in")
    if isinstance(seconds, int | float | str):
        with suppress(ValueError, OverflowError):
            lifetime = float(seconds)
    if math.isnan(lifetime):
        lifetime = _DEFAULT_LIFETIME
    usable_seconds = min(lifetime, _MAX_LIFETIME) - _RENEWAL_MARGIN
    return token, max(usable_seconds, 0.0)


def token_request(server: ServerUrl, credentials: ClientCredentials) -> ApiRequest:
    """Return the request for a token: with a client's id and secret, an access key, or both
    (docs/connect.md).
    """
    client_id = credentials.client_id
    secret = credentials.client_secret
    key_id = credentials.key_id
    key_secret = credentials.key_secret
    headers = {**ACCEPT_HEADERS, "Content-Type": "application/x-www-form-urlencoded"}
    if not key_id:
        form = {
            "grant_type": "client_credentials",
            "client_id": client_id,
            "client_secret": secret,
        }
        text = urlencode(form)
    elif client_id:
        basic = b64encode(f"{client_id}:{secret}".encode()).decode()
        headers["Authorization"] = f"Basic {basic}"
        form = {"grant_type": "password", "username": key_id, "password": key_secret}
        text = urlencode(form)
    else:
        headers["Content-Type"] = "application/json"
        text = json.dumps({"accessKeyId": key_id, "accessKeySecret": key_secret})
    return ApiRequest("POST", server, server.path, headers, text.encode())


def _credentials_error(
    credentials: ClientCredentials, answer: str
) -> errors.CredentialsError:
    names = []
    if credentials.key_id:
        names.append("access key")
    if credentials.client_id:
        names.append("client id or secret")
    text = f"the tenant refuses the {' or the '.join(names)} ({answer})"
    variables = ", ".join(credentials.variables) or "the credentials' variables"
    return errors.CredentialsError(f"{text}; check {variables}. {DOCTOR_ADVICE}")


class TenantLogin:
    """Access to one tenant.

    The API's server stays as first discovered: a plan must not change hosts midway.
    """

    def __init__(
        self,
        tenant: TenantSettings,
        credentials: ClientCredentials,
        send: SendRequest,
        clock: Callable[[], float],
    ) -> None:
        """`clock` is monotonic. No request is sent before the first token is needed."""
        self._tenant = tenant
        self._credentials = credentials
        self._send = send
        self.token = TokenCache(self._fetch_token, clock).token
        # Messages must not repeat them.
        self.issued_tokens: deque[str] = deque(maxlen=_MAX_REMEMBERED_TOKENS)
        # A token whose API server is not known yet.
        self._response_without_api: dict[str, object] = {}
        self._discovery = (
            Discovery(tenant, send, self.explain_error) if tenant.issuer else None
        )
        self._api_server = ServerUrl.parse(tenant.base_url) if tenant.base_url else None

    @property
    def api_server(self) -> ServerUrl:
        """Return the API's server, known once there was a token."""
        if self._api_server is None:
            raise AssertionError(
                "a call needs the API's address, which is not known yet"
            )
        return self._api_server

    def explain_error(self, response: ApiResponse) -> str:
        """Return the server's error text, without a secret."""
        secrets = (*self._credentials.secret_encodings(), *self.issued_tokens)
        error_profile = self._tenant.profile.errors
        return response.error_text(secrets, error_profile)

    async def _fetch_token(self) -> dict[str, object]:
        payload = self._response_without_api or await self._request_token()
        self._response_without_api = {}
        if (
            self._api_server is None
            and self._discovery is not None
            and payload.get("access_token")
        ):
            identity = parse_identity(payload.get("id_token"))
            self._response_without_api = payload
            self._api_server = await self._discovery.api_server(*identity)
            self._response_without_api = {}
        return payload

    async def _request_token(self) -> dict[str, object]:
        try:
            token_url = self._tenant.token_url
            if self._discovery:
                server = await self._discovery.token_server()
            else:
                server = ServerUrl.parse(token_url)
            request = token_request(server, self._credentials)
            response = await self._send(request, RequestKind.TOKEN)
        except (errors.UnreachableError, errors.UnsupportedCallError):
            if self._discovery is not None:
                self._discovery.forget_token_server()
            raise
        answer = f"{response.call} at {server.host}: status {response.status}"
        if response.status in _REJECTED_STATUSES:
            raise _credentials_error(
                self._credentials, f"{answer}, {self.explain_error(response)}"
            )
        if response.status in _WRONG_ADDRESS_STATUSES and self._discovery is not None:
            self._discovery.forget_token_server()
        if response.status != HTTPStatus.OK:
            raise errors.CredentialsError(
                f"no token: {answer} ({self.explain_error(response)}); {DOCTOR_ADVICE}"
            )
        payload = as_object(response.payload)
        self.issued_tokens += issued_tokens(payload)
        return payload
