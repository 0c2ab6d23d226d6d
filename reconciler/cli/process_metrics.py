"""The metrics of every command that serves: its version, and its process by the names of
Prometheus' libraries.
"""

import contextlib
import os
import sys
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final

from reconciler.core.text.files import read_start
from reconciler.core.text.prometheus import metric, metric_header, sample
from reconciler.version import __version__

_PROC: Final = Path("/proc")
_OWN: Final = _PROC / "self"
# of a system that does not tell, or in another form
_UNKNOWN: Final = (
    OSError,
    ValueError,
    IndexError,
)
_MAX_BYTES: Final = 2**20  # of a file there
_RESIDENT: Final = 1  # the field of statm: pages in memory
# the field of stat after the command's name: the start, in ticks since the machine's start
_START: Final = 19


def process_metrics() -> Iterator[str]:
    """Yield the lines of the version and of this process; a system without /proc tells less."""
    yield from metric_header("cxroute_build_info", "gauge", "The version of cxroute.")
    yield sample("cxroute_build_info", 1, version=__version__)

    text = "CPU time that the process used, in seconds."
    yield from metric("process_cpu_seconds_total", "counter", text, time.process_time())

    with contextlib.suppress(*_UNKNOWN):
        text = "Memory of the process, in bytes."
        yield from metric(
            "process_resident_memory_bytes", "gauge", text, _resident_bytes()
        )

    with contextlib.suppress(*_UNKNOWN):
        text = "Unix time of the start of the process, in seconds."
        yield from metric("process_start_time_seconds", "gauge", text, _start_time())

    with contextlib.suppress(*_UNKNOWN):
        text = "Files and connections that the process has open."
        yield from metric(
            "process_open_fds", "gauge", text, len([*(_OWN / "fd").iterdir()])
        )

    if sys.platform != "win32":
        text = "Files and connections that the process may have open."
        yield from metric("process_max_fds", "gauge", text, _max_files())


def _resident_bytes() -> int:
    pages = int(_read(_OWN / "statm").split()[_RESIDENT])
    return pages * os.sysconf("SC_PAGE_SIZE")


@cache
def _start_time() -> float:
    after_name = _read(_OWN / "stat").rpartition(")")[2]
    ticks = int(after_name.split()[_START])
    return _machine_start() + ticks / os.sysconf("SC_CLK_TCK")


def _machine_start() -> int:
    """Return the Unix time of the machine's start.

    Raises OSError if the system does not tell it.
    """
    for line in _read(_PROC / "stat").splitlines():
        name, _, value = line.partition(" ")
        if name == "btime":
            return int(value)
    raise OSError("/proc/stat has no btime")


def _read(path: Path) -> str:
    return read_start(path, _MAX_BYTES).decode("ascii", "replace")


def _max_files() -> float:
    import resource  # noqa: PLC0415 - Windows does not have it

    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return float("inf") if limit == resource.RLIM_INFINITY else limit
