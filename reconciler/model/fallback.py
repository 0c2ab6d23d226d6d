"""The context endpoint's fallback: the intent that replaces an unknown or uncertain one.

The endpoint writes with it, and the analysis applies it before the rules: one definition for both.
"""

from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from hashlib import sha256
from typing import Final, Literal

from reconciler.model.rule import CANONICAL_JSON

Doubt = Literal["unknown", "unsure"]
_DIGEST_LENGTH: Final = 12


@dataclass(frozen=True, slots=True)
class Fallback:
    """The settings of the fallback. `intent` None: every intent is written unchanged."""

    intent: str | None = None
    min_confidence: float = 0.0
    known_intents: AbstractSet[str] = frozenset()  # empty: every intent is known

    def doubt(self, intent: object, confidence: object) -> Doubt | None:
        """Return why an event is doubtful: its intent is unknown, or its confidence is missing or too low."""
        if self.known_intents and intent not in self.known_intents:
            return "unknown"
        if self.intent is None or (isinstance(confidence, int | float) and confidence >= self.min_confidence):
            return None
        return "unsure"

    @property
    def digest(self) -> str:
        """Return 12 hex digits, equal for fallbacks that write the same for every event."""
        settings = None if self.intent is None else [self.intent, float(self.min_confidence), sorted(self.known_intents)]
        return sha256(CANONICAL_JSON.encode(settings).encode()).hexdigest()[:_DIGEST_LENGTH]
