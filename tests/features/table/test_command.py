"""`cxroute table` on the bank: out, edited, back; new and removed rows; refusals by cell; nothing
half written.
"""

from __future__ import annotations

import csv
import shutil
from collections.abc import Callable
from pathlib import Path
from zipfile import ZipFile

import pytest
from openpyxl import load_workbook

from tests.support.bank_traffic import remove_sample
from tests.support.libreoffice import saved_by_libreoffice
from tests.support.program import Program

BANK = Path(__file__).parents[3] / "manifests"
Rows = list[list[str]]
LIFTED = ("--allow", "tests,promises")
"""The bank's tests and promises notice nearly every edit."""


@pytest.fixture
def desk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Program:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(BANK, "manifests")
    return Program(capsys)


@pytest.fixture
def rules_alone(desk: Program) -> Program:
    """Leave the bank's rules in every environment: their tests, promises and traffic samples cost
    most of the time.
    """
    keep_rules()
    return desk


@pytest.fixture
def one_environment(desk: Program) -> Program:
    """Leave the bank's rules in one environment."""
    keep_one_environment()
    return desk


def keep_one_environment() -> None:
    for name in ("sandbox", "staging", "studio"):
        Path(f"manifests/environments/{name}.yaml").unlink()
    keep_rules()


def keep_rules() -> None:
    for name in ("promises", "smoke-tests"):
        Path(f"manifests/{name}.yaml").unlink()
    shutil.rmtree("manifests/tests")
    for environment in Path("manifests/environments").iterdir():
        remove_sample(environment)


def texts() -> dict[str, str]:
    return {
        str(path): path.read_text(encoding="utf-8")
        for path in Path("manifests").rglob("*.yaml")
    }


def edit(program: Program, change: Callable[[Rows], None]) -> None:
    """Write the table as CSV, and change its rows."""
    assert 0 == program("table", "-e", "prod", "--out", "t.csv")
    with Path("t.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.reader(file))
    change(rows)
    with Path("t.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(rows)


def set_cell(rule: str, heading: str, text: str) -> Callable[[Rows], None]:
    def change(rows: Rows) -> None:
        row = next(row for row in rows if row[0] == rule)
        row[rows[0].index(heading)] = text

    return change


@pytest.mark.slow
def test_an_edited_queue_changes_one_word_and_shows_who_moves(desk: Program) -> None:
    before = texts()
    edit(desk, set_cell("cards/change-pin", "Queue", "Fraud Desk"))
    assert 0 == desk("table", "-e", "prod", "--from", "t.csv", *LIFTED, "--check")
    assert texts() == before
    assert "Queue: Card Services -> Fraud Desk" in desk.out
    assert '"Card Services" -> "Fraud Desk"' in desk.out
    environments = "sandbox (1 rule), staging (1 rule), studio (1 rule)"
    assert (
        f"These environments change too, because their rules are in the same files: "
        f"{environments}.\n" in desk.out
    )
    assert (
        "Nothing was written. To write this: cxroute table -e prod --from t.csv --allow "
        "tests,promises" in desk.out
    )
    assert 2 == desk(
        "table",
        "-e",
        "prod",
        "--from",
        "t.csv",
        *LIFTED,
        "--check",
        "--detailed-exitcode",
    )
    assert 0 == desk("table", "-e", "prod", "--from", "t.csv", *LIFTED)
    changed = {file: text for file, text in texts().items() if text != before[file]}
    old = "  - intent: change_pin\n    queue: card-services\n"
    cards = "manifests/cards.yaml"
    assert changed == {
        cards: before[cards].replace(old, old.replace("card-services", "fraud"))
    }
    assert 0 == desk("table", "-e", "prod", "--from", "t.csv", *LIFTED)
    assert desk.out == "The table has no edits.\n"


@pytest.mark.usefixtures("one_environment")
@pytest.mark.fast_cases(1)
@pytest.mark.parametrize("kept", [1, 20, 63])
def test_a_table_without_most_of_its_rows_is_refused(desk: Program, kept: int) -> None:
    """The visible rows of a filtered sheet, copied into a new one, or only the headings: the guard
    allows 6 of 69.
    """
    before = texts()
    edit(desk, lambda rows: rows.__delitem__(slice(kept, None)))
    for words in ((), ("--check",)):
        assert 4 == desk("table", "-e", "prod", "--from", "t.csv", *words)
        # of the kept rows, the heading and the campaign are not managed rules
        count = 69 - max(kept - 2, 0)
        assert f"deletes {count} of 69 managed rules" in desk.err
        assert "the limit for prod is 6" in desk.err
        assert ("the table has no row of any rule of the manifests" in desk.err) is (
            kept == 1
        )
        names = "emptied,deletes" if kept == 1 else "deletes"
        assert (
            f"If this is intended: cxroute table -e prod --from t.csv --allow {names}\n"
            in desk.err
        )
    assert texts() == before


@pytest.mark.usefixtures("one_environment")
def test_the_guard_deletes_counts_rules_that_the_table_switches_off(
    desk: Program,
) -> None:
    def switch_off(rows: Rows) -> None:
        for row in rows[1:8]:
            row[rows[0].index("On")] = "no"

    before = texts()
    edit(desk, switch_off)
    assert 4 == desk("table", "-e", "prod", "--from", "t.csv")
    assert "deletes or switches off 7 of 69 managed rules" in desk.err
    assert texts() == before


def test_the_guard_deletes_of_another_environment_counts_too(desk: Program) -> None:
    """The files are those of both: apply would refuse the edits there."""
    own_rules()
    text = Path("manifests/prod.yaml").read_text(encoding="utf-8")
    wide, narrow = (
        f"guard: {{deletes: {{count: {count}, percent: 0}}}}\n" for count in (3, 1)
    )
    Path("manifests/prod.yaml").write_text(text + wide, encoding="utf-8")
    Path("manifests/other.yaml").write_text(
        text.replace("prod", "other").replace("tenant: a", "tenant: b") + narrow,
        encoding="utf-8",
    )
    before = texts()
    edit(desk, remove("own/pin-a", "own/pin-b"))
    assert 4 == desk("table", "-e", "prod", "--from", "t.csv")
    assert (
        "the table deletes 2 of 3 managed rules (67 %); the limit for other is 1"
        in desk.err
    )
    assert "for prod" not in desk.err
    assert texts() == before
    assert 0 == desk("table", "-e", "prod", "--from", "t.csv", "--allow", "deletes")


def test_the_remedy_of_a_short_table_is_there_once(desk: Program) -> None:
    own_rules()
    edit(desk, lambda rows: rows.__delitem__(slice(1, None)))
    assert 4 == desk("table", "-e", "prod", "--from", "t.csv")
    assert (
        desk.err.count("Copy the whole sheet, with the rows that a filter hides.") == 1
    )


def test_new_rows_alone_are_an_empty_table(desk: Program) -> None:
    own_rules()

    def change(rows: Rows) -> None:
        rows[1:] = [row_of(rows, Rule="own/new", intent="pin_z", Queue="Card Services")]

    before = texts()
    edit(desk, change)
    assert 4 == desk("table", "-e", "prod", "--from", "t.csv", "--allow", "deletes")
    assert "the table has no row of any rule of the manifests" in desk.err
    assert texts() == before


def test_allow_takes_names_with_commas_or_repeated(desk: Program) -> None:
    own_rules()
    edit(desk, lambda rows: rows.__delitem__(slice(1, None)))
    assert 0 == desk(
        "table",
        "-e",
        "prod",
        "--from",
        "t.csv",
        "--allow",
        "emptied,deletes",
        "--check",
    )
    assert 0 == desk(
        "table",
        "-e",
        "prod",
        "--from",
        "t.csv",
        "--allow",
        "deletes",
        "--allow",
        "emptied",
    )
    assert texts()["manifests/own.yaml"].endswith("rules: []\n")


def test_a_reviewed_exception_lifts_the_guard_of_a_table(desk: Program) -> None:
    own_rules()
    environment = Path("manifests/prod.yaml")
    allowed = (
        "guard:\n  allow:\n    - {name: deletes, until: 2999-01-01T00:00:00Z, reason: "
        "CHG-1}\n"
    )
    environment.write_text(
        environment.read_text(encoding="utf-8") + allowed, encoding="utf-8"
    )
    edit(desk, lambda rows: rows.__delitem__(slice(1, None)))
    assert 0 == desk("table", "-e", "prod", "--from", "t.csv", "--allow", "emptied")


TESTS = """apiVersion: routing/v1
kind: RouteTests
name: own
tests:
  - {given: {intent: pin_a, confidence: 0.9}, expect: {queue: Card Services}}
  - {given: {intent: pin_b, confidence: 0.9}, expect: {queue: Nowhere}}
  - {given: {intent: pin_c, confidence: 0.9}, expect: {queue: Card Services}}
"""
PROMISES = """apiVersion: routing/v1
kind: Promises
name: own
promises:
  - {name: C stays, severity: SEVERITY, for: {intent: pin_c, minConfidence: 0.8}, always: {queues: [Card Services]}}
"""


def declare_queues() -> None:
    text = (
        "apiVersion: routing/v1\nkind: Queues\nname: own\nqueues: {desk: Card Services, nowhere: "
        "Nowhere}\n"
    )
    Path("manifests/queues.yaml").write_text(text, encoding="utf-8")


def checked_rules(severity: str = "error") -> None:
    """Write rules with route tests, one of which fails, and with a promise."""
    own_rules()
    declare_queues()
    Path("manifests/tests.yaml").write_text(TESTS, encoding="utf-8")
    Path("manifests/promises.yaml").write_text(
        PROMISES.replace("SEVERITY", severity), encoding="utf-8"
    )


@pytest.mark.parametrize("words", [(), ("--check",)])
def test_an_edit_that_breaks_a_route_test_is_refused_and_shown(
    desk: Program, words: tuple[str, ...]
) -> None:
    checked_rules()
    before = texts()
    edit(desk, set_cell("own/pin-a", "Queue", "Nowhere"))
    assert 3 == desk("table", "-e", "prod", "--from", "t.csv", *words)
    broken = "These edits break 1 route test:\nmanifests/tests.yaml:5:5: error[CXR220]: expected"
    assert (
        f'{broken} "Card Services", but goes to "Nowhere" by rule own/pin-a' in desk.out
    )
    assert (
        "1 route test or promise fails without these edits, too: see cxroute test.\n"
        in desk.out
    )
    assert "nothing was written: the edits break 1 route test.\n" in desk.err
    assert (
        "If this is intended: cxroute table -e prod --from t.csv --allow tests\n"
        in desk.err
    )
    assert texts() == before


def test_an_edit_that_breaks_a_promise_is_refused_as_apply_does(desk: Program) -> None:
    checked_rules()
    before = texts()
    edit(desk, set_cell("own/pin-c", "confidence", ">= 0.85"))
    assert 4 == desk("table", "-e", "prod", "--from", "t.csv")
    assert (
        'These edits break 1 promise of severity error:\nmanifests/promises.yaml:5:5: error[CXR221]: promise "C'
        in desk.out
    )
    assert "--allow promises\n" in desk.err
    assert texts() == before
    assert 0 == desk("table", "-e", "prod", "--from", "t.csv", "--allow", "promises")
    assert texts() != before


def test_a_broken_promise_of_severity_warning_is_shown_and_written(
    desk: Program,
) -> None:
    checked_rules("warning")
    edit(desk, set_cell("own/pin-c", "confidence", ">= 0.85"))
    assert 0 == desk("table", "-e", "prod", "--from", "t.csv")
    assert (
        'These edits cause 1 warning:\nmanifests/promises.yaml:5:5: warning[CXR221]: promise "C stays"'
        in desk.out
    )


def test_both_refusals_are_named_and_each_can_be_lifted(desk: Program) -> None:
    checked_rules()
    edit(desk, set_cell("own/pin-c", "Queue", "Nowhere"))
    assert 3 == desk("table", "-e", "prod", "--from", "t.csv")
    assert "--allow tests,promises\n" in desk.err
    assert 4 == desk("table", "-e", "prod", "--from", "t.csv", "--allow", "tests")
    assert 3 == desk("table", "-e", "prod", "--from", "t.csv", "--allow", "promises")
    assert 0 == desk(
        "table", "-e", "prod", "--from", "t.csv", "--allow", "tests,promises"
    )


def test_a_test_that_fails_in_two_environments_counts_once(desk: Program) -> None:
    checked_rules()
    candidate = (
        Path("manifests/prod.yaml").read_text(encoding="utf-8").replace("prod", "other")
    )
    Path("manifests/other.yaml").write_text(
        candidate.replace("tenant: a", "tenant: b"), encoding="utf-8"
    )
    edit(desk, set_cell("own/pin-c", "Priority", "90"))
    assert 0 == desk("table", "-e", "prod", "--from", "t.csv", "--check")
    assert "\n1 route test or promise fails without these edits, too" in desk.out
    tests = TESTS.replace(
        "pin_c, confidence: 0.9}, expect: {queue: Card Services",
        "z}, expect: {queue: Nowhere",
    )
    Path("manifests/tests.yaml").write_text(tests, encoding="utf-8")
    assert 0 == desk("table", "-e", "prod", "--from", "t.csv", "--check")
    assert "\n2 route tests or promises fail without these edits, too" in desk.out


def test_an_edit_that_repairs_a_route_test_is_written(desk: Program) -> None:
    checked_rules()
    edit(desk, set_cell("own/pin-b", "Queue", "Nowhere"))
    assert 0 == desk("table", "-e", "prod", "--from", "t.csv")
    assert "wrote manifests/" in desk.out
    assert "These edits break" not in desk.out


def test_a_new_tie_is_shown(desk: Program) -> None:
    own_rules()
    declare_queues()
    edit(desk, set_cell("own/pin-b", "intent", "pin_a; pin_b"))
    assert 0 == desk("table", "-e", "prod", "--from", "t.csv", "--check")
    assert "CXR204" not in desk.out

    def change(rows: Rows) -> None:
        set_cell("own/pin-b", "intent", "pin_a; pin_b")(rows)
        set_cell("own/pin-b", "Queue", "Nowhere")(rows)

    edit(desk, change)
    assert 0 == desk("table", "-e", "prod", "--from", "t.csv", "--check"), desk.err
    assert "warning[CXR204]: same priority (100) as own/pin-a" in desk.out


def test_a_test_that_only_another_environment_breaks_is_found(desk: Program) -> None:
    checked_rules()
    candidate = (
        Path("manifests/prod.yaml")
        .read_text(encoding="utf-8")
        .replace("name: prod", "name: other")
    )
    fallback = "context: {minConfidence: 0.6, below: {intent: none}}\n"
    Path("manifests/other.yaml").write_text(
        candidate.replace("tenant: a\n", f"tenant: b\n{fallback}"), encoding="utf-8"
    )
    edit(desk, set_cell("own/pin-a", "Queue", "Nowhere"))
    assert 3 == desk("table", "-e", "prod", "--from", "t.csv")
    assert ", in prod and other\n" in desk.out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["--from", "t.csv", "--allow", "test"],
            "--allow test: write one of tests, promises, emptied, deletes; did",
        ),
        (["--from", "t.csv", "--allow", "tests,,promises"], "--allow : write one of"),
        (
            ["--allow", "tests"],
            "--check, --allow and --detailed-exitcode go with --from",
        ),
    ],
)
def test_wrong_names_of_allow_are_a_usage_error(
    desk: Program, words: list[str], message: str
) -> None:
    assert 64 == desk("table", "-e", "prod", *words)
    assert message in desk.err


@pytest.mark.slow
@pytest.mark.usefixtures("one_environment")
def test_the_plan_of_an_edited_cell_is_that_of_the_edit_by_hand(desk: Program) -> None:
    edit(desk, set_cell("cards/change-pin", "confidence", ">= 0.8"))
    assert 0 == desk("table", "-e", "prod", "--from", "t.csv", *LIFTED)
    from_table = texts()
    shutil.rmtree("manifests")
    shutil.copytree(BANK, "manifests")
    keep_one_environment()
    path = Path("manifests/cards.yaml")
    text = path.read_text(encoding="utf-8")
    path.write_text(
        text.replace(
            "change_pin\n    queue: card-services\n    minConfidence: 0.7",
            "change_pin\n    queue: card-services\n    minConfidence: 0.8",
        )
    )
    assert texts() == from_table


@pytest.mark.slow
@pytest.mark.usefixtures("one_environment")
def test_a_new_row_is_a_new_rule_and_a_removed_row_a_deletion(desk: Program) -> None:
    before = texts()

    def change(rows: Rows) -> None:
        rows.remove(next(row for row in rows if row[0] == "cards/pin-blocked"))
        new = dict.fromkeys(rows[0], "") | {
            "Rule": "cards",
            "intent": "pin_blocked",
            "language": "en",
            "Queue": "General Service",
        }
        rows.insert(3, list(new.values()))

    edit(desk, change)
    assert 0 == desk("table", "-e", "prod", "--from", "t.csv", *LIFTED)
    # The deletion is named before the file is.
    assert desk.out.index("- cards/pin-blocked") < desk.out.index(
        "wrote manifests/cards.yaml"
    )
    assert "+ cards/pin-blocked   row 4, column A\n" in desk.out
    assert "column D intent: pin_blocked\n" in desk.out
    assert "Queue: General Service\n" in desk.out
    assert "Next: cxroute validate -e prod, then cxroute plan -e prod\n" in desk.out
    text = texts()["manifests/cards.yaml"]
    assert "pin_blocked\n    queue: card-services" not in text
    new = (
        "  - intent: pin_blocked\n    minConfidence: null\n    when: [{attribute: language, "
        "equals: en}]\n"
    )
    assert new in text
    assert text.index(new) > text.index("card-acceptance")
    assert {file for file, each in texts().items() if each != before[file]} == {
        "manifests/cards.yaml"
    }
    source_values = (
        "--intent",
        "pin_blocked",
        "--confidence",
        "0.9",
        "--attr",
        "language=en",
    )
    assert 0 == desk("explain", "-e", "prod", *source_values)
    assert 'goes to "General Service", by cards/pin-blocked' in desk.out


@pytest.mark.usefixtures("one_environment")
@pytest.mark.fast_cases(1)
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            set_cell("cards/change-pin", "Queue", "Fraud Dsk"),
            'is not a queue of this Environment; did you mean "Fraud Desk"?',
        ),
        (
            set_cell("cards/change-pin", "intent", "Change_pin"),
            'is not a known value; did you mean "change_pin"?',
        ),
        (
            set_cell("cards/change-pin", "confidence", ">= 0,7"),
            "write a comparison, such as >= 0.6",
        ),
        (set_cell("cards/change-pin", "Priority", "1.5"), "is not a whole number"),
        (set_cell("cards/change-pin", "On", "maybe"), "is neither yes nor no"),
        (set_cell("Rule", "Queue", "Que"), 'the heading "Que"'),
        (
            set_cell("cards/change-pin", "Rule", "cards/pin-blocked"),
            "is in two rows: a copy needs a new key",
        ),
        (
            set_cell("cards/change-pin", "Rule", "Cards!"),
            "is not a RuleSet, and not an address",
        ),
        (set_cell("cards/change-pin", "Rule", "nothing/here"), "there is no RuleSet"),
    ],
)
def test_a_refused_cell_is_named_and_nothing_is_written(
    desk: Program, change: Callable[[Rows], None], message: str
) -> None:
    before = texts()
    edit(desk, change)
    assert 3 == desk("table", "-e", "prod", "--from", "t.csv")
    assert message in desk.err
    assert "row " in desk.err
    assert "column " in desk.err
    assert texts() == before


@pytest.mark.usefixtures("rules_alone")
def test_a_table_of_other_rules_is_refused_with_both_values(desk: Program) -> None:
    edit(desk, set_cell("cards/change-pin", "Queue", "Fraud Desk"))
    path = Path("manifests/cards.yaml")
    path.write_text(
        path.read_text(encoding="utf-8").replace(
            "minConfidence: 0.65", "minConfidence: 0.66"
        )
    )
    before = texts()
    assert 4 == desk("table", "-e", "prod", "--from", "t.csv")
    assert '"Fraud Desk" in the table, "Card Services" in the manifests' in desk.err
    assert '">= 0.65" in the table, ">= 0.66" in the manifests' in desk.err
    assert texts() == before
    assert 4 == desk("table", "-e", "staging", "--from", "t.csv")
    assert 'this is a table of "prod", and -e is staging' in desk.err


@pytest.mark.slow
def test_a_workbook_comes_back_from_libreoffice_with_its_edit(
    desk: Program, tmp_path: Path
) -> None:
    assert 0 == desk("table", "-e", "prod", "--out", "t.xlsx")
    book = load_workbook("t.xlsx")
    sheet = book["prod"]
    headings = [cell.value for cell in sheet[1]]
    row = next(
        number
        for number, (cell, *_) in enumerate(sheet.iter_rows(), start=1)
        if cell.value == "cards/change-pin"
    )
    sheet.cell(row, headings.index("Queue") + 1).value = "Fraud Desk"
    book.save("t.xlsx")
    saved = saved_by_libreoffice(tmp_path / "t.xlsx", "xlsx")
    assert 0 == desk("table", "-e", "prod", "--from", str(saved), "--check", *LIFTED)
    assert f"prod!I{row} Queue: Card Services -> Fraud Desk" in desk.out
    assert "1 changed." in desk.out


def test_the_workbook_offers_queues_and_values_and_explains_itself(
    desk: Program,
) -> None:
    assert 0 == desk("table", "-e", "prod", "--out", "t.xlsx")
    book = load_workbook("t.xlsx")
    assert book.sheetnames == ["prod", "How to edit", "Lists"]
    choices = {
        str(choice.sqref).partition("2:")[0]: choice.formula1
        for choice in book["prod"].data_validations.dataValidation
    }
    headings = {cell.value: cell.coordinate[0] for cell in book["prod"][1]}
    assert set(choices) == {
        headings[name]
        for name in ("On", "intent", "customer tier", "language", "Queue")
    }
    column = choices[headings["Queue"]].partition("$")[2][0]
    assert {"Fraud Desk", "Card Services"} <= {
        cell.value for cell in book["Lists"][column]
    }
    column = choices[headings["language"]].partition("$")[2][0]
    offered = [cell.value for cell in book["Lists"][column] if cell.value]
    assert ["English", "French", "German"] == [offered[4], *offered[-2:]]
    lines = [[cell.value for cell in row] for row in book["How to edit"].iter_rows()]
    values = (
        "German (no country); German (Austria); German (Switzerland); German (Germany)"
    )
    assert lines[-3:] == [
        ["Group", "Its values"],
        [
            "language: French",
            (
                "French (no country); French (Belgium); French (Switzerland); French (France); French "
                "(Luxembourg)"
            ),
        ],
        ["language: German", values],
    ]


@pytest.mark.fast_cases(2)
@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--check"], "--check, --allow and --detailed-exitcode go with --from"),
        (["--from", "t.csv", "--out", "x"], "specify one of them"),
        (["--from", "absent.csv"], "cannot be read"),
        (["--format", "xlsx"], "a workbook cannot go to stdout"),
    ],
)
def test_wrong_options_are_a_usage_error(
    desk: Program, words: list[str], message: str
) -> None:
    assert 64 == desk("table", "-e", "prod", *words)
    assert message in desk.err


@pytest.mark.slow
@pytest.mark.usefixtures("one_environment")
def test_the_impact_is_that_of_the_manifests_alone(desk: Program) -> None:
    edit(desk, set_cell("general/ask-again", "Priority", "860"))
    assert 0 == desk("table", "-e", "prod", "--from", "t.csv", "--check")
    assert (
        "Now, without the tenant's own rules (run `cxroute plan -e prod` to include them):\n"
        in desk.out
    )


@pytest.mark.usefixtures("rules_alone")
def test_an_edit_that_another_environment_cannot_have_is_refused(desk: Program) -> None:
    queues = Path("manifests/queues.yaml")
    queues.write_text(
        queues.read_text(encoding="utf-8") + "  only-prod: {prod: {name: Only Prod}}\n",
        encoding="utf-8",
    )
    before = texts()
    edit(desk, set_cell("cards/change-pin", "Queue", "Only Prod"))
    assert 3 == desk("table", "-e", "prod", "--from", "t.csv")
    assert "would become invalid" in desk.err
    assert texts() == before


@pytest.mark.slow
@pytest.mark.usefixtures("one_environment")
def test_a_queue_whose_name_ends_in_a_weight_is_not_clear(desk: Program) -> None:
    queues = Path("manifests/queues.yaml")
    text = (
        queues.read_text(encoding="utf-8")
        + "  team: Team\n  team-two: Team 2\n  same: Team\n"
    )
    queues.write_text(text, encoding="utf-8")
    edit(desk, set_cell("cards/change-pin", "Queue", "Team 2"))
    assert 3 == desk("table", "-e", "prod", "--from", "t.csv", *LIFTED)
    assert (
        '"Team 2" is not clear: write the name in quotes, "Team 2" or "Team" 2'
        in desk.err
    )
    edit(desk, set_cell("cards/change-pin", "Queue", '"Team 2"'))
    assert 0 == desk("table", "-e", "prod", "--from", "t.csv", *LIFTED)
    assert (
        "queue: team-two\n    minConfidence: 0.7\n" in texts()["manifests/cards.yaml"]
    )


@pytest.mark.slow
@pytest.mark.usefixtures("one_environment")
def test_two_rules_may_exchange_their_intents(desk: Program) -> None:
    def change(rows: Rows) -> None:
        item, two = (
            next(row for row in rows if row[0] == name)
            for name in ("cards/change-pin", "cards/pin-blocked")
        )
        at = rows[0].index("intent")
        item[at], two[at] = two[at], item[at]

    edit(desk, change)
    assert 0 == desk("table", "-e", "prod", "--from", "t.csv")


@pytest.mark.slow
def test_a_condition_that_was_removed_by_hand_does_not_come_back(desk: Program) -> None:
    edit(desk, lambda _: None)
    path = Path("manifests/fraud.yaml")
    before, when, after = path.read_text(encoding="utf-8").partition("    when:\n")
    assert when
    assert "transferAmount" in after.partition("\n")[0]
    path.write_text(before + after.partition("\n")[2], encoding="utf-8")
    assert 4 == desk("table", "-e", "prod", "--from", "t.csv")
    assert '">= 10000" in the table, "" in the manifests' in desk.err


@pytest.mark.slow
def test_a_new_row_of_a_ruleset_of_another_environment_is_refused(
    desk: Program,
) -> None:
    text = (
        "apiVersion: routing/v1\nkind: RuleSet\nname: other\nenvironments: [staging]\nrules: "
        "[]\n"
    )
    Path("manifests/other.yaml").write_text(text, encoding="utf-8")

    def change(rows: Rows) -> None:
        new = dict.fromkeys(rows[0], "") | {
            "Rule": "other",
            "intent": "change_pin",
            "Queue": "General Service",
        }
        rows.append(list(new.values()))

    edit(desk, change)
    assert 3 == desk("table", "-e", "prod", "--from", "t.csv")
    assert 'column A: RuleSet "other" is not for prod' in desk.err


@pytest.mark.slow
def test_the_name_of_several_queues_is_refused(desk: Program) -> None:
    queues = Path("manifests/queues.yaml")
    text = (
        queues.read_text(encoding="utf-8")
        + "  Support: {prod: {id: '111'}}\n  other-support: Support\n"
    )
    queues.write_text(text, encoding="utf-8")
    edit(desk, set_cell("cards/change-pin", "Queue", "Support"))
    assert 3 == desk("table", "-e", "prod", "--from", "t.csv")
    assert '"Support" is the name of several queues' in desk.err


CARDS = """apiVersion: routing/v1
kind: RuleSet
name: own
rules:
  # All of these are for prod.

  # the PIN desk
  - intent: pin_a # trailing
    queue: Card Services
  # the desk of B
  - intent: pin_b
    queue: Card Services
    adopt: By hand
    description: Kept "as is"
  # the desk of C
  - intent: pin_c
    queue: Card Services
    minConfidence: 0.5
"""


def own_rules(text: str = CARDS, variables: str = "{}") -> Path:
    """Replace the manifests by one RuleSet and an Environment, and return the RuleSet's file."""
    shutil.rmtree("manifests")
    Path("manifests").mkdir()
    environment = (
        f"apiVersion: routing/v1\nkind: Environment\nname: prod\nowner: a\ntenant: a\nvars: "
        f"{variables}\n"
    )
    Path("manifests/prod.yaml").write_text(environment, encoding="utf-8")
    path = Path("manifests/own.yaml")
    path.write_text(text, encoding="utf-8")
    return path


def remove(*rules: str) -> Callable[[Rows], None]:
    def change(rows: Rows) -> None:
        rows[:] = [row for row in rows if row[0] not in rules]

    return change


def row_of(rows: Rows, **cells: str) -> list[str]:
    return list((dict.fromkeys(rows[0], "") | cells).values())


def test_the_comments_of_a_removed_rule_go_with_it_and_are_named(desk: Program) -> None:
    path = own_rules()
    edit(desk, remove("own/pin-a"))
    assert 0 == desk("table", "-e", "prod", "--from", "t.csv")
    assert desk.out.index(
        "# the PIN desk: this comment is deleted, too"
    ) < desk.out.index("wrote ")
    assert "# trailing: this comment is deleted, too" in desk.out
    own = "  # the PIN desk\n  - intent: pin_a # trailing\n    queue: Card Services\n"
    assert path.read_text(encoding="utf-8") == CARDS.replace(own, "")


def test_the_comments_of_a_ruleset_without_rules_are_named(desk: Program) -> None:
    path = own_rules()
    edit(desk, remove("own/pin-a", "own/pin-b", "own/pin-c"))
    assert 0 == desk(
        "table", "-e", "prod", "--from", "t.csv", "--allow", "emptied,deletes"
    )
    for comment in (
        "All of these are for prod.",
        "the PIN desk",
        "trailing",
        "the desk of B",
        "the desk of C",
    ):
        assert (
            f"# {comment}: this comment is deleted, too"
            in desk.out[: desk.out.index("wrote ")]
        )
    assert path.read_text(encoding="utf-8").endswith("rules: []\n")


def test_a_new_row_never_gets_the_comments_of_a_removed_one(desk: Program) -> None:
    path = own_rules()

    def change(rows: Rows) -> None:
        remove("own/pin-c")(rows)
        rows.append(
            row_of(rows, Rule="own/pin-d", intent="pin_blocked", Queue="Card Services")
        )

    edit(desk, change)
    assert 0 == desk("table", "-e", "prod", "--from", "t.csv")
    text = path.read_text(encoding="utf-8")
    assert "# the desk of C" not in text
    assert text.endswith(
        'Kept "as is"\n  - key: pin-d\n    intent: pin_blocked\n    queue: Card Services\n'
    )


def test_the_last_line_of_the_last_rule_can_go_beside_a_new_row(desk: Program) -> None:
    when = "    when:\n      - {attribute: language, equals: en}\n"
    path = own_rules(f"{CARDS}{when}      - {{attribute: tier, equals: gold}}\n")

    def change(rows: Rows) -> None:
        set_cell("own/pin-c", "tier", "")(rows)
        rows.append(
            row_of(rows, Rule="own", intent="pin_blocked", Queue="Card Services")
        )

    edit(desk, change)
    assert 0 == desk("table", "-e", "prod", "--from", "t.csv"), desk.err
    new = "  - intent: pin_blocked\n    queue: Card Services\n"
    assert path.read_text(encoding="utf-8") == f"{CARDS}{when}{new}"


def test_a_ruleset_whose_rules_are_all_replaced_is_refused(desk: Program) -> None:
    own_rules(CARDS[: CARDS.index("  # the desk of B")])
    before = texts()
    edit(desk, set_cell("own/pin-a", "Rule", "own/pin-z"))
    assert 3 == desk(
        "table", "-e", "prod", "--from", "t.csv", "--allow", "emptied,deletes"
    )
    assert "every rule of own is replaced: add the new rows first" in desk.err
    assert texts() == before


def test_the_fields_that_a_renamed_row_loses_are_named(desk: Program) -> None:
    own_rules()
    edit(desk, set_cell("own/pin-b", "Rule", "own/pin-z"))
    assert 0 == desk("table", "-e", "prod", "--from", "t.csv", "--check")
    assert (
        "- own/pin-b: its row was removed, so the rule is deleted, with its adopt and description\n"
        in desk.out
    )


def test_a_variable_of_a_value_that_stays_is_kept(desk: Program) -> None:
    text = (
        CARDS[: CARDS.index("  - intent: pin_a")]
        + """  - key: several
    intents: ["${first}", pin_b, pin_c] # of the desk
    queue: Card Services
    when:
      - {attribute: language, in: ["${first}", de]}
      - {attribute: transferAmount, between: ["${low}", 10]}
"""
    )
    path = own_rules(text, "{first: pin_a, low: 5}")

    def change(rows: Rows) -> None:
        set_cell("own/several", "intent", "pin_a; pin_c; change_pin")(rows)
        set_cell("own/several", "language", "not pin_a")(rows)
        set_cell("own/several", "transferAmount", "between 5 and 20")(rows)

    edit(desk, change)
    assert 0 == desk("table", "-e", "prod", "--from", "t.csv"), desk.err
    after = text.replace("pin_b, pin_c]", "pin_c, change_pin]").replace(
        'in: ["${first}", de]', 'notEquals: "${first}"'
    )
    assert path.read_text(encoding="utf-8") == after.replace("10]", "20]")


def test_the_new_address_of_an_edited_intent_is_named(desk: Program) -> None:
    own_rules()
    edit(desk, set_cell("own/pin-a", "intent", "change_pin"))
    assert 0 == desk("table", "-e", "prod", "--from", "t.csv", "--check")
    assert "    new address: own/change-pin\n" in desk.out


@pytest.mark.slow
@pytest.mark.usefixtures("one_environment")
def test_quiet_prints_the_impact_and_the_counts_alone(desk: Program) -> None:
    edit(desk, set_cell("cards/change-pin", "Queue", "Fraud Desk"))
    assert 0 == desk("-q", "table", "-e", "prod", "--from", "t.csv", *LIFTED, "--check")
    assert "~ cards/change-pin" not in desk.out
    assert "1 changed.\n" in desk.out
    assert 'moves from "Card Services" to "Fraud Desk"' in desk.out


@pytest.mark.usefixtures("one_environment")
@pytest.mark.fast_cases(1)
@pytest.mark.parametrize(
    ("heading", "text", "message"),
    [
        ("Queue", "Fraud Desk 50; Fraud Desk 50", '"Fraud Desk" is there twice'),
        (
            "Queue",
            "crd-001",
            '"crd-001" is not a queue of this Environment; did you mean "crd-01"?',
        ),
        (
            "Queue",
            "Fraud Desk, crd-01",
            '"Fraud Desk, crd-01" is not a queue of this Environment',
        ),
        (
            "Queue",
            "Fraud Desk 80, crd-01 20",
            "Several queues need weights, such as Cards 80; General 20",
        ),
        ("Queue", "Fraud Desk / Card Services", "Several queues need weights"),
        (
            "Queue",
            "Fraud Desk; Card Services",
            "each of several queues needs a weight, such as Cards 80; General 20",
        ),
        ("Priority", "99.5", '"99.5" is not a whole number: write one, such as 100'),
        ("Priority", "", "is not a whole number: write one, such as 100"),
        ("Queue", "Fraud\u00a0Desk", "has a no-break space"),
        ("customer tier", "1234567890123456", "a number of more than 15 digits"),
    ],
)
def test_what_a_program_or_a_person_gets_wrong_is_named(
    desk: Program, heading: str, text: str, message: str
) -> None:
    with Path("manifests/queues.yaml").open("a", encoding="utf-8") as queues:
        queues.write("  crd-01: Card Services\n")
    edit(desk, set_cell("cards/change-pin", heading, text))
    assert 3 == desk("table", "-e", "prod", "--from", "t.csv")
    assert message in desk.err
    assert "row " in desk.err


@pytest.mark.fast_cases(1)
@pytest.mark.parametrize("name", ["t.ods", "t.xls", "t.xlsm", "t.txt"])
def test_a_table_of_another_format_is_not_written(desk: Program, name: str) -> None:
    assert 64 == desk("table", "-e", "prod", "--out", name)
    assert "the name of a table ends in .csv, .xlsx or .html" in desk.err
    assert not Path(name).exists()


@pytest.mark.usefixtures("one_environment")
@pytest.mark.fast_cases(1)
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("t.ods", "it is an OpenDocument file (.ods). Save the table as .xlsx"),
        (
            "t.xls",
            "it is an old .xls workbook, or a workbook with a password. Save the table as .xlsx",
        ),
        ("t.html", "HTML is for reading"),
    ],
)
def test_the_first_bytes_of_a_file_show_another_format(
    desk: Program, name: str, message: str
) -> None:
    """By its content: a person may rename it."""
    assert 0 == desk("table", "-e", "prod", "--out", "t.html")
    with ZipFile("t.ods", "w") as archive:
        archive.writestr("mimetype", "application/vnd.oasis.opendocument.spreadsheet")
    Path("t.xls").write_bytes(bytes.fromhex("d0cf11e0a1b11ae1") + bytes(504))
    Path(name).rename("t.csv")
    assert 64 == desk("table", "-e", "prod", "--from", "t.csv")
    assert message in desk.err


@pytest.mark.slow
@pytest.mark.parametrize(
    ("form", "message"),
    [
        ("ods", "it is an OpenDocument file (.ods). Save the table as .xlsx"),
        (
            "xls",
            "it is an old .xls workbook, or a workbook with a password. Save the table as .xlsx",
        ),
        ("html", "HTML is for reading"),
    ],
)
def test_a_file_of_another_format_says_what_it_is(
    desk: Program, tmp_path: Path, form: str, message: str
) -> None:
    assert 0 == desk("table", "-e", "prod", "--out", "t.xlsx")
    saved_by_libreoffice(tmp_path / "t.xlsx", form)
    # By its content: a person may rename it.
    (tmp_path / "saved" / f"t.{form}").rename("t.csv")
    assert 64 == desk("table", "-e", "prod", "--from", "t.csv")
    assert message in desk.err


@pytest.mark.slow
def test_a_workbook_without_a_table_names_the_sheet_that_was_read(
    desk: Program,
) -> None:
    assert 0 == desk("table", "-e", "prod", "--out", "t.xlsx")
    book = load_workbook("t.xlsx")
    del book["prod"]
    book.save("t.xlsx")
    assert 3 == desk("table", "-e", "prod", "--from", "t.xlsx")
    assert (
        "How to edit!A1: row 1 must contain the headings of the table, such as Rule, Queue and"
        in desk.err
    )


@pytest.mark.slow
@pytest.mark.usefixtures("one_environment")
def test_a_read_only_manifest_is_refused_and_nothing_is_written(desk: Program) -> None:
    before = texts()
    edit(desk, set_cell("cards/change-pin", "Queue", "Fraud Desk"))
    Path("manifests/cards.yaml").chmod(0o444)
    assert 4 == desk("table", "-e", "prod", "--from", "t.csv", *LIFTED)
    assert "nothing was written: manifests/cards.yaml is read-only" in desk.err
    assert texts() == before


@pytest.mark.slow
@pytest.mark.usefixtures("one_environment")
def test_the_table_takes_names_labels_and_groups(desk: Program) -> None:
    edit(desk, set_cell("cards/change-pin", "language", "German; en"))
    rows = list(csv.reader(Path("t.csv").read_text(encoding="utf-8").splitlines()))
    cells = {cell for row in rows for cell in row}
    assert "customer tier" in rows[0]
    assert {"Gold; Platinum", "German", "French"} <= cells
    assert "Lost or stolen card" in cells
    assert not {"de", "en", "cancel_transfer"} & cells
    assert 0 == desk("table", "-e", "prod", "--from", "t.csv", *LIFTED)
    assert "in: [de, de-AT, de-CH, de-DE, en]" in texts()["manifests/cards.yaml"]
    labels = (
        "English; German (Austria); German (Switzerland); German (Germany); German (no "
        "country)"
    )
    for cell in ("de; de-AT; de-CH; de-DE; en", labels, "English; German; de-AT"):
        shutil.rmtree("manifests")
        shutil.copytree(BANK, "manifests")
        keep_one_environment()
        edit(desk, set_cell("cards/change-pin", "language", cell))
        assert 0 == desk("table", "-e", "prod", "--from", "t.csv", *LIFTED)
        assert 0 == desk("table", "-e", "prod", "--out", "new.csv")
        assert ",German; English," in Path("new.csv").read_text(encoding="utf-8")


@pytest.mark.slow
@pytest.mark.usefixtures("one_environment")
def test_a_cell_with_a_group_that_is_not_edited_keeps_its_rule(desk: Program) -> None:
    """Written as its values, as labels or as the group, the cell means the same."""
    for cell in (
        "German",
        "de; de-AT; de-CH; de-DE",
        "one of German",
        "German (Germany); German; de",
    ):
        edit(desk, set_cell("languages/german", "language", cell))
        assert 0 == desk("table", "-e", "prod", "--from", "t.csv")
        assert desk.out == "The table has no edits.\n", cell


@pytest.mark.usefixtures("one_environment")
def test_a_group_is_named_where_a_cell_is_refused(desk: Program) -> None:
    edit(desk, set_cell("languages/german", "language", "germen"))
    assert 3 == desk("table", "-e", "prod", "--from", "t.csv")
    assert 'did you mean "German"?' in desk.err
    edit(desk, set_cell("languages/german", "language", "German or French"))
    assert 3 == desk("table", "-e", "prod", "--from", "t.csv")
    assert "and several with semicolons" in desk.err


@pytest.mark.slow
def test_headings_are_names_or_labels(desk: Program) -> None:
    edit(
        desk,
        lambda rows: rows[0].__setitem__(
            rows[0].index("customer tier"), "customerTier"
        ),
    )
    assert 0 == desk("table", "-e", "prod", "--from", "t.csv")
    assert desk.out == "The table has no edits.\n"


@pytest.mark.slow
def test_a_table_with_names_has_no_edits(desk: Program) -> None:
    """The labels of a table can all be replaced by the names that they stand for."""
    assert 0 == desk("-v", "table", "-e", "prod", "--out", "v.csv")
    assert 0 == desk("table", "-e", "prod", "--out", "t.csv")
    assert Path("v.csv").read_bytes() == Path("t.csv").read_bytes()


LABELS = """apiVersion: routing/v1
kind: Attributes
name: own
attributes:
  language:
    values: {de: German, german: Deutsch, en: de, fr: Same, it: Same}
"""


def test_a_label_that_is_not_exact_is_not_shown(desk: Program) -> None:
    """`de` is a name and a label, two values have the label Same, and a rule has the undeclared
    value Deutsch.
    """
    path = own_rules()
    Path("manifests/attributes.yaml").write_text(LABELS, encoding="utf-8")
    values = ("de", "german", "en", "fr", "it", "Deutsch")
    rules = [
        f"  - key: {value.lower()}-x\n    name: {value}\n    intent: a\n    queue: A\n    "
        f"priority: {number}\n"
        f"    when: [{{attribute: language, equals: {value}}}]\n"
        for number, value in enumerate(values)
    ]
    path.write_text(CARDS[: CARDS.index("  # All")] + "".join(rules), encoding="utf-8")
    edit(desk, lambda _: None)
    rows = list(csv.reader(Path("t.csv").read_text(encoding="utf-8").splitlines()))
    at = rows[0].index("language")
    assert [row[at] for row in rows[1:]] == [
        "German",
        "german",
        "en",
        "fr",
        "it",
        "Deutsch",
    ]
    assert 0 == desk("table", "-e", "prod", "--from", "t.csv")
    assert desk.out == "The table has no edits.\n"


@pytest.mark.usefixtures("one_environment")
@pytest.mark.fast_cases(1)
@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("German (no country)", "French (no country)"),
        ("group: German", "group: French"),
    ],
)
def test_a_table_with_other_labels_or_groups_is_of_other_rules(
    desk: Program, first: str, second: str
) -> None:
    """If two are exchanged, the same cells would mean other values."""
    edit(desk, set_cell("cards/change-pin", "language", "German"))
    path = Path("manifests/attributes.yaml")
    text = path.read_text(encoding="utf-8")
    changed = text.replace(first, "?").replace(second, first).replace("?", second)
    assert text != changed
    path.write_text(changed, encoding="utf-8")
    assert 4 == desk("table", "-e", "prod", "--from", "t.csv")
