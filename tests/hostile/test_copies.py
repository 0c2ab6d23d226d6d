"""Edited copies of managed rules, over a socket: they are never written or deleted, and always
reported.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import pytest

from reconciler.features.practice.simulator.app import Simulator
from reconciler.features.practice.simulator.settings import PROFILES
from reconciler.features.practice.simulator.state import TenantState
from tests.hostile.command import Workspace
from tests.hostile.tenant import QUEUES, HostileTenant, Turn, page, serving, whole
from tests.support.command import RunResult
from tests.support.loopback_server import loopback_server

Rule = dict[str, Any]

USELESS: Final[dict[str, tuple[Any, Any]]] = {
    "missing": (None, None),
    "copied": ("2026-01-05T09:00:00.000Z", "2026-01-05T09:00:00.000Z"),
    "milliseconds": (1767603600000, 1767690000000),
    "not ISO 8601": ("5 Jan 2026 9:00", "6 Jan 2026 9:00"),
}
"""Dates of the original and of its copy that do not say which is older; more are in
tests/core/plan/test_ownership.py."""

DATES: Final = {
    **USELESS,
    "the copy is older, it says": (
        "2026-01-05T09:00:00.000Z",
        "2020-01-05T09:00:00.000Z",
    ),
}
LIFTED: Final = ("--allow", "deletes", "--allow", "unrouted", "--reason", "test")


@dataclass
class Stage:
    """A simulated tenant with two managed rules, and the command."""

    place: Workspace
    url: str
    state: TenantState

    def rule(self, intent: str) -> Rule:
        """Return the managed rule for an intent."""
        return next(
            rule
            for rule in self.state.rules()
            if rule["name"] == f"Cognigy Intent Route: {intent}"
        )

    def copied(self, intent: str, rule_id: str, **fields: Any) -> None:
        """Copy a rule as a user does, and change the copy."""
        self.state.put({**copy.deepcopy(self.rule(intent)), "id": rule_id, **fields})

    def dated(self, rule_id: str, date: Any) -> None:
        """Set a rule's creation date in the tenant, or remove it."""
        rule = {
            name: value
            for name, value in self.state.stored_rules[rule_id].items()
            if name != "dateCreated"
        }
        self.state.put(rule if date is None else {**rule, "dateCreated": date})

    def wish(self, *intents: str, queue: str = "billing") -> None:
        """Write the manifests."""
        self.place.manifests(self.url, *intents, queue=queue)

    def shown(self, rule_id: str) -> Rule:
        """Return the current state of a rule."""
        return copy.deepcopy(self.state.stored_rules[rule_id])

    def all(self) -> dict[str, Rule]:
        """Return the current state of every rule."""
        return {rule_id: self.shown(rule_id) for rule_id in self.state.stored_rules}


@pytest.fixture(params="ABCDE")
def stage(request: pytest.FixtureRequest, place: Workspace) -> Iterator[Stage]:
    """Return a stage on a server of each profile."""
    with loopback_server() as server:
        state = TenantState(queues=QUEUES)
        server.app = Simulator(state, PROFILES[request.param])
        here = Stage(place, server.url, state)
        here.wish("one", "two")
        ended = place("apply", "--yes")
        assert 0 == ended.code, ended
        for _ in range(PROFILES[request.param].lag_reads):
            place("plan")  # until lists show them
        yield here
    place.secretive()


def findings(ended: RunResult) -> list[tuple[str, str]]:
    """Return the codes and messages about the owners of rules."""
    actual = json.loads(ended.out)["findings"]
    return [
        (item["code"], item["message"])
        for item in actual
        if item["code"].startswith("CXR3")
    ]


@pytest.mark.slow
@pytest.mark.parametrize("dates", DATES)
def test_an_edited_copy_is_never_written_and_the_original_never_deleted(
    stage: Stage, dates: str
) -> None:
    """For all dates, and if the copy has the smaller id: the unedited rule is the managed one."""
    own_side = stage.rule("one")["id"]
    stage.copied("one", "0-copy", name="Copy of one", priority=7)
    for rule_id, date in zip((own_side, "0-copy"), DATES[dates], strict=True):
        stage.dated(rule_id, date)
    edited = stage.shown("0-copy")
    assert ["CXR302"] == [
        code for code, _ in findings(stage.place("plan", "--format", "json"))
    ]
    stage.wish("one", "two", queue="general")
    ended = stage.place("apply", "--yes")
    assert 0 == ended.code, ended
    assert "q-general" == stage.shown(own_side)["targets"][0]["queueId"]
    stage.wish("two", queue="general")
    stage.place("apply", "--yes", *LIFTED)
    assert (edited, True) == (
        stage.shown("0-copy"),
        own_side in stage.state.stored_rules,
    )


@pytest.mark.slow
@pytest.mark.parametrize("dates", USELESS)
def test_if_both_are_edited_and_have_no_date_nothing_is_written(
    stage: Stage, dates: str
) -> None:
    """Neither by plan, apply, drift nor undo; each names the ids and what to do."""
    own_side = stage.rule("one")["id"]
    stage.wish("one", "two", queue="general")
    run = json.loads(stage.place("apply", "--yes", "--format", "json").out)["run"]
    stage.state.edit(own_side, priority=5)
    stage.copied("one", "0-copy", name="Copy of one", priority=7)
    for rule_id, date in zip((own_side, "0-copy"), USELESS[dates], strict=True):
        stage.dated(rule_id, date)
    before = stage.all()
    planned = stage.place("plan", "--format", "json", "--detailed-exitcode")
    (message,) = [message for code, message in findings(planned) if code == "CXR312"]
    assert "0-copy" in message
    assert own_side in message
    assert (2, []) == (planned.code, json.loads(planned.out)["changes"])
    refused = stage.place("apply", "--yes")
    assert 4 == refused.code
    assert "or remove the last line of their descriptions" in refused.out + refused.err
    assert 2 == stage.place("drift").code
    undone = stage.place("apply", "--undo", run, "--only", "routing/one", "--yes")
    assert "so the managed rule is not known" in undone.out + undone.err
    stage.wish("two", queue="general")
    stage.place("apply", "--yes", *LIFTED)
    assert before == stage.all()


@pytest.mark.fast_cases(1)
@pytest.mark.parametrize(
    "field", ["division", "schedule", "\u202efield \x1b[31m" + "x" * 5000]
)
def test_a_copy_with_another_unknown_field_is_not_a_duplicate(
    stage: Stage, field: str
) -> None:
    """It is kept, and the finding names the field: escaped and shortened."""
    stage.copied(
        "one",
        "zz-copy",
        **{field: {"id": "weekend"}, "dateCreated": "2999-01-01T00:00:00Z"},
    )
    before = stage.all()
    for command in (
        ["plan", "--format", "json"],
        ["apply", "--yes"],
        ["plan", "--format", "json"],
    ):
        ended = stage.place(*command)
        assert 0 == ended.code, ended
    ((code, message),) = findings(ended)
    assert "CXR302" == code
    assert "zz-copy" in message
    assert field in message or "\\u202efield \\u001b[31mxxx" in message.replace(
        "\\x1b", "\\u001b"
    )
    assert len(message) < 400
    assert before == stage.all()


@pytest.mark.fast_cases(1)
@pytest.mark.parametrize("dates", ["missing", "milliseconds"])
def test_without_a_date_a_copy_in_another_division_may_be_the_original(
    stage: Stage, dates: str
) -> None:
    """If no write is necessary, it is a warning; otherwise it is a conflict without a write."""
    own_side = stage.rule("one")["id"]
    stage.copied("one", "0-copy", division={"id": "other"})
    for rule_id, date in zip((own_side, "0-copy"), USELESS[dates], strict=True):
        stage.dated(rule_id, date)
    before = stage.all()
    ended = stage.place("apply", "--yes")
    assert 0 == ended.code, ended
    assert ["CXR312"] == [
        code for code, _ in findings(stage.place("plan", "--format", "json"))
    ]
    stage.wish("one", "two", queue="general")
    assert 4 == stage.place("apply", "--yes").code
    assert before == stage.all()


@pytest.mark.fast_cases(1)
def test_an_exact_duplicate_is_deleted(stage: Stage) -> None:
    """Only the server's own fields differ (id, dates, version, links), so the next run deletes it
    (R5).
    """
    own = {
        "version": 9,
        "dateCreated": "2999-01-01T00:00:00Z",
        "dateModified": "2999-01-01T00:00:00Z",
    }
    stage.copied("one", "zz-late", **own, selfUri="/api/v2/routing/rules/zz-late")
    ended = stage.place("apply", "--yes")
    assert 0 == ended.code, ended
    assert "zz-late" not in stage.state.stored_rules
    assert 2 == len(stage.state.stored_rules)


def test_a_list_that_shows_fewer_fields_does_not_make_a_copy_a_duplicate(
    place: Workspace,
) -> None:
    """Both rules are read individually before one is deleted."""
    tenant = HostileTenant()

    async def script(turn: Turn) -> None:
        rules = [
            {name: value for name, value in rule.items() if name != "division"}
            for rule in tenant.rules.values()
        ]
        await turn.send(whole(page(rules)))

    with serving(tenant):
        place.manifests(tenant.url, "one", "two")
        assert 0 == place("apply", "--yes").code
        tenant.rules["r3"] = {
            **tenant.rules["r1"],
            "id": "r3",
            "division": {"id": "other"},
        }
        tenant.scripts = {"list": script}
        tenant.asked.clear()
        ended = place("apply", "--yes")
    assert ended.code in (1, 5), ended
    assert "it differs from rule r1 in division" in ended.out + ended.err
    assert [] == tenant.writes
    place.secretive()


def test_a_copy_stays_unmanaged_if_its_original_disappears(place: Workspace) -> None:
    """The next list contains only the copy; this run knows it as unmanaged and does not change
    it.
    """
    tenant = HostileTenant()
    lists = 0

    async def script(turn: Turn) -> None:
        nonlocal lists
        lists += 1
        if lists == 2:
            del tenant.rules["r1"]
        await turn.send(tenant.answer(turn.request))

    with serving(tenant):
        place.manifests(tenant.url, "one", "two")
        assert 0 == place("apply", "--yes").code
        edited = tenant.rules["r3"] = {
            **tenant.rules["r1"],
            "id": "r3",
            "name": "Copy of one",
        }
        tenant.scripts = {"list": script}
        place.manifests(tenant.url, "one", "two", queue="general")
        ended = place("apply", "--yes")
    assert ended.code in (1, 4, 5), ended
    assert edited == tenant.rules["r3"]
    place.secretive()
