"""The records of the operators: complete, consistent with each other and with the oracle, and
enough for a new operator.
"""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path
from random import Random

import pytest

from reconciler.core.behaviour.space.domain import Domain, intersect
from reconciler.core.manifest.documents import manifest_schema
from reconciler.core.model.operators import OPERATORS, RANGES, RECORDS, Operator
from reconciler.core.model.rule import make_condition, to_api_json
from tests.support.added_operator import ExtendedPackage
from tests.support.brute_force import holds
from tests.tiers import size

VALUES = ("", "gold", "card order", "order", "x", -1, 0, 0.3, 0.5, 0.7, 2)
ATTRIBUTE = "score"


def operand(record: Operator, random: Random) -> object:
    """Return a random value to compare with, of those that the values above may fulfil."""
    texts = [value for value in VALUES if isinstance(value, str)]
    numbers = [value for value in VALUES if isinstance(value, (int, float))]
    match record.kind:
        case "existence":
            return True
        case "equality":
            return random.choice([*texts, *numbers])
        case "set":
            return random.sample([*texts, *numbers], random.randint(0, 4))
        case "pattern":
            return random.choice(["", "o", "order", "card", "d"])
        case "bound":
            return random.choice(numbers)
        case "interval":
            return [random.choice(numbers), random.choice(numbers)]


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.name)
def test_a_record_is_whole_and_its_complement_is_another_record(
    record: Operator,
) -> None:
    """Only what Studio lacks, and the complement of an interval, may be empty; each word means
    one operator.
    """
    empty = {
        field.name for field in fields(record) if getattr(record, field.name) == ""
    }
    assert empty <= {"studio", "complement", "denies"}
    assert bool(record.complement) or record.kind == "interval"
    if record.complement:
        assert record.name == OPERATORS[record.complement].complement
    assert record.denies in ("", record.complement)
    remaining_items = [
        other_record for other_record in RECORDS if other_record is not record
    ]
    assert record.words not in {candidate.words for candidate in remaining_items}
    assert record.cell not in {candidate.cell for candidate in remaining_items}
    make_condition(ATTRIBUTE, record.name, record.example)
    schema = manifest_schema()["$defs"]["RuleEntry"]["properties"]["when"]["items"][
        "properties"
    ][record.name]
    assert schema["description"] == record.description


@pytest.mark.generated
@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.name)
def test_the_parts_of_a_record_agree_with_the_oracle(record: Operator) -> None:
    """The test of one value, the atoms of all values, and brute force say the same."""
    named = [make_condition(ATTRIBUTE, "equals", value) for value in VALUES]
    outcomes = set()
    for seed in range(size(fast=10, slow=40)):
        random = Random(f"{record.name}/{seed}")
        condition = make_condition(ATTRIBUTE, record.name, operand(record, random))
        domain = Domain(ATTRIBUTE, [condition, *named])
        values = domain.values_for(condition)
        for value in VALUES:
            single = domain.values_for(make_condition(ATTRIBUTE, "equals", value))
            is_inside = bool(intersect(values, single)[0])
            expected = holds(to_api_json(condition), {ATTRIBUTE: value}, {})
            assert is_inside is expected, (condition, value)
            test = OPERATORS[record.denies or record.name].test
            assert (test(value, condition.value) != bool(record.denies)) is expected
            assert record.test(value, condition.value) is expected
            outcomes.add(expected)
        absent = bool(values[0] & domain.missing[0])
        assert absent is holds(to_api_json(condition), {}, {})
    assert record.kind == "existence" or outcomes == {True, False}


@pytest.mark.slow
def test_an_operator_that_one_record_adds_works_in_every_command(
    tmp_path: Path,
) -> None:
    """It is validated, planned, applied by the simulator, read back, explained and written into a
    table; its schema has it.
    """
    package = ExtendedPackage(tmp_path)
    sandbox = ("-e", "sandbox", "--no-input")
    schema = json.loads(package.run("schema", "manifest").text)
    operators = schema["$defs"]["RuleEntry"]["properties"]["when"]["items"][
        "properties"
    ]
    assert operators["outside"]["examples"] == [[0.4, 0.7]]
    assert package.run("validate") == (0, "No errors in 1 file.\n")
    assert package.run(*sandbox, "apply", "--yes").code == 0
    assert "No drift. 2 rules" in package.run(*sandbox, "drift").text
    table = package.run(*sandbox, "table")
    assert "scores/odd,10,yes,outside 0.3 and 0.7,General Service" in table.text

    for score, queue in (
        ("0.2", "General"),
        ("0.5", "Card"),
        ("0.7", "Card"),
        ("9", "General"),
    ):
        output = package.run(*sandbox, "explain", "--attr", f"score={score}").text
        assert f'goes to "{queue} Service' in output
        assert "score is outside of 0.3 and 0.7" in output

    text = package.manifest.read_text(encoding="utf-8")
    package.manifest.write_text(text.replace("0.7]", "0.8]"), encoding="utf-8")
    plan = json.loads(package.run(*sandbox, "plan", "--format", "json").text)
    (effect,) = plan["behaviour"]["effects"]
    (row,) = effect["rows"]
    bounds = [(part["operator"], part["value"]) for part in row["where"]]
    assert bounds == [("greaterThan", 0.7), ("lessThanOrEqual", 0.8)]


def test_a_record_without_one_of_its_parts_fails() -> None:
    """The error names the part; the program does not start, for it makes the records first."""
    parts = {field.name: getattr(RECORDS[0], field.name) for field in fields(Operator)}
    for name in parts:
        incomplete = {part: value for part, value in parts.items() if part != name}
        with pytest.raises(TypeError, match=f"missing 1 required .*'{name}'"):
            Operator(**incomplete)


def test_ranges_compare_numbers_alone() -> None:
    """No text fulfils a bound or an interval."""
    for name in RANGES:
        record = OPERATORS[name]
        value = (0, 1) if record.kind == "interval" else 0
        assert not record.test("0.5", value)
