"""Who may post: API keys, several at a time so that one can be exchanged, compared in constant time."""

from __future__ import annotations

import binascii
from base64 import b64decode
from hashlib import sha256
from hmac import compare_digest
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    Headers = Sequence[tuple[bytes, bytes]]

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
        held = [(name, value) for name, value in headers if name in (b"x-api-key", b"authorization")]
        if len({name for name, _ in held}) != len(held):
            return False
        return sum(self._is_key(key) for name, value in held for key in _offered(name, value)) > 0

    def _is_key(self, offered: bytes) -> bool:
        """Compare with every key, whichever fits: how long it takes says nothing."""
        digest = sha256(offered).digest()
        return sum(compare_digest(digest, known) for known in self._digests) > 0


def _offered(name: bytes, value: bytes) -> Iterator[bytes]:
    """Yield what a header offers as a key: of Basic the password, or the name where there is no password."""
    if len(value) > _LONGEST:
        return
    if name == b"x-api-key":
        yield value.strip()
        return
    scheme, _, rest = value.strip().partition(b" ")
    match scheme.lower():
        case b"apikey" | b"bearer":
            yield rest.strip()
        case b"basic":
            try:
                user, colon, password = b64decode(rest.strip(), validate=True).partition(b":")
            except (binascii.Error, ValueError):
                return
            if colon:
                yield password or user
