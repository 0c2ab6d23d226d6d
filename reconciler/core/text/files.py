"""Reading of files: each is a regular file of bounded size, because a pipe or a device may block or
never end.
"""

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO, Final

KIB: Final = 1024
MIB: Final = 1024 * KIB

_CHUNK_SIZE: Final = 256 * KIB
# Without blocking: between the check and the opening, a file may be replaced by a pipe without a
# writer.
_FLAGS: Final = ("O_NONBLOCK", "O_CLOEXEC", "O_NOCTTY", "O_BINARY")
_OPEN_FLAGS: Final = os.O_RDONLY | sum(getattr(os, name, 0) for name in _FLAGS)
_FILE_TYPES: Final = {stat.S_IFIFO: "a named pipe", stat.S_IFSOCK: "a socket"}


class NotRegularFileError(OSError):
    """The path leads to a pipe, a device or a socket."""


def read_file(path: str | Path, limit: int) -> bytes:
    """Return a regular file's bytes. Raises OSError; its `strerror` has the cause and the fix."""
    data = read_start(path, limit + 1)
    if len(data) > limit:
        size = f"{limit // MIB} MiB" if limit >= MIB else f"{limit // KIB} KiB"
        raise OSError(
            errno.EFBIG,
            f"it is larger than {size}, the limit for this file; check the path",
            str(path),
        )
    return data


def read_text(path: str | Path, limit: int) -> str:
    """Return a regular file's text with LF line ends. Raises OSError, as `read_file` does."""
    try:
        return read_file(path, limit).decode("utf-8").replace("\r\n", "\n")
    except UnicodeDecodeError:
        raise OSError(
            errno.EILSEQ,
            "it is not UTF-8; save the file as UTF-8",
            str(path),
        ) from None


def read_certificates(path: str | Path) -> str:
    """Return a file's PEM certificates as ASCII, without other characters in comments."""
    return read_file(path, 16 * MIB).decode("ascii", "ignore")


def read_start(path: str | Path, size: int) -> bytes:
    """Return the first bytes of a regular file, `size` of them at most.

    Raises OSError, as `read_file` does.
    """
    with open_regular(path) as file:
        chunks = []
        while size and (chunk := file.read(min(size, _CHUNK_SIZE))):
            chunks.append(chunk)
            size -= len(chunk)
        return b"".join(chunks)


def open_regular(path: str | Path) -> BinaryIO:
    """Return a regular file, opened to be read. Raises OSError, as `read_file` does."""
    try:
        _require_regular_file(os.stat(path), path)  # noqa: PTH116 - `path` may be a text; a device is not even opened
        file = os.open(path, _OPEN_FLAGS)
    except ValueError:
        raise OSError(
            errno.EINVAL,
            "the path contains a NUL character; check the path",
            str(path),
        ) from None
    try:
        _require_regular_file(os.fstat(file), path)
    except OSError:
        os.close(file)
        raise
    return os.fdopen(file, "rb")


def _require_regular_file(status: os.stat_result, path: str | Path) -> None:
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not stat.S_ISREG(status.st_mode):
        kind = _FILE_TYPES.get(stat.S_IFMT(status.st_mode), "a device")
        message = (
            f"it is {kind}, not a regular file; save the contents to a file, and name that "
            f"file"
        )
        raise NotRegularFileError(errno.EINVAL, message, str(path))
