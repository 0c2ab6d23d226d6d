"""Signed messages that come again: each id has one effect within the window, whoever sends it again (W2).

Who may post: API keys, several at a time so that one can be exchanged, compared in constant time.

Standard Webhooks signatures: HMAC-SHA256 over `{id}.{timestamp}.{body}`, several secrets, a window of time.
"""

from __future__ import annotations

import asyncio
import binascii
import contextlib
import hmac
import re
from base64 import b64decode
from collections import OrderedDict
from hashlib import sha256
from hmac import compare_digest
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from reconciler.endpoint.messages import EndpointResponse, error_response, retry_later, truncated

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence

    Headers = Sequence[tuple[bytes, bytes]]

_KEY_HEADERS: Final = (b"x-api-key", b"authorization")
_MAX_KEY_HEADER: Final = 4096  # bytes of a header that is looked at


class ApiKeys:
    """The keys that open the endpoint; none of them is kept, only what SHA-256 makes of each."""

    def __init__(self, keys: Iterable[str]) -> None:
        self._digests = tuple(sha256(key.encode()).digest() for key in keys)

    def __len__(self) -> int:
        return len(self._digests)

    def accepts(self, headers: Headers) -> bool:
        """Say whether the headers hold a key. A header that comes twice is refused: servers differ in which counts."""
        held = [header for header in headers if header[0] in _KEY_HEADERS]
        if len(held) > 1 and len({name for name, _ in held}) != len(held):
            return False
        fits = [self._is_key(_offered_key(name, value)) for name, value in held]
        return True in fits

    def _is_key(self, offered: bytes | None) -> bool:
        """Compare with every key, whichever fits: how long it takes says nothing."""
        if offered is None:
            return False
        digest = sha256(offered).digest()
        fits = [compare_digest(digest, known) for known in self._digests]
        return True in fits


def _offered_key(name: bytes, value: bytes) -> bytes | None:
    """Return what a header offers as a key: of Basic the password, or the name where there is no password."""
    if len(value) > _MAX_KEY_HEADER:
        return None
    if name == b"x-api-key":
        return value.strip()
    scheme, _, rest = value.strip().partition(b" ")
    match scheme.lower():
        case b"apikey" | b"bearer":
            return rest.strip()
        case b"basic":
            try:
                user, colon, password = b64decode(rest.strip(), validate=True).partition(b":")
            except (binascii.Error, ValueError):
                return None
            return (password or user) if colon else None
    return None


CLOCK_TOLERANCE: Final = 300  # seconds that the caller's clock may be wrong, either way

_ID: Final = re.compile(rb"[\x21-\x2d\x2f-\x7e]{1,256}")
"""No dot: it separates the id from what follows in what is signed."""
_TIME: Final = re.compile(rb"[0-9]{1,12}")
_MAX_SIGNATURE_HEADER: Final = 4096
_MAX_SIGNATURES: Final = 16  # signatures that one request may carry
_SIGNATURE_HEADERS: Final = (b"webhook-id", b"webhook-timestamp", b"webhook-signature")


class SecretError(ValueError):
    """A secret that is not `whsec_` and base64."""


class SignatureVerifier:
    """Knows the secrets that sign, and checks what is signed with one of them."""

    def __init__(self, secrets: Iterable[str]) -> None:
        """Raises SecretError."""
        self._secrets = tuple(map(_decode_secret, secrets))

    def __len__(self) -> int:
        return len(self._secrets)

    def verify(self, headers: Sequence[tuple[bytes, bytes]], body: bytes, now: float) -> str | None:
        """Return the id of a message that is signed; None where it is not, whatever is wrong. `now` is of the day."""
        given = [[value for name, value in headers if name == wanted] for wanted in _SIGNATURE_HEADERS]
        if any(len(values) != 1 or len(values[0]) > _MAX_SIGNATURE_HEADER for values in given):
            return None
        (name,), (time,), (signatures,) = given
        if not _ID.fullmatch(name) or not _TIME.fullmatch(time) or abs(now - int(time)) > CLOCK_TOLERANCE:
            return None
        signed = b"%b.%b.%b" % (name, time, body)
        expected = [hmac.digest(secret, signed, "sha256") for secret in self._secrets]
        offered = [one for one in map(_offered_signature, signatures.split(b" ")[:_MAX_SIGNATURES]) if one is not None]
        fits = sum(hmac.compare_digest(ours, theirs) for ours in expected for theirs in offered)
        return name.decode("ascii") if fits else None


def is_signed(headers: Sequence[tuple[bytes, bytes]]) -> bool:
    """Say whether a request claims to be signed; then only the signature counts."""
    return any(name == b"webhook-signature" for name, _ in headers)


def _offered_signature(part: bytes) -> bytes | None:
    version, comma, text = part.partition(b",")
    if version != b"v1" or not comma:
        return None
    try:
        return b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None


def _decode_secret(text: str) -> bytes:
    try:
        found = b64decode(text.removeprefix("whsec_"), validate=True)
    except (binascii.Error, ValueError):
        found = b""
    if len(found) < 16:  # noqa: PLR2004 - the standard asks for 24 at the least; fewer than 16 are guessed
        raise SecretError("a signing secret must be whsec_ and the base64 of 16 bytes or more")
    return found


MESSAGE_ID_SECONDS: Final = 2.0 * CLOCK_TOLERANCE
"""Seconds for which an id is remembered: a message is no longer accepted when it is forgotten."""


class MessageIdStore(Protocol):
    """Knows which ids came, with what body, and how they were answered."""

    async def claim(self, message: str, digest: bytes, deadline: float) -> EndpointResponse | None:
        """Return the answer that an id was given, once it has one; None where the caller is to process it.

        `deadline` is when the loop's clock says that it is late: who waits so long is told to come again.
        """

    async def complete(self, message: str, response: EndpointResponse) -> None:
        """Note the answer of who was to process it; after one that is passing, the id may come again."""


class Deduplicator:
    """Processes each message once, by a register that others may look into as well."""

    def __init__(self, store: MessageIdStore) -> None:
        self._store = store

    async def run_once(
        self, message: str, body: bytes, deadline: float, process: Callable[[], Awaitable[EndpointResponse]]
    ) -> EndpointResponse:
        """Process a message, or answer it from the first time; while that is under way the second one waits."""
        known = await self._store.claim(message, sha256(body).digest(), deadline)
        if known is not None:
            return known
        answer = FAILED_RESPONSE
        try:
            answer = await process()
        finally:
            with contextlib.suppress(TimeoutError):  # it is under way, and the caller waits for something else
                async with asyncio.timeout_at(deadline):
                    await self._store.complete(message, truncated(answer))
        return answer


FAILED_RESPONSE: Final = retry_later(503, "bug", "the endpoint failed")
"""What those are told who waited for somebody that never answered."""
IN_PROGRESS_RESPONSE: Final = retry_later(503, "replayed", "the same message is under way")
"""What those are told who waited too long for somebody that may still answer."""


def conflict_response() -> EndpointResponse:
    """Return the answer to an id that came before with another body."""
    return error_response(409, "conflict", "this webhook-id came before with another body")


async def _wait_for_response(answer: asyncio.Future[EndpointResponse], end: float) -> EndpointResponse:
    try:
        async with asyncio.timeout_at(end):
            return await asyncio.shield(answer)
    except TimeoutError:
        return IN_PROGRESS_RESPONSE


class _MessageRecord(NamedTuple):
    digest: bytes
    response: asyncio.Future[EndpointResponse]
    expires_at: float


class InMemoryMessageIds:
    """The register of one process: so many ids at most."""

    def __init__(self, clock: Callable[[], float], limit: int = 100_000) -> None:
        """Beyond `limit` the oldest are forgotten: a repeat is then processed, and order still holds."""
        self._clock, self._limit = clock, limit
        self._records: OrderedDict[str, _MessageRecord] = OrderedDict()

    async def claim(self, message: str, digest: bytes, deadline: float) -> EndpointResponse | None:
        """Look an id up, and wait for whoever processes it. Whoever comes at the end is not to process anything."""
        self._evict_expired()
        seen = self._records.get(message)
        if seen is not None:
            return await _wait_for_response(seen.response, deadline) if seen.digest == digest else conflict_response()
        if asyncio.get_running_loop().time() >= deadline:
            return IN_PROGRESS_RESPONSE
        future = asyncio.get_running_loop().create_future()
        self._records[message] = _MessageRecord(digest, future, self._clock() + MESSAGE_ID_SECONDS)
        return None

    async def complete(self, message: str, response: EndpointResponse) -> None:
        """Answer all who wait, and those who come later unless it may end otherwise then."""
        seen = self._records.get(message)
        if seen is None or seen.response.done():
            return
        if response.is_retryable:
            del self._records[message]
        seen.response.set_result(response)

    def _evict_expired(self) -> None:
        now = self._clock()
        while self._records:
            message, seen = next(iter(self._records.items()))
            if len(self._records) < self._limit and seen.expires_at > now:
                return
            del self._records[message]
