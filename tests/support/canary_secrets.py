"""Canary secrets, and the search for them in all output (invariants R13).

Written backwards here, so that a failing test that shows its source does not show a canary: no
server and no format reverses a text, so a reversed secret is not searched for. Each is 13 letters
and digits, characters that encodings change, and 13 more: each encoding leaves an end of it
visible.
"""

from __future__ import annotations

import base64
import html
import json
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import quote, quote_plus

CLIENT: Final = "canary-client"
"""The client id, which may be shown."""
SECRET: Final = "pL8nR3sJ6hYb5\\'é&<\"=+/4cXm2Tk9Vw7qZ"[::-1]
KEY: Final = "canary-key"
"""The access key's id, which may be shown."""
KEY_SECRET: Final = "mB5tQ1yUe7rWd\\'&<\"=+/Jk9ZsA3hXg6Cv"[::-1]
TOKEN: Final = "EwR9vH1nBg6tY\\'&<\"=+/XmL3qJf0dKs8A"[::-1]
RENEWED: Final = "oI4uC7xMz2aQe\\'&<\"=+/TrW5yNh8gPb1D"[::-1]
PASSWORD: Final = "kF6jS0lGv3iUd\\'&<\"=+/HoB7cVz9mRx4N"[::-1]
"""Of the proxy."""
COGNIGY_KEY: Final = "zT5gM8wPk2hJc\\'&<\"=+/NvR4xD7sLq9Fb"[::-1]
PROXY_USER: Final = "proxy-user"

SECRETS: Final = {
    "client secret": SECRET,
    "access key's secret": KEY_SECRET,
    "token": TOKEN,
    "renewed token": RENEWED,
    "proxy password": PASSWORD,
    "Cognigy's key": COGNIGY_KEY,
}
HALF: Final = 12
"""As many characters on end of a secret are as good as the secret."""
_BLOCK: Final = 6
"""Each run of HALF characters contains a full block that begins at a multiple of this."""

_SIMULATED: Final = re.compile(rb"simulated-[0-9a-f]{8}-[0-9a-f]{4}-")
_LARGEST: Final = 4 * 1024 * 1024
_DROPPED: Final = bytes(
    item for item in range(256) if not chr(item).isascii() or not chr(item).isalnum()
)


class Leak(NamedTuple):
    """The secret that was found, and its form."""

    which: str
    encoding: str


def proxy(host: str) -> str:
    """Return the URL of a proxy whose password is a canary."""
    return f"http://{PROXY_USER}:{quote(PASSWORD, safe='')}@{host}"


def find_leaks(data: bytes | str) -> list[Leak]:
    """Return each secret in the data, complete, encoded, split, or half."""
    raw = data.encode("utf-8", "surrogatepass") if isinstance(data, str) else data
    squeezed = raw.translate(None, _DROPPED)
    leaks = [
        leak
        for which, secret in SECRETS.items()
        for leak in _found(which, secret, raw, squeezed)
    ]
    return leaks + [Leak("simulated token", "raw")] * bool(_SIMULATED.search(raw))


def _found(which: str, secret: str, raw: bytes, squeezed: bytes) -> Iterator[Leak]:
    """Look at letters and digits only first: line breaks, quotes and most encodings disappear with
    the rest.
    """
    if not any(trace in squeezed for trace in _traces(secret)):
        return
    named = [
        Leak(which, encoding) for encoding, form in encodings(secret) if form in raw
    ]
    yield from named
    if not named and any(run in squeezed for run in _runs(secret)):
        yield Leak(which, "half, split or mixed")


@cache
def encodings(secret: str) -> tuple[tuple[str, bytes], ...]:
    """Return the encodings of a secret, each with its name."""
    texts = {
        "raw": secret,
        "percent-encoded": quote(secret, safe=""),
        "percent-encoded, slashes kept": quote(secret),
        "form-encoded": quote_plus(secret),
        "percent-encoded, lower case": re.sub(
            "%..", lambda item: item.group().lower(), quote(secret, safe="")
        ),
        "JSON": json.dumps(secret)[1:-1],
        "JSON in UTF-8": json.dumps(secret, ensure_ascii=False)[1:-1],
        "JSON, all escaped": "".join(f"\\u{ord(item):04x}" for item in secret),
        "HTML": html.escape(secret),
        "HTML, decimal": "".join(f"&#{ord(item)};" for item in secret),
        "repr": repr(secret)[1:-1],
        "ascii": ascii(secret)[1:-1],
        "repr of bytes": repr(secret.encode())[2:-1],
        "hex": secret.encode().hex(),
        "HEX": secret.encode().hex().upper(),
    }
    binary = {
        "UTF-16 little": secret.encode("utf-16-le"),
        "UTF-16 big": secret.encode("utf-16-be"),
    }
    stored = [(name, text.encode()) for name, text in texts.items()] + list(
        binary.items()
    )
    return (*stored, *(("base64", item) for item in _base64(secret)))


def _base64(secret: str) -> Iterator[bytes]:
    """Return the base64 of the secret at each offset in the data, alone and after the id."""
    plain = secret.encode()
    for offset in range(3):
        complete = base64.b64encode(b"\0" * offset + plain + b"\0" * 2)
        first = (offset * 8 + 5) // 6
        inside = complete[first : (offset + len(plain)) * 8 // 6]
        yield inside
        yield inside.translate(bytes.maketrans(b"+/", b"-_"))


@cache
def _traces(secret: str) -> tuple[bytes, ...]:
    """Return letters and digits, one of which is in each text that contains the secret in some
    form.
    """
    letters = secret.encode().translate(None, _DROPPED)
    blocks = [
        letters[at : at + _BLOCK] for at in range(0, len(letters) - _BLOCK + 1, _BLOCK)
    ]
    retained = {"hex", "HEX", "base64", "JSON, all escaped", "HTML, decimal"}
    return (
        *blocks,
        *(
            form.translate(None, _DROPPED)
            for name, form in encodings(secret)
            if name in retained
        ),
    )


@cache
def _runs(secret: str) -> tuple[bytes, ...]:
    letters = secret.encode().translate(None, _DROPPED)
    return tuple(letters[at : at + HALF] for at in range(len(letters) - HALF + 1))


_PLANTED: Final[set[Path]] = set()


def mark_as_secret(path: Path) -> Path:
    """Declare that a test itself writes a secret into this file."""
    _PLANTED.add(path.resolve())
    return path


def leaks_in(folder: Path) -> Iterator[str]:
    """Search the files in a folder, except for planted secrets; return the place of each leak."""
    for path in _files(folder):
        for which, encoding in find_leaks(_beginning(path)):
            yield f"{which}, {encoding}, in {path.name}"


def _beginning(path: Path) -> bytes:
    """Read the first bytes of a file, also of one that a test left without permissions."""
    with _accessible(path, stat.S_IRUSR), path.open("rb") as file:
        return file.read(_LARGEST)


def _files(folder: Path) -> Iterator[Path]:
    """Yield the regular files of a folder, also of folders that a test left closed: they are open
    until the next.
    """
    with _accessible(folder, stat.S_IRWXU):
        for path in sorted(folder.iterdir()):
            if not path.is_symlink() and path.is_dir():
                yield from _files(path)
            elif _is_regular(path) and path.resolve() not in _PLANTED:
                yield path


def _is_regular(path: Path) -> bool:
    """Return whether the path is a file, also by a link; a link into a closed folder is none."""
    try:
        return path.is_file()
    except OSError:
        return False


@contextmanager
def _accessible(path: Path, bits: int) -> Iterator[None]:
    """Give the owner these permissions of a path, and take them away again at the end."""
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & bits == bits or not _is_ours(path):
        yield
        return

    path.chmod(mode | bits)
    try:
        yield
    finally:
        path.chmod(mode)


def _is_ours(path: Path) -> bool:
    return not hasattr(os, "geteuid") or path.stat().st_uid == os.geteuid()
