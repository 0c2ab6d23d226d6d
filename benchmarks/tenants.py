"""Many tenants in one process: what `plan --all` costs beside the reads and comparisons alone, and
how memory grows.

`python tenants.py serve FOLDER COUNT` serves so many tenants, each on a port of its own, with the
same rules but for two as the manifests that it writes below FOLDER; `python tenants.py floor
MANIFESTS` reads and plans each of them, one after the other, and does nothing else.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

RULES = 200
ROOT = Path(__file__).resolve().parent.parent


class Cost(Protocol):
    """CPU in seconds, peak memory in MiB."""

    cpu: float
    memory: float


def environments(folder: Path, ports: list[int]) -> None:
    """Write an Environment for each tenant."""
    (folder / "environments.yaml").write_text(
        "---\n".join(
            f"apiVersion: routing/v1\nkind: Environment\nname: tenant-{n:03d}\nowner: bench\n"
            f"api: {{baseUrl: 'http://127.0.0.1:{port}', requestsPerSecond: 10000}}\n"
            for n, port in enumerate(ports)
        )
    )


def serve(folder: Path, count: int) -> None:
    """Serve the tenants, and write where they are when they can be asked."""
    import json

    import uvicorn
    import workload

    from reconciler.cli.http_server import open_listener
    from reconciler.features.practice.simulator.app import Simulator
    from reconciler.features.practice.simulator.settings import PROFILES
    from reconciler.features.practice.simulator.state import TenantState

    manifests = folder / "manifests"
    workload.manifests(manifests, RULES, "http://127.0.0.1:1")
    workload.state(folder / "state.json", manifests)
    (manifests / "environment.yaml").unlink()
    stored = json.loads((folder / "state.json").read_text())
    listeners = [open_listener("127.0.0.1", 0) for _ in range(count)]
    ports = [listener.getsockname()[1] for listener in listeners]
    apps = {
        port: Simulator(TenantState(stored["queues"], stored["rules"]), PROFILES["A"])
        for port in ports
    }

    async def tenant(scope: Any, receive: Any, send: Any) -> None:  # noqa: ANN401 - ASGI
        await apps[scope["server"][1]](scope, receive, send)

    config = uvicorn.Config(tenant, log_level="critical", lifespan="off", ws="none")
    environments(manifests, ports)
    print("ready", flush=True)
    asyncio.run(uvicorn.Server(config).serve(sockets=listeners))


def floor(folder: Path) -> None:
    """Read and plan every tenant, one after the other; keep and print nothing."""
    from reconciler.cli.clients import open_reading_client
    from reconciler.cli.command_line import utc_now
    from reconciler.cli.commands import plan
    from reconciler.cli.output import Output
    from reconciler.cli.parsing import CommandParser
    from reconciler.cli.session import build_session
    from reconciler.core.manifest.load import load_manifests

    options = CommandParser("plan", plan).parse_args(["-m", str(folder)])
    output = Output(
        colour="never", loudness="quiet", log_format="text", form="text", asks=False
    )

    async def all_of_them() -> None:
        manifests = load_manifests(folder, utc_now())
        for name in sorted(manifests.environments):
            session = build_session(manifests, options, output, name)
            async with open_reading_client(session) as client:
                live = await session.read(client)
            created = session.planner(live).build(live)
            assert created.changes

    import gc

    gc.set_threshold(100_000, 20, 50)  # as the command does
    asyncio.run(all_of_them())


@contextmanager
def served(work: Path, count: int) -> Iterator[Path]:
    """Serve so many tenants in a process of their own; yields the manifests' folder."""
    folder = work / f"tenants-{count}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    command = [sys.executable, str(Path(__file__)), "serve", str(folder), str(count)]
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}"}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env=environment, cwd=work
    ) as server:
        try:
            assert server.stdout is not None
            assert "ready" in server.stdout.readline()
            yield folder / "manifests"
        finally:
            server.terminate()
            server.wait(60)


def bench(
    runs: int,
    work: Path,
    cost: Callable[..., Any],
    interleaved: Callable[[int, dict[str, Callable[[], Any]]], dict[str, Any]],
) -> None:
    """Plan 20 and 200 tenants of 200 rules in one process, beside the reads and comparisons
    alone.
    """
    actual: dict[int, dict[str, Any]] = {}
    for count in (20, 200):
        with served(work, count) as manifests:
            several = [
                sys.executable,
                "-m",
                "reconciler",
                "-m",
                str(manifests),
                "plan",
                "--all",
                "--detailed-exitcode",
            ]
            alone = [sys.executable, str(Path(__file__)), "floor", str(manifests)]
            ways = {
                "floor": lambda alone=alone: cost(alone),
                "all": lambda several=several: cost(several, (2,)),
            }
            actual[count] = interleaved(runs, ways)
    print(f"tenants of {RULES} rules in one process                CPU s   MiB")
    for count, costs in actual.items():
        for name, text in (
            ("floor", "reads and comparisons alone"),
            ("all", "plan --all"),
        ):
            print(
                f"  {count:>4} tenants, {text:<33} {costs[name].cpu:6.2f} {costs[name].memory:6.0f}"
            )
    ratio = actual[200]["all"].cpu / actual[200]["floor"].cpu
    print(
        f"  CPU of 200 against the reads and comparisons alone {ratio:.2f} (at most 1.3)"
    )
    print(
        f"  memory of 200 against 20 {actual[200]['all'].memory / actual[20]['all'].memory:.2f} "
        f"(flat)"
    )


if __name__ == "__main__":
    what, place, *more = sys.argv[1:]
    if what == "serve":
        serve(Path(place), int(more[0]))
    else:
        floor(Path(place))
