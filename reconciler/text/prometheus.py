"""Prometheus' text format: what stands before the values of a metric (its "exposition formats", version 0.0.4)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator


CONTENT_TYPE: Final = b"text/plain; version=0.0.4; charset=utf-8"


def metric_header(name: str, kind: str, help_text: str) -> Iterator[str]:
    """Yield the lines that say what a metric is, and of which kind."""
    yield f"# HELP {name} {help_text}"
    yield f"# TYPE {name} {kind}"
