"""The JSON Schema of manifests: it says what loading does, and what each field is for; editors find it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from reconciler.manifest.json_schema import manifest_schema
from reconciler.manifest.yaml_reader import parse_file
from tests.support.program import Program
from tests.support.written_manifests import MANIFESTS, findings, yaml_of

ROOT = Path(__file__).resolve().parents[2]
COMMITTED = ROOT / "schema" / "manifest.v1.json"
SCHEMA = manifest_schema()
VALIDATOR: Any = jsonschema.Draft202012Validator(SCHEMA)
OURS = sorted([*(ROOT / "manifests").rglob("*.y*ml"), *(ROOT / "reconciler" / "starter").rglob("*.yaml")])
VALID = sorted((MANIFESTS / "valid").rglob("*.yaml"))
INVALID = sorted(path for path in (MANIFESTS / "invalid").rglob("*.y*ml") if "/." not in path.as_posix())
TOLD_BY_TYPES = re.compile(r"error\[(?:CXR013|CXR101|CXR102|CXR103|CXR104|CXR108|CXR112)\]")
"""Codes of what stands wrong in one place. The others compare documents with each other."""


def fields(part: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every field that the schema describes; conditions such as `if` and `oneOf` describe none of their own."""
    if isinstance(part, list):
        for at, one in enumerate(part):
            yield from fields(one, f"{path}[{at}]")
    if not isinstance(part, dict):
        return
    described = part.get("properties", {}) if "type" in part else {}
    yield from ((f"{path}.{name}", field) for name, field in described.items())
    for name, inner in part.items():
        if name not in {"if", "then", "else", "not", "examples", "default"}:
            yield from fields(inner, f"{path}.{name}".replace(".$defs", "").replace(".properties", ""))


FIELDS = dict(fields(SCHEMA))
FIELD = pytest.mark.parametrize("name", FIELDS)


def part(described: dict[str, Any]) -> Any:
    """Return a validator for one field's values."""
    return jsonschema.Draft202012Validator({"$defs": SCHEMA["$defs"], **described})


def documents(file: Path) -> list[Any]:
    """Return the values of a file's documents."""
    return [document.value for document in parse_file(file.read_bytes(), file.name).documents]


def test_the_schema_is_one() -> None:
    """It is valid under the schema of schemas, and knows the fields of every kind, nested ones too."""
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    assert {".RuleEntry.minConfidence", ".Guard.protected", ".RuleEntry.when.items.between", ".Limit.percent"} < {
        *FIELDS
    }


def test_the_committed_schema_is_what_the_command_prints_and_init_writes(cxroute: Program) -> None:
    """Byte for byte. Where it is not: `cxroute schema manifest > schema/manifest.v1.json`."""
    committed = COMMITTED.read_text(encoding="utf-8")
    assert 0 == cxroute("schema", "manifest")
    assert committed == cxroute.out
    assert 0 == cxroute("init")
    assert committed == Path("manifests/.schema/manifest.v1.json").read_text(encoding="utf-8")


@FIELD
def test_every_field_says_what_it_is_for(name: str) -> None:
    """In a sentence or two for somebody who does not know the code: this is the help that editors show."""
    said = FIELDS[name].get("description", "")
    assert re.fullmatch(r"[A-Z`].{20,}\.", said), said
    assert len(said.split()) >= 5
    assert not re.search(r"\b(slug|marker|digest|region|witness|opaque|wave|sugar|instant)\b", said)


@pytest.mark.parametrize("name", SCHEMA["$defs"])
def test_every_part_says_what_it_is(name: str) -> None:
    """A mapping as a whole has its sentence too."""
    said = SCHEMA["$defs"][name]["description"]
    assert re.fullmatch(r"[A-Z].{20,}\.", said), said
    assert not re.search(r"\b(slug|marker|digest|region|witness|opaque|wave|sugar)\b", said)


@FIELD
def test_every_field_shows_an_example_where_a_value_is_not_obvious(name: str) -> None:
    """Yes or no and a choice of words speak for themselves; all else has an example, and each is valid."""
    field = FIELDS[name]
    obvious = field.get("type") == "boolean" or "const" in field or "enum" in field
    assert obvious or field.get("examples")
    for example in field.get("examples", []):
        part(field).validate(example)


@FIELD
def test_every_default_is_a_value_that_may_be_written(name: str) -> None:
    """Editors offer it; null in it would be an error."""
    if "default" in FIELDS[name]:
        part(FIELDS[name]).validate(FIELDS[name]["default"])


def test_a_field_that_must_be_there_has_no_default() -> None:
    """A default beside `required` would contradict it; the two that every document begins with say what to write."""
    definitions = SCHEMA["$defs"]
    assert {"apiVersion", "kind"} == {
        field
        for described in definitions.values()
        for field in described.get("required", [])
        if "default" in described["properties"][field]
    }


def test_choices_are_listed() -> None:
    """Days, guards, operators and the order of evaluation: an editor completes them."""
    assert ["mon", "tue", "wed", "thu", "fri", "sat", "sun"] == FIELDS[".WeeklyFreeze.days"]["items"]["enum"]
    assert ["lowest-first", "highest-first"] == FIELDS[".Api.evaluation"]["enum"]
    assert {"deletes", "unrouted", "freeze"} < {*FIELDS[".Allow.name"]["enum"]}
    assert {"equals", "notIn", "between"} < {*FIELDS[".Api.operators"]["items"]["enum"]}


@pytest.mark.parametrize("file", [*OURS, *VALID], ids=lambda path: path.relative_to(ROOT).as_posix())
def test_valid_manifests_are_valid_under_the_schema(file: Path) -> None:
    """Editors accept what cxroute accepts: the example's manifests, the first ones that init writes, all test cases."""
    assert documents(file)
    for document in documents(file):
        VALIDATOR.validate(document)


@pytest.mark.parametrize("file", INVALID, ids=lambda path: path.relative_to(MANIFESTS / "invalid").as_posix())
def test_invalid_manifests_are_invalid_as_far_as_a_schema_can_tell(file: Path) -> None:
    """Whatever is wrong in one place is underlined; what only a comparison of documents shows, and no YAML, is not."""
    case = MANIFESTS / "invalid" / file.relative_to(MANIFESTS / "invalid").parts[0]
    inside = file.relative_to(case).as_posix() if case.is_dir() else file.name
    told = [one for one in case.with_suffix(".expected").read_text().splitlines() if f"manifests/{inside}:" in one]
    if not any(re.search(r"error\[CXR00|error\[CXR01[0-245]", one) for one in told):
        refused = not all(VALIDATOR.is_valid(document) for document in documents(file))
        assert any(TOLD_BY_TYPES.search(one) for one in told) == refused


@pytest.mark.parametrize(
    "document",
    [
        {"kind": "RuleSet", "name": "a", "rules": [{"intent": "a"}]},
        {"kind": "RuleSet", "name": "a", "rules": [{"intent": "a", "queue": "b", "targets": [{"queue": "c"}]}]},
        {"kind": "RuleSet", "name": "a", "rules": [{"intent": "a", "intents": ["b"], "queue": "b"}]},
        {"kind": "RuleSet", "name": "a", "rules": [{"queue": "b", "when": [{"attribute": "a", "equls": 1}]}]},
        {"kind": "RuleSet", "name": "a", "rules": [{"queue": "b", "when": [{"attribute": "a", "exists": False}]}]},
        {"kind": "RuleSet", "name": "A", "rules": []},
        {"kind": "Environment", "name": "prod", "owner": "a"},
        {"kind": "Environment", "name": "sandbox", "owner": "a", "tenant": "b"},
        {"kind": "Environment", "name": "prod", "owner": "a", "tenant": "b", "vars": {"1": "x"}},
        {"kind": "Queues", "name": "a", "queues": {"a": {"prod": {"id": "a", "name": "b"}}}},
        {"kind": "RouteTests", "name": "a", "tests": [{"given": {}, "expect": {}}]},
    ],
)
def test_the_schema_refuses_what_loading_refuses(document: dict[str, Any], room: Path) -> None:
    """Editors underline what cxroute will refuse, also where fields exclude each other."""
    whole = {"apiVersion": "routing/v1", **document}
    (room / "a.yaml").write_text(yaml_of(whole))
    assert (1, False) == (len(findings(room)), VALIDATOR.is_valid(whole))


@pytest.mark.parametrize("directory", ["manifests", "rules of ours/deep"])
def test_every_file_that_init_writes_leads_an_editor_to_the_schema(cxroute: Program, directory: str) -> None:
    """Its first line names the schema by a path from that very file, and there it is."""
    assert 0 == cxroute("init", directory)
    files = sorted(Path(directory).rglob("*.yaml"))
    assert len(files) >= 6
    for file in files:
        first, *_ = file.read_text(encoding="utf-8").splitlines()
        (named,) = re.findall(r"^# yaml-language-server: \$schema=(\S+)$", first)
        assert COMMITTED.read_bytes() == (file.parent / named).read_bytes()
