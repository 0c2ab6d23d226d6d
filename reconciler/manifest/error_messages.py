"""Pydantic's errors -> messages in the words of manifests, each at its exact position."""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, NamedTuple, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from reconciler.manifest.kinds.condition import EXAMPLE_CONDITION, SORTED_OPERATORS, suggest_condition
from reconciler.manifest.kinds.fields import PATTERN_MESSAGES
from reconciler.manifest.secret_fields import credential_hint, is_credential_name, is_secret_name
from reconciler.manifest.source_map import ErrorCollector, Excerpt, List, Map, PathStep, SourceMap
from reconciler.text.escape import MAX_NAME_LENGTH, quote_name, sanitize

_TYPE_MESSAGES: Final = {
    "string_type": "must be text",
    "int_type": "must be an integer",
    "bool_type": "must be true or false",
    "tuple_type": "must be a list",
    **dict.fromkeys(("dict_type", "model_type"), "must be a mapping"),
    **dict.fromkeys(("string_too_short", "too_short", "dict_too_short"), "must not be empty"),
    "greater_than_equal": "must be {ge} or more",
    "less_than_equal": "must be {le} or less",
    "string_too_long": "must have {max_length} characters at most",
}
_SECRET_FIELDS: Final = frozenset({"credentials", "notify", "baseUrl", "tokenUrl"})
"""Fields that may contain a secret by mistake. Logs have more readers than manifests."""
_QUOTED_TEXT: Final = re.compile("'([^']*)'")
_BOOLEANS: Final = frozenset({"yes", "no", "on", "off", "y", "n", "true", "false"})


class ValidatedValue(NamedTuple):
    """A validated model, and the path of its value in a document."""

    source_map: SourceMap
    model: type[BaseModel]
    path: tuple[PathStep, ...] = ()


def report_errors(error: ValidationError, validated: ValidatedValue, collector: ErrorCollector) -> None:
    """Report each error of an invalid value."""
    errors = error.errors(include_url=False)
    for position, details in enumerate(errors):
        if collector.is_full:
            collector.omitted_count += len(errors) - position
            break
        _report_error(details, validated, collector)


def _report_error(details: ErrorDetails, validated: ValidatedValue, collector: ErrorCollector) -> None:
    source_map, loc = validated.source_map, details["loc"]
    path = source_map.document_path((*validated.path, *loc))
    name = str(loc[-1]) if loc else ""
    match details["type"]:
        case "missing":
            collector.report("CXR103", source_map.index(path), f"missing field {quote_name(name)}")
        case "extra_forbidden" if credentials := find_credentials(source_map, path):
            for credential in credentials:
                _report_credential(credential, source_map, collector)
        case "extra_forbidden":
            names = _field_names(validated.model, path[len(validated.path) : -1])
            hint = collector.suggest(name, names) or f"available: {', '.join(names)}"
            message = f"unknown field {quote_name(name)}"
            collector.report("CXR102", source_map.key_index(path), message, hint, _excerpt(path))
        case "CXR112":
            hint = collector.suggest(name, (*SORTED_OPERATORS, "attribute"))
            collector.report("CXR112", source_map.key_index(path), f"unknown operator {quote_name(name)}", hint)
        case "CXR102" | "CXR103" as code:
            collector.report(code, source_map.key_index(path), details["msg"])
        case _:
            _report_value_error(details, path, source_map, collector)


def find_credentials(source_map: SourceMap, path: Sequence[PathStep]) -> list[list[PathStep]]:
    """Return the paths of the fields at or below a field whose names are those of secrets."""
    name, value = path[-1], source_map.value(path)
    if isinstance(name, str) and is_credential_name(name):
        return [[*path]]
    steps: Iterable[PathStep] = value if isinstance(value, Map) else range(len(value) if isinstance(value, List) else 0)
    return [found for step in steps for found in find_credentials(source_map, [*path, step])]


def _report_credential(path: Sequence[PathStep], source_map: SourceMap, collector: ErrorCollector) -> None:
    name = str(path[-1])
    message = f"a secret must not stand in a manifest: {quote_name(name)}"
    if not is_secret_name(name):
        message = f"the name of a secret's owner must not stand in a manifest: {quote_name(name)}"
    collector.report("CXR140", source_map.key_index(path), message, credential_hint(name), "hidden")


def _report_value_error(
    details: ErrorDetails, path: list[PathStep], source_map: SourceMap, collector: ErrorCollector
) -> None:
    code, requirement, names = _find_requirement(details)
    value = details["input"]
    if details["type"] == "too_short" and value:
        return  # pydantic counts the valid items; each invalid item has its own error
    if path == ["apiVersion"]:
        code = "CXR101"
    if details["loc"][-1:] == ("[key]",):
        collector.report(code, source_map.key_index(path), f"the name {quote_name(str(value))} {requirement}")
    elif _excerpt(path) == "hidden":
        collector.report(code, source_map.index(path), f"{_subject(path)} {requirement}", excerpt="hidden")
    elif not requirement.startswith("must"):
        collector.report(code, source_map.index(path), requirement)
    else:
        is_choice = names and isinstance(value, str)
        hint = collector.suggest(value, names) if is_choice else _find_hint(details["type"], value)
        if path[-1:] == ["when"]:
            hint = f"write when: [{suggest_condition(value) or EXAMPLE_CONDITION}]"
        actual = "" if requirement.startswith("must not") else f", not {_describe_value(value)}"
        collector.report(code, source_map.index(path), f"{_subject(path)} {requirement}{actual}", hint)


def _find_requirement(details: ErrorDetails) -> tuple[str, str, Sequence[str]]:
    """Return the code, the requirement, and the valid values of an enumeration."""
    kind, context = details["type"], details.get("ctx", {})
    if kind in _TYPE_MESSAGES:
        return "CXR104", _TYPE_MESSAGES[kind].format(**context), ()
    if kind == "literal_error":
        names = _QUOTED_TEXT.findall(context["expected"])
        choices = ", ".join(names or [str(context["expected"]).lower()])
        return "CXR104", f"must be {'one of ' if len(names) > 1 else ''}{choices}", names
    if kind == "string_pattern_mismatch":
        return (*PATTERN_MESSAGES[context["pattern"]], ())
    if kind.startswith("CXR"):
        return kind, details["msg"], context.get("known", ())
    return "CXR104", "must be another value", ()


def _excerpt(path: Sequence[PathStep]) -> Excerpt:
    return "hidden" if any(step in _SECRET_FIELDS for step in path) else "shown"


def _subject(path: Sequence[PathStep]) -> str:
    """Return the field's name; for an item of a list, the list's."""
    names = [step for step in path if isinstance(step, str)]
    if not names:
        return "the document"
    return quote_name(names[-1]) if path[-1] == names[-1] else f"an item of {quote_name(names[-1])}"


def _describe_value(value: object) -> str:
    if isinstance(value, str):
        return f"the text {quote_name(value)}"
    if isinstance(value, (Map, List)):
        return "a mapping" if isinstance(value, Map) else "a list"
    if value is None:
        return "empty"
    return str(value).lower() if isinstance(value, bool) else sanitize(repr(value), MAX_NAME_LENGTH)


def _find_hint(kind: str, value: object) -> str:
    if kind == "string_type" and isinstance(value, (bool, int, float)):
        return "put it in quotes"
    if kind == "bool_type" and isinstance(value, str) and value.lower() in _BOOLEANS:
        return "write true or false, without quotes"
    if kind == "int_type" and isinstance(value, str) and value.isascii() and value.isdigit():
        return "write it without quotes and without leading zeros"
    return "write it as a list: [...]" if kind == "tuple_type" and isinstance(value, str) else ""


def _field_names(kind: type[BaseModel], path: Sequence[PathStep]) -> tuple[str, ...]:
    models = [kind]
    for step in path:
        fields = (field for model in models for field in model.model_fields.values() if field.alias == step)
        models = [model for field in fields for model in _models(field.annotation)] or models
    return tuple(dict.fromkeys(field.alias or "" for model in models for field in model.model_fields.values()))


def _models(annotation: Any) -> Iterator[type[BaseModel]]:  # noqa: ANN401 - an annotation may be anything
    """Yield the models inside an annotation: `tuple[X, ...]`, `X | None`, `dict[str, X]`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _models(inner)
