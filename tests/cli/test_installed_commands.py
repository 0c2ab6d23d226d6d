"""Commands of other distributions, by entry points of the group `cxroute.commands`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.program import Program

GREET = '''\
"""Greet an environment."""

from dataclasses import dataclass

from reconciler.cli.options import CommonOptions

@dataclass(frozen=True, kw_only=True)
class GreetOptions(CommonOptions):
    name: str

def options(parser):
    parser.add_argument("--name", default="world", help="whom to greet")
    return GreetOptions

def run(options, output):
    output.result(f"Hello {options.name} in {options.environment}\\n")
    return 7
'''

Install = Callable[..., None]


@pytest.fixture
def install(elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Install distributions with one command each in a folder on the path of Python."""
    site = elsewhere / "site"
    site.mkdir()
    monkeypatch.syspath_prepend(str(site))

    def install(distribution: str, command: str, source: str) -> None:
        module = distribution.replace("-", "_")
        (site / f"{module}.py").write_text(source, encoding="utf-8")
        info = site / f"{module}-1.0.dist-info"
        info.mkdir()
        metadata = f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n"
        (info / "METADATA").write_text(metadata, encoding="utf-8")
        entry = f"[cxroute.commands]\n{command} = {module}\n"
        (info / "entry_points.txt").write_text(entry, encoding="utf-8")

    return install


def test_a_command_of_another_distribution_runs(
    cxroute: Program, install: Install
) -> None:
    """With its own options and those of every command; its exit code is that of the program."""
    install("acme-greet", "greet", GREET)
    assert 7 == cxroute("-e", "prod", "greet", "--name", "Ada")
    assert "Hello Ada in prod\n" == cxroute.out

    assert 64 == cxroute("greet", "--nam", "Ada")
    assert "unrecognized arguments: --nam Ada" in cxroute.err


def test_its_help_has_the_first_line_of_its_module(
    cxroute: Program, install: Install
) -> None:
    """`cxroute --help` does not list it, because no entry point is read for that."""
    install("acme-welcome", "welcome", GREET)
    assert 0 == cxroute("welcome", "--help")
    assert "Greet an environment." in cxroute.out
    assert "whom to greet" in cxroute.out
    assert 0 == cxroute("--help")
    assert "welcome" not in cxroute.out


def test_a_built_in_command_stays(cxroute: Program, install: Install) -> None:
    """No distribution replaces `version`."""
    install("acme-version", "version", GREET)
    assert 0 == cxroute("version")
    assert cxroute.out.startswith("cxroute ")


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (
            "import no_acme\n",
            "error: the command broken of {} cannot be imported: No module named 'no_acme'\n",
        ),
        (
            "def options(parser): pass\n",
            "error: the command broken of {} cannot run: {} has no function `run`\n",
        ),
        (
            "def options(parser): pass\ndef run(options, output): pass\n",
            "error: the command broken cannot run: its function `options` returns no dataclass\n",
        ),
        (
            GREET.replace("    name: str", "    nick: str"),
            (
                "error: the command broken cannot run: each of these must be an option and a field "
                "of GreetOptions: name, nick\n"
            ),
        ),
        (
            GREET.replace("    name: str", "    pass"),
            (
                "error: the command broken cannot run: each of these must be an option and a field "
                "of GreetOptions: name\n"
            ),
        ),
    ],
    ids=["import", "function", "class", "option", "field"],
)
def test_a_command_that_cannot_run_is_one_sentence(
    source: str,
    message: str,
    cxroute: Program,
    install: Install,
    request: pytest.FixtureRequest,
) -> None:
    """It names the distribution or the command, which its authors must repair."""
    name = f"acme_{request.node.callspec.id}"
    install(name, "broken", source)
    assert 1 == cxroute("broken")
    assert message.replace("{}", name) == cxroute.err


def test_two_distributions_with_one_command_are_refused(
    cxroute: Program, install: Install
) -> None:
    """Neither is chosen by the order of folders."""
    install("acme-first", "twice", GREET)
    install("acme-second", "twice", GREET)
    assert 1 == cxroute("twice")
    assert "acme-first and acme-second each have a command twice" in cxroute.err


def test_an_unknown_command_is_a_usage_error(
    cxroute: Program, install: Install
) -> None:
    """Entry points change nothing for a name that no distribution has."""
    install("acme-greeting", "greeting", GREET)
    assert 64 == cxroute("greating")
    assert "unknown command 'greating'" in cxroute.err
