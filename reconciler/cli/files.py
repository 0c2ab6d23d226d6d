"""Files that are replaced atomically, and the folder `.cxroute` with the sandbox's state and the
journal.
"""

import errno
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from io import BytesIO
from pathlib import Path
from secrets import token_hex
from typing import Final
from zipfile import ZipFile, is_zipfile

from reconciler.core.errors import CxrouteError, RefusedError
from reconciler.core.text.escape import sanitize
from reconciler.core.text.files import MIB, read_text
from reconciler.core.text.redact import REDACTOR

_DEVICES: Final = Path("/dev")


def write_text(path: Path, text: str | bytes) -> None:
    """Write or replace a file with a text in UTF-8, or with bytes.

    Raises CxrouteError; then nothing has changed.
    """
    write_all({path: text})


def write_all(texts: Mapping[Path, str | bytes]) -> None:
    """Write several files, once all of them fit on the disk; permissions stay.

    Raises CxrouteError.
    """
    # A report is redacted by its command. A file that is read again, such as a table, is refused
    # instead.
    refuse_secrets(texts)
    staged: list[tuple[Path, Path]] = []
    try:
        for path, text in texts.items():
            with _naming(path):
                temporary = _temporary(path)
                staged.append((temporary, path))
                with temporary.open("xb") as file:
                    file.write(text if isinstance(text, bytes) else text.encode())
                if path.exists():
                    shutil.copymode(path, temporary)
        for temporary, path in staged:
            with _naming(path):
                temporary.replace(path)
    finally:
        for temporary, _ in staged:
            with suppress(OSError, ValueError):
                temporary.unlink()


def refuse_secrets(texts: Mapping[Path, str | bytes]) -> None:
    """Raise RefusedError for a text that contains a secret of this run."""
    for path, text in texts.items():
        readable = text if isinstance(text, str) else _readable_text(text)
        if REDACTOR.redact(readable) != readable:
            remedy = (
                "Remove the secret from the rule or the manifest, and replace it with a new "
                "one"
            )
            raise RefusedError(
                f"{path} was not written: it would contain a secret of this run. {remedy}"
            )


def _readable_text(data: bytes) -> str:
    """Return the text of a file, or all texts of a workbook, which is a compressed archive."""
    if not is_zipfile(BytesIO(data)):
        return data.decode("utf-8", "replace")
    with ZipFile(BytesIO(data)) as archive:
        parts = [
            archive.read(name).decode("utf-8", "replace") for name in archive.namelist()
        ]
    return "\n".join(parts)


@contextmanager
def _naming(path: Path, action: str = "write") -> Iterator[None]:
    """Raise CxrouteError with the path and the reason, in place of an error of the operating
    system.
    """
    try:
        yield
    except (
        ValueError
    ):  # of a name with the character NUL; a text has none that cannot be encoded
        raise CxrouteError(
            f"cannot {action} {sanitize(str(path))}: the name contains the character NUL"
        ) from None
    except OSError as error:
        raise CxrouteError(
            f"cannot {action} {sanitize(str(path))}: {_reason(error, path)}"
        ) from error


def _reason(error: OSError, path: Path) -> str:
    """Return why a file cannot be written, and what to do."""
    if error.errno == errno.ENAMETOOLONG:
        return "the name is too long. Choose a shorter one"
    if error.errno in {errno.ENOENT, errno.ENOTDIR} and not path.parent.is_dir():
        return (
            f"{sanitize(str(path.parent))} is not a folder. Create it first, or choose another "
            f"one"
        )
    if error.errno in {errno.EACCES, errno.EPERM, errno.EROFS}:
        return f"{error.strerror}. Choose a folder that you can write"
    if error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
        return f"{error.strerror}. Free some space, or choose another disk"
    return str(error.strerror)


def _temporary(path: Path) -> Path:
    if not path.name or path.is_dir():
        raise CxrouteError(f"cannot write {sanitize(str(path))}: it is a directory")
    # A rename would replace a device, a pipe or a socket, and a link such as `/dev/stdout`.
    if (
        path.exists() and not path.is_file()
    ) or path.absolute().parent.resolve() == _DEVICES:
        raise CxrouteError(
            f"cannot write {path}: it is not a regular file, and would be replaced; name another "
            f"file"
        )
    # A random name: no other run uses it, and no link can be planted there.
    return path.with_name(f".{path.name[:50]}.{token_hex(8)}.tmp")


def new_folder(path: Path) -> Path:
    """Create the folder if it does not exist, and return it. Raises CxrouteError."""
    with _naming(path, "create the folder"):
        path.mkdir(parents=True, exist_ok=True)
    return path


def write_new(path: Path, text: str) -> None:
    """Write a file that must not exist yet, in folders that are created. Raises CxrouteError."""
    new_folder(path.parent)
    with _naming(path), path.open("x", encoding="utf-8") as file:
        file.write(text)


FOLDER: Final = Path(".cxroute")
STATE: Final = FOLDER / "sandbox.json"
JOURNAL: Final = FOLDER / "journal.jsonl"


def ignored_by_git(path: Path) -> Path:
    """Return the path.

    Its folder gets a .gitignore if it is `.cxroute`: the journal names users and hosts.
    """
    if path.parent.name == FOLDER.name:
        with suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            with (path.parent / ".gitignore").open("x", encoding="utf-8") as file:
                file.write("*\n")
    return path


def text_of_variable(name: str, error: type[CxrouteError]) -> str | None:
    """Return a variable's text, or that of the file in NAME_FILE; None if neither is set.

    Raises `error`.
    """
    file = os.environ.get(f"{name}_FILE")
    try:
        return os.environ.get(name) or (read_text(file, MIB).strip() if file else None)
    except OSError as failure:
        raise error(
            f"the file that {name}_FILE names cannot be read: {failure.strerror}"
        ) from None
