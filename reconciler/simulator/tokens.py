"""The tokens that the simulator gave out."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import parse_qs

from reconciler.simulator.exchange import Answer, Request, encoded, json_answer

if TYPE_CHECKING:
    from reconciler.simulator.settings import Settings


class Tokens:
    """Issues tokens for client credentials, and knows which are good."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._expiry: dict[str, float] = {}
        self.issued = 0
        """How many tokens were ever given out."""

    def answer(self, request: Request) -> Answer:
        """Answer a token request (contract.md, Token): 400 wrong grant, 401 wrong id or secret."""
        form = parse_qs(request.body.decode(errors="replace"), keep_blank_values=True)
        if form.get("grant_type") != ["client_credentials"]:
            return _refused(400, "unsupported_grant_type", "Only client_credentials is supported")
        given_id, secret = form.get("client_id", [""])[-1], form.get("client_secret", [""])[-1]
        clients = self._settings.clients
        if not (given_id and secret) or (clients is not None and clients.get(given_id) != secret):
            return _refused(401, "invalid_client", "Client authentication failed")
        return json_answer(
            200,
            encoded(
                {"access_token": self._issue(), "token_type": "Bearer", "expires_in": self._settings.token_seconds}
            ),
            ("cache-control", "no-store"),
        )

    def accepts(self, request: Request) -> bool:
        """Tell whether the request carries a token that is known and has not expired."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        return scheme.lower() == "bearer" and self._expiry.get(token, 0) > self._settings.clock()

    def revoke(self) -> None:
        """Make every token worthless, as when an operator rotates the secret."""
        self._expiry.clear()

    def _issue(self) -> str:
        now = self._settings.clock()
        self._expiry = {token: until for token, until in self._expiry.items() if until > now}
        token = f"simulated-{self._settings.new_id()}"
        self._expiry[token] = now + self._settings.token_seconds
        self.issued += 1
        return token


def _refused(status: int, error: str, description: str) -> Answer:
    return json_answer(status, encoded({"error": error, "error_description": description}))
