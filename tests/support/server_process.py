"""Servers as processes: `cxroute simulate`, `serve` and `watch`."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from tests.support import canary_secrets as canary
from tests.support.command import Command, process_environment, serving

KEY: Final = "key-of-the-bot"
"""The endpoint's newer key."""


def server_environment() -> dict[str, str]:
    """Return the variables of a server: canaries for both kinds of credentials, and two keys of the
    endpoint.
    """
    keys = {
        "CXONE_ACCESS_KEY_ID": canary.KEY,
        "CXONE_ACCESS_KEY_SECRET": canary.KEY_SECRET,
    }
    return process_environment(**keys, CXROUTE_API_KEYS=f"old,{KEY}")


@contextmanager
def server_process(
    folder: Path,
    *words: str,
    name: str = "",
    start: Callable[..., Any] = Command,
    variables: Mapping[str, str] | None = None,
) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Start a server; yield it and its URL.

    Its log goes to NAME.log, which the tests search for secrets.
    """
    with (folder / f"{name or words[0]}.log").open("a") as log:
        process = start(
            *words,
            cwd=folder,
            env={**server_environment(), **(variables or {})},
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
        with serving(process) as url:
            yield process, url
