"""Pydantic's errors -> complaints for people, each at the very place, none in pydantic's own phrases."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple, get_args

from pydantic import BaseModel, ValidationError

from reconciler.manifest.kinds.condition import EXAMPLE, KNOWN_OPERATORS, meant
from reconciler.manifest.kinds.fields import PATTERNS
from reconciler.manifest.text import Complaints, List, Map
from reconciler.text.escape import LONGEST_NAME, quote_name, sanitize

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pydantic_core import ErrorDetails

    from reconciler.manifest.source_map import Origin, Step


_KINDS: Final = {
    "string_type": "must be text",
    "int_type": "must be a whole number",
    "bool_type": "must be true or false",
    "tuple_type": "must be a list",
    "dict_type": "must be a mapping",
    "model_type": "must be a mapping",
    "string_too_short": "must not be empty",
    "too_short": "must not be empty",
    "dict_too_short": "must not be empty",
}
_BOUNDS: Final = {
    "greater_than_equal": ("ge", "must be {} or more"),
    "less_than_equal": ("le", "must be {} or less"),
}
_SECRETIVE: Final = frozenset({"credentials", "notify", "baseUrl", "tokenUrl"})
"""Where people put secrets by mistake: logs are read by more people than manifests."""
_QUOTED: Final = re.compile("'([^']*)'")
_BOOLEANS: Final = frozenset({"yes", "no", "on", "off", "y", "n", "true", "false"})


class Place(NamedTuple):
    """What was validated: a model, and the path at which its value stands in a document."""

    origin: Origin
    model: type[BaseModel]
    path: tuple[Step, ...] = ()


def complain(error: ValidationError, place: Place, complaints: Complaints) -> None:
    """Add a complaint for each error of an invalid value."""
    errors = error.errors(include_url=False)
    for told, details in enumerate(errors):
        if complaints.full:
            complaints.left_out += len(errors) - told
            break
        _complain(details, place, complaints)


def _complain(details: ErrorDetails, place: Place, complaints: Complaints) -> None:
    origin, loc = place.origin, details["loc"]
    path = origin.existing((*place.path, *loc))
    match details["type"]:
        case "missing":
            complaints.add("CXR103", origin.index(path), f"missing field {quote_name(str(loc[-1]))}")
        case "extra_forbidden":
            known = _fields(place.model, path[len(place.path) : -1])
            hint = complaints.nearest(str(loc[-1]), known) or f"there are {', '.join(known)}"
            add = complaints.add_unshown if _secretive(path) else complaints.add
            add("CXR102", origin.key_index(path), f"unknown field {quote_name(str(loc[-1]))}", hint)
        case "CXR112":
            hint = complaints.nearest(str(loc[-1]), (*KNOWN_OPERATORS, "attribute"))
            complaints.add("CXR112", origin.key_index(path), f"unknown operator {quote_name(str(loc[-1]))}", hint)
        case "CXR102" | "CXR103" as code:
            complaints.add(code, origin.key_index(path), details["msg"])
        case _:
            _complain_of_value(details, path, origin, complaints)


def _complain_of_value(details: ErrorDetails, path: list[Step], origin: Origin, complaints: Complaints) -> None:
    """Say what a value must be and what it is."""
    code, must, known = _demand(details)
    value = details["input"]
    if details["type"] == "too_short" and value:
        return  # pydantic counts the items that are right; those that are not have complaints of their own
    if path == ["apiVersion"]:
        code = "CXR101"
    if details["loc"][-1:] == ("[key]",):
        complaints.add(code, origin.key_index(path), f"the name {quote_name(str(value))} {must}")
        return
    if _secretive(path):
        complaints.add_unshown(code, origin.index(path), f"{_subject(path)} {must}")
        return
    if not must.startswith("must"):
        complaints.add(code, origin.index(path), must)
        return
    hint = complaints.nearest(value, known) if known and isinstance(value, str) else _advice(details["type"], value)
    if path[-1:] == ["when"]:
        hint = f"write when: [{meant(value) or EXAMPLE}]"
    what = "" if must.startswith(("must not", "must hold")) else f", not {_shown(value)}"
    complaints.add(code, origin.index(path), f"{_subject(path)} {must}{what}", hint)


def _demand(details: ErrorDetails) -> tuple[str, str, Sequence[str]]:
    """Return the code, what the value must be, and the known names where it must be one of them."""
    kind, context = details["type"], details.get("ctx", {})
    if kind in _KINDS:
        return "CXR104", _KINDS[kind], ()
    if kind == "literal_error":
        known = _QUOTED.findall(context["expected"])
        return "CXR104", f"must be {_alternatives(known or [str(context['expected']).lower()])}", known
    if kind == "string_pattern_mismatch":
        code, must = PATTERNS[context["pattern"]]
        return code, must, ()
    if kind in _BOUNDS:
        name, form = _BOUNDS[kind]
        return "CXR104", form.format(context[name]), ()
    if kind.startswith("CXR"):
        return kind, details["msg"], context.get("known", ())
    return "CXR104", "must be another value", ()


def _secretive(path: Sequence[Step]) -> bool:
    return any(step in _SECRETIVE for step in path)


def _subject(path: Sequence[Step]) -> str:
    """Name the field that is meant; for an item of a list, the list's."""
    names = [step for step in path if isinstance(step, str)]
    if not names:
        return "the document"
    return quote_name(names[-1]) if path[-1] == names[-1] else f"an item of {quote_name(names[-1])}"


def _shown(value: object) -> str:
    """Say what stands there."""
    if isinstance(value, str):
        return f"the text {quote_name(value)}"
    if isinstance(value, (Map, List)):
        return "a mapping" if isinstance(value, Map) else "a list"
    if value is None:
        return "empty"
    return str(value).lower() if isinstance(value, bool) else sanitize(repr(value), LONGEST_NAME)


def _advice(kind: str, value: object) -> str:
    """Say how to write what was probably meant."""
    if kind == "string_type" and isinstance(value, (bool, int, float)):
        return "put it in quotes"
    if kind == "bool_type" and isinstance(value, str) and value.lower() in _BOOLEANS:
        return "write true or false, without quotes"
    if kind == "int_type" and isinstance(value, str) and value.isascii() and value.isdigit():
        return "write it without quotes and without leading zeros"
    return "write it as a list: [...]" if kind == "tuple_type" and isinstance(value, str) else ""


def _alternatives(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"one of {', '.join(names)}"


def _fields(kind: type[BaseModel], path: Sequence[Step]) -> tuple[str, ...]:
    """Return the names of the fields that may stand at a path of a document."""
    models = [kind]
    for step in path:
        below = [
            model
            for one in models
            for field in one.model_fields.values()
            if field.alias == step
            for model in _models(field.annotation)
        ]
        models = below or models
    return tuple(dict.fromkeys(field.alias or "" for one in models for field in one.model_fields.values()))


def _models(annotation: Any) -> Iterator[type[BaseModel]]:  # noqa: ANN401 - an annotation may be anything
    """Return the models inside an annotation: `tuple[X, ...]`, `X | None`, `dict[str, X]`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _models(inner)
