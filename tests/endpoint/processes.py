"""The real processes: the simulator over HTTP, and `cxroute serve` before it, as people start them."""

from __future__ import annotations

import json
import os
import subprocess
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

from reconciler.simulator.state import TenantState
from tests.endpoint import in_process_endpoint as posting
from tests.support import canary_secrets as canary
from tests.support.command import Command
from tests.support.plain_http import PLAIN

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
KEY = posting.KEY
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


def environment() -> dict[str, str]:
    """Return the variables of a process: canaries for secrets, an access key, two keys of the endpoint."""
    known = {"CXONE_CLIENT_ID": canary.CLIENT, "CXONE_CLIENT_SECRET": canary.SECRET, "CXROUTE_API_KEYS": f"old,{KEY}"}
    known |= {"CXONE_ACCESS_KEY_ID": canary.KEY, "CXONE_ACCESS_KEY_SECRET": canary.KEY_SECRET}
    kept = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME")}
    return {**kept, **known}


@contextmanager
def process(folder: Path, *arguments: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run a command that serves; yields it and its URL. Its log goes to a file that is looked through for secrets."""
    with (
        (folder / f"{arguments[0]}.log").open("a") as log,
        Command(*arguments, cwd=folder, env=environment(), stdout=subprocess.PIPE, stderr=log, text=True) as started,
    ):
        assert started.stdout
        try:
            line = next((line for line in started.stdout if " on http://" in line), "")
            assert line, (folder / f"{arguments[0]}.log").read_text()
            yield started, "http://" + line.partition(" on http://")[2].split()[0]
        finally:
            started.kill()


@contextmanager
def served(
    folder: Path, *simulated: str, serve: tuple[str, ...] = (), manifest: str = MANIFEST
) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run the simulator and the endpoint before it."""
    (folder / "manifests").mkdir(exist_ok=True)
    with ExitStack() as stack:
        _, upstream = stack.enter_context(
            process(folder, "simulate", "--port", "0", "--state", "state.json", *simulated)
        )
        (folder / "manifests" / "all.yaml").write_text(manifest.format(url=upstream), encoding="utf-8")
        yield stack.enter_context(process(folder, "serve", "-e", "prod", "--port", "0", *serve))


def caller(url: str) -> httpx.Client:
    return httpx.Client(base_url=url, headers={"X-API-Key": KEY}, trust_env=False, verify=PLAIN, timeout=20)


def contexts(folder: Path, file: str = "state.json") -> dict[str, Any]:
    """Return what the simulator holds now: it has to have ended."""
    state = TenantState.load(folder / file)
    try:
        return dict(state.contexts)
    finally:
        state.close()


def log(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "serve.log").read_text("utf-8").splitlines()]
