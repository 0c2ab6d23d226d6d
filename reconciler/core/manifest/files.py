"""A directory -> the bytes of its manifests. This module handles links, devices and permissions."""

import os
import shlex
from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from operator import attrgetter, itemgetter
from pathlib import Path
from typing import Final

from reconciler.core.manifest.yaml_reader import MAX_FILE_BYTES
from reconciler.core.model.finding import Finding
from reconciler.core.model.rule import Source
from reconciler.core.text.escape import escape_invisible
from reconciler.core.text.files import NotRegularFileError, read_start

EXTENSIONS: Final = (".yaml", ".yml")


class _DirectoryWalk:
    """One walk over a directory tree.

    Links are followed last, so that a file keeps its own path.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.root = os.path.realpath(directory)
        self.files: dict[str, str] = {}
        """The real path of each manifest -> its path."""
        self.errors: list[tuple[str, Finding]] = []
        self._visited: set[str] = set()
        self._waiting = deque([("", self.root)])
        """Paths from the manifests' directory, and real paths: directories, then the targets of
        links."""

    def run(self) -> None:
        """Find every manifest; each directory is read once, however many links lead to it."""
        while self._waiting:
            path, real_path = self._waiting.popleft()
            if not _is_directory(real_path):
                self.files.setdefault(real_path, path)
            elif real_path not in self._visited:
                self._visited.add(real_path)
                self._read_directory(path, real_path)

    def display_path(self, path: str) -> str:
        full_path = self.directory / path
        return escape_invisible(full_path.as_posix())

    def _report(self, code: str, path: str, message: str) -> None:
        finding = _finding(code, self.display_path(path), message)
        self.errors.append((path, finding))

    def _report_extension(self, path: str) -> None:
        stem, _, extension = path.rpartition(".")
        new_path = f"{stem}.{extension.lower()}"
        hint = f"rename it to {escape_invisible(new_path)}"
        message = f"the file is not read, because its name ends in .{extension}"
        finding = _finding("CXR014", self.display_path(path), message, hint)
        self.errors.append((path, replace(finding, severity="warning")))

    def _read_directory(self, directory: str, real_path: str) -> None:
        try:
            entries = sorted(os.scandir(real_path), key=attrgetter("name"))
        except OSError as error:
            message = f"the directory cannot be read: {_reason(error)}"
            self._report("CXR014", directory, message)
            return
        for entry in entries:
            path = f"{directory}/{entry.name}".lstrip("/")
            if entry.name.startswith("."):
                continue
            if entry.is_symlink():
                self._add_link(entry, path)
            elif entry.is_dir(follow_symlinks=False):
                self._waiting.appendleft((path, entry.path))
            elif entry.name.endswith(EXTENSIONS):
                self.files[entry.path] = path
            elif entry.name.lower().endswith(EXTENSIONS):
                self._report_extension(path)

    def _add_link(self, entry: os.DirEntry[str], path: str) -> None:
        real = os.path.realpath(entry.path)
        if not entry.name.endswith(EXTENSIONS) and not _is_directory(real):
            if entry.name.lower().endswith(EXTENSIONS):
                self._report_extension(path)
            return
        if os.path.commonpath([self.root, real]) == self.root:
            self._waiting.append((path, real))
        else:
            message = "the symbolic link leads out of the manifests' directory"
            self._report("CXR003", path, message)


def read_files(directory: Path) -> Iterator[tuple[str, bytes | Finding]]:
    """Yield each manifest's path, in order, with its bytes or the reason why it is unreadable; each
    file once.
    """
    walk = _DirectoryWalk(directory)
    root = walk.display_path("")
    exists = _is_directory(walk.root)
    if exists:
        walk.run()
    has_errors = any(finding.severity != "warning" for _, finding in walk.errors)
    if not walk.files and not has_errors:
        message = "the directory does not exist"
        if exists:
            message = "no *.yaml or *.yml file in this directory"
        yield root, _finding("CXR115", root, message, _init_hint(root))

    files: list[tuple[str, str | Finding]] = [
        (path, real) for real, path in walk.files.items()
    ]
    for path, content in sorted([*files, *walk.errors], key=itemgetter(0)):
        display_path = walk.display_path(path)
        if isinstance(content, Finding):
            yield display_path, content
        else:
            yield display_path, _read_file(display_path, content)


def count_files(directory: Path) -> int:
    """Return the number of manifests that are read below a directory."""
    walk = _DirectoryWalk(directory)
    if _is_directory(walk.root):
        walk.run()
    return len(walk.files)


def _is_directory(path: str) -> bool:
    return os.path.isdir(path)  # noqa: PTH112 - Path.is_dir raises for a name that is too long, and without permission


def _read_file(display_path: str, real: str) -> bytes | Finding:
    try:
        return read_start(real, MAX_FILE_BYTES + 1)
    except NotRegularFileError:
        return _finding("CXR014", display_path, "this is not a regular file")
    except OSError as error:
        message = f"the file cannot be read: {_reason(error)}"
        return _finding("CXR014", display_path, message)


def _reason(error: OSError) -> str:
    return (error.strerror or "unknown reason").lower()


def _init_hint(directory: str) -> str:
    where = "" if directory == "manifests" else f" {shlex.quote(directory)}"
    here = (
        "" if where or not any(Path().glob("*.yaml")) else ", such as -m . for this one"
    )
    return (
        f"create manifests with `cxroute init{where}`, or specify their directory with -m "
        f"DIR{here}"
    )


def _finding(code: str, display_path: str, message: str, hint: str = "") -> Finding:
    return Finding(
        code=code,
        severity="error",
        message=message,
        source=Source(display_path, 1, 1),
        hint=hint,
    )
