"""Secrets that were written into a manifest by mistake: which fields they are in, and their removal
from messages.

A manifest has more readers than a secret: its repository, the logs of a pipeline, an editor. So no
output repeats the value of a field whose name is that of a secret, even if the file is not YAML.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

PLACEHOLDER: Final = "[secret]"
_KEY: Final = re.compile(
    r"""(?:^|[\s{,\[?"'-])([A-Za-z][A-Za-z0-9_.-]{1,63})["']?[ \t]{0,20}[:=]"""
)
_SEPARATORS: Final = str.maketrans("", "", "_-.")
_ENDINGS: Final = (
    "secret",
    "secrets",
    "secretvalue",
    "password",
    "passwd",
    "passphrase",
    "pwd",
    "token",
    "apikey",
    "accesskey",
    "privatekey",
    "secretkey",
    "signingkey",
    "bearer",
)
_IDENTIFIERS: Final = ("clientid", "accesskeyid", "keyid", "username", "userid")
_LIKELY: Final = re.compile(
    "secret|pass|pwd|token|key|bearer|client|user", re.IGNORECASE
)
_FLOW_END: Final = re.compile("[,}]")
_SIGILS: Final = ("&", "*", "!", "@", "%")
_SHORTEST_PIECE: Final = 4  # a shorter part of a value occurs in ordinary words
_UNUSUAL_LENGTH: Final = 12
_MAX_SECRETS: Final = 100  # of one file
_LONGEST_LINE: Final = 10_000
_LONGEST_BLOCK: Final = 200  # lines of a secret, such as a key in PEM


def is_secret_name(name: str) -> bool:
    """Return whether a field of this name holds a secret: `clientSecret`, `api_key`,
    `db.password`.
    """
    return _folded(name).endswith(_ENDINGS)


def is_credential_name(name: str) -> bool:
    """Return whether a field of this name holds a secret, or the name of its owner: `clientId`."""
    return is_secret_name(name) or _folded(name) in _IDENTIFIERS


def credential_hint(name: str) -> str:
    """Return what to do with a credential in a manifest."""
    place = "put it into an environment variable, whose name is in `credentials`"
    if not is_secret_name(name):
        return f"remove it from the file, and {place}"
    return f"treat it as leaked: replace it with a new one, remove it from the file, and {place}"


def _folded(name: str) -> str:
    return name.lower().translate(_SEPARATORS)


@dataclass(frozen=True, slots=True)
class SecretSpan:
    """A secret in a text: the lines that it covers, from 0, and its value."""

    first_line: int
    last_line: int
    value: str

    @property
    def pieces(self) -> Iterator[str]:
        """The texts to remove from messages: the value, and those of its words that are not
        ordinary words.
        """
        plain = self.value.strip()
        yield plain.strip("\"'")
        for word in plain.split():
            is_unusual = (
                len(word) >= _UNUSUAL_LENGTH
                or word.startswith(_SIGILS)
                or not word.isalpha()
            )
            if is_unusual:
                yield word.strip("\"'")


def find_secrets(text: str) -> tuple[SecretSpan, ...]:
    """Return the secrets of a text, found by the names of their fields, also where the text is not
    YAML.
    """
    if not _LIKELY.search(text):
        return ()
    lines = text.split("\n")
    spans: list[SecretSpan] = []
    for number, line in enumerate(lines):
        spans += _secrets_of_line(lines, number, line)
        if len(spans) > _MAX_SECRETS:  # which no manifest has: all of it is hidden
            return (*spans, SecretSpan(0, len(lines), ""))
    return tuple(spans)


def _secrets_of_line(lines: list[str], number: int, line: str) -> Iterator[SecretSpan]:
    for match in _KEY.finditer(line[:_LONGEST_LINE]):
        if not is_credential_name(match[1]):
            continue
        rest = line[match.end() :]
        is_in_braces = "{" in line[: match.end()]
        if is_in_braces:
            yield SecretSpan(number, number, _flow_value(rest))
            continue
        below = list(_lines_below(lines, number, line))
        value = "\n".join([rest, *below])
        if value.strip():
            yield SecretSpan(number, number + len(below), value)


def _flow_value(rest: str) -> str:
    """Return the value at the start of the rest of a line in braces."""
    value = rest.strip()
    if value[:1] in {'"', "'"}:
        quote_end = value.find(value[0], 1)
        return value[: quote_end + 1] or value
    end = _FLOW_END.search(value)
    return value[: end.start()] if end else value


def _lines_below(lines: list[str], number: int, line: str) -> Iterator[str]:
    """Yield the lines that belong to the field of a line: those that are indented deeper."""
    indent = len(line) - len(line.lstrip(" -"))
    start = number + 1
    for line_below in lines[start : start + _LONGEST_BLOCK]:
        own_indent = len(line_below) - len(line_below.lstrip(" "))
        if own_indent <= indent and line_below.strip():
            return
        yield line_below


def remove_secrets(message: str, secrets: Iterable[SecretSpan]) -> str:
    """Return a message without the values of the secrets."""
    for secret in secrets:
        for piece in secret.pieces:
            if len(piece) >= _SHORTEST_PIECE:
                message = message.replace(piece, PLACEHOLDER)
    return message
