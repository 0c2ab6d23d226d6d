"""The context endpoint beside the tutorial's Express server: both behind wrk and before nginx, in
turns, in one run.

nginx stands in for the tenant, without latency: what is measured is what the endpoint itself costs,
with all its checks (key, limits, strict body, order, repeats, metrics, log). It needs nginx, wrk
and npm (Debian has all three).
"""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import signal
import statistics
import subprocess
import sys
import time
import timeit
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PEER = Path(__file__).resolve().parent / "peer"
KEY = "key-of-the-benchmark"
UPSTREAM = 18_300
MANIFEST = f"""apiVersion: routing/v1
kind: Environment
name: bench
owner: bench
tenant: acme
api: {{baseUrl: "http://127.0.0.1:{UPSTREAM}", requestsPerSecond: 100000, concurrency: 128}}
"""
BODY = (
    b'{"conversationId":"12345678-1234-1234-1234-000000000001","intent":"billing_inquiry","confidence":0.93,'
    b'"timestamp":"2024-06-01T00:00:00Z"}'
)


@dataclass(frozen=True)
class Load:
    """What one run of wrk saw: answers a second, the 99th of a hundred in ms, CPU microseconds an
    answer, peak MiB.
    """

    rate: float
    p99: float
    cpu: float
    memory: float


@dataclass(frozen=True)
class Served:
    """A server under test: its port, and its process with all that it started."""

    port: int
    pid: int

    def family(self) -> list[int]:
        """Return the process and its descendants."""
        actual = [self.pid]
        for pid in actual:
            for children in Path(f"/proc/{pid}/task").glob("*/children"):
                actual += map(int, children.read_text().split())
        return actual

    def cpu(self) -> float:
        """Return the CPU seconds that all of them have used."""
        fields = [
            Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
            for pid in self.family()
        ]
        return sum(int(field[11]) + int(field[12]) for field in fields) / os.sysconf(
            "SC_CLK_TCK"
        )

    def memory(self) -> float:
        """Return the MiB that all of them hold at the most; what they share counts for each (as in
        `ps`).
        """
        texts = [Path(f"/proc/{pid}/status").read_text() for pid in self.family()]
        return sum(int(re.findall(r"VmHWM:\s+(\d+)", text)[0]) for text in texts) / 1024


def bench(runs: int, seconds: int, work: Path) -> None:
    """Print one process beside one at 16 and 64 connections, and what validation costs."""
    for tool in ("nginx", "wrk", "npm", "node"):
        if shutil.which(tool) is None:
            print(f"endpoint: needs {tool}, which is not here: left out")
            return
    print(f"endpoint, Python {platform.python_version()}")
    work.mkdir(exist_ok=True)
    _install(work)
    with _upstream(work):
        _compare((16, 64), runs, seconds, work)
    _validation()


def _compare(connections: tuple[int, ...], runs: int, seconds: int, work: Path) -> None:
    servers: dict[str, Callable[[Path, int], Any]] = {
        "Express": _express,
        "cxroute serve": _cxroute,
    }
    print(
        "endpoint                                    answers/s   p99 ms  CPU us    MiB"
    )
    for number in connections:
        with ExitStack() as stack:
            served = {
                name: stack.enter_context(start(work, 18_400 + place))
                for place, (name, start) in enumerate(servers.items())
            }
            for item in served.values():
                _load(item, number, 2)
            loads: dict[str, list[Load]] = {name: [] for name in served}
            for _ in range(runs):
                for name, item in served.items():
                    loads[name].append(_load(item, number, seconds))
        actual = {name: _median(of) for name, of in loads.items()}
        for name, item in actual.items():
            figures = (
                f"{item.rate:9,.0f} {item.p99:8.1f} {item.cpu:7.0f} {item.memory:6.0f}"
            )
            print(f"  {name + f', {number} connections':<41} {figures}")
        peer = actual["Express"]
        own_side = actual["cxroute serve"]
        print(
            f"  against Express: answers {own_side.rate / peer.rate:.2f}, p99 "
            f"{own_side.p99 / peer.p99:.2f},",
            end=" ",
        )
        print(
            f"CPU {own_side.cpu / peer.cpu:.2f}, memory {own_side.memory / peer.memory:.2f}",
            flush=True,
        )


def _median(loads: list[Load]) -> Load:
    fields = ("rate", "p99", "cpu", "memory")
    return Load(
        *(statistics.median(getattr(load, field) for load in loads) for field in fields)
    )


def _load(served: Served, connections: int, seconds: int) -> Load:
    """Load a server with fresh conversations; every answer must be a 200."""
    before = served.cpu()
    command = [
        "wrk",
        "-t1",
        f"-c{connections}",
        f"-d{seconds}s",
        "-s",
        str(PEER / "post.lua"),
    ]
    text = subprocess.check_output(
        [*command, f"http://127.0.0.1:{served.port}"], text=True
    )
    observed = json.loads(re.findall(r"JSON(\{.*\})", text)[0])
    assert observed["bad"] == observed["lost"] == 0, (
        f"{observed} from port {served.port}"
    )
    cpu = (served.cpu() - before) / observed["ok"] * 1e6
    return Load(
        observed["ok"] / (observed["us"] / 1e6),
        observed["p99"] / 1000,
        cpu,
        served.memory(),
    )


def _install(work: Path) -> None:
    """Install Express once."""
    home = work / "express"
    home.mkdir(exist_ok=True)
    for file in ("package.json", "package-lock.json", ".npmrc", "server.js"):
        shutil.copyfile(PEER / file, home / file)
    if not (home / "node_modules").exists():
        subprocess.run(
            ["npm", "--prefix", str(home), "ci", "--no-progress"],
            check=True,
            stdout=subprocess.DEVNULL,
        )


@contextmanager
def _upstream(work: Path) -> Iterator[None]:
    home = work / "nginx"
    home.mkdir(exist_ok=True)
    shutil.copyfile(PEER / "upstream.conf", home / "upstream.conf")
    with _process(
        ["nginx", "-p", str(home), "-c", "upstream.conf"], {}, home
    ) as process:
        _await(UPSTREAM, "/", process)
        yield


@contextmanager
def _express(work: Path, port: int) -> Iterator[Served]:
    variables = {"PORT": str(port), "NODE_ENV": "production"}
    with _process(["node", "server.js"], variables, work / "express") as process:
        _await(port, "/health", process)
        yield Served(port, process.pid)


@contextmanager
def _cxroute(work: Path, port: int) -> Iterator[Served]:
    manifests = work / "endpoint"
    manifests.mkdir(exist_ok=True)
    (manifests / "environment.yaml").write_text(MANIFEST)
    variables = {
        "CXONE_CLIENT_ID": "bench",
        "CXONE_CLIENT_SECRET": "bench",
        "CXROUTE_API_KEYS": KEY,
    }
    variables["PYTHONPATH"] = str(PEER.parents[1])
    command = [
        sys.executable,
        "-m",
        "reconciler",
        "serve",
        "-e",
        "bench",
        "-m",
        str(manifests),
        "--port",
        str(port),
    ]
    with _process(command, variables, work) as process:
        _await(port, "/ready", process)
        yield Served(port, process.pid)


@contextmanager
def _process(
    command: list[str], variables: dict[str, str], home: Path
) -> Iterator[subprocess.Popen[bytes]]:
    log = (home / f"{Path(command[0]).name}.log").open("wb")
    # its log goes to a file, as a service's does
    with (
        log,
        subprocess.Popen(
            command, stdout=log, stderr=log, env={**os.environ, **variables}, cwd=home
        ) as process,
    ):
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)


def _await(port: int, path: str, process: subprocess.Popen[bytes]) -> None:
    for _ in range(300):
        assert process.poll() is None, f"{process.args!r} ended at once"
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=1):
                return
        except OSError:
            time.sleep(0.1)
    raise TimeoutError(f"nobody answers on port {port}")


def _validation() -> None:
    """Read one body as the endpoint does, and as pydantic would with the same rules, where it can
    have them.
    """
    from reconciler.features.endpoint.event import parse_event

    strict = _pydantic()
    actual: dict[str, list[float]] = {"ours": [], "pydantic": []}
    for _ in range(7):
        for name, read in (("ours", parse_event), ("pydantic", strict)):
            actual[name].append(
                min(timeit.repeat(lambda read=read: read(BODY), number=5_000, repeat=1))
                / 5_000
                * 1e6
            )  # type: ignore[misc]
    own_side, peer = (statistics.median(actual[name]) for name in ("ours", "pydantic"))
    print(
        f"  validation of a body: ours {own_side:.1f} us, pydantic {peer:.1f} us, ratio "
        f"{own_side / peer:.2f}"
    )


def _pydantic() -> Callable[[bytes], object]:
    """Return pydantic's reader, as strict as it can be.

    Its parser takes the last of two equal names, takes NaN, and says nothing of depth, so the text
    is parsed by ours and the model is given the values.
    """
    from typing import Annotated

    from pydantic import BaseModel, ConfigDict, Field

    from reconciler.features.endpoint import event as rules
    from reconciler.features.endpoint.event import parse_timestamp

    class Body(BaseModel):
        model_config = ConfigDict(strict=True, extra="ignore")
        conversationId: Annotated[str, Field(pattern=r"^[A-Za-z0-9._:-]{1,128}$")]  # noqa: N815 - the API's
        intent: Annotated[str, Field(min_length=1, max_length=256)]
        confidence: Annotated[float, Field(ge=0, le=1)] | None = None
        timestamp: str | None = None

    def read(body: bytes) -> object:
        form = Body.model_validate(rules.parse_object(body))  # the part that both need
        return form, parse_timestamp(form.timestamp) if form.timestamp else None

    return read
