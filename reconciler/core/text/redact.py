"""Removal of known secrets from everything that this process prints, logs or saves (R13).

A server may repeat a secret in any response and in any encoding. So only letters and digits are
compared with the usual encodings of each secret, and a common run of `MIN_RUN_LENGTH` is hidden.
"""

import html
import json
import os
from base64 import b64encode
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from typing import Any, Final
from urllib.parse import quote, quote_plus, unquote, urlsplit

PLACEHOLDER: Final = "[secret]"
# letters and digits in a row; so long a part of a secret is hidden like the secret
MIN_RUN_LENGTH: Final = 12
# a shorter secret is not hidden, because it would occur in many words
_MIN_SECRET_LENGTH: Final = 8
# of a secret with fewer letters and digits than that; `redis://` is in many texts
_MIN_LITERAL_LENGTH: Final = 10
# tokens kept for one client: a response has at most three, and old ones expire soon
_RECENT_TOKENS: Final = 6
# every run that is hidden contains such a word at a multiple of 4; known words are in a set
_WORD_SIZE: Final = 8
# a document of more characters is read by programs only
_MAX_INDENTED_LENGTH: Final = 4_000_000
_NOT_ALPHANUMERIC: Final = bytes(
    byte
    for byte in range(256)
    if not (byte < 128 and chr(byte).isalnum())  # noqa: PLR2004 - ASCII
)


class Redactor:
    """A set of secrets, and their removal from texts."""

    def __init__(self) -> None:
        self._secrets: set[str] = set()
        self._encodings: set[bytes] = set()
        self._short_encodings: set[bytes] = set()
        # with too few letters and digits to be compared by these alone
        self._literal_encodings: set[str] = set()
        self._words: set[int] = set()

    def add(self, *secrets: str | None) -> None:
        """Hide these secrets from now on."""
        for secret in secrets:
            if (
                secret
                and len(secret) >= _MIN_SECRET_LENGTH
                and secret not in self._secrets
            ):
                self._secrets.add(secret)
                self._index_secret(secret)

    def contains(self, secret: str) -> bool:
        """Return whether the secret is known."""
        return secret in self._secrets

    def remove(self, *secrets: str) -> None:
        """Stop hiding these secrets, because they expired."""
        self._secrets.difference_update(secrets)
        self._encodings = set()
        self._short_encodings = set()
        self._words = set()
        self._literal_encodings = set()
        for secret in self._secrets:
            self._index_secret(secret)

    def add_from_environment(self) -> None:
        """Hide the secrets of the environment variables."""
        self.add(
            *map(
                os.environ.get,
                ("CXONE_CLIENT_SECRET", "CXONE_ACCESS_KEY_SECRET", "COGNIGY_API_KEY"),
            )
        )
        with suppress(ValueError):
            password = urlsplit(os.environ.get("CXROUTE_PROXY", "")).password
            self.add(password, unquote(password or ""))

    def redact(self, text: str) -> str:
        """Return the text without the secrets."""
        for form in self._literal_encodings:
            text = text.replace(form, PLACEHOLDER)
        squeezed = _squeeze(text)
        if not self._is_suspect(squeezed):
            return text
        # The positions in the text of the letters and digits that were compared.
        positions = [
            at
            for at, character in enumerate(text)
            if character.isascii() and character.isalnum()
        ]
        parts: list[str] = []
        covered = -2
        end = 0
        for first, last in sorted(set(self._secret_runs(squeezed))):
            if first > covered + 1:  # not adjacent to the run before
                start = positions[first]
                while start > end and text[start - 1] == "\\":
                    start -= 1
                parts += [text[end:start], PLACEHOLDER]
            covered = max(covered, last)
            end = positions[covered] + 1
        return "".join((*parts, text[end:]))

    def redact_json(self, data: Any, text: str = "") -> Any:  # noqa: ANN401 - any JSON
        """Return a JSON document with redacted texts; `text` is its encoded form, if the caller has
        it.
        """
        text = text or repr(data)
        is_literal = any(form in text for form in self._literal_encodings)
        if is_literal or self._is_suspect(_squeeze(text)):
            return self._redact_values(data)
        return data

    def dump_redacted(self, data: Any) -> str:  # noqa: ANN401 - any JSON
        """Return a JSON document as text, without the secrets."""
        text = dump_indented(data)
        redacted = self.redact_json(data, text)
        return text if redacted is data else dump_indented(redacted)

    def _redact_values(self, data: Any) -> Any:  # noqa: ANN401 - any JSON
        match data:
            case str():
                return self.redact(data)
            case dict():
                return {
                    self.redact(str(name)): self._redact_values(value)
                    for name, value in data.items()
                }
            case list() | tuple():
                return [self._redact_values(value) for value in data]
            case _:
                return data

    def _index_secret(self, secret: str) -> None:
        variants = set(_encode_variants(secret))
        forms = {
            form for form in map(_squeeze, variants) if len(form) >= _MIN_SECRET_LENGTH
        }
        literal = {form for form in variants if len(form) >= _MIN_LITERAL_LENGTH}
        self._literal_encodings |= {
            form for form in literal if _squeeze(form) not in forms
        }
        self._encodings |= forms
        self._short_encodings |= {form for form in forms if len(form) < MIN_RUN_LENGTH}
        for form in forms:
            for offset in range(_WORD_SIZE):
                self._words.update(_words(form[offset:]))

    def _is_suspect(self, squeezed: bytes) -> bool:
        """Return whether a text may hold a secret; fast, because a plan may have megabytes and
        rarely holds one.
        """
        if any(form in squeezed for form in self._short_encodings):
            return True
        if not self._words.isdisjoint(_words(squeezed)):
            return True
        return not self._words.isdisjoint(_words(squeezed[_WORD_SIZE // 2 :]))

    def _secret_runs(self, squeezed: bytes) -> Iterator[tuple[int, int]]:
        """Yield the first and last position of each run that is part of a secret."""
        # by form and offset: the last position that was compared
        followed: dict[tuple[bytes, int], int] = {}
        # in order, because `followed` skips the positions before one
        for start in sorted(self._possible_starts(squeezed)):
            word = squeezed[start : start + _WORD_SIZE]
            for form in self._encodings:
                for form_position in _find_all(word, form):
                    offset = start - form_position
                    if followed.get((form, offset), -1) >= start:
                        continue
                    first, last = _extend_match(squeezed, start, form, form_position)
                    followed[form, offset] = last
                    if last - first >= min(MIN_RUN_LENGTH, len(form)) - 1:
                        yield first, last

    def _possible_starts(self, squeezed: bytes) -> set[int]:
        """Return the positions where a part of a secret may begin."""
        starts: set[int] = set()
        for form in self._short_encodings:
            starts.update(_find_all(form, squeezed))
        for offset in (0, _WORD_SIZE // 2):
            words = enumerate(_words(squeezed[offset:]))
            starts.update(
                offset + _WORD_SIZE * number
                for number, word in words
                if word in self._words
            )
        return starts


def _extend_match(
    text: bytes,
    position: int,
    form: bytes,
    form_position: int,
) -> tuple[int, int]:
    """Return the first and the last position of the longest run that both texts have there."""
    offset = form_position - position
    first = position
    lowest = max(0, -offset)
    while first > lowest and text[first - 1] == form[first + offset - 1]:
        first -= 1
    end = position
    limit = min(len(text), len(form) - offset)
    while end < limit and text[end] == form[end + offset]:
        end += 1
    return first, end - 1


def _find_all(part: bytes, text: bytes) -> Iterator[int]:
    position = text.find(part)
    while position >= 0:
        yield position
        position = text.find(part, position + 1)


def _squeeze(text: str) -> bytes:
    return text.encode("ascii", "replace").translate(None, _NOT_ALPHANUMERIC)


def _words(squeezed: bytes) -> memoryview:
    length = len(squeezed) // _WORD_SIZE * _WORD_SIZE
    return memoryview(squeezed[:length]).cast("Q")


def _encode_variants(secret: str) -> Iterator[str]:
    # a variable may hold bytes outside the locale's encoding
    data = secret.encode("utf-8", "surrogateescape")
    percent = quote(data, safe="")
    points = list(map(ord, secret))
    yield secret
    yield percent
    yield percent.lower()
    yield quote(data)
    yield quote_plus(data)
    yield json.dumps(secret)[1:-1]
    yield ascii(secret)[1:-1]
    yield repr(data)[2:-1]
    yield "".join(f"\\u{point:04x}" for point in points)
    yield "".join(f"&#{point};" for point in points)
    yield html.escape(secret)
    yield data.hex()
    yield data.hex().upper()
    yield from map(partial(_encode_base64, data), range(3))


def _encode_base64(data: bytes, offset: int) -> str:
    """Return the Base64 characters that only these bytes decide, after some bytes of a text."""
    encoded = b64encode(b"\0" * offset + data + b"\0" * 2)
    first = (offset * 8 + 5) // 6
    end = (offset + len(data)) * 8 // 6
    return encoded[first:end].decode()


def dump_indented(data: Any) -> str:  # noqa: ANN401 - any JSON
    """Return a JSON document as indented text; a very large one as one line."""
    text = json.dumps(data)
    return text if len(text) > _MAX_INDENTED_LENGTH else json.dumps(data, indent=2)


class RotatingTokens:
    """The tokens of one client; the oldest are forgotten."""

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._tokens: dict[str, None] = {}

    def add(self, *tokens: str) -> None:
        """Hide these tokens from now on, and forget the oldest of many."""
        for token in tokens:
            # a token that is also a password is never forgotten
            if not self._redactor.contains(token):
                self._redactor.add(token)
                self._tokens[token] = None
        # many together, because each removal rebuilds the index
        if len(self._tokens) > 2 * _RECENT_TOKENS:
            old = tuple(self._tokens)[:-_RECENT_TOKENS]
            self._redactor.remove(*old)
            for token in old:
                del self._tokens[token]


REDACTOR: Final = Redactor()  # of this process
