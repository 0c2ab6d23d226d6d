"""Authentication and deduplication: API keys, Standard Webhooks signatures, and one effect for each
message id (W2).
"""

import asyncio
import contextlib
import hmac
import re
from base64 import b64decode
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable
from hashlib import sha256
from hmac import compare_digest
from typing import Any, Final, NamedTuple, Protocol

from reconciler.features.endpoint.event import CLOCK_TOLERANCE
from reconciler.features.endpoint.messages import (
    EndpointResponse,
    Headers,
    error_response,
    retry_later,
    truncated,
)

_KEY_HEADERS: Final = (b"x-api-key", b"authorization")
_MAX_HEADER: Final = 4096  # bytes of a key, or of a signature's header


class ApiKeys:
    """The accepted API keys, stored as SHA-256 digests and compared in constant time."""

    def __init__(self, keys: Iterable[str]) -> None:
        digests = [sha256(key.encode()).digest() for key in keys]
        self._digests = tuple(digests)

    def __len__(self) -> int:
        return len(self._digests)

    def accepts(self, headers: Headers) -> bool:
        """Return whether the headers hold a key.

        A repeated header is refused: servers differ in which value counts.
        """
        pairs = [header for header in headers if header[0] in _KEY_HEADERS]
        if len(pairs) > 1 and len({name for name, _ in pairs}) != len(pairs):
            return False
        offered = [_offered_key(name, value) for name, value in pairs]
        digests = [sha256(key).digest() for key in offered if key is not None]
        # All are compared: constant time.
        matches = [
            compare_digest(digest, key) for digest in digests for key in self._digests
        ]
        return True in matches


def _offered_key(name: bytes, value: bytes) -> bytes | None:
    """Return a header's key: for Basic the password, or the name if the password is empty."""
    if len(value) > _MAX_HEADER:
        return None
    if name == b"x-api-key":
        return value.strip()
    scheme, _, rest = value.strip().partition(b" ")
    match scheme.lower():
        case b"apikey" | b"bearer":
            return rest.strip()
        case b"basic":
            user, colon, password = (_decode_base64(rest.strip()) or b"").partition(
                b":"
            )
            return (password or user) if colon else None
    return None


def _decode_base64(text: str | bytes) -> bytes | None:
    try:
        return b64decode(text, validate=True)
    except ValueError:
        return None


# without a dot: a dot ends the id in the signed text
_ID: Final = re.compile(rb"[\x21-\x2d\x2f-\x7e]{1,256}")
_TIME: Final = re.compile(rb"[0-9]{1,12}")
_MAX_SIGNATURES: Final = 16
_SIGNATURE_HEADERS: Final = (b"webhook-id", b"webhook-timestamp", b"webhook-signature")


class SecretError(ValueError):
    """A secret that is not `whsec_` and base64."""


class SignatureVerifier:
    """Verifies Standard Webhooks signatures: HMAC-SHA256 over `{id}.{timestamp}.{body}`."""

    def __init__(self, secrets: Iterable[str]) -> None:
        """Raises SecretError."""
        self._secrets = tuple(
            _decode_base64(secret.removeprefix("whsec_")) or b"" for secret in secrets
        )
        if any(len(secret) < 16 for secret in self._secrets):  # noqa: PLR2004 - the standard asks for 24; 15 are guessed
            raise SecretError(
                "a signing secret must be whsec_ and the base64 of at least 16 bytes"
            )

    def __len__(self) -> int:
        return len(self._secrets)

    def verify(self, headers: Headers, body: bytes, now: float) -> str | None:
        """Return the id of a message with a valid signature, or None.

        `now` is in seconds since 1970.
        """
        fields = [
            [value for name, value in headers if name == header]
            for header in _SIGNATURE_HEADERS
        ]
        if any(len(values) != 1 or len(values[0]) > _MAX_HEADER for values in fields):
            return None
        (name,), (time,), (signatures,) = fields
        if (
            not _ID.fullmatch(name)
            or not _TIME.fullmatch(time)
            or abs(now - int(time)) > CLOCK_TOLERANCE
        ):
            return None
        signed = b"%b.%b.%b" % (name, time, body)
        expected = [hmac.digest(secret, signed, "sha256") for secret in self._secrets]
        parts = signatures.split(b" ")[:_MAX_SIGNATURES]
        offered = [
            _decode_base64(part.removeprefix(b"v1,"))
            for part in parts
            if part.startswith(b"v1,")
        ]
        matches = sum(
            compare_digest(good, part)
            for good in expected
            for part in offered
            if part is not None
        )
        return name.decode("ascii") if matches else None


# after that, the message's timestamp is too old to be accepted
MESSAGE_ID_SECONDS: Final = 2.0 * CLOCK_TOLERANCE


class MessageIdStore(Protocol):
    """Stores message ids with the digest of the body and the response."""

    async def claim(
        self,
        message_id: str,
        digest: bytes,
        deadline: float,
    ) -> EndpointResponse | None:
        """Return an id's response; None: the caller must process the message.

        `deadline` is by the loop's clock.
        """

    async def complete(self, message_id: str, response: EndpointResponse) -> None:
        """Store the response of the caller that processed the message; a retryable one frees the
        id.
        """


async def run_once(
    store: MessageIdStore,
    message_id: str,
    body: bytes,
    deadline: float,
    process: Callable[[], Awaitable[EndpointResponse]],
) -> EndpointResponse:
    """Return the response of `process`, or the stored response of a repeated message; waits for a
    running one.
    """
    stored = await store.claim(message_id, sha256(body).digest(), deadline)
    if stored is not None:
        return stored
    response = FAILED_RESPONSE
    try:
        response = await process()
    finally:
        # the store completes it in the background
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(deadline):
                await store.complete(message_id, truncated(response))
    return response


# to requests that waited for a failed one
FAILED_RESPONSE: Final = retry_later(503, "bug", "the endpoint failed")
# after the deadline
IN_PROGRESS_RESPONSE: Final = retry_later(
    503,
    "replayed",
    "the same message is being processed",
)
CONFLICT_RESPONSE: Final = error_response(
    409,
    "conflict",
    "this webhook-id was already used with another body",
)


class _MessageRecord(NamedTuple):
    digest: bytes
    response: asyncio.Future[EndpointResponse]
    expires_at: float


class InMemoryMessageIds:
    """The message ids of one process.

    Beyond `limit` it deletes the oldest: their repeats are processed again.
    """

    def __init__(self, clock: Callable[[], float], limit: int = 100_000) -> None:
        self._clock = clock
        self._limit = limit
        self._records: OrderedDict[str, _MessageRecord] = OrderedDict()

    async def claim(
        self,
        message_id: str,
        digest: bytes,
        deadline: float,
    ) -> EndpointResponse | None:
        """Return an id's response, once it exists, or None for a new id; after the deadline no id
        is new.
        """
        now = self._clock()
        loop = asyncio.get_running_loop()
        evict_expired(self._records, self._limit, now)
        record = self._records.get(message_id)
        if record is None:
            if loop.time() >= deadline:
                return IN_PROGRESS_RESPONSE
            expires_at = now + MESSAGE_ID_SECONDS
            record = _MessageRecord(digest, loop.create_future(), expires_at)
            self._records[message_id] = record
            return None
        if record.digest != digest:
            return CONFLICT_RESPONSE
        try:
            async with asyncio.timeout_at(deadline):
                return await asyncio.shield(record.response)
        except TimeoutError:
            return IN_PROGRESS_RESPONSE

    async def complete(self, message_id: str, response: EndpointResponse) -> None:
        """Answer all waiting requests, and later ones unless the response is retryable."""
        record = self._records.get(message_id)
        if record is None or record.response.done():
            return
        if response.is_retryable:
            del self._records[message_id]
        record.response.set_result(response)


def evict_expired(records: OrderedDict[str, Any], limit: int, now: float) -> None:
    """Remove the oldest records whose `expires_at` is over, and as many as needed for one more
    below the limit.
    """
    while records:
        message_id, record = next(iter(records.items()))
        if len(records) < limit and record.expires_at > now:
            return
        del records[message_id]
