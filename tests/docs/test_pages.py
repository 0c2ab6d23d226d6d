"""Every command of every page: tests run those that can run, in order, and check the options of the
others.
"""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import pytest

from reconciler.cli.arguments import command_module, find_command
from reconciler.cli.parsing import CommandParser, Parser
from reconciler.features.forge.pipeline_files import PIPELINES
from tests.docs.citations import INTERNALS, anchors, slug
from tests.docs.page import CONTRIBUTING, PAGES, ROOT, Run, Told, Write, inline, steps
from tests.docs.pages import before, followed, shortened
from tests.docs.session import alike, session
from tests.support.requirements import skip_or_fail

TEXTS = {
    str(page.relative_to(ROOT)): page.read_text(encoding="utf-8")
    for page in (*PAGES, CONTRIBUTING)
}
RUN = [
    name
    for name, text in TEXTS.items()
    if ROOT / name != CONTRIBUTING
    and any(isinstance(step, Run) for step in steps(text))
]
LAST = [
    name
    for name in RUN
    if not any(ROOT / name in before(ROOT / candidate) for candidate in RUN)
]
"""Each reader's last page: those before it are run on the way."""
TOLD = [
    pytest.param(step, id=f"{name}:{step.line}")
    for name, text in TEXTS.items()
    for step in steps(text)
    if isinstance(step, Told)
]
INDEXES = {
    ROOT / "docs": "README.md",
    ROOT / "docs/manifests": "docs/manifests.md",
    INTERNALS: "CONTRIBUTING.md",
}
"""The page that links to all pages of a folder."""
INLINE = sorted({command for text in TEXTS.values() for command in inline(text)})


def parser(command: str) -> Parser:
    return CommandParser(command, command_module(command))


@pytest.mark.parametrize("name", LAST)
def test_every_command_of_a_page_prints_the_shown_output(
    name: str, tmp_path: Path
) -> None:
    """In order, in an empty folder, with a real `cxroute simulate`; `make docs` updates the
    outputs.
    """
    if missing := [
        tool
        for tool in ("bash", "curl", "jq")
        if tool in TEXTS[name] and shutil.which(tool) is None
    ]:
        skip_or_fail(f"{missing} not on the path")
    wrong = []
    with session(tmp_path) as reader:
        for page in (*before(ROOT / name), ROOT / name):
            for step, printed in followed(page, reader):
                displayed = "\n".join(step.shown)
                wrong.append(
                    f"{page.name}:{step.line}: {step.command}\n--- shown\n{displayed}\n--- "
                    f"printed\n{printed}"
                )
    assert [] == wrong, "make docs"


@pytest.mark.parametrize("step", TOLD)
def test_a_command_that_is_not_run_is_valid(step: Told) -> None:
    """The page has a reason, and the program parses the command line."""
    assert step.why
    words = shlex.split(step.command)[1:]
    place = find_command(words)
    if place is not None:
        parser(words.pop(place)).parse_args(words)


@pytest.mark.parametrize("command", INLINE)
def test_a_command_in_running_text_has_options_that_exist(command: str) -> None:
    """For any placeholders of values."""
    words = re.findall(r"[^\s,]+", command)[1:]
    place = None if words[0] == "COMMAND" else find_command(words)
    if place is not None:
        declared = {
            option
            for action in parser(words[place])._actions
            for option in action.option_strings
        }
        assert (
            set()
            == {word.partition("=")[0] for word in words if word.startswith("-")}
            - declared
        )
    else:
        assert set(words) <= {"--help", "--version", "COMMAND"}


@pytest.mark.parametrize("name", TEXTS)
def test_links_have_existing_targets(name: str) -> None:
    """Files, headings and names of tests exist."""
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", TEXTS[name]):
        path, _, heading = target.partition("#")
        file = (ROOT / name).parent / path if path else ROOT / name
        if "://" not in target and not (
            file.exists() and (not heading or heading in anchors(file))
        ):
            broken.append(target)
    named = re.findall(r"`(tests/[\w./-]+)`", TEXTS[name])
    assert [] == broken + [path for path in named if not (ROOT / path).exists()]


@pytest.mark.parametrize(
    "page",
    [path for path in PAGES if path.parent in INDEXES],
    ids=lambda page: page.name,
)
def test_a_page_opens_with_its_use_and_an_index_links_to_it(page: Path) -> None:
    """The first paragraph states what the page helps the reader do, or its content."""
    opening = page.read_text(encoding="utf-8").split("\n\n")[1]
    assert opening.startswith(("Use this page to ", "This page ")), opening
    index = ROOT / INDEXES[page.parent]
    assert f"]({page.relative_to(index.parent)})" in index.read_text(encoding="utf-8")


def test_pages_for_users_do_not_link_to_the_internals() -> None:
    """Readers who do not change the program do not need them."""
    links = [
        name
        for name, text in TEXTS.items()
        if "](docs/internals/" in text
        or "](../internals/" in text
        or "](internals/" in text
    ]
    assert ["CONTRIBUTING.md"] == links


def test_pages_that_messages_name_exist() -> None:
    """With their sections; a message names a page by `page`."""
    code = "".join(
        path.read_text(encoding="utf-8") for path in (ROOT / "reconciler").rglob("*.py")
    )
    call = re.compile(r"""\bpage\(["']([\w-]+\.md)["'](?:, ["']([^"']+)["'])?""")
    named = {
        *call.findall(code),
        *(("forges.md", kind.forge) for kind in PIPELINES.values()),
    }
    assert len(named) > len(PIPELINES)
    broken = [
        (name, section)
        for name, section in named
        if not (ROOT / "docs" / name).is_file()
        or (section and slug(section) not in anchors(ROOT / "docs" / name))
    ]
    assert [] == broken


def test_omitted_lines_match_any_lines_and_other_lines_are_compared() -> None:
    """The comparison can fail."""
    assert alike("a\n...\nd", "a\nb\nc\nd")
    assert alike("done in 0.1 s", "done in 2.25 s")
    assert not alike("a\n...\nd", "a\nb\nc")
    assert not alike("a\nd", "a\nb\nd")
    assert not alike("", "a")


def test_omitted_lines_stay_omitted_in_an_updated_page() -> None:
    """Also if the output changes: each shown part is placed where it is most similar."""
    displayed = ["Plan", "...", "  rule 7 to A", "...", "7 rules"]
    printed = ["Plan", *(f"  rule {number} to B" for number in range(8)), "8 rules"]
    assert ["Plan", "...", "  rule 7 to B", "...", "8 rules"] == shortened(
        displayed, [*printed[:9], "", "8 rules"]
    )
    assert printed == shortened(["Plan"], printed)


def test_marks_determine_the_kind_of_a_block() -> None:
    """Each kind of step is found, and no other step."""
    text = (
        "<!-- file: a.yaml -->\n```yaml\na: 1\n```\n```console\n$ cxroute plan   # exit "
        "2\nshown\n\n$ ls\n```\n"
        "<!-- not run: needs a tenant -->\n```sh\ncxroute apply \\\n  --yes  # "
        "now\n```\n```yaml\nb: 2\n```\n"
    )
    assert [
        Write(2, "a.yaml", "a: 1\n"),
        Run(6, 7, "cxroute plan", 2, ("shown",)),
        Run(9, 9, "ls", 0, ()),
        Told(12, "cxroute apply    --yes  ", "needs a tenant"),
    ] == steps(text)
