"""The place of a journal: a file with all runs, or a directory or an address with one file for each
run.

Several operators can share a directory or an address: no two runs write the same file.
"""

import io
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Final

from reconciler.core.errors import UsageError
from reconciler.core.text.files import read_file
from reconciler.core.text.hosts import journal_address_problem
from reconciler.features.journal.history import RecordedRun
from reconciler.features.journal.journal import LARGEST, parse_runs
from reconciler.features.journal.object_store import ObjectSink, ObjectStore
from reconciler.features.journal.sinks import FileSink, JournalSink

SUFFIX: Final = ".jsonl"
MOST_RUNS: Final = 1000  # of a directory or an address: the newest are read
_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
OnUnreadable = Callable[[int], object]  # gets the number of lines that are not entries


class JournalPlace(ABC):
    """Where runs are recorded and read."""

    __slots__ = ()

    @property
    @abstractmethod
    def name(self) -> str:
        """Return the place for messages."""

    @abstractmethod
    def reserve(self, run: str) -> str:
        """Return the name of a new run: the given one, or with a number if another run has it."""

    @abstractmethod
    def sink(self, run: str) -> JournalSink:
        """Return the target of a run's entries."""

    @abstractmethod
    def contents(self) -> list[bytes]:
        """Return the contents of the files, in order. Raises OSError."""

    def read(
        self, on_unreadable: OnUnreadable = lambda _: None
    ) -> Sequence[RecordedRun]:
        """Return the runs, oldest first; none if the place does not exist. Raises UsageError."""
        try:
            files = self.contents()
        except FileNotFoundError:
            return ()
        except OSError as error:
            raise UsageError(
                f"cannot read the journal {self.name}: {error.strerror}"
            ) from error
        runs: list[RecordedRun] = []
        for data in files:
            lines = io.TextIOWrapper(
                io.BytesIO(data),
                encoding="utf-8",
                errors="replace",
            )
            runs += parse_runs(lines, on_unreadable)
        if len(files) == 1:
            return runs  # in the order of its entries
        return sorted(runs, key=lambda run: str(run.start.get("at")))


@dataclass(frozen=True, slots=True)
class JournalFile(JournalPlace):
    """One file, to which all runs are appended."""

    path: Path

    @property
    def name(self) -> str:
        """Return the path."""
        return str(self.path)

    def reserve(self, run: str) -> str:
        """Return the name: the entries of a file name their run."""
        return run

    def sink(self, run: str) -> JournalSink:
        """Return the file."""
        del run
        return FileSink(self.path)

    def contents(self) -> list[bytes]:
        """Return the content of the file."""
        return [read_file(self.path, LARGEST)]


@dataclass(frozen=True, slots=True)
class JournalFolder(JournalPlace):
    """A directory with one file for each run."""

    path: Path

    @property
    def name(self) -> str:
        """Return the path, with a slash."""
        return f"{self.path}/"

    def reserve(self, run: str) -> str:
        """Return an unused name, whose file is created: another process cannot take it."""
        # the first entry reports why the directory cannot be written
        with suppress(OSError):
            self.path.mkdir(parents=True, exist_ok=True)
            for name in _candidates(run):
                with suppress(FileExistsError):
                    self._file(name).touch(exist_ok=False)
                    return name
        return run

    def sink(self, run: str) -> JournalSink:
        """Return the file of the run."""
        return FileSink(self._file(run))

    def contents(self) -> list[bytes]:
        """Return the contents of the newest files."""
        paths = [path for path in self.path.iterdir() if path.name.endswith(SUFFIX)]
        newest = sorted(path.name for path in paths)[-MOST_RUNS:]
        return [read_file(self.path / name, LARGEST) for name in newest]

    def _file(self, run: str) -> Path:
        return self.path / f"{run}{SUFFIX}"


@dataclass(frozen=True, slots=True)
class JournalAddress(JournalPlace):
    """An address with one object for each run."""

    store: ObjectStore

    @property
    def name(self) -> str:
        """Return the address."""
        return self.store.address

    def reserve(self, run: str) -> str:
        """Return an unused name."""
        # the first entry reports why the address cannot be written
        with suppress(OSError):
            return next(
                name
                for name in _candidates(run)
                if not self.store.exists(f"{name}{SUFFIX}")
            )
        return run

    def sink(self, run: str) -> JournalSink:
        """Return the object of the run."""
        return ObjectSink(self.store, f"{run}{SUFFIX}")

    def contents(self) -> list[bytes]:
        """Return the newest objects."""
        return [
            self.store.read(name, LARGEST)
            for name in self.store.names(SUFFIX)[-MOST_RUNS:]
        ]


def parse_place(text: str) -> JournalPlace:
    """Return the place of --journal or $CXROUTE_JOURNAL: an address, a directory, or otherwise a
    file.
    """
    if _SCHEME.match(text):
        return _parse_address(text)
    path = Path(text)
    return (
        JournalFolder(path)
        if text.endswith("/") or path.is_dir()
        else JournalFile(path)
    )


def parse_shared_place(text: str) -> JournalPlace:
    """Return the place of `journal:` in an Environment: an address or a directory."""
    return _parse_address(text) if _SCHEME.match(text) else JournalFolder(Path(text))


def _parse_address(text: str) -> JournalPlace:
    if problem := journal_address_problem(text):
        raise UsageError(f"the journal's address {problem}")
    return JournalAddress(ObjectStore(text))


def _candidates(run: str) -> Iterable[str]:
    yield run
    yield from (f"{run}-{number}" for number in count(2))
