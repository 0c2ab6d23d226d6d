"""Completion in a real shell: options and values of the manifests; no value from outside is
executed.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.cases import each_case
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


def installed(folder: Path) -> Path:
    """Return the program as a command of its own folder."""
    program = folder / "bin/cxroute"
    program.parent.mkdir()
    program.write_text(
        f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m reconciler "$@"\n',
        encoding="utf-8",
    )
    program.chmod(0o755)
    return program


@each_case(
    "kind, values",
    [
        ("environments", ["prod", "sandbox"]),
        ("addresses", ["cards/both", "cards/lost-card"]),
        ("intents", ["lost_card", "new_card"]),
        ("runs", []),
    ],
)
@pytest.mark.usefixtures("folder")
def test_values_are_those_of_the_manifests(
    cxroute: Program, kind: str, values: list[str]
) -> None:
    """Without names that a shell would expand or split."""
    assert 0 == cxroute("completion", "--values", kind)
    assert values == cxroute.out.split()


def test_invalid_manifests_offer_nothing(cxroute: Program, folder: Path) -> None:
    """And print nothing into the line that a user types."""
    (folder / "manifests/cards.yaml").write_text("a: [", encoding="utf-8")
    assert 0 == cxroute("completion", "--values", "addresses")
    assert "" == cxroute.out + cxroute.err


@pytest.mark.parametrize("arguments", [(), ("bash", "--values", "guards")])
def test_a_shell_or_a_kind_is_required(
    cxroute: Program, arguments: tuple[str, ...]
) -> None:
    """Not both."""
    assert 64 == cxroute("completion", *arguments)
    assert "specify a shell, or --values KIND" in cxroute.err


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (["plan", "-e", "pr"], ["prod"]),
        (["plan", "-e", "prod,"], ["prod,sandbox"]),
        (["plan", "-e", "prod,s"], ["prod,sandbox"]),
        (["plan", "-e", "nothing,"], []),
        (["apply", "--only", "cards/l"], ["cards/lost-card"]),
        (["apply", "--allow", "del"], ["deletes"]),
        (["explain", "--intent", ""], ["lost_card", "new_card"]),
        (["plan", "--detailed-exit"], ["--detailed-exitcode"]),
    ],
)
def test_bash_offers_them(folder: Path, words: list[str], offered: list[str]) -> None:
    """The script, sourced by bash, which asks the command; hostile intents are not executed."""
    program = installed(folder)
    script = subprocess.run(
        [program, "completion", "bash"], capture_output=True, text=True, check=True
    ).stdout
    (folder / "completion").write_text(script, encoding="utf-8")
    typed = " ".join(f"'{word}'" for word in words)
    commands = f"""
      source completion
      COMP_WORDS=(cxroute {typed}); COMP_CWORD={len(words)}
      $(complete -p cxroute | sed 's/.*-F \\([^ ]*\\) .*/\\1/') cxroute '{words[-1]}' '{words[-2]}'
      printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    variables = {
        **process_environment(),
        "PATH": f"{program.parent}{os.pathsep}{os.environ['PATH']}",
    }
    done = subprocess.run(
        ["bash", "-c", commands],
        capture_output=True,
        text=True,
        env=variables,
        check=True,
    )
    assert (offered, "") == (done.stdout.split(), done.stderr)
    assert not (folder / "stolen").exists()


def test_zsh_runs_the_program_only_to_complete(cxroute: Program) -> None:
    """What a script has in double quotes runs when a shell starts: once for each option, in that
    folder.
    """
    assert 0 == cxroute("completion", "zsh")
    assert "\\$(cxroute completion --values environments --typed=" in cxroute.out
    assert "$(cxroute" not in cxroute.out.replace("\\$(cxroute", "")


LISTS = [
    ("cxroute plan -e pr", ["prod"]),
    ("cxroute plan -e prod,s", ["prod,sandbox"]),
    ("cxroute plan -e prod,", ["prod,sandbox"]),
]


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("fish"), reason="needs fish")
@pytest.mark.parametrize(("line", "offered"), LISTS)
def test_fish_offers_a_further_environment(
    folder: Path, line: str, offered: list[str]
) -> None:
    """The recipe of docs/install.md: the script in the folder of completions, which fish reads by
    itself.
    """
    program = installed(folder)
    completions = folder / "config/fish/completions/cxroute.fish"
    completions.parent.mkdir(parents=True)
    variables = {
        **process_environment(),
        "PATH": f"{program.parent}{os.pathsep}{os.environ['PATH']}",
    }
    variables |= {"XDG_CONFIG_HOME": str(folder / "config"), "HOME": str(folder)}
    script = subprocess.run(
        [program, "completion", "fish"], capture_output=True, text=True, check=True
    ).stdout
    completions.write_text(script, encoding="utf-8")
    done = subprocess.run(
        ["fish", "-c", f"complete -C '{line}'"],
        capture_output=True,
        text=True,
        env=variables,
        check=True,
    )
    assert offered == [each.split("\t")[0] for each in done.stdout.splitlines()]


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("zsh"), reason="needs zsh")
def test_zsh_reads_the_script_of_its_recipe(folder: Path) -> None:
    """The recipe of docs/install.md: the script in a folder of $fpath; zsh knows the command, and
    lists the values.
    """
    program = installed(folder)
    functions = folder / "functions"
    functions.mkdir()
    variables = {
        **process_environment(),
        "PATH": f"{program.parent}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(folder),
    }
    script = subprocess.run(
        [program, "completion", "zsh"], capture_output=True, text=True, check=True
    ).stdout
    (functions / "_cxroute").write_text(script, encoding="utf-8")
    commands = (
        f"fpath=({functions} $fpath); autoload -Uz compinit; compinit -u -D; print "
        f"$_comps[cxroute]"
    )
    done = subprocess.run(
        ["zsh", "-f", "-c", commands],
        capture_output=True,
        text=True,
        env=variables,
        check=True,
    )
    assert ("_cxroute", "") == (done.stdout.strip(), done.stderr)
    # The part that the script runs at a completion, with the word that is typed already.
    command = re.search(
        r"compadd -- (\\\$\(cxroute completion --values environments[^)]*\)[^)]*\))",
        script,
    )
    assert command
    typed = f"PREFIX=prod,; print -l -- {command[1].replace(chr(92) + '$', '$')}"
    listed = subprocess.run(
        ["zsh", "-f", "-c", typed],
        capture_output=True,
        text=True,
        env=variables,
        check=True,
    )
    assert (["prod,sandbox"], "") == (listed.stdout.split(), listed.stderr)
