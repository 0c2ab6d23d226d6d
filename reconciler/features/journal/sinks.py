"""Where the entries of a run go: a file to which they are appended, or an object that is
replaced.
"""

import os
from pathlib import Path
from typing import ClassVar, Final, Protocol

# a write to a pipe without a reader is an error, not a hang
_NON_BLOCKING: Final = getattr(os, "O_NONBLOCK", 0)


class JournalSink(Protocol):
    """The target of one run's entries.

    Each method raises OSError, whose `strerror` has the reason.
    """

    # whether entries survive a killed process only from the next sync on
    stores_at_sync: ClassVar[bool]

    @property
    def name(self) -> str:
        """Return the target for messages."""

    def append(self, line: bytes) -> None:
        """Append an entry, so that it survives a killed process where the target permits that."""

    def sync(self) -> None:
        """Wait until the entries are stored."""

    def close(self) -> None:
        """Store the entries, and free the target."""


class FileSink:
    """Appends to a file, which is opened at the first entry."""

    stores_at_sync: ClassVar[bool] = False

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: int | None = None

    @property
    def name(self) -> str:
        """Return the path."""
        return str(self.path)

    def append(self, line: bytes) -> None:
        """Append an entry, and pass it to the operating system."""
        file = self._open()
        rest = line
        while rest:  # a disk that is almost full takes a part of a line
            count = os.write(file, rest)
            rest = rest[count:]

    def sync(self) -> None:
        """Wait until the entries are on the disk."""
        if self._file is not None:
            os.fsync(self._file)

    def close(self) -> None:
        """Sync and close the file."""
        file = self._file
        self._file = None
        if file is None:
            return
        try:
            os.fsync(file)
        finally:
            os.close(file)

    def _open(self) -> int:
        """Open the file; end an incomplete last line, which a killed run may have left."""
        if self._file is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = os.open(
                self.path,
                os.O_RDWR | os.O_APPEND | os.O_CREAT | _NON_BLOCKING,
                0o666,
            )
            size = os.fstat(self._file).st_size
            if size and os.pread(self._file, 1, size - 1) != b"\n":
                os.write(self._file, b"\n")
        return self._file
