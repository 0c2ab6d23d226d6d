"""The JSON that `cxroute since` prints."""

from reconciler.core.plan.plan_json import (
    Attributes,
    ClosedPart,
    Count,
    DestinationJson,
)


class RouteJson(ClosedPart):
    """Where a conversation goes, and the rule that takes it; null: the default routing."""

    rule: str | None
    destination: DestinationJson


class FirstRunJson(ClosedPart):
    """A run of the journal."""

    run: str
    at: str
    who: str


class RouteChangeJson(ClosedPart):
    """The first commit with a destination.

    `date` is that of the committer. `before` is null if no earlier version is known.
    """

    commit: str
    date: str
    author: str
    subject: str
    pullRequest: Count | None
    before: RouteJson | None
    after: RouteJson


class SinceCommitJson(RouteChangeJson):
    """The commit since which the destination is as it is, and the first run that applied it."""

    run: FirstRunJson | None


class BrokenCommitJson(ClosedPart):
    """The first commit with manifests that are invalid, and their first error."""

    commit: str
    problem: str


class SinceJson(ClosedPart):
    """The answer of `cxroute since`.

    `complete` is false if commits that the search needs are not known: at a shallow boundary, or
    at the limit.
    """

    environment: str
    input: Attributes
    now: RouteJson
    since: SinceCommitJson
    changes: list[RouteChangeJson]
    broken: list[BrokenCommitJson]
    complete: bool
    shallow: bool
    workTreeDiffers: bool
