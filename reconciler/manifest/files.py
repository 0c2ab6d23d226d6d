"""A directory -> the bytes of its manifests. Links, devices and permissions are handled here."""

from __future__ import annotations

import os
import shlex
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from reconciler.manifest.yaml_reader import MAX_FILE_BYTES
from reconciler.model.finding import Finding
from reconciler.model.rule import Source
from reconciler.text.escape import escape_invisible
from reconciler.text.files import NotRegularFileError, read_start

if TYPE_CHECKING:
    from collections.abc import Iterator


_EXTENSIONS: Final = (".yaml", ".yml")


class _PathEntry(NamedTuple):
    """A file or directory: its path from the manifests' directory, and its real path."""

    path: str
    real_path: str


class _DirectoryWalk:
    """One walk over a directory tree. Links are followed last, so that a file keeps its own path."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.root = os.path.realpath(directory)
        self.files: dict[str, str] = {}
        """Where each manifest really is -> its path."""
        self.errors: list[tuple[str, Finding]] = []
        self._visited: set[str] = set()
        self._links: deque[_PathEntry] = deque()

    def run(self) -> None:
        """Find every manifest; each directory is read once, however many links lead to it."""
        self._walk_tree(_PathEntry("", self.root))
        while self._links:
            link = self._links.popleft()
            if Path(link.real_path).is_dir():
                self._walk_tree(link)
            else:
                self.files.setdefault(link.real_path, link.path)

    def report_error(self, code: str, path: str, message: str) -> None:
        """Record why a path cannot be read."""
        self.errors.append((path, _finding(code, self.display_path(path), message)))

    def display_path(self, path: str) -> str:
        """Return a path as a person would type it."""
        return escape_invisible((self.directory / path).as_posix())

    def _walk_tree(self, start: _PathEntry) -> None:
        waiting = [start]
        while waiting:
            found = waiting.pop()
            if found.real_path in self._visited:
                continue
            self._visited.add(found.real_path)
            try:
                entries = sorted(os.scandir(found.real_path), key=lambda entry: entry.name)
            except OSError as error:
                self.report_error("CXR014", found.path, f"the directory cannot be read: {_reason(error)}")
                continue
            for entry in entries:
                self._classify(entry, f"{found.path}/{entry.name}".lstrip("/"), waiting)

    def _classify(self, entry: os.DirEntry[str], path: str, waiting: list[_PathEntry]) -> None:
        if entry.name.startswith("."):
            return
        if entry.is_symlink():
            self._add_link(entry, path)
        elif entry.is_dir(follow_symlinks=False):
            waiting.append(_PathEntry(path, entry.path))
        elif entry.name.endswith(_EXTENSIONS):
            self.files[entry.path] = path

    def _add_link(self, entry: os.DirEntry[str], path: str) -> None:
        real = os.path.realpath(entry.path)
        if not entry.name.endswith(_EXTENSIONS) and not Path(real).is_dir():
            return
        if os.path.commonpath([self.root, real]) == self.root:
            self._links.append(_PathEntry(path, real))
        else:
            self.report_error("CXR003", path, "the symbolic link leads out of the manifests' directory")


def read_files(directory: Path) -> Iterator[tuple[str, bytes | Finding]]:
    """Yield each manifest's path, in order, with its bytes or the reason why it is unreadable; each file once."""
    walk = _DirectoryWalk(directory)
    if not Path(walk.root).is_dir():
        yield _with_file(_finding("CXR115", walk.display_path(""), "there is no such directory", _init_hint(walk)))
        return
    walk.run()
    if not walk.files and not walk.errors:
        yield _with_file(
            _finding("CXR115", walk.display_path(""), "no *.yaml or *.yml file in this directory", _init_hint(walk))
        )
    todo: list[tuple[str, str | Finding]] = [(path, real) for real, path in walk.files.items()]
    for path, what in sorted([*todo, *walk.errors], key=lambda one: one[0]):
        yield walk.display_path(path), what if isinstance(what, Finding) else _read_file(walk.display_path(path), what)


def _read_file(display_path: str, real: str) -> bytes | Finding:
    try:
        return read_start(real, MAX_FILE_BYTES + 1)
    except NotRegularFileError:
        return _finding("CXR014", display_path, "this is not a regular file")
    except OSError as error:
        return _finding("CXR014", display_path, f"the file cannot be read: {_reason(error)}")


def _reason(error: OSError) -> str:
    return (error.strerror or "unknown reason").lower()


def _with_file(finding: Finding) -> tuple[str, Finding]:
    return finding.source.file if finding.source else "", finding


def _init_hint(walk: _DirectoryWalk) -> str:
    where = "" if walk.display_path("") == "manifests" else f" {shlex.quote(walk.display_path(''))}"
    here = "" if where or not any(Path().glob("*.yaml")) else ", such as -m . for this one"
    return f"write a first set with `cxroute init{where}`, or name the directory of yours with -m DIR{here}"


def _finding(code: str, display_path: str, message: str, hint: str = "") -> Finding:
    return Finding(code=code, severity="error", message=message, source=Source(display_path, 1, 1), hint=hint)
