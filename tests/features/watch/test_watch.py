"""`cxroute watch` as a real process: a tenant over HTTP, another writer, a webhook, signals."""

from __future__ import annotations

import json
import re
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from reconciler.cli.http_server import open_listener
from reconciler.version import __version__
from tests.support import canary_secrets as canary
from tests.support.cases import each_case
from tests.support.plain_http import PLAIN
from tests.support.ports import free_ports
from tests.support.program import Program
from tests.support.simulated import RULES
from tests.support.watch_process import PATIENCE, WatchSetup, watch_setup

FROZEN = 'freeze: [{start: 2020-01-01, end: 2100-01-01, timezone: Europe/Berlin, reason: "peak season"}]'


@pytest.fixture
def stage(
    elsewhere: Path, cxroute: Program, monkeypatch: pytest.MonkeyPatch
) -> Iterator[WatchSetup]:
    """A tenant with two managed rules."""
    monkeypatch.setenv("CXONE_CLIENT_ID", canary.CLIENT)
    monkeypatch.delenv("CXROUTE_PROXY")
    with watch_setup(elsewhere) as here:
        here.serve_tenant()
        here.write("billing", "fraud")
        assert 0 == cxroute("apply", "-e", "prod", "--yes"), cxroute.err
        here.hook.bodies.clear()
        here.hook.asked.clear()
        yield here


def journal(folder: Path) -> list[dict[str, Any]]:
    return [
        json.loads(line)
        for line in (folder / ".cxroute" / "journal.jsonl")
        .read_text("utf-8")
        .splitlines()
    ]


def test_each_state_of_drift_is_reported_once(stage: WatchSetup) -> None:
    """Nothing is written; each state is notified once, and so is its end."""
    loop = stage.watch()
    candidate = stage.somebody()
    assert (0, 0) == (loop.metrics()["pending_changes"], len(stage.hook.bodies))
    original = candidate.rules()["billing"]
    candidate.edit("billing", priority=7)
    observed = [loop.trigger_round(), loop.trigger_round()]
    assert [(1, 1)] * 2 == [
        (item["pending_changes"], item["drifted_rules"]) for item in observed
    ]
    assert ["*1 rule changed in CXone in `prod`*"] == stage.hook.wait_for(1)
    assert "update `cards/billing`: changed in CXone" in stage.hook.texts[0]
    candidate.edit("billing", priority=8)
    loop.trigger_round()
    assert 2 == len(stage.hook.wait_for(2))
    candidate.edit("billing", priority=original["priority"])
    assert 0 == loop.trigger_round()["drifted_rules"]
    assert "*Recovered: `prod` matches the manifests.*" == stage.hook.wait_for(3)[2]
    loop.trigger_round()
    code, out = loop.end()
    assert (0, 3) == (code, len(stage.hook.bodies))
    assert 2 == out.count("1 of 2 rules differs from the manifests in prod.")
    assert ["/hook application/json"] * 3 == stage.hook.asked
    assert 8 not in {rule["priority"] for rule in candidate.rules().values()}


def test_apply_corrects_drift(stage: WatchSetup) -> None:
    """The tenant, the journal, the metrics, the message and the log agree."""
    loop = stage.watch("--apply", "--log-format", "json")
    candidate = stage.somebody()
    candidate.edit("fraud", enabled=False)
    metrics = loop.trigger_round()
    assert candidate.rules()["fraud"]["enabled"]
    counted = (
        "applied_changes_total",
        "pending_changes",
        'rounds_total{result="applied"}',
        "notifications_total",
    )
    assert [1, 0, 1] == [metrics[name] for name in counted[:3]]
    loop.wait_for_count(1, 'notifications_total{result="sent"}')
    (head,) = stage.hook.wait_for(1)
    assert head.startswith(
        "*1 change applied in `prod`* (1 rule had been changed in CXone) by `"
    )
    assert head.endswith("`. Read again: no differences.")
    start = [entry for entry in journal(stage.folder) if entry["event"] == "start"][-1]
    assert ("watch", "prod") == (start["reason"], start["environment"])
    code, out = loop.end()
    assert code == 0
    assert "~ cards/fraud" in out
    lines = [
        json.loads(line) for line in loop.log().splitlines() if line.startswith("{")
    ]
    rounds = [line for line in lines if line.get("event") == "round"]
    assert ["clean", "applied"] == [line["result"] for line in rounds]
    assert {"applied": 1, "drifted": 0, "error": None}.items() <= rounds[1].items()


def test_a_loop_does_not_write_an_edited_copy_of_a_managed_rule(
    stage: WatchSetup,
) -> None:
    """A user copies a rule and edits the original: the copy is managed; the edited rule stays and
    is reported.
    """
    loop = stage.watch("--apply")
    candidate = stage.somebody()
    rule = candidate.rules()["billing"]
    candidate.http.post(RULES, json=rule)
    targets = [{**rule["targets"][0], "queueId": "q2"}]
    candidate.http.put(
        f"{RULES}/{rule['id']}",
        json={**rule, "name": "Mine", "priority": 7, "targets": targets},
    )
    assert [1, 1] == [
        loop.trigger_round()["rules_in_the_way"],
        loop.trigger_round()["rules_in_the_way"],
    ]
    rules = candidate.http.get(RULES, params={"pageSize": 1000}).json()["entities"]
    assert [("Mine", 7)] == [
        (item["name"], item["priority"]) for item in rules if item["id"] == rule["id"]
    ]
    assert 3 == len(rules)
    assert "`Mine`" in stage.hook.wait_for(1)[0] + stage.hook.texts[0]


@pytest.mark.slow
def test_an_outage_of_the_tenant_is_notified_once(tmp_path: Path) -> None:
    """So is its end. The last result stays, and the process stays alive."""
    (port,) = free_ports(1)
    with watch_setup(tmp_path) as here:
        with here.tenant_as_process(port):
            loop = here.watch()
        away = loop.trigger_round()
        assert (1, 1) == (away["pending_changes"], away["failures_in_a_row"])
        assert 200 == loop.get("/health").status_code
        with here.tenant_as_process(port):
            back = loop.trigger_round()
        output = here.hook.wait_for(3)
    counted = ("pending_changes", "failures_in_a_row", 'rounds_total{result="failed"}')
    assert [1, 0, 1] == [back[name] for name in counted]
    assert (
        back["last_success_timestamp_seconds"] == back["last_round_timestamp_seconds"]
    )
    assert [
        "*1 rule missing in CXone in `prod`*",
        "*Failed in `prod`: nothing was written*",
        "*Recovered: `prod` can be read again.*",
    ] == output


def test_refused_and_held_changes_are_reported_and_not_made(stage: WatchSetup) -> None:
    """A freeze, a guard, `prune: false`: notified once for each reason, and written when nothing
    refuses.
    """
    loop = stage.watch("--apply")
    candidate = stage.somebody()
    stage.write("billing", "fraud", "lost", more=FROZEN)
    observed = [loop.trigger_round(), loop.trigger_round()]
    assert [(1, 1)] * 2 == [
        (item["pending_changes"], item["refused_guards"]) for item in observed
    ]
    stage.write(more="guard: {deletes: {count: 0, percent: 0}}")
    assert 2 <= loop.trigger_round()["refused_guards"]
    assert {"billing", "fraud"} == set(candidate.rules())
    assert ["1 rule missing in CXone", "2 changes not applied"] == [
        re.findall(r"[\d]+ (?:rule missing in CXone|changes not applied)", head)[0]
        for head in stage.hook.wait_for(2)
    ]
    assert "refused: `prod is frozen now: peak season`" in stage.hook.texts[0]
    stage.write("billing", "lost", more="prune: false")
    actual = loop.trigger_round()
    counted = (
        "pending_changes",
        "refused_guards",
        "held_changes",
        "applied_changes_total",
    )
    assert [0, 0, 1, 1] == [actual[name] for name in counted]
    assert {"billing", "fraud", "lost"} == set(candidate.rules())
    code, out = loop.end()
    assert (0, 2) == (code, out.count("Plan for prod"))


def test_each_round_reads_the_manifests_and_invalid_ones_fail_it(
    stage: WatchSetup,
) -> None:
    """The loop continues with the last result and a notification; corrected manifests count in the
    next round.
    """
    loop = stage.watch("--apply")
    candidate = stage.somebody()
    path = stage.folder / "manifests" / "cards.yaml"
    good = path.read_text("utf-8")
    path.write_text(f"{good}- {{intent: lost, que: Billing}}\n", "utf-8")
    assert 2 == loop.trigger_round()["managed_rules"]
    path.write_text(f"{good}- {{intent: lost, queue: Billing}}\n", "utf-8")
    actual = loop.trigger_round()
    assert [1, 1, 1] == [
        actual[f'rounds_total{{result="{item}"}}']
        for item in ("clean", "failed", "applied")
    ]
    assert "lost" in candidate.rules()
    heads = [head.partition(" `")[0] for head in stage.hook.wait_for(3)]
    assert ["*Failed in", "*Recovered:", "*1 change applied in"] == heads
    assert "cxroute validate" in stage.hook.texts[0]
    assert re.search(r"cards.yaml:\d+:\d+: error.*que", loop.log())


def test_a_failing_route_test_prevents_a_write(stage: WatchSetup) -> None:
    """The round reads and plans, and notifies; the corrected test counts in the next round."""
    loop = stage.watch("--apply")
    candidate = stage.somebody()
    candidate.edit("billing", priority=7)
    path = stage.folder / "manifests" / "tests.yaml"
    form = "apiVersion: routing/v1\nkind: RouteTests\nname: t\ntests:\n"
    path.write_text(
        f"{form}- {{given: {{intent: billing}}, expect: {{queue: Fraud}}}}\n", "utf-8"
    )
    actual = loop.trigger_round()
    counted = (
        'rounds_total{result="refused"}',
        "failed_tests",
        "pending_changes",
        "applied_changes_total",
    )
    assert [1, 1, 1, 0] == [actual[name] for name in counted]
    assert 7 == candidate.rules()["billing"]["priority"]
    stage.hook.wait_for(1)
    (text,) = stage.hook.texts
    assert "1 route test fails in `prod`" in text.partition("\n")[0]
    assert '• route test: `expected "Fraud", but goes to "Billing"' in text
    assert "1 route test fails" in loop.log()
    path.write_text(
        f"{form}- {{given: {{intent: billing}}, expect: {{queue: Billing}}}}\n", "utf-8"
    )
    assert [0, 1] == [loop.trigger_round()[name] for name in counted[1:4:2]]
    assert 7 != candidate.rules()["billing"]["priority"]
    code, out = loop.end()
    assert (0, 1) == (
        code,
        out.count("1 route test fails: apply will refuse this plan"),
    )


@pytest.mark.slow
def test_a_signal_between_two_writes_ends_the_loop_as_in_apply(tmp_path: Path) -> None:
    """The current write is completed and recorded, no other starts, exit 130; the next loop
    continues.
    """
    with watch_setup(tmp_path) as here:
        here.serve_tenant(latency=0.1)
        intents = [f"i{number}" for number in range(12)]
        here.write(*intents)
        path = tmp_path / "manifests" / "prod.yaml"
        path.write_text(
            path.read_text("utf-8").replace(
                "requestsPerSecond: 2000", "concurrency: 1"
            ),
            "utf-8",
        )
        loop = here.start("--apply")
        candidate = here.somebody()
        while not candidate.rules():
            assert loop.process.poll() is None
        loop.process.send_signal(signal.SIGTERM)
        assert 130 == loop.process.wait(PATIENCE)
        assert 0 < len(candidate.rules()) < 12
        ends = [entry for entry in journal(tmp_path) if entry["event"] == "end"]
        assert [(False, True)] == [
            (end["converged"], end["interrupted"]) for end in ends
        ]
        assert here.hook.wait_for(1)[0].startswith("*Interrupted in `prod`: ")
        here.watch("--apply")
        assert set(intents) == set(candidate.rules())


def test_health_and_metrics_are_served_over_http(stage: WatchSetup) -> None:
    """GET and HEAD only, no other path, and no label contains a value from outside."""
    loop = stage.watch()
    assert [200, 404, 405, 200] == [
        loop.get("/health").status_code,
        loop.get("/").status_code,
        httpx.post(f"{loop.url}/metrics", trust_env=False, verify=PLAIN).status_code,
        httpx.head(f"{loop.url}/metrics", trust_env=False, verify=PLAIN).status_code,
    ]
    answer = loop.get("/metrics")
    assert "text/plain; version=0.0.4; charset=utf-8" == answer.headers["content-type"]
    labels = set(re.findall(r"\{(.*)\}", answer.text))
    declared = ["applied", "clean", "failed", "partly", "pending", "refused", "sent"]
    assert {
        f'version="{__version__}"',
        *(f'result="{item}"' for item in declared),
    } == labels
    assert "prod" not in answer.text


@each_case(
    "arguments, said",
    [
        (
            ("--every", "5"),
            "must be a whole number of seconds, minutes or hours: 30s, 5m, 1h",
        ),
        (("--every", "1.5m"), "must be a whole number"),
        (("--every=-5m",), "must be a whole number"),
        # argparse refuses it, or takes it for a number: Python 3.14.10 does
        (
            ("--every", "-5m"),
            "--every",
        ),
        (("--every", "٥m"), "must be a whole number"),
        (("--every", "9s"), "at least 10s"),
        (("--every", "0m"), "must be a whole number"),
        (("--every", "25h"), "at most 24h"),
        (("--every", "999999h"), "at most 24h"),
        (("--listen", "9090"), "must be a host and a port, such as 127.0.0.1:9090"),
        (("--listen", ":9090"), "must be a host and a port"),
        (("--listen", "127.0.0.1:65536"), "must be a host and a port"),
        (("--listen", "http://127.0.0.1:9"), "must be a host and a port"),
    ],
)
def test_invalid_options_are_refused_at_the_start(
    cxroute: Program, arguments: tuple[str, ...], said: str
) -> None:
    """Exit 64 and one sentence."""
    assert 64 == cxroute("watch", *arguments)
    assert said in cxroute.err


def test_invalid_manifests_at_the_start_end_the_command(
    cxroute: Program, room: Path
) -> None:
    """As for other commands: the user is present and can correct them."""
    (room / "a.yaml").write_text("kind: Nothing\n", "utf-8")
    assert 3 == cxroute("watch")
    assert "a.yaml:1:" in cxroute.err


def test_a_port_that_cannot_be_served_is_reported(
    cxroute: Program, room: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit 1 with the address; without the extra, with the way to install it."""
    (room / "a.yaml").write_text(
        "apiVersion: routing/v1\nkind: RuleSet\nname: cards\nrules: []\n", "utf-8"
    )
    with open_listener("127.0.0.1", 0) as claimed:
        port = claimed.getsockname()[1]
        assert 1 == cxroute("watch", "--listen", f"127.0.0.1:{port}")
    assert f"cannot listen on 127.0.0.1:{port}" in cxroute.err
    monkeypatch.setitem(sys.modules, "reconciler.cli.http_server", None)
    assert 1 == cxroute("watch", "--listen", "127.0.0.1:0")
    assert (
        "needs the extra `serve`, which is not installed. See docs/install.md, section"
        in cxroute.err
    )
