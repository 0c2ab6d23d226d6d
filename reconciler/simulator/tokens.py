"""The tokens that the simulator gave out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reconciler.simulator.exchange import Answer, Request, encoded, json_answer

if TYPE_CHECKING:
    from reconciler.simulator.settings import Settings


class Tokens:
    """Issues tokens, and knows which are good."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._expiry: dict[str, float] = {}
        self.issued = 0
        """How many tokens were ever given out."""

    def given(self, **more: str) -> Answer:
        """Return the answer that gives a new token out."""
        form = {"access_token": self._issue(), "token_type": "Bearer", "expires_in": self.settings.token_seconds}
        return json_answer(200, encoded({**form, **more}), ("cache-control", "no-store"))

    @staticmethod
    def refused(status: int, error: str, description: str) -> Answer:
        """Return an error as OAuth has it."""
        return json_answer(status, encoded({"error": error, "error_description": description}))

    def accepts(self, request: Request) -> bool:
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
        self.issued += 1
        return token
