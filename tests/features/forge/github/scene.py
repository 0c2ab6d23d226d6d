"""A repository with manifests, the workflows that `init --github` writes, a GitHub, and a tenant,
all on loopback.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx

from reconciler.features.forge.pipeline_files import (
    PIPELINES,
    DateRuns,
    PipelineSettings,
    build_pipelines,
)
from tests.features.forge.github.actions import ACTION, Actions
from tests.features.forge.github.fake import BOT, REPOSITORY, FakeGitHub
from tests.features.forge.github.machine import Machine
from tests.features.forge.github.runs import Ran, WorkflowEvent
from tests.support import canary_secrets as canary
from tests.support.command import Command, process_environment, serving

VARIABLES: Final = ("CXONE_CLIENT_ID", "CXONE_CLIENT_SECRET")
_SECRETS: Final = dict(zip(VARIABLES, (canary.CLIENT, canary.SECRET), strict=True))
ENVIRONMENT: Final = """\
apiVersion: routing/v1
kind: Environment
name: prod
owner: acme
api: {{baseUrl: "{url}", requestsPerSecond: 10000}}
guard: {{deletes: {{count: 1, percent: 1}}}}
"""
GIT: Final = {
    **os.environ,
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_SYSTEM": os.devnull,
    **{
        f"GIT_{who}_{subject}": text
        for who in ("AUTHOR", "COMMITTER")
        for subject, text in (("NAME", "a"), ("EMAIL", "a@b"))
    },
}


def rules(**queues: str) -> str:
    """Return a rule set: for each intent its queue."""
    lines = "".join(
        f"\n  - {{intent: {intent}, queue: {queue}}}"
        for intent, queue in queues.items()
    )
    return (
        f"apiVersion: routing/v1\nkind: RuleSet\nname: cards\nrules:{lines or ' []'}\n"
    )


@dataclass
class TenantProcess:
    """A simulated CXone, served over HTTP by the command itself."""

    url: str

    def __post_init__(self) -> None:
        """Get a token."""
        form = {
            "grant_type": "client_credentials",
            "client_id": canary.CLIENT,
            "client_secret": canary.SECRET,
        }
        token = httpx.post(f"{self.url}/oauth/token", data=form).json()["access_token"]
        headers = {"Authorization": f"Bearer {token}"}
        self.http = httpx.Client(base_url=f"{self.url}/api/v2/routing", headers=headers)

    def rules(self) -> dict[str, dict[str, Any]]:
        """Return the rules by what follows the colon in their names: the intent."""
        actual = self.http.get("/rules", params={"pageSize": 100}).json()["entities"]
        return {item["name"].rpartition(": ")[2]: item for item in actual}

    def change(self, intent: str, **more: Any) -> None:
        """Edit a rule as a user does in the console."""
        rule = self.rules()[intent]
        self.http.put(f"/rules/{rule['id']}", json={**rule, **more}).raise_for_status()

    def clear(self) -> None:
        """Delete every rule."""
        for rule in self.rules().values():
            self.http.delete(f"/rules/{rule['id']}").raise_for_status()


@contextlib.contextmanager
def tenant_process(folder: Path, *options: str) -> Iterator[TenantProcess]:
    """Serve a tenant with the queues of the manifests in that folder."""
    (folder / "manifests").mkdir(parents=True)
    named = (
        ENVIRONMENT.format(url="http://127.0.0.1:1")
        + "---\n"
        + rules(a="Billing", b="General", c="Fraud")
    )
    (folder / "manifests/prod.yaml").write_text(named, encoding="utf-8")
    command = ("simulate", "--tenant", "empty", "--port", "0", *options)
    process = Command(
        *command,
        cwd=folder,
        stdout=subprocess.PIPE,
        text=True,
        env=process_environment(),
    )
    with serving(process) as url:
        served = TenantProcess(url)
        with served.http:
            yield served
        process.terminate()
        process.wait(10)


@dataclass
class RepositoryDriver:
    """Actions of users on the repository, and its workflow runs."""

    path: Path
    hub: FakeGitHub
    tenant: TenantProcess
    machine: Machine
    variables: dict[str, str] = field(
        default_factory=lambda: {"CXROUTE_ENVIRONMENTS": '["prod"]'}
    )
    opened: int = 6
    heads: dict[int, tuple[str, WorkflowEvent]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Make the repository: an empty set of rules, and the workflows."""
        self.git("init", "-q", "-b", "main")
        (self.path / ".git/info/exclude").write_text(
            "out/\n.cxroute/\n", encoding="utf-8"
        )
        self.write("manifests/prod.yaml", ENVIRONMENT.format(url=self.tenant.url))
        self.write("manifests/cards.yaml", rules())
        for name, text in build_pipelines(
            PIPELINES["github"],
            PipelineSettings(
                ACTION, "manifests", VARIABLES, dates=DateRuns("3 * * * *", ("prod",))
            ),
        ):
            self.write(name, text)
        self.hub.tip = self.commit("first")
        secrets = {
            name: dict(_SECRETS)
            for name in ("cxone-prod-plan", "cxone-prod", "cxone-prod-dates")
        }
        self.actions = Actions(
            self.hub,
            self.machine,
            self.path,
            secrets,
            self.variables,
            self.path.parent / "temp",
        )

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

    def write(self, name: str, text: str) -> None:
        """Write a file."""
        file = self.path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")

    def commit(self, message: str) -> str:
        """Commit everything, and return the commit."""
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", message)
        return self.git("rev-parse", "HEAD")

    def open(
        self,
        *files: tuple[str, str],
        repository: str = REPOSITORY,
        author: str = "anna",
    ) -> int:
        """Open a pull request with those files changed, and return its number."""
        self.opened += 1
        self.git("checkout", "-q", "-B", f"change-{self.opened}", "main")
        self.push(self.opened, *files, repository=repository, author=author)
        return self.opened

    def push(
        self,
        number: int,
        *files: tuple[str, str],
        repository: str = REPOSITORY,
        author: str = "anna",
    ) -> None:
        """Push one more commit to a pull request."""
        self.git("checkout", "-q", f"change-{number}")
        for name, text in files:
            self.write(name, text)
        head = self.commit("change")
        pull = {
            "number": number,
            "title": "Change a rule",
            "user": {"login": author},
            "head": {"sha": head, "repo": {"full_name": repository}},
            "base": {"ref": "main"},
        }
        self.hub.open_pulls[number] = pull | {"state": "open"}
        self.heads[number] = (
            head,
            WorkflowEvent(
                "pull_request", head, {"pull_request": pull}, f"{number}/merge", author
            ),
        )

    def settle(self, text: str) -> None:
        """Put these rules on the default branch and into the tenant."""
        self.git("checkout", "-q", "main")
        self.write("manifests/cards.yaml", text)
        self.hub.tip = self.commit("settled")
        code, message = self.machine.cxroute(
            self.path, _SECRETS, "-e", "prod", "apply", "--yes"
        )
        assert 0 == code, message

    def check(self, number: int, run: int | None = None, attempt: int = 1) -> Ran:
        """Run the workflows of a pull request, on its merge commit."""
        head, event = self.heads[number]
        self.git("checkout", "-q", "--detach", "main")
        self.git("merge", "-q", "--no-ff", "-m", "merge", head)
        return self.actions.run("routing-plan.yml", event, run, attempt)

    def queue(self, head: str) -> Ran:
        """Run the workflows of a merge queue, on the commit that merges a head into the default
        branch.
        """
        self.git("checkout", "-q", "--detach", "main")
        self.git("merge", "-q", "--no-ff", "-m", "merge", head)
        merged = self.git("rev-parse", "HEAD")
        payload = {"action": "checks_requested", "merge_group": {"head_sha": merged}}
        branch = f"gh-readonly-queue/main/pr-1-{merged}"
        return self.actions.run(
            "routing-plan.yml", WorkflowEvent("merge_group", merged, payload, branch)
        )

    def review(self, number: int, login: str, state: str = "APPROVED") -> Ran:
        """Submit a review, and run the workflow of the event."""
        self.hub.review(login, state, number)
        head, event = self.heads[number]
        payload = {
            "pull_request": self.hub.open_pulls[number],
            "review": {"state": state.lower()},
        }
        return self.actions.run(
            "routing-consent.yml",
            WorkflowEvent("pull_request_review", head, payload, event.branch, login),
        )

    def merge(self, number: int) -> WorkflowEvent:
        """Merge a pull request, and return the push event."""
        head, event = self.heads[number]
        self.git("checkout", "-q", "main")
        before = self.git("rev-parse", "HEAD")
        self.git("merge", "-q", "--no-ff", "-m", "merge", head)
        self.hub.tip = self.git("rev-parse", "HEAD")
        repository = event.payload["pull_request"]["head"]["repo"]["full_name"]
        self.hub.merge(number, self.hub.tip, head, repository)
        return WorkflowEvent("push", self.hub.tip, {"before": before})

    def apply(
        self, event: WorkflowEvent, run: int | None = None, attempt: int = 1
    ) -> Ran:
        """Run the workflows of a push to the default branch."""
        self.git("checkout", "-q", "--detach", event.sha)
        return self.actions.run("routing-apply.yml", event, run, attempt)

    def by_hand(self) -> Ran:
        """Run the manually started workflow on the default branch."""
        self.git("checkout", "-q", "main")
        return self.actions.run(
            "routing-apply.yml", WorkflowEvent("workflow_dispatch", self.hub.tip)
        )

    def look(self) -> Ran:
        """Run the scheduled workflows."""
        self.git("checkout", "-q", "main")
        return self.actions.run(
            "routing-drift.yml", WorkflowEvent("schedule", self.hub.tip)
        )

    def make_due(self) -> Ran:
        """Run the scheduled workflow of dates."""
        self.git("checkout", "-q", "main")
        return self.actions.run(
            "routing-dates.yml", WorkflowEvent("schedule", self.hub.tip)
        )

    def comment(self, number: int) -> str:
        """Return the only comment."""
        (body,) = self.hub.bodies(number, BOT)
        return body
