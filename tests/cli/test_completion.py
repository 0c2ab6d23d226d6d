"""Completion in a real shell: options and values of the manifests; no value from outside is executed."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.command import process_environment
from tests.support.program import Program

QUEUES = "apiVersion: routing/v1\nkind: Queues\nname: queues\nqueues: {cards: Card Services}\n"
ENVIRONMENT = """\
apiVersion: routing/v1
kind: Environment
name: prod
owner: acme
api: {baseUrl: "http://127.0.0.1:1"}
"""
RULES = """\
apiVersion: routing/v1
kind: RuleSet
name: cards
rules:
  - {intent: lost_card, queue: cards}
  - {key: both, intents: [new_card, "$(touch stolen)", "`touch stolen`", "a b"], queue: cards}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with manifests."""
    (tmp_path / "manifests").mkdir()
    for name, text in (("prod", ENVIRONMENT), ("queues", QUEUES), ("cards", RULES)):
        (tmp_path / f"manifests/{name}.yaml").write_text(text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("environments", ["prod", "sandbox"]),
        ("addresses", ["cards/both", "cards/lost-card"]),
        ("intents", ["lost_card", "new_card"]),
        ("runs", []),
    ],
)
@pytest.mark.usefixtures("folder")
def test_values_are_those_of_the_manifests(cxroute: Program, kind: str, values: list[str]) -> None:
    """Without names that a shell would expand or split."""
    assert 0 == cxroute("completion", "--values", kind)
    assert values == cxroute.out.split()


def test_invalid_manifests_offer_nothing(cxroute: Program, folder: Path) -> None:
    """And print nothing into the line that a user types."""
    (folder / "manifests/cards.yaml").write_text("a: [", encoding="utf-8")
    assert 0 == cxroute("completion", "--values", "addresses")
    assert "" == cxroute.out + cxroute.err


@pytest.mark.parametrize("arguments", [(), ("bash", "--values", "guards")])
def test_a_shell_or_a_kind_is_required(cxroute: Program, arguments: tuple[str, ...]) -> None:
    """Not both."""
    assert 64 == cxroute("completion", *arguments)
    assert "specify a shell, or --values KIND" in cxroute.err


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (["plan", "-e", "pr"], ["prod"]),
        (["apply", "--only", "cards/l"], ["cards/lost-card"]),
        (["apply", "--allow", "del"], ["deletes"]),
        (["explain", "--intent", ""], ["lost_card", "new_card"]),
        (["plan", "--detailed-exit"], ["--detailed-exitcode"]),
    ],
)
def test_bash_offers_them(folder: Path, words: list[str], offered: list[str]) -> None:
    """The script, sourced by bash, which asks the command; hostile intents are not executed."""
    program = folder / "bin/cxroute"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m reconciler "$@"\n', encoding="utf-8")
    program.chmod(0o755)
    script = subprocess.run([program, "completion", "bash"], capture_output=True, text=True, check=True).stdout
    (folder / "completion").write_text(script, encoding="utf-8")
    typed = " ".join(f"'{word}'" for word in words)
    commands = f"""
      source completion
      COMP_WORDS=(cxroute {typed}); COMP_CWORD={len(words)}
      $(complete -p cxroute | sed 's/.*-F \\([^ ]*\\) .*/\\1/') cxroute '{words[-1]}' '{words[-2]}'
      printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    variables = {**process_environment(), "PATH": f"{program.parent}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(["bash", "-c", commands], capture_output=True, text=True, env=variables, check=True)
    assert (offered, "") == (done.stdout.split(), done.stderr)
    assert not (folder / "stolen").exists()


def test_zsh_runs_the_program_only_to_complete(cxroute: Program) -> None:
    """What a script has in double quotes runs when a shell starts: once for each option, in that folder."""
    assert 0 == cxroute("completion", "zsh")
    assert "\\$(cxroute completion --values environments)" in cxroute.out
    assert "$(cxroute" not in cxroute.out.replace("\\$(cxroute", "")
