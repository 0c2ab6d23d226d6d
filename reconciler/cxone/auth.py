"""The access token: one request for however many callers, used until a minute before it expires."""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING, Final, NamedTuple

from reconciler.errors import ApiError, CredentialsError, UnexpectedAnswerError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

_EARLY: Final = 60.0
_DEFAULT_LIFE: Final = 3600.0
_LONGEST_LIFE: Final = 86_400.0
_KEPT: Final = 1000
"""Tokens that are remembered: a server runs for months."""


class _Outcome(NamedTuple):
    """What the newest request left: a token and until when to use it, or why it failed and the token from before it."""

    token: str = ""
    expires: float = -math.inf
    failure: ApiError | None = None


class Tokens:
    """Holds the token of one client. `fetch` asks the server for a new one and returns its JSON."""

    def __init__(self, fetch: Callable[[], Awaitable[object]], clock: Callable[[], float]) -> None:
        """`clock` is monotonic: no change of the wall clock makes a token older."""
        self._fetch, self._clock = fetch, clock
        self._lock = asyncio.Lock()
        self._newest = _Outcome()
        self.given: list[str] = []
        """The newest tokens: what no message may repeat."""

    async def token(self, refused: str = "") -> str:
        """Return a token that is not the `refused` one. All who wait share one request, and its failure."""
        before = self._newest
        async with self._lock:
            newest = self._newest
            shared = newest is not before
            if shared and newest.failure is not None:
                raise newest.failure
            if newest.token not in ("", refused) and (shared or self._clock() < newest.expires):
                return newest.token
            return await self._renewed()

    async def _renewed(self) -> str:
        asked = self._clock()
        try:
            token, life = _read(await self._fetch())
        except ApiError as failure:
            self._newest = self._newest._replace(failure=failure)
            raise
        self._newest = _Outcome(token, asked + life)
        self.given[:] = [*self.given[-_KEPT:], token]
        return token


def _read(form: object) -> tuple[str, float]:
    token = form.get("access_token") if isinstance(form, dict) else None
    if not isinstance(token, str) or not token or not token.isascii() or not token.isprintable() or " " in token:
        raise UnexpectedAnswerError("the answer to the request for a token holds no usable access_token")
    return token, _life(form.get("expires_in") if isinstance(form, dict) else None)


def _life(seconds: object) -> float:
    """Return how long to use a token. One that expires at once is used for the call that asked, and not again."""
    try:
        life = float(seconds) if isinstance(seconds, int | float | str) else _DEFAULT_LIFE
    except (ValueError, OverflowError):
        return _DEFAULT_LIFE - _EARLY
    if math.isnan(life):
        return _DEFAULT_LIFE - _EARLY
    return max(min(life, _LONGEST_LIFE) - _EARLY, 0.0)


def wrong_credentials(explanation: str) -> CredentialsError:
    """Return the error of a refused id or secret; neither is named."""
    return CredentialsError(
        f"the tenant refuses the client id or secret ({explanation}); check the credentials' variables"
    )
