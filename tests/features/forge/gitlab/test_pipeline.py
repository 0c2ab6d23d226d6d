"""The pipeline that `init --gitlab` writes, job by job: bash, the command, a GitLab and a tenant on
loopback.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from reconciler.features.forge.pipeline_files import (
    PIPELINES,
    UNKNOWN_ACTION,
    PipelineSettings,
    build_pipelines,
)
from tests.features.forge.github.scene import (
    ENVIRONMENT,
    TenantProcess,
    rules,
    tenant_process,
)
from tests.features.forge.gitlab.fake import (
    FORK_ID,
    NUMBER,
    PROJECT_ID,
    TOKEN,
    FakeGitLab,
)
from tests.features.forge.gitlab.runner import (
    GitLabRunner,
    PipelineEvent,
    ProjectVariable,
    RanJob,
    machine,
)
from tests.support import canary_secrets as canary

pytestmark = pytest.mark.slow

CARDS = "manifests/cards.yaml"
NAMES = ("CXONE_CLIENT_ID", "CXONE_CLIENT_SECRET")
PACKAGE = "cxroute @ git+https://git.example/acme/cxroute@0123456789abcdef0123456789abcdef01234567"
THREE = {"pin": "Billing", "theft": "Fraud", "limit": "General"}
PLAN, APPLY, DRIFT, CONSENT = (
    f"cxroute-{name}: [prod]" for name in ("plan", "apply", "drift", "consent")
)
GIT = {
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_SYSTEM": os.devnull,
    **{
        f"GIT_{who}_{subject}": "a@b"
        for who in ("AUTHOR", "COMMITTER")
        for subject in ("NAME", "EMAIL")
    },
}


def variables() -> list[ProjectVariable]:
    """Return the variables as docs/forges.md sets them up."""
    secrets = list(zip(NAMES, (canary.CLIENT, canary.SECRET), strict=True))
    reading = [
        ProjectVariable(name, value, "cxone-prod-plan") for name, value in secrets
    ]
    writing = [
        ProjectVariable(name, value, "cxone-prod", is_protected=True)
        for name, value in secrets
    ]
    token = ProjectVariable("CXROUTE_GITLAB_TOKEN", TOKEN, "cxone-*")
    return [ProjectVariable("CXROUTE_PACKAGE", PACKAGE), token, *reading, *writing]


@dataclass
class Project:
    """A project with manifests, and the actions of its users."""

    path: Path
    hub: FakeGitLab
    tenant: TenantProcess
    runner: GitLabRunner
    event: PipelineEvent = field(default=PipelineEvent("", ""))

    def git(self, *arguments: str) -> str:
        """Run git, without the user's settings."""
        done = subprocess.run(
            ["git", *arguments],
            cwd=self.path,
            env={**os.environ, **GIT},
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.strip()

    def commit(self, **files: str) -> str:
        """Commit manifests by their names, and return the commit."""
        for name, text in files.items():
            (self.path / f"manifests/{name}.yaml").write_text(text, encoding="utf-8")
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", "change")
        return self.git("rev-parse", "HEAD")

    def settle(self, text: str) -> None:
        """Put these rules on the default branch and into the tenant, by a manually started
        pipeline.
        """
        self.hub.tip = self.commit(cards=text)
        assert "success" == self.by_hand()[APPLY].status

    def propose(self, text: str, project: int = PROJECT_ID) -> dict[str, RanJob]:
        """Push rules to the merge request, and run its pipeline."""
        if not self.event.sha:
            self.git("checkout", "-q", "-b", "change")
        sha = self.commit(cards=text)
        base = self.git("merge-base", "main", "HEAD")
        self.hub.push(sha) if self.event.sha else self.hub.open(NUMBER, sha, project)
        self.event = PipelineEvent("merge_request_event", sha, base, NUMBER, project)
        return self.runner.run(self.event)

    def merge(self) -> PipelineEvent:
        """Merge the merge request, and return the push."""
        self.git("checkout", "-q", "main")
        before = self.git("rev-parse", "HEAD")
        self.git("merge", "-q", "--no-ff", "-m", "merge", "change")
        self.hub.merge(self.git("rev-parse", "HEAD"))
        return PipelineEvent("push", self.hub.tip, before)

    def apply(self) -> RanJob:
        """Merge, and start the apply."""
        return self.runner.run(self.merge(), "cxroute-apply")[APPLY]

    def by_hand(self) -> dict[str, RanJob]:
        """Start a pipeline of the default branch, and its apply."""
        return self.runner.run(PipelineEvent("web", self.hub.tip), "cxroute-apply")

    def look(self) -> RanJob:
        """Run the scheduled pipeline."""
        return self.runner.run(PipelineEvent("schedule", self.hub.tip))[DRIFT]

    @property
    def note(self) -> str:
        """Return the only note."""
        (note,) = self.hub.notes()
        return note.body


@pytest.fixture(scope="session")
def computer() -> Iterator[Path]:
    """The machine of all jobs."""
    with machine() as path:
        yield path


@pytest.fixture(scope="session")
def bank(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TenantProcess]:
    """The tenant, for all projects."""
    with tenant_process(tmp_path_factory.mktemp("tenant")) as item:
        yield item


@pytest.fixture
def project(tmp_path: Path, computer: Path, bank: TenantProcess) -> Iterator[Project]:
    """A project without rules, and a tenant without rules."""
    bank.clear()
    (computer / "log").unlink(missing_ok=True)
    with FakeGitLab().serving() as hub:
        created = Project(
            tmp_path, hub, bank, GitLabRunner(hub, computer, tmp_path, variables())
        )
        for name, text in build_pipelines(
            PIPELINES["gitlab"], PipelineSettings(UNKNOWN_ACTION, "manifests", NAMES)
        ):
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).write_text(text, encoding="utf-8")
        (tmp_path / "manifests").mkdir()
        created.git("init", "-q", "-b", "main")
        (tmp_path / ".git/info/exclude").write_text(
            "out/\n.cxroute/\ngl-code*\n", encoding="utf-8"
        )
        hub.tip = created.commit(prod=ENVIRONMENT.format(url=bank.url), cards=rules())
        yield created


def test_planned_twice_and_applied(project: Project) -> None:
    """One note, edited in place; after the merge and a manual start exactly that plan is
    applied.
    """
    first = project.propose(rules(pin="Billing"))
    assert ["success"] * 2 == [job.status for job in first.values()], first
    assert "<!-- cxroute:plan env=prod -->" == project.note.split("\n")[0]
    assert "cards/pin" in project.note
    assert {"create": 1, "update": 0, "delete": 0} == json.loads(
        first[PLAN].reports["terraform"]
    )
    assert [] == json.loads(first["cxroute-validate"].reports["codequality"])
    second = project.propose(rules(pin="Billing", theft="Fraud"))
    assert "cards/theft" in project.note
    assert {} == project.tenant.rules()

    pushed = project.merge()
    assert "manual" == project.runner.run(pushed)[APPLY].status
    assert {} == project.tenant.rules()
    applied = project.runner.run(pushed, "cxroute-apply")[APPLY]
    assert "success" == applied.status, applied.log
    assert {"pin", "theft"} == set(project.tenant.rules())
    assert any(
        f" --base {pushed.base} --yes" in line for line in project.runner.commands
    )
    assert "> **Applied** on " in project.note
    assert {"out/prod/journal.jsonl", "out/prod/applied.json"} <= set(applied.artifacts)
    assert "out/prod/plan.json" in second[PLAN].artifacts


def test_only_the_commands_that_need_secrets_get_them(project: Project) -> None:
    """The tenant's for plan and apply, the token for tasks on GitLab; none gets both, and none
    more.
    """
    project.propose(rules(pin="Billing"))
    project.apply()
    project.look()
    tenant = " ".join(NAMES)
    token = "CXROUTE_GITLAB_TOKEN"
    for line in project.runner.commands:
        needs = (
            tenant
            if " -e prod plan " in line
            or " -e prod apply " in line
            or " -e prod drift " in line
            else ""
        )
        needs = (
            token
            if any(
                f" gitlab {task} " in line
                for task in ("note", "merge-check", "reviewed-plan", "drift-issue")
            )
            else needs
        )
        assert line == PACKAGE or line.startswith(f"{needs}  " if needs else " "), line
    assert 11 < len(project.runner.commands)


def test_a_late_older_pipeline_does_not_change_the_note(project: Project) -> None:
    """A repeated job of an older pipeline."""
    project.propose(rules(pin="Billing"))
    older = project.event
    number = project.hub.pipelines[0]["id"]
    project.propose(rules(theft="Fraud"))
    note = project.note
    project.git("checkout", "-q", "--detach", older.sha)
    again = project.runner.run(older, run=number)
    assert "a newer run wrote it" in again[PLAN].log
    assert note == project.note


def test_a_refused_plan_fails_its_job_and_is_not_applied(project: Project) -> None:
    """The note has the guard; after a merge in spite of that the note has the reason."""
    project.settle(rules(**THREE))
    proposed = project.propose(rules(pin="Billing"))
    assert ("success", "failed") == (
        proposed["cxroute-validate"].status,
        proposed[PLAN].status,
    )
    assert "deletes" in project.note
    assert {"create": 0, "update": 0, "delete": 2} == json.loads(
        proposed[PLAN].reports["terraform"]
    )
    assert "failed" == project.apply().status
    assert "> **Not applied** on " in project.note
    assert "cxroute-plan did not succeed in its last run" in project.note
    assert set(THREE) == set(project.tenant.rules())


def test_invalid_manifests_are_findings_and_a_note_without_a_plan(
    project: Project,
) -> None:
    """At their lines, for GitLab's report."""
    project.propose(rules(pin="Billing"))
    proposed = project.propose(rules(pin="Billing") + "nonsense: 1\n")
    assert ["failed", "failed"] == [job.status for job in proposed.values()]
    (finding,) = json.loads(proposed["cxroute-validate"].reports["codequality"])
    assert {"path": CARDS, "lines": {"begin": 6}} == finding["location"]
    assert "**No plan for `" in project.note


def test_a_fork_is_validated_offline_and_not_applied(project: Project) -> None:
    """No plan, no note, no request to GitLab; the plan of its own pipeline does not count."""
    proposed = project.propose(rules(pin="Billing"), FORK_ID)
    assert {"cxroute-validate": "success"} == {
        name: job.status for name, job in proposed.items()
    }
    assert [] == project.hub.asked
    project.hub.store_plan("prod", b"{}")
    applied = project.apply()
    assert "failed" == applied.status
    assert "is from a fork" in applied.log
    assert {} == project.tenant.rules()


def test_an_outdated_commit_is_not_applied(project: Project) -> None:
    """Although a person starts its apply after a newer merge."""
    project.propose(rules(pin="Billing"))
    pushed = project.merge()
    project.hub.tip = project.commit(cards=rules())
    project.git("checkout", "-q", "--detach", pushed.sha)
    assert "failed" == project.runner.run(pushed, "cxroute-apply")[APPLY].status
    assert "is not the tip of main" in project.note
    assert {} == project.tenant.rules()


def test_live_routing_that_changed_since_the_review_is_refused(
    project: Project,
) -> None:
    """The plan that is applied is the reviewed one, or none."""
    project.settle(rules(**THREE))
    project.propose(rules(**{**THREE, "pin": "General"}))
    project.tenant.change("theft", enabled=False)
    assert "failed" == project.apply().status
    assert "> **Refused** on " in project.note
    assert not project.tenant.rules()["theft"]["enabled"]


def test_a_merge_request_without_manifests_is_not_planned(project: Project) -> None:
    """It is validated, so that its pipeline exists."""
    project.git("checkout", "-q", "-b", "change")
    (project.path / "README.md").write_text("hello", encoding="utf-8")
    sha = project.commit()
    event = PipelineEvent(
        "merge_request_event", sha, project.git("rev-parse", "main"), NUMBER
    )
    assert ["cxroute-validate"] == list(project.runner.run(event))


def test_drift_is_opened_and_closed(project: Project) -> None:
    """One issue; the heartbeat is sent after each check, and not after a failed one."""
    project.runner.variables.append(
        ProjectVariable(
            "CXROUTE_HEARTBEAT_URL", f"{project.hub.url}/check-in", "cxone-*"
        )
    )
    project.settle(rules(**THREE))
    project.tenant.change("pin", enabled=False)
    for _ in range(2):
        looked = project.look()
        assert "success" == looked.status, looked.log
    (issue,) = project.hub.issues()
    assert (True, []) == (issue.is_open, issue.remarks)
    assert "cards/pin" in issue.body
    project.tenant.change("pin", enabled=True)
    assert "success" == project.look().status
    (issue,) = project.hub.issues()
    assert not issue.is_open
    assert 3 == project.hub.asked.count("GET /check-in")
    project.runner.variables = [
        variable for variable in project.runner.variables if variable.name not in NAMES
    ]
    failed = project.look()
    assert "no credentials: set CXONE_CLIENT_ID" in failed.log
    assert 3 == project.hub.asked.count("GET /check-in")


def test_owners_of_queues_that_gain_callers_must_consent(project: Project) -> None:
    """Their approval of this commit, after which the job is repeated; a merge without it applies
    nothing.
    """
    project.runner.variables.append(ProjectVariable("CXROUTE_CONSENT", "true"))
    project.hub.set_members("@acme/fraud", "fiona")
    queues = "queues: {fraud: {name: Fraud, owners: ['@acme/fraud']}}"
    document = f"apiVersion: routing/v1\nkind: Queues\nname: queues\n{queues}\n"
    (project.path / "manifests/queues.yaml").write_text(document, encoding="utf-8")
    requested = project.propose(rules(theft="fraud"))[CONSENT]
    assert "failed" == requested.status
    assert "@acme/fraud (Fraud gains callers)" in requested.log
    project.hub.approve("anna")
    assert "failed" == project.runner.run(project.event)[CONSENT].status
    pushed = project.merge()
    refused = project.runner.run(pushed, "cxroute-apply")[APPLY]
    assert "without the consent of its head commit" in refused.log
    assert {} == project.tenant.rules()
    project.hub.approve("fiona")
    project.git("checkout", "-q", "change")
    source_values = project.runner.run(project.event)[CONSENT]
    assert "success" == source_values.status, source_values.log
    assert (
        "success"
        == project.hub.statuses(project.event.sha)["cxroute/consent (prod)"][0]
    )
    project.git("checkout", "-q", "main")
    assert "success" == project.runner.run(pushed, "cxroute-apply")[APPLY].status


def test_without_a_requirement_of_cxroute_each_job_says_so(project: Project) -> None:
    """And nothing is installed."""
    project.runner.variables = [
        variable
        for variable in project.runner.variables
        if variable.name != "CXROUTE_PACKAGE"
    ]
    proposed = project.propose(rules(pin="Billing"))
    assert ["failed"] * 2 == [job.status for job in proposed.values()]
    assert all(
        "The variable CXROUTE_PACKAGE is not set" in job.log
        for job in proposed.values()
    )
    assert [] == project.runner.commands


def test_the_official_schema_accepts_the_pipeline(project: Project) -> None:
    """The schema that check-jsonschema ships; it refuses an unknown key."""
    command = [
        sys.executable,
        "-m",
        "check_jsonschema",
        "--builtin-schema",
        "vendor.gitlab-ci",
    ]
    names = (".gitlab/cxroute.yml", ".gitlab-ci.yml")
    done = subprocess.run(
        [*command, *names],
        cwd=project.path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert 0 == done.returncode, done.stdout
    file = project.path / names[0]
    file.write_text(
        file.read_text(encoding="utf-8").replace("when: manual", "when: someday"),
        encoding="utf-8",
    )
    done = subprocess.run(
        [*command, names[0]],
        cwd=project.path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert 1 == done.returncode
