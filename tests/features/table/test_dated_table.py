"""Rules with dates in a table: two columns, rules of all times, and steps that are for reading."""

from __future__ import annotations

import csv
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from random import Random
from typing import Any, Final

import pytest
import yaml

from tests.support.cases import each_case
from tests.support.program import Program, write

HEAD: Final = """apiVersion: routing/v1
kind: Environment
name: sandbox
owner: acme
timezone: Europe/Zurich
---
apiVersion: routing/v1
kind: RuleSet
name: cards
rules:
"""
RULES: Final = """\
  - {key: rest, queue: General, when: [], priority: 900}
  - {key: xmas, intent: refund, queue: Fraud, until: 2026-12-27T06:00}  # first
  - {key: xmas, intent: refund, queue: Cards, from: 2026-12-27T06:00}
  - intent: card
    targets: [{queue: Cards, weight: 3}, {queue: Partner, weight: 0}]
    steps: [{at: 2026-12-23T06:00, weights: {Cards: 1, Partner: 2}}]
"""
STEPS: Final = "Cards 3, from 2026-12-23T06:00: Partner 2; Cards 1"
NOW: Final = datetime(2026, 12, 1, tzinfo=UTC)
Rows = list[list[str]]


@pytest.fixture
def desk(cxroute: Program, monkeypatch: pytest.MonkeyPatch) -> Program:
    """The manifests on a day."""
    write("m.yaml", HEAD + RULES)
    monkeypatch.setattr("reconciler.cli.command_line.utc_now", lambda: NOW)
    return cxroute


def rows(cxroute: Program) -> Rows:
    assert 0 == cxroute("table", "-e", "sandbox"), cxroute.err
    return [*csv.reader(StringIO(cxroute.out))]


def save(table: Rows) -> None:
    stream = StringIO()
    csv.writer(stream).writerows(table)
    Path("table.csv").write_text(stream.getvalue(), "utf-8")


def set_cell(table: Rows, name: str, heading: str, text: str) -> None:
    (row,) = (row for row in table if row[0] == name)
    row[table[0].index(heading)] = text


def text() -> str:
    return Path("manifests/m.yaml").read_text("utf-8")


def test_rules_of_all_times_are_in_the_table(desk: Program) -> None:
    """Each with its dates as they are written; a second rule of an address has a number."""
    headings, *lines = rows(desk)
    assert ["Queue", "From", "Until"] == headings[4:7]
    shown = sorted([row[0], *row[4:7]] for row in lines)
    time = '"2026-12-27T06:00"'
    assert [
        ["cards/card", STEPS, "", ""],
        ["cards/rest", "General", "", ""],
        ["cards/xmas", "Fraud", "", time],
        ["cards/xmas (2)", "Cards", time, ""],
    ] == shown


def test_without_dates_the_columns_are_not_there(desk: Program) -> None:
    """An attribute may have their names then."""
    rule = "  - {key: a, queue: Cards, when: [{attribute: From, equals: x}]}\n"
    write("m.yaml", HEAD + rule)
    headings, _ = rows(desk)
    assert ["Rule", "Priority", "On", "From", "Queue"] == headings[:-1]
    write("m.yaml", HEAD + rule + RULES)
    headings, *_ = rows(desk)
    assert 1 == headings.count("From")
    assert '"From"' in headings


def test_a_table_does_not_depend_on_its_time(
    desk: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So a table may be edited over a date."""
    first = rows(desk)
    later = NOW + timedelta(days=365)
    monkeypatch.setattr("reconciler.cli.command_line.utc_now", lambda: later)
    assert first == rows(desk)


@each_case(
    "edits, old, new",
    [
        (
            [("cards/rest", "Until", "2027-01-07T00:00")],
            "priority: 900}",
            "priority: 900, until: 2027-01-07T00:00}",
        ),
        (
            [("cards/xmas (2)", "Until", '"2027-01-07T00:00:30+05:30"')],
            "from: 2026-12-27T06:00}",
            'from: 2026-12-27T06:00, until: "2027-01-07T00:00:30+05:30"}',
        ),
        (
            [("cards/xmas", "Queue", "Cards"), ("cards/xmas", "Priority", "7")],
            "queue: Fraud, until: 2026-12-27T06:00}",
            "queue: Cards, priority: 7, until: 2026-12-27T06:00}",
        ),
        (
            [("cards/xmas (2)", "From", ""), ("cards/xmas", "Rule", "")],
            "",
            "",
        ),
        (
            [
                ("cards/card", "Priority", "7"),
                ("cards/card", "From", "2026-12-02T00:00"),
            ],
            "weight: 0}]\n",
            "weight: 0}]\n    priority: 7\n    from: 2026-12-02T00:00\n",
        ),
    ],
)
def test_edited_cells_are_edits_of_the_manifest(
    desk: Program, edits: list[tuple[str, str, str]], old: str, new: str
) -> None:
    """All other bytes stay, also of the other rule with the address."""
    write("m.yaml", HEAD + RULES)
    table = rows(desk)
    for name, heading, cell in edits:
        if heading == "Rule":
            table = [row for row in table if row[0] != name]
        else:
            set_cell(table, name, heading, cell)
    save(table)
    assert 0 == desk("table", "--from", "table.csv", "--allow", "deletes"), desk.err
    assert "Now, without the tenant's own rules" in desk.out
    if old:
        assert (HEAD + RULES).replace(old, new).replace('"', "") == text().replace(
            '"', ""
        )
    else:
        assert "{key: xmas, intent: refund, queue: Cards}" in text()
        assert "Fraud" not in text()
        save(rows(desk))
    assert 0 == desk("table", "--from", "table.csv"), desk.err


@each_case(
    "name, heading, cell, problem",
    [
        (
            "cards/card",
            "Queue",
            "Cards",
            "cards/card has steps, and each step has its weights",
        ),
        ("cards/rest", "From", "27.12.2026", '"27.12.2026" must be a time, such as'),
        (
            "cards/rest",
            "From",
            "2026-12-27 06:00",
            "Write it with quotes, or leave the cell empty",
        ),
        (
            "cards/rest",
            "Until",
            "2027-10-31T02:30",
            "could mean 2027-10-31T02:30:00+02:00 or 2027-10-31T02:30:00+01:00",
        ),
        (
            "cards/rest",
            "From",
            "2027-03-28T02:30",
            "could mean 2027-03-28T03:30:00+02:00 or 2027-03-28T01:30:00+01:00",
        ),
        (
            "cards/xmas",
            "Until",
            "2026-12-28T06:00",
            "there is a rule cards/xmas already",
        ),
        (
            "cards/xmas (2)",
            "Until",
            "2026-12-26T06:00",
            "the rule ends before it begins",
        ),
    ],
)
def test_cells_that_are_refused(
    desk: Program, name: str, heading: str, cell: str, problem: str
) -> None:
    """The manifests stay."""
    write("m.yaml", HEAD + RULES)
    table = rows(desk)
    set_cell(table, name, heading, cell)
    save(table)
    assert 3 == desk("table", "--from", "table.csv"), desk.out
    assert problem in desk.err
    assert HEAD + RULES == text()


def test_a_new_row_may_have_dates(desk: Program) -> None:
    """It becomes a rule at the end."""
    table = rows(desk)
    new = [""] * len(table[0])
    table.append(new)
    new[0] = "cards/summer"
    set_cell(table, "cards/summer", "intent", "refund")
    set_cell(table, "cards/summer", "Queue", "General")
    set_cell(table, "cards/summer", "From", "2027-07-01T00:00")
    save(table)
    assert 0 == desk("table", "--from", "table.csv"), desk.err
    rule = yaml.safe_load(text().rpartition("---")[2])["rules"][-1]
    assert "2027-07-01T00:00" == rule["from"]
    assert "summer" == rule["key"]


@pytest.mark.parametrize("seed", range(8))
def test_random_dates_come_back(desk: Program, seed: int) -> None:
    """Beside a reading of the file by another reader of YAML."""
    random = Random(seed)
    lines = []
    for number in range(random.randint(2, 6)):
        fields: dict[str, Any] = {"key": f"k{number}", "intent": f"i{number}"}
        fields["queue"] = random.choice(["Cards", "Fraud"])
        fields |= random_dates(random)
        written = ", ".join(f"{name}: {value}" for name, value in fields.items())
        lines.append(f"  - {{{written}}}\n")
    write("m.yaml", HEAD + "".join(lines) + RULES)
    table = rows(desk)
    save(table)
    assert 0 == desk("table", "--from", "table.csv")
    assert "The table has no edits." in desk.out

    wanted = {}
    for row in table[1:]:
        if row[0].startswith("cards/k"):
            dates = random_dates(random)
            wanted[row[0][6:]] = dates
            set_cell(table, row[0], "From", dates.get("from", ""))
            set_cell(table, row[0], "Until", dates.get("until", ""))
    save(table)
    assert 0 == desk("table", "--from", "table.csv"), desk.err
    rules = yaml.safe_load(text().rpartition("---")[2])["rules"]
    found = {
        rule["key"]: {name: rule[name] for name in ("from", "until") if name in rule}
        for rule in rules
        if rule.get("key", "").startswith("k")
    }
    assert wanted == found


def random_dates(random: Random) -> dict[str, str]:
    """Return no, one or both dates."""
    times = sorted(random.sample(range(1, 300), 2))
    shown = [f"{NOW + timedelta(days=time):%Y-%m-%dT}0{time % 9}:30" for time in times]
    pairs = zip(("from", "until"), shown, strict=True)
    return {name: time for name, time in pairs if random.random() < 0.6}
