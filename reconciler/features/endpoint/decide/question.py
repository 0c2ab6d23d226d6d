"""A question about a conversation, and the body of POST /decide that asks it.

An error names the field and contains nothing of the body.
"""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from reconciler.core.model.operators import Scalar
from reconciler.features.endpoint.event import (
    InvalidEventError,
    check_conversation,
    check_intent,
    parse_object,
    require_confidence,
    require_timestamp,
)

_MAX_ATTRIBUTES: Final = 100
_MAX_NAME: Final = 256  # characters of an attribute's name
_MAX_CHOSEN: Final = 512  # characters of a queue's id or name
_BOT_FIELDS: Final = ("intent", "confidence")


class BotNames(NamedTuple):
    """The attributes that hold the bot's intent and its confidence."""

    intent: str
    confidence: str


class Question(NamedTuple):
    """A conversation whose queue is asked for.

    `conversation` is None without an id. `chosen` is the queue that a script chose by itself: its
    id or its name; empty if that is not known.
    """

    conversation: str | None
    attributes: Mapping[str, Scalar | None]
    chosen: str = ""


def parse_question(body: bytes, names: BotNames) -> Question:
    """Return the question in a body of POST /decide. Raises InvalidEventError."""
    form = parse_object(body)
    if "timestamp" in form:
        require_timestamp(form["timestamp"])
    conversation = _read_conversation(form.get("conversationId"))
    intent = _read_intent(form.get("intent"))
    confidence = require_confidence(form.get("confidence"), "confidence")
    attributes = _read_attributes(form.get("attributes"), names)
    attributes[names.intent] = intent
    attributes[names.confidence] = confidence
    chosen = read_chosen(form.get("scriptQueue"), "scriptQueue")
    return Question(conversation, attributes, chosen)


def read_chosen(value: object, field: str) -> str:
    """Return the queue that a script chose; empty if it names none. Raises InvalidEventError."""
    if value is None:
        return ""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str) or len(value) > _MAX_CHOSEN:
        raise InvalidEventError(
            f"{field}: must be the id or the name of a queue, with at most {_MAX_CHOSEN} characters"
        )
    return value


def is_scalar(value: object) -> bool:
    """Return whether a JSON value is a text, a number, a boolean or null."""
    return value is None or isinstance(value, str | int | float)


def _read_conversation(value: object) -> str | None:
    is_zero = type(value) is int and value == 0
    if value is None or is_zero:
        return None
    if not isinstance(value, str):
        raise InvalidEventError("conversationId: must be text, null or 0")
    check_conversation(value, "conversationId")
    return value


def _read_intent(value: object) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str):
        raise InvalidEventError("intent: must be text, or null")
    check_intent(value, "intent")
    return value


def _read_attributes(value: object, names: BotNames) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise InvalidEventError("attributes: must be an object")
    if len(value) > _MAX_ATTRIBUTES:
        raise InvalidEventError(f"attributes: must have at most {_MAX_ATTRIBUTES}")
    if not all(1 <= len(name) <= _MAX_NAME for name in value):
        raise InvalidEventError(
            f"attributes: each name must have 1 to {_MAX_NAME} characters"
        )
    if not all(map(is_scalar, value.values())):
        raise InvalidEventError(
            "attributes: each value must be text, a number, true, false or null"
        )
    if not value.keys().isdisjoint((*_BOT_FIELDS, *names)):
        raise InvalidEventError(
            "attributes: must not repeat the intent or the confidence, which have their own fields"
        )
    return dict(value)
