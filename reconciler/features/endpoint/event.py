"""A request's body -> Event.

Strict: a body that two parsers could read in two ways is refused (invariants W8).
"""

import json
import re
from datetime import date, datetime
from typing import Any, Final, NamedTuple

from reconciler.core.text.json_values import is_deep, parse_finite, refuse_constant

_TIMESTAMP: Final = re.compile(
    r"\d{4}-\d\d-\d\d[Tt](?:[01]\d|2[0-3]):(?:[0-5]\d:[0-5]\d|59:60)(?:\.(\d{1,18}))?"
    r"(?:[Zz]|([+-])([01]\d|2[0-3]):([0-5]\d))",
    re.ASCII,
)
# Only the last minute of an hour has a leap second.
_MINUTE_LENGTH: Final = len("2026-02-01T09:00")
_DAY: Final = 86_400


CLOCK_TOLERANCE: Final = 300  # seconds by which the sender's clock may differ


class Timestamp(NamedTuple):
    """A point of time: full seconds since the year 1, and the digits of the fraction, which sort as
    text.
    """

    seconds: int
    fraction: str


# after every timestamp, in any zone
END_OF_TIME: Final = Timestamp((date.max.toordinal() + 2) * _DAY, "")


def parse_timestamp(text: str) -> Timestamp | None:
    """Return an RFC 3339 timestamp's value, or None; a leap second is just before the next
    minute.
    """
    match = _TIMESTAMP.fullmatch(text)
    if match is None:
        return None
    fraction, sign, ahead, behind = match.groups()
    try:
        minute = datetime.fromisoformat(text[:_MINUTE_LENGTH])
    except ValueError:  # the day does not exist
        return None
    seconds = _seconds_since_year_one(minute) + int(
        text[_MINUTE_LENGTH + 1 : _MINUTE_LENGTH + 3]
    )
    if sign:
        offset = int(ahead) * 3600 + int(behind) * 60
        seconds += offset if sign == "-" else -offset
    return Timestamp(seconds, fraction.rstrip("0") if fraction else "")


def timestamp_from_datetime(now: datetime) -> Timestamp:
    """Return the value of a time in UTC."""
    return Timestamp(_seconds_since_year_one(now), f"{now.microsecond:06}".rstrip("0"))


def latest_timestamp(now: datetime) -> Timestamp:
    """Return the latest time that an event may have: a later one would make all following events
    look older.
    """
    seconds, fraction = timestamp_from_datetime(now)
    return Timestamp(seconds + CLOCK_TOLERANCE, fraction)


def _seconds_since_year_one(time: datetime) -> int:
    minutes = time.hour * 60 + time.minute
    return time.toordinal() * _DAY + minutes * 60 + time.second


def format_timestamp(now: datetime) -> str:
    """Return a time in UTC as RFC 3339, in milliseconds."""
    parts = (
        now.year,
        now.month,
        now.day,
        now.hour,
        now.minute,
        now.second,
        now.microsecond // 1000,
    )
    return "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ" % parts  # noqa: UP031 - a third of the time


_CONVERSATION: Final = re.compile(r"[A-Za-z0-9._:-]{1,128}", re.ASCII)
_CONTROL: Final = re.compile(
    r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)
# Not all unprintable characters: the known letters depend on Python's version, and Persian uses
# U+200C.
_MAX_INTENT: Final = 256  # characters
_MAX_LEVELS: Final = 8  # levels of lists and objects, also in unknown fields


class InvalidEventError(Exception):
    """A body that is not an event. The text names the field and contains no part of the body."""


class Event(NamedTuple):
    """A bot's intent in a conversation.

    `timestamp_text` is the timestamp as sent, None without one.
    """

    conversation: str
    intent: str
    confidence: float | None
    timestamp_text: str | None = None
    timestamp: Timestamp | None = None


def parse_event(body: bytes) -> Event:
    """Return the event of a body. Raises InvalidEventError."""
    form = parse_object(body)
    text = None
    timestamp = None
    if "timestamp" in form:
        text = form["timestamp"]
        timestamp = require_timestamp(text)
    conversation = _require_text(form, "conversationId")
    check_conversation(conversation, "conversationId")
    intent = _require_text(form, "intent")
    check_intent(intent, "intent")
    confidence = require_confidence(form.get("confidence"), "confidence")
    return Event(conversation, intent, confidence, text, timestamp)


def require_timestamp(value: object) -> Timestamp:
    """Return the value of a body's timestamp. Raises InvalidEventError."""
    timestamp = parse_timestamp(value) if isinstance(value, str) else None
    if timestamp is None:
        raise InvalidEventError(
            "timestamp: must be RFC 3339, such as 2026-02-01T09:00:00Z"
        )
    return timestamp


def check_conversation(conversation: str, field: str) -> None:
    """Check a conversation's id. Raises InvalidEventError, which names the field."""
    # Dots would change the write's path.
    has_only_dots = not conversation.strip(".")
    if has_only_dots or not _CONVERSATION.fullmatch(conversation):
        raise InvalidEventError(
            f"{field}: must have 1 to 128 letters, digits and . _ : - (not only dots)"
        )


def check_intent(intent: str, field: str) -> None:
    """Check an intent. Raises InvalidEventError, which names the field."""
    if not intent.strip() or len(intent) > _MAX_INTENT:
        raise InvalidEventError(f"{field}: must have 1 to {_MAX_INTENT} characters")
    if _CONTROL.search(intent):
        raise InvalidEventError(
            f"{field}: must not contain control characters or unpaired surrogates"
        )


def parse_object(body: bytes, levels: int = _MAX_LEVELS) -> dict[str, Any]:
    """Return the object of a body with so many levels at most. Raises InvalidEventError."""
    try:
        form = _DECODER.decode(body.decode("utf-8"))
    except UnicodeDecodeError:
        raise InvalidEventError("the body is not UTF-8") from None
    except (ValueError, RecursionError):
        raise InvalidEventError("the body is not valid JSON") from None
    if type(form) is not dict:
        raise InvalidEventError("the body must be a JSON object")
    if is_deep(form, levels):
        raise InvalidEventError(f"the body is nested more than {levels} levels deep")
    return form


def require_confidence(value: Any, field: str) -> float | None:  # noqa: ANN401 - any JSON
    """Return a confidence; None for null. Raises InvalidEventError, which names the field."""
    if value is None:
        return None
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not 0 <= value <= 1:
        raise InvalidEventError(f"{field}: must be a number from 0 to 1, or null")
    # -0.0 would be written as -0.0.
    return float(abs(value)) if isinstance(value, float) else int(value)


def _require_text(form: dict[str, Any], name: str) -> str:
    if name not in form:
        raise InvalidEventError(f"{name}: is missing")
    text = form[name]
    if not isinstance(text, str):
        raise InvalidEventError(f"{name}: must be text")
    return text


def _reject_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    form = dict(pairs)
    if len(form) != len(pairs):  # parsers differ in which value counts
        raise ValueError
    return form


_DECODER: Final = json.JSONDecoder(
    object_pairs_hook=_reject_duplicates,
    parse_constant=refuse_constant,
    parse_float=parse_finite,
)
