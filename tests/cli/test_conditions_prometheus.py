"""The conditions of steps with a real Prometheus, which scrapes itself."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from reconciler.cli.step_conditions import PrometheusConditions
from reconciler.core.desired.made_steps import Answer
from reconciler.core.manifest.kinds.ruleset import StepCondition
from tests.support.real_prometheus import prometheus

pytestmark = pytest.mark.slow


def ask(query: str, **bound: float) -> Answer:
    fields = {"query": query, "for": "10s", **bound}
    condition = StepCondition.model_validate(fields)
    return asyncio.run(PrometheusConditions().answer(condition))


def test_real_answers_are_understood(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One series above or below a bound lets a step be made; nothing else does."""
    with prometheus(tmp_path) as server:
        monkeypatch.setenv("CXROUTE_PROMETHEUS", server.url)
        server.wait("count(up == 1)", 1)
        assert Answer(holds=True) == ask("up", above=0.5)
        assert Answer(holds=True) == ask("sum(up) * 3", below=3.5)
        expected = {
            "up": (
                1.5,
                "samples are not above the bound, such as 1 (condition: up above",
            ),
            "up == 7": (0, "the query has no series"),
            "{__name__=~'process_open_fds|up'}": (0, "the query has 2 series"),
            "vector(0) / 0": (0, "a sample is not a number"),
            "vector(1) / 0": (0, "a sample is not a number"),
            "up{": (0, "Prometheus answers with HTTP 400: invalid parameter"),
        }
        for query, (bound, reason) in expected.items():
            answer = ask(query, above=bound)
            assert not answer.holds
            assert reason in answer.reason, (query, answer)
    assert "cannot be reached" in ask("up", above=0.5).reason
