"""Metrics, alert rules and dashboard fit each other: promtool finds no fault, and each used metric
exists.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from reconciler.version import __version__
from tests.features.endpoint.in_process_endpoint import event
from tests.features.endpoint.instances import machines, shared, until
from tests.features.endpoint.processes import caller
from tests.support.plain_http import PLAIN
from tests.support.requirements import skip_or_fail

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
RULES = ROOT / "deploy" / "prometheus" / "cxroute.rules.yml"
RULE_TESTS = sorted(RULES.parent.glob("*.test.yml"))
DASHBOARD = ROOT / "deploy" / "grafana" / "cxroute.json"
ALERTS: list[dict[str, Any]] = [
    rule
    for group in yaml.safe_load(RULES.read_text("utf-8"))["groups"]
    for rule in group["rules"]
]
NAME = re.compile(r"\b(?:cxroute|process)_[a-z_]+|\bup\b")
TYPE = re.compile(r"^# TYPE (\S+) (\S+)$", re.MULTILINE)
HELP = re.compile(r"^# HELP (\S+) \S", re.MULTILINE)
SERIES = re.compile(r"^([a-z_]+)(?:\{[^}]*\})? (\S+)$", re.MULTILINE)
PROCESS = {
    "process_cpu_seconds_total": "counter",
    "process_resident_memory_bytes": "gauge",
    "process_start_time_seconds": "gauge",
    "process_open_fds": "gauge",
    "process_max_fds": "gauge",
}
PAGES = ("serve", "serve --shared", "watch")


def promtool(*words: str, entry: str = "") -> subprocess.CompletedProcess[str]:
    """Run promtool, which comes with Prometheus."""
    if shutil.which("promtool") is None:
        skip_or_fail("promtool is not installed (Debian: prometheus)")
    return subprocess.run(
        ["promtool", *words], input=entry, capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, str]]:
    """The pages of metrics of two endpoints and a loop, each a process, after an event and a
    round.
    """
    with shared(tmp_path_factory.mktemp("fleet")) as (fleet, server):
        _, alone = fleet.serve(name="alone")
        (together,) = machines(fleet, server, count=1)
        _, loop = fleet.run(
            ["watch", "-e", "prod", "--every", "1h", "--listen", "127.0.0.1:0"], "watch"
        )
        for url in (alone, together):
            with caller(url) as http:
                assert 200 == http.post("/api/route", json=event()).status_code
        assert until(
            20,
            lambda: "cxroute_rounds_total" in page(loop) and not rounds_are_zero(loop),
        )
        yield dict(zip(PAGES, map(page, (alone, together, loop)), strict=True))


def page(url: str) -> str:
    return httpx.get(f"{url}/metrics", trust_env=False, verify=PLAIN).text


def rounds_are_zero(url: str) -> bool:
    return {
        value
        for name, value in SERIES.findall(page(url))
        if name == "cxroute_rounds_total"
    } == {"0"}


def exposed(texts: Mapping[str, str]) -> set[str]:
    """Return the names of all series."""
    return {name for text in texts.values() for name, _ in SERIES.findall(text)}


def panel_expressions() -> list[str]:
    """Return the expressions of the dashboard, with values for its variables."""
    board = json.loads(DASHBOARD.read_text("utf-8"))
    texts = [
        target["expr"]
        for panel in board["panels"]
        for target in panel.get("targets", [])
    ]
    texts += [item["expr"] for item in board["annotations"]["list"]]
    return [
        text.replace("$__rate_interval", "5m")
        .replace("$job", ".+")
        .replace("$instance", ".+")
        for text in texts
    ]


@pytest.mark.parametrize("which", PAGES)
def test_promtool_finds_no_fault_in_the_metrics(
    which: str, pages: Mapping[str, str]
) -> None:
    """Names, types and help texts."""
    actual = promtool("check", "metrics", entry=pages[which])
    assert (0, "", "") == (actual.returncode, actual.stdout, actual.stderr)


@pytest.mark.parametrize("which", PAGES)
def test_every_metric_has_a_help_and_its_type(
    which: str, pages: Mapping[str, str]
) -> None:
    """What counts ends in `_total`, and nothing else does."""
    text = pages[which]
    types = dict(TYPE.findall(text))
    assert {*types} == {*HELP.findall(text)}
    assert {name for name in types if name.endswith("_total")} == {
        name for name, kind in types.items() if kind == "counter"
    }
    parts = {
        f"{name}{part}" for name in types for part in ("", "_bucket", "_sum", "_count")
    }
    assert set() == exposed({which: text}) - parts


@pytest.mark.parametrize("which", PAGES)
def test_each_command_tells_its_version_and_its_process(
    which: str, pages: Mapping[str, str]
) -> None:
    """By the names and types of Prometheus' own libraries, with plausible values."""
    text = pages[which]
    types = dict(TYPE.findall(text))
    values = dict(SERIES.findall(text))
    assert f'cxroute_build_info{{version="{__version__}"}} 1' in text.splitlines()
    assert PROCESS == {
        name: kind for name, kind in types.items() if name.startswith("process_")
    }
    assert 0 < float(values["process_cpu_seconds_total"]) < 120
    assert 2**20 < float(values["process_resident_memory_bytes"]) < 2**30
    assert abs(time.time() - float(values["process_start_time_seconds"])) < 600
    assert 3 <= float(values["process_open_fds"]) < float(values["process_max_fds"])


def test_each_used_metric_exists(pages: Mapping[str, str]) -> None:
    """In an alert and in a panel. `up` is Prometheus' own."""
    declared = exposed(pages) | {"up"}
    used = [rule["expr"] for rule in ALERTS] + panel_expressions()
    assert [] == [
        (name, text)
        for text in used
        for name in NAME.findall(text)
        if name not in declared
    ]


def test_each_metric_is_on_the_dashboard(pages: Mapping[str, str]) -> None:
    """A new one needs a panel."""
    printed = {name for text in panel_expressions() for name in NAME.findall(text)}
    histograms = {"cxroute_request_seconds_sum", "cxroute_request_seconds_count"}
    times = {"cxroute_last_round_timestamp_seconds"}
    assert exposed(pages) - printed == histograms | times


def test_the_rules_are_valid_and_fire() -> None:
    """By promtool and the tests beside them; each alert has a test in which it fires."""
    checked = promtool("check", "rules", str(RULES))
    assert (0, "") == (checked.returncode, checked.stderr)

    tested = promtool("test", "rules", *map(str, RULE_TESTS))
    assert 0 == tested.returncode, tested.stdout + tested.stderr

    texts = "".join(file.read_text("utf-8") for file in RULE_TESTS)
    assert {rule["alert"] for rule in ALERTS} == {
        *re.findall(r'\{alertname="(\w+)"\}', texts)
    }


def test_the_panels_are_valid(tmp_path: Path) -> None:
    """Each expression of the dashboard, as promtool reads a rule."""
    rules = [
        {"record": f"panel:{number}", "expr": text}
        for number, text in enumerate(panel_expressions())
    ]
    file = tmp_path / "panels.yml"
    file.write_text(
        json.dumps({"groups": [{"name": "panels", "rules": rules}]}), encoding="utf-8"
    )
    actual = promtool("check", "rules", "--lint=none", str(file))
    assert (0, f"  SUCCESS: {len(rules)} rules found") == (
        actual.returncode,
        actual.stdout.strip("\n").splitlines()[-1],
    )


@pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: rule["alert"])
def test_each_alert_says_what_to_do(rule: dict[str, Any]) -> None:
    """And where: the section of a page that exists."""
    assert rule["labels"]["severity"] in ("warning", "critical")
    assert {"summary", "description", "runbook"} == {*rule["annotations"]}
    path, _, section = rule["annotations"]["runbook"].partition(", section ")
    assert f"\n## {section}\n" in (ROOT / path).read_text("utf-8")


def test_the_runbook_names_each_alert_of_watch() -> None:
    """By its name in the rules, and it names no other alert."""
    runbook = (ROOT / "docs/operations.md").read_text("utf-8")
    named = set(re.findall(r"`(Cxroute\w+)`", runbook))
    assert named <= {rule["alert"] for rule in ALERTS}
    of_watch = {
        rule["alert"]
        for rule in ALERTS
        if rule["annotations"]["runbook"].endswith("section Alerts of watch")
    }
    assert of_watch <= named
