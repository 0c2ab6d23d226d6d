"""Four processes share sixty tenants. One is killed and restarted: every tenant gets its rules."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from reconciler.cli.environments import Shard
from tests.crash.gate import is_write
from tests.crash.killer import Killer
from tests.support import canary_secrets as canary
from tests.support.command import Command
from tests.support.many_tenants import ONE_BY_ONE, Tenants, rule, ruleset, tenants
from tests.support.program import Program

pytestmark = pytest.mark.slow

ROOT: Final = Path(__file__).resolve().parents[2]
COUNT: Final = 4
NAMES: Final = tuple(f"tenant-{number:02}" for number in range(60))
SHARES: Final = [
    [name for name in NAMES if Shard(index, COUNT).includes(name)]
    for index in range(COUNT)
]
RULES: Final = [rule(f"rule-{number}") for number in range(4)]
WANTED: Final = [rule["name"] for rule in RULES]
KILLED: Final = 2
"""Which process is killed."""
LONGEST: Final = 120


@pytest.fixture
def sixty(elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Tenants]:
    """Yield sixty empty tenants, and the manifests for them."""
    del elsewhere
    monkeypatch.setenv("CXONE_CLIENT_ID", canary.CLIENT)
    monkeypatch.delenv("CXROUTE_PROXY")
    with tenants(*NAMES) as here:
        here.manifests(ONE_BY_ONE)
        ruleset(RULES)
        yield here


def started(index: int) -> subprocess.Popen[str]:
    """Start one pod of the Job."""
    command = ("apply", "--all", "--shard", f"/{COUNT}", "--yes", "--format", "json")
    journal = f"journal-{index}.jsonl"
    variables = {
        **os.environ,
        "JOB_COMPLETION_INDEX": str(index),
        "CXROUTE_JOURNAL": journal,
    }
    return Command(
        *command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=variables,
    )


def ended(process: subprocess.Popen[str]) -> tuple[int, list[str]]:
    """Wait for a pod; return its exit code and the environments that it reports as done."""
    out, _ = process.communicate(timeout=LONGEST)
    plans = json.loads(out)["environments"] if out else []
    return process.returncode, [
        plan["environment"] for plan in plans if plan.get("converged")
    ]


def test_a_restarted_shard_completes_its_tenants(
    sixty: Tenants, cxroute: Program
) -> None:
    """The others are not affected. Partly applied changes are completed, without duplicates."""
    victim = SHARES[KILLED][len(SHARES[KILLED]) // 2]
    app = sixty.apps[victim]
    killer = Killer(app, 2, "after")

    async def answer(scope: Any, receive: Any, send: Any) -> None:
        if not is_write(scope):
            await app(scope, receive, send)
            return
        # Its tenants are applied side by side: without this, the victim may be the first of them.
        while not any(WANTED == sixty.names_of_rules(name) for name in SHARES[KILLED]):  # noqa: ASYNC110 - no event
            await asyncio.sleep(0.01)
        await killer(scope, receive, send)

    sixty.apps[victim] = answer
    processes = [started(index) for index in range(COUNT)]
    killer.victim = processes[KILLED].pid
    first = [ended(process) for process in processes]
    assert [(0, share) for index, share in enumerate(SHARES) if index != KILLED] == [
        item for index, item in enumerate(first) if index != KILLED
    ]
    assert (-9, []) == first[KILLED]
    remaining = [name for name in NAMES if WANTED != sixty.names_of_rules(name)]
    assert {victim} <= set(remaining) < set(SHARES[KILLED]), (
        "killed in the middle: some of its tenants done, some not"
    )
    assert 2 == len(sixty.rules(victim)), "and one of them half done"

    sixty.apps[victim] = app
    assert (0, SHARES[KILLED]) == ended(started(KILLED))
    assert [WANTED] * len(NAMES) == [sixty.names_of_rules(name) for name in NAMES]
    assert 0 == cxroute("plan", "--all", "--detailed-exitcode")
    assert cxroute.out.startswith("Plan for 60 environments: 60 with nothing to do\n")
