"""Prometheus' text format (its "exposition formats", version 0.0.4): headers, samples, labels."""

import math
from collections.abc import Iterable, Iterator
from typing import Final

CONTENT_TYPE: Final = b"text/plain; version=0.0.4; charset=utf-8"
_ESCAPES: Final = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})


def exposition(lines: Iterable[str]) -> str:
    """Return the text of a page of metrics."""
    return "".join(f"{line}\n" for line in lines)


def metric_header(name: str, kind: str, text: str) -> Iterator[str]:
    """Yield the help and the type of a metric."""
    yield f"# HELP {name} {text}"
    yield f"# TYPE {name} {kind}"


def sample(name: str, value: object, **labels: object) -> str:
    """Return the line of one value."""
    if not labels:
        return f"{name} {value}"
    pairs = [
        f'{label}="{str(text).translate(_ESCAPES)}"' for label, text in labels.items()
    ]
    return f"{name}{{{','.join(pairs)}}} {value}"


def metric(name: str, kind: str, text: str, value: float) -> Iterator[str]:
    """Yield the lines of a metric that has one value."""
    yield from metric_header(name, kind, text)
    yield sample(name, _number(value))


def _number(value: float) -> str:
    """Return a number with all the digits that a count or a time has."""
    if value == math.inf:
        return "+Inf"
    return f"{value:.14g}"
