"""Files that are there whole or not at all: whoever reads one never sees the first half."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from reconciler.errors import CxrouteError

if TYPE_CHECKING:
    from pathlib import Path


def write_whole(path: Path, text: str) -> None:
    """Write a file, in place of one that is there. Raises CxrouteError; then nothing has changed."""
    if not path.name or path.is_dir():
        raise CxrouteError(f"cannot write {path}: it is a directory")
    temporary = path.with_name(f".{path.name[:100]}.tmp")
    try:
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise CxrouteError(f"cannot write {path}: {error.strerror}") from error


def new_folder(path: Path) -> Path:
    """Make a folder for files, where there is none. Raises CxrouteError."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CxrouteError(f"cannot make the folder {path}: {error.strerror}") from error
    return path
