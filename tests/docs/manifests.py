"""docs/manifests.md, generated from the schema of manifests: every kind, field, type, default,
meaning and example.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from reconciler.core.manifest.documents import manifest_schema
from reconciler.core.manifest.kinds.fields import REFERENCE

EXAMPLES: Final = Path(__file__).parent / "examples"
"""A document of each kind; together they are valid manifests."""

_KINDS: Final = (
    "RuleSet",
    "Queues",
    "Environment",
    "Intents",
    "Attributes",
    "RouteTests",
    "Promises",
    "Profile",
)
_NAMES: Final = {
    "string": "text",
    "number": "number",
    "integer": "integer",
    "boolean": "true or false",
    "null": "null",
}
_HEAD: Final = """\
# Manifests

Use this page to look up the fields of a manifest, their types, their defaults and an example. It is generated from the
program (`make docs`), and a test compares the two. `cxroute schema manifest` prints the schema, from which editors show
the same.

A file in `manifests/` has one or more documents, separated by `---`. Unknown fields are errors, and so is YAML that two
parsers could read differently (an example: `cxroute explain CXR006`). `${name}` in a text is replaced by the value
from the Environment's `vars`; `$$` is a dollar. As a complete value, `"${name}"` has the variable's own type:
`minConfidence: "${floor}"` with `vars: {floor: 0.6}` is the number, and `in: "${tiers}"` a list.

Replacement is bounded, because a short file can use a long variable often: at most 1 KiB for a rule's name, 64 KiB for
another text or list, 5 MiB for the replaced texts of one file, and 64 MiB for those of all files.

`label` in an Attributes or Intents document is what people read instead of a name: in text, in comments and in pages.
Names stay in JSON, in findings and in JUnit files, and everywhere with `-v`. A label that two names share, or that is
itself a name, is not used. A name that looks like a label is marked: `"Gold" (undeclared)`. The declared values and
types are for checks alone (CXR207, CXR213): the platform does not enforce them, so no proof depends on them.

`group` puts a value into a group, for readers alone: a list that has all values of a group is written by the group's
name, such as `language "German" or "French"`. Rules name the values, not the group. A group cannot have the name or the
label of a value of the same attribute (CXR132). A group of one value is written as this value. In JSON and with `-v`
each value is written.
"""

Part = dict[str, Any]


def manifests_page() -> str:
    """Return the page."""
    schema = manifest_schema()
    definitions: dict[str, Part] = schema["$defs"]
    kinds = [item["$ref"].rpartition("/")[2] for item in schema["oneOf"]]
    assert sorted(_KINDS) == sorted(kinds)
    rows = "".join(
        f"| [{kind}](#{kind.lower()}) | {definitions[kind]['description']} |\n"
        for kind in _KINDS
    )
    text = f"{_HEAD}\n| kind | content |\n|---|---|\n{rows}"
    output = set(kinds)
    for kind in _KINDS:
        example = (EXAMPLES / f"{kind}.yaml").read_text(encoding="utf-8")
        text += f"\n## {kind}\n\n{definitions[kind]['description']}\n\n```yaml\n{example}```\n\n"
        text += _table(definitions[kind])
        for name, part in _inner(definitions[kind], definitions, output):
            text += f"\n### {name}\n\n{part['description']}\n\n{_table(part)}"
    return text


def _inner(
    part: Part, definitions: dict[str, Part], told: set[str]
) -> list[tuple[str, Part]]:
    """Return the parts of a part's fields, recursively, each once: earlier parts are omitted."""
    actual = []
    for name, inner in _named(part["properties"], definitions):
        if name not in told:
            told.add(name)
            actual += [(name, inner), *_inner(inner, definitions, told)]
    return actual


def _named(part: Any, definitions: dict[str, Part]) -> list[tuple[str, Part]]:
    """Return the named parts that this part contains directly."""
    match part:
        case {"$ref": str(reference)}:
            name = reference.rpartition("/")[2]
            return [(name, definitions[name])]
        case {"title": str(title), "properties": dict()}:
            return [(title, part)]
        case dict():
            return [
                item for inner in part.values() for item in _named(inner, definitions)
            ]
        case list():
            return [item for inner in part for item in _named(inner, definitions)]
        case _:
            return []


def _table(part: Part) -> str:
    """Return the fields of a part: name, type, default, meaning, example."""
    text = "| field | type | default | meaning | example |\n|---|---|---|---|---|\n"
    for name, field in part["properties"].items():
        cells = (
            f"`{name}`",
            _type(field),
            _default(name, field, part),
            field["description"],
            _example(field),
        )
        text += (
            f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |\n"
        )
    return text


def _type(field: Part) -> str:
    if "$ref" in field:
        name = field["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if "const" in field:
        return f"`{_yaml(field['const'])}`"
    if "enum" in field:
        return ", ".join(f"`{_yaml(item)}`" for item in field["enum"])
    for choices in ("oneOf", "anyOf"):
        if choices in field:
            return " or ".join(dict.fromkeys(_type(item) for item in field[choices]))
    kind = field["type"]
    if isinstance(kind, list):
        return " or ".join(_NAMES[item] for item in kind)
    return _composite(field, kind)


def _composite(field: Part, kind: str) -> str:
    if kind == "array":
        return f"list of {_type(field['items'])}"
    if "title" in field and "properties" in field:
        return f"[{field['title']}](#{field['title'].lower()})"
    if kind == "object":
        value = field["additionalProperties"] or next(
            iter(field["patternProperties"].values())
        )
        return f"map of names to {_type(value)}"
    if field.get("pattern") == f"^{REFERENCE.pattern}$":
        return "`${name}`"
    if kind == "string" and field.get("format", "").startswith("date"):
        return "day" if field["format"] == "date" else "time"
    return _NAMES[kind] + _range(field)


def _range(field: Part) -> str:
    low = field.get("minimum")
    high = field.get("maximum")
    if low is not None and high is not None:
        return f", {low} to {high}"
    return f", {low} or more" if low is not None else ""


def _default(name: str, field: Part, part: Part) -> str:
    if name in part.get("required", ()):
        return "(required)"
    default = field.get("default")
    if default is None or isinstance(default, dict) or "const" in field:
        return ""
    listed = field.get("items", {}).get("enum")
    return (
        "all" if listed and sorted(default) == sorted(listed) else f"`{_yaml(default)}`"
    )


def _example(field: Part) -> str:
    return f"`{_yaml(field['examples'][0])}`" if "examples" in field else ""


def _yaml(value: Any) -> str:
    """Return a value in YAML's flow style."""
    match value:
        case dict():
            return (
                "{"
                + ", ".join(f"{name}: {_yaml(item)}" for name, item in value.items())
                + "}"
            )
        case list():
            return f"[{', '.join(map(_yaml, value))}]"
        case str() if (
            value
            and all(sign.isalnum() or sign in " _-./:+()" for sign in value)
            and ": " not in value
        ):
            return value
        case _:
            return json.dumps(value, ensure_ascii=False)
