"""The simulator as a process, with `cxroute serve` in front."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx

from reconciler.features.practice.simulator.state import TenantState
from tests.support.plain_http import PLAIN
from tests.support.server_process import KEY, server_process

ROOT = Path(__file__).parents[3]
MANIFEST = """
apiVersion: routing/v1
kind: Environment
name: prod
owner: acme
api: {{baseUrl: "{url}", requestsPerSecond: 2000}}
context: {{minConfidence: 0.4, below: {{intent: none}}}}
---
apiVersion: routing/v1
kind: RuleSet
name: cards
rules:
- {{intent: billing, queue: Billing}}
- {{intent: none, queue: General}}
---
apiVersion: routing/v1
kind: Intents
name: bot
intents: [billing, none]
"""


@contextmanager
def served(
    folder: Path, *simulated: str, serve: tuple[str, ...] = (), manifest: str = MANIFEST
) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run the simulator and an endpoint in front of it."""
    (folder / "manifests").mkdir(exist_ok=True)
    with ExitStack() as stack:
        _, upstream = stack.enter_context(
            server_process(
                folder, "simulate", "--port", "0", "--state", "state.json", *simulated
            )
        )
        (folder / "manifests" / "all.yaml").write_text(
            manifest.format(url=upstream), encoding="utf-8"
        )
        yield stack.enter_context(
            server_process(folder, "serve", "-e", "prod", "--port", "0", *serve)
        )


def caller(url: str) -> httpx.Client:
    return httpx.Client(
        base_url=url,
        headers={"X-API-Key": KEY},
        trust_env=False,
        verify=PLAIN,
        timeout=20,
    )


def contexts(folder: Path, file: str = "state.json") -> dict[str, Any]:
    """Return the simulator's final state; the simulator must have ended."""
    state = TenantState.load(folder / file)
    try:
        return dict(state.contexts)
    finally:
        state.close()


def log(folder: Path) -> list[dict[str, Any]]:
    return [
        json.loads(line)
        for line in (folder / "serve.log").read_text("utf-8").splitlines()
    ]
