"""The workflows that `init --github` writes, step by step: bash, the command, a GitHub and a tenant
on loopback.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.features.forge.github.fake import FakeGitHub
from tests.features.forge.github.fake_server import serving
from tests.features.forge.github.machine import Machine
from tests.features.forge.github.runs import WorkflowEvent
from tests.features.forge.github.scene import RepositoryDriver, rules, tenant_process

pytestmark = pytest.mark.slow

CARDS = "manifests/cards.yaml"
THREE = {"pin": "Billing", "theft": "Fraud", "limit": "General"}


def test_planned_twice_and_applied(scene: RepositoryDriver) -> None:
    """One comment, edited in place; after the merge exactly that plan is applied, and the comment
    says so.
    """
    number = scene.open((CARDS, rules(pin="Billing")))
    first = scene.check(number)
    assert "success" == first.result, first.text
    assert "<!-- cxroute:plan env=prod -->" == scene.comment(number).split("\n")[0]
    assert "cards/pin" in scene.comment(number)
    assert "Merge check: no other open pull request into `main`" in scene.comment(
        number
    )
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
    assert 1 == [item["name"] for item, _ in scene.hub.artifacts.values()].count(
        "routing-journal-prod-1"
    )
    assert any(
        "--only-binary=:all: --require-hashes" in line for line in scene.machine.log
    )


def test_a_plan_whose_route_tests_fail_fails_the_check_and_is_shown(
    scene: RepositoryDriver,
) -> None:
    """The comment has the tests and the change; after a merge in spite of that no change is
    applied.
    """
    tests = (
        "apiVersion: routing/v1\nkind: RouteTests\nname: t\ntests:\n- {given: {intent: pin}, "
        "expect: {queue: Fraud}}\n"
    )
    number = scene.open((CARDS, rules(pin="Billing")), ("manifests/tests.yaml", tests))
    assert "failure" == scene.check(number).job("Plan prod").result
    assert (
        "> **Apply will refuse this plan:**\n> - 1 route test fails:\n"
        in scene.comment(number)
    )
    assert "cards/pin" in scene.comment(number)
    assert "failure" == scene.apply(scene.merge(number)).result
    assert {} == scene.tenant.rules()


def test_a_plan_that_a_guard_refuses_fails_the_check_and_says_why(
    scene: RepositoryDriver,
) -> None:
    """The report is stored; after a merge in spite of that no change is applied, and the comment
    says so.
    """
    scene.settle(rules(**THREE))
    number = scene.open((CARDS, rules(pin="Billing")))
    checked = scene.check(number)
    results = {"Validate": "success", "Plan prod": "failure", "Routing plan": "failure"}
    assert results == {
        job.name: job.result for job in checked.jobs if job.result != "skipped"
    }
    assert "deletes" in scene.comment(number)
    assert "cards/theft" in scene.comment(number)
    assert ["routing-plan-prod"] == [
        item["name"] for item, _ in scene.hub.artifacts.values()
    ]

    applied = scene.apply(scene.merge(number))
    assert "failure" == applied.result
    assert "skipped" == applied.job("Apply to prod").steps["Apply"]
    assert "> **Not applied** on " in scene.comment(number)
    assert "`routing-plan.yml` did not succeed in its last run" in scene.comment(number)
    assert set(THREE) == set(scene.tenant.rules())


def test_a_partial_apply_continues_when_it_is_repeated(
    tmp_path: Path, computer: Machine
) -> None:
    """The comment has the missing changes and the reasons; the second attempt applies them from the
    reviewed plan.
    """
    with (
        tenant_process(tmp_path / "tenant", "--faults", "POST rules:422@#2") as faulty,
        serving(FakeGitHub()) as hub,
    ):
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
        assert {"routing-journal-prod-1", "routing-journal-prod-2"} < {
            item["name"] for item, _ in hub.artifacts.values()
        }


def test_a_late_older_run_does_not_change_the_comment(scene: RepositoryDriver) -> None:
    """Whether it was slow, or is repeated."""
    number = scene.open((CARDS, rules(pin="Billing")))
    older = scene.heads[number]
    first = scene.check(number)
    scene.push(number, (CARDS, rules(theft="Fraud")))
    scene.check(number)
    newer = scene.heads[number]
    text = scene.comment(number)
    scene.heads[number] = older
    again = scene.check(number, first.id, attempt=2)
    assert "a newer run wrote it" in again.text
    assert text == scene.comment(number)
    scene.heads[number] = newer


def test_a_plan_without_changes_creates_no_comment_and_edits_one(
    scene: RepositoryDriver,
) -> None:
    """A comment in a manifest does not change routing; the comment says that earlier changes were
    reverted.
    """
    quiet = scene.open((CARDS, rules() + "# a remark\n"))
    assert ("success", []) == (scene.check(quiet).result, scene.hub.bodies(quiet))
    number = scene.open((CARDS, rules(pin="Billing")))
    scene.check(number)
    scene.push(number, (CARDS, rules() + "# on second thoughts\n"))
    assert "success" == scene.check(number).result
    assert "cards/pin" not in scene.comment(number)
    assert "No changes" in scene.comment(number)


def test_a_change_of_a_later_date_has_a_comment(scene: RepositoryDriver) -> None:
    """Its reviewers see both times, and who moves then; a change of nothing has none."""
    campaign = (
        "  - {{key: xmas, name: 'cards: xmas', intent: pin, queue: General, priority: 1, "
        "from: '{}-12-27T06:00Z'}}\n"
    )
    usual = rules(pin="Billing", theft="Fraud")
    scene.settle(usual + campaign.format(8999))
    quiet = scene.open((CARDS, usual + campaign.format(8999) + "# a remark\n"))
    assert ("success", []) == (scene.check(quiet).result, scene.hub.bodies(quiet))
    number = scene.open((CARDS, usual + campaign.format(8998)))
    assert "success" == scene.check(number).result
    comment = scene.comment(number)
    assert "**Dates that this change edits:**" in comment
    times = "27 Dec 8999, 06:00 (UTC) → 27 Dec 8998, 06:00 (UTC)"
    assert f"- `cards/xmas` begins {times}\n" in comment
    assert "No changes now." in comment


def test_a_pull_request_without_manifests_is_not_planned(
    scene: RepositoryDriver,
) -> None:
    """The check that branches require passes, without an installation."""
    requested = len(scene.machine.log)
    checked = scene.check(scene.open(("README.md", "hello")))
    assert {"Validate": "success", "Routing plan": "success"} == {
        job.name: job.result for job in checked.jobs if job.result != "skipped"
    }
    assert (requested, []) == (len(scene.machine.log), scene.hub.asked)


def test_an_entry_of_a_merge_queue_is_checked_offline(scene: RepositoryDriver) -> None:
    """It has no number of a pull request: the required check validates the manifests, and nothing
    is commented.
    """
    number = scene.open((CARDS, rules(pin="Billing")))
    head, _ = scene.heads[number]
    queued = scene.queue(head)
    assert {"Validate": "success", "Routing plan": "success"} == {
        job.name: job.result for job in queued.jobs if job.result != "skipped"
    }
    assert [] == scene.hub.asked
    assert "Not planned" not in queued.text
    broken = scene.open((CARDS, "kind: ["))
    assert "failure" == scene.queue(scene.heads[broken][0]).result


@pytest.mark.parametrize(
    ("repository", "author"),
    [("eve/routing", "eve"), ("acme/routing", "dependabot[bot]")],
    ids=["fork", "dependabot"],
)
def test_a_fork_or_dependabot_is_checked_offline(
    scene: RepositoryDriver, repository: str, author: str
) -> None:
    """No credentials, no plan, no comment; annotations and a summary, and one notice with the
    reason.
    """
    scene.variables.clear()  # a fork's run sees no variables either
    good = scene.check(
        scene.open((CARDS, rules(pin="Billing")), repository=repository, author=author)
    )
    assert ("success", "skipped") == (good.result, good.job("Plan ").result), good.text
    assert "::notice title=Not planned::Pull requests from forks" in good.text
    assert "Not set up" not in good.text
    bad = scene.check(
        scene.open(
            (CARDS, rules(pin="Billing") + "nonsense: 1\n"),
            repository=repository,
            author=author,
        )
    )
    assert "failure" == bad.result
    assert "::error file=manifests/cards.yaml" in bad.job("Validate").log
    assert "    manifests/cards.yaml" in bad.job("Validate").summary
    assert [] == scene.hub.asked


def test_the_plan_of_a_fork_s_own_run_is_not_applied(scene: RepositoryDriver) -> None:
    """The fork's owner controls its workflow file and its artifact."""
    number = scene.open(
        (CARDS, rules(pin="Billing")), repository="eve/routing", author="eve"
    )
    ran = scene.check(number)
    scene.hub.keep(ran.id, "routing-plan-prod", b"whatever")
    applied = scene.apply(scene.merge(number))
    assert "failure" == applied.result
    assert "is from a fork" in applied.text
    assert {} == scene.tenant.rules()


def test_an_outdated_commit_then_unreviewed_changes_then_manually(
    scene: RepositoryDriver,
) -> None:
    """Two parallel merges: the older is out of date, the newer exceeds the review, and a user
    resolves it.
    """
    item = scene.open((CARDS, rules(pin="Billing")))
    two = scene.open(("manifests/more.yaml", _more("theft")))
    for number in (item, two):
        assert "success" == scene.check(number).result
    pushed = scene.merge(item), scene.merge(two)
    older, newer = (scene.apply(event) for event in pushed)
    assert ("failure", "failure") == (older.result, newer.result)
    assert "is not the tip of main" in scene.comment(item)
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


def test_live_routing_that_changed_since_the_review_is_refused(
    scene: RepositoryDriver,
) -> None:
    """After a new plan and review it is applied."""
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


def test_an_edit_without_effect_on_routing_does_not_stop_a_merge(
    scene: RepositoryDriver,
) -> None:
    """The edited rule is not changed, and the reviewed rule is applied."""
    scene.settle(rules(**THREE))
    number = scene.open((CARDS, rules(**{**THREE, "pin": "General"})))
    assert "success" == scene.check(number).result
    scene.tenant.change("theft", priority=7)
    assert "success" == scene.apply(scene.merge(number)).result
    assert 7 == scene.tenant.rules()["theft"]["priority"]


def test_a_push_without_a_pull_request_is_refused(scene: RepositoryDriver) -> None:
    """With the next step."""
    scene.git("checkout", "-q", "main")
    scene.write(CARDS, rules(pin="Billing"))
    scene.hub.tip = scene.commit("pushed")
    applied = scene.apply(WorkflowEvent("push", scene.hub.tip))
    assert "failure" == applied.result
    summary = applied.job("Apply to prod").summary
    assert (
        "has no pull request, so its plan was not reviewed. Start the apply workflow manually"
        in summary
    )
    assert {} == scene.tenant.rules()


def test_a_commit_without_a_plan_is_noted_above_the_older_plan(
    scene: RepositoryDriver,
) -> None:
    """So that the previous commit's plan is not mistaken for its plan."""
    number = scene.open((CARDS, rules(pin="Billing")))
    scene.check(number)
    scene.push(number, (CARDS, rules(pin="Biling")))
    checked = scene.check(number)
    assert "failure" == checked.result
    assert "**No plan for `" in scene.comment(number)


def test_drift_is_opened_changed_and_closed(scene: RepositoryDriver) -> None:
    """One issue: opened, edited only if drift changes, with one comment, closed; a missing check is
    noticed.
    """
    scene.actions.secrets["cxone-prod-plan"] |= {
        "CXROUTE_HEARTBEAT_URL": f"{scene.hub.url}/check-in"
    }
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


def test_a_failed_drift_check_closes_no_issue(scene: RepositoryDriver) -> None:
    """Without credentials there is no result; the job fails, and sends no heartbeat."""
    scene.actions.secrets["cxone-prod-plan"] = {}
    looked = scene.look()
    assert "failure" == looked.result
    assert "no credentials: set CXONE_CLIENT_ID" in looked.text
    assert [] == scene.hub.asked


def test_a_date_is_made_by_the_scheduled_run(scene: RepositoryDriver) -> None:
    """It makes what is due, and leaves what was edited in CXone, which is drift."""
    scene.settle(rules(pin="Billing", theft="Fraud"))
    campaign = (
        "  - {key: begun, name: 'cards: begun', intent: pin, queue: General, priority: 1, "
        'from: "2026-01-01T00:00Z", until: "9000-01-01T00:00Z"}\n'
    )
    scene.git("checkout", "-q", "main")
    scene.write(CARDS, rules(pin="Billing", theft="Fraud") + campaign)
    scene.hub.tip = scene.commit("a campaign")
    scene.tenant.change("theft", enabled=False)

    made = scene.make_due()
    assert "success" == made.result, made.text
    assert "begun" in scene.tenant.rules()
    assert not scene.tenant.rules()["theft"]["enabled"]
    assert "cards/begun" in made.text
    again = scene.make_due()
    assert "success" == again.result, again.text
    assert "No change is due by a date of a rule." in again.text
    assert [] == scene.hub.asked

    scene.actions.secrets["cxone-prod-dates"] = {}
    assert "failure" == scene.make_due().result


def test_without_the_setup_there_is_no_plan_apply_or_drift_check(
    scene: RepositoryDriver,
) -> None:
    """As in a fork of the repository: manifests are checked, and a notice names the missing
    setup.
    """
    scene.variables.clear()
    number = scene.open((CARDS, rules(pin="Billing")))
    checked = scene.check(number)
    assert "success" == checked.result
    assert (
        "::notice title=Not set up::The variable CXROUTE_ENVIRONMENTS" in checked.text
    )
    assert ["skipped"] * 4 == [
        scene.apply(scene.merge(number)).result,
        scene.by_hand().result,
        scene.look().result,
        scene.make_due().result,
    ]
    assert [] == scene.hub.asked
