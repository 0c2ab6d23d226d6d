"""Who may reach the endpoint, and where: what `serve` is told on its command line and in the environment, checked."""

from __future__ import annotations

import asyncio
import ipaddress
import os
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from reconciler.cli.discretion import DISCRETION
from reconciler.cli.sharing import shared_url
from reconciler.context.app import context_app
from reconciler.context.signature import SecretError
from reconciler.errors import UsageError
from reconciler.regular_file import MIB, read_text

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping

_KEYS, _SECRETS = "CXROUTE_API_KEYS", "CXROUTE_WEBHOOK_SECRETS"
_LAST_PORT: Final = 65_535


class Admitted(NamedTuple):
    """Where the endpoint listens, what it shares with other machines, and what opens it."""

    port: int
    shared: str
    keys: tuple[str, ...]
    secrets: tuple[str, ...]


def checked(options: argparse.Namespace) -> Admitted:
    """Return what the command line and the environment say. Raises UsageError, also where it makes no sense."""
    admitted = Admitted(_port(options.port), shared_url(options.shared), _listed(_KEYS), _listed(_SECRETS))
    if not admitted.keys and not admitted.secrets and not _is_loopback(options.host):
        raise UsageError(f"--host {options.host}: without keys in ${_KEYS} it listens on loopback only")
    try:
        context_app(_nowhere, admitted.keys, admitted.secrets)
    except SecretError as error:
        raise UsageError(f"{_SECRETS}: {error}") from error
    return admitted


def _port(option: str | None) -> int:
    said = option if option is not None else os.environ.get("PORT") or "3000"
    if not (said.isascii() and said.isdigit()) or int(said[:6]) > _LAST_PORT:
        raise UsageError(f"port {said[:20]!r}: there are ports 0 to {_LAST_PORT}")
    return int(said)


async def _nowhere(_conversation: str, _attributes: Mapping[str, Any], _seconds: float) -> Any:  # noqa: ANN401 - any JSON
    await asyncio.sleep(0)


def _listed(name: str) -> tuple[str, ...]:
    """Read a variable, or the file that it names, as a list. Raises UsageError, which repeats none of it."""
    text, file = os.environ.get(name, ""), os.environ.get(f"{name}_FILE")
    if not text and file:
        try:
            text = read_text(file, MIB)
        except OSError as error:
            raise UsageError(f"the file that {name}_FILE names cannot be read: {error.strerror}") from None
    found = tuple(one for one in map(str.strip, text.replace("\n", ",").split(",")) if one)
    if (text or file) and not found:
        raise UsageError(f"{name}, or its file, holds nothing but commas and spaces")
    if not all(one.isascii() and one.isprintable() and " " not in one for one in found):
        raise UsageError(f"{name} holds what no header can: use letters, digits and signs without spaces")
    DISCRETION.keep(*found)
    return found


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
