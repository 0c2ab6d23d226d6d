"""Queues from the platform: skills and digital queues; and with the program over a socket."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from reconciler.core import errors
from reconciler.core.desired.queues import QueueError, QueueResolver
from reconciler.core.manifest.kinds.profile import ListedQueues
from reconciler.core.model.rule import Queue
from reconciler.features.practice.simulator.faults.injector import FaultInjector
from reconciler.features.practice.simulator.settings import SimulatorSettings
from reconciler.features.practice.simulator.state import TenantState
from reconciler.targets.platform.paging import ROUTING_QUEUES, skills_list
from tests.support.cases import each_case
from tests.support.command import Command, serving
from tests.support.in_process_tenant import TENANT, InProcessTenant
from tests.support.program import Program, write
from tests.support.written_manifests import yaml_of

ROOT = Path(__file__).resolve().parents[3]
SKILLS = skills_list(30)
DIGITAL = ROUTING_QUEUES
TWENTY: list[dict[str, Any]] = [
    {"id": str(4000 + item), "name": f"Skill_{item}", "isActive": item % 2 == 0}
    for item in range(20)
]
QUEUES: dict[str, Any] = {
    "apiVersion": "routing/v1",
    "kind": "Queues",
    "name": "queues",
}
SPREAD: list[dict[str, Any]] = [
    {"id": f"queue-{item}", "name": f"Digital {item}"} for item in range(20)
]


def read(
    listed: ListedQueues, queues: list[dict[str, Any]], cap: int = 7, faults: str = ""
) -> list[Queue]:
    """Read a simulated tenant's queues."""
    tenant = InProcessTenant(
        settings=SimulatorSettings(page_cap=cap),
        faults=FaultInjector(faults) if faults else None,
        state=TenantState(queues),
        tenant=replace(TENANT, queues=listed, queues_path=listed.path),
    )
    return sorted(tenant.talk(lambda client: client.queues()))


def test_skills_are_queues_with_numeric_ids() -> None:
    """All pages; the number becomes a text; an inactive skill is marked."""
    assert sorted(
        Queue(item["id"], item["name"], item["isActive"]) for item in TWENTY
    ) == read(SKILLS, [*TWENTY, *SPREAD])


def test_digital_queues_are_read_token_by_token() -> None:
    """All pages; no queue is inactive."""
    assert sorted(Queue(item["id"], item["name"]) for item in SPREAD) == read(
        DIGITAL, [*TWENTY, *SPREAD]
    )


@pytest.mark.parametrize("listed", [SKILLS, DIGITAL], ids=["skills", "digital"])
def test_a_204_means_no_queues(listed: ListedQueues) -> None:
    """An empty list is not an error there, but it is read twice."""
    assert [] == read(listed, [])


def test_a_204_for_a_list_that_is_never_empty_is_an_error() -> None:
    """F12: the default profile's list has no such response."""
    with pytest.raises(errors.UnexpectedResponseError, match="nothing instead of JSON"):
        read(TENANT.queues, TWENTY, faults="GET queues:empty=204")


@pytest.mark.parametrize("version", [1, 27, 99])
def test_the_environment_sets_the_version_of_skills(version: int) -> None:
    """N in the path differs by tenant."""
    assert f"/inContactAPI/services/v{version}.0/skills" == skills_list(version).path
    assert 20 == len(read(skills_list(version), TWENTY))


def test_an_inactive_skill_that_a_rule_names_is_an_error() -> None:
    """By its name or id; of two skills with one name the active one is used."""
    queues = [
        Queue("1", "Off", active=False),
        Queue("2", "Twice", active=False),
        Queue("3", "Twice"),
    ]
    catalogue = QueueResolver("prod", {}, queues)
    with pytest.raises(
        QueueError, match=r'queue "Off" \(id 1\) of prod is inactive'
    ) as refused:
        catalogue.resolve("Off")
    assert "CXR121" == refused.value.code
    assert queues[2] == catalogue.resolve("Twice")


def environment(url: str, **api: Any) -> str:
    text = {
        "apiVersion": "routing/v1",
        "kind": "Environment",
        "name": "prod",
        "owner": "acme",
    }
    return yaml_of(
        {**text, "api": {"baseUrl": url, "requestsPerSecond": 10_000, **api}}
    )


def manifests(url: str, made: dict[str, Any] | None = None, **api: Any) -> None:
    """Write an environment, its profile, and three rules."""
    write(
        "prod.yaml",
        environment(url, **api, **({"profile": "theirs"} if made is not None else {})),
    )
    if made is not None:
        write(
            "profile.yaml",
            yaml_of(
                {
                    "apiVersion": "routing/v1",
                    "kind": "Profile",
                    "name": "theirs",
                    **made,
                }
            ),
        )
    rules = [
        {
            "intent": f"intent_{item}",
            "queue": "Cards" if item else "Fraud_1",
            "priority": item,
        }
        for item in range(5)
    ]
    write(
        "rules.yaml",
        yaml_of(
            {
                "apiVersion": "routing/v1",
                "kind": "RuleSet",
                "name": "cards",
                "rules": rules,
            }
        ),
    )


@contextmanager
def simulated(*more: str) -> Iterator[str]:
    """Run `cxroute simulate --as prod` as a process; yield its address."""
    command = ("simulate", "--as", "prod", "--port", "0", *more)
    with serving(
        Command(*command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    ) as url:
        yield url


SOURCES: dict[str, dict[str, Any]] = {
    "skills": {"queues": "acd-skills"},
    "digital": {"queues": "digital"},
}


@pytest.fixture
def typed(
    cxroute: Program, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[int, str]]:
    """Run the program; return its exit code and its output. The tenant is a separate process."""
    monkeypatch.setenv("CXONE_CLIENT_ID", "me")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.delenv("CXROUTE_PROXY")

    def run(*arguments: str) -> tuple[int, str]:
        return cxroute("-e", "prod", *arguments), cxroute.out + cxroute.err

    return run


@pytest.mark.fast_cases(2)
@pytest.mark.parametrize("api", SOURCES.values(), ids=SOURCES)
def test_the_program_reads_the_queues_of_the_platform(
    typed: Callable[..., tuple[int, str]],
    api: dict[str, Any],
) -> None:
    """Over a socket: an apply of five rules, and a plan without changes."""
    manifests("http://127.0.0.1:9", **api)
    with simulated() as url:
        manifests(url, **api)
        steps = [typed("apply", "--yes"), typed("plan", "--detailed-exitcode")]
        assert [0, 0] == [code for code, _ in steps], steps


OTHER_APIS: list[tuple[dict[str, Any] | None, dict[str, Any]]] = [
    ({"rules": {"id": "ruleId"}}, {}),
    (None, {"rulesPath": "/acd/rules"}),
    (None, {"queuesPath": "/acd/queues"}),
]


@pytest.mark.parametrize(("made", "api"), OTHER_APIS)
def test_the_simulator_refuses_an_environment_with_another_api(
    cxroute: Program,
    made: dict[str, Any] | None,
    api: dict[str, Any],
) -> None:
    """Exit 64, with the reason."""
    manifests("http://127.0.0.1:9", made, **api)
    assert 64 == cxroute("simulate", "--as", "prod", "--port", "0")
    assert (
        "--as prod: the simulator has the API of the default profile only"
        in cxroute.err
    )


def test_a_rule_with_an_inactive_skill_fails_the_plan_at_its_line(
    typed: Callable[..., tuple[int, str]],
) -> None:
    """Exit 3, with rule and skill."""
    manifests("http://127.0.0.1:9", queues="acd-skills")
    TenantState.load(Path("state.json"), initial=TenantState(off())).close()
    with simulated("--state", "state.json") as url:
        manifests(url, queues="acd-skills")
        code, text = typed("plan")
    assert 3 == code, text
    assert "manifests/rules.yaml:4:" in text
    assert 'error[CXR121]: queue "Fraud_1" (id 4711) of prod is inactive' in text


def test_the_simulator_adds_skills_beside_those_of_its_state(
    typed: Callable[..., tuple[int, str]],
) -> None:
    """A new skill never gets the number of another one, of the state or of a Queues document: the
    plan finds all.
    """
    manifests("http://127.0.0.1:9", queues="acd-skills")
    write(
        "queues.yaml",
        yaml_of({**QUEUES, "queues": {"Fraud_1": {"prod": {"id": "4002"}}}}),
    )
    TenantState.load(
        Path("state.json"), initial=TenantState([{"id": "4001", "name": "Late"}])
    ).close()
    with simulated("--state", "state.json") as url:
        manifests(url, queues="acd-skills")
        code, text = typed("plan")
    assert 0 == code, text


def off() -> list[dict[str, Any]]:
    return [
        {"id": "4711", "name": "Fraud_1", "isActive": False},
        {"id": "4712", "name": "Cards"},
    ]


@each_case(
    "name, fits",
    [
        ("Cards", True),
        ("a-b_c.d:e1", True),
        ("x" * 30, True),
        ("x" * 31, False),
        ("x", False),
        ("Card Services", False),
        ("Zahlungsrückstand", False),
        ("Cards & Loans", False),
    ],
)
def test_names_that_a_skill_cannot_have_are_found_offline(
    cxroute: Program,
    name: str,
    fits: bool,  # noqa: FBT001 - a value
) -> None:
    """2 to 30 characters, of the documented ones; other queues may have any name."""
    for queues, actual in (
        ("acd-skills", not fits),
        ("digital", False),
        ("rules-api", False),
    ):
        write("prod.yaml", environment("http://127.0.0.1:9", queues=queues))
        rules = [{"intent": "x", "queue": name}, {"intent": "y", "queue": name}]
        write(
            "rules.yaml",
            yaml_of(
                {
                    "apiVersion": "routing/v1",
                    "kind": "RuleSet",
                    "name": "cards",
                    "rules": rules,
                }
            ),
        )
        code, text = cxroute.json("validate", "-e", "prod")
        assert 0 == code
        assert actual == any(item["code"] == "CXR210" for item in text["findings"])
        assert sum(item["code"] == "CXR210" for item in text["findings"]) <= 1


def test_names_in_rules_for_other_environments_are_not_checked(
    cxroute: Program,
) -> None:
    """Of a rule, or of a full RuleSet."""
    write("prod.yaml", environment("http://127.0.0.1:9", queues="acd-skills"))
    write(
        "other.yaml",
        environment("http://127.0.0.1:8", queues="digital").replace("prod", "other"),
    )
    head = {"apiVersion": "routing/v1", "kind": "RuleSet"}
    for name, further, one in (
        ("a", {"environments": ["other"]}, {}),
        ("b", {}, {"environments": ["other"]}),
    ):
        rules = [{"intent": name, "queue": "no skill", **one}]
        write(
            f"{name}.yaml", yaml_of({**head, "name": name, **further, "rules": rules})
        )
    code, text = cxroute.json("validate", "-e", "prod")
    assert (0, []) == (
        code,
        [item for item in text["findings"] if item["code"] == "CXR210"],
    )


def test_aliases_are_resolved(cxroute: Program) -> None:
    """The live name counts; a queue that is given by its id has none."""
    write("prod.yaml", environment("http://127.0.0.1:9", queues="acd-skills"))
    queues = {
        "Alias with spaces": "Cards",
        "bad": {"prod": {"name": "x"}},
        "by id": {"prod": {"id": "4711"}},
    }
    write("queues.yaml", yaml_of({**QUEUES, "queues": queues}))
    rules = [
        {"intent": f"i{place}", "queue": name} for place, name in enumerate(queues)
    ]
    write(
        "rules.yaml",
        yaml_of(
            {
                "apiVersion": "routing/v1",
                "kind": "RuleSet",
                "name": "cards",
                "rules": rules,
            }
        ),
    )
    _, text = cxroute.json("validate", "-e", "prod")
    (actual,) = [item for item in text["findings"] if item["code"] == "CXR210"]
    assert 'queue "x" is not a valid skill name' in actual["message"]
    assert 0 == cxroute("explain", "CXR210")
    assert "2 to 30" in cxroute.out
