"""The JSON Schema of manifests says what loading does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jsonschema
import pytest

from reconciler.manifest.schema import manifest_schema
from reconciler.manifest.strict_yaml import read
from tests.written import MANIFESTS, findings, yaml_of

if TYPE_CHECKING:
    from pathlib import Path

VALIDATOR: Any = jsonschema.Draft202012Validator(manifest_schema())


def test_the_schema_is_one() -> None:
    """What `cxroute schema manifest` prints is a JSON Schema, and every field in it says what it is for."""
    schema = manifest_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    mute = [
        f"{name}.{field}"
        for name, part in schema["$defs"].items()
        for field, described in part.get("properties", {}).items()
        if "description" not in described
    ]
    assert [] == mute


def test_valid_manifests_are_valid_under_the_schema() -> None:
    """Editors accept what cxroute accepts."""
    for file in sorted((MANIFESTS / "valid").iterdir()):
        for document in read(file.read_bytes(), file.name).documents:
            VALIDATOR.validate(document.value)


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
        {"kind": "Queues", "name": "a", "queues": {"a": {"prod": {"id": "a", "name": "b"}}}},
        {"kind": "RouteTests", "name": "a", "tests": [{"given": {}, "expect": {}}]},
    ],
)
def test_the_schema_refuses_what_loading_refuses(document: dict[str, Any], room: Path) -> None:
    """Editors underline what cxroute will refuse, also where fields exclude each other."""
    whole = {"apiVersion": "routing/v1", **document}
    (room / "a.yaml").write_text(yaml_of(whole))
    assert (1, False) == (len(findings(room)), VALIDATOR.is_valid(whole))
