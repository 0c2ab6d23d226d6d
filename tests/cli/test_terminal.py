"""The output on a terminal: lines that fit, and colours; a pipe gets neither."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.features.journal.place_option import journal_place
from reconciler.features.practice.simulator.app import Simulator
from reconciler.features.practice.simulator.settings import PROFILES
from reconciler.render.text.wrap import columns, wrap_text
from tests.support import canary_secrets as canary
from tests.support.cases import each_case
from tests.support.command import run_command
from tests.support.many_tenants import rule, ruleset, tenants
from tests.support.program import Program
from tests.support.terminal import STYLE, run_on_terminal
from tests.tiers import size

pytestmark = pytest.mark.usefixtures("elsewhere")
ROOT = Path(__file__).resolve().parents[2]
WIDTHS = (60, 80, 100)
LONG = '"lost_or_stolen_card", confidence from 0.5 to below 0.7: "Card Services" -> "General Service"'


@pytest.fixture(scope="module")
def applied(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the bank's manifests, a tenant with these rules, and a rule edited in both
    since.
    """
    folder = tmp_path_factory.mktemp("bank")
    shutil.copytree(ROOT / "manifests", folder / "manifests")
    assert 0 == run_command("apply", "--yes", cwd=folder, env={}).returncode
    path = folder / "manifests/fraud.yaml"
    path.write_text(
        re.sub(
            r"minConfidence: 0\.\d+", "minConfidence: 0.93", path.read_text("utf-8")
        ),
        "utf-8",
    )
    for path in folder.rglob("*.yaml"):  # they state the rules before the edit
        if re.search("kind: (RouteTests|Promises)", path.read_text("utf-8")):
            path.unlink()
    state = folder / ".cxroute/sandbox.json"
    state.write_text(
        state.read_text("utf-8").replace('"enabled": true', '"enabled": false', 1),
        "utf-8",
    )
    return folder


@pytest.fixture
def small(cxroute: Program) -> None:
    """The manifests of `cxroute init`, applied to the sandbox."""
    assert 0 == cxroute("init")
    assert 0 == cxroute("apply", "--yes")


@pytest.fixture
def bank(elsewhere: Path, applied: Path) -> None:
    """A copy of that folder."""
    shutil.copytree(applied, elsewhere, dirs_exist_ok=True)


@pytest.fixture
def wrong(elsewhere: Path) -> None:
    """Manifests with errors in long lines, one of them in wide characters."""
    del elsewhere
    folder = Path("manifests")
    folder.mkdir()
    head = "apiVersion: routing/v1\nkind: RuleSet\nname: wide\nrules:\n"
    (folder / "wide.yaml").write_text(
        f"{head}  - {{description: {'a rule that has quite something to say ' * 3}, intnet: x, "
        f"queue: y}}\n"
        f"  - {{description: {'受付窓口 ' * 20}, intnet: x, queue: y}}\n"
        f"  - {{description: {'受' * 70}, queu: y, intent: z}}\n",
        "utf-8",
    )


def too_long(lines: list[str], width: int) -> list[str]:
    """Return the lines that do not fit, except for those with one command (after its label), path
    or name.
    """
    long = [line.strip() for line in lines if columns(line) > width]
    return [
        line
        for line in long
        if not re.fullmatch(
            r"(\w+ )*( +cxroute|cxroute) .*|`[^`]*`\S*|\S*[/\\]\S*", line
        )
    ]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "code"),
    [
        ("plan", 0),
        ("plan -v", 0),
        ("plan -q", 0),
        ("plan --color always", 0),
        ("drift", 2),
        ("explain --intent card_not_working --confidence 0.8 --attr language=de", 0),
        ("explain --live --intent card_not_working -v", 0),
        ("explain CXR204", 0),
        ("history", 0),
        ("doctor", 0),
    ],
)
@pytest.mark.usefixtures("bank")
def test_no_line_is_longer_than_the_terminal(
    cxroute: Program, command: str, code: int
) -> None:
    """Except for a command, path or name that cannot be broken; the words are those of a pipe, in
    order.
    """
    assert code == cxroute(*command.split())
    for width in WIDTHS:
        printed = run_on_terminal(width, *command.split())
        assert code == printed.code
        assert [] == too_long(printed.lines, width)
        assert words(cxroute.out) == words(printed.out)


@pytest.mark.fast_cases(1)
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize(
    "command",
    ["explain", "plan -e nowhere", "plan --only cards/nothing-at-all-is-called-that"],
)
@pytest.mark.usefixtures("small")
def test_messages_fit_the_terminal(width: int, command: str) -> None:
    """Errors go to stderr, which is another terminal."""
    printed = run_on_terminal(width, "-q", *command.split())
    assert 64 == printed.code
    assert printed.err
    assert [] == too_long(STYLE.sub("", printed.err).splitlines(), width)


def words(text: str) -> list[str]:
    """Return the words of a text, without styles."""
    return STYLE.sub("", text).split()


@each_case("width", WIDTHS)
@pytest.mark.usefixtures("small")
def test_a_run_of_the_journal_fits_the_terminal(width: int) -> None:
    """With its rules in words."""
    (name,) = (entry.id for entry in journal_place(None).read())
    printed = run_on_terminal(width, "history", name)
    assert 0 == printed.code
    assert [] == too_long(printed.lines, width)
    assert "intent is" in printed.out
    assert "attributeName" not in printed.out


@each_case("width", WIDTHS)
@pytest.mark.usefixtures("wrong")
def test_errors_with_carets_fit_the_terminal(width: int) -> None:
    """The manifest's line is truncated, not wrapped, so that the caret is under its text, also in
    wide letters.
    """
    printed = run_on_terminal(width, "validate")
    assert 3 == printed.code
    assert [] == too_long(printed.lines, width)
    marked = [
        (above, line)
        for above, line in zip(printed.lines, printed.lines[1:], strict=False)
        if "^^" in line
    ]
    assert 3 == len(marked)
    for above, line in marked:
        place = line.index("^")
        letters = {columns(above[:end]): above[end:] for end in range(len(above))}
        assert letters[place].startswith(("intnet", "queu"))


@each_case("width", WIDTHS)
@each_case(
    "arguments",
    [["--help"], ["help"], ["help", "options"], ["plan", "--help"], ["help", "watch"]],
)
def test_help_fits_the_terminal(width: int, arguments: list[str]) -> None:
    """Of the program, of a command, and of the options of every command."""
    printed = run_on_terminal(width, *arguments)
    assert 0 == printed.code
    assert [] == too_long(printed.lines, width)
    assert "cxroute" in printed.out


def test_a_terminal_narrower_than_60_counts_as_60() -> None:
    """A smaller width has no usable layout."""
    printed = run_on_terminal(40, "help", "explain")
    assert [] == too_long(printed.lines, 60)
    assert any(columns(line) > 40 for line in printed.lines)


@pytest.mark.slow
@pytest.mark.usefixtures("bank")
def test_columns_sets_the_width() -> None:
    """$COLUMNS has priority over the terminal."""
    assert (
        run_on_terminal(100, "plan", COLUMNS="70").lines
        == run_on_terminal(70, "plan").lines
    )
    assert (
        run_on_terminal(100, "plan", COLUMNS="70").lines
        != run_on_terminal(100, "plan").lines
    )


@pytest.mark.slow
@pytest.mark.usefixtures("bank")
def test_documents_and_scripts_are_never_wrapped(cxroute: Program) -> None:
    """JSON, YAML, a script, code of a flow: files and programs read them."""
    for command in (
        "validate --format json",
        "completion bash",
        "schema profile",
        "cognigy",
        "validate --format sarif",
    ):
        assert 0 == cxroute(*command.split())
        assert cxroute.out == run_on_terminal(60, *command.split()).out


@pytest.mark.fast_cases(1)
@pytest.mark.parametrize(
    ("options", "variables", "coloured"),
    [
        ([], {}, True),
        ([], {"NO_COLOR": "1"}, False),
        ([], {"TERM": "dumb"}, False),
        ([], {"TERM": "dumb", "FORCE_COLOR": "1"}, True),
        ([], {"NO_COLOR": "1", "FORCE_COLOR": "1"}, False),
        (["--color", "never"], {"FORCE_COLOR": "1"}, False),
        (["--color", "always"], {"NO_COLOR": "1"}, True),
    ],
)
@pytest.mark.usefixtures("small")
def test_colours_on_a_terminal(
    options: list[str],
    variables: dict[str, str],
    coloured: bool,  # noqa: FBT001
) -> None:
    """--color decides, then NO_COLOR, then FORCE_COLOR, then the terminal."""
    assert coloured == bool(
        STYLE.search(run_on_terminal(80, *options, "plan", **variables).out)
    )


@each_case(
    "options, variables, coloured",
    [
        ([], {}, False),
        ([], {"FORCE_COLOR": "1"}, True),
        ([], {"FORCE_COLOR": "0"}, False),
        ([], {"FORCE_COLOR": ""}, False),
        ([], {"FORCE_COLOR": "1", "NO_COLOR": "1"}, False),
        (["--color", "never"], {"FORCE_COLOR": "1"}, False),
        (["--color", "always"], {"NO_COLOR": "1"}, True),
    ],
)
@pytest.mark.usefixtures("small")
def test_colours_in_a_pipe(
    cxroute: Program,
    monkeypatch: pytest.MonkeyPatch,
    options: list[str],
    variables: dict[str, str],
    coloured: bool,  # noqa: FBT001
) -> None:
    """FORCE_COLOR turns them on, unless it is empty or 0."""
    with monkeypatch.context() as environment:
        for name, value in variables.items():
            environment.setenv(name, value)
        assert 0 == cxroute(*options, "plan")
    assert coloured == bool(STYLE.search(cxroute.out))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "variables", "coloured"),
    [
        ([], {}, True),
        (["--color", "never"], {"FORCE_COLOR": "1"}, False),
        ([], {"NO_COLOR": "1"}, False),
        (["--color", "always"], {"NO_COLOR": "1"}, True),
    ],
)
def test_the_progress_bar_has_the_configured_colours(
    monkeypatch: pytest.MonkeyPatch,
    options: list[str],
    variables: dict[str, str],
    coloured: bool,  # noqa: FBT001
) -> None:
    """On stderr, after a second with a slow tenant; by the same rules as all output."""
    monkeypatch.setenv("CXONE_CLIENT_ID", canary.CLIENT)
    monkeypatch.delenv("CXROUTE_PROXY")
    with tenants("prod") as here:
        here.manifests()
        ruleset([rule("lost")])
        here.apps["prod"] = Simulator(
            here.states["prod"], replace(PROFILES["A"], latency=0.55)
        )
        printed = run_on_terminal(80, *options, "plan", "-e", "prod", **variables)
    assert 0 == printed.code
    assert "rules" in printed.err
    assert coloured == bool(STYLE.search(printed.err))


def test_a_line_that_fits_is_not_changed() -> None:
    """Including its last space."""
    assert "  a  b \n\n c" == wrap_text("  a  b \n\n c", 60)
    assert " " * 70 == wrap_text(" " * 70, 60)


def test_further_lines_are_indented_by_two_more() -> None:
    """If the line has no label."""
    assert [
        "  Everyone who",
        "    calls is",
        "    sent to",
        "    General",
    ] == wrap_text("  Everyone who calls is sent to General", 14).split("\n")


def test_further_lines_are_aligned_to_the_column_after_a_label() -> None:
    """As in help, in rows of fields, and in doctor's lines."""
    text = "  warn  clock  The clock of this machine is 40 seconds behind the tenant's."
    lines = wrap_text(text, 60).split("\n")
    assert [
        "  warn  clock  The clock of this machine is 40 seconds",
        "               behind the tenant's.",
    ] == lines


def test_a_line_is_broken_before_a_cell_rather_than_inside_it() -> None:
    """So that a cell stays in one line."""
    text = (
        "  no   night-line/ivr   priority 3   channel is missing   "
        "manifests/live/night-line.yaml:8"
    )
    assert [
        "  no   night-line/ivr   priority 3   channel is missing",
        "                        manifests/live/night-line.yaml:8",
    ] == wrap_text(text, 60).split("\n")


@pytest.mark.parametrize(
    "whole",
    [
        (
            "cxroute apply -e prod-emea --only 'cards/lost or  stolen' --allow deletes --reason "
            '"why"'
        ),
        "`cxroute apply -e prod-emea --only cards/lost --allow deletes --reason why --yes`",
        "manifests/production/emea/cards/lost-or-stolen-cards-and-all-that.yaml:12:40",
        "https://example.invalid/a/very/long/path/that/nobody/would/ever/type/by/hand",
    ],
)
def test_commands_paths_and_addresses_are_never_broken(whole: str) -> None:
    """They start a line and may be longer than the terminal, so that they can be copied."""
    lines = wrap_text(
        f"Nothing was changed, and nothing will be. Next: {whole}", 60
    ).split("\n")
    assert f"  {whole}" == lines[-1]
    assert f"$ {whole}" == wrap_text(f"$ {whole}", 60)


def test_a_word_longer_than_a_line_is_broken() -> None:
    """For example a queue's name without a space."""
    lines = wrap_text("x" * 130, 60).split("\n")
    assert ["x" * 60, f"  {'x' * 58}", f"  {'x' * 12}"] == lines


def test_wide_letters_take_two_columns() -> None:
    """Combining accents take none."""
    assert (4, 2, 1) == (columns("受付"), columns("\uff21"), columns("e\u0301"))
    assert all(
        columns(line) <= 60
        for line in wrap_text("受付窓口 " * 30 + "受" * 80, 60).split("\n")
    )


def test_a_style_ends_with_its_line_and_continues_in_the_next() -> None:
    """A pager does not continue it, and the indent has no style."""
    painted = f"\x1b[33m{LONG}\x1b[0m and the rest"
    lines = wrap_text(painted, 60).split("\n")
    assert lines[0].startswith("\x1b[33m")
    assert lines[0].endswith("\x1b[0m")
    assert lines[1].startswith("  \x1b[33m")
    assert (
        STYLE.sub("", " ".join(line.strip() for line in lines))
        == f"{LONG} and the rest"
    )
    assert all(columns(line) <= 60 for line in lines)


@pytest.mark.parametrize("width", WIDTHS)
def test_help_joins_the_lines_of_a_paragraph_and_keeps_tables(width: int) -> None:
    """Paragraphs are not ragged, and a grammar keeps its layout."""
    printed = run_on_terminal(width, "watch", "--help")
    paragraph = printed.out.strip().split("\n\n")[-1].split("\n")
    assert paragraph[0].startswith("stdout shows new differences")
    assert all(columns(line) > width - 30 for line in paragraph[:-1])
    assert (
        '    RULE  = [METHOD] [RESOURCE] ":" FAULT'
        in run_on_terminal(width, "simulate", "--help").out
    )


def test_the_rows_of_a_table_break_at_one_column() -> None:
    """Also a row with a short cell."""
    rows = [
        f"{'run':<30}  {'result':<24}  reason",
        f"{'r' * 30}  {'70 of 70 changes applied':<24}  -",
    ]
    assert ["  result                    reason", "  70 of 70 changes applied  -"] == [
        wrap_text(row, 55).split("\n")[1] for row in rows
    ]


WORDS = st.sampled_from(
    [
        "a",
        "of",
        "Overflow",
        "x" * 30,
        "y" * 75,
        "受付",
        "受" * 45,
        "e\u0301",
        "\x1b[1mbold\x1b[0m",
        "\x1b[33mred",
        "\x1b[0m",
    ]
)
GAPS = st.sampled_from([" ", " ", " ", "  ", "   ", " " * 9])


@pytest.mark.generated
@settings(max_examples=size(fast=40, slow=100))
@given(
    st.sampled_from(WIDTHS),
    st.integers(0, 30),
    st.lists(st.tuples(WORDS, GAPS), min_size=1, max_size=40),
    st.booleans(),
)
def test_each_wrapped_line_fits_and_keeps_its_content(
    width: int,
    indent: int,
    parts: list[tuple[str, str]],
    ends: bool,  # noqa: FBT001
) -> None:
    """Words, wide letters, styles and cells in any order: no line is too long, and no letter is
    lost or moved.
    """
    line = (
        " " * indent
        + "".join(word + gap for word, gap in parts[:-1])
        + parts[-1][0]
        + ("\x1b[0m" if ends else "")
    )
    wrapped = wrap_text(line, width)
    assert all(columns(word) <= width for word in wrapped.split("\n"))
    bare = [re.sub(r"\s", "", STYLE.sub("", text)) for text in (line, wrapped)]
    assert bare[0] == bare[1]
