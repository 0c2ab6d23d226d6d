"""The interface of a forge (GitHub, GitLab, Azure DevOps, Bitbucket), and the values that cross it.

The modules `note`, `drift_issue`, `reviewed_plan` and `consent` decide; an adapter reads and
writes. A decision depends on the forge only by the limits and texts of the adapter.
"""

from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple, Protocol

from reconciler.rest.client import RestClient, RestDialect

PLAN_FILE: Final = "plan.json"  # in the artifact of a plan
MAX_PLAN_BYTES: Final = 128 << 20  # of a plan, and of an archive that holds it


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelineRun:
    """The run of a pipeline that this process is a step of, its commit, and its pull request if
    there is one.
    """

    repository: str  # as the forge names it in addresses: "owner/name"
    id: int  # grows with each run
    attempt: int  # grows with each repetition of the run
    sha: str  # for a pull request its head, not the merge commit
    is_manual: bool  # started by a person, not by a commit
    actor: str
    api: str  # the base address of the API, without a slash at its end
    link: str  # to this run, in Markdown
    pull_request: int | None
    git: str  # the address of the repository for git, to which the token may be sent
    # of a merge queue, which tests requests together; its merge is planned
    is_queued: bool = False


class Post(NamedTuple):
    """A note on a pull request or an issue, and the login of its author."""

    id: int
    author: str
    body: str


class BranchTip(NamedTuple):
    """The default branch, and its commit."""

    branch: str
    sha: str


class MergedRequest(NamedTuple):
    """The merged pull request of a commit: its number, and its head commit, which was planned."""

    number: int
    head: str
    is_from_fork: bool


class OpenRequest(NamedTuple):
    """An open pull request. Its author chooses the title, and the name of its own branch."""

    number: int
    title: str
    branch: str  # the one that it is to be merged into
    head: str  # its commit, at least 12 digits of it
    ref: str  # a ref of this repository that contains the head; empty: there is none


class PlanRun(NamedTuple):
    """The newest finished run that planned a commit, as the forge identifies it."""

    id: int
    succeeded: bool


class Approvals(NamedTuple):
    """The approvals of a pull request that count now.

    Each is of the head commit itself, its reviewer did not request changes since, and is not an
    author of the pull request. An adapter that cannot read one of these facts raises RestError.
    """

    head: str
    approvers: frozenset[str]  # logins, in lower case


class CommitStatus(NamedTuple):
    """A status of a commit, which a branch can require."""

    name: str  # "cxroute/consent (prod)"
    state: Literal["pending", "success", "failure"]
    text: str  # plain text of one line, at most 140 characters


class Forge(Protocol):
    """A repository on a forge, through one token. Each method raises RestError."""

    request: str  # "pull request" or "merge request"
    manual_advice: str  # how to apply without a reviewed plan: one sentence
    max_text: int  # characters of a note or an issue

    def fetch_login(self) -> str:
        """Return the login of the token, the author of its notes."""

    def list_notes(self, number: int) -> list[Post]:
        """Return every note of a pull request, oldest first, in the Markdown that `write_note`
        got.
        """

    def write_note(self, number: int, body: str, note: int | None = None) -> None:
        """Write a note on a pull request, or replace the text of one."""

    def list_drift_issues(self) -> list[Post]:
        """Return the open issues about drift, by any author."""

    def open_drift_issue(self, title: str, body: str) -> int:
        """Open an issue that `list_drift_issues` finds, and return its number."""

    def change_drift_issue(self, issue: int, body: str | None, remark: str) -> None:
        """Replace an issue's text, or close it if there is none, and then add a remark, which may
        get lost.
        """

    def fetch_branch_tip(self) -> BranchTip:
        """Return the tip of the default branch."""

    def find_merged_request(self, sha: str, tip: BranchTip) -> MergedRequest | None:
        """Return the newest pull request that was merged into the default branch as this commit."""

    def list_open_requests(self) -> list[OpenRequest]:
        """Return every open pull request into a branch of this repository, also those of forks."""

    def find_plan_run(self, head: str, pipeline: str) -> PlanRun | None:
        """Return the newest finished run of the repository's own `pipeline` for a pull request's
        head commit.
        """

    def fetch_plan(self, run: int, environment: str) -> bytes | None:
        """Return the plan of an environment (plan.json) that a run stored; None if it is not stored
        (any more).
        """

    def fetch_approvals(self, number: int) -> Approvals:
        """Return the approvals of a pull request that count."""

    def fetch_members(self, owner: str) -> frozenset[str]:
        """Return the logins, in lower case, for whom an owner (`@acme/fraud`, `@alice`) stands."""

    def set_status(self, sha: str, status: CommitStatus) -> None:
        """Set a status of a commit."""


class ForgeModule(Protocol):
    """A module of this package with the adapter of one forge."""

    DIALECT: RestDialect
    ADAPTER: Callable[[RestClient, PipelineRun], Forge]

    def read_run(self, variables: Mapping[str, str]) -> PipelineRun:
        """Return the run of a step, from its variables. Raises UsageError outside of a pipeline."""

    def authorize_git(self, token: str) -> str:
        """Return the value of the header by which git reads the repository with a token."""


def basic_authorization(user: str, token: str) -> str:
    """Return the value of the header for a user and a token."""
    encoded = b64encode(f"{user}:{token}".encode()).decode()
    return f"Basic {encoded}"
