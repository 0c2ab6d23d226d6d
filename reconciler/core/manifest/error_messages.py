"""Pydantic's errors -> messages in the words of manifests, each at its exact position."""

import re
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from reconciler.core.manifest.kinds.condition import SORTED_OPERATORS
from reconciler.core.manifest.kinds.fields import PATTERN_MESSAGES
from reconciler.core.manifest.model_paths import example_of, field_names
from reconciler.core.manifest.secret_fields import (
    credential_hint,
    is_credential_name,
    is_secret_name,
)
from reconciler.core.manifest.source_map import (
    ErrorCollector,
    Excerpt,
    List,
    Map,
    PathStep,
    SourceMap,
)
from reconciler.core.text.escape import MAX_NAME_LENGTH, quote_name, sanitize

_TYPE_MESSAGES: Final = {
    "string_type": "must be text",
    "int_type": "must be an integer",
    "bool_type": "must be true or false",
    "tuple_type": "must be a list",
    **dict.fromkeys(("dict_type", "model_type"), "must be a mapping"),
    **dict.fromkeys(
        ("string_too_short", "too_short", "dict_too_short"), "must not be empty"
    ),
    "greater_than_equal": "must be {ge} or more",
    "less_than_equal": "must be {le} or less",
    "string_too_long": "must have {max_length} characters at most",
}
_SECRET_FIELDS: Final = frozenset({"credentials", "notify", "baseUrl", "tokenUrl"})
"""Fields that may contain a secret by mistake. Logs have more readers than manifests."""
_QUOTED_TEXT: Final = re.compile("'([^']*)'")


class ValidatedValue(NamedTuple):
    """A validated model, and the path of its value in a document."""

    source_map: SourceMap
    model: type[BaseModel]
    path: tuple[PathStep, ...] = ()


def report_errors(
    error: ValidationError,
    validated: ValidatedValue,
    collector: ErrorCollector,
) -> None:
    """Report each error of an invalid value."""
    errors = error.errors(include_url=False)
    report = _Report(validated, collector)
    for position, details in enumerate(errors):
        if collector.is_full:
            collector.omitted_count += len(errors) - position
            break
        report.add(details)


class _Report:
    """The errors of one value."""

    def __init__(self, validated: ValidatedValue, collector: ErrorCollector) -> None:
        self.source_map = validated.source_map
        self.model = validated.model
        self.start = validated.path
        self.collector = collector

    def _names(self, path: Sequence[PathStep]) -> Sequence[str]:
        """Return the fields that a mapping at a path may have."""
        inner_path = path[len(self.start) :]
        return field_names(self.model, inner_path)

    def add(self, details: ErrorDetails) -> None:
        source_map = self.source_map
        path = source_map.document_path((*self.start, *details["loc"]))
        name = str(details["loc"][-1]) if details["loc"] else ""
        match details["type"]:
            case "missing":
                fields = source_map.value(path)
                if not is_misspelt(fields, self._names(path), [name], self.collector):
                    message = f"missing field {quote_name(name)}"
                    self.collector.report("CXR103", source_map.index(path), message)
            case "extra_forbidden":
                self._add_extra_field(path, name)
            case "CXR112":
                index = source_map.key_index(path)
                hint = self._suggest(name, [*SORTED_OPERATORS, "attribute"])
                message = f"unknown operator {quote_name(name)}"
                self.collector.report("CXR112", index, message, hint)
            case "CXR102" | "CXR103" as code:
                self.collector.report(code, source_map.key_index(path), details["msg"])
            case _:
                self._add_wrong_value(details, path)

    def _suggest(self, name: str, names: Sequence[str]) -> str:
        """Return the hint for an unknown name: the nearest known one, or all of them."""
        suggestion = self.collector.suggest(name, names)
        return suggestion or f"available: {', '.join(names)}"

    def _add_extra_field(self, path: list[PathStep], name: str) -> None:
        """Report the credentials in an unknown field, or the field if it has none."""
        credentials = find_credentials(self.source_map, path)
        for credential in credentials:
            _report_credential(credential, self.source_map, self.collector)
        if credentials:
            return
        *parents, _ = path
        hint = self._suggest(name, self._names(parents))
        message = f"unknown field {quote_name(name)}"
        index = self.source_map.key_index(path)
        self.collector.report("CXR102", index, message, hint, excerpt_of(path))

    def _add_wrong_value(self, details: ErrorDetails, path: list[PathStep]) -> None:
        collector = self.collector
        code, requirement, names = _find_requirement(details)
        value = details["input"]
        if details["type"] == "too_short" and value:
            return  # pydantic counts the valid items; each invalid item has its own error
        if path == ["apiVersion"]:
            code = "CXR101"
        if details["loc"][-1:] == ("[key]",):
            message = f"the name {quote_name(str(value))} {requirement}"
            collector.report(code, self.source_map.key_index(path), message)
            return

        index = self.source_map.index(path)
        if excerpt_of(path) == "hidden":
            message = f"{_subject(path)} {requirement}"
            collector.report(code, index, message, excerpt="hidden")
        elif not requirement.startswith("must"):
            collector.report(code, index, requirement)
        else:
            hint = self._hint_for(details, path, names)
            message = f"{_subject(path)} {requirement}{_actual(requirement, value)}"
            collector.report(code, index, message, hint)

    def _hint_for(
        self,
        details: ErrorDetails,
        path: Sequence[PathStep],
        names: Sequence[str],
    ) -> str:
        """Return the hint for a wrong value: the nearest known value, or a valid example."""
        value = details["input"]
        if names and isinstance(value, str):
            hint = self.collector.suggest(value, names)
            if hint:
                return hint
        if details["type"] == "string_type" and isinstance(value, (bool, int, float)):
            return "put it in quotes"
        of_operator = details.get("ctx", {}).get("example")
        example = of_operator or example_of(self.model, path[len(self.start) :])
        return f"such as {example}" if example else ""


def is_misspelt(
    fields: object,
    known: Sequence[str],
    missing: Sequence[str],
    collector: ErrorCollector,
) -> bool:
    """Return whether an unknown field of a mapping is probably a missing one."""
    names = fields if isinstance(fields, Map) else ()
    return any(collector.suggest(name, missing) for name in names if name not in known)


def find_credentials(
    source_map: SourceMap, path: Sequence[PathStep]
) -> list[list[PathStep]]:
    """Return the paths of the fields at or below a field whose names are those of secrets."""
    name = path[-1]
    if isinstance(name, str) and is_credential_name(name):
        return [[*path]]
    value = source_map.value(path)
    steps: Iterable[PathStep] = ()
    if isinstance(value, Map):
        steps = value
    elif isinstance(value, List):
        steps = range(len(value))
    credentials: list[list[PathStep]] = []
    for step in steps:
        credentials += find_credentials(source_map, [*path, step])
    return credentials


def _report_credential(
    path: Sequence[PathStep],
    source_map: SourceMap,
    collector: ErrorCollector,
) -> None:
    name = str(path[-1])
    message = f"a secret must not stand in a manifest: {quote_name(name)}"
    if not is_secret_name(name):
        message = f"the name of a secret's owner must not stand in a manifest: {quote_name(name)}"
    collector.report(
        "CXR140",
        source_map.key_index(path),
        message,
        credential_hint(name),
        "hidden",
    )


def _find_requirement(details: ErrorDetails) -> tuple[str, str, Sequence[str]]:
    """Return the code, the requirement, and the valid values of an enumeration."""
    kind = details["type"]
    context = details.get("ctx", {})
    if kind in _TYPE_MESSAGES:
        return "CXR104", _TYPE_MESSAGES[kind].format(**context), ()
    if kind == "literal_error":
        names = _QUOTED_TEXT.findall(context["expected"])
        choices = ", ".join(names or [str(context["expected"]).lower()])
        requirement = f"must be {choices}"
        if len(names) > 1:
            requirement = f"must be one of {choices}"
        return "CXR104", requirement, names
    if kind == "string_pattern_mismatch":
        return (*PATTERN_MESSAGES[context["pattern"]], ())
    if kind.startswith("CXR"):
        return kind, details["msg"], context.get("known", ())
    return "CXR104", "must be another value", ()


def excerpt_of(path: Sequence[PathStep]) -> Excerpt:
    """Return whether a finding may show the line of a value, which may be a secret by mistake."""
    return "hidden" if any(step in _SECRET_FIELDS for step in path) else "shown"


def _subject(path: Sequence[PathStep]) -> str:
    """Return the field's name; for an item of a list, the list's."""
    names = [step for step in path if isinstance(step, str)]
    if not names:
        return "the document"
    name = names[-1]
    if path[-1] == name:
        return quote_name(name)
    return f"an item of {quote_name(name)}"


def _actual(requirement: str, value: object) -> str:
    """Return the end of a message with the wrong value, unless the requirement names it."""
    if requirement.startswith("must not"):
        return ""
    return f", not {_describe_value(value)}"


def _describe_value(value: object) -> str:
    if isinstance(value, str):
        return f"the text {quote_name(value)}"
    if isinstance(value, (Map, List)):
        return "a mapping" if isinstance(value, Map) else "a list"
    if value is None:
        return "empty"
    if isinstance(value, bool):
        return str(value).lower()
    return sanitize(repr(value), MAX_NAME_LENGTH)
