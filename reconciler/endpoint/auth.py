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

from reconciler.endpoint.messages import Answer, brief, later, refusal

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence

    Headers = Sequence[tuple[bytes, bytes]]


_HOLDING: Final = (b"x-api-key", b"authorization")
_LONGEST: Final = 4096
"""Bytes of a header that is looked at."""


class Keys:
    """The keys that open the endpoint; none of them is kept, only what SHA-256 makes of each."""

    def __init__(self, keys: Iterable[str]) -> None:
        self._digests = tuple(sha256(key.encode()).digest() for key in keys)

    def __len__(self) -> int:
        return len(self._digests)

    def admit(self, headers: Headers) -> bool:
        """Say whether the headers hold a key. A header that comes twice is refused: servers differ in which counts."""
        held = [header for header in headers if header[0] in _HOLDING]
        if len(held) > 1 and len({name for name, _ in held}) != len(held):
            return False
        fits = [self._is_key(_offered(name, value)) for name, value in held]
        return True in fits

    def _is_key(self, offered: bytes | None) -> bool:
        """Compare with every key, whichever fits: how long it takes says nothing."""
        if offered is None:
            return False
        digest = sha256(offered).digest()
        fits = [compare_digest(digest, known) for known in self._digests]
        return True in fits


def _offered(name: bytes, value: bytes) -> bytes | None:
    """Return what a header offers as a key: of Basic the password, or the name where there is no password."""
    if len(value) > _LONGEST:
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


TOLERANCE: Final = 300
"""Seconds that the caller's clock may be wrong, either way."""

_ID: Final = re.compile(rb"[\x21-\x2d\x2f-\x7e]{1,256}")
"""No dot: it separates the id from what follows in what is signed."""
_TIME: Final = re.compile(rb"[0-9]{1,12}")
_SIGNATURE_LONGEST: Final = 4096
_MOST: Final = 16
"""Signatures that one request may carry."""
_HEADERS: Final = (b"webhook-id", b"webhook-timestamp", b"webhook-signature")


class SecretError(ValueError):
    """A secret that is not `whsec_` and base64."""


class Signatures:
    """Knows the secrets that sign, and checks what is signed with one of them."""

    def __init__(self, secrets: Iterable[str]) -> None:
        """Raises SecretError."""
        self._secrets = tuple(map(_secret, secrets))

    def __len__(self) -> int:
        return len(self._secrets)

    def verified(self, headers: Sequence[tuple[bytes, bytes]], body: bytes, now: float) -> str | None:
        """Return the id of a message that is signed; None where it is not, whatever is wrong. `now` is of the day."""
        given = [[value for name, value in headers if name == wanted] for wanted in _HEADERS]
        if any(len(values) != 1 or len(values[0]) > _SIGNATURE_LONGEST for values in given):
            return None
        (name,), (time,), (signatures,) = given
        if not _ID.fullmatch(name) or not _TIME.fullmatch(time) or abs(now - int(time)) > TOLERANCE:
            return None
        signed = b"%b.%b.%b" % (name, time, body)
        expected = [hmac.digest(secret, signed, "sha256") for secret in self._secrets]
        offered = [one for one in map(_signature_offered, signatures.split(b" ")[:_MOST]) if one is not None]
        fits = sum(hmac.compare_digest(ours, theirs) for ours in expected for theirs in offered)
        return name.decode("ascii") if fits else None


def is_signed(headers: Sequence[tuple[bytes, bytes]]) -> bool:
    """Say whether a request claims to be signed; then only the signature counts."""
    return any(name == b"webhook-signature" for name, _ in headers)


def _signature_offered(part: bytes) -> bytes | None:
    version, comma, text = part.partition(b",")
    if version != b"v1" or not comma:
        return None
    try:
        return b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None


def _secret(text: str) -> bytes:
    try:
        found = b64decode(text.removeprefix("whsec_"), validate=True)
    except (binascii.Error, ValueError):
        found = b""
    if len(found) < 16:  # noqa: PLR2004 - the standard asks for 24 at the least; fewer than 16 are guessed
        raise SecretError("a signing secret must be whsec_ and the base64 of 16 bytes or more")
    return found


KEPT: Final = 2.0 * TOLERANCE
"""Seconds for which an id is remembered: a message is no longer accepted when it is forgotten."""


class Register(Protocol):
    """Knows which ids came, with what body, and how they were answered."""

    async def claim(self, message: str, digest: bytes, end: float) -> Answer | None:
        """Return the answer that an id was given, once it has one; None where the caller is to process it.

        `end` is when the loop's clock says that it is late: who waits so long is told to come again.
        """

    async def settle(self, message: str, answer: Answer) -> None:
        """Note the answer of who was to process it; after one that is passing, the id may come again."""


class Replays:
    """Processes each message once, by a register that others may look into as well."""

    def __init__(self, register: Register) -> None:
        self._register = register

    async def once(self, message: str, body: bytes, end: float, process: Callable[[], Awaitable[Answer]]) -> Answer:
        """Process a message, or answer it from the first time; while that is under way the second one waits."""
        known = await self._register.claim(message, sha256(body).digest(), end)
        if known is not None:
            return known
        answer = LOST
        try:
            answer = await process()
        finally:
            with contextlib.suppress(TimeoutError):  # it is under way, and the caller waits for something else
                async with asyncio.timeout_at(end):
                    await self._register.settle(message, brief(answer))
        return answer


LOST: Final = later(503, "bug", "the endpoint failed")
"""What those are told who waited for somebody that never answered."""
UNDER_WAY: Final = later(503, "replayed", "the same message is under way")
"""What those are told who waited too long for somebody that may still answer."""


def conflict() -> Answer:
    """Return the answer to an id that came before with another body."""
    return refusal(409, "conflict", "this webhook-id came before with another body")


async def _waited(answer: asyncio.Future[Answer], end: float) -> Answer:
    try:
        async with asyncio.timeout_at(end):
            return await asyncio.shield(answer)
    except TimeoutError:
        return UNDER_WAY


class _Seen(NamedTuple):
    digest: bytes
    answer: asyncio.Future[Answer]
    until: float


class Ids:
    """The register of one process: so many ids at most."""

    def __init__(self, clock: Callable[[], float], most: int = 100_000) -> None:
        """Beyond `most` the oldest are forgotten: a repeat is then processed, and order still holds."""
        self._clock, self._most = clock, most
        self._seen: OrderedDict[str, _Seen] = OrderedDict()

    async def claim(self, message: str, digest: bytes, end: float) -> Answer | None:
        """Look an id up, and wait for whoever processes it. Whoever comes at the end is not to process anything."""
        self._forget()
        seen = self._seen.get(message)
        if seen is not None:
            return await _waited(seen.answer, end) if seen.digest == digest else conflict()
        if asyncio.get_running_loop().time() >= end:
            return UNDER_WAY
        future = asyncio.get_running_loop().create_future()
        self._seen[message] = _Seen(digest, future, self._clock() + KEPT)
        return None

    async def settle(self, message: str, answer: Answer) -> None:
        """Answer all who wait, and those who come later unless it may end otherwise then."""
        seen = self._seen.get(message)
        if seen is None or seen.answer.done():
            return
        if answer.is_passing:
            del self._seen[message]
        seen.answer.set_result(answer)

    def _forget(self) -> None:
        now = self._clock()
        while self._seen:
            message, seen = next(iter(self._seen.items()))
            if len(self._seen) < self._most and seen.until > now:
                return
            del self._seen[message]
