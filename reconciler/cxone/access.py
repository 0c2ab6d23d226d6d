"""How a client gets in: a token, shared by all its calls, and the server that the token is for."""

from __future__ import annotations

from collections import deque
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from reconciler.cxone.auth import Tokens, issued, token_request, wrong_credentials
from reconciler.cxone.discovery import Discovery, identity_of
from reconciler.cxone.sending import Kind
from reconciler.cxone.settings import Server
from reconciler.errors import CredentialsError, NotOfferedError, UnreachableError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from reconciler.cxone.discovery import Send
    from reconciler.cxone.exchange import Answer
    from reconciler.cxone.settings import Credentials, Tenant

_REFUSED: Final = (400, 401, 403)
_ELSEWHERE: Final = (404, 405, 410, 421, 501)
"""Statuses that say that tokens are not issued there."""
_KEPT: Final = 1000
"""Tokens that are remembered: an endpoint runs for months."""


class Access:
    """The way into one tenant. Where the API is stays as it was first found: a plan must not change hosts midway."""

    def __init__(self, tenant: Tenant, credentials: Credentials, send: Send, clock: Callable[[], float]) -> None:
        """`clock` is monotonic. Nothing is asked before the first token is."""
        self._credentials, self._send, self._errors = credentials, send, tenant.profile.errors
        self._tokens = Tokens(self._fetch, clock)
        self.given: deque[str] = deque(maxlen=_KEPT)
        """The newest tokens: what no message may repeat."""
        self._unplaced: dict[str, object] = {}
        """The answer with a token whose API is not found yet: to look for it again takes no other token."""
        self._discovery = Discovery(tenant, send, self.explanation) if tenant.issuer else None
        self._place = Server.of(tenant.token_url) if tenant.token_url else None
        self._base = Server.of(tenant.base_url) if tenant.base_url else None

    def token(self, refused: str = "") -> Awaitable[str]:
        """Return a token that is not the `refused` one. All who wait share one request, and its failure."""
        return self._tokens.token(refused)

    @property
    def base(self) -> Server:
        """Where the API is: known once there was a token."""
        if self._base is None:
            raise AssertionError("a call was about to be made before anybody knows where the API is")
        return self._base

    def explanation(self, answer: Answer) -> str:
        """Return what the server says of an error, without a secret."""
        return answer.explanation((*self._credentials.forms(), *self.given), self._errors)

    async def _fetch(self) -> object:
        """Ask for a token, wherever tokens are, and for where the API is, if nobody knows yet."""
        form, self._unplaced = self._unplaced or await self._asked(), {}
        if self._base is None and self._discovery is not None and form.get("access_token"):
            identity = identity_of(form.get("id_token"))
            self._unplaced = form
            self._base = await self._discovery.api(identity)
            self._unplaced = {}
        return form

    async def _asked(self) -> dict[str, object]:
        try:
            answer = await self._answer()
        except (UnreachableError, NotOfferedError):
            self._forget()
            raise
        form = answer.form if isinstance(answer.form, dict) else {}
        self.given += issued(form)
        return form

    async def _answer(self) -> Answer:
        server = await self._discovery.token_server() if self._discovery else self._place
        if server is None:
            raise AssertionError("a tenant has an address for tokens, or an issuer that knows it")
        answer = await self._send(token_request(server, self._credentials), Kind.TOKEN)
        if answer.status in _REFUSED:
            raise wrong_credentials(self._credentials, self.explanation(answer))
        if answer.status in _ELSEWHERE:
            self._forget()
        if answer.status != HTTPStatus.OK:
            where = f"{answer.call} at {server.host}"
            raise CredentialsError(f"no token: {where}: status {answer.status} ({self.explanation(answer)})")
        return answer

    def _forget(self) -> None:
        if self._discovery is not None:
            self._discovery.forget()
