"""One file out of an archive that others made: the one expected, of bounded size, and nothing else of it."""

from __future__ import annotations

import io
import zipfile
import zlib
from typing import Final

from reconciler.errors import RefusedError

_METHODS: Final = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_ENCRYPTED: Final = 0x1
_MOST: Final = 1000
"""Entries of an archive that is looked into."""


def one_file(archive: bytes, name: str, largest: int) -> bytes:
    """Return the file of that very name. Raises RefusedError where there is none, two, or a larger one.

    Nothing is written to a disk, no other entry is unpacked, and what the archive says of sizes is not believed.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(archive)) as opened:
            found = [entry for entry in opened.infolist()[: _MOST + 1] if entry.filename == name]
            if len(opened.infolist()) > _MOST or len(found) != 1:
                raise RefusedError(f"the artifact is not as a plan's run leaves it: it needs one {name}")
            (entry,) = found
            if entry.compress_type not in _METHODS or entry.flag_bits & _ENCRYPTED:
                raise RefusedError(f"{name} in the artifact is packed in a way that no plan's run uses")
            with opened.open(entry) as file:
                content = file.read(largest + 1)
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, NotImplementedError, OSError):
        raise RefusedError("the artifact is no archive, or a broken one; plan again") from None
    if len(content) > largest:
        raise RefusedError(f"{name} in the artifact is larger than {largest >> 20} MiB: no plan is")
    return content
