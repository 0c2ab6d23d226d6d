"""The protocol of editors, with an answer to every request: one that is invalid is refused, without
a traceback.
"""

import logging
import sys
from typing import Any, Final, NamedTuple

from pygls.exceptions import JsonRpcException, JsonRpcInvalidParams
from pygls.protocol import LanguageServerProtocol

_LOG: Final = logging.getLogger("pygls.protocol.json_rpc")
_MAX_REASON: Final = 200


class _Refused(NamedTuple):
    """A message that is not what its method requires. A notification has no id."""

    id: Any
    reason: str


class ManifestProtocol(LanguageServerProtocol):
    """pygls' protocol. It would drop a request with an invalid position, and show a traceback."""

    def structure_message(self, data: dict[str, Any]) -> Any:  # noqa: ANN401 - a message, or a part of one
        """Return a message as its type, or why it is refused."""
        method = data.get("method")
        kind = (
            self.get_message_type(method)
            if "jsonrpc" in data and isinstance(method, str)
            else None
        )
        if kind is None:
            return super().structure_message(data)
        try:
            return self._converter.structure(data, kind)
        except Exception as error:  # noqa: BLE001 - cattrs and the checks of the types raise several
            return _Refused(data.get("id"), f"{method}: {_reason(error)}")

    def handle_message(self, message: Any) -> None:  # noqa: ANN401 - a message of any type
        """Handle a message, or answer that it is refused."""
        if not isinstance(message, _Refused):
            super().handle_message(message)
        elif message.id is not None:
            error = JsonRpcInvalidParams(f"invalid parameters of {message.reason}")
            self._send_response(message.id, error=error.to_response_error())
        else:
            print(
                f"cxroute: an invalid message is ignored: {message.reason}",
                file=sys.stderr,
            )


class _WithoutTracebacks(logging.Filter):
    """An answer that refuses a request is not a fault of the server: its traceback is not
    logged.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        return not isinstance(error, JsonRpcException)


def silence_refusals() -> None:
    """Log no traceback for requests that are refused."""
    if not any(isinstance(each, _WithoutTracebacks) for each in _LOG.filters):
        _LOG.addFilter(_WithoutTracebacks())


def _reason(error: BaseException) -> str:
    """Return the innermost reason of an error of cattrs, on one line."""
    while isinstance(error, BaseExceptionGroup) and error.exceptions:
        error = error.exceptions[0]
    text = " ".join(str(error).split())
    return text[:_MAX_REASON] or type(error).__name__
