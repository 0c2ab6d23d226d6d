"""A table of generated manifests: unedited nothing changes; an edited cell changes one scalar, as
by hand.
"""

from __future__ import annotations

import csv
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from random import Random
from typing import Any

import pytest

from reconciler.core.desired.desired import desire_offline
from reconciler.core.manifest.kinds.environment import Environment
from reconciler.core.manifest.load import Manifests, load_manifests, load_with_changes
from reconciler.core.manifest.yaml_writer import format_flow, format_scalar
from reconciler.core.model.rule import Rule
from reconciler.core.plan.routing_table import conditions_by_attribute
from reconciler.features.table.cells import write_name
from reconciler.features.table.command import CurrentRules, read_rules
from reconciler.features.table.compare_sheet import TableEdits, compare_sheet
from reconciler.features.table.manifest_edits import ManifestWriter, find_difference
from reconciler.features.table.rows import NAME, Column
from reconciler.features.table.sheet import Sheet, SheetError, read_csv, write_csv
from reconciler.features.table.xlsx_file import read_xlsx, write_xlsx
from tests.support.hostile_names import HOSTILE_NAMES
from tests.tiers import size

ENVIRONMENT = (
    "apiVersion: routing/v1\nkind: Environment\nname: prod\nowner: acme\ntenant: acme\n"
)
VALUES = [
    text
    for text in HOSTILE_NAMES.values()
    if text and not any("\ud800" <= letter <= "\udfff" for letter in text)
]
NUMBERS = [-1, 0, 2, 3.5, -0.25, 1e-7, 10**17, 123456789012345]
NAMES = [
    *(name for text in VALUES if len(name := f"{text} of it") <= 100),
    *(
        "true",
        "WAHR",
        "10",
        "1e5",
        "Mar 1",
        "=1+1",
        "a; b",
        "a and b",
        "one of",
        "is 5",
        "present",
        "between 1 and 2",
    ),
    *(
        "Terms, and fees",
        "'x",
        '"x"',
        "_x0041_",
        "-x",
        "not gold",
        "exactly",
        "German (Austria)",
        "Über",
        "> 5",
        "x 5",
    ),
]
"""Names of groups and labels: none is a value."""
QUEUES = [
    "A",
    "B b",
    "C-c",
    "Über & Söhne",
    "=1+1",
    "Q 5",
    "Mar 1",
    "-x",
    "@home",
    "_x0041_",
    "Q 1e5",
]
OPERATORS: dict[str, Callable[[Random], Any]] = {
    "equals": lambda random: random.choice([*VALUES, *NUMBERS, "5"]),
    "notEquals": lambda random: random.choice(VALUES),
    "in": lambda random: random.sample([*VALUES, *NUMBERS], random.randint(0, 3)),
    "notIn": lambda random: random.sample([*VALUES, *NUMBERS], 2),
    "contains": lambda random: random.choice(VALUES),
    "notStartsWith": lambda random: random.choice(VALUES),
    "exists": lambda _: True,
    "notExists": lambda _: True,
    "greaterThan": lambda random: random.choice([1, 0.25, -3, "7", 1e-7, 10**20]),
    "lessThanOrEqual": lambda random: random.choice([-1, 12.5, "-7"]),
    "between": lambda random: [1, random.choice([0.5, 2, 10**6])],
}


def a_rule(random: Random, key: str) -> dict[str, Any]:
    rule: dict[str, Any] = {"key": key, "name": key}
    kind = random.random()
    if kind < 0.4:
        rule["intent"] = random.choice(VALUES).replace("$", "$$")
    elif kind < 0.6:
        rule["intents"] = [
            value.replace("$", "$$") for value in random.sample(VALUES, 2)
        ]
    if random.random() < 0.3:
        rule["minConfidence"] = random.choice([0, 0.35, 1])
    if random.random() < 0.1:
        rule["belowConfidence"] = 0.9
    items = []
    for attribute in random.choices(
        ["tier", "Queue", "naïve name", "9"], k=random.choice([0, 1, 2, 3])
    ):
        operator = random.choice(list(OPERATORS))
        items.append(
            {"attribute": attribute, operator: _escaped(OPERATORS[operator](random))}
        )
    if items or len(rule) == 2:
        rule["when"] = items
    if random.random() < 0.2:
        rule["targets"] = [
            {"queue": queue, "weight": random.choice([1, 2.5, 80, 1e-7, 10**20])}
            for queue in random.sample(QUEUES, 2)
        ]
    else:
        rule["queue"] = random.choice(QUEUES)
    if random.random() < 0.5:
        rule["priority"] = random.choice([-5, 0, 17, 2**31 - 1, -(2**31)])
    if random.random() < 0.1:
        rule["enabled"] = False
    return rule


def _escaped(value: Any) -> Any:
    if isinstance(value, list):
        return [_escaped(item) for item in value]
    return value.replace("$", "$$") if isinstance(value, str) else value


def manifests_of(random: Random) -> str:
    lines = [f"# {random.randint(0, 99)} is a comment\n"]
    rules = list[dict[str, Any]]()
    for number in range(random.randint(1, 6)):
        rules.append(a_rule(random, f"k{number}"))
        rule = format_flow(rules[-1])
        lines.append(
            f"  - {rule} # comment {number}\n"
            if random.random() < 0.5
            else f"  -   {rule}\n"
        )
    head = ENVIRONMENT + (descriptions(random, rules) if random.random() < 0.6 else "")
    return f"{head}---\napiVersion: routing/v1\nkind: RuleSet\nname: set\nrules:\n{''.join(lines)}"


def descriptions(random: Random, rules: list[dict[str, Any]]) -> str:
    """Return documents with labels and groups of the values in the rules' lists, and of some
    others.
    """
    listed = dict[str, list[list[str]]]()
    for rule in rules:
        listed.setdefault("intent", []).append(rule.get("intents", []))
        for item in rule.get("when", ()):
            values = item.get("in") or item.get("notIn") or []
            listed.setdefault(item["attribute"], []).append(
                [value for value in values if isinstance(value, str)]
            )
    described = {name: _described(random, lists) for name, lists in listed.items()}
    intents = [
        {"name": name, **fields} for name, fields in described.pop("intent").items()
    ]
    attributes = {
        name: {"values": values} for name, values in described.items() if values
    }
    documents = {
        "Intents": {"intents": intents},
        "Attributes": {"attributes": attributes},
    }
    return "".join(
        f"---\napiVersion: routing/v1\nkind: {kind}\nname: d\n{format_flow(fields)[1:-1]}\n"
        for kind, fields in documents.items()
    )


def _described(random: Random, lists: list[list[str]]) -> dict[str, dict[str, str]]:
    """Return the label, the group or both of values: groups are lists, parts of them, or have a
    value more.
    """
    names = [*random.sample(NAMES, len(NAMES))]
    actual = dict[str, dict[str, str]]()
    for values in lists:
        members = [
            text
            for value in values
            if (text := value.replace("$$", "$")) and text not in actual
        ]
        if random.random() < 0.3:
            members = members[:1] + random.sample(
                [value for value in VALUES if value not in actual], 1
            )
        group = names.pop()
        for member in members:
            actual[member] = {"group": group} | (
                {"label": names.pop()} if random.random() < 0.3 else {}
            )
    return actual


class Desk:
    """Manifests of one folder, and their table."""

    def __init__(self, folder: Path, text: str) -> None:
        self.folder = folder
        (folder / "a.yaml").write_text(text, encoding="utf-8")
        self.manifests: Manifests = load_manifests(folder)
        self.environment: Environment = self.manifests.environments["prod"].document
        self.current: CurrentRules = read_rules(self.manifests, self.environment)

    @property
    def rows(self) -> list[list[str]]:
        """Return the cells, headings included."""
        table = self.current.table
        return [table.headings, *(list(row.cells.values()) for row in table.rows)]

    def compare(self, sheet: Sheet) -> TableEdits:
        """Return the edits of a sheet."""
        return compare_sheet(self.current.table, sheet, self.current.vocabulary)

    def write(self, rows: list[list[str]]) -> str:
        """Return the text of the file with the edits of a table; its rules are those of the
        table.
        """
        writer = ManifestWriter(self.manifests, self.current.tenant)
        (text,) = writer.write(
            self.compare(read_csv(write_csv(rows).encode()))
        ).values()
        (file,) = {loaded.file for loaded in self.manifests.rulesets}
        after = load_with_changes(self.folder, {file: text.encode()})
        assert (
            find_difference(writer.expected, desire_offline(after, self.environment)[0])
            is None
        )
        return text


@pytest.mark.generated
@pytest.mark.fast_cases(6)
@pytest.mark.parametrize("seed", range(size(fast=6, slow=150, full=5000)))
def test_an_unedited_table_has_no_edits(seed: int, tmp_path: Path) -> None:
    desk = Desk(tmp_path, manifests_of(Random(seed)))
    text = write_csv(desk.rows)
    assert list(csv.reader(StringIO(text))) == desk.rows
    assert desk.compare(read_csv(f"\ufeff{text}".encode())) == TableEdits()
    semicolons = StringIO()
    csv.writer(semicolons, delimiter=";").writerows(desk.rows)
    assert desk.compare(read_csv(semicolons.getvalue().encode())) == TableEdits()
    if seed % 10 == 0:
        assert (
            desk.compare(
                read_xlsx(write_xlsx("prod", desk.rows, {0: ["a"]}, [("x", "y")]))
            )
            == TableEdits()
        )


@pytest.mark.generated
@pytest.mark.fast_cases(6)
@pytest.mark.parametrize("seed", range(size(fast=6, slow=60, full=1000)))
def test_an_edited_queue_changes_one_scalar(seed: int, tmp_path: Path) -> None:
    random = Random(seed)
    text = manifests_of(random)
    desk = Desk(tmp_path, text)
    keys = [row.cells[NAME].removeprefix("set/") for row in desk.current.table.rows]
    single = [key for key in keys if "queue" in _fields(desk, key)]
    remaining_items = sorted(desk.current.vocabulary.queues)
    if not single or len(remaining_items) < 2:
        return
    key = random.choice(single)
    old = _fields(desk, key)["queue"]
    new = random.choice([queue for queue in remaining_items if queue != old])
    rows = desk.rows
    rows[keys.index(key) + 1][rows[0].index("Queue")] = write_name(new)
    line = next(line for line in text.splitlines() if f"key: {key}," in line)
    start = line.rindex("queue: ") + len("queue: ")
    by_hand = text.replace(
        line,
        f"{line[:start]}{format_scalar(new)}{line[start + len(format_scalar(old)) :]}",
    )
    # The quotes of a changed value stay; every other byte is the same.
    assert desk.write(rows).replace(f'"{new}"', new) == by_hand.replace(f'"{new}"', new)
    (tmp_path / "hand").mkdir()
    hand = Desk(tmp_path / "hand", by_hand)
    assert hand.rows[1:] == [
        row[:-1] + hand.rows[at][-1:] for at, row in enumerate(rows) if at
    ]


@pytest.mark.fast_cases(6)
@pytest.mark.generated
@pytest.mark.parametrize("seed", range(size(fast=6, slow=100, full=2000)))
def test_every_written_cell_is_read_in_every_row_with_the_same_meaning(
    seed: int, tmp_path: Path
) -> None:
    desk = Desk(tmp_path, manifests_of(Random(seed)))
    table = desk.current.table
    for column in table.columns:
        if not column.is_editable:
            continue
        for source in table.rows:
            rows = desk.rows
            at = rows[0].index(column.heading)
            for row in rows[1:]:
                row[at] = source.cells[column]
            edits = desk.compare(read_csv(write_csv(rows).encode()))
            rules = {row.entry.name: row.rule for row in edits.edited if row.entry}
            for target in table.rows:
                edited = rules.get(target.entry.name, target.entry.rule)
                assert meaning_in(column, edited) == meaning_in(
                    column, source.entry.rule
                )


def meaning_in(column: Column, rule: Rule) -> object:
    """Return what the cells of a column state about a rule."""
    if column.heading == "Priority":
        return rule.priority
    if column.heading == "On":
        return rule.enabled
    if column.heading == "Queue":
        return sorted(map(str, rule.targets))
    return frozenset(conditions_by_attribute(rule).get(column.attribute, ()))


@pytest.mark.generated
@pytest.mark.fast_cases(6)
@pytest.mark.parametrize("seed", range(size(fast=6, slow=60, full=1000)))
def test_cells_copied_from_other_rows_define_exactly_these_rules(
    seed: int, tmp_path: Path
) -> None:
    random = Random(seed)
    text = manifests_of(random)
    desk = Desk(tmp_path, text)
    rows = desk.rows
    for _ in range(random.randint(1, 3)):
        at = random.randrange(1, len(rows))
        candidate = random.randrange(1, len(rows))
        column = random.randrange(1, len(rows[0]) - 1)
        rows[at][column] = rows[candidate][column]
    if random.random() < 0.3 and len(rows) > 2:
        del rows[random.randrange(1, len(rows))]
    if random.random() < 0.3:
        rows.append([f"set/new{seed}", *rows[1][1:]])
    if desk.compare(read_csv(write_csv(rows).encode())) == TableEdits():
        return
    try:
        edited = desk.write(rows)  # which proves that the rules are those of the table
    except SheetError:  # such as an address that two rules would have
        return
    retained = {row[0].removeprefix("set/") for row in rows[1:]}
    for line in text.splitlines():
        if " # comment" in line and any(f"key: {key}," in line for key in retained):
            assert line.rpartition(" # ")[2] in edited


def _fields(desk: Desk, key: str) -> dict[str, Any]:
    rules = desk.manifests.rulesets[0].source_map.root["rules"]
    return next(rule for rule in rules if rule["key"] == key)
