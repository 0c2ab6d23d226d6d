"""A reviewed plan with concurrent changes, over a socket: apply stops only if other conversations
would move.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

import pytest

from tests.support.command import Command, process_environment
from tests.support.many_tenants import (
    QUEUES,
    Rule,
    Tenants,
    environment,
    rule,
    ruleset,
    tenants,
)
from tests.support.program import Program

ROOT = Path(__file__).resolve().parents[2]
KEYS: Final = [f"k{number}" for number in range(9)]
CATCH_ALL: Final = {
    "key": "all",
    "when": [],
    "queue": "General",
    "priority": 900,
    "name": "all",
}
UNRELATED: Final = rule("unrelated", "Cards")
BEFORE: Final = [*(rule(key) for key in KEYS), UNRELATED, CATCH_ALL]
AFTER: Final = [
    *(rule(key, "Fraud", priority=20) for key in KEYS[:5]),
    *(rule(f"new{number}") for number in range(4)),
    UNRELATED,
    CATCH_ALL,
]
"""Five updates, four creates, four deletes: 13 changes, in several waves."""


class Meddling:
    """A tenant with an action before its n-th write."""

    def __init__(self, app: Any, at: int, does: Callable[[], object]) -> None:
        self.app, self.at, self.does = app, at, does
        self.writes = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Count the writes, and let the tenant respond."""
        if (
            scope["type"] == "http"
            and scope["method"] != "GET"
            and not scope["path"].endswith("/token")
        ):
            self.writes += 1
            if self.writes == self.at:
                self.does()
        await self.app(scope, receive, send)


def meddle(here: Tenants, at: int, does: Callable[[], None]) -> None:
    """Change the tenant before the run, or before its n-th write."""
    if at == 0:
        does()
    here.apps["prod"] = Meddling(here.apps["prod"], at, does)


@pytest.fixture
def prod(access: None) -> Iterator[Tenants]:
    """A tenant over a socket, and an Environment with its address."""
    del access
    with tenants("prod") as here:
        here.manifests(prod="guard: {deletes: {count: 9}}")
        yield here


def by_hand(here: Tenants, rule_id: str, **said: Any) -> None:
    """Add a rule without a marker, or with the marker in its description."""
    intent = {
        "type": "attribute",
        "attributeName": "cognigyDetectedIntent",
        "operator": "equals",
        "value": rule_id,
    }
    plain = {
        "id": rule_id,
        "name": rule_id,
        "description": "by hand",
        "priority": 5,
        "enabled": True,
        "version": 1,
    }
    targets = [{"type": "queue", "queueId": "q-Cards", "weight": 1}]
    here.states["prod"].put(
        {**plain, "conditions": [intent], "targets": targets, **said}
    )


def reviewed(here: Tenants, cxroute: Program) -> None:
    """Apply the earlier rules, and save the plan for the new ones."""
    by_hand(here, "hand")
    by_hand(
        here,
        "theirs",
        description="of another team\n[cxroute:others/cards/k0#00000000]",
    )
    ruleset(BEFORE)
    assert 0 == cxroute("apply", "-e", "prod", "--yes"), cxroute.err
    ruleset(AFTER)
    assert 0 == cxroute("plan", "-e", "prod", "--out", "plan.json"), cxroute.err
    assert 13 == len(json.loads(Path("plan.json").read_text("utf-8"))["changes"])


def id_of(here: Tenants, name: str) -> str:
    return str(next(rule["id"] for rule in here.rules("prod") if rule["name"] == name))


def described(here: Tenants, name: str) -> None:
    """Edit the description of a rule; its marker stays."""
    text = next(
        rule["description"] for rule in here.rules("prod") if rule["name"] == name
    )
    mark = text[text.index("\n[cxroute:") :] if "[cxroute:" in text else ""
    here.states["prod"].edit(id_of(here, name), description=f"edited{mark}")


def moved_out_of_the_way(here: Tenants, name: str) -> None:
    here.states["prod"].edit(id_of(here, name), priority=3)


@pytest.mark.fast_cases(1)
@pytest.mark.parametrize("edit", [described, moved_out_of_the_way])
@pytest.mark.parametrize("name", ["hand", "theirs", "unrelated"])
@pytest.mark.parametrize("at", [0, 2, 11])
def test_an_edit_without_effect_on_routing_does_not_stop_an_apply(
    prod: Tenants,
    cxroute: Program,
    name: str,
    at: int,
    edit: Callable[[Tenants, str], None],
) -> None:
    """Before the run (0) or during it: of an unmanaged rule, one of another owner, a managed one
    outside the plan.
    """
    reviewed(prod, cxroute)
    meddle(prod, at, lambda: edit(prod, name))
    code, form = cxroute.json("apply", "plan.json", "--yes")
    assert (0, True) == (code, form["converged"]), cxroute.out
    assert {"applied"} == {item["status"] for item in form["outcomes"]}
    edited = next(rule for rule in prod.rules("prod") if rule["name"] == name)
    assert (
        edited["description"].startswith("edited")
        if edit is described
        else 3 == edited["priority"]
    )


@pytest.mark.fast_cases(1)
@pytest.mark.parametrize("at", [0, 2, 11])
@pytest.mark.parametrize(
    ("name", "codes"), [("by hand", (0, 0, 0)), ("new1", (4, 5, 5))]
)
def test_a_rename_stops_an_apply_only_if_the_plan_needs_the_name(
    prod: Tenants, cxroute: Program, at: int, name: str, codes: tuple[int, ...]
) -> None:
    """A managed rule outside the plan is renamed; only the name of a planned rule stops the
    apply.
    """
    reviewed(prod, cxroute)

    def rename() -> None:
        prod.states["prod"].edit(id_of(prod, "unrelated"), name=name)

    meddle(prod, at, rename)
    code, form = cxroute.json("apply", "plan.json", "--yes")
    assert codes[(0, 2, 11).index(at)] == code, form
    assert name in [rule["name"] for rule in prod.rules("prod")]


def test_a_skipped_edit_is_reported(prod: Tenants, cxroute: Program) -> None:
    """A managed rule that was edited stays, and the run reports it; the next plan contains it."""
    reviewed(prod, cxroute)
    described(prod, "unrelated")
    assert 0 == cxroute("apply", "plan.json", "--yes"), cxroute.err
    assert (
        "edited in CXone without an effect on routing, and not part of the reviewed plan"
        in cxroute.out
    )
    assert "Read again: no differences, except 1 held change." in cxroute.out
    _, form = cxroute.json("plan", "-e", "prod")
    assert [("cards/unrelated", "drift")] == [
        (item["address"], item["cause"]) for item in form["changes"]
    ]


def hide(here: Tenants) -> None:
    """Add a manual rule that takes the conversations of a planned rule."""
    intent = {
        "type": "attribute",
        "attributeName": "cognigyDetectedIntent",
        "operator": "equals",
        "value": "k1",
    }
    by_hand(here, "above", conditions=[intent])


def test_an_apply_stops_if_it_would_move_unreviewed_conversations(
    prod: Tenants, cxroute: Program
) -> None:
    """A manual rule took the conversations of `k1`.

    It is deleted during the run, so the plan would move them.
    """
    hide(prod)
    reviewed(prod, cxroute)
    app = prod.apps["prod"] = Meddling(
        prod.apps["prod"], 5, lambda: prod.states["prod"].remove("above")
    )
    code, form = cxroute.json("apply", "plan.json", "--yes")
    assert (5, False) == (code, form["converged"])
    assert (
        "would now send conversations elsewhere. Run `plan` again"
        in form["error"]["message"]
    )
    remaining = [
        item["address"] for item in form["outcomes"] if item["status"] == "skipped"
    ]
    assert remaining
    writes = app.writes
    assert 13 > writes
    assert {"applied", "skipped"} == {item["status"] for item in form["outcomes"]}


def test_an_apply_is_refused_if_it_would_move_unreviewed_conversations(
    prod: Tenants, cxroute: Program
) -> None:
    """The same before the run: exit 4, and nothing is written (R9)."""
    hide(prod)
    reviewed(prod, cxroute)
    prod.states["prod"].remove("above")
    writes = prod.writes("prod")
    assert 4 == cxroute("apply", "plan.json", "--yes")
    assert writes == prod.writes("prod")


@pytest.mark.fast_cases(2)
@pytest.mark.parametrize("at", [0, 4])
def test_an_edit_that_reroutes_a_managed_rule_stops_an_apply(
    prod: Tenants, cxroute: Program, at: int
) -> None:
    """A rule outside the plan gets another queue: the manifests no longer match (R9)."""
    reviewed(prod, cxroute)
    targets = [{"type": "queue", "queueId": "q-Fraud", "weight": 1}]

    def edit() -> None:
        prod.states["prod"].edit(id_of(prod, "unrelated"), targets=targets)

    meddle(prod, at, edit)
    code, form = cxroute.json("apply", "plan.json", "--yes")
    assert (4 if at == 0 else 5, False) == (code, form.get("converged", False))


@contextmanager
def running(folder: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Run the program as a process."""
    pipes: dict[str, Any] = {
        "stdout": subprocess.PIPE,
        "stderr": subprocess.PIPE,
        "text": True,
    }
    with Command(*arguments, cwd=folder, env=process_environment(), **pipes) as process:
        try:
            yield process
        finally:
            process.kill()


class Team:
    """An owner with own manifests and intents, on the shared tenant."""

    def __init__(self, name: str, folder: Path, url: str) -> None:
        self.name, self.folder = name, folder / name
        (self.folder / "manifests").mkdir(parents=True)
        text = environment(
            "prod", url, owner=name, api="requestsPerSecond: 60, concurrency: 2"
        )
        (self.folder / "manifests/environment.yaml").write_text(text, "utf-8")

    def rules(self, turn: int) -> list[Rule]:
        """Return the desired rules of a turn: some rules to another queue, one deleted, one
        created.
        """
        queue = QUEUES[turn % 2]["name"]
        keys = [f"{self.name}-{number}" for number in range(turn, turn + 6)]
        return [
            rule(key, queue if place % 2 else "Cards") for place, key in enumerate(keys)
        ]

    def wants(self, turn: int) -> None:
        """Write the manifests of a turn."""
        lines = ["apiVersion: routing/v1", "kind: RuleSet", "name: cards", "rules:"]
        lines += [f"  - {json.dumps(rule)}" for rule in self.rules(turn)]
        (self.folder / "manifests/cards.yaml").write_text(
            "\n".join(lines) + "\n", "utf-8"
        )

    def run(self, *arguments: str) -> tuple[int, str]:
        """Run a command to its end; return its exit code and its output."""
        with running(self.folder, *arguments) as process:
            out, err = process.communicate(timeout=60)
        return process.returncode, out + err


@pytest.mark.slow
def test_three_teams_apply_reviewed_plans_concurrently(tmp_path: Path) -> None:
    """Disjoint intents, one tenant, four turns each: 12 of 12 runs end with 0, and no change is
    lost.
    """
    with tenants("prod") as here:
        teams = [
            Team(name, tmp_path, here.urls["prod"]) for name in ("red", "green", "blue")
        ]
        by_hand(here, "rest", conditions=[], priority=900, description="")
        codes: list[tuple[int, str]] = []
        for turn in range(4):
            for team in teams:
                team.wants(turn)
                code, text = team.run("plan", "-e", "prod", "--out", "plan.json")
                assert 0 == code, text
            with ExitStack() as stack:
                runs = [
                    stack.enter_context(
                        running(team.folder, "apply", "plan.json", "--yes")
                    )
                    for team in teams
                ]
                for process in runs:
                    out, err = process.communicate(timeout=60)
                    codes.append(
                        (
                            process.returncode,
                            "" if process.returncode == 0 else out + err,
                        )
                    )
        assert [(0, "")] * 12 == codes
        expected = sorted(rule["name"] for team in teams for rule in team.rules(3))
        assert [*expected, "rest"] == here.names_of_rules("prod")
        assert {"red", "green", "blue"} == {
            actual[1]
            for rule in here.rules("prod")
            if (actual := re.search(r"\[cxroute:(\w+)/", rule["description"]))
        }
