"""One file of a ZIP archive from outside, with bounds."""

import io
import zipfile
import zlib
from typing import Final

from reconciler.errors import RefusedError

_ENCRYPTED: Final = 0x1
_MAX_ENTRIES: Final = 1000  # entries of an archive


def read_archive_file(archive: bytes, name: str, max_bytes: int, folder: str = "") -> bytes:
    """Return the file of that exact name, also in `folder`. Raises RefusedError if there is none, two, or a larger."""
    names = (name, f"{folder}/{name}") if folder else (name,)
    # Nothing is written to a disk, no other entry is unpacked, and sizes in the archive are not trusted.
    try:
        with zipfile.ZipFile(io.BytesIO(archive)) as opened:
            entries = [entry for entry in opened.infolist()[: _MAX_ENTRIES + 1] if entry.filename in names]
            if len(opened.infolist()) > _MAX_ENTRIES or len(entries) != 1:
                raise RefusedError(f"the artifact must contain exactly one {name}")
            (entry,) = entries
            if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) or entry.flag_bits & _ENCRYPTED:
                raise RefusedError(f"{name} in the artifact has an unexpected compression or is encrypted")
            with opened.open(entry) as file:
                content = file.read(max_bytes + 1)
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, NotImplementedError, OSError):
        raise RefusedError("the artifact is not a valid archive; plan again") from None
    if len(content) > max_bytes:
        raise RefusedError(f"{name} in the artifact is larger than {max_bytes >> 20} MiB, the limit for a plan")
    return content
