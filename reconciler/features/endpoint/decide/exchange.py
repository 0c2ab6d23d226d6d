"""NICE's contract for a Custom Exchange Endpoint, as far as a decision needs it: POST /exchange.

Every field may be null or missing, and unknown ones are allowed: what the platform sends in fact is
not published. An answer leaves optional fields out, and never ends the contact. An error names the
field and contains nothing of the conversation.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from reconciler.core.model.operators import Scalar
from reconciler.core.model.rule import parse_number
from reconciler.features.endpoint.decide.question import (
    Question,
    is_scalar,
    read_chosen,
)
from reconciler.features.endpoint.event import (
    InvalidEventError,
    check_conversation,
    check_intent,
    parse_object,
    require_confidence,
)
from reconciler.features.endpoint.messages import BodyLimits
from reconciler.targets.decide.table import ServiceSettings

EXCHANGE_BODY: Final = BodyLimits(
    1024 * 1024,  # audio is a part of it
    re.compile(rb"application/json|text/json|application/[a-z0-9!#$&^_.+-]+\+json"),
    "application/json, text/json or application/*+json",
)
_MAX_LEVELS: Final = 64  # the bot's session state is nested, and is not read
_INTENT: Final = "intent"
_CONFIDENCE: Final = "confidence"
_PAYLOAD: Final = "customPayload"
_CHOSEN: Final = "script_skill"  # the queue that the script chose by itself
_CONTACT: Final = "executionInfo.contactId"
_MAX_CONTACT: Final = 2**63


class ExchangeRequest(NamedTuple):
    """A question, and the intent and confidence as the bot sent them, for the answer."""

    question: Question
    intent: str | None
    confidence: float | None


class ExchangeAnswer(NamedTuple):
    """What a script receives; an empty text or None leaves a variable out."""

    rule: str
    skill: str | None
    queue: str | None
    fallback: str | None
    digest: str


class PayloadNames:
    """The names of attributes in `customPayload`, by the settings of a table."""

    def __init__(self, settings: ServiceSettings) -> None:
        self.bot = (settings.endpoint.intent, settings.endpoint.confidence)
        self.intent, self.confidence = settings.bot_variables
        self._numbers = frozenset(settings.endpoint.types)
        renamed = {
            attribute: name
            for attribute, name in settings.variables.items()
            if attribute not in (_INTENT, _CONFIDENCE, *self.bot)
        }
        # under their own names, renamed attributes are not read
        self._not_attributes = {self.intent, self.confidence, _CHOSEN, *renamed}
        self._attributes: dict[str, list[str]] = {}
        for attribute, name in renamed.items():
            self._attributes.setdefault(name, []).append(attribute)

    def read_attributes(
        self, payload: Mapping[str, Any]
    ) -> Iterator[tuple[str, Scalar | None]]:
        """Yield the attributes other than the intent and its confidence; nested values are none."""
        for name, value in payload.items():
            if not is_scalar(value):
                continue
            attributes = list(self._attributes.get(name, ()))
            if name not in self._not_attributes and name not in self.bot:
                attributes.append(name)
            for attribute in attributes:
                yield attribute, self._typed(attribute, value)

    def _typed(self, attribute: str, value: Scalar | None) -> Scalar | None:
        """Return a value; a script holds numbers as texts."""
        if not isinstance(value, str) or attribute not in self._numbers:
            return value
        try:
            return parse_number(value)
        except ValueError:
            return value


def parse_exchange(body: bytes, names: PayloadNames) -> ExchangeRequest:
    """Return the request in a body of POST /exchange. Raises InvalidEventError."""
    form = parse_object(body, _MAX_LEVELS)
    conversation = _read_contact(_read_object(form, "executionInfo"))
    payload = _read_object(form, _PAYLOAD)
    intent = _read_intent(payload, names)
    confidence = _read_confidence(payload, names)
    chosen = read_chosen(payload.get(_CHOSEN), f"{_PAYLOAD}.{_CHOSEN}")
    attributes = dict(names.read_attributes(payload))
    intent_name, confidence_name = names.bot
    attributes[intent_name] = intent
    attributes[confidence_name] = confidence
    question = Question(conversation, attributes, chosen)
    return ExchangeRequest(question, intent, confidence)


def _read_object(form: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return an object; an empty one for null and for the empty text of an unset variable."""
    value = form.get(name)
    if value is None or value == "":
        return {}
    if not isinstance(value, dict):
        raise InvalidEventError(f"{name}: must be an object")
    return value


def _read_contact(execution: Mapping[str, Any]) -> str | None:
    value = execution.get("contactId")
    if value in (None, "", "0"):
        return None
    if type(value) is int and abs(value) < _MAX_CONTACT:
        return str(value) if value else None
    if not isinstance(value, str):
        raise InvalidEventError(f"{_CONTACT}: must be a whole number")
    check_conversation(value, _CONTACT)
    return value


def _find_bot_value(payload: Mapping[str, Any], name: str, attribute: str) -> Any:  # noqa: ANN401 - any JSON
    """Return the bot's value under its name, or under that of its attribute; None without one.

    Raises InvalidEventError for both: which one counts would be a guess.
    """
    by_name = payload.get(name)
    if attribute == name:
        return None if by_name == "" else by_name
    by_attribute = payload.get(attribute)
    found = [value for value in (by_name, by_attribute) if value not in (None, "")]
    if len(found) > 1:
        raise InvalidEventError(f"{_PAYLOAD}: has the same value under two names")
    return found[0] if found else None


def _read_intent(payload: Mapping[str, Any], names: PayloadNames) -> str | None:
    field = f"{_PAYLOAD}.{names.intent}"
    value = _find_bot_value(payload, names.intent, names.bot[0])
    if value is None:
        return None
    if not isinstance(value, str):
        raise InvalidEventError(f"{field}: must be text")
    check_intent(value, field)
    return value


def _read_confidence(payload: Mapping[str, Any], names: PayloadNames) -> float | None:
    field = f"{_PAYLOAD}.{names.confidence}"
    value = _find_bot_value(payload, names.confidence, names.bot[1])
    if isinstance(value, str):
        try:
            value = parse_number(value)
        except ValueError:
            raise InvalidEventError(f"{field}: must be a number from 0 to 1") from None
    return require_confidence(value, field)


def return_control(request: ExchangeRequest, answer: ExchangeAnswer) -> dict[str, Any]:
    """Return the response that gives a decision to the script."""
    variables = {
        "cxr_rule": answer.rule,
        "cxr_skill": answer.skill,
        "cxr_queue": answer.queue,
        "cxr_fallback": answer.fallback,
        "cxr_digest": answer.digest,
    }
    payload = {
        name: value for name, value in variables.items() if value or name == "cxr_rule"
    }
    response: dict[str, Any] = {
        "branchName": "ReturnControlToScript",
        _PAYLOAD: payload,
    }
    said = {"intent": request.intent, "intentConfidence": request.confidence}
    intent_info = {name: value for name, value in said.items() if value is not None}
    if intent_info:
        response["intentInfo"] = intent_info
    return response


def return_error(problem: str) -> dict[str, Any]:
    """Return the response that sends the script to its Error branch."""
    return {
        "branchName": "Error",
        "errorDetails": {
            "errorBehavior": "ReturnControlToScriptThroughErrorBranch",
            "systemErrorMessage": problem,
        },
    }
