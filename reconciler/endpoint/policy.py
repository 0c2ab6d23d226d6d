"""What is written where the bot is unsure, or says an intent that no Intents document has (docs/context.md)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

    from reconciler.endpoint.event import Event


Doubt = Literal["unknown", "unsure"]


@dataclass(frozen=True, slots=True)
class Fallback:
    """The intent in place of a doubtful one, and how sure the bot must be."""

    intent: str
    min_confidence: float = 0.0


def doubt(event: Event, fallback: Fallback | None, known: AbstractSet[str]) -> Doubt | None:
    """Say what is doubtful. Without a floor nobody is unsure; without a catalogue (`known` empty) all is known."""
    if known and event.intent not in known:
        return "unknown"
    if fallback is not None and (event.confidence is None or event.confidence < fallback.min_confidence):
        return "unsure"
    return None
