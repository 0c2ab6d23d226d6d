"""The recipes of CONTRIBUTING.md, each followed in a copy of the package."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.page import CONTRIBUTING, ROOT, Edit, Run, Step, Write, steps
from tests.docs.session import alike

RECIPES = {
    title: steps(text)
    for title, text in re.findall(
        r"^### (.+?)\n(.*?)(?=^##|\Z)",
        CONTRIBUTING.read_text(encoding="utf-8"),
        re.MULTILINE | re.DOTALL,
    )
}
FOLLOWED = [
    title
    for title, recipe in RECIPES.items()
    if any(isinstance(step, Run) for step in recipe)
]


@pytest.mark.parametrize("title", FOLLOWED)
def test_a_recipe_leads_to_what_it_shows(title: str, tmp_path: Path) -> None:
    """Its files and edits in a copy of the package; then its commands print what the page shows."""
    shutil.copytree(
        ROOT / "reconciler",
        tmp_path / "reconciler",
        ignore=shutil.ignore_patterns("__pycache__"),
    )
    for step in RECIPES[title]:
        follow(step, tmp_path)


def test_the_recipes_are_found() -> None:
    """One for each part of the program that has a protocol or a table of its own."""
    parts = {"a feature", "a form of a plan", "a forge", "a target"}
    assert {f"Add {part}" for part in parts} <= {*FOLLOWED}


def follow(step: Step, folder: Path) -> None:
    """Take a step in the folder with the copy."""
    match step:
        case Write(path=path, text=text):
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text, encoding="utf-8")
        case Edit(path=path, before=before, after=after):
            text = (folder / path).read_text(encoding="utf-8")
            # the last line of a block may be the beginning of a longer one
            assert text.count(before.rstrip("\n")) == 1, (
                f"{path} has not once:\n{before}"
            )
            edited = text.replace(before.rstrip("\n"), after.rstrip("\n"))
            (folder / path).write_text(edited, encoding="utf-8")
        case Run(command=command, code=code, shown=lines):
            ended = subprocess.run(
                [sys.executable, "-m", "reconciler", *shlex.split(command)[1:]],
                cwd=folder,
                env={**os.environ, "PYTHONPATH": str(folder)},
                capture_output=True,
                text=True,
                timeout=120,
                check=False,
            )
            printed = ended.stdout + ended.stderr
            assert (code, True) == (
                ended.returncode,
                alike("\n".join(lines), printed.rstrip("\n")),
            ), printed
