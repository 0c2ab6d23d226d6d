"""Standard Webhooks signatures: HMAC-SHA256 over `{id}.{timestamp}.{body}`, several secrets, a window of time."""

from __future__ import annotations

import binascii
import hmac
import re
from base64 import b64decode
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

TOLERANCE: Final = 300
"""Seconds that the caller's clock may be wrong, either way."""

_ID: Final = re.compile(rb"[\x21-\x2d\x2f-\x7e]{1,256}")
"""No dot: it separates the id from what follows in what is signed."""
_TIME: Final = re.compile(rb"[0-9]{1,12}")
_LONGEST: Final = 4096
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
        if any(len(values) != 1 or len(values[0]) > _LONGEST for values in given):
            return None
        (name,), (time,), (signatures,) = given
        if not _ID.fullmatch(name) or not _TIME.fullmatch(time) or abs(now - int(time)) > TOLERANCE:
            return None
        signed = b"%b.%b.%b" % (name, time, body)
        expected = [hmac.digest(secret, signed, "sha256") for secret in self._secrets]
        offered = [one for one in map(_offered, signatures.split(b" ")[:_MOST]) if one is not None]
        fits = sum(hmac.compare_digest(ours, theirs) for ours in expected for theirs in offered)
        return name.decode("ascii") if fits else None


def is_signed(headers: Sequence[tuple[bytes, bytes]]) -> bool:
    """Say whether a request claims to be signed; then only the signature counts."""
    return any(name == b"webhook-signature" for name, _ in headers)


def _offered(part: bytes) -> bytes | None:
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
