"""A decision service and rules with dates: it answers by the last published table, on any clock."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from reconciler.cli import session
from reconciler.cli.files import STATE
from reconciler.features.practice.sandbox_tables import SandboxTables
from tests.features.endpoint.decide.decision_endpoint import DecisionEndpoint
from tests.support.program import Program, write

MANIFESTS = """apiVersion: routing/v1
kind: Environment
name: sandbox
owner: acme
timezone: Europe/Zurich
api:
  rules: served
  served: {url: "https://routing.acme.example"}
---
apiVersion: routing/v1
kind: RuleSet
name: cards
rules:
  - {intent: refund, queue: General}
  - {key: xmas, intent: refund, queue: Fraud, priority: 9, from: 2026-12-20T00:00, until: 2026-12-27T00:00}
"""
BEGINS = datetime(2026, 12, 19, 23, tzinfo=UTC)
ENDS = datetime(2026, 12, 26, 23, tzinfo=UTC)


def decided() -> Any:
    """Return the rule by which a service over the sandbox's tables decides."""
    service = DecisionEndpoint(SandboxTables(STATE))
    return asyncio.run(service.decide(intent="refund"))["rule"]


def test_a_service_answers_by_the_table_of_the_last_run(
    cxroute: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing changes at a date itself; the next run publishes the state of its own time."""
    write("m.yaml", MANIFESTS)
    answers: list[tuple[str, str]] = []
    times = [
        BEGINS - timedelta(seconds=1),
        BEGINS,
        ENDS - timedelta(seconds=1),
        ENDS,
    ]
    for time in times:
        monkeypatch.setattr(
            "reconciler.cli.command_line.utc_now", lambda time=time: time
        )
        monkeypatch.setattr(session, "utc_now", lambda time=time: time)
        before = decided() if answers else ""
        assert 0 == cxroute("apply", "--yes"), cxroute.err
        answers.append((before, decided()))
    always, xmas = "cards/refund", "cards/xmas"
    assert [("", always), (always, xmas), (xmas, xmas), (xmas, always)] == answers
