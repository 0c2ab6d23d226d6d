"""Warnings about plain scalars that other YAML tools do not read as cxroute does (CXR216).

After another tool's load and dump, `language: no` would compare with false, and a rule would be
another rule.
"""

from collections.abc import Iterable, Iterator
from typing import Any, Final, NamedTuple

from reconciler.core.manifest.documents import model_of
from reconciler.core.manifest.error_messages import excerpt_of
from reconciler.core.manifest.model_paths import is_date
from reconciler.core.manifest.other_readings import other_reading
from reconciler.core.manifest.source_map import (
    MAX_MISREAD,
    ErrorCollector,
    List,
    Map,
    PathStep,
    SourceMap,
)
from reconciler.core.manifest.yaml_writer import format_quoted, format_scalar
from reconciler.core.model.rule import JSON_NUMBER, parse_number

_CODE: Final = "CXR216"
_HINT: Final = "put it in quotes"


class _Scalar(NamedTuple):
    """A key or a value of a document, and its path."""

    start: int
    path: tuple[PathStep, ...]
    is_key: bool


def warn_of_misread_texts(
    collector: ErrorCollector, source_maps: Iterable[SourceMap]
) -> None:
    """Warn of the recorded scalars, without the dates that cxroute reads as dates, and values with
    an error.
    """
    if not collector.misread:
        return
    misread = dict(collector.misread)
    scalars = {
        scalar.start: (source_map, scalar)
        for source_map in source_maps
        for scalar in _scalars(source_map.root, ())
        if scalar.start in misread
    }
    wrong = {finding.source for finding in collector.collected}
    count = 0
    for start, end in sorted(misread.items()):
        source_map, scalar = scalars.get(start, (None, None))
        if source_map and scalar and _is_date(source_map, scalar):
            continue
        if collector.text.source(start) in wrong:
            continue
        count += 1
        if count > MAX_MISREAD:
            message = "further texts that other YAML tools misread, the first one here"
            collector.warn(_CODE, start, message, _HINT)
            return
        if scalar and excerpt_of(scalar.path) == "hidden":
            message = "other YAML tools read this value as another one"
            collector.warn(_CODE, start, message, _HINT, excerpt="hidden")
        else:
            _warn(collector, start, end, scalar)


def _warn(
    collector: ErrorCollector,
    start: int,
    end: int,
    scalar: _Scalar | None,
) -> None:
    written = collector.text.text[start:end]
    text = " ".join(written.split())
    is_key = scalar is not None and scalar.is_key
    if not is_key and JSON_NUMBER.fullmatch(text):
        message = f"other YAML tools read {text} as a text, and cxroute reads a number"
        number = parse_number(text)
        hint = f"write {format_scalar(number)}"
    else:
        message = _message_of_text(text)
        hint = _HINT
        if "\n" not in written:
            hint = f"{_HINT}: {format_quoted(text)}"
    collector.warn(_CODE, start, message, hint, span=end - start)


def _message_of_text(text: str) -> str:
    reading = other_reading(text)
    if reading:
        return f"other YAML tools read {text} as {reading}, and cxroute reads a text"
    return f"other YAML tools refuse {text} in brackets, because of its question mark"


def _is_date(source_map: SourceMap, scalar: _Scalar) -> bool:
    if scalar.is_key:
        return False
    model = model_of(source_map.root)
    return model is not None and is_date(model, scalar.path)


def _scalars(value: Any, path: tuple[PathStep, ...]) -> Iterator[_Scalar]:  # noqa: ANN401 - any value of a manifest
    """Yield the keys and the scalars below a value."""
    if isinstance(value, Map):
        for key, item in value.items():
            key_path = (*path, key)
            yield _Scalar(value.key_index(key), key_path, is_key=True)
            yield _Scalar(value.value_index(key), key_path, is_key=False)
            yield from _scalars(item, key_path)
    elif isinstance(value, List):
        for position, item in enumerate(value):
            item_path = (*path, position)
            yield _Scalar(value.value_index(position), item_path, is_key=False)
            yield from _scalars(item, item_path)
