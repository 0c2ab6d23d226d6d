"""The recipes of CONTRIBUTING.md, each followed in a copy of the package."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from tests.docs.page import CONTRIBUTING, Edit, Run, Step, Write, steps
from tests.docs.session import alike
from tests.support.imports import import_cycles, import_graph
from tests.support.package_copy import PackageCopy

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
    copy = PackageCopy(tmp_path)
    for step in RECIPES[title]:
        follow(step, copy)


def test_the_recipes_make_no_import_cycle(tmp_path: Path) -> None:
    """The files and edits of all recipes together, in a copy of the package."""
    copy = PackageCopy(tmp_path)
    for title in FOLLOWED:
        for step in RECIPES[title]:
            if not isinstance(step, Run):
                follow(step, copy)
    assert [] == import_cycles(import_graph(copy.package))


def test_the_recipes_are_found() -> None:
    """One for each part of the program that has a protocol or a table of its own."""
    parts = {"a feature", "a form of a plan", "a forge", "a guard", "a target"}
    assert {f"Add {part}" for part in parts} <= {*FOLLOWED}


def follow(step: Step, copy: PackageCopy) -> None:
    """Take a step in the folder with the copy."""
    match step:
        case Write(path=path, text=text):
            (copy.home / path).parent.mkdir(parents=True, exist_ok=True)
            (copy.home / path).write_text(text, encoding="utf-8")
        case Edit(path=path):
            source = copy.home / path
            source.write_text(
                edited(source.read_text(encoding="utf-8"), step), encoding="utf-8"
            )
        case Run(command=command, code=code, shown=lines):
            words = shlex.split(command)[1:]
            ended = copy.start(copy.home, "-m", "reconciler", *words)
            assert code == ended.code, ended.text
            assert alike("\n".join(lines), ended.text.rstrip("\n")), ended.text


def edited(text: str, edit: Edit) -> str:
    """Return a text after an edit; the last line of a block may begin a longer line."""
    before, after = edit.before.rstrip("\n"), edit.after.rstrip("\n")
    assert text.count(before) == 1, f"{edit.path} has not once:\n{before}"
    return text.replace(before, after)
