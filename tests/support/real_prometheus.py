"""A real Prometheus on loopback, which scrapes ports of this machine five times a second."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import httpx

from tests.support.plain_http import PLAIN
from tests.support.ports import free_ports
from tests.support.requirements import skip_or_fail

_CONFIG: Final = """
global: {{scrape_interval: 200ms, scrape_timeout: 200ms}}
scrape_configs:
- {{job_name: cxroute, static_configs: [{{targets: [{0}]}}]}}
"""


class Prometheus:
    """A running server."""

    def __init__(self, url: str) -> None:
        self.url = url

    def value(self, query: str) -> float | None:
        """Return the value of a query with one result, or None while there is no result."""
        try:
            response = httpx.get(
                f"{self.url}/api/v1/query",
                params={"query": query},
                trust_env=False,
                verify=PLAIN,
            )
        except httpx.TransportError:  # it is starting
            return None
        result: list[Any] = (
            response.json()["data"]["result"] if response.status_code == 200 else []
        )
        return float(result[0]["value"][1]) if result else None

    def wait(self, query: str, value: float) -> None:
        """Wait until a query has a value."""
        while self.value(query) != value:
            time.sleep(0.1)


@contextmanager
def prometheus(folder: Path, *targets: str) -> Iterator[Prometheus]:
    """Start a server that scrapes ports of this machine; without any, itself.

    Without the program: skipped on a developer's machine, failed in CI.
    """
    if shutil.which("prometheus") is None:
        skip_or_fail("prometheus is not installed")
    (port,) = free_ports(1)
    listed = [f'"127.0.0.1:{target}"' for target in targets or (port,)]
    (folder / "prometheus.yml").write_text(
        _CONFIG.format(", ".join(listed)), encoding="utf-8"
    )
    options = [
        "--config.file=prometheus.yml",
        "--storage.tsdb.path=tsdb",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    with (folder / "prometheus.log").open("w") as log:
        process = subprocess.Popen(
            ["prometheus", *options, "--log.level=warn"],
            cwd=folder,
            stdout=log,
            stderr=log,
        )
    try:
        yield Prometheus(f"http://127.0.0.1:{port}")
    finally:
        process.kill()
        process.wait()
