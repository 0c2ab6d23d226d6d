"""A directory -> the bytes of its manifests. What links, devices and permissions can do to a reader ends here."""

from __future__ import annotations

import os
import shlex
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from reconciler.manifest.yaml_reader import LARGEST
from reconciler.model.finding import Finding
from reconciler.model.rule import Source
from reconciler.text.escape import escape_invisible
from reconciler.text.files import NotRegularFileError, read_start

if TYPE_CHECKING:
    from collections.abc import Iterator


_ENDINGS: Final = (".yaml", ".yml")


class _Found(NamedTuple):
    """A file or directory on the way: its path from the manifests' directory, and where it really is."""

    path: str
    real: str


class _Walk:
    """One walk over a directory and all below it. Links are followed last, so that a file keeps its own path."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.root = os.path.realpath(directory)
        self.files: dict[str, str] = {}
        """Where each manifest really is -> its path."""
        self.refused: list[tuple[str, Finding]] = []
        self._seen: set[str] = set()
        self._links: deque[_Found] = deque()

    def run(self) -> None:
        """Find every manifest; each directory is looked at once, however many links lead to it."""
        self._below(_Found("", self.root))
        while self._links:
            link = self._links.popleft()
            if Path(link.real).is_dir():
                self._below(link)
            else:
                self.files.setdefault(link.real, link.path)

    def refuse(self, code: str, path: str, message: str) -> None:
        """Note why a path is not read."""
        self.refused.append((path, _finding(code, self.shown(path), message)))

    def shown(self, path: str) -> str:
        """Return a path as a person would type it."""
        return escape_invisible((self.directory / path).as_posix())

    def _below(self, start: _Found) -> None:
        waiting = [start]
        while waiting:
            found = waiting.pop()
            if found.real in self._seen:
                continue
            self._seen.add(found.real)
            try:
                entries = sorted(os.scandir(found.real), key=lambda entry: entry.name)
            except OSError as error:
                self.refuse("CXR014", found.path, f"the directory cannot be read: {_reason(error)}")
                continue
            for entry in entries:
                self._sort_in(entry, f"{found.path}/{entry.name}".lstrip("/"), waiting)

    def _sort_in(self, entry: os.DirEntry[str], path: str, waiting: list[_Found]) -> None:
        """Put a directory's entry where it belongs; hidden ones nowhere."""
        if entry.name.startswith("."):
            return
        if entry.is_symlink():
            self._link(entry, path)
        elif entry.is_dir(follow_symlinks=False):
            waiting.append(_Found(path, entry.path))
        elif entry.name.endswith(_ENDINGS):
            self.files[entry.path] = path

    def _link(self, entry: os.DirEntry[str], path: str) -> None:
        real = os.path.realpath(entry.path)
        if not entry.name.endswith(_ENDINGS) and not Path(real).is_dir():
            return
        if os.path.commonpath([self.root, real]) == self.root:
            self._links.append(_Found(path, real))
        else:
            self.refuse("CXR003", path, "the symbolic link leads out of the manifests' directory")


def contents(directory: Path) -> Iterator[tuple[str, bytes | Finding]]:
    """Yield each manifest's path, in order, with its bytes or the reason why it cannot be read.

    A file that several links lead to is read once.
    """
    walk = _Walk(directory)
    if not Path(walk.root).is_dir():
        yield _told(_finding("CXR115", walk.shown(""), "there is no such directory", _begin(walk)))
        return
    walk.run()
    if not walk.files and not walk.refused:
        yield _told(_finding("CXR115", walk.shown(""), "no *.yaml or *.yml file in this directory", _begin(walk)))
    todo: list[tuple[str, str | Finding]] = [(path, real) for real, path in walk.files.items()]
    for path, what in sorted([*todo, *walk.refused], key=lambda one: one[0]):
        yield walk.shown(path), what if isinstance(what, Finding) else _read(walk.shown(path), what)


def _read(shown: str, real: str) -> bytes | Finding:
    """Return a regular file's bytes, one more than allowed at most."""
    try:
        return read_start(real, LARGEST + 1)
    except NotRegularFileError:
        return _finding("CXR014", shown, "this is not a regular file")
    except OSError as error:
        return _finding("CXR014", shown, f"the file cannot be read: {_reason(error)}")


def _reason(error: OSError) -> str:
    return (error.strerror or "unknown reason").lower()


def _told(finding: Finding) -> tuple[str, Finding]:
    return finding.source.file if finding.source else "", finding


def _begin(walk: _Walk) -> str:
    """Say how to write first manifests there, or to name the directory that has them."""
    where = "" if walk.shown("") == "manifests" else f" {shlex.quote(walk.shown(''))}"
    here = "" if where or not any(Path().glob("*.yaml")) else ", such as -m . for this one"
    return f"write a first set with `cxroute init{where}`, or name the directory of yours with -m DIR{here}"


def _finding(code: str, shown: str, message: str, hint: str = "") -> Finding:
    return Finding(code=code, severity="error", message=message, source=Source(shown, 1, 1), hint=hint)
