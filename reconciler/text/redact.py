"""The last door: what this process knows to be secret is taken out of whatever it prints, logs or saves (R13).

A server may repeat what it was sent in any answer, in a rule's name too, and write it in many ways. So letters and
digits alone are compared, with what the usual encodings make of a secret: a run of them as long as `HALF` is hidden.
"""

from __future__ import annotations

import html
import json
import os
from base64 import b64encode
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, quote_plus, unquote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


HIDDEN: Final = "[secret]"
HALF: Final = 12
"""So many letters and digits in a row are as good as the secret."""
_SHORTEST: Final = 8
"""Nothing shorter is hidden: it would be found in every other word."""
_PASSING: Final = 6
"""Tokens of one client that are remembered: an answer brings three at the most, and those before are over soon."""
_WORD: Final = 8
"""A run of HALF holds so many bytes that begin at a multiple of 4: one look into a set tells whether they are known."""
_READABLE: Final = 4_000_000
"""A document of more characters is read by machines alone."""
_DROPPED: Final = bytes(one for one in range(256) if not (one < 128 and chr(one).isalnum()))  # noqa: PLR2004 - ASCII


class Discretion:
    """Knows secrets, and hides them."""

    def __init__(self) -> None:
        self._secrets: set[str] = set()
        self._forms: set[bytes] = set()
        self._short: set[bytes] = set()
        self._words: set[int] = set()

    def keep(self, *secrets: str | None) -> None:
        """Hide these from now on."""
        for secret in secrets:
            if secret and len(secret) >= _SHORTEST and secret not in self._secrets:
                self._secrets.add(secret)
                self._learn(secret)

    def knows(self, secret: str) -> bool:
        """Say whether it is hidden already."""
        return secret in self._secrets

    def forget(self, *secrets: str) -> None:
        """Hide these no more: they open nothing now."""
        self._secrets.difference_update(secrets)
        self._forms, self._short, self._words = set(), set(), set()
        for kept in self._secrets:
            self._learn(kept)

    def keep_variables(self) -> None:
        """Hide the secrets that stand in the variables that every environment has."""
        self.keep(os.environ.get("CXONE_CLIENT_SECRET"), os.environ.get("CXONE_ACCESS_KEY_SECRET"))
        try:
            password = urlsplit(os.environ.get("CXROUTE_PROXY", "")).password
        except ValueError:
            password = None
        self.keep(password, unquote(password or ""))

    def hide(self, text: str) -> str:
        """Return the text without the secrets."""
        squeezed = _squeezed(text)
        if not self._is_suspect(squeezed):
            return text
        # Where in the text the letters and digits stand that were compared.
        places = [at for at, one in enumerate(text) if one.isascii() and one.isalnum()]
        shown, end = [], 0
        for first, last in _joined(self._runs(squeezed)):
            start = places[first]
            while start > end and text[start - 1] == "\\":
                start -= 1
            shown += [text[end:start], HIDDEN]
            end = places[last] + 1
        return "".join((*shown, text[end:]))

    def within(self, form: Any, text: str = "") -> Any:  # noqa: ANN401 - any JSON
        """Return a JSON document whose texts are without the secrets: hidden in its encoded form, it might be none.

        `text` is that form, where it is at hand.
        """
        return self._without(form) if self._is_suspect(_squeezed(text or repr(form))) else form

    def dumped(self, form: Any) -> str:  # noqa: ANN401 - any JSON
        """Return a JSON document as text, without the secrets."""
        text = indented(form)
        shown = self.within(form, text)
        return text if shown is form else indented(shown)

    def _without(self, form: Any) -> Any:  # noqa: ANN401 - any JSON
        match form:
            case str():
                return self.hide(form)
            case dict():
                return {self.hide(str(name)): self._without(value) for name, value in form.items()}
            case list() | tuple():
                return [self._without(value) for value in form]
            case _:
                return form

    def _learn(self, secret: str) -> None:
        forms = {form for form in map(_squeezed, _forms(secret)) if len(form) >= _SHORTEST}
        self._forms |= forms
        self._short |= {form for form in forms if len(form) < HALF}
        for form in forms:
            for offset in range(_WORD):
                self._words.update(_words(form[offset:]))

    def _is_suspect(self, squeezed: bytes) -> bool:
        """Say whether a secret may be in it: a plan of 10,000 rules has megabytes, and is as good as never."""
        for form in self._short:
            if form in squeezed:
                return True
        known = self._words
        return not (known.isdisjoint(_words(squeezed)) and known.isdisjoint(_words(squeezed[_WORD // 2 :])))

    def _runs(self, squeezed: bytes) -> Iterator[tuple[int, int]]:
        """Return the first and last place of each run that is part of a secret."""
        followed: dict[tuple[bytes, int], int] = {}
        """By form, and by how far ahead of it the text is: up to where it was compared."""
        for at in self._marks(squeezed):
            word = squeezed[at : at + _WORD]
            for form in self._forms:
                for place in _places(word, form):
                    if followed.get((form, at - place), -1) < at:
                        first, last = _agreeing(squeezed, at, form, place)
                        followed[form, at - place] = last
                        if last - first >= min(HALF, len(form)) - 1:
                            yield first, last

    def _marks(self, squeezed: bytes) -> Iterator[int]:
        """Return where there is something known: a word of a form, or a short form as a whole."""
        for offset in (0, _WORD // 2):
            words = enumerate(_words(squeezed[offset:]))
            yield from (offset + _WORD * number for number, word in words if word in self._words)
        for form in self._short:
            yield from _places(form, squeezed)


def _agreeing(text: bytes, at: int, form: bytes, place: int) -> tuple[int, int]:
    """Return the first and last place of the text around `at` that are as the form is around `place`."""
    before, behind = 0, 0
    while before < min(at, place) and text[at - before - 1] == form[place - before - 1]:
        before += 1
    while at + behind < len(text) and place + behind < len(form) and text[at + behind] == form[place + behind]:
        behind += 1
    return at - before, at + behind - 1


def _places(part: bytes, whole: bytes) -> Iterator[int]:
    found = whole.find(part)
    while found >= 0:
        yield found
        found = whole.find(part, found + 1)


def _squeezed(text: str) -> bytes:
    return text.encode("ascii", "replace").translate(None, _DROPPED)


def _words(squeezed: bytes) -> memoryview:
    return memoryview(squeezed[: len(squeezed) // _WORD * _WORD]).cast("Q")


def _joined(runs: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Make one of runs that touch or nearly do: what an encoding put between two parts of a secret."""
    joined: list[tuple[int, int]] = []
    for first, last in sorted(set(runs)):
        if joined and first <= joined[-1][1] + 1:
            joined[-1] = (joined[-1][0], max(last, joined[-1][1]))
        else:
            joined.append((first, last))
    return joined


def _forms(secret: str) -> Iterator[str]:
    """Return how a secret may be written."""
    percent = quote(_bytes(secret), safe="")
    yield from (secret, secret[::-1], percent, percent.lower(), quote(_bytes(secret)), quote_plus(_bytes(secret)))
    yield from (json.dumps(secret)[1:-1], ascii(secret)[1:-1], repr(_bytes(secret))[2:-1])
    yield from ("".join(f"\\u{ord(one):04x}" for one in secret), "".join(f"&#{ord(one)};" for one in secret))
    yield from (html.escape(secret), _bytes(secret).hex(), _bytes(secret).hex().upper())
    for offset in range(3):
        whole = b64encode(b"\0" * offset + _bytes(secret) + b"\0" * 2)
        yield whole[(offset * 8 + 5) // 6 : (offset + len(_bytes(secret))) * 8 // 6].decode()


def _bytes(secret: str) -> bytes:
    """Return the secret's bytes, those too that a variable holds in a locale without such letters."""
    return secret.encode("utf-8", "surrogateescape")


def indented(form: Any) -> str:  # noqa: ANN401 - any JSON
    """Return a JSON document as indented text; one that nobody reads in one line, in a third of the time and memory."""
    text = json.dumps(form)
    return text if len(text) > _READABLE else json.dumps(form, indent=2)


class Passing:
    """The tokens of one client: one follows the other, and a server lives for months."""

    def __init__(self, discretion: Discretion) -> None:
        self._discretion = discretion
        self._tokens: dict[str, None] = {}

    def keep(self, *tokens: str) -> None:
        """Hide these from now on, and the oldest of many no more."""
        for token in tokens:
            if not self._discretion.knows(token):  # a token that is somebody's password, too, is never forgotten
                self._discretion.keep(token)
                self._tokens[token] = None
        if len(self._tokens) > 2 * _PASSING:  # many at once: to forget takes as long as to learn all that is left
            old = tuple(self._tokens)[:-_PASSING]
            self._discretion.forget(*old)
            for token in old:
                del self._tokens[token]


DISCRETION: Final = Discretion()
"""Of this process."""
