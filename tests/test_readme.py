"""What the README says and a program can check: what is printed is what it shows, and links lead somewhere."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from reconciler.cli.arguments import COMMANDS
from reconciler.cli.main import main
from tests.picture import PICTURE, drawn, printed

if TYPE_CHECKING:
    import pytest

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
SESSION = [line for block in re.findall(r"```console\n(.*?)```", README, re.DOTALL) for line in block.splitlines()]
VARYING = ((r"in [\d.]+ s", "in N s"), (r"--undo \S+", "--undo RUN"), (r"id [0-9a-f]{8}-[0-9a-f-]{27}", "id N"))


def normal(text: str) -> list[str]:
    """Return the lines of an output, without what is new in every run."""
    for pattern, name in VARYING:
        text = re.sub(pattern, name, text)
    return [line.rstrip() for line in text.splitlines()]


def steps() -> list[tuple[list[str], list[str]]]:
    """Return each command of the README's sessions with the lines that it says are printed."""
    found: list[tuple[list[str], list[str]]] = []
    for line in SESSION:
        if line.startswith("$ cxroute"):
            found.append((shlex.split(line)[2:], []))
        else:
            found[-1][1].append(line)
    return found


def test_every_command_of_the_readme_prints_what_it_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In order, in an empty folder, as a new user types them."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.delenv("CXROUTE_ENV", raising=False)
    monkeypatch.setenv("GITHUB_ACTOR", "anna")
    assert 4 <= len(steps())
    for arguments, expected in steps():
        assert 0 == main(arguments), arguments
        assert normal("\n".join(expected).strip("\n")) == normal(capsys.readouterr().out.strip("\n")), arguments


def test_the_readme_lists_every_command_with_its_help() -> None:
    """One row each, in the words of --help."""
    rows = dict(re.findall(r"^\| `(\w+)` \| (.+?) \|$", README, re.MULTILINE))
    assert {name: command.help for name, command in COMMANDS.items()} == rows


def test_links_of_the_readme_lead_to_files_of_the_repository() -> None:
    """What is promised elsewhere is there."""
    targets = {target for target in re.findall(r"\]\(([^)#]+)\)", README) if "://" not in target}
    assert set() == {target for target in targets if not (ROOT / target).exists()}


def test_the_two_commands_and_the_warning_stand_on_the_first_screen() -> None:
    """Both commands, and that no public document describes the API."""
    screen = "\n".join(README.splitlines()[:28])
    assert "make demo" in screen
    assert "make test" in screen
    assert "No public NICE document describes" in screen


def test_the_picture_is_of_what_the_program_prints() -> None:
    """`make picture` draws it anew."""
    assert PICTURE.read_text(encoding="utf-8") == drawn(printed())
