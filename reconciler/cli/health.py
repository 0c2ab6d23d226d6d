"""The image's health check: `python -m reconciler.cli.health` exits with 0 when each cxroute process here answers.

It finds the processes and their listening sockets in /proc, so it needs no port number, and it connects directly, so no
proxy variable matters. A command that listens to nothing is healthy while it runs.
"""

from __future__ import annotations

import re
import socket
import struct
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from reconciler.cli.arguments import find_command
from reconciler.errors import UsageError
from reconciler.text.files import MIB, read_file

if TYPE_CHECKING:
    from collections.abc import Iterator


_TIMEOUT: Final = 4
_LISTENING: Final = "0A"
_PROGRAM: Final = "reconciler"


def main(proc: str = "/proc") -> int:
    """Return 0 when every cxroute process below `proc` is healthy, and 1 when one is not."""
    return int(not all(_is_healthy(process) for process in Path(proc).glob("[0-9]*")))


def _is_healthy(process: Path) -> bool:
    try:
        words = _text(process / "cmdline").split("\0")[:-1]
        return _PROGRAM not in words or _answers(process, words[words.index(_PROGRAM) + 1 :])
    except (FileNotFoundError, ProcessLookupError):
        return True  # it has ended meanwhile
    except OSError as error:
        sys.stderr.write(f"process {process.name}: {error}\n")
        return False


def _answers(process: Path, arguments: list[str]) -> bool:
    """Return whether a cxroute process listens where its command needs it, and answers there. Raises OSError."""
    name = _command(arguments)
    addresses = list(_addresses(process))
    if not addresses and (name in ("serve", "simulate") or any(word.startswith("--listen") for word in arguments)):
        sys.stderr.write(f"process {process.name}: `cxroute {name}` does not listen yet\n")
        return False
    # A simulated tenant has no /health, and a request would count for --faults and --rate: a connection is enough.
    return all(_is_reachable(address) if name == "simulate" else _is_ok(address) for address in addresses)


def _command(arguments: list[str]) -> str:
    try:
        position = find_command(arguments)
    except UsageError:
        return ""
    return "" if position is None else arguments[position]


def _addresses(process: Path) -> Iterator[tuple[str, int]]:
    """Yield host and port of each socket that the process listens on."""
    links = {str(link.readlink()) for link in (process / "fd").iterdir()}
    tables = [
        table for name in ("tcp", "tcp6") if (table := process / "net" / name).exists()
    ]  # IPv6 may be switched off
    for table in tables:
        for line in _text(table).splitlines()[1:]:
            fields = line.split()
            if fields[3] == _LISTENING and f"socket:[{fields[9]}]" in links:
                host, _, port = fields[1].partition(":")
                yield _host(host), int(port, 16)


def _text(path: Path) -> str:
    return read_file(path, 16 * MIB).decode("utf-8", "replace")


def _host(digits: str) -> str:
    """Return an address that the kernel writes as hexadecimal words in the byte order of the machine."""
    packed = b"".join(struct.pack("=I", int(word, 16)) for word in re.findall(".{8}", digits))
    return socket.inet_ntop(socket.AF_INET if len(packed) == 4 else socket.AF_INET6, packed)  # noqa: PLR2004 - bytes


def _is_reachable(address: tuple[str, int]) -> bool:
    with socket.create_connection(address, _TIMEOUT):
        return True


def _is_ok(address: tuple[str, int]) -> bool:
    """Return whether GET /health is answered with 200. Raises OSError, for example after four seconds."""
    with socket.create_connection(address, _TIMEOUT) as connection:
        connection.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        status = connection.makefile("rb").readline(100).split()[1:2]
    if status != [b"200"]:
        sys.stderr.write(f"port {address[1]}: GET /health: {b''.join(status).decode('ascii', 'replace')}\n")
    return status == [b"200"]


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
