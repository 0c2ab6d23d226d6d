"""The memory of a process, on systems that report it."""

from __future__ import annotations

from pathlib import Path

MIB = 2**20


def resident(process: int | str = "self") -> int:
    """Return bytes; 0 on systems without /proc."""
    try:
        lines = Path(f"/proc/{process}/status").read_text("ascii").splitlines()
    except OSError:
        return 0
    return next(
        int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS:")
    )
