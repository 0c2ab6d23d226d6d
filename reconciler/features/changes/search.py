"""The versions of manifests, newest first -> the changes of one conversation's destination.

A version with invalid manifests says nothing, so it is passed over: a change belongs to the first
valid version. The search does not assume that a destination that changed stays changed.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from reconciler.cli.git import GitCommit
from reconciler.core.behaviour.routing_entry import Destination

Scope = Literal["newest", "all"]  # the changes to find
Boundary = Literal["shallow", "limit"]


class VersionRoute(NamedTuple):
    """Where a version sends the conversation, and by which rule."""

    rule: str | None  # None: the default routing
    destination: Destination  # queues by their id, or else by their name
    queues: Mapping[str, str]  # the names of these queues by id


class Broken(NamedTuple):
    """A version whose manifests are invalid, and the first error."""

    problem: str


class SearchedVersion(NamedTuple):
    """The manifests of a commit.

    Without the folder or the Environment, `state` is None. Equal manifests have an equal `tree`.
    """

    commit: GitCommit
    tree: str
    state: VersionRoute | Broken | None


class RouteChange(NamedTuple):
    """The first commit with a destination, and the routes before and after it.

    Without an earlier version, or with an unknown one, `before` is None.
    """

    commit: GitCommit
    before: VersionRoute | None
    after: VersionRoute


class BrokenVersion(NamedTuple):
    """The first commit with manifests that are invalid."""

    commit: GitCommit
    problem: str


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """What a search found. Changes and broken versions are in order, newest first."""

    now: VersionRoute
    since: RouteChange  # the first commit of the newest run of equal destinations
    commits: tuple[str, ...]  # the names of the commits of that run, newest first
    changes: tuple[RouteChange, ...]
    broken: tuple[BrokenVersion, ...]
    boundary: Boundary | None  # what ended the search before it was complete


@dataclass(slots=True, kw_only=True)
class _Search:
    """The state of a search. `first` and `after` belong to the oldest run of equal destinations."""

    now: VersionRoute
    first: GitCommit
    after: VersionRoute
    commits: list[str]
    changes: list[RouteChange] = field(default_factory=list)
    broken: dict[str, BrokenVersion] = field(default_factory=dict)  # by tree

    def add_broken(self, version: SearchedVersion, state: Broken) -> None:
        """Add invalid manifests; an older commit with the same ones takes the place of a newer."""
        self.broken.pop(version.tree, None)
        self.broken[version.tree] = BrokenVersion(version.commit, state.problem)

    def add_route(self, version: SearchedVersion, route: VersionRoute) -> None:
        """Add a version to the run of equal destinations, or begin an older run."""
        if route.destination != self.after.destination:
            self.changes.append(RouteChange(self.first, route, self.after))
        elif not self.changes:
            self.commits.append(version.commit.name)
        self.first = version.commit
        self.after = route

    def history(self, boundary: Boundary | None) -> History:
        """Return what was found up to the newest change, or to a boundary."""
        oldest = RouteChange(self.first, None, self.after)
        return History(
            now=self.now,
            since=[*self.changes, oldest][0],
            commits=tuple(self.commits),
            changes=tuple(self.changes),
            broken=tuple(self.broken.values()),
            boundary=boundary,
        )

    def whole_history(self) -> History:
        """Return what was found up to the first version, which counts as a change."""
        self.changes.append(RouteChange(self.first, None, self.after))
        return self.history(None)


def search(
    head: tuple[GitCommit, VersionRoute],
    earlier: Iterable[SearchedVersion],
    scope: Scope,
    boundary: Boundary | None,
) -> History:
    """Return the changes along versions, newest first, the first of which comes before `head`.

    `boundary` says why there are no more versions; None: there are none.
    """
    commit, route = head
    found = _Search(now=route, first=commit, after=route, commits=[commit.name])
    for version in earlier:
        state = version.state
        if state is None:
            return found.whole_history()
        if isinstance(state, Broken):
            found.add_broken(version, state)
            continue
        found.add_route(version, state)
        if scope == "newest" and found.changes:
            return found.history(None)
    return found.history(boundary) if boundary else found.whole_history()
