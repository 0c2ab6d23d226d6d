"""Promises on the live rules, over a real socket: drift, `test --live`, watch, its metric and its
message.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import canary_secrets as canary
from tests.support.program import Program
from tests.support.watch_process import WatchSetup, watch_setup

HAND = "IVR | after hours"
PROMISES = """\
apiVersion: routing/v1
kind: Promises
name: safety
promises:
  - {name: billing reaches billing, for: {intent: billing}, always: {queues: [Billing]}}
  - {name: fraud is ours, for: {intent: fraud}, decidedBy: cards/*, severity: warning}
"""


@pytest.fixture
def stage(
    elsewhere: Path, cxroute: Program, monkeypatch: pytest.MonkeyPatch
) -> Iterator[WatchSetup]:
    """Return a tenant with two live managed rules, and promises about them."""
    monkeypatch.setenv("CXONE_CLIENT_ID", canary.CLIENT)
    monkeypatch.delenv("CXROUTE_PROXY")
    with watch_setup(elsewhere) as here:
        here.serve_tenant()
        here.write("billing", "fraud")
        Path("manifests/promises.yaml").write_text(PROMISES, "utf-8")
        assert 0 == cxroute("apply", "-e", "prod", "--yes"), cxroute.err
        here.hook.bodies.clear()
        yield here


def test_every_report_shows_a_broken_promise(
    stage: WatchSetup, cxroute: Program
) -> None:
    """A rule made by hand before all others: an error and a warning; none once it is gone."""
    loop = stage.watch()
    candidate = stage.somebody()
    assert 0 == cxroute("drift", "-e", "prod"), cxroute.out
    assert 0 == cxroute("test", "-e", "prod", "--live")
    assert "2 promises kept in prod.\n" in cxroute.out
    candidate.add(HAND)
    broken = 'promise "billing reaches billing" is broken for intent "billing": '
    broken += f'expected only "Billing", but goes to "Support" by rule "{HAND}"'
    assert 2 == cxroute("drift", "-e", "prod")
    assert "error[CXR221]" in cxroute.out
    assert broken in cxroute.out
    assert 2 == cxroute("drift", "-e", "prod", "--format", "json")
    severities = [
        (load["code"], load["severity"]) for load in json.loads(cxroute.out)["findings"]
    ]
    assert [("CXR221", "error"), ("CXR221", "warning")] == [
        severity for severity in severities if severity[0] == "CXR221"
    ]
    assert 0 == cxroute("test", "-e", "prod")
    assert 3 == cxroute("test", "-e", "prod", "--live")
    assert broken in cxroute.out
    assert "why: cxroute explain -e prod --live --intent billing" in cxroute.out
    metrics = loop.trigger_round()
    assert (1, 0, 1) == tuple(
        metrics[item]
        for item in ("broken_promises", "failed_live_tests", "rules_in_the_way")
    )
    assert [
        "*1 rule in the way, 1 promise broken on the live rules in `prod`*"
    ] == stage.hook.wait_for(1)
    candidate.delete("hours")
    assert 0 == loop.trigger_round()["broken_promises"]
