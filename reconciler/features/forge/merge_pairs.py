"""Compares an open pull request with the others into its branch, in a temporary repository."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

from reconciler.cli.git import GitError, GitRepository
from reconciler.cli.git_fetch import GitServer, fetch_refs, fetching_repository
from reconciler.cli.git_manifests import UnreadableFileError, refuse_linked_folder
from reconciler.cli.hooks import (
    PairCheck,
    PairReport,
    ProposedChange,
    UncheckedPairsError,
    prepare_pairs,
)
from reconciler.core.text.escape import quote_name, sanitize
from reconciler.features.forge.forge import OpenRequest, PipelineRun
from reconciler.rest.client import RestClock

MAX_COMPARED: Final = 20
MAX_FETCHED: Final = 200  # requests; most of a large repository change no manifests
SECONDS: Final = 300.0  # after which no further comparison begins
_BATCH: Final = 20  # requests of one fetch
_COMMIT: Final = re.compile(r"[0-9a-f]{7,64}")


class ComparedRequest(NamedTuple):
    """Another request that changes manifests, and what both do together."""

    request: OpenRequest
    report: PairReport


@dataclass(frozen=True, slots=True, kw_only=True)
class MergeChecks:
    """What a request does together with the others, newest first.

    `left` is the number of older requests that were not looked at, and `unchecked` says why nothing
    was compared; empty: it was.
    """

    number: int
    head: str  # the commit that was compared
    branch: str
    tip: str = ""  # of the branch
    compared: tuple[ComparedRequest, ...] = ()
    left: int = 0
    unchecked: str = ""


class PairPlace(NamedTuple):
    """What is compared: the manifests of an Environment in a checkout of the repository."""

    environment: str
    directory: str
    server: GitServer


def find_own(requests: Sequence[OpenRequest], number: int) -> OpenRequest | None:
    """Return the request of that number; None if it is not open."""
    return next((each for each in requests if each.number == number), None)


def compare_requests(
    run: PipelineRun,
    own: OpenRequest,
    requests: Sequence[OpenRequest],
    place: PairPlace,
) -> MergeChecks:
    """Compare a request with the others into its branch.

    Raises GitError if the repository cannot be fetched.
    """
    result = MergeChecks(number=own.number, head=run.sha, branch=own.branch)
    others = _others(own, requests)
    if not others:
        return result
    repository = GitRepository.find(place.directory)
    try:
        refuse_linked_folder(repository, place.directory)
        with fetching_repository(repository) as fetched:
            change = _fetch_change(fetched, run, own, place)
            result = replace(result, tip=change.base)
            pairs = prepare_pairs(change)
            heads = _Heads(fetched, place.server)
            compared, left = _compare_all(pairs, others, heads)
    except (UnreadableFileError, UncheckedPairsError) as error:
        return replace(result, unchecked=sanitize(str(error)))
    return replace(result, compared=tuple(compared), left=left)


def _others(own: OpenRequest, requests: Sequence[OpenRequest]) -> list[OpenRequest]:
    """Return the other requests into a request's branch, the newest first."""
    others = [
        each
        for each in requests
        if each.branch == own.branch and each.number != own.number
    ]
    return sorted(others, key=lambda each: -each.number)


def _fetch_change(
    repository: GitRepository, run: PipelineRun, own: OpenRequest, place: PairPlace
) -> ProposedChange:
    """Fetch the request of a run, and the tip of its branch.

    Raises GitError, and UncheckedPairsError without one of the two.
    """
    base = f"refs/heads/{own.branch}"
    tip = fetch_refs(repository, place.server, [base, own.ref]).get(base)
    if tip is None:
        raise UncheckedPairsError(
            f"the repository has no branch {quote_name(own.branch)}"
        )
    head = _find(repository, run.sha)
    if head is None:
        raise UncheckedPairsError(f"its commit {run.sha[:8]} cannot be fetched")
    environment, directory, _ = place
    return ProposedChange(repository, tip, own.branch, head, environment, directory)


class _Heads:
    """The heads of requests, fetched some at a time."""

    def __init__(self, repository: GitRepository, server: GitServer) -> None:
        self._repository = repository
        self._server = server

    def fetch(self, requests: Sequence[OpenRequest]) -> None:
        """Fetch the heads that the server has. Raises GitError."""
        refs = [each.ref for each in requests if each.ref]
        fetch_refs(self._repository, self._server, refs)

    def find(self, request: OpenRequest) -> str | None:
        """Return the head of a request; None if it was not fetched."""
        return _find(self._repository, request.head)


def _compare_all(
    pairs: PairCheck, others: Sequence[OpenRequest], heads: _Heads
) -> tuple[list[ComparedRequest], int]:
    """Return the comparisons, and the number of requests that were not looked at.

    Raises GitError.
    """
    clock = RestClock().clock
    end = clock() + SECONDS
    compared: list[ComparedRequest] = []
    for number, other in enumerate(others):
        if len(compared) == MAX_COMPARED or number == MAX_FETCHED or clock() > end:
            return compared, len(others) - number
        if number % _BATCH == 0:
            heads.fetch(others[number : number + _BATCH])
        head = heads.find(other)
        report = pairs.report(head) if head else _missing(other)
        if report.result != "unchanged":
            compared.append(ComparedRequest(other, report))
    return compared, 0


def _missing(request: OpenRequest) -> PairReport:
    reason = f"its commit {sanitize(request.head[:8])} cannot be fetched"
    if not request.ref:
        reason = "it comes from a fork, whose commits are not in this repository"
    return PairReport("not compared", f"Not compared: {reason}.")


def _find(repository: GitRepository, commit: str) -> str | None:
    """Return a commit by its full name; None if it is not there."""
    if not _COMMIT.fullmatch(commit):
        return None
    try:
        return repository.find_commit(commit)
    except GitError:
        return None
