"""The site as readers get it: built once, served on loopback, and read without a browser."""

from __future__ import annotations

import fcntl
import functools
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from tests.support.parsed_html import Page, parse_html
from tests.support.requirements import skip_or_fail

ROOT: Final = Path(__file__).parents[2]
_PACKAGES: Final = ("sphinx", "myst_parser", "pydata_sphinx_theme")


def require_sphinx() -> None:
    """Skip the test, or fail it in CI, where the packages of the site are missing."""
    missing = [name for name in _PACKAGES if find_spec(name) is None]
    if missing:
        skip_or_fail(f"this Python lacks {', '.join(missing)} (make site)")


def build(root: Path, output: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Build the site of a repository into a folder."""
    command = (sys.executable, str(root / "site/build.py"), "--output", str(output))
    return subprocess.run(
        (*command, *options), capture_output=True, text=True, check=False, timeout=150
    )


def built_once(temporary: Path) -> Path:
    """Return the folder of the site of this repository. The processes of a test run share it.

    `temporary` is the folder of the process for temporary files.
    """
    is_worker = "PYTEST_XDIST_WORKER" in os.environ
    folder = (temporary.parent if is_worker else temporary) / "documentation"
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            done = build(ROOT, folder)
            assert 0 == done.returncode, done.stderr
    return folder


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Print nothing."""


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serve a folder as any web server does, and yield the address."""
    handler = functools.partial(_Quiet, directory=str(folder))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@cache
def page(path: Path) -> Page:
    """Return a page of the site."""
    return parse_html(path.read_text(encoding="utf-8"))


@cache
def anchors(path: Path) -> frozenset[str]:
    """Return what a link can name in a page."""
    return frozenset(
        str(attributes["id"])
        for _, attributes in page(path).tags
        if attributes.get("id")
    )
