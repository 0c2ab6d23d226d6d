"""The models and types of a document's fields, by their paths in manifests."""

from collections.abc import Iterator, Sequence
from datetime import date
from typing import Any, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from reconciler.core.manifest.source_map import PathStep
from reconciler.core.manifest.yaml_writer import format_pair


def models_at(kind: type[BaseModel], path: Sequence[PathStep]) -> list[type[BaseModel]]:
    """Return the models that a value at a path may have; those of its nearest parent if it has
    none.
    """
    models = [kind]
    for step in path:
        inner = [
            model
            for field in _fields(models, step)
            for model in _models(field.annotation)
        ]
        models = inner or models
    return models


def field_names(kind: type[BaseModel], path: Sequence[PathStep]) -> tuple[str, ...]:
    """Return the names of the fields that a mapping at a path may have."""
    fields = (
        field
        for model in models_at(kind, path)
        for field in model.model_fields.values()
    )
    return tuple(dict.fromkeys(field.alias or "" for field in fields))


def example_of(kind: type[BaseModel], path: Sequence[PathStep]) -> str:
    """Return the field at a path with an example, or the nearest one above it; "" without one."""
    steps = [*path]
    while steps:
        name = steps.pop()
        for field in _fields(models_at(kind, steps), name):
            if field.examples:
                return format_pair(str(name), field.examples[0])
    return ""


def is_date(kind: type[BaseModel], path: Sequence[PathStep]) -> bool:
    """Return whether cxroute reads the text at a path as a date or a time."""
    if not path:
        return False
    *parents, name = path
    fields = _fields(models_at(kind, parents), name)
    return any(_holds_date(field.annotation) for field in fields)


def _fields(models: Sequence[type[BaseModel]], name: PathStep) -> list[FieldInfo]:
    fields: list[FieldInfo] = []
    for model in models:
        fields += [
            field for field in model.model_fields.values() if field.alias == name
        ]
    return fields


def _models(annotation: Any) -> Iterator[type[BaseModel]]:  # noqa: ANN401 - an annotation may be anything
    """Yield the models inside an annotation: `tuple[X, ...]`, `X | None`, `dict[str, X]`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _models(inner)


def _holds_date(annotation: Any) -> bool:  # noqa: ANN401 - an annotation may be anything
    if isinstance(annotation, type) and issubclass(annotation, date):
        return True
    return any(map(_holds_date, get_args(annotation)))
