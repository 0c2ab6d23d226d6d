"""The fake GitHub as the contract suite uses it."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.features.forge.contract import (
    BOT,
    HEAD,
    MERGE,
    OWNER_OF_REQUEST,
    FakeFault,
    FakeIssue,
    FakeNote,
    FakeRequest,
    FakeRun,
    Permission,
)
from tests.features.forge.github.fake import REPOSITORY, FakeGitHub, zipped
from tests.features.forge.github.fake_server import serving
from tests.support.git_server import GitHost
from tests.support.threaded_server import HttpReply

_NUMBER: Final = 7
_GRANTS: Final[Mapping[Permission, Mapping[str, str]]] = {
    "notes": {"pull-requests": "write"},
    "issues": {"issues": "write"},
    "code": {"contents": "read", "pull-requests": "read"},
    "plans": {"actions": "read"},
    "approvals": {"pull-requests": "read"},
    "members": {"members": "read"},
    "statuses": {"statuses": "write"},
}


class _Faults(list[FakeFault]):
    """The faults of the contract, in the form of the fake GitHub: its server takes them from
    there.
    """

    def __init__(self, hub: FakeGitHub) -> None:
        super().__init__()
        self._hub = hub

    def append(self, fault: FakeFault) -> None:
        """Add the fault to the server's."""
        self._hub.faults.append(
            (fault.pattern, HttpReply(fault.status, fault.body, fault.headers))
        )


@dataclass
class ContractGitHub:
    """A repository on the fake GitHub."""

    hub: FakeGitHub = field(default_factory=lambda: FakeGitHub(me=BOT))
    name: str = "github"
    token_variable: str = "GITHUB_TOKEN"
    _git_token: str = ""

    def __post_init__(self) -> None:
        """Open the pull request."""
        self.faults: list[FakeFault] = _Faults(self.hub)
        head = {"sha": HEAD, "repo": {"full_name": REPOSITORY}}
        self.hub.open_pulls[_NUMBER] = {
            "number": _NUMBER,
            "user": {"login": OWNER_OF_REQUEST},
            "head": head,
        }

    @property
    def page_size(self) -> int:
        """Return the length of a page."""
        return self.hub.page

    @page_size.setter
    def page_size(self, size: int) -> None:
        self.hub.page = size

    @property
    def asked(self) -> list[str]:
        """Return the requests."""
        return self.hub.asked

    @property
    def _head(self) -> dict[str, object]:
        head = self.hub.open_pulls[_NUMBER]["head"]
        assert isinstance(head, dict)
        return head

    @contextmanager
    def serving(self) -> Iterator[None]:
        """Serve on loopback."""
        with serving(self.hub):
            yield

    def variables(self, run: FakeRun) -> dict[str, str]:
        """Return the variables of a step; the event is a file in the current folder."""
        pull = {"number": run.pull_request, "head": {"sha": run.sha}}
        event = {"pull_request": pull} if run.pull_request else {}
        Path("event.json").write_text(json.dumps(event), encoding="utf-8")
        name = (
            "workflow_dispatch"
            if run.is_manual
            else "pull_request"
            if run.pull_request
            else "push"
        )
        declared = {
            "TOKEN": self._git_token or self.token(*_GRANTS),
            "REPOSITORY": REPOSITORY,
            "ACTOR": "anna",
            "API_URL": self.hub.url,
            "SERVER_URL": self.hub.url if self.hub.git else "https://github.com",
            "EVENT_NAME": name,
            "EVENT_PATH": "event.json",
            "RUN_ID": str(run.id),
            "RUN_ATTEMPT": str(run.attempt),
            "SHA": run.sha,
            "REF": f"refs/pull/{run.pull_request}/merge"
            if run.pull_request
            else "refs/heads/main",
        }
        return {f"GITHUB_{name}": value for name, value in declared.items()}

    def token(self, *permissions: Permission) -> str:
        """Return a token with these permissions alone."""
        granted: dict[str, str] = {}
        for permission in permissions:
            for scope, access in _GRANTS[permission].items():
                # "write" is greater than "read"
                granted[scope] = max(access, granted.get(scope, ""))
        return self.hub.issue_token(granted)

    def add_note(self, author: str, body: str) -> None:
        """Write a comment."""
        self.hub.comment(_NUMBER, body, author)

    def notes(self) -> list[FakeNote]:
        """Return the comments."""
        return [
            FakeNote(item["user"]["login"], item["body"])
            for item in self.hub.comments.get(_NUMBER, [])
        ]

    def issues(self) -> list[FakeIssue]:
        """Return the issues, with their comments as remarks."""
        return [
            FakeIssue(
                issue["title"],
                issue["body"],
                issue["state"] == "open",
                [
                    comment["body"]
                    for comment in self.hub.comments.get(issue["number"], [])
                ],
            )
            for issue in self.hub.issues
        ]

    def push(self, sha: str) -> None:
        """Push a commit; GitHub keeps the reviews, each with its commit."""
        self._head["sha"] = sha

    def approve(self, login: str) -> None:
        """Submit an approval."""
        self.hub.review(login, "APPROVED")

    def request_changes(self, login: str) -> None:
        """Request changes."""
        self.hub.review(login, "CHANGES_REQUESTED")

    def set_members(self, owner: str, *logins: str) -> None:
        """Define a team."""
        self.hub.teams[owner] = list(logins)

    def move_to_fork(self) -> None:
        """Make the head one of another repository."""
        self._head["repo"] = {"full_name": "eve/routing"}

    def merge(self, sha: str = MERGE) -> None:
        """Merge the pull request."""
        self.hub.tip = sha
        self.hub.merge(_NUMBER, sha, str(self._head["sha"]), self._repository)

    def store_plan(
        self, environment: str, plan: bytes, *, run: int = 100, succeeded: bool = True
    ) -> None:
        """Record a run of the plan workflow, with its artifact."""
        self.hub.run(
            str(self._head["sha"]),
            "success" if succeeded else "failure",
            self._repository,
        )
        self.hub.runs[-1]["id"] = run
        self.hub.keep(
            run,
            f"routing-plan-{environment}",
            zipped(plan_json=plan.decode(), plan_md="x"),
        )

    def host_git(self, folder: Path) -> GitHost:
        """Serve a repository to one token."""
        self._git_token = self.token(*_GRANTS)
        user = b64encode(f"x-access-token:{self._git_token}".encode()).decode()
        self.hub.git = GitHost.create(folder, f"Basic {user}")
        return self.hub.git

    def open_request(self, other: FakeRequest) -> None:
        """Open a pull request, with its ref."""
        assert self.hub.git is not None
        self.hub.git.set_ref(f"refs/pull/{other.number}/head", other.head)
        owner = "eve/routing" if other.is_from_fork else REPOSITORY
        self.hub.open_pulls[other.number] = {
            "number": other.number,
            "title": other.title,
            "user": {"login": OWNER_OF_REQUEST},
            "head": {
                "sha": other.head,
                "ref": other.source,
                "repo": {"full_name": owner},
            },
            "base": {"ref": other.branch, "repo": {"full_name": REPOSITORY}},
        }

    def statuses(self, sha: str) -> dict[str, tuple[str, str]]:
        """Return the last status of each name."""
        return {
            item["context"]: (item["state"], item["description"])
            for item in self.hub.statuses.get(sha, [])
        }

    @property
    def _repository(self) -> str:
        repo = self._head["repo"]
        assert isinstance(repo, dict)
        return str(repo["full_name"])


def fake_forge() -> ContractGitHub:
    """Return the fake of the contract suite."""
    return ContractGitHub()
