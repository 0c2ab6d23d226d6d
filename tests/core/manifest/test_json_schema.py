"""The JSON Schema of manifests: it agrees with loading, describes each field, and editors find
it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from reconciler.core.manifest.documents import manifest_schema
from reconciler.core.manifest.yaml_reader import parse_file
from tests.support.cases import each_case
from tests.support.program import Program
from tests.support.written_manifests import MANIFESTS, findings, yaml_of

ROOT = Path(__file__).resolve().parents[3]
COMMITTED = ROOT / "schema" / "manifest.v1.json"
SCHEMA = manifest_schema()
VALIDATOR: Any = jsonschema.Draft202012Validator(SCHEMA)
OURS = sorted(
    [
        *(ROOT / "manifests").rglob("*.y*ml"),
        *(ROOT / "reconciler/cli/starter").rglob("*.yaml"),
    ]
)
VALID = sorted((MANIFESTS / "valid").rglob("*.yaml"))
INVALID = sorted(
    path
    for path in (MANIFESTS / "invalid").rglob("*.y*ml")
    if "/." not in path.as_posix()
)
CODES_OF_TYPES = re.compile(
    r"error\[(?:CXR013|CXR101|CXR102|CXR103|CXR104|CXR108|CXR112|CXR140)\]"
)
"""Codes of errors at one position. The other codes compare documents with each other."""


def fields(part: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every field that the schema describes; conditions such as `if` and `oneOf` describe no
    further fields.
    """
    if isinstance(part, list):
        for at, item in enumerate(part):
            yield from fields(item, f"{path}[{at}]")
    if not isinstance(part, dict):
        return
    described = part.get("properties", {}) if "type" in part else {}
    yield from ((f"{path}.{name}", field) for name, field in described.items())
    for name, inner in part.items():
        if name not in {"if", "then", "else", "not", "examples", "default"}:
            yield from fields(
                inner, f"{path}.{name}".replace(".$defs", "").replace(".properties", "")
            )


FIELDS = dict(fields(SCHEMA))


def part(described: dict[str, Any]) -> Any:
    """Return a validator for the values of one field."""
    return jsonschema.Draft202012Validator({"$defs": SCHEMA["$defs"], **described})


def documents(file: Path) -> list[Any]:
    """Return the values of a file's documents."""
    return [
        document.value
        for document in parse_file(file.read_bytes(), file.name).documents
    ]


@pytest.mark.slow
def test_the_schema_is_valid() -> None:
    """The meta-schema accepts it."""
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


def test_the_schema_has_the_fields_of_every_kind() -> None:
    """Nested ones included."""
    assert {
        ".RuleEntry.minConfidence",
        ".Guard.protected",
        ".RuleEntry.when.items.between",
        ".Limit.percent",
    } < {*FIELDS}


def test_the_committed_schema_equals_the_output_of_schema_and_init(
    cxroute: Program,
) -> None:
    """Byte for byte. `make docs` updates it."""
    committed = COMMITTED.read_text(encoding="utf-8")
    assert 0 == cxroute("schema", "manifest")
    assert committed == cxroute.out
    assert 0 == cxroute("init")
    assert committed == Path("manifests/.schema/manifest.v1.json").read_text(
        encoding="utf-8"
    )


def test_every_field_has_a_description() -> None:
    """One or two sentences without internal terms: editors show them as help."""
    for name, field in FIELDS.items():
        text = field.get("description", "")
        assert re.fullmatch(r"[A-Z`].{20,}\.", text), (name, text)
        assert len(text.split()) >= 5, name
        assert not re.search(
            r"\b(slug|marker|digest|region|witness|opaque|wave|sugar|instant)\b", text
        ), name


def test_every_definition_has_a_description() -> None:
    """Also a definition that only groups fields."""
    for name, definition in SCHEMA["$defs"].items():
        text = definition["description"]
        assert re.fullmatch(r"[A-Z].{20,}\.", text), (name, text)
        assert not re.search(
            r"\b(slug|marker|digest|region|witness|opaque|wave|sugar)\b", text
        ), name


def test_every_field_with_a_free_value_has_valid_examples() -> None:
    """Booleans and enumerations need no example; other fields have valid ones."""
    for name, field in FIELDS.items():
        obvious = field.get("type") == "boolean" or "const" in field or "enum" in field
        assert obvious or field.get("examples"), name
        for example in field.get("examples", []):
            part(field).validate(example)


def test_every_default_is_a_valid_value() -> None:
    """Editors offer the default; null in it would be an error."""
    for field in FIELDS.values():
        if "default" in field:
            part(field).validate(field["default"])


def test_a_required_field_has_no_default() -> None:
    """A default would contradict `required`; in apiVersion and kind it shows the value to write."""
    definitions = SCHEMA["$defs"]
    assert {"apiVersion", "kind"} == {
        field
        for described in definitions.values()
        for field in described.get("required", [])
        if "default" in described["properties"][field]
    }


def test_enumerations_are_listed() -> None:
    """Editors complete days, guards, operators and the order of evaluation."""
    assert ["mon", "tue", "wed", "thu", "fri", "sat", "sun"] == FIELDS[
        ".WeeklyFreeze.days"
    ]["items"]["enum"]
    assert ["lowest-first", "highest-first"] == FIELDS[".Api.evaluation"]["enum"]
    assert {"deletes", "unrouted", "freeze"} < {*FIELDS[".Allow.name"]["enum"]}
    assert {"equals", "notIn", "between"} < {*FIELDS[".Api.operators"]["items"]["enum"]}


@each_case("file", [*OURS, *VALID])
def test_valid_manifests_are_valid_under_the_schema(file: Path) -> None:
    """Editors accept the manifests of the example and of init, and all valid test cases."""
    assert documents(file)
    for document in documents(file):
        VALIDATOR.validate(document)


@each_case("file", INVALID)
def test_invalid_manifests_are_invalid_under_the_schema(file: Path) -> None:
    """Except for errors that need a comparison of documents, and invalid YAML."""
    case = MANIFESTS / "invalid" / file.relative_to(MANIFESTS / "invalid").parts[0]
    inside = file.relative_to(case).as_posix() if case.is_dir() else file.name
    output = [
        line
        for line in case.with_suffix(".expected").read_text().splitlines()
        if f"manifests/{inside}:" in line
    ]
    if not any(re.search(r"error\[CXR00|error\[CXR01[0-245]", item) for item in output):
        refused = not all(VALIDATOR.is_valid(document) for document in documents(file))
        assert any(CODES_OF_TYPES.search(item) for item in output) == refused


@each_case(
    "document",
    [
        {"kind": "RuleSet", "name": "a", "rules": [{"intent": "a"}]},
        {
            "kind": "RuleSet",
            "name": "a",
            "rules": [{"intent": "a", "queue": "b", "targets": [{"queue": "c"}]}],
        },
        {
            "kind": "RuleSet",
            "name": "a",
            "rules": [{"intent": "a", "intents": ["b"], "queue": "b"}],
        },
        {
            "kind": "RuleSet",
            "name": "a",
            "rules": [{"queue": "b", "when": [{"attribute": "a", "equls": 1}]}],
        },
        {
            "kind": "RuleSet",
            "name": "a",
            "rules": [{"queue": "b", "when": [{"attribute": "a", "exists": False}]}],
        },
        {"kind": "RuleSet", "name": "A", "rules": []},
        {"kind": "Environment", "name": "prod", "owner": "a"},
        {"kind": "Environment", "name": "sandbox", "owner": "a", "tenant": "b"},
        {
            "kind": "Environment",
            "name": "prod",
            "owner": "a",
            "tenant": "b",
            "vars": {"1": "x"},
        },
        {
            "kind": "Queues",
            "name": "a",
            "queues": {"a": {"prod": {"id": "a", "name": "b"}}},
        },
        {"kind": "RouteTests", "name": "a", "tests": [{"given": {}, "expect": {}}]},
    ],
)
def test_the_schema_refuses_the_errors_of_loading(
    document: dict[str, Any], room: Path
) -> None:
    """Editors underline the errors that cxroute reports, also of mutually exclusive fields."""
    complete = {"apiVersion": "routing/v1", **document}
    (room / "a.yaml").write_text(yaml_of(complete))
    assert (1, False) == (len(findings(room)), VALIDATOR.is_valid(complete))


@pytest.mark.parametrize("directory", ["manifests", "my rules/deep"])
def test_every_file_of_init_links_to_the_schema(
    cxroute: Program, directory: str
) -> None:
    """Its first line has the schema's path relative to the file, and the schema exists."""
    assert 0 == cxroute("init", directory)
    files = sorted(Path(directory).rglob("*.yaml"))
    assert len(files) >= 6
    for file in files:
        first, *_ = file.read_text(encoding="utf-8").splitlines()
        (named,) = re.findall(r"^# yaml-language-server: \$schema=(\S+)$", first)
        assert COMMITTED.read_bytes() == (file.parent / named).read_bytes()
