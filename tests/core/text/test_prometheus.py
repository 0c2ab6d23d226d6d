"""Prometheus' text format: headers, samples, and labels whose values may hold anything."""

from __future__ import annotations

from reconciler.core.text.prometheus import metric, sample


def test_a_metric_is_its_header_and_its_value() -> None:
    """A large count has all its digits."""
    lines = [
        "# HELP calls_total Calls.",
        "# TYPE calls_total counter",
        "calls_total 12345678901",
    ]
    assert lines == list(metric("calls_total", "counter", "Calls.", 12_345_678_901))


def test_a_label_cannot_end_its_line() -> None:
    """Backslashes, quotes and line feeds are escaped."""
    assert r'calls{path="a\\b\"c\nd",status="200"} 1' == sample(
        "calls", 1, path='a\\b"c\nd', status=200
    )
