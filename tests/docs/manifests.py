"""The pages of the kinds of manifests: their own text, and a part that is generated from the schema
of manifests (every field, type, default, meaning and example).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final

from reconciler.core.manifest.documents import manifest_schema
from reconciler.core.manifest.kinds.fields import REFERENCE
from reconciler.core.text.local_time import TIME
from tests.docs.page import ROOT

INDEX: Final = ROOT / "docs/manifests.md"
EXAMPLES: Final = Path(__file__).parent / "examples"
"""A document of each kind; together they are valid manifests."""

_PAGES: Final = {
    "RuleSet": "ruleset.md",
    "Queues": "queues.md",
    "Environment": "environment.md",
    "Intents": "intents.md",
    "Attributes": "attributes.md",
    "RouteTests": "route-tests.md",
    "Promises": "promises.md",
    "Profile": "profile.md",
}
_NAMES: Final = {
    "string": "text",
    "number": "number",
    "integer": "integer",
    "boolean": "true or false",
    "null": "null",
}
Part = dict[str, Any]

_FIELDS: Final = re.compile(
    r"(?<=<!-- fields -->\n).*(?=<!-- end of fields -->)", re.DOTALL
)


def manifest_pages() -> dict[Path, Callable[[], str]]:
    """Return the index and the page of each kind, with their generators."""
    kinds = [item["$ref"].rpartition("/")[2] for item in manifest_schema()["oneOf"]]
    assert sorted(_PAGES) == sorted(kinds)
    pages = {_path(kind): partial(_kind_page, kind) for kind in _PAGES}
    return {INDEX: _index_page, **pages}


def _index_page() -> str:
    definitions = manifest_schema()["$defs"]
    rows = "".join(
        f"| [{kind}](manifests/{page}) | {definitions[kind]['description']} |\n"
        for kind, page in _PAGES.items()
    )
    return _filled(INDEX, f"| kind | content |\n|---|---|\n{rows}")


def _kind_page(kind: str) -> str:
    """Return the page of a kind: its own text, an example, and its fields."""
    definitions: dict[str, Part] = manifest_schema()["$defs"]
    links = _links(definitions)
    example = (EXAMPLES / f"{kind}.yaml").read_text(encoding="utf-8")
    parts = [
        f"## Example\n\n```yaml\n{example}```\n",
        f"## Fields\n\n{_table(definitions[kind], links, kind)}",
    ]
    for name, (home, part) in links.items():
        if home == kind:
            fields = _same_fields(part, links) or _table(part, links, kind)
            parts.append(f"### {name}\n\n{part['description']}\n\n{fields}")
    return _filled(_path(kind), "\n".join(parts))


def _same_fields(part: Part, links: Links) -> str:
    """Return a sentence if a part has only fields of an earlier part of another page, else ""."""
    fields = part["properties"]
    for name, (home, earlier) in links.items():
        if earlier is part:
            break
        if len(fields) > 1 and fields.items() <= earlier["properties"].items():
            *first, last = (f"`{field}`" for field in fields)
            link = f"[{name}]({_PAGES[home]}#{name.lower()})"
            return f"Its fields are {', '.join(first)} and {last}, as in {link}.\n"
    return ""


def _filled(page: Path, text: str) -> str:
    """Return a page with this text as its generated part."""
    own_text = page.read_text(encoding="utf-8")
    assert _FIELDS.search(own_text), f"{page} has no place for the fields"
    return _FIELDS.sub(lambda _: text, own_text)


def _path(kind: str) -> Path:
    return INDEX.parent / "manifests" / _PAGES[kind]


Links = dict[str, tuple[str, Part]]
"""Each named part of a document, and the kind whose page describes the part."""


def _links(definitions: dict[str, Part]) -> Links:
    links: Links = {}
    for kind in _PAGES:
        for name, part in _inner(definitions[kind], definitions, {*links, *_PAGES}):
            links[name] = (kind, part)
    return links


def _inner(
    part: Part, definitions: dict[str, Part], described: set[str]
) -> list[tuple[str, Part]]:
    """Return the parts of a part's fields, recursively, each once: earlier parts are omitted."""
    actual = []
    for name, inner in _named(part["properties"], definitions):
        if name not in described:
            described.add(name)
            actual += [(name, inner), *_inner(inner, definitions, described)]
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


def _table(part: Part, links: Links, kind: str) -> str:
    """Return the fields of a part: name, type, meaning and default, example; without a column that
    has no text.
    """
    rows = [
        {
            "field": f"`{name}`",
            "type": _linked(_type(field), links, kind) + _required(name, part),
            "meaning": field["description"].replace("<", r"\<") + _default(field),
            "example": _example(field),
        }
        for name, field in part["properties"].items()
        if "const" not in field or name not in ("apiVersion", "kind")
    ]
    columns = [name for name in rows[0] if any(row[name] for row in rows)]
    lines = [[row[name].replace("|", r"\|") for name in columns] for row in rows]
    head = f"| {' | '.join(columns)} |\n{'|---' * len(columns)}|\n"
    return head + "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def _linked(text: str, links: Links, kind: str) -> str:
    """Return a type with a link to each named part, on this page or on that of its kind."""

    def link(name: re.Match[str]) -> str:
        home = links[name[1]][0]
        page = "" if home == kind else _PAGES[home]
        return f"[{name[1]}]({page}#{name[1].lower()})"

    if text == "time":
        return "[time](../manifests.md#times)"
    return re.sub(r"\[(\w+)\]", link, text)


def _type(field: Part) -> str:
    if "$ref" in field:
        return f"[{field['$ref'].rpartition('/')[2]}]"
    if "const" in field:
        return f"`{_yaml(field['const'])}`"
    if "enum" in field:
        return ", ".join(f"`{_yaml(item)}`" for item in field["enum"])
    for choices in ("oneOf", "anyOf"):
        if choices in field:
            return _union([_type(item) for item in field[choices]])
    kind = field["type"]
    if isinstance(kind, list):
        return _union([_NAMES[item] for item in kind])
    return _composite(field, kind)


def _union(names: list[str]) -> str:
    """Return the names of types as one text, each once; a number may be an integer, too."""
    wanted = [
        name
        for name in dict.fromkeys(names)
        if name != "integer" or "number" not in names
    ]
    # a comma would be misread next to a range, or after a mapping
    has_parts = any("," in name or name.startswith("map ") for name in wanted)
    return (" or " if has_parts else ", ").join(wanted)


def _composite(field: Part, kind: str) -> str:
    if kind == "array":
        # the operators, which have a table on the page of rules, are too many for a cell
        is_long = len(field["items"].get("enum", ())) > len(_PAGES) + 1
        return "list of names" if is_long else f"list of {_type(field['items'])}"
    if "title" in field and "properties" in field:
        return f"[{field['title']}]"
    if kind == "object":
        value = field["additionalProperties"] or next(
            iter(field["patternProperties"].values())
        )
        return f"map of names to {_type(value)}"
    if field.get("pattern") == f"^{REFERENCE.pattern}$":
        return "`${name}`"
    if field.get("pattern") == f"^{TIME.pattern}$":
        return "time"
    return _NAMES[kind] + _range(field)


def _range(field: Part) -> str:
    low = field.get("minimum")
    high = field.get("maximum")
    if low is not None and high is not None:
        return f", {low} to {high}"
    return f", {low} or more" if low is not None else ""


def _required(name: str, part: Part) -> str:
    return " (required)" if name in part.get("required", ()) else ""


def _default(field: Part) -> str:
    """Return the default as a sentence; "" if there is none, or the meaning contains it."""
    default = field.get("default")
    if default in (None, [], "") or isinstance(default, dict):
        return ""
    listed = field.get("items", {}).get("enum")
    is_told = "const" in field or "Default: " in field["description"]
    if is_told or (listed and sorted(default) == sorted(listed)):
        return ""
    return f" Default: `{_yaml(default)}`."


def _example(field: Part) -> str:
    """Return the example of a field, if the default is not one; a part has its own examples."""
    examples = field.get("examples", [])
    is_part = re.fullmatch(r"(list of )?\[\w+\]((, | or )\[\w+\])*", _type(field))
    if is_part or not examples or examples[0] == field.get("default"):
        return ""
    return f"`{_yaml(examples[0])}`"


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
