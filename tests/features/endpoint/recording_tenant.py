"""A tenant process that records requests and writes: `python -m tests.features.endpoint.recording_tenant
FILE`.

Each line is JSON: `asked` (a write arrived) and `token` (another request), with the path and the
headers of a trace, or `written` with its values; `at` is by the machine's monotonic clock.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from pathlib import Path
from typing import Any

from starlette.types import Receive, Scope, Send

from reconciler.cli.http_server import open_listener, serve
from reconciler.features.practice.simulator.app import Simulator
from reconciler.features.practice.simulator.faults.injector import FaultInjector
from reconciler.features.practice.simulator.settings import SimulatorSettings
from reconciler.features.practice.simulator.state import TenantState


def trace_headers(scope: Scope) -> dict[str, str]:
    """Return the headers of a request that have to do with traces."""
    return {
        name.decode(): value.decode()
        for name, value in scope["headers"]
        if b"trace" in name
    }


def main() -> None:
    """Serve until a signal."""
    parser = argparse.ArgumentParser()
    parser.add_argument("file")
    parser.add_argument("--faults", default="")
    parser.add_argument("--rate", type=float)
    parser.add_argument("--latency-ms", type=float, default=0.0)
    options = parser.parse_args()
    state = TenantState()
    record = Path(options.file).open("a", buffering=1, encoding="utf-8")  # noqa: SIM115 - to the end
    merge = state.merge

    def note(kind: str, **said: Any) -> None:
        record.write(json.dumps({"kind": kind, "at": time.monotonic(), **said}) + "\n")

    def noting(conversation: str, attributes: dict[str, Any]) -> dict[str, Any]:
        note("written", conversation=conversation, **attributes)
        return merge(conversation, attributes)

    state.merge = noting  # type: ignore[method-assign]
    faults = FaultInjector(options.faults, 1) if options.faults else None
    app = Simulator(
        state,
        SimulatorSettings(rate=options.rate, latency=options.latency_ms / 1000),
        faults,
    )

    async def asked(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            kind = "asked" if scope["path"].endswith("/context") else "token"
            note(kind, path=scope["path"], trace=trace_headers(scope))
        await app(scope, receive, send)

    with open_listener("127.0.0.1", 0) as listener:
        said = lambda url: print(f"Tenant on {url}", flush=True)  # noqa: E731, T201 - as `simulate`
        asyncio.run(serve(asked, listener, said))


if __name__ == "__main__":
    main()
