"""A realistic review: the bank's manifests with three edits, against a simulated tenant that
matches them.
"""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from unittest.mock import patch

from reconciler.cli.main import main
from reconciler.features.practice.command_demo import (
    SMALL_CHANGE,
    FileEdit,
    bank_manifests,
)
from reconciler.features.practice.simulator.app import Simulator
from reconciler.features.practice.simulator.settings import PROFILES
from reconciler.features.practice.simulator.state import TenantState, bank_tenant
from tests.support.loopback_server import loopback_server

GENERATED: Final = """\
      intent: failed_transfer
      confidence: 0.63
      attributes: { language: fr }
    expect: { queue: payments }
"""
EDITS: Final = (
    *SMALL_CHANGE,
    FileEdit(
        "transfers.yaml",
        "  - intent: failed_transfer\n    queue: payments\n",
        "  - intent: failed_transfer\n    queue: disputes\n",
    ),
    FileEdit(
        "tests/intents.yaml",
        "{intent: failed_transfer, confidence: 0.9}, expect: {queue: payments}",
        "{intent: failed_transfer, confidence: 0.9}, expect: {queue: disputes}",
    ),
    FileEdit(
        "tests/generated.yaml", GENERATED, GENERATED.replace("payments", "disputes")
    ),
    # No conversation moves.
    FileEdit(
        "cards.yaml",
        "  - intent: card_linking\n    queue: card-services\n",
        "  - intent: card_linking\n    queue: card-services\n    description: Link a card to a "
        "phone or a watch\n",
    ),
)
RUNNER: Final = {
    "GITHUB_SERVER_URL": "https://github.com",
    "GITHUB_REPOSITORY": "northquay-bank/routing",
    "GITHUB_SHA": "4be1c0d9a2f74be1c0d9a2f74be1c0d9a2f74be1",
    "GITHUB_RUN_ID": "1187",
    "CXONE_PROD_CLIENT_ID": "review",
    "CXONE_PROD_CLIENT_SECRET": "review-of-a-simulated-bank",
}


def review(edits: Iterable[FileEdit] = EDITS) -> dict[str, str]:
    """Return the files of `cxroute plan --report` about edits of the bank: plan.json, plan.md,
    plan.html; and plan.txt, its output.
    """
    with bank_with_simulator():
        run("apply", "--yes", "-q")
        for edit in edits:
            edit.make()
        text = run("plan", "--report", "out")
        return {
            path.name: path.read_text(encoding="utf-8")
            for path in Path("out").iterdir()
        } | {"plan.txt": text}


@contextmanager
def bank_with_simulator() -> Iterator[None]:
    """Work in a temporary folder with the bank's manifests, and with a tenant without rules on a
    loopback port.
    """
    before = Path.cwd()
    with (
        tempfile.TemporaryDirectory() as folder,
        loopback_server() as server,
        patch.dict(os.environ, RUNNER),
    ):
        os.chdir(folder)
        try:
            server.app = Simulator(
                TenantState(queues=bank_tenant().queues), PROFILES["A"]
            )
            shutil.copytree(bank_manifests(), "manifests")
            set_environment(server.url)
            yield
        finally:
            os.chdir(before)


def set_environment(url: str) -> None:
    """Give the Environment the address of the tenant; without a freeze window and without a channel
    for messages.
    """
    path = Path("manifests/environments/prod.yaml")
    text = path.read_text(encoding="utf-8").partition("freeze:")[0]
    lines = [line for line in text.splitlines() if not line.startswith("notify:")]
    path.write_text(
        "\n".join(lines).replace("api:\n", f"api:\n  baseUrl: {url}\n") + "\n",
        encoding="utf-8",
    )


def run(*arguments: str) -> str:
    """Run a command; return its output."""
    with contextlib.redirect_stdout(io.StringIO()) as out:
        # The folder is in no git repository.
        code = main(["-e", "prod", "--no-input", *arguments, "--base", "none"])
    assert code in (0, 2), out.getvalue()
    return out.getvalue()
