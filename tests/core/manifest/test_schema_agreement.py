"""The JSON Schema and `validate` agree: on generated rules, tests and promises, and in a strict
validator.
"""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any, Final

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from reconciler.core.desired.desired import desire_offline
from reconciler.core.errors import ManifestError
from reconciler.core.manifest.documents import manifest_schema
from reconciler.core.manifest.load import load_contents
from tests.support.other_tools import MODULES, node_module
from tests.support.written_manifests import ENVIRONMENT, yaml_of
from tests.tiers import size

VALIDATOR: Final[Any] = jsonschema.Draft202012Validator(manifest_schema())
COMMITTED: Final = Path(__file__).parents[3] / "schema" / "manifest.v1.json"
AJV: Final = MODULES / "ajv" / "dist" / "2020.js"
STRICT: Final = """
const Ajv = require(process.argv[1]).default
const schema = JSON.parse(require("fs").readFileSync(process.argv[2], "utf8"))
new Ajv({strict: true, strictRequired: true, allErrors: true}).compile(schema)
"""


def mapping(
    required: dict[str, list[Any]], optional: dict[str, list[Any]]
) -> SearchStrategy[dict[str, Any]]:
    """Return mappings of these fields, each with one of its values; a required field is seldom
    missing.
    """
    fields = {
        name: st.sampled_from(values)
        for name, values in {**required, **optional}.items()
    }
    few = st.fixed_dictionaries(
        {name: fields[name] for name in required},
        optional={name: fields[name] for name in optional},
    )
    return few | st.fixed_dictionaries({}, optional=fields)


CONDITIONS: Final = [
    *(
        {"attribute": "a", operator: value}
        for operator in ("equals", "in", "exists", "between", "lessThan", "contains")
        for value in ("x", 1, True, ["x"], ["x", 1], [1, 2], [], False, None, {"a": 1})
    ),
    *(
        {"attribute": "a"},
        {"equals": "x"},
        {"attribute": "", "equals": 1},
        {"attribute": 1, "equals": 1},
        {},
        "a == b",
    ),
    *(
        {"attribute": "a", "equals": 1, "in": [1]},
        {"attribute": "a", "is": 1},
        {"or": []},
    ),
]
WHEN: Final = [[], *([each] for each in CONDITIONS), "x", None, {"a": "b"}]
CONFIDENCE: Final = [0, 0.5, 1, -0.1, 1.1, 60, "0.5", "x", True, [0.5]]
ENVIRONMENTS: Final = [["prod"], [], "prod", None, [1]]
RULE: Final = mapping(
    {"queue": ["a", "", 1, None, ["a"]], "intent": ["a", "b c", 1, None, ["a"]]},
    {
        "key": ["a", "a-1", "A", "", 1, None],
        "intents": [["a"], ["a", "b"], [], "a", None, [1]],
        "minConfidence": [*CONFIDENCE, None],
        "belowConfidence": CONFIDENCE,
        "when": WHEN,
        "targets": [
            [{"queue": "a"}],
            [{"queue": "a", "weight": 80}],
            [],
            {"a": 80},
            ["a"],
            [{"queue": "a", "weight": -1}],
        ],
        "priority": [1, -1, 1.5, "1", 2**31, None],
        "enabled": [True, False, "yes", 1, None],
        "environments": ENVIRONMENTS,
        "name": ["a", "", 1, None],
        "description": ["a", "", 1, None],
        "hold": [
            {"until": "2026-12-01T08:00:00+01:00"},
            {"until": "2026-12-01"},
            {},
            "2026-12-01T08:00:00Z",
            None,
        ],
        "adopt": ["a", "", {"id": "a"}, {}, 1],
        "accept": [{"CXR203": "x"}, {"CXR203": ""}, {}, "CXR203"],
        "colour": ["red"],
    },
)
TEST: Final = mapping(
    {
        "given": [
            {"intent": "a"},
            {},
            {"intent": 1},
            {"confidence": 0.5},
            {"confidence": 5},
            "a",
            {"context": {"intent": "a"}},
        ],
        "expect": [
            {"queue": "a"},
            {"split": {"a": 1}},
            {"default": True},
            {"default": False},
            {},
            "a",
            {"split": {}},
            {"queue": "a", "default": True},
            {"split": {"a": -1}},
        ],
    },
    {"colour": ["red"]},
)
PROMISE: Final = mapping(
    {"name": ["a", "", 1]},
    {
        "for": [
            {"intents": ["a"]},
            {"intent": "a"},
            {"intent": "a", "intents": ["a"]},
            {},
            "a",
            {"when": "x"},
        ],
        "always": [{"queues": ["a"]}, {"queues": []}, ["a"], {}],
        "never": [{"queues": ["a"]}, {"default": True}, {"default": False}, {}, "a"],
        "decidedBy": ["a/b", "a/*", "a", 1],
        "split": [{"a": {"least": 60}}, {"a": {"most": 101}}, {"a": 60}, {}],
        "severity": ["error", "warning", "info"],
        "environments": ENVIRONMENTS,
    },
)


def is_valid(document: dict[str, Any]) -> bool:
    """Return whether cxroute accepts a document beside an Environment."""
    try:
        manifests = load_contents(
            [("e.yaml", ENVIRONMENT.encode()), ("m.yaml", yaml_of(document).encode())]
        )
        desire_offline(manifests, manifests.environment("prod"))
    except ManifestError:
        return False
    return True


def agree(kind: str, field: str, item: dict[str, Any]) -> None:
    document = {"apiVersion": "routing/v1", "kind": kind, "name": "a", field: [item]}
    assert is_valid(document) == VALIDATOR.is_valid(document), item


@pytest.mark.generated
@settings(max_examples=size(fast=10, slow=50, full=400))
@given(RULE)
def test_schema_and_validate_agree_on_rules(rule: dict[str, Any]) -> None:
    """Also on a rule without an intent and without a key, for which there is no default key."""
    agree("RuleSet", "rules", rule)


@pytest.mark.generated
@settings(max_examples=size(fast=10, slow=20, full=100))
@given(TEST)
def test_schema_and_validate_agree_on_route_tests(test: dict[str, Any]) -> None:
    """Fields, types and exclusive fields."""
    agree("RouteTests", "tests", test)


@pytest.mark.generated
@settings(max_examples=size(fast=10, slow=20, full=100))
@given(PROMISE)
def test_schema_and_validate_agree_on_promises(promise: dict[str, Any]) -> None:
    """Fields, types and exclusive fields."""
    agree("Promises", "promises", promise)


@pytest.mark.slow
def test_a_strict_validator_accepts_the_schema() -> None:
    """Ajv's strict mode refuses unknown formats, lists of types, and members that are required and
    not declared.
    """
    command = [node_module(AJV)[0], "-e", STRICT, str(AJV), str(COMMITTED)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (0, "", "") == (done.returncode, done.stdout, done.stderr)
