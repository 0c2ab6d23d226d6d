"""Files that are replaced atomically, and the folder `.cxroute` with the sandbox's state and the journal."""

import os
import shutil
from collections.abc import Mapping
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from secrets import token_hex
from typing import Final
from zipfile import ZipFile, is_zipfile

from reconciler.errors import CxrouteError, RefusedError
from reconciler.text.files import MIB, read_text
from reconciler.text.redact import REDACTOR

_DEVICES: Final = Path("/dev")


def write_text(path: Path, text: str | bytes) -> None:
    """Write or replace a file with a text in UTF-8, or with bytes. Raises CxrouteError; then nothing has changed."""
    write_all({path: text})


def write_all(texts: Mapping[Path, str | bytes]) -> None:
    """Write several files, once all of them fit on the disk; permissions stay. Raises CxrouteError."""
    # A report is redacted by its command. A file that is read again, such as a table, is refused instead.
    refuse_secrets(texts)
    staged: list[tuple[Path, Path]] = []
    try:
        for path, text in texts.items():
            staged.append((_temporary(path), path))
            temporary = staged[-1][0]
            with temporary.open("xb") as file:
                file.write(text if isinstance(text, bytes) else text.encode())
            if path.exists():
                shutil.copymode(path, temporary)
        for temporary, path in staged:
            temporary.replace(path)
    except OSError as error:
        raise CxrouteError(f"cannot write {staged[-1][1]}: {error.strerror}") from error
    finally:
        for temporary, _ in staged:
            with suppress(OSError):
                temporary.unlink()


def refuse_secrets(texts: Mapping[Path, str | bytes]) -> None:
    """Raise RefusedError for a text that contains a secret of this run."""
    for path, text in texts.items():
        readable = text if isinstance(text, str) else _readable_text(text)
        if REDACTOR.redact(readable) != readable:
            remedy = "Remove the secret from the rule or the manifest, and replace it with a new one"
            raise RefusedError(f"{path} was not written: it would contain a secret of this run. {remedy}")


def _readable_text(data: bytes) -> str:
    """Return the text of a file, or all texts of a workbook, which is a compressed archive."""
    if not is_zipfile(BytesIO(data)):
        return data.decode("utf-8", "replace")
    with ZipFile(BytesIO(data)) as archive:
        parts = [archive.read(name).decode("utf-8", "replace") for name in archive.namelist()]
    return "\n".join(parts)


def _temporary(path: Path) -> Path:
    if not path.name or path.is_dir():
        raise CxrouteError(f"cannot write {path}: it is a directory")
    # A rename would replace a device, a pipe or a socket, and a link such as `/dev/stdout`.
    if (path.exists() and not path.is_file()) or path.absolute().parent.resolve() == _DEVICES:
        raise CxrouteError(f"cannot write {path}: it is not a regular file, and would be replaced; name another file")
    # A random name: no other run uses it, and no link can be planted there.
    return path.with_name(f".{path.name[:50]}.{token_hex(8)}.tmp")


def new_folder(path: Path) -> Path:
    """Create the folder if it does not exist, and return it. Raises CxrouteError."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CxrouteError(f"cannot create the folder {path}: {error.strerror}") from error
    return path


FOLDER: Final = Path(".cxroute")
STATE: Final = FOLDER / "sandbox.json"
JOURNAL: Final = FOLDER / "journal.jsonl"


def ignored_by_git(path: Path) -> Path:
    """Return the path. Its folder gets a .gitignore if it is `.cxroute`: the journal names users and hosts."""
    if path.parent.name == FOLDER.name:
        with suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            with (path.parent / ".gitignore").open("x", encoding="utf-8") as file:
                file.write("*\n")
    return path


def text_of_variable(name: str, error: type[CxrouteError]) -> str | None:
    """Return a variable's text, or that of the file in NAME_FILE; None if neither is set. Raises `error`."""
    file = os.environ.get(f"{name}_FILE")
    try:
        return os.environ.get(name) or (read_text(file, MIB).strip() if file else None)
    except OSError as failure:
        raise error(f"the file that {name}_FILE names cannot be read: {failure.strerror}") from None
