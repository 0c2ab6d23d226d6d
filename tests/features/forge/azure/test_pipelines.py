"""The pipelines that `init --azure` writes: their schema, and their steps, run against a fake forge
and a tenant.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import yaml

from reconciler.features.forge.pipeline_files import (
    PIPELINES,
    UNKNOWN_ACTION,
    DateRuns,
    PipelineSettings,
    build_pipelines,
)
from tests.features.forge.azure import fake
from tests.features.forge.azure.agent import PACKAGE, Agent, AzureRunResult
from tests.features.forge.azure.fake import FakeAzure
from tests.features.forge.contract import FakeRun
from tests.features.forge.github.scene import (
    ENVIRONMENT,
    GIT,
    VARIABLES,
    TenantProcess,
    rules,
    tenant_process,
)
from tests.support import canary_secrets as canary

pytestmark = pytest.mark.slow

CARDS = "manifests/cards.yaml"
SECRETS = dict(zip(VARIABLES, (canary.CLIENT, canary.SECRET), strict=True))
SETTINGS = PipelineSettings(
    UNKNOWN_ACTION, "manifests", VARIABLES, dates=DateRuns("3 * * * *", ("prod",))
)


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TenantProcess]:
    """The tenant, for all scenarios."""
    with tenant_process(tmp_path_factory.mktemp("tenant")) as item:
        yield item


@dataclass
class Repository:
    """Actions of people on the repository, and its pipeline runs."""

    path: Path
    hub: FakeAzure
    tenant: TenantProcess
    groups: dict[str, dict[str, str]] = field(default_factory=dict, repr=False)
    runs: int = 100

    def __post_init__(self) -> None:
        """Make the repository: an empty set of rules, and the pipelines."""
        self.git("init", "-q", "-b", "main")
        (self.path / ".git/info/exclude").write_text(
            "out/\n.cxroute/\n", encoding="utf-8"
        )
        files = dict(build_pipelines(PIPELINES["azure"], SETTINGS))
        self.commit(
            {
                **files,
                "manifests/prod.yaml": ENVIRONMENT.format(url=self.tenant.url),
                CARDS: rules(),
            }
        )
        self.groups |= {
            "cxroute": {"CXROUTE_PACKAGE": PACKAGE},
            "cxone-prod": SECRETS,
            "cxone-prod-plan": dict(SECRETS),
        }
        self.agent = Agent(self.hub, self.path, self.path.parent / "temp", self.groups)

    def git(self, *arguments: str) -> str:
        """Run git, without the user's settings."""
        done = subprocess.run(
            ["git", *arguments],
            cwd=self.path,
            env=GIT,
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.strip()

    def commit(self, files: dict[str, str]) -> str:
        """Commit files, and return the commit."""
        for name, text in files.items():
            (self.path / name).parent.mkdir(parents=True, exist_ok=True)
            (self.path / name).write_text(text, encoding="utf-8")
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", "change")
        return self.git("rev-parse", "HEAD")

    def push(self, text: str) -> str:
        """Push a commit with these rules to the pull request, and return it."""
        self.git("checkout", "-q", "-B", "change", "main")
        head = self.commit({CARDS: text})
        self.hub.push(head)
        return head

    def check(
        self,
        head: str,
        run: int | None = None,
        attempt: int = 1,
        is_fork: str = "False",
    ) -> AzureRunResult:
        """Run the plan pipeline on the merge of a commit of the pull request."""
        self.runs += 1
        self.git("checkout", "-q", "--detach", "main")
        self.git("merge", "-q", "--no-ff", "-m", "merge", head)
        ran = self.agent.run(
            "routing-plan.yml", FakeRun(run or self.runs, attempt, head), is_fork
        )
        self.hub.build(ran.id, ran.result)
        return ran

    def merge(self, head: str) -> str:
        """Complete the pull request, and return its merge."""
        self.git("checkout", "-q", "main")
        self.git("merge", "-q", "--no-ff", "-m", "merge", head)
        self.hub.merge(self.git("rev-parse", "HEAD"))
        return self.hub.tip

    def apply(self, sha: str, *, is_manual: bool = False) -> AzureRunResult:
        """Run the apply pipeline on a commit of the default branch."""
        self.runs += 1
        self.git("checkout", "-q", "--detach", sha)
        self.hub.build(self.runs, None, reason="manual", definition={"id": 13})
        return self.agent.run(
            "routing-apply.yml", FakeRun(self.runs, 1, sha, None, is_manual)
        )

    def look(self) -> AzureRunResult:
        """Run the drift pipeline."""
        self.runs += 1
        self.git("checkout", "-q", "main")
        return self.agent.run(
            "routing-drift.yml", FakeRun(self.runs, 1, self.hub.tip, None)
        )

    def make_due(self) -> AzureRunResult:
        """Run the pipeline of dates."""
        self.runs += 1
        self.git("checkout", "-q", "main")
        return self.agent.run(
            "routing-dates.yml", FakeRun(self.runs, 1, self.hub.tip, None)
        )

    def settle(self, text: str) -> None:
        """Put these rules on the default branch and, by a manual run, into the tenant."""
        self.git("checkout", "-q", "main")
        self.hub.tip = self.commit({CARDS: text})
        settled = self.apply(self.hub.tip, is_manual=True)
        assert "succeeded" == settled.result, settled.log

    @property
    def note(self) -> str:
        """Return the only note."""
        (note,) = self.hub.notes()
        return note.body


@pytest.fixture
def acme(tmp_path: Path, bank: TenantProcess) -> Iterator[Repository]:
    """A repository without rules, and a tenant without rules."""
    bank.clear()
    hub = FakeAzure()
    with hub.serving():
        (tmp_path / "repository").mkdir()
        yield Repository(tmp_path / "repository", hub, bank)


def test_planned_twice_and_applied(acme: Repository) -> None:
    """One note, edited in place; after the merge exactly that plan is applied, and the note says
    so.
    """
    first = acme.check(acme.push(rules(pin="Billing")))
    assert "succeeded" == first.result, first.log
    assert acme.note.startswith("[/]: # (cxroute:plan env=prod)\n")
    assert "cards/pin" in acme.note
    assert "cards/pin" in first.summary
    head = acme.push(rules(pin="Billing", theft="Fraud"))
    second = acme.check(head)
    assert "succeeded" == second.result, second.log
    assert "cards/theft" in acme.note
    assert {} == acme.tenant.rules()
    applied = acme.apply(acme.merge(head))
    assert "succeeded" == applied.result, applied.log
    assert {"pin", "theft"} == set(acme.tenant.rules())
    assert "> **Applied** on " in acme.note
    assert (
        f"-m pip install --quiet --disable-pip-version-check {PACKAGE}"
        in acme.agent.installed
    )
    stored = {
        name for run, name in acme.hub.artifacts if run in (second.id, applied.id)
    }
    assert {"routing-plan-prod-1", "routing-journal-prod-1"} == stored
    assert not acme.hub.token_sent_elsewhere


def test_a_late_older_run_does_not_change_the_note(acme: Repository) -> None:
    """Whether it was slow, or is repeated; the artifact of a repeated run has a name of its own."""
    old = acme.push(rules(pin="Billing"))
    first = acme.check(old)
    acme.check(acme.push(rules(theft="Fraud")))
    newer = acme.note
    again = acme.check(old, first.id, attempt=2)
    assert "a newer run wrote it" in again.log
    assert newer == acme.note
    assert (first.id, "routing-plan-prod-2") in acme.hub.artifacts


def test_a_fork_is_checked_offline(acme: Repository) -> None:
    """No credentials, no plan, no note; a warning gives the reason."""
    secrets = acme.groups.pop("cxone-prod-plan")
    head = acme.push(rules(pin="Billing"))
    ran = acme.check(head, is_fork="True")
    assert {"Validate": "succeeded", "Plan prod": "skipped"} == ran.results
    assert "##vso[task.logissue type=warning]Pull requests from forks" in ran.log
    assert [] == acme.hub.asked
    acme.groups["cxone-prod-plan"] = secrets
    acme.hub.move_to_fork()
    applied = acme.apply(acme.merge(head))
    assert "failed" == applied.result
    assert "is from a fork" in applied.log
    assert {} == acme.tenant.rules()


def test_an_invalid_manifest_fails_and_is_noted(acme: Repository) -> None:
    """The note says that it is for an earlier commit."""
    acme.check(acme.push(rules(pin="Billing")))
    ran = acme.check(acme.push(rules(pin="Biling") + "nonsense: 1\n"))
    assert {"Validate": "failed", "Plan prod": "failed"} == ran.results
    assert "**No plan for `" in acme.note


def test_a_plan_that_a_guard_refuses_is_not_applied(acme: Repository) -> None:
    """The check fails; after a merge in spite of that no change is applied, and the note says
    so.
    """
    acme.settle(rules(pin="Billing", theft="Fraud", limit="General"))
    head = acme.push(rules(pin="Billing"))
    assert "failed" == acme.check(head).result
    assert "deletes" in acme.note
    applied = acme.apply(acme.merge(head))
    assert "failed" == applied.result
    assert "> **Not applied** on " in acme.note
    assert "did not succeed in its last run" in acme.note
    assert 3 == len(acme.tenant.rules())


def test_a_push_without_a_pull_request_is_applied_only_manually(
    acme: Repository,
) -> None:
    """A manual run plans first, and applies its own plan."""
    acme.git("checkout", "-q", "main")
    acme.hub.tip = acme.commit({CARDS: rules(pin="Billing")})
    pushed = acme.apply(acme.hub.tip)
    assert {"Plan prod": "succeeded", "Apply to prod": "failed"} == pushed.results
    assert "has no pull request, so its plan was not reviewed" in pushed.summary
    assert {} == acme.tenant.rules()
    manual = acme.apply(acme.hub.tip, is_manual=True)
    assert "succeeded" == manual.result, manual.log
    assert "> **Applied** on " in manual.summary.replace("*Note:*", "")
    assert {"pin"} == set(acme.tenant.rules())


@pytest.mark.parametrize("reader", ["the build service", "a second token"])
def test_callers_of_another_team_are_taken_only_with_its_consent(
    acme: Repository, reader: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The status of the push fails until a member of the team has approved, and the check is queued
    again.
    """
    if reader == "a second token":
        acme.groups["cxroute"]["CXROUTE_MEMBERS_TOKEN"] = acme.hub.token("members")
        monkeypatch.setattr(
            fake,
            "PERMISSIONS",
            tuple(name for name in fake.PERMISSIONS if name != "members"),
        )
    acme.groups["cxroute"]["CXROUTE_CONSENT"] = "true"
    acme.hub.set_members("@acme/fraud", "fiona")
    owned = 'apiVersion: routing/v1\nkind: Queues\nname: q\nqueues:\n  fraud: {name: Fraud, owners: ["@acme/fraud"]}\n'
    acme.git("checkout", "-q", "main")
    acme.commit({"manifests/queues.yaml": owned})
    acme.settle(rules(pin="Billing", theft="fraud"))
    head = acme.push(rules(pin="Billing", theft="General"))
    checked = acme.check(head)
    assert "succeeded" == checked.result, checked.log
    assert "(Fraud loses callers)" in acme.note
    acme.hub.approve("stranger")
    acme.check(head)
    assert "failure" == acme.hub.statuses(head)["cxroute/consent (prod)"][0]
    acme.hub.approve("fiona")
    acme.check(head)
    assert "success" == acme.hub.statuses(head)["cxroute/consent (prod)"][0]
    applied = acme.apply(acme.merge(head))
    assert "succeeded" == applied.result, applied.log
    assert "queue" in str(acme.tenant.rules()["theft"])


def test_drift_is_opened_changed_and_closed(acme: Repository) -> None:
    """One task; a text of the tenant is not a command of the agent; a missing check is noticed."""
    acme.groups["cxone-prod-plan"]["CXROUTE_HEARTBEAT_URL"] = f"{acme.hub.url}/check-in"
    acme.settle(rules(pin="Billing", theft="Fraud"))
    assert "succeeded" == acme.look().result
    assert ([], 1) == (acme.hub.issues(), acme.hub.asked.count("GET /check-in"))
    rule = acme.tenant.rules()["pin"]
    hostile = {**rule["conditions"][0], "value": "##vso[task.complete result=Failed]"}
    acme.tenant.change("pin", conditions=[hostile, *rule["conditions"][1:]])
    for _ in range(2):
        looked = acme.look()
        assert "succeeded" == looked.result, looked.log
        assert "# #vso[task.complete result=Failed]" in looked.log
    (issue,) = acme.hub.issues()
    assert (True, []) == (issue.is_open, issue.remarks)
    assert "cards/pin" in issue.body
    acme.tenant.change("pin", conditions=rule["conditions"])
    acme.look()
    (issue,) = acme.hub.issues()
    assert not issue.is_open
    assert "No drift since" in issue.remarks[0]


def test_a_failed_drift_check_closes_no_task(acme: Repository) -> None:
    """It sends no heartbeat; a missing requirement of cxroute is named."""
    acme.groups["cxone-prod-plan"] = {
        "CXROUTE_HEARTBEAT_URL": f"{acme.hub.url}/check-in"
    }
    assert "failed" == acme.look().result
    acme.groups["cxroute"].clear()
    looked = acme.look()
    assert "failed" == looked.result
    assert "CXROUTE_PACKAGE is not set: put a pinned requirement" in looked.log
    assert [] == acme.hub.asked


def test_the_pipelines_have_the_official_schema(tmp_path: Path) -> None:
    """For one and for several environments; an environment's name becomes an identifier."""
    settings = SETTINGS._replace(
        manifests="routing/manifests", environments=("prod", "prod-eu.1")
    )
    for name, text in build_pipelines(PIPELINES["azure"], settings):
        form = yaml.load(text, yaml.BaseLoader)  # noqa: S506 - plain texts, of which the schema is
        (tmp_path / f"{Path(name).stem}.json").write_text(
            json.dumps(form), encoding="utf-8"
        )
    command = [
        str(Path(sys.executable).with_name("check-jsonschema")),
        "--builtin-schema",
        "vendor.azure-pipelines",
    ]
    # the schema has a pattern that is invalid in the default variant
    command += [
        "--regex-variant",
        "python",
    ]
    done = subprocess.run(
        [*command, *sorted(tmp_path.iterdir())],
        capture_output=True,
        text=True,
        check=False,
    )
    assert 0 == done.returncode, done.stdout
    applied = json.loads((tmp_path / "routing-apply.json").read_text(encoding="utf-8"))
    assert ["plan", "apply_prod", "apply_prod_eu_1"] == [
        stage["stage"] for stage in applied["stages"]
    ]


def test_no_step_has_both_the_token_and_the_secrets_of_the_tenant() -> None:
    """And every command's output passes through the filter, in which the agent finds no
    commands.
    """
    for name, text in build_pipelines(PIPELINES["azure"], SETTINGS):
        for step in re.split(
            r"^ +- (?=bash|publish|template)", text, flags=re.MULTILINE
        ):
            assert not ("SYSTEM_ACCESSTOKEN" in step and "CXONE_CLIENT" in step), name
            calls = re.findall(
                r"^ *(?:cxroute|tail) (?:[^\n]*\\\n)*[^\n]*", step, re.MULTILINE
            )
            unfiltered = [
                call
                for call in calls
                if "sed -u 's/##/# #/g'" not in call and "> " not in call
            ]
            assert [] == unfiltered, name


def test_a_date_is_made_by_the_scheduled_run(acme: Repository) -> None:
    """It makes what is due, and leaves what was edited in CXone, which is drift."""
    acme.settle(rules(pin="Billing", theft="Fraud"))
    campaign = (
        "  - {key: begun, name: 'cards: begun', intent: pin, queue: General, priority: 1, "
        'from: "2026-01-01T00:00Z", until: "9000-01-01T00:00Z"}\n'
    )
    acme.git("checkout", "-q", "main")
    text = rules(pin="Billing", theft="Fraud") + campaign
    acme.hub.tip = acme.commit({CARDS: text})
    acme.tenant.change("theft", enabled=False)

    made = acme.make_due()
    assert "succeeded" == made.result, made.log
    assert "begun" in acme.tenant.rules()
    assert not acme.tenant.rules()["theft"]["enabled"]
    again = acme.make_due()
    assert "succeeded" == again.result, again.log
    assert "No change is due by a date of a rule." in again.log
