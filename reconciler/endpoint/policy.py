"""The fallback for an intent that is unsure, or in no Intents document (docs/context.md)."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Literal

from reconciler.endpoint.event import Event

FallbackReason = Literal["unknown", "unsure"]


@dataclass(frozen=True, slots=True)
class FallbackPolicy:
    """The intent in place of a doubtful one, and the minimum confidence."""

    intent: str
    min_confidence: float = 0.0


def fallback_reason(
    event: Event, fallback: FallbackPolicy | None, known_intents: AbstractSet[str]
) -> FallbackReason | None:
    """Return why an intent is doubtful. Without `known_intents`, every intent is known."""
    if known_intents and event.intent not in known_intents:
        return "unknown"
    if fallback is not None and (event.confidence is None or event.confidence < fallback.min_confidence):
        return "unsure"
    return None
