"""SIGKILL of a process that writes the sandbox's state, at any time: nothing that it was answered
is lost.
"""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Final

import pytest

from reconciler.features.practice.simulator.state import TenantState
from tests.crash.changing_process import change
from tests.support.command import ROOT, Command, process_environment, run_command
from tests.support.simulated import QUEUES
from tests.tiers import FULL

INSTANTS: Final = 100 if FULL else 8
RULES: Final = 400
LONGEST: Final = 1.5
"""Seconds: by then the state has been written anew several times."""


def document(state: TenantState) -> dict[str, Any]:
    copy: dict[str, Any] = json.loads(json.dumps(state.to_document()))
    return copy


@pytest.mark.parametrize("seed", range(INSTANTS))
def test_a_killed_state_has_every_stored_change(seed: int, tmp_path: Path) -> None:
    """The file has the changes up to the last one that was stored, or one more; each later process
    goes on from there.
    """
    path = tmp_path / "state.json"
    command = [sys.executable, "-m", "tests.crash.changing_process"]
    with subprocess.Popen(
        [*command, str(path), str(seed)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        first = process.stdout.readline()
        time.sleep(random.Random(seed).uniform(0, LONGEST))
        process.send_signal(signal.SIGKILL)
        *printed, _ = (first + process.stdout.read()).split("\n")
    assert list(map(str, range(len(printed)))) == printed

    draw = random.Random(seed)
    model = TenantState(QUEUES)
    for number in range(len(printed)):
        change(model, number, draw)
    expected = [document(model)]
    change(model, len(printed), draw)
    expected.append(document(model))
    actual = document(TenantState.read(path))
    assert actual in expected
    with TenantState.load(path) as state:
        assert actual == document(state)
        change(state, len(printed) + 1, draw)
        last = document(state)
    assert last == document(TenantState.read(path)) == read_json(path)


@pytest.mark.parametrize("seed", range(INSTANTS))
def test_a_killed_apply_keeps_every_create(seed: int, tmp_path: Path) -> None:
    """Of an apply on the sandbox, each create that the journal acknowledges is in the state; the
    next apply makes the others, and the one after it none.
    """
    write_manifests(tmp_path)
    folder: dict[str, Any] = {"cwd": tmp_path, "env": process_environment()}
    apply = ("apply", "-e", "sandbox", "--yes", "-q")
    quiet: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with Command(*apply, **quiet, **folder) as process:
        time.sleep(random.Random(seed).uniform(0, LONGEST))
        process.kill()
    state = tmp_path / ".cxroute/sandbox.json"
    acknowledged = created(tmp_path / ".cxroute/journal.jsonl")
    assert acknowledged <= set(TenantState.read(state).stored_rules)
    assert len(TenantState.read(state).stored_rules) <= len(acknowledged) + 1

    again = run_command(*apply, **folder)
    assert 0 == again.returncode, again
    assert RULES == len(TenantState.read(state).stored_rules)
    kept = state.read_bytes()
    third = run_command(*apply, **folder)
    assert (0, kept) == (third.returncode, state.read_bytes()), third


def created(journal: Path) -> set[str]:
    """Return the ids of the rules whose creates the journal acknowledges."""
    if not journal.exists():
        return set()
    *lines, _ = journal.read_text("utf-8").split("\n")
    entries = [json.loads(line) for line in lines]
    return {each["id"] for each in entries if each.get("status") == "acknowledged"}


def write_manifests(folder: Path) -> None:
    manifests = folder / "manifests"
    manifests.mkdir()
    start = {"apiVersion": "routing/v1"}
    limits = {"changes": {"count": RULES, "percent": 100}}
    environment = {"kind": "Environment", "name": "sandbox", "owner": "acme"}
    rules = [{"intent": f"i_{n}", "queue": f"Queue {n % 9}"} for n in range(RULES)]
    ruleset = {"kind": "RuleSet", "name": "rules", "rules": rules}
    documents = [{**start, **environment, "guard": limits}, {**start, **ruleset}]
    text = "\n---\n".join(map(json.dumps, documents))
    (manifests / "all.yaml").write_text(text, "utf-8")


def read_json(path: Path) -> Any:
    return json.loads(path.read_text("utf-8"))
