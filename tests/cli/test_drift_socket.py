"""Drift over a real socket: an edit in CXone appears in every report until it is reverted or
accepted.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from reconciler.features.forge.drift_issue import difference_digest
from tests.support import canary_secrets as canary
from tests.support.program import Program
from tests.support.watch_process import WatchSetup, watch_setup

HAND = "IVR | after hours"
TESTS = """\
apiVersion: routing/v1
kind: RouteTests
name: all
tests: [{given: {intent: billing, confidence: 0.9}, expect: {queue: Billing}}]
"""
PROTECTED = "guard: {protected: [cards/billing]}"


@pytest.fixture
def stage(
    elsewhere: Path, cxroute: Program, monkeypatch: pytest.MonkeyPatch
) -> Iterator[WatchSetup]:
    """Return a tenant with two live managed rules, and a route test."""
    monkeypatch.setenv("CXONE_CLIENT_ID", canary.CLIENT)
    monkeypatch.delenv("CXROUTE_PROXY")
    with watch_setup(elsewhere) as here:
        here.serve_tenant()
        here.write("billing", "fraud", more=PROTECTED)
        Path("manifests/tests.yaml").write_text(TESTS, "utf-8")
        assert 0 == cxroute("apply", "-e", "prod", "--yes"), cxroute.err
        here.hook.bodies.clear()
        yield here


def drift_json(cxroute: Program) -> dict[str, Any]:
    code, form = cxroute.json("drift", "-e", "prod")
    assert 2 == code
    return dict(form)


@pytest.mark.slow
def test_every_report_shows_a_rule_before_all_others(
    stage: WatchSetup, cxroute: Program
) -> None:
    """Point A2: drift, test --live, watch, metrics, webhook and issue show it; none does after it
    is accepted.
    """
    loop = stage.watch()
    candidate = stage.somebody()
    assert (0, "") == (
        cxroute("drift", "-e", "prod"),
        difference_digest(json.loads(form_of(cxroute))),
    )
    candidate.add(HAND)
    assert 2 == cxroute("drift", "-e", "prod")
    assert f'\n+ "{HAND}"   not managed here, to "Support"\n' in cxroute.out
    assert '"Billing" -> "Support"' in cxroute.out
    assert f'\nIn the way: "{HAND}" (not managed)\n' in cxroute.out
    assert "error[CXR220]" in cxroute.out
    form = drift_json(cxroute)
    (change,) = form["changes"]
    assert ("none", "unmanaged", HAND) == (
        change["action"],
        change["cause"],
        change["name"],
    )
    assert ["CXR220"] == [
        item["code"] for item in form["findings"] if item["severity"] == "error"
    ]
    assert difference_digest(form)
    assert 0 == cxroute("test", "-e", "prod")
    assert 3 == cxroute("test", "-e", "prod", "--live")
    assert f'expected "Billing", but goes to "Support" by rule "{HAND}"' in cxroute.out
    assert (
        "why: cxroute explain -e prod --live --intent billing --confidence 0.9"
        in cxroute.out
    )
    assert 2 == cxroute("drift", "-e", "prod", "--format", "markdown")
    assert "#### In the way" in cxroute.out
    assert (
        f"```yaml\nunmanaged:\n  accept:\n    - {{name: {HAND}, digest: " in cxroute.out
    )
    metrics = loop.trigger_round()
    assert (1, 1, 0, 0) == tuple(
        metrics[item]
        for item in (
            "rules_in_the_way",
            "failed_live_tests",
            "drifted_rules",
            "pending_changes",
        )
    )
    assert [
        "*1 rule in the way, 1 route test failed on the live rules in `prod`*"
    ] == stage.hook.wait_for(1)
    assert f"• `{HAND}`: not managed, and in the way" in stage.hook.texts[0]
    assert "Conversations do not go where the manifests say: `" in stage.hook.texts[0]


def form_of(cxroute: Program) -> str:
    assert 0 == cxroute("drift", "-e", "prod", "--format", "json")
    return cxroute.out


@pytest.mark.slow
def test_the_printed_block_accepts_the_rule(
    stage: WatchSetup, cxroute: Program
) -> None:
    """After the block is pasted unchanged, drift is empty.

    After an edit of the rule, it is in the way again.
    """
    loop = stage.watch()
    candidate = stage.somebody()
    candidate.add(
        HAND,
        conditions=[
            {
                "type": "attribute",
                "attributeName": "channel",
                "operator": "equals",
                "value": "x",
            }
        ],
    )
    assert 2 == cxroute("drift", "-e", "prod")
    block = cxroute.out[cxroute.out.index("unmanaged:") :]
    assert 1 == loop.trigger_round()["rules_in_the_way"]
    environment = Path("manifests/prod.yaml")
    environment.write_text(f"{environment.read_text('utf-8')}{block}", "utf-8")
    assert 0 == cxroute("drift", "-e", "prod")
    assert (
        "No drift. 2 rules in prod match the manifests.\n1 unmanaged rule is accepted.\n"
        == cxroute.out
    )
    assert 0 == loop.trigger_round()["rules_in_the_way"]
    assert "*Recovered: `prod` matches the manifests.*" == stage.hook.wait_for(2)[1]
    edit_named(candidate, HAND, priority=1)
    assert 2 == cxroute("drift", "-e", "prod")
    assert "warning[CXR330]" in cxroute.out
    assert 1 == loop.trigger_round()["rules_in_the_way"]


def edit_named(other: Any, name: str, **fields: Any) -> None:
    other.edit(name.rpartition(" ")[2], **fields)


def test_watch_apply_reports_drift_that_apply_cannot_end(stage: WatchSetup) -> None:
    """It applies what it can, reports the rest, and does not call a tenant with a rule in the way
    clean.
    """
    loop = stage.watch("--apply", "--log-format", "json")
    candidate = stage.somebody()
    candidate.add(HAND)
    candidate.edit("fraud", enabled=False)
    metrics = loop.trigger_round()
    assert [1, 1, 0] == [
        metrics[item]
        for item in ("applied_changes_total", "rules_in_the_way", "pending_changes")
    ]
    (head,) = stage.hook.wait_for(1)
    assert head.endswith(
        "Read again: 1 rule in the way, 1 route test failed on the live rules."
    )
    metrics = loop.trigger_round()
    assert 1 == metrics['rounds_total{result="pending"}']
    assert (
        "*1 rule in the way, 1 route test failed on the live rules in `prod`*"
        == stage.hook.wait_for(2)[1]
    )
    loop.trigger_round()
    assert 2 == len(stage.hook.bodies)
    lines = [
        json.loads(line) for line in loop.log().splitlines() if line.startswith("{")
    ]
    assert [0, 1, 1, 1] == [
        line["inTheWay"] for line in lines if line.get("event") == "round"
    ]


@pytest.mark.slow
def test_a_deleted_rule_is_missing_and_restored(
    stage: WatchSetup, cxroute: Program
) -> None:
    """Point A3: the journal names the run since when it is missing; counts and the suggested
    command include it.
    """
    loop = stage.watch()
    candidate = stage.somebody()
    run = json.loads(Path(".cxroute/journal.jsonl").read_text("utf-8").splitlines()[0])[
        "run"
    ]
    candidate.delete("billing")
    assert 2 == cxroute("drift", "-e", "prod")
    assert (
        "- cards/billing   in CXone, somebody deleted it   manifests/cards.yaml:6\n"
        in cxroute.out
    )
    assert (
        f"Missing in CXone: cards/billing (deleted in CXone since {run})\n"
        in cxroute.out
    )
    assert "fix it    cxroute apply -e prod --only cards/billing\n" in cxroute.out
    (change,) = drift_json(cxroute)["changes"]
    assert ("create", "missing", run) == (
        change["action"],
        change["cause"],
        change["since"],
    )
    metrics = loop.trigger_round()
    assert (1, 1, 1) == tuple(
        metrics[item] for item in ("drifted_rules", "missing_rules", "pending_changes")
    )
    assert (
        "*1 rule missing in CXone, 1 route test failed on the live rules in `prod`*"
        == stage.hook.wait_for(1)[0]
    )
    assert "• create `cards/billing`: missing in CXone" in stage.hook.texts[0]
    Path(".cxroute/journal.jsonl").unlink()
    assert 2 == cxroute("drift", "-e", "prod", "--format", "markdown")
    assert "never applied, or deleted in CXone" in cxroute.out
    assert 0 == cxroute("apply", "-e", "prod", "--only", "cards/billing", "--yes"), (
        cxroute.err
    )
    assert 0 == cxroute("drift", "-e", "prod")


def test_a_disabled_rule_is_shown_as_an_edit_in_cxone(
    stage: WatchSetup, cxroute: Program
) -> None:
    """Point A4: text and issue name the edit in CXone; with -v, the field as it is there and in the
    manifests.
    """
    stage.somebody().edit("billing", enabled=False)
    assert 2 == cxroute("drift", "-e", "prod")
    assert (
        "\n~ cards/billing   in CXone, somebody switched it off   manifests/cards.yaml:6\n"
        in cxroute.out
    )
    assert 2 == cxroute("drift", "-e", "prod", "-v")
    assert (
        "               manifests  in CXone now\n      enabled  true       false\n"
        in cxroute.out
    )
    assert 2 == cxroute("drift", "-e", "prod", "--format", "markdown")
    assert (
        "| **~** `cards/billing` `cards.yaml:6` in CXone, somebody switched it off | | |"
        in cxroute.out
    )
    assert 2 == cxroute("drift", "-e", "prod", "-q")
    lines = cxroute.out.splitlines()
    assert (
        "prod: 1 rule changed in CXone, 1 route test failed on the live rules."
        == lines[0]
    )
    assert "  Changed in CXone: cards/billing" in lines
