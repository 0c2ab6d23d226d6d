"""Ways to write attributes to a tenant: the call, the path and the body (docs/context.md)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from pydantic_core import to_json

from reconciler.behaviour.space.value_type import number_as_text
from reconciler.errors import RejectedError, UndefinedFieldsError
from reconciler.manifest.kinds.environment import Environment
from reconciler.manifest.kinds.profile import Profile

if TYPE_CHECKING:
    from reconciler.cxone.transport.request import ApiResponse

Attributes = Mapping[str, str | float | None]
CallTenant = Callable[[str, str, bytes], Awaitable["ApiResponse"]]  # name, path and query, JSON body or b""

TEST_CHATS: Final = frozenset({"100000000000"})  # the contact id of Cognigy's test chat, which does not exist

_PATHS: Final = {
    "digital-custom-fields": "/dfo/3.0/contacts/{conversationId}/custom-fields",
    "voice-signal": "/inContactAPI/services/v30.0/interactions/{conversationId}/signal",
}
_FIELD_ERROR_STATUSES: Final = (200, 400, 422)  # a profile may define a refusal with status 200


class InteractionWriter:
    """Merges the attributes into an interaction's context, as in the tutorial."""

    def write(self, call: CallTenant, path: str, attributes: Attributes) -> Awaitable[ApiResponse]:
        """Make the call."""
        return call("context", path, to_json({"attributes": attributes}, ensure_ascii=True))


class CustomFieldsWriter:
    """Sets custom fields of a digital contact. Setting the same values twice changes nothing."""

    async def write(self, call: CallTenant, path: str, attributes: Attributes) -> ApiResponse:
        """Make the call. Raises UndefinedFieldsError."""
        fields = [{"ident": name, "value": value_text(value)} for name, value in attributes.items()]
        try:
            return await call("custom fields", path, to_json(fields, ensure_ascii=True))
        except RejectedError as error:
            if error.status not in _FIELD_ERROR_STATUSES:
                raise
            hint = f"{custom_fields_hint(attributes)} (status {error.status})"
            raise UndefinedFieldsError(hint, error.status) from error


class SignalWriter:
    """Signals the script of a voice contact. Each signal interrupts the script: none is sent twice."""

    def __init__(self, parameters: Mapping[str, int]) -> None:
        """`parameters` holds the number of the parameter, p1 to p9, for each attribute."""
        self._parameters = sorted((number, name) for name, number in parameters.items())

    def write(self, call: CallTenant, path: str, attributes: Attributes) -> Awaitable[ApiResponse]:
        """Make the call. Raises AmbiguousWriteError if the signal may have been sent."""
        values = [f"p{number}={quote(value_text(attributes.get(name)), safe='')}" for number, name in self._parameters]
        return call("signal", f"{path}?{'&'.join(values)}", b"")


ContextWriter = InteractionWriter | CustomFieldsWriter | SignalWriter
INTERACTION_WRITER: Final = InteractionWriter()


def value_text(value: str | float | None) -> str:
    """Return a value as text: null is empty, a number is a decimal without an exponent."""
    if value is None:
        return ""
    return value if isinstance(value, str) else number_as_text(value)


def custom_fields_hint(names: Iterable[str]) -> str:
    """Return how to define custom fields."""
    return (
        f"CXone has to know the custom fields {', '.join(names)}: an administrator defines them under Digital, Custom"
        " Fields, for cases, as text, with these idents; other idents go into `attributes` of the Environment"
    )


def choose_writer(environment: Environment) -> ContextWriter:
    """Return the environment's writer."""
    names, signal = environment.attributes, environment.context.signal
    match environment.context.writer:
        case "digital-custom-fields":
            return CustomFieldsWriter()
        case "voice-signal":
            numbers = (signal.intent, signal.confidence, signal.updated_at)
            return SignalWriter(dict(zip((names.intent, names.confidence, names.updated_at), numbers, strict=True)))
    return INTERACTION_WRITER


def context_path(environment: Environment, profile: Profile) -> str:
    """Return the path to write to: the environment's, the profile's, or the publicly public_path one."""
    public_path = None if "context_path" in profile.model_fields_set else _PATHS.get(environment.context.writer)
    return environment.api.context_path or public_path or profile.context_path


def ignored_conversations(environment: Environment) -> frozenset[str]:
    """Return the conversations that are not written."""
    return TEST_CHATS if environment.context.writer in _PATHS else frozenset()
