"""The commands over a socket: real processes, the real bank, signals, kills and errors."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import time
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import httpx
import pytest

from reconciler.features.practice.simulator.app import Simulator
from reconciler.features.practice.simulator.faults.injector import FaultInjector
from reconciler.features.practice.simulator.settings import PROFILES
from reconciler.features.practice.simulator.state import TenantState
from tests.support import canary_secrets as canary
from tests.support.bank_workspace import BankWorkspace
from tests.support.command import serving
from tests.support.loopback_server import loopback_server
from tests.support.plain_http import PLAIN

pytestmark = pytest.mark.slow


@pytest.fixture
def place(tmp_path: Path) -> BankWorkspace:
    return BankWorkspace(tmp_path)


def rules(url: str) -> dict[str, Any]:
    """Return every rule of the simulated tenant, by id, read page by page."""
    form = {
        "grant_type": "client_credentials",
        "client_id": canary.CLIENT,
        "client_secret": canary.SECRET,
    }
    with httpx.Client(base_url=url, trust_env=False, verify=PLAIN) as client:
        token = client.post("/oauth/token", data=form).json()["access_token"]
        headers = {"Authorization": f"Bearer {token}"}
        actual: dict[str, Any] = {}
        path = "/api/v2/routing/rules?pageNumber=1&pageSize=100"
        while path:
            page = client.get(path, headers=headers).json()
            actual |= {rule["id"]: rule for rule in page["entities"]}
            path = page["nextUri"]
    return actual


def wait_for_some(url: str, process: subprocess.Popen[str]) -> None:
    """Wait until an apply has made some of its creates."""
    while len(rules(url)) < 3:
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)


def edit(url: str, name: str, **fields: Any) -> None:
    """Change a rule as an edit in the console does."""
    rule = next(rule for rule in rules(url).values() if rule["name"] == name)
    form = {
        "grant_type": "client_credentials",
        "client_id": canary.CLIENT,
        "client_secret": canary.SECRET,
    }
    with httpx.Client(base_url=url, trust_env=False, verify=PLAIN) as client:
        token = client.post("/oauth/token", data=form).json()["access_token"]
        headers = {"Authorization": f"Bearer {token}"}
        answer = client.put(
            f"/api/v2/routing/rules/{rule['id']}",
            json={**rule, **fields},
            headers=headers,
        )
    assert 200 == answer.status_code


def theirs(url: str) -> dict[str, str]:
    """Return the unmanaged rules as JSON text."""
    actual = rules(url).items()
    return {
        key: json.dumps(rule)
        for key, rule in actual
        if "[cxroute:bank-routing/" not in rule["description"]
    }


def test_the_bank_from_the_first_plan_to_a_removed_rule(place: BankWorkspace) -> None:
    """Plan, conflict, apply, no changes, drift corrected, a rule removed; unmanaged rules are never
    changed.
    """
    with place.simulated("--tenant", "bank", "--state", "bank.json") as url:
        place.manifests(url)
        as_found = theirs(url)
        created = json.loads(place.run("-e", "bank", "plan", "--format", "json").stdout)
        assert (61, 8, 0) == tuple(
            created["summary"][kind] for kind in ("create", "adopt", "update")
        )

        conflicting = place.path / "manifests/conflict.yaml"
        claimed = next(
            json.loads(item)["name"]
            for item in as_found.values()
            if "[cxroute:" in item
        )
        conflicting.write_text(
            "apiVersion: routing/v1\nkind: RuleSet\nname: more\nrules:\n"
            f"  - {{key: refunds, name: {json.dumps(claimed)}, intent: no route test says it, queue: "
            f"general}}\n"
        )
        refused = place.run_without_waits("-e", "bank", "apply", "--yes")
        assert (4, as_found) == (refused.code, theirs(url))
        assert "more/refunds" in refused.err
        conflicting.unlink()

        applied = place.run("-e", "bank", "apply", "--yes", "--format", "json")
        assert (0, True) == (
            applied.returncode,
            json.loads(applied.stdout)["converged"],
        )
        versions = {key: rule["version"] for key, rule in rules(url).items()}
        assert 0 == place.run_without_waits("-e", "bank", "apply", "--yes").code
        assert versions == {key: rule["version"] for key, rule in rules(url).items()}
        empty = place.run_without_waits("-e", "bank", "plan", "--detailed-exitcode")
        assert 0 == empty.code
        assert "No changes." in empty.out

        edit(url, "Cognigy Intent Route: pin_blocked", priority=950)
        drifted = place.run_without_waits("-e", "bank", "drift")
        assert 2 == drifted.code
        assert "\nChanged in CXone: cards/pin-blocked\n" in drifted.out
        assert 0 == place.run_without_waits("-e", "bank", "apply", "--yes").code

        cards = place.path / "manifests/cards.yaml"
        cards.write_text(
            cards.read_text().replace(
                "  - intent: pin_blocked\n    queue: card-services\n    minConfidence: 0.7",
                "  # gone:",
            )
        )
        # the bank's route tests reach that rule
        assert 3 == place.run_without_waits("-e", "bank", "apply", "--yes").code
        shutil.rmtree(place.path / "manifests/tests")
        removed = json.loads(
            place.run_without_waits(
                "-e", "bank", "apply", "--yes", "--format", "json"
            ).out
        )
        assert ["cards/pin-blocked"] == [
            item["address"]
            for item in removed["outcomes"]
            if item["action"] == "delete"
        ]
        assert not any(
            rule["name"].endswith("pin_blocked") for rule in rules(url).values()
        )
        untouched = theirs(url)
        assert untouched == {
            key: rule for key, rule in as_found.items() if key in untouched
        }
        assert 8 == len(as_found) - len(untouched)


def test_a_killed_apply_is_finished_by_the_next(place: BankWorkspace) -> None:
    """SIGKILL during 69 creates: the next apply needs no file, and there are no duplicates."""
    with place.simulated("--latency-ms", "20") as url:
        place.manifests(url, rate=60)
        with place.start("-e", "bank", "apply", "--yes") as process:
            wait_for_some(url, process)
            process.kill()
            process.communicate()
        assert len(rules(url)) < 69
        (place.path / ".cxroute/journal.jsonl").write_bytes(b"\x00 torn")
        assert 0 == place.run_without_waits("-e", "bank", "apply", "--yes").code
        names = [rule["name"] for rule in rules(url).values()]
        assert (69, 69) == (len(names), len(set(names)))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_an_apply_between_two_writes(
    place: BankWorkspace, number: signal.Signals
) -> None:
    """Exit 130: the write in progress is finished, and every change is reported."""
    with place.simulated("--latency-ms", "20") as url:
        place.manifests(url, rate=60)
        with place.start("-e", "bank", "apply", "--yes", "--format", "json") as process:
            wait_for_some(url, process)
            process.send_signal(number)
            out, err = process.communicate(timeout=30)
        assert 130 == process.returncode, err
        outcomes = json.loads(out)["outcomes"]
        applied = [outcome for outcome in outcomes if outcome["status"] == "applied"]
        assert 69 == len(outcomes)
        assert len(rules(url)) == len(applied) < 69
        assert {"skipped"} == {
            outcome["status"] for outcome in outcomes if outcome["status"] != "applied"
        }


def test_a_simulated_tenant_survives_a_kill(place: BankWorkspace) -> None:
    """Its state is in the file before a change is acknowledged."""
    with serving(
        place.start("simulate", "--port", "0", "--state", "state.json")
    ) as url:
        place.manifests(url)
        assert 0 == place.run_without_waits("-e", "bank", "apply", "--yes").code
        before = rules(url)
    with place.simulated("--state", "state.json") as url:
        assert before == rules(url)


WRONG = {
    "wrong credentials": (
        "",
        {"CXONE_CLIENT_SECRET": "something else"},
        "refuses the client id or secret",
    ),
    "no such host": (
        "https://nowhere.invalid",
        {"CXROUTE_HOSTS": "nowhere.invalid"},
        "cannot be reached",
    ),
    "a host that is not CXone's": ("https://evil.example", {}, "CXROUTE_HOSTS"),
    "http to another machine": ("http://10.0.0.1", {}, "http"),
    "nobody listens": ("http://127.0.0.1:9", {}, "cannot be reached"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_tenant_that_cannot_be_read_is_one_sentence_and_exit_1(
    place: BankWorkspace, case: str
) -> None:
    """Or exit 64 for invalid settings; never a traceback, never the secret."""
    url, environment, text = WRONG[case]
    with nullcontext(url) if url else place.simulated() as present:
        place.manifests(present)
        place.environment |= environment
        ended = place.run_without_waits("-e", "bank", "plan")
    assert ended.code in (1, 3, 64), ended.err
    assert text in ended.err
    assert len(ended.err.splitlines()) < 20
    assert "" == ended.out


@pytest.mark.parametrize(
    "fault",
    ["html", "shape", "nan", "deep", "gzip", "redirect", "501", "empty", "403", "half"],
)
def test_hostile_responses_end_in_one_sentence(
    place: BankWorkspace, fault: str
) -> None:
    """HTML, broken or hostile JSON, bombs, redirects: exit 1, and nothing is written."""
    with loopback_server() as here:
        here.app = Simulator(
            TenantState(), PROFILES["A"], FaultInjector(f"GET rules:{fault}")
        )
        place.manifests(here.url)
        ended = place.run_without_waits("-e", "bank", "apply", "--yes")
    assert 1 == ended.code
    [error] = [
        line
        for line in ended.err.strip().splitlines()
        if not line.startswith("waiting for ")
    ]
    assert "rules" in error or "answer" in error


def test_an_unknown_queue_has_its_place_and_the_nearest_name(
    place: BankWorkspace,
) -> None:
    """Exit 3, before anything is written."""
    with place.simulated("--tenant", "bank") as url:
        place.manifests(url)
        queues = place.path / "manifests/queues.yaml"
        queues.write_text(
            queues.read_text(encoding="utf-8").replace(
                "cash: Cash and ATM", "cash: Cash and ATN"
            ),
            "utf-8",
        )
        ended = place.run("-e", "bank", "apply", "--yes")
    assert 3 == ended.returncode
    first = ended.stderr.splitlines()[0]
    assert re.match(
        r'manifests/\w+\.yaml:\d+:\d+: error\[CXR105\]: queue "Cash and ATN" \(alias \'cash\'\) is not a live ',
        first,
    )
    assert 'did you mean "Cash and ATM"?' in first
