"""The folder `.cxroute` in the working directory: the sandbox's state, and the journal.

Files that are there whole or not at all: whoever reads one never sees the first half.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from contextlib import suppress
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING, Final

from reconciler.errors import CxrouteError
from reconciler.text.files import MIB, read_text

if TYPE_CHECKING:
    from collections.abc import Mapping


_DEVICES: Final = Path("/dev")


def write_text(path: Path, text: str) -> None:
    """Write a file, in place of one that is there. Raises CxrouteError; then nothing has changed."""
    write_all({path: text})


def write_all(texts: Mapping[Path, str]) -> None:
    """Write several files, each in place of one that is there, once all of them fit on the disk.

    Line ends and permissions stay as they are. Raises CxrouteError.
    """
    staged: list[tuple[Path, Path]] = []
    try:
        for path, text in texts.items():
            staged.append((_temporary(path), path))
            _stage(*staged[-1], text)
        for temporary, path in staged:
            temporary.replace(path)
    except OSError as error:
        raise CxrouteError(f"cannot write {staged[-1][1]}: {error.strerror}") from error
    finally:
        for temporary, _ in staged:
            with contextlib.suppress(OSError):
                temporary.unlink()


def _temporary(path: Path) -> Path:
    if not path.name or path.is_dir():
        raise CxrouteError(f"cannot write {path}: it is a directory")
    if _is_special(path):
        raise CxrouteError(f"cannot write {path}: it is not a regular file, and would be replaced; name another file")
    # A name that nobody else has: not another run that writes the same file, nor a link that was put in the way.
    return path.with_name(f".{path.name[:50]}.{token_hex(8)}.tmp")


def _is_special(path: Path) -> bool:
    """Say whether a device, a pipe or a socket would be lost: also a link such as `/dev/stdout`, to a file or not."""
    return (path.exists() and not path.is_file()) or path.absolute().parent.resolve() == _DEVICES


def _stage(temporary: Path, path: Path, text: str) -> None:
    with temporary.open("xb") as file:
        file.write(text.encode())
    if path.exists():
        shutil.copymode(path, temporary)


def new_folder(path: Path) -> Path:
    """Make a folder for files, where there is none. Raises CxrouteError."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CxrouteError(f"cannot make the folder {path}: {error.strerror}") from error
    return path


FOLDER: Final = Path(".cxroute")
STATE: Final = FOLDER / "sandbox.json"
JOURNAL: Final = FOLDER / "journal.jsonl"


def ignored_by_git(path: Path) -> Path:
    """Return the path; a folder `.cxroute` that it lies in gets a .gitignore, where it has none.

    The journal names users, hosts and rules, so `git add -A` must not take it. Where the folder cannot be written, the
    write of the file itself says so.
    """
    if path.parent.name == FOLDER.name:
        with suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            with (path.parent / ".gitignore").open("x", encoding="utf-8") as file:
                file.write("*\n")
    return path


def journal_path() -> Path:
    """Return where the journal is: $CXROUTE_JOURNAL, else .cxroute/journal.jsonl."""
    return Path(os.environ.get("CXROUTE_JOURNAL") or JOURNAL)


def text_of_variable(name: str, error: type[CxrouteError]) -> str | None:
    """Return the text of the file that the variable NAME_FILE names; None if it is not set. Raises `error`."""
    file = os.environ.get(f"{name}_FILE")
    try:
        return read_text(file, MIB).strip() if file else None
    except OSError as failure:
        raise error(f"the file that {name}_FILE names cannot be read: {failure.strerror}") from None
