"""The workflows that `init --github` writes, step by step: bash, the command, a GitHub and a tenant on loopback."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.github.fake import FakeGitHub
from tests.github.fake_server import serving
from tests.github.machine import Machine
from tests.github.runs import WorkflowEvent
from tests.github.scene import RepositoryDriver, rules, tenant_process

CARDS = "manifests/cards.yaml"
THREE = {"pin": "Billing", "theft": "Fraud", "limit": "General"}


def test_planned_twice_and_applied(scene: RepositoryDriver) -> None:
    """One comment, edited in place; after the merge just that is applied, and the comment says so."""
    number = scene.open((CARDS, rules(pin="Billing")))
    first = scene.check(number)
    assert "success" == first.result, first.text
    assert "<!-- cxroute:plan env=prod -->" == scene.comment(number).split("\n")[0]
    assert "cards/pin" in scene.comment(number)
    assert "cards/pin" in first.job("Plan prod").summary

    scene.push(number, (CARDS, rules(pin="Billing", theft="Fraud")))
    second = scene.check(number)
    assert "success" == second.result, second.text
    assert "cards/theft" in scene.comment(number)
    assert {} == scene.tenant.rules()

    applied = scene.apply(scene.merge(number))
    assert "success" == applied.result, applied.text
    assert {"pin", "theft"} == set(scene.tenant.rules())
    assert "> **Applied** on " in scene.comment(number)
    assert "> **Applied** on " in applied.job("Apply to prod").summary
    assert 1 == [one["name"] for one, _ in scene.hub.artifacts.values()].count("routing-journal-prod-1")
    assert any("--only-binary=:all: --require-hashes" in line for line in scene.machine.log)


def test_a_plan_whose_route_tests_fail_fails_the_check_and_is_shown(scene: RepositoryDriver) -> None:
    """The comment has the tests and the change; merged anyway, nothing is applied."""
    tests = (
        "apiVersion: routing/v1\nkind: RouteTests\nname: t\ntests:\n- {given: {intent: pin}, expect: {queue: Fraud}}\n"
    )
    number = scene.open((CARDS, rules(pin="Billing")), ("manifests/tests.yaml", tests))
    assert "failure" == scene.check(number).job("Plan prod").result
    assert "**1 route test fails: apply will refuse this plan.**" in scene.comment(number)
    assert "cards/pin" in scene.comment(number)
    assert "failure" == scene.apply(scene.merge(number)).result
    assert {} == scene.tenant.rules()


def test_a_plan_that_a_guard_refuses_fails_the_check_and_says_why(scene: RepositoryDriver) -> None:
    """The report is kept all the same; merged anyway, nothing is applied, and the comment says that too."""
    scene.settle(rules(**THREE))
    number = scene.open((CARDS, rules(pin="Billing")))
    checked = scene.check(number)
    results = {"Validate": "success", "Plan prod": "failure", "Routing plan": "failure"}
    assert results == {job.name: job.result for job in checked.jobs}
    assert "deletes" in scene.comment(number)
    assert "cards/theft" in scene.comment(number)
    assert ["routing-plan-prod"] == [one["name"] for one, _ in scene.hub.artifacts.values()]

    applied = scene.apply(scene.merge(number))
    assert "failure" == applied.result
    assert "skipped" == applied.job("Apply to prod").steps["Apply"]
    assert "> **Not applied** on " in scene.comment(number)
    assert "`routing-plan.yml` did not succeed in its last run" in scene.comment(number)
    assert set(THREE) == set(scene.tenant.rules())


def test_what_was_applied_in_part_goes_on_when_it_is_run_again(tmp_path: Path, computer: Machine) -> None:
    """The comment says what is missing and why; the second attempt finds it in the reviewed plan, and makes it."""
    with tenant_process(tmp_path / "tenant", "--faults", "POST rules:422@#2") as faulty, serving(FakeGitHub()) as hub:
        (tmp_path / "repository").mkdir()
        scene = RepositoryDriver(tmp_path / "repository", hub, faulty, computer)
        number = scene.open((CARDS, rules(pin="Billing", theft="Fraud")))
        scene.check(number)
        event = scene.merge(number)
        partly = scene.apply(event)
        assert "failure" == partly.result
        assert "> **Applied 1 of 2** on " in scene.comment(number)
        assert "status 422" in scene.comment(number)
        assert 1 == len(faulty.rules())
        assert "success" == scene.apply(event, partly.id, attempt=2).result
        assert "> **Applied** on " in scene.comment(number)
        assert {"pin", "theft"} == set(faulty.rules())
        assert {"routing-journal-prod-1", "routing-journal-prod-2"} < {one["name"] for one, _ in hub.artifacts.values()}


def test_an_older_run_that_is_late_leaves_the_comment(scene: RepositoryDriver) -> None:
    """Whether it was slow, or is run again."""
    number = scene.open((CARDS, rules(pin="Billing")))
    older, first = scene.heads[number], scene.check(number)
    scene.push(number, (CARDS, rules(theft="Fraud")))
    scene.check(number)
    newer, said = scene.heads[number], scene.comment(number)
    scene.heads[number] = older
    again = scene.check(number, first.id, attempt=2)
    assert "a newer run was here" in again.text
    assert said == scene.comment(number)
    scene.heads[number] = newer


def test_no_changes_make_no_comment_and_edit_one(scene: RepositoryDriver) -> None:
    """A change to a comment in a manifest is none to callers; what was taken back is said to be."""
    quiet = scene.open((CARDS, rules() + "# a remark\n"))
    assert ("success", []) == (scene.check(quiet).result, scene.hub.bodies(quiet))
    number = scene.open((CARDS, rules(pin="Billing")))
    scene.check(number)
    scene.push(number, (CARDS, rules() + "# on second thoughts\n"))
    assert "success" == scene.check(number).result
    assert "cards/pin" not in scene.comment(number)
    assert "No changes" in scene.comment(number)


def test_a_pull_request_without_manifests_is_not_planned(scene: RepositoryDriver) -> None:
    """The check that branches require is there, and nothing was installed for it."""
    asked = len(scene.machine.log)
    checked = scene.check(scene.open(("README.md", "hello")))
    assert {"Validate": "success", "Routing plan": "success"} == {
        job.name: job.result for job in checked.jobs if job.result != "skipped"
    }
    assert (asked, []) == (len(scene.machine.log), scene.hub.asked)


@pytest.mark.parametrize(
    ("repository", "author"), [("eve/routing", "eve"), ("acme/routing", "dependabot[bot]")], ids=["fork", "dependabot"]
)
def test_a_fork_or_dependabot_is_checked_offline(scene: RepositoryDriver, repository: str, author: str) -> None:
    """No credentials, no plan, no comment; annotations and a summary, and one notice that says why."""
    scene.variables.clear()  # a fork's run sees no variables either
    good = scene.check(scene.open((CARDS, rules(pin="Billing")), repository=repository, author=author))
    assert ("success", "skipped") == (good.result, good.job("Plan ").result), good.text
    assert "::notice title=Not planned::Pull requests from forks" in good.text
    assert "Not set up" not in good.text
    bad = scene.check(scene.open((CARDS, rules(pin="Billing") + "nonsense: 1\n"), repository=repository, author=author))
    assert "failure" == bad.result
    assert "::error file=manifests/cards.yaml" in bad.job("Validate").log
    assert "    manifests/cards.yaml" in bad.job("Validate").summary
    assert [] == scene.hub.asked


def test_what_a_fork_planned_for_itself_is_not_applied(scene: RepositoryDriver) -> None:
    """Its workflow file and its artifact are whatever its owner made them."""
    number = scene.open((CARDS, rules(pin="Billing")), repository="eve/routing", author="eve")
    ran = scene.check(number)
    scene.hub.keep(ran.id, "routing-plan-prod", b"whatever")
    applied = scene.apply(scene.merge(number))
    assert "failure" == applied.result
    assert "came from a fork" in applied.text
    assert {} == scene.tenant.rules()


def test_main_moved_on_then_live_differs_then_by_hand(scene: RepositoryDriver) -> None:
    """Two merges at once: the older is out of date, the newer is more than was reviewed, a person sorts it out."""
    one, two = scene.open((CARDS, rules(pin="Billing"))), scene.open(("manifests/more.yaml", _more("theft")))
    for number in (one, two):
        assert "success" == scene.check(number).result
    pushed = scene.merge(one), scene.merge(two)
    older, newer = (scene.apply(event) for event in pushed)
    assert ("failure", "failure") == (older.result, newer.result)
    assert "is not the tip of main" in scene.comment(one)
    assert "> **Refused** on " in scene.comment(two)
    assert "cards/pin" in scene.comment(two)
    assert {} == scene.tenant.rules()

    sorted_out = scene.by_hand()
    assert "success" == sorted_out.result, sorted_out.text
    assert "cards/pin" in sorted_out.job("Plan prod").summary
    assert "> **Applied** on " in sorted_out.job("Apply to prod").summary
    assert {"pin", "theft"} == set(scene.tenant.rules())


def _more(intent: str) -> str:
    return rules(**{intent: "Fraud"}).replace("name: cards", "name: more")


def test_live_that_routes_otherwise_since_the_review_is_refused(scene: RepositoryDriver) -> None:
    """Planned again and reviewed again, it is applied."""
    scene.settle(rules(**THREE))
    number = scene.open((CARDS, rules(**{**THREE, "pin": "General"})))
    assert "success" == scene.check(number).result
    scene.tenant.change("theft", enabled=False)
    event = scene.merge(number)
    refused = scene.apply(event)
    assert "failure" == refused.result
    assert "> **Refused** on " in scene.comment(number)
    assert "cards/theft" in scene.comment(number)
    assert not scene.tenant.rules()["theft"]["enabled"]


def test_an_edit_since_the_review_that_routes_nobody_stops_no_merge(scene: RepositoryDriver) -> None:
    """The rule that somebody edited is left as it is, and the reviewed one is applied."""
    scene.settle(rules(**THREE))
    number = scene.open((CARDS, rules(**{**THREE, "pin": "General"})))
    assert "success" == scene.check(number).result
    scene.tenant.change("theft", priority=7)
    assert "success" == scene.apply(scene.merge(number)).result
    assert 7 == scene.tenant.rules()["theft"]["priority"]


def test_a_push_without_a_pull_request_is_refused(scene: RepositoryDriver) -> None:
    """And told how to go on."""
    scene.git("checkout", "-q", "main")
    scene.write(CARDS, rules(pin="Billing"))
    scene.hub.tip = scene.commit("pushed")
    applied = scene.apply(WorkflowEvent("push", scene.hub.tip))
    assert "failure" == applied.result
    summary = applied.job("Apply to prod").summary
    assert "came without a pull request, so nobody reviewed its plan. Run the workflow that applies by hand" in summary
    assert {} == scene.tenant.rules()


def test_a_commit_that_cannot_be_planned_says_so_above_the_older_plan(scene: RepositoryDriver) -> None:
    """Nobody takes the plan of the commit before it for this one's."""
    number = scene.open((CARDS, rules(pin="Billing")))
    scene.check(number)
    scene.push(number, (CARDS, rules(pin="Biling")))
    checked = scene.check(number)
    assert "failure" == checked.result
    assert "**No plan for `" in scene.comment(number)


def test_drift_is_opened_changed_and_closed(scene: RepositoryDriver) -> None:
    """One issue: opened, left while nothing changes, edited with one comment, closed; and silence would be noticed."""
    scene.actions.secrets["cxone-prod-plan"] |= {"CXROUTE_HEARTBEAT_URL": f"{scene.hub.url}/check-in"}
    scene.settle(rules(**THREE))
    assert "success" == scene.look().result
    assert ([], 1) == (scene.hub.issues, scene.hub.asked.count("GET /check-in"))
    scene.tenant.change("pin", enabled=False)
    for _ in range(2):
        looked = scene.look()
        assert "success" == looked.result, looked.text
    (issue,) = scene.hub.issues
    assert ("open", []) == (issue["state"], scene.hub.bodies(1))
    assert "cards/pin" in issue["body"]
    scene.tenant.change("theft", enabled=False)
    scene.look()
    assert "cards/theft" in issue["body"]
    assert 1 == len(scene.hub.bodies(1))
    for intent in ("pin", "theft"):
        scene.tenant.change(intent, enabled=True)
    scene.look()
    assert "closed" == issue["state"]
    assert "No drift since" in scene.hub.bodies(1)[1]


def test_a_look_that_fails_closes_no_issue(scene: RepositoryDriver) -> None:
    """No credentials, no news; the job fails, and nobody checks in."""
    scene.actions.secrets["cxone-prod-plan"] = {}
    looked = scene.look()
    assert "failure" == looked.result
    assert "no credentials: set CXONE_CLIENT_ID" in looked.text
    assert [] == scene.hub.asked


def test_before_it_is_set_up_nothing_is_planned_applied_or_watched(scene: RepositoryDriver) -> None:
    """As in a fork of the repository: manifests are checked, and a notice says what is missing."""
    scene.variables.clear()
    number = scene.open((CARDS, rules(pin="Billing")))
    checked = scene.check(number)
    assert "success" == checked.result
    assert "::notice title=Not set up::The variable CXROUTE_ENVIRONMENTS" in checked.text
    assert ["skipped"] * 3 == [scene.apply(scene.merge(number)).result, scene.by_hand().result, scene.look().result]
    assert [] == scene.hub.asked
