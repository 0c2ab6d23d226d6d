"""Each refusal of `apply`: nothing is written, and the message names the cause.

Without the cause, it applies.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from reconciler.core.plan.document import digest_document
from reconciler.features.practice.simulator.app import Simulator
from reconciler.features.practice.simulator.faults.injector import FaultInjector
from reconciler.features.practice.simulator.settings import PROFILES
from tests.support.fake_clock import FakeClock
from tests.support.many_tenants import ONE_BY_ONE, Tenants, rule, ruleset, tenants
from tests.support.program import Program

SAMPLE: Final = "intent,confidence,count\nlost,0.9,310\nnew,0.5,90\n"
CATCH_ALL: Final = {
    "key": "all",
    "when": [],
    "queue": "General",
    "priority": 900,
    "name": "all",
}
BEFORE: Final = [rule("lost"), rule("old", "Fraud"), CATCH_ALL]
AFTER: Final = [rule("lost"), rule("new", "Fraud"), CATCH_ALL]
"""One rule is new, and one is to be deleted."""


class Bench:
    """Two tenants, the program, and saved plans for the change from BEFORE to AFTER."""

    def __init__(self, here: Tenants, cxroute: Program) -> None:
        self.here, self.cxroute = here, cxroute

    def plan(self, *options: str) -> None:
        """Save a plan for prod as plan.json."""
        assert 0 == self.cxroute(
            "plan", "-e", "prod", "--out", "plan.json", *options
        ), self.cxroute.err

    def assert_refused(self, code: int, message: str, *arguments: str) -> None:
        """Run `apply` and assert its exit code, the message, and that no tenant was written to."""
        writes = [self.here.writes(name) for name in self.here.urls]
        assert code == self.cxroute("apply", *arguments), (
            self.cxroute.out + self.cxroute.err
        )
        assert message in " ".join(self.cxroute.err.split())
        assert writes == [self.here.writes(name) for name in self.here.urls]

    def assert_applied(self, *arguments: str) -> list[str]:
        """Run `apply` to its success; return the names of the rules of prod, without the
        catch-all.
        """
        assert 0 == self.cxroute("apply", *arguments), (
            self.cxroute.out + self.cxroute.err
        )
        return [name for name in self.here.names_of_rules("prod") if name != "all"]


@pytest.fixture
def bench(access: None, cxroute: Program) -> Iterator[Bench]:
    """Yield two tenants to which BEFORE was applied, and manifests with AFTER."""
    del access
    with tenants("prod", "staging") as here:
        here.manifests(ONE_BY_ONE)
        ruleset(BEFORE)
        assert 0 == cxroute("apply", "--all", "--yes"), cxroute.err
        ruleset(AFTER)
        yield Bench(here, cxroute)


# What a saved plan is bound to


@pytest.mark.parametrize("options", [(), ("--no-prune",)])
def test_a_saved_plan_deletes_only_where_this_command_may(
    bench: Bench, options: tuple[str, ...]
) -> None:
    """`--no-prune` of apply keeps the rules that the reviewed plan deletes."""
    bench.plan()
    expected = ["lost", "new", "old"] if options else ["lost", "new"]
    assert expected == bench.assert_applied("plan.json", "--yes", *options)


def test_a_plan_that_was_made_without_deletions_deletes_nothing(bench: Bench) -> None:
    """Apply has other options than the review: the reviewed plan does not contain the deletion."""
    bench.here.manifests(ONE_BY_ONE, prod="prune: false")
    bench.plan()
    bench.here.manifests(ONE_BY_ONE)
    bench.assert_refused(4, "1 change that plan", "plan.json", "--yes")
    assert ["lost", "new", "old"] == bench.assert_applied(
        "plan.json", "--yes", "--no-prune"
    )


def test_a_plan_of_another_owner_is_not_applied(bench: Bench) -> None:
    """The Environment changed its owner after the review: its rules would be taken for those of
    another team.
    """
    bench.plan()
    path = Path("manifests/environments.yaml")
    text = path.read_text("utf-8")
    path.write_text(text.replace("owner: acme", "owner: others"), "utf-8")
    message = (
        "the plan was made for owner 'acme', and prod is now owned by 'others'. Run `plan` "
        "again"
    )
    bench.assert_refused(4, message, "plan.json", "--yes")
    path.write_text(text, "utf-8")
    assert ["lost", "new"] == bench.assert_applied("plan.json", "--yes")


@pytest.mark.parametrize(
    "sample", [SAMPLE.replace("310", "1"), f"{SAMPLE}old,0.9,9000\n"]
)
def test_a_plan_with_another_traffic_sample_is_not_applied(
    bench: Bench, sample: str
) -> None:
    """The shares that the reviewers saw, and the guard on traffic, came from the sample of the
    review.
    """
    Path("traffic.csv").write_text(SAMPLE, "utf-8")
    bench.plan("--traffic", "traffic.csv")
    Path("traffic.csv").write_text(sample, "utf-8")
    message = "the traffic sample traffic.csv changed since the plan was made. Run `plan` again"
    bench.assert_refused(4, message, "plan.json", "--yes")
    Path("traffic.csv").unlink()
    bench.assert_refused(64, "traffic.csv", "plan.json", "--yes")
    Path("traffic.csv").write_text(SAMPLE, "utf-8")
    assert ["lost", "new"] == bench.assert_applied("plan.json", "--yes")


def test_a_changed_sample_of_the_environment_is_refused_as_well(bench: Bench) -> None:
    """The Environment names the sample; a new one since the review is another sample."""
    bench.here.manifests(ONE_BY_ONE, prod="traffic: {file: traffic.csv}")
    sample = Path("manifests/traffic.csv")
    sample.write_text(SAMPLE, "utf-8")
    bench.plan()
    sample.write_text(SAMPLE.replace("310", "311"), "utf-8")
    bench.assert_refused(
        4, "changed since the plan was made. Run `plan` again", "plan.json", "--yes"
    )


def edited(change: Callable[[dict[str, Any]], object]) -> None:
    """Edit plan.json; its planId is that of the new text."""
    form = json.loads(Path("plan.json").read_text("utf-8"))
    change(form)
    Path("plan.json").write_text(
        json.dumps({**form, "planId": digest_document(form)}), "utf-8"
    )


EDITS: Final[list[tuple[Callable[[dict[str, Any]], object], int, str]]] = [
    (lambda form: form["changes"].clear(), 4, "2 changes that plan"),
    (
        lambda form: form["behaviour"]["regions"].clear(),
        4,
        "send conversations elsewhere that plan",
    ),
    (
        lambda form: form.update(formatVersion="9.0"),
        4,
        "another major version of cxroute",
    ),
    (lambda form: form.update(environment="staging"), 4, "1 change that plan"),
    (lambda form: form.update(owner=""), 64, "is not a saved plan"),
    (lambda form: form.update(changes=None), 64, "is not a saved plan"),
    (
        lambda form: form.update(report="drift"),
        64,
        "is a report of `cxroute drift`, not a plan",
    ),
]


def test_an_edited_plan_is_refused(bench: Bench) -> None:
    """An author who edits a plan can compute its planId, but cannot make apply do what the plan did
    not show.
    """
    bench.plan()
    text = Path("plan.json").read_text("utf-8")
    for change, code, message in EDITS:
        Path("plan.json").write_text(text, "utf-8")
        edited(change)
        bench.assert_refused(code, message, "plan.json", "--yes")


def test_a_plan_with_another_plan_id_is_refused(bench: Bench) -> None:
    """It was edited after the review."""
    bench.plan()
    text = Path("plan.json").read_text("utf-8")
    Path("plan.json").write_text(text.replace('"acme"', '"other"'), "utf-8")
    bench.assert_refused(
        4,
        "was changed after it was created (its planId does not match)",
        "plan.json",
        "--yes",
    )


# Which plans an apply takes


OTHER_CHOICES: Final[list[tuple[tuple[str, ...], str]]] = [
    (("--all",), "plan.json is a plan for prod only: remove --all and --shard"),
    (
        ("--all", "--shard", "1/2"),
        "plan.json is a plan for prod only: remove --all and --shard",
    ),
    (("-e", "staging"), "plan.json is a plan for prod, not for staging"),
    (
        ("--only", "cards/*"),
        "a saved plan contains its options: remove --only, --adopt, --keep-drift, --traffic",
    ),
    (("--adopt",), "a saved plan contains its options"),
    (("--keep-drift",), "a saved plan contains its options"),
    (("--traffic", "traffic.csv"), "a saved plan contains its options"),
    (("--undo", "run"), "a saved plan contains its options"),
    (
        ("--journal", "file"),
        "--journal is the journal with the run of --undo, but --undo is not set",
    ),
]


def test_a_saved_plan_takes_no_other_choice(bench: Bench) -> None:
    """It is for one environment, with the options of its review."""
    bench.plan()
    for options, message in OTHER_CHOICES:
        bench.assert_refused(64, message, "plan.json", "--yes", *options)
    assert ["lost", "new"] == bench.assert_applied("plan.json", "--yes", "-e", "prod")


def several(change: Callable[[list[Any]], object]) -> None:
    form = json.loads(Path("plans.json").read_text("utf-8"))
    change(form["environments"])
    Path("plans.json").write_text(json.dumps(form), "utf-8")


LISTS: Final[list[tuple[Callable[[list[Any]], object], str]]] = [
    (
        lambda plans: plans.clear(),
        "does not contain one plan for each of its environments",
    ),
    (
        lambda plans: plans.append(plans[0]),
        "does not contain one plan for each of its environments",
    ),
    (
        lambda plans: plans.append(7),
        "does not contain plans: create them with `cxroute plan --all --out plans.json`",
    ),
    (lambda plans: plans[0].pop("environment"), "does not contain plans"),
    (lambda plans: plans[0].pop("owner"), "plans.json is not a saved plan"),
]


def test_a_list_of_plans_has_one_for_each_environment(bench: Bench) -> None:
    """A list that lost a plan, or has one twice, is not half applied."""
    assert 0 == bench.cxroute("plan", "--all", "--out", "plans.json"), bench.cxroute.err
    text = Path("plans.json").read_text("utf-8")
    for change, message in LISTS:
        Path("plans.json").write_text(text, "utf-8")
        several(change)
        bench.assert_refused(64, message, "plans.json", "--yes")


def test_a_plan_that_cannot_be_read_is_a_sentence(bench: Bench) -> None:
    """It does not exist, is a directory, is empty."""
    bench.assert_refused(
        64, "cannot read gone.json: No such file or directory", "gone.json", "--yes"
    )
    Path("folder.json").mkdir()
    bench.assert_refused(64, "cannot read folder.json: ", "folder.json", "--yes")
    Path("empty.json").touch()
    bench.assert_refused(64, "empty.json is not a saved plan", "empty.json", "--yes")


# Who lifts a guard, and who confirms


def test_a_guard_is_not_lifted_without_a_reason(bench: Bench) -> None:
    """The journal records who lifted a guard and why: white space is not a reason."""
    message = "--allow requires --reason TEXT, which the journal records"
    for reason in ("", " ", "\t\n", "\u00a0"):
        bench.assert_refused(
            64, message, "-e", "prod", "--yes", "--allow", "deletes", "--reason", reason
        )
    assert ["lost", "new"] == bench.assert_applied(
        "-e", "prod", "--yes", "--allow", "deletes", "--reason", "CHG-1042"
    )


def test_an_unknown_guard_is_named(bench: Bench) -> None:
    """A misspelt name would lift nothing, and the run would be refused later."""
    arguments = ("-e", "prod", "--yes", "--allow", "deletions", "--reason", "CHG-1042")
    bench.assert_refused(
        64, "--allow deletions: unknown guard. The guards are ", *arguments
    )


def test_a_guard_that_refuses_is_lifted_by_its_name_alone(bench: Bench) -> None:
    """Another guard's name does not lift it."""
    bench.here.manifests(ONE_BY_ONE, prod="guard: {deletes: {count: 0, percent: 0}}")
    message = "refused, and nothing was written: deletes 1 of 3 managed rules"
    bench.assert_refused(4, message, "-e", "prod", "--yes")
    bench.assert_refused(
        4, message, "-e", "prod", "--yes", "--allow", "traffic", "--reason", "CHG-1042"
    )
    assert ["lost", "new"] == bench.assert_applied(
        "-e", "prod", "--yes", "--allow", "deletes", "--reason", "CHG-1042"
    )


def test_a_conflict_with_an_unmanaged_rule_is_refused(bench: Bench) -> None:
    """A rule that a user made by hand has the name of a planned one."""
    targets = [{"type": "queue", "queueId": "q-Cards", "weight": 1}]
    foreign_side = {
        "id": "hand",
        "name": "new",
        "description": "",
        "priority": 5,
        "enabled": True,
        "version": 1,
    }
    bench.here.states["prod"].put(
        {**foreign_side, "conditions": [], "targets": targets}
    )
    bench.assert_refused(
        4, "refused, and nothing was written: cards/new: ", "-e", "prod", "--yes"
    )


def test_a_failed_route_test_is_refused(bench: Bench) -> None:
    """Exit code 3, as for `validate`."""
    test = "- {given: {intent: new, confidence: 0.9}, expect: {queue: General}}\n"
    head = "apiVersion: routing/v1\nkind: RouteTests\nname: t\ntests:\n"
    Path("manifests/tests.yaml").write_text(head + test, "utf-8")
    bench.assert_refused(3, "CXR220", "-e", "prod", "--yes")


@pytest.mark.parametrize("arguments", [("-e", "prod"), ("--all",)])
def test_without_a_terminal_nothing_is_confirmed(
    bench: Bench, arguments: tuple[str, ...]
) -> None:
    """A script that forgot `--yes` writes nothing, and the message has the command to repeat."""
    bench.assert_refused(
        4, "cannot ask for confirmation here; nothing was written", *arguments
    )
    assert "--yes" in bench.cxroute.err


# How long a run may take


def virtual_time(monkeypatch: pytest.MonkeyPatch) -> FakeClock:
    """Let the clients wait on a clock that each wait moves at once."""
    clock = FakeClock()
    monkeypatch.setattr("reconciler.cli.clients.REAL_TIME", clock.time)
    return clock


def test_a_run_ends_although_the_tenant_delays_each_write(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each create is first refused for 100 seconds: sixty of them would take more than an hour and
    a half.
    """
    ruleset([*AFTER, *(rule(f"more{number}") for number in range(60))])
    slow = FaultInjector(
        ",".join(f"POST rules:429=100@#{number}" for number in range(1, 140, 2))
    )
    bench.here.apps["prod"] = Simulator(bench.here.states["prod"], PROFILES["A"], slow)
    clock = virtual_time(monkeypatch)
    code, form = bench.cxroute.json("apply", "-e", "prod", "--yes")
    assert (5, "the run exceeded its time limit") == (code, form["error"]["message"])
    assert 900 < clock.seconds - 1000 < 1500
    assert 0 < len(bench.here.rules("prod")) < 60
    assert "skipped" in {item["status"] for item in form["outcomes"]}


def test_slow_reads_do_not_shorten_the_time_of_the_writes(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reads took ten minutes, and so do the writes: each part has its own limit."""
    ruleset([*AFTER, *(rule(f"more{number}") for number in range(5))])
    spec = "GET queues:429=100@#1-3,GET rules:429=100@#1-3," + ",".join(
        f"POST rules:429=100@#{number}" for number in range(1, 12, 2)
    )
    bench.here.apps["prod"] = Simulator(
        bench.here.states["prod"], PROFILES["A"], FaultInjector(spec)
    )
    clock = virtual_time(monkeypatch)
    code, form = bench.cxroute.json("apply", "-e", "prod", "--yes")
    assert (0, True) == (code, form.get("converged")), form.get("error")
    assert 1100 < clock.seconds - 1000
