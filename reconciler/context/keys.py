"""Who may post: API keys, several at a time so that one can be exchanged, compared in constant time."""

from __future__ import annotations

import binascii
from base64 import b64decode
from hashlib import sha256
from hmac import compare_digest
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

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
