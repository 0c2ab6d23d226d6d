"""What the README says and a program can check, beside its commands and links (tests/docs)."""

from __future__ import annotations

import re
from pathlib import Path

from reconciler.cli.arguments import COMMANDS
from tests.support.picture import PICTURE, drawn, printed

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_readme_lists_every_command_with_its_help() -> None:
    """One row each, in the words of --help."""
    rows = dict(re.findall(r"^\| `(\w+)` \| (.+?) \|$", README, re.MULTILINE))
    assert {name: command.help for name, command in COMMANDS.items()} == rows


def test_the_two_commands_and_the_warning_stand_on_the_first_screen() -> None:
    """Both commands, and that no public document describes the API."""
    screen = "\n".join(README.splitlines()[:28])
    assert "make demo" in screen
    assert "make test" in screen
    assert "No public NICE document describes" in screen


def test_the_picture_is_of_what_the_program_prints() -> None:
    """`make picture` draws it anew."""
    assert PICTURE.read_text(encoding="utf-8") == drawn(printed())
