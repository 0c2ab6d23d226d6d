"""What can be written at a character of a manifest: fields, values of fields, and names."""

from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any, Final, Literal, NamedTuple

from reconciler.core.manifest.documents import KINDS, manifest_schema
from reconciler.core.manifest.syntax_cursor import Cursor, find_cursor
from reconciler.core.manifest.syntax_tree import Path, Place, SyntaxNode
from reconciler.core.manifest.yaml_writer import format_scalar
from reconciler.core.model.finding import CODES
from reconciler.features.editor.names import Names, Role, definition_of

ChoiceKind = Literal["field", "value", "name"]
Schema = dict[str, Any]

_FIRST_FIELDS: Final = ("apiVersion", "kind", "name")
_ALTERNATIVES: Final = ("anyOf", "oneOf", "allOf")


class Choice(NamedTuple):
    """A text that can be written; `detail` is a word about it, `help` a sentence."""

    label: str
    text: str
    kind: ChoiceKind
    detail: str = ""
    help: str = ""


class Completion(NamedTuple):
    """The choices for the characters from `start` to before `end`; `typed` is what they contain
    already.
    """

    start: int
    end: int
    typed: str
    choices: list[Choice]


def complete(text: str, offset: int, names: Names) -> Completion | None:
    """Return what can be written at a character; None where nothing is known."""
    cursor = find_cursor(text, offset)
    if cursor is None:
        return None
    quote = cursor.typed[:1]
    if quote not in ("'", '"'):
        quote = ""
    end = offset
    if quote and text[offset : offset + 1] == quote:
        end += 1
    fields = list(_fields(cursor, names))
    if text[end : end + 1] == ":":
        fields = list(map(_without_colon, fields))
    choices = {choice.text: choice for choice in [*_values(cursor, names), *fields]}
    if not choices:
        return None
    return Completion(cursor.start, end, quote, list(choices.values()))


def _without_colon(choice: Choice) -> Choice:
    return choice._replace(text=choice.text.removesuffix(": "))


def _fields(cursor: Cursor, names: Names) -> Iterator[Choice]:
    """Yield the fields and names that a mapping does not have yet."""
    place = cursor.field
    if place is None:
        return
    kind = cursor.document.kind
    present = {key.text for key in place.owner.keys}
    for schema in _schemas(kind, place.path[:-1]):
        for name, field in schema.get("properties", {}).items():
            # `false`: the field that this form of the mapping does not have
            if not isinstance(field, dict):
                continue
            if name not in present and (
                kind or place.path[:-1] or name in _FIRST_FIELDS
            ):
                yield Choice(
                    name,
                    f"{name}: ",
                    "field",
                    help=field.get("description", ""),
                )
    for name, role in _names(kind, place, names):
        if name not in present:
            yield Choice(name, f"{format_scalar(name)}: ", "name", role)


def _values(cursor: Cursor, names: Names) -> Iterator[Choice]:
    """Yield the names that a value can be, or the values of its schema."""
    place = cursor.value
    if place is None:
        return
    kind = cursor.document.kind
    if place.path == ("kind",):
        yield from (
            Choice(name, name, "value", help=_description(name)) for name in KINDS
        )
        return
    role = names.role_of(kind, place)
    if role and role[0] == "value" and not definition_of(kind, place):
        nodes = names.values_of(role[1])
        yield from (
            Choice(each.text or "", _format_value(each), "name", "value")
            for each in nodes
        )
        return
    found = list(_names(kind, place, names))
    for name, meaning in found:
        yield Choice(name, format_scalar(name), "name", meaning)
    if not found:
        for value in _constants(_schemas(kind, place.path)):
            text = format_scalar(value)
            yield Choice(value if isinstance(value, str) else text, text, "value")


def _format_value(node: SyntaxNode) -> str:
    """Return a value as YAML: one in quotes is a text, whatever it looks like."""
    text = node.text or ""
    return format_scalar(text) if node.style else text


def _names(kind: str, place: Place, names: Names) -> Iterator[tuple[str, Role]]:
    """Yield the known names of the role of a place."""
    meaning = names.role_of(kind, place)
    role = meaning[0] if meaning else None
    if role is None or role == "value" or definition_of(kind, place):
        return
    if role == "finding":
        known: Iterable[str] = CODES
    else:
        known = names.used(role) if role == "attribute" else names.defined(role)
    for name in known:
        yield name, role


def _constants(schemas: Iterable[Schema]) -> Iterator[object]:
    for schema in schemas:
        if "const" in schema:
            yield schema["const"]
        yield from schema.get("enum", ())
        if schema.get("type") == "boolean":
            yield from (True, False)


@cache
def _schema() -> Schema:
    return manifest_schema()


def _description(kind: str) -> str:
    description: str = _schema()["$defs"][kind].get("description", "")
    return description


def _schemas(kind: str, path: Path) -> list[Schema]:
    """Return the schemas of a value, one for each form that it can have."""
    kinds = [kind] if kind in KINDS else list(KINDS)
    schemas = [form for name in kinds for form in _forms(_schema()["$defs"][name])]
    for step in path:
        schemas = [
            form
            for schema in schemas
            for inner in _inner(schema, step)
            for form in _forms(inner)
        ]
    return schemas


def _forms(schema: Schema) -> Iterator[Schema]:
    """Yield a schema without references, and each of its alternatives."""
    if "$ref" in schema:
        yield from _forms(_schema()["$defs"][schema["$ref"].rpartition("/")[2]])
        return
    yield schema
    for name in _ALTERNATIVES:
        for each in schema.get(name, ()):
            yield from _forms(each)


def _inner(schema: Schema, step: str | int) -> Iterator[Schema]:
    """Yield the schema of a field or an item."""
    if isinstance(step, int):
        items = schema.get("items")
        if isinstance(items, dict):
            yield items
        return
    field = schema.get("properties", {}).get(step, schema.get("additionalProperties"))
    if isinstance(field, dict):
        yield field
