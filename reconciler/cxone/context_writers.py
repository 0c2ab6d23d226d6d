"""Ways to tell a tenant what the bot understood: which call, where, and what goes in it (docs/context.md)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol
from urllib.parse import quote

from pydantic_core import to_json

from reconciler.behaviour.space.value_type import number_as_text
from reconciler.errors import RejectedError, UndefinedFieldsError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping

    from reconciler.cxone.transport.request import Answer
    from reconciler.manifest.kinds.environment import Environment
    from reconciler.manifest.kinds.profile import Profile

    Attributes = Mapping[str, str | float | None]
    Call = Callable[[str, str, bytes], Awaitable[Answer]]
    """Makes a call of that name with a token: path and query, and JSON, or nothing, as the body."""


TEST_CHATS: Final = frozenset({"100000000000"})
"""The contact's id that Cognigy's test chat sends; there is no such contact, and Cognigy's own extension skips it."""

_PATHS: Final = {
    "digital-custom-fields": "/dfo/3.0/contacts/{conversationId}/custom-fields",
    "voice-signal": "/inContactAPI/services/v30.0/interactions/{conversationId}/signal",
}
_REFUSED: Final = (200, 400, 422)
"""Statuses that may be about the fields: which one it is nobody knows. (200: a profile may say what a refusal is.)"""


class Writer(Protocol):
    """One of these ways."""

    def ask(self, call: Call, path: str, attributes: Attributes) -> Awaitable[Answer]:
        """Tell the attributes of the conversation that the path is of."""


class Interaction:
    """Merges the attributes into an interaction's context, as the tutorial says."""

    def ask(self, call: Call, path: str, attributes: Attributes) -> Awaitable[Answer]:
        """Make the call."""
        return call("context", path, _encoded({"attributes": attributes}))


class CustomFields:
    """Sets custom fields of a digital contact. To set the same values twice changes nothing."""

    async def ask(self, call: Call, path: str, attributes: Attributes) -> Answer:
        """Make the call. Raises UndefinedFieldsError."""
        fields = [{"ident": name, "value": text(value)} for name, value in attributes.items()]
        try:
            return await call("custom fields", path, _encoded(fields))
        except RejectedError as error:
            if error.status in _REFUSED:
                raise UndefinedFieldsError(f"{definition(attributes)} (status {error.status})", error.status) from error
            raise


class Signal:
    """Signals the script that a voice contact is in. Each signal interrupts it: none is given twice."""

    def __init__(self, parameters: Mapping[str, int]) -> None:
        """`parameters` says for each attribute by which of p1 to p9 it goes."""
        self._parameters = sorted((place, name) for name, place in parameters.items())

    def ask(self, call: Call, path: str, attributes: Attributes) -> Awaitable[Answer]:
        """Make the call. Raises AmbiguousWriteError where nobody knows whether the signal was given."""
        told = [f"p{place}={quote(text(attributes.get(name)), safe='')}" for place, name in self._parameters]
        return call("signal", f"{path}?{'&'.join(told)}", b"")


INTERACTION: Final = Interaction()


def _encoded(body: object) -> bytes:
    """Return JSON in ASCII, which every server reads."""
    return to_json(body, ensure_ascii=True)


def text(value: str | float | None) -> str:
    """Return a value as text: of null an empty one, of a number its decimals without an exponent."""
    if value is None:
        return ""
    return value if isinstance(value, str) else number_as_text(value)


def definition(names: Iterable[str]) -> str:
    """Say how custom fields come into being."""
    return (
        f"CXone has to know the custom fields {', '.join(names)}: an administrator defines them under Digital, Custom"
        " Fields, for cases, as text, with these idents; other idents go into `attributes` of the Environment"
    )


def writer_of(environment: Environment) -> Writer:
    """Return the way that the environment says."""
    names, context = environment.attributes, environment.context
    match context.writer:
        case "digital-custom-fields":
            return CustomFields()
        case "voice-signal":
            by = context.signal
            return Signal({names.intent: by.intent, names.confidence: by.confidence, names.updated_at: by.updated_at})
    return INTERACTION


def path_of(environment: Environment, profile: Profile) -> str:
    """Return where it writes: by the environment, else by its profile if that says it, else as is publicly known."""
    known = None if "context_path" in profile.model_fields_set else _PATHS.get(environment.context.writer)
    return environment.api.context_path or known or profile.context_path


def skipped_by(environment: Environment) -> frozenset[str]:
    """Return which conversations are not written."""
    return TEST_CHATS if environment.context.writer in _PATHS else frozenset()
