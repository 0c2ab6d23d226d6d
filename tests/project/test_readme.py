"""Claims of the README that a program can check; tests/docs checks its commands and links."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from reconciler.cli.arguments import all_commands
from tests.support.picture import PICTURE, demo_output, draw_svg

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_readme_lists_every_command_with_its_help() -> None:
    """One row each, with the text of --help."""
    rows = dict(re.findall(r"^\| `([\w-]+)` \| (.+?) \|$", README, re.MULTILINE))
    assert {name: command.help for name, command in all_commands().items()} == rows


def test_the_two_commands_and_the_warning_are_on_the_first_screen() -> None:
    """The warning states that no public document describes the API."""
    screen = "\n".join(README.splitlines()[:28])
    assert "make demo" in screen
    assert "make test" in screen
    assert "No public NICE document describes" in screen


@pytest.mark.slow
def test_the_picture_shows_the_output_of_the_program() -> None:
    """`make picture` updates it."""
    assert PICTURE.read_text(encoding="utf-8") == draw_svg(demo_output())
