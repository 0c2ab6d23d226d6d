"""A journal at an address that fsspec opens, such as s3://bucket/prefix: one object for each run.

Object stores cannot append, so the object is replaced before and after the writes of each wave.
Credentials come from the environment of the process alone, as the library of the store reads them.
"""

import errno
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import wraps
from threading import Thread
from typing import Any, ClassVar, Final, ParamSpec, TypeVar

from reconciler.core.text.escape import sanitize
from reconciler.core.text.pages import page

P = ParamSpec("P")
T = TypeVar("T")

# for one call: a store that does not answer must not stop an apply
_SECONDS: Final = 20.0
_WITH_FOLDERS: Final = frozenset({"file", "local", "memory", "sftp", "ssh", "smb"})
"""Only these have folders to create: with an object store it would create a bucket."""
_LONGEST_REASON: Final = 200  # characters of a store's message


def _within_time(method: Callable[P, T]) -> Callable[P, T]:
    """Return the method with a limit of time.

    It raises OSError for whatever a library of a store raises.
    """

    @wraps(method)
    def call(*arguments: P.args, **options: P.kwargs) -> T:
        results: list[T] = []
        failures: list[BaseException] = []

        def work() -> None:
            try:
                results.append(method(*arguments, **options))
            except BaseException as failure:  # noqa: BLE001 - each library has its own errors
                failures.append(failure)

        # a stuck call does not keep the process alive
        thread = Thread(target=work, daemon=True)
        thread.start()
        thread.join(_SECONDS)
        if results:
            return results[0]
        if not failures:
            raise OSError(errno.ETIMEDOUT, f"no answer within {_SECONDS:.0f} seconds")
        failure = failures[0]
        if isinstance(failure, FileNotFoundError):
            raise FileNotFoundError(errno.ENOENT, "it does not exist") from None
        own = failure.strerror if isinstance(failure, OSError) else None
        reason = own or f"{type(failure).__name__}: {failure}"
        short_reason = sanitize(" ".join(reason.split()), _LONGEST_REASON)
        raise OSError(errno.EIO, short_reason) from None

    return call


@dataclass(frozen=True, slots=True)
class ObjectStore:
    """The objects below an address. Each method raises OSError, whose `strerror` has the reason."""

    address: str

    @_within_time
    def write(self, name: str, content: bytes) -> None:
        """Write an object, or replace it."""
        filesystem, path = self._open()
        scheme, _, _ = self.address.partition("://")
        if scheme in _WITH_FOLDERS:
            filesystem.makedirs(path, exist_ok=True)
        filesystem.pipe_file(f"{path}/{name}", content)

    @_within_time
    def exists(self, name: str) -> bool:
        """Return whether there is an object."""
        filesystem, path = self._open()
        return bool(filesystem.exists(f"{path}/{name}"))

    @_within_time
    def names(self, suffix: str) -> list[str]:
        """Return the names of the objects with a suffix, in order."""
        filesystem, path = self._open()
        filesystem.invalidate_cache()
        names = []
        for object_path in filesystem.ls(path, detail=False):
            name = str(object_path).rstrip("/").rpartition("/")[2]
            if name.endswith(suffix):
                names.append(name)
        return sorted(names)

    @_within_time
    def read(self, name: str, limit: int) -> bytes:
        """Return an object's content."""
        filesystem, path = self._open()
        content: bytes = filesystem.cat_file(f"{path}/{name}", start=0, end=limit + 1)
        if len(content) > limit:
            raise OSError(errno.EFBIG, f"{name} is larger than {limit >> 20} MiB")
        return content

    def _open(self) -> tuple[Any, str]:
        try:
            from fsspec.core import url_to_fs  # type: ignore[import-untyped]  # noqa: PLC0415 - an extra
        except ImportError:
            raise OSError(
                errno.ENOPKG,
                f"fsspec is not installed. Install the extra `journal`; see "
                f"{page('install.md', 'Extras')}",
            ) from None
        filesystem, path = url_to_fs(self.address)
        return filesystem, str(path).rstrip("/")


@dataclass(slots=True)
class ObjectSink:
    """Collects the entries of a run, and writes them as one object."""

    store: ObjectStore
    object_name: str
    lines: list[bytes] = field(default_factory=list)
    stored: int = 0  # the entries that are stored
    stores_at_sync: ClassVar[bool] = True

    @property
    def name(self) -> str:
        """Return the address of the object."""
        return f"{self.store.address.rstrip('/')}/{self.object_name}"

    def append(self, line: bytes) -> None:
        """Keep an entry until the next sync; the first one is stored at once."""
        self.lines.append(line)
        if self.stored == 0:
            self.sync()

    def sync(self) -> None:
        """Write the object, if there are new entries."""
        if len(self.lines) > self.stored:
            self.store.write(self.object_name, b"".join(self.lines))
            self.stored = len(self.lines)

    def close(self) -> None:
        """Write the object."""
        self.sync()
