"""A realistic review: the bank's manifests with a few edits, against the bank's simulated tenant."""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from unittest.mock import patch

from reconciler.cli.commands.demo import bank_manifests
from reconciler.cli.main import main
from reconciler.simulator.app import Simulator
from reconciler.simulator.settings import PROFILES
from reconciler.simulator.state import TenantState, bank_tenant
from tests.support.loopback_server import loopback_server

GOLD: Final = """\
  - key: gold-accounts
    name: "Gold: accounts"
    intents: [edit_personal_details, unable_to_verify_identity]
    when:
      - {attribute: customerTier, in: [gold, platinum]}
    queue: priority
"""
EDITS: Final = {
    "cards.yaml": [
        ('weight: 80}, {queue: "${overflow}", weight: 20', 'weight: 60}, {queue: "${overflow}", weight: 40')
    ],
    # No conversation is affected: an unmanaged rule sends these callers to the same queue.
    "top-up.yaml": [("  - intent: top_up_reverted\n    queue: payments\n", "")],
    "transfers.yaml": [
        ("  - intent: failed_transfer\n    queue: payments\n", "  - intent: failed_transfer\n    queue: disputes\n"),
    ],
    "priority.yaml": [("  - key: gold-payments\n", f"{GOLD}  - key: gold-payments\n")],
}
GUARD: Final = ("guard:\n", "guard:\n  traffic: {percent: 1}\n")
RUNNER: Final = {
    "GITHUB_SERVER_URL": "https://github.com",
    "GITHUB_REPOSITORY": "northquay-bank/routing",
    "GITHUB_SHA": "4be1c0d9a2f74be1c0d9a2f74be1c0d9a2f74be1",
    "GITHUB_RUN_ID": "1187",
    "CXONE_PROD_CLIENT_ID": "review",
    "CXONE_PROD_CLIENT_SECRET": "review-of-a-simulated-bank",
}


def review() -> dict[str, str]:
    """Return the files of `cxroute plan --report`: plan.json, plan.md, plan.html; and plan.txt, its output."""
    with bank_with_simulator() as state:
        run("apply", "--yes", "-q")
        edit("Cognigy Intent Route: pin_blocked", state)
        edit_manifests()
        text = run("plan", "--report", "out")
        return {path.name: path.read_text(encoding="utf-8") for path in Path("out").iterdir()} | {"plan.txt": text}


@contextmanager
def bank_with_simulator() -> Iterator[TenantState]:
    """Work in a temporary folder with the bank's manifests, and with its tenant on a loopback port."""
    before = Path.cwd()
    with tempfile.TemporaryDirectory() as folder, loopback_server() as server, patch.dict(os.environ, RUNNER):
        os.chdir(folder)
        try:
            state = bank_tenant()
            server.app = Simulator(state, PROFILES["A"])
            shutil.copytree(bank_manifests(), "manifests")
            shutil.rmtree("manifests/tests")  # they describe the edits
            Path("manifests/smoke-tests.yaml").unlink()
            environment = Path("manifests/environments/prod.yaml")
            text = environment.read_text(encoding="utf-8").replace("api:\n", f"api:\n  baseUrl: {server.url}\n")
            environment.write_text(text.partition("freeze:")[0], encoding="utf-8")
            yield state
        finally:
            os.chdir(before)


def edit_manifests() -> None:
    """Edit the manifests as a pull request does."""
    for name, edits in {**EDITS, "environments/prod.yaml": [GUARD]}.items():
        path = Path("manifests") / name
        text = path.read_text(encoding="utf-8")
        for before, after in edits:
            assert before in text, before
            text = text.replace(before, after)
        path.write_text(text, encoding="utf-8")


def edit(name: str, state: TenantState) -> None:
    """Disable a rule, as a user does in CXone."""
    (rule_id,) = state.ids_named(name)
    state.edit(rule_id, enabled=False)


def run(*arguments: str) -> str:
    """Run a command; return its output."""
    with contextlib.redirect_stdout(io.StringIO()) as out:
        code = main(["-e", "prod", "--no-input", *arguments])
    assert code in (0, 2), out.getvalue()
    return out.getvalue()
