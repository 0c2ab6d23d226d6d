"""The fake forges of the contract suite: one interface, so that each test runs on every adapter
over a real socket.

A fake keeps the shapes of the forge's own API, checks the permissions of the token for each
request, and sends lists in pages. The suite (`tests/features/forge/test_contract.py`) knows only this
interface and the commands of cxroute. It finds a fake by the function `fake_forge()` of
`tests.forge.NAME.contract_fake` or `tests.forge.NAME.fake`. The forge has the user `anna`, who
opened the pull request, and the other users of the tests; the token belongs to `cxroute-bot`.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple, Protocol

from tests.support.git_server import GitHost

HEAD = "a" * 40
MERGE = "b" * 40
BOT = "cxroute-bot"
OWNER_OF_REQUEST = "anna"


class FakeNote(NamedTuple):
    """A note as a reader gets it from the forge: `body` is the stored text."""

    author: str
    body: str


@dataclass
class FakeIssue:
    """An issue or work item about drift."""

    title: str
    body: str
    is_open: bool = True
    remarks: list[str] = field(default_factory=list)


class FakeRun(NamedTuple):
    """The run of a pipeline whose step is tested.

    `pull_request` is None for a run of the default branch.
    """

    id: int = 100
    attempt: int = 1
    sha: str = HEAD
    pull_request: int | None = 7
    is_manual: bool = False


class FakeRequest(NamedTuple):
    """An open pull request."""

    number: int
    head: str
    title: str = "A change"
    branch: str = "main"  # into which it is to be merged
    source: str = "change"  # its own branch
    is_from_fork: bool = False


class FakeFault(NamedTuple):
    """The next response to a request whose "METHOD /path" matches the pattern, in place of the real
    one.
    """

    pattern: str  # searched by `re`
    status: int
    # in place of the fake's own: a `Content-Length` above the body's cuts the response
    headers: Mapping[str, str] = {}
    body: bytes = b"{}"


Permission = Literal[
    "notes", "issues", "code", "plans", "approvals", "members", "statuses"
]
"""What a token may do. The fake of a forge maps each to that forge's scopes."""


class FakeForge(Protocol):
    """A repository on a fake forge, with one pull request (number 7, by `anna`) at the commit
    `HEAD`.
    """

    name: (
        str  # of the command, and of the module in reconciler.features.forge: "gitlab"
    )
    page_size: int  # of every list
    faults: list[FakeFault]
    asked: list[str]  # each request: "METHOD /path"

    def serving(self) -> AbstractContextManager[None]:
        """Serve on loopback."""
        ...

    def variables(self, run: FakeRun) -> dict[str, str]:
        """Return the variables that the forge sets for a step of that run, and the token's, with
        all permissions.
        """
        ...

    def token(self, *permissions: Permission) -> str:
        """Return a token with these permissions alone."""
        ...

    @property
    def token_variable(self) -> str:
        """Return the name of the token's variable."""
        ...

    def add_note(self, author: str, body: str) -> None:
        """Write a note on the pull request."""
        ...

    def notes(self) -> list[FakeNote]:
        """Return the notes of the pull request, oldest first."""
        ...

    def issues(self) -> list[FakeIssue]:
        """Return all issues that cxroute opened."""
        ...

    def push(self, sha: str) -> None:
        """Push a commit to the pull request; the forge itself may drop approvals, as it does by
        default.
        """
        ...

    def approve(self, login: str) -> None:
        """Approve the pull request at its current commit."""
        ...

    def request_changes(self, login: str) -> None:
        """Withdraw an approval as the forge offers it (request changes, reject, unapprove)."""
        ...

    def set_members(self, owner: str, *logins: str) -> None:
        """Define a team or group (`@acme/fraud`)."""
        ...

    def move_to_fork(self) -> None:
        """Make the pull request one from another repository, which belongs to someone else."""
        ...

    def merge(self, sha: str = MERGE) -> None:
        """Merge the pull request into the default branch as this commit, its tip now."""
        ...

    def store_plan(
        self, environment: str, plan: bytes, *, run: int = 100, succeeded: bool = True
    ) -> None:
        """Store the plan of the pull request's commit as the plan pipeline does."""
        ...

    def host_git(self, folder: Path) -> GitHost:
        """Serve a new repository at the address that the forge has for it, to the token of
        `variables`.
        """
        ...

    def open_request(self, other: FakeRequest) -> None:
        """Open another pull request, or change pull request 7; its commit was pushed to the hosted
        repository, where the forge sets the refs that it has for it.
        """
        ...

    def statuses(self, sha: str) -> dict[str, tuple[str, str]]:
        """Return the statuses of a commit: name to state (pending, success, failure) and text."""
        ...
