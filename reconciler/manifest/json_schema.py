"""The JSON Schema of manifests, for editors and other tools, and the default profile as a document to start from."""

from __future__ import annotations

from typing import Annotated, Any, Final

import yaml
from pydantic import Field, TypeAdapter

from reconciler.manifest.documents import AnyDocument
from reconciler.manifest.kinds.profile import DEFAULT_PROFILE, operator_names

_HEAD: Final = """\
# The default profile: the tutorial's contract, unverified against a tenant. These are the defaults of every Profile.
# An Environment selects a Profile with `api: {profile: NAME}`.
"""


def default_profile_yaml() -> str:
    """Return the default profile as YAML; lists begin with their path."""
    document: dict[str, Any] = DEFAULT_PROFILE.model_dump(mode="json", by_alias=True, exclude_none=True)
    for name in ("rules", "queues"):
        document[name] = {"path": document[name].pop("path"), **document[name]}
    document["operators"] = operator_names(DEFAULT_PROFILE.operators)
    return _HEAD + yaml.safe_dump(document, sort_keys=False, width=120)


def manifest_schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of one manifest document: one alternative for each kind."""
    adapter: TypeAdapter[AnyDocument] = TypeAdapter(Annotated[AnyDocument, Field(discriminator="kind")])
    schema = adapter.json_schema(mode="validation")
    schema.pop("discriminator", None)
    definitions = schema["$defs"]
    for definition in definitions.values():
        _tidy(definition)
        if "kind" in definition.get("properties", {}):
            definition["required"] = ["apiVersion", "kind", *definition["required"]]
    for name, choices in _EXTRA_CONSTRAINTS.items():
        definitions[name] |= choices
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A cxroute manifest",
        "description": "One document of a manifest; a file may contain several.",
        **schema,
    }


def _tidy(part: Any) -> None:  # noqa: ANN401 - any part of a JSON document
    """Remove titles derived from names, and defaults that mean "absent"."""
    if isinstance(part, list):
        for item in part:
            _tidy(item)
    if not isinstance(part, dict):
        return
    for inner in part.values():
        _tidy(inner)
    for field in part.get("properties", {}).values():
        field.pop("title", None)
        if "default" in field and (default := _without_nulls(field["default"])) is not None:
            field["default"] = default
        else:
            field.pop("default", None)
    if "patternProperties" in part:
        part.setdefault("additionalProperties", False)


def _without_nulls(default: Any) -> Any:  # noqa: ANN401 - any JSON
    """Return a default without its nulls, which are not written in manifests."""
    if isinstance(default, dict):
        return {name: _without_nulls(value) for name, value in default.items() if value is not None}
    return default


def _require(choice: str, *names: str) -> dict[str, Any]:
    return {choice: [{"required": [name]} for name in names]}


_EXTRA_CONSTRAINTS = {
    "Api": {
        "if": {"properties": {"auth": {"const": "access-key"}}, "required": ["auth"]},
        "then": _require("oneOf", "issuer", "area") | {"not": {"required": ["issuer", "tokenUrl"]}},
        "else": {"properties": {"issuer": False, "area": False}},
    },
    "Context": {"dependentRequired": {"minConfidence": ["below"]}},
    "RuleEntry": _require("oneOf", "queue", "targets") | {"not": {"required": ["intent", "intents"]}},
    "QueueRef": _require("oneOf", "id", "name"),
    "Expect": _require("oneOf", "queue", "split", "default"),
    "Environment": {
        "if": {"properties": {"name": {"const": "sandbox"}}, "required": ["name"]},
        "then": {"properties": {"tenant": False, "api": False, "credentials": False}},
        "else": {
            "anyOf": [
                {"required": ["tenant"]},
                {"required": ["api"], "properties": {"api": _require("anyOf", "baseUrl", "issuer", "area")}},
            ]
        },
    },
}
"""The rules of `cross_checks` and of small models that types cannot express."""
