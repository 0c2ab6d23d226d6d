"""`cxroute explore`: the file, its source, and the pages beside a plan's report."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from reconciler.cli.files import STATE
from reconciler.features.practice.sandbox import open_state
from reconciler.features.practice.simulator.app import Simulator
from reconciler.features.practice.simulator.settings import PROFILES
from reconciler.features.practice.simulator.state import bank_tenant
from tests.support.bank_workspace import BankWorkspace
from tests.support.loopback_server import loopback_server
from tests.support.program import Program, write

pytestmark = pytest.mark.usefixtures("elsewhere")
ROOT = Path(__file__).resolve().parents[3]
BANK = ("-m", str(ROOT / "manifests"), "-e", "prod")


def data_of(path: str) -> dict[str, Any]:
    text = Path(path).read_text(encoding="utf-8")
    (actual,) = re.findall(
        '<script type="application/json" id="data">(.*?)</script>', text
    )
    return dict(json.loads(actual))


def test_the_page_of_the_manifests_needs_no_tenant(cxroute: Program) -> None:
    """One line says where the page is and what it contains; the sandbox's says that it is
    simulated.
    """
    assert 0 == cxroute("init")
    assert 0 == cxroute("explore")
    assert (
        "Wrote explore.html: the manifests of sandbox, 3 rules and 0 promises. It works offline"
        in cxroute.out
    )
    assert cxroute.out.startswith("Simulated: no tenant was contacted.")
    data = data_of("explore.html")
    assert (["the manifests of sandbox"], 3) == (
        [side["name"] for side in data["sides"]],
        len(data["rules"]),
    )
    assert "Simulated: no tenant was contacted." in Path("explore.html").read_text(
        encoding="utf-8"
    )


@pytest.mark.slow
def test_live_rules_are_those_of_the_tenant(cxroute: Program) -> None:
    """Unmanaged rules, too, with their live names."""
    with open_state(STATE, bank_tenant()):
        pass
    arguments = (
        "-m",
        str(ROOT / "manifests"),
        "explore",
        "--traffic",
        str(ROOT / "manifests/traffic/bank.csv"),
    )
    assert 0 == cxroute(*arguments, "--live", "--out", "live.html")
    assert "Wrote live.html: the live rules of sandbox" in cxroute.out
    data = data_of("live.html")
    assert "IVR | branch line" in [name for name, *_ in data["rules"]]
    # the branch line
    assert ["699f071a-5fd8-4665-a9df-dec6baecde5b", "1.3 %"] in data["sides"][0][
        "shares"
    ]


def test_a_report_has_the_page_beside_it(cxroute: Program) -> None:
    """With the rules today and after the plan; plan.html links to it only there, and the comment
    names it.
    """
    assert 0 == cxroute("init")
    assert 0 == cxroute("apply", "--yes")
    text = Path("manifests/routing.yaml").read_text(encoding="utf-8")
    write("routing.yaml", text.replace("minConfidence: 0.6", "minConfidence: 0.7"))
    assert 0 == cxroute("plan", "--report", "out")
    data = data_of("out/explore.html")
    assert ["today", "after this change"] == [side["name"] for side in data["sides"]]
    assert 'href="explore.html' in Path("out/plan.html").read_text(encoding="utf-8")
    text = Path("out/explore.html").read_text(encoding="utf-8")
    assert '<p class="headline">' in text
    assert data["effects"]
    assert 0 == cxroute("plan", "--format", "html")
    assert 'href="explore.html' not in cxroute.out


def test_a_file_that_cannot_be_written_is_one_sentence(cxroute: Program) -> None:
    """As for every file that a command writes."""
    assert 0 == cxroute("init")
    assert 1 == cxroute("explore", "--out", "missing/explore.html")
    assert "cannot write missing/explore.html" in cxroute.err


def test_live_rules_are_shown_though_the_tenant_lacks_a_queue(elsewhere: Path) -> None:
    """A note names the queue, and the page has the tenant's rules."""
    tenant = bank_tenant()
    with loopback_server() as here:
        here.app = Simulator(tenant, PROFILES["A"])
        place = BankWorkspace(elsewhere)
        place.manifests(here.url)
        queues = elsewhere / "manifests/queues.yaml"
        queues.write_text(
            queues.read_text("utf-8").replace(
                "cash: Cash and ATM", "cash: Cash and ATN"
            ),
            "utf-8",
        )
        ended = place.run_without_waits("-e", "bank", "explore", "--live")
    assert 0 == ended.code, ended.err
    assert f"the live rules of bank, {len(tenant.stored_rules)} rules and" in ended.out
    assert 'bank lacks queues that the manifests name: "Cash and ATN"' in ended.err
    assert "IVR | branch line" in [
        name for name, *_ in data_of("explore.html")["rules"]
    ]
