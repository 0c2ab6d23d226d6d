"""`plan --live FILE`: a plan without a tenant, and its statements about the source of its live
rules.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from reconciler.cli.main import main
from tests.support.program import Program

pytestmark = pytest.mark.usefixtures("elsewhere")
REAL = httpx.AsyncClient
STATE = Path(".cxroute/sandbox.json")


@pytest.fixture(autouse=True)
def applied(elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Provide the starter's rules live in the sandbox; then no connections, and no credentials."""
    del elsewhere
    assert 0 == main(["init"])
    assert 0 == main(["apply", "--yes", "-q"])
    monkeypatch.delenv("CXONE_CLIENT_SECRET")

    def connect(*_: Any, **__: Any) -> None:
        pytest.fail("somebody was asked")

    monkeypatch.setattr(httpx, "AsyncClient", connect)


def state() -> dict[str, Any]:
    return dict(json.loads(STATE.read_text(encoding="utf-8")))


def written(form: object) -> str:
    Path("live.json").write_text(json.dumps(form), encoding="utf-8")
    return "live.json"


@pytest.mark.parametrize("form", ["rules", "page"])
def test_rules_and_queues_of_a_file_replace_the_tenant(
    cxroute: Program, form: str
) -> None:
    """The same rules give no change, for an environment without credentials."""
    output = state()
    name = {"rules": "rules", "page": "entities"}[form]
    file = written({name: output["rules"], "queues": output["queues"]})
    assert 0 == cxroute("plan", "-e", "prod", "--live", file, "--detailed-exitcode")
    assert cxroute.out.startswith(
        "No tenant was contacted: the live rules come from live.json.\nPlan for prod   live"
    )
    assert "No changes. 3 rules in prod match the manifests." in cxroute.out
    assert "apply reads the tenant itself" in cxroute.out
    assert "" == cxroute.err


def test_queues_missing_from_a_file_come_from_the_manifests_with_a_notice(
    cxroute: Program,
) -> None:
    """Queue names with the targets, as in a plan's JSON, are enough to identify a queue."""
    names = {queue["id"]: queue["name"] for queue in state()["queues"]}
    rules = state()["rules"]
    code, created = cxroute.json(
        "plan", "--live", written(rules), "--detailed-exitcode"
    )
    assert (2, 3) == (code, created["summary"]["update"])
    (text,) = [
        item["message"] for item in created["findings"] if item["code"] == "CXR320"
    ]
    assert "lists no queues; assumed from the manifests: 3 queues" in text
    for rule in rules:
        rule["targets"][0]["queueName"] = names[rule["targets"][0]["queueId"]]
    code, created = cxroute.json(
        "plan", "--live", written(rules), "--detailed-exitcode"
    )
    assert (0, 3) == (code, created["summary"]["unchanged"])


def test_a_queue_missing_from_a_listed_file_is_an_error(cxroute: Program) -> None:
    """A list of queues is taken as complete."""
    output = state()
    file = written({"rules": output["rules"], "queues": output["queues"][1:]})
    assert 3 == cxroute("plan", "--live", file)
    assert "CXR105" in cxroute.err


@pytest.mark.parametrize("form", ["markdown", "html", "github", "json"])
def test_every_form_says_that_no_tenant_was_read(cxroute: Program, form: str) -> None:
    """As in the text form."""
    output = state()
    assert 0 == cxroute(
        "plan",
        "--live",
        written({"rules": output["rules"][1:], "queues": output["queues"]}),
        "--format",
        form,
    )
    assert "no tenant was contacted" in cxroute.out
    assert "simulated" not in cxroute.out


def test_a_plan_from_a_file_is_applied_only_if_the_tenant_matches_it(
    cxroute: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Apply reads the tenant itself, as always."""
    output = state()
    change = Path("manifests/routing.yaml")
    change.write_text(
        change.read_text(encoding="utf-8").replace("priority: 10", "priority: 11"),
        encoding="utf-8",
    )
    assert 0 == cxroute(
        "plan",
        "--live",
        written({"rules": output["rules"], "queues": output["queues"]}),
        "--out",
        "good.json",
    )
    output["rules"][0]["name"] = "older"
    assert 0 == cxroute(
        "plan",
        "--live",
        written({"rules": output["rules"], "queues": output["queues"]}),
        "--out",
        "old.json",
    )
    monkeypatch.setattr(httpx, "AsyncClient", REAL)
    assert 4 == cxroute("apply", "old.json", "--yes")
    assert 0 == cxroute("apply", "good.json", "--yes")


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ({"rules": 7}, "neither a list of rules nor"),
        ({"entities": [], "total": 3}, "a page with 0 of 3 rules"),
        ([{"name": "x"}], "`priority` is not a number"),
        (
            [
                {"id": "a", "name": "x", "priority": 1},
                {"id": "a", "name": "y", "priority": 2},
            ],
            "two rules have the id 'a'",
        ),
    ],
)
def test_an_invalid_file_is_an_error_in_one_sentence(
    cxroute: Program, form: object, said: str
) -> None:
    """Exit 64, with the file and the problem."""
    assert 64 == cxroute("plan", "--live", written(form))
    assert "live.json: " in cxroute.err
    assert said in cxroute.err
    assert "" == cxroute.out


def test_a_missing_file_and_several_environments_are_usage_errors(
    cxroute: Program,
) -> None:
    """The rules of one tenant are not those of another one."""
    assert 64 == cxroute("plan", "--live", "nowhere.json")
    assert "cannot read nowhere.json" in cxroute.err
    assert 64 == cxroute("plan", "-e", "sandbox,prod", "--live", written([]))
    assert "one environment" in cxroute.err


def test_rules_of_a_file_become_manifests(cxroute: Program) -> None:
    """Without a tenant; a plan of the written manifests has only adoptions of the file's rules."""
    rule = {
        "id": "1",
        "name": "By hand",
        "priority": 7,
        "enabled": True,
        "description": "",
    }
    rule["conditions"] = [
        {
            "type": "attribute",
            "attributeName": "tier",
            "operator": "equals",
            "value": "gold",
        }
    ]
    rule["targets"] = [{"type": "queue", "queueId": "q", "weight": 1}]
    file = written(
        {
            "rules": [rule],
            "queues": [*state()["queues"], {"id": "q", "name": "Gold Desk"}],
        }
    )
    assert 0 == cxroute(
        "export", "-e", "prod", "--all", "--live", file, "--into", "manifests/"
    )
    assert "no tenant was contacted" in cxroute.err
    assert 0 == cxroute(
        "plan",
        "-e",
        "prod",
        "--live",
        file,
        "--format",
        "json",
        "--only",
        "gold-desk/*",
    )
    assert ["adopt"] == [
        change["action"] for change in json.loads(cxroute.out)["changes"]
    ]


def test_values_of_a_file_are_not_patched_into_manifests(cxroute: Program) -> None:
    """A file may be outdated: `--write` uses only values that the tenant itself returns."""
    file = written({"rules": [], "queues": []})
    assert 64 == cxroute("export", "-e", "prod", "--all", "--write", "--live", file)
    assert "and --live reads a file: specify one of them" in cxroute.err
