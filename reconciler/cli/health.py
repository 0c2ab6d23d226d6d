"""The image's health check, `python -m reconciler.cli.health`: exit 0 if each listening cxroute
process answers.
"""

import re
import socket
import struct
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from reconciler.cli.arguments import find_command
from reconciler.core.errors import UsageError
from reconciler.core.text.files import MIB, read_file

_TIMEOUT: Final = 4
_LISTENING: Final = "0A"
_PROGRAM: Final = "reconciler"


def main(proc: str = "/proc") -> int:
    """Return 0 when every cxroute process below `proc` is healthy, and 1 when one is not."""
    processes = Path(proc).glob("[0-9]*")
    return 0 if all(map(_is_healthy, processes)) else 1


def _is_healthy(process: Path) -> bool:
    try:
        words = _text(process / "cmdline").split("\0")[:-1]
        if _PROGRAM not in words:
            return True
        position = words.index(_PROGRAM)
        return _answers(process, words[position + 1 :])
    except (FileNotFoundError, ProcessLookupError):
        return True  # the process has ended
    except OSError as error:
        sys.stderr.write(f"process {process.name}: {error}\n")
        return False


def _answers(process: Path, arguments: list[str]) -> bool:
    try:
        position = find_command(arguments)
        name = "" if position is None else arguments[position]
    except UsageError:
        name = ""
    # from /proc, so that no port number is needed
    addresses = list(_addresses(process))
    listens = name in ("serve", "simulate") or any(
        word.startswith("--listen") for word in arguments
    )
    if listens and not addresses:
        sys.stderr.write(
            f"process {process.name}: `cxroute {name}` does not listen yet\n"
        )
        return False
    return all(_is_ok(address, name) for address in addresses)


def _addresses(process: Path) -> Iterator[tuple[str, int]]:
    links = {str(link.readlink()) for link in (process / "fd").iterdir()}
    for name in ("tcp", "tcp6"):
        table = process / "net" / name
        if not table.exists():  # IPv6 may be switched off
            continue
        for line in _text(table).splitlines()[1:]:
            fields = line.split()
            if fields[3] == _LISTENING and f"socket:[{fields[9]}]" in links:
                yield _parse_address(fields[1])


def _parse_address(text: str) -> tuple[str, int]:
    digits, _, port = text.partition(":")
    # The kernel writes an address as hexadecimal words in the byte order of the machine.
    words = re.findall(".{8}", digits)
    packed = b"".join(struct.pack("=I", int(word, 16)) for word in words)
    family = socket.AF_INET if len(packed) == 4 else socket.AF_INET6  # noqa: PLR2004 - bytes
    return socket.inet_ntop(family, packed), int(port, 16)


def _text(path: Path) -> str:
    return read_file(path, 16 * MIB).decode("utf-8", "replace")


def _is_ok(address: tuple[str, int], command: str) -> bool:
    """Return whether GET /health returns 200. Raises OSError, for example after four seconds."""
    with socket.create_connection(address, _TIMEOUT) as connection:
        # it has no /health, and --faults and --rate would count the request
        if command == "simulate":
            return True
        connection.sendall(
            b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        )
        status = connection.makefile("rb").readline(100).split()[1:2]
    if status != [b"200"]:
        sys.stderr.write(
            f"port {address[1]}: GET /health: {b''.join(status).decode('ascii', 'replace')}\n"
        )
    return status == [b"200"]


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
