"""`cxroute table` on the bank: out, edited, back; new and removed rows; refusals by cell; nothing half written."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from openpyxl import load_workbook

from tests.support.libreoffice import saved_by_libreoffice
from tests.support.program import Program

BANK = Path(__file__).parents[2] / "manifests"
Rows = list[list[str]]


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Program:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(BANK, "manifests")
    return Program(capsys)


def texts() -> dict[str, str]:
    return {str(path): path.read_text(encoding="utf-8") for path in Path("manifests").rglob("*.yaml")}


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


def test_an_edited_queue_changes_one_word_and_shows_who_moves(desk: Program) -> None:
    before = texts()
    edit(desk, set_cell("cards/change-pin", "Queue", "Fraud Desk"))
    assert 0 == desk("table", "-e", "prod", "--from", "t.csv", "--check")
    assert texts() == before
    assert "Queue: Card Services -> Fraud Desk" in desk.out
    assert '"Card Services" -> "Fraud Desk"' in desk.out
    assert "staging gets 1 changed rule too" in desk.out
    assert "Nothing was written. To write this: cxroute table -e prod --from t.csv" in desk.out
    assert 2 == desk("table", "-e", "prod", "--from", "t.csv", "--check", "--detailed-exitcode")
    assert 0 == desk("table", "-e", "prod", "--from", "t.csv")
    changed = {file: text for file, text in texts().items() if text != before[file]}
    old = "  - intent: change_pin\n    queue: card-services\n"
    cards = "manifests/cards.yaml"
    assert changed == {cards: before[cards].replace(old, old.replace("card-services", "fraud"))}
    assert 0 == desk("table", "-e", "prod", "--from", "t.csv")
    assert desk.out == "The table has no edits.\n"


def test_the_plan_of_an_edited_cell_is_that_of_the_edit_by_hand(desk: Program) -> None:
    edit(desk, set_cell("cards/change-pin", "confidence", ">= 0.8"))
    assert 0 == desk("table", "-e", "prod", "--from", "t.csv")
    from_table = texts()
    shutil.rmtree("manifests")
    shutil.copytree(BANK, "manifests")
    path = Path("manifests/cards.yaml")
    text = path.read_text(encoding="utf-8")
    path.write_text(
        text.replace(
            "change_pin\n    queue: card-services\n    minConfidence: 0.7",
            "change_pin\n    queue: card-services\n    minConfidence: 0.8",
        )
    )
    assert texts() == from_table


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
    assert 0 == desk("table", "-e", "prod", "--from", "t.csv")
    # The deletion is named before the file is.
    assert desk.out.index("- cards/pin-blocked") < desk.out.index("wrote manifests/cards.yaml")
    text = texts()["manifests/cards.yaml"]
    assert "pin_blocked\n    queue: card-services" not in text
    new = "  - intent: pin_blocked\n    minConfidence: null\n    when: [{attribute: language, equals: en}]\n"
    assert new in text
    assert text.index(new) > text.index("card-acceptance")
    assert {file for file, each in texts().items() if each != before[file]} == {"manifests/cards.yaml"}
    given = ("--intent", "pin_blocked", "--confidence", "0.9", "--attr", "language=en")
    assert 0 == desk("explain", "-e", "prod", *given)
    assert 'goes to "General Service", by cards/pin-blocked' in desk.out


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            set_cell("cards/change-pin", "Queue", "Fraud Dsk"),
            'is not a queue of this Environment; did you mean "Fraud Desk"?',
        ),
        (set_cell("cards/change-pin", "intent", "Change_pin"), 'is not a known value; did you mean "change_pin"?'),
        (set_cell("cards/change-pin", "confidence", ">= 0,7"), "a number has a decimal point, such as 0.7"),
        (set_cell("cards/change-pin", "Priority", "1.5"), "is not a whole number"),
        (set_cell("cards/change-pin", "On", "maybe"), "is neither yes nor no"),
        (set_cell("Rule", "Queue", "Que"), 'the heading "Que"'),
        (set_cell("cards/change-pin", "Rule", "cards/pin-blocked"), "is in two rows"),
        (set_cell("cards/change-pin", "Rule", "Cards!"), "is not a RuleSet, and not an address"),
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


def test_a_table_of_other_rules_is_refused_with_both_values(desk: Program) -> None:
    edit(desk, set_cell("cards/change-pin", "Queue", "Fraud Desk"))
    path = Path("manifests/cards.yaml")
    path.write_text(path.read_text(encoding="utf-8").replace("minConfidence: 0.65", "minConfidence: 0.66"))
    before = texts()
    assert 4 == desk("table", "-e", "prod", "--from", "t.csv")
    assert '"Fraud Desk" in the table, "Card Services" in the manifests' in desk.err
    assert '">= 0.65" in the table, ">= 0.66" in the manifests' in desk.err
    assert texts() == before
    assert 4 == desk("table", "-e", "staging", "--from", "t.csv")
    assert 'this is a table of "prod", and -e is staging' in desk.err


def test_a_workbook_comes_back_from_libreoffice_with_its_edit(desk: Program, tmp_path: Path) -> None:
    assert 0 == desk("table", "-e", "prod", "--out", "t.xlsx")
    book = load_workbook("t.xlsx")
    sheet = book["prod"]
    headings = [cell.value for cell in sheet[1]]
    row = next(
        number for number, (cell, *_) in enumerate(sheet.iter_rows(), start=1) if cell.value == "cards/change-pin"
    )
    sheet.cell(row, headings.index("Queue") + 1).value = "Fraud Desk"
    book.save("t.xlsx")
    saved = saved_by_libreoffice(tmp_path / "t.xlsx", "xlsx")
    assert 0 == desk("table", "-e", "prod", "--from", str(saved), "--check")
    assert f"prod!I{row} Queue: Card Services -> Fraud Desk" in desk.out
    assert "1 changed." in desk.out


def test_the_workbook_offers_queues_and_values_and_explains_itself(desk: Program) -> None:
    assert 0 == desk("table", "-e", "prod", "--out", "t.xlsx")
    book = load_workbook("t.xlsx")
    assert book.sheetnames == ["prod", "How to edit", "Lists"]
    choices = {
        str(choice.sqref).partition("2:")[0]: choice.formula1 for choice in book["prod"].data_validations.dataValidation
    }
    headings = {cell.value: cell.coordinate[0] for cell in book["prod"][1]}
    assert set(choices) == {headings[name] for name in ("On", "intent", "customerTier", "language", "Queue")}
    column = choices[headings["Queue"]].partition("$")[2][0]
    assert {"Fraud Desk", "Card Services"} <= {cell.value for cell in book["Lists"][column]}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--check"], "--check and --detailed-exitcode go with --from"),
        (["--from", "t.csv", "--out", "x"], "specify one of them"),
        (["--from", "absent.csv"], "cannot be read"),
        (["--format", "xlsx"], "a workbook cannot go to stdout"),
    ],
)
def test_wrong_options_are_a_usage_error(desk: Program, words: list[str], message: str) -> None:
    assert 64 == desk("table", "-e", "prod", *words)
    assert message in desk.err


def test_the_impact_is_that_of_the_manifests_alone(desk: Program) -> None:
    edit(desk, set_cell("general/ask-again", "Priority", "860"))
    assert 0 == desk("table", "-e", "prod", "--from", "t.csv", "--check")
    assert "By the manifests alone; holds and rules of the tenant that are not managed are known to `plan`:" in desk.out


def test_an_edit_that_another_environment_cannot_have_is_refused(desk: Program) -> None:
    queues = Path("manifests/queues.yaml")
    queues.write_text(queues.read_text(encoding="utf-8") + "  only-prod: {prod: {name: Only Prod}}\n", encoding="utf-8")
    before = texts()
    edit(desk, set_cell("cards/change-pin", "Queue", "Only Prod"))
    assert 3 == desk("table", "-e", "prod", "--from", "t.csv")
    assert "would become invalid" in desk.err
    assert texts() == before


def test_a_queue_whose_name_ends_in_a_weight_is_not_clear(desk: Program) -> None:
    queues = Path("manifests/queues.yaml")
    text = queues.read_text(encoding="utf-8") + "  team: Team\n  team-two: Team 2\n  same: Team\n"
    queues.write_text(text, encoding="utf-8")
    edit(desk, set_cell("cards/change-pin", "Queue", "Team 2"))
    assert 3 == desk("table", "-e", "prod", "--from", "t.csv")
    assert '"Team 2" is not clear: write the name in quotes, "Team 2" or "Team" 2' in desk.err
    edit(desk, set_cell("cards/change-pin", "Queue", '"Team 2"'))
    assert 0 == desk("table", "-e", "prod", "--from", "t.csv")
    assert "queue: team-two\n    minConfidence: 0.7\n" in texts()["manifests/cards.yaml"]


def test_two_rules_may_exchange_their_intents(desk: Program) -> None:
    def change(rows: Rows) -> None:
        one, two = (next(row for row in rows if row[0] == name) for name in ("cards/change-pin", "cards/pin-blocked"))
        at = rows[0].index("intent")
        one[at], two[at] = two[at], one[at]

    edit(desk, change)
    assert 0 == desk("table", "-e", "prod", "--from", "t.csv")


def test_a_condition_that_was_removed_by_hand_does_not_come_back(desk: Program) -> None:
    edit(desk, lambda _: None)
    path = Path("manifests/fraud.yaml")
    before, when, after = path.read_text(encoding="utf-8").partition("    when:\n")
    assert when
    assert "transferAmount" in after.partition("\n")[0]
    path.write_text(before + after.partition("\n")[2], encoding="utf-8")
    assert 4 == desk("table", "-e", "prod", "--from", "t.csv")
    assert '">= 10000" in the table, "" in the manifests' in desk.err


def test_a_new_row_of_a_ruleset_of_another_environment_is_refused(desk: Program) -> None:
    text = "apiVersion: routing/v1\nkind: RuleSet\nname: other\nenvironments: [staging]\nrules: []\n"
    Path("manifests/other.yaml").write_text(text, encoding="utf-8")

    def change(rows: Rows) -> None:
        new = dict.fromkeys(rows[0], "") | {"Rule": "other", "intent": "change_pin", "Queue": "General Service"}
        rows.append(list(new.values()))

    edit(desk, change)
    assert 3 == desk("table", "-e", "prod", "--from", "t.csv")
    assert 'column A: RuleSet "other" is not for prod' in desk.err


def test_the_name_of_several_queues_is_refused(desk: Program) -> None:
    queues = Path("manifests/queues.yaml")
    text = queues.read_text(encoding="utf-8") + "  Support: {prod: {id: '111'}}\n  other-support: Support\n"
    queues.write_text(text, encoding="utf-8")
    edit(desk, set_cell("cards/change-pin", "Queue", "Support"))
    assert 3 == desk("table", "-e", "prod", "--from", "t.csv")
    assert '"Support" is the name of several queues' in desk.err
