"""Every command of every page: what can be run is run, in order, as a reader would; the rest has options that exist."""

from __future__ import annotations

import re
import shlex
import shutil
from importlib import import_module
from pathlib import Path

import pytest

from reconciler.cli.arguments import COMMANDS, find_command
from reconciler.cli.parsing import Parser, command_parser
from tests.docs.citations import anchors
from tests.docs.page import PAGES, ROOT, Run, Told, Write, inline, steps
from tests.docs.pages import before, followed, shortened
from tests.docs.session import alike, session
from tests.support.requirements import skip_or_fail

TEXTS = {str(page.relative_to(ROOT)): page.read_text(encoding="utf-8") for page in PAGES}
RUN = [name for name, text in TEXTS.items() if any(isinstance(step, Run) for step in steps(text))]
LAST = [name for name in RUN if not any(ROOT / name in before(ROOT / other) for other in RUN)]
"""Each reader's last page: those before it are run on the way."""
TOLD = [
    pytest.param(step, id=f"{name}:{step.line}")
    for name, text in TEXTS.items()
    for step in steps(text)
    if isinstance(step, Told)
]
INLINE = sorted({command for text in TEXTS.values() for command in inline(text)})


def parser(command: str) -> Parser:
    return command_parser(command, import_module(f"reconciler.cli.commands.{COMMANDS[command].module}"))


@pytest.mark.parametrize("name", LAST)
def test_every_command_of_a_page_prints_what_it_says(name: str, tmp_path: Path) -> None:
    """In order, in an empty folder, against a real `cxroute simulate`; `make docs` fills in what is printed."""
    if missing := [tool for tool in ("bash", "curl", "jq") if tool in TEXTS[name] and shutil.which(tool) is None]:
        skip_or_fail(f"{missing} not on the path")
    wrong = []
    with session(tmp_path) as reader:
        for page in (*before(ROOT / name), ROOT / name):
            for step, printed in followed(page, reader):
                shown = "\n".join(step.shown)
                wrong.append(f"{page.name}:{step.line}: {step.command}\n--- shown\n{shown}\n--- printed\n{printed}")
    assert [] == wrong, "make docs"


@pytest.mark.parametrize("step", TOLD)
def test_a_command_that_is_not_run_is_one_that_could_be(step: Told) -> None:
    """It says why it is not run, and the program takes its words."""
    assert step.why
    words = shlex.split(step.command)[1:]
    place = find_command(words)
    if place is not None:
        parser(words.pop(place)).parse_args(words)


@pytest.mark.parametrize("command", INLINE)
def test_a_command_in_running_text_has_options_that_exist(command: str) -> None:
    """Whatever stands in for values there."""
    words = re.findall(r"[^\s,]+", command)[1:]
    place = None if words[0] == "COMMAND" else find_command(words)
    if place is not None:
        known = {option for action in parser(words[place])._actions for option in action.option_strings}
        assert set() == {word.partition("=")[0] for word in words if word.startswith("-")} - known
    else:
        assert set(words) <= {"--help", "--version", "COMMAND"}


@pytest.mark.parametrize("name", TEXTS)
def test_links_lead_to_files_and_headings_that_are_there(name: str) -> None:
    """What is promised elsewhere is there, tests that are named, too."""
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", TEXTS[name]):
        path, _, heading = target.partition("#")
        file = (ROOT / name).parent / path if path else ROOT / name
        if "://" not in target and not (file.exists() and (not heading or heading in anchors(file))):
            broken.append(target)
    named = re.findall(r"`(tests/[\w./-]+)`", TEXTS[name])
    assert [] == broken + [path for path in named if not (ROOT / path).exists()]


@pytest.mark.parametrize("page", sorted((ROOT / "docs").glob("*.md")), ids=lambda page: page.name)
def test_a_page_opens_with_its_use_and_the_readme_links_to_it(page: Path) -> None:
    """The first paragraph says what the page helps the reader do, or what it holds."""
    first = page.read_text(encoding="utf-8").split("\n\n")[1]
    assert first.startswith(("Use this page to ", "This page ")), first
    assert f"](docs/{page.name})" in TEXTS["README.md"]


def test_what_is_left_out_may_be_anything_and_the_rest_is_as_shown() -> None:
    """The comparison itself can fail."""
    assert alike("a\n...\nd", "a\nb\nc\nd")
    assert alike("done in 0.1 s", "done in 2.25 s")
    assert not alike("a\n...\nd", "a\nb\nc")
    assert not alike("a\nd", "a\nb\nd")
    assert not alike("", "a")


def test_what_is_left_out_of_a_page_stays_out_when_the_page_is_filled_in() -> None:
    """Where what is printed changes, too: each part that is shown is looked for where it is most alike."""
    shown = ["Plan", "...", "  rule 7 to A", "...", "7 rules"]
    printed = ["Plan", *(f"  rule {number} to B" for number in range(8)), "8 rules"]
    assert ["Plan", "...", "  rule 7 to B", "...", "8 rules"] == shortened(shown, [*printed[:9], "", "8 rules"])
    assert printed == shortened(["Plan"], printed)


def test_marks_say_what_a_block_is() -> None:
    """Each kind of step is found, and nothing else."""
    text = (
        "<!-- file: a.yaml -->\n```yaml\na: 1\n```\n```console\n$ cxroute plan   # exit 2\nshown\n\n$ ls\n```\n"
        "<!-- not run: needs a tenant -->\n```sh\ncxroute apply \\\n  --yes  # now\n```\n```yaml\nb: 2\n```\n"
    )
    assert [
        Write(2, "a.yaml", "a: 1\n"),
        Run(6, 7, "cxroute plan", 2, ("shown",)),
        Run(9, 9, "ls", 0, ()),
        Told(12, "cxroute apply    --yes  ", "needs a tenant"),
    ] == steps(text)
