"""Since when a conversation goes where it goes: the answer, and its JSON."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from reconciler.cli import conversation
from reconciler.cli.command_line import run_time
from reconciler.cli.hooks import FirstRun, run_journal
from reconciler.cli.output import Output
from reconciler.core.checks.explain import misspellings
from reconciler.core.desired.desired import desire_offline, labels_of
from reconciler.core.errors import UsageError
from reconciler.core.plan.routing_table import desired_entries
from reconciler.core.text.phrases import Labels
from reconciler.features.changes.search import (
    History,
    RouteChange,
    Scope,
    VersionRoute,
    search,
)
from reconciler.features.changes.versions import (
    Conversation,
    Event,
    HeadState,
    evaluate,
    open_history,
)
from reconciler.render.text.explain import destination_form

if TYPE_CHECKING:
    from reconciler.features.changes.since_json import (
        FirstRunJson,
        RouteChangeJson,
        RouteJson,
        SinceCommitJson,
        SinceJson,
    )

LIMIT: Final = 10_000  # commits
# a merge of GitHub; a squash of GitHub; a merge of GitLab, also of another project
_MERGE: Final = re.compile(r"Merge pull request #([0-9]{1,9})\b")
_SQUASH: Final = re.compile(r"\(#([0-9]{1,9})\)")
# of git and GitHub, which repeat the subject of the commit
_REVERTED: Final = re.compile(r'(?:Revert|Reapply) ".*"')
_GITLAB: Final = re.compile(r"(?:^|[\s(])(?:[\w.-]+(?:/[\w.-]+)+)?!([0-9]{1,9})(?!\w)")


@dataclass(frozen=True, slots=True, kw_only=True)
class SinceAnswer:
    """The answer for one conversation in one Environment."""

    environment: str
    event: Event
    labels: Labels
    history: History
    run: FirstRun | None  # the first run of the newest run of commits
    limit: int
    differs: bool  # whether the work tree has other manifests than HEAD
    notes: tuple[str, ...]  # likely misspellings


def find_since(
    options: conversation.ConversationOptions,
    output: Output,
    scope: Scope,
    limit: int = LIMIT,
) -> SinceAnswer:
    """Return the answer. Raises ManifestError if HEAD is invalid, UsageError and CxrouteError."""
    with open_history(options.manifests, limit, run_time(options)) as versions:
        head = versions.read_head(options.environment)
        environment = head.environment
        event = conversation.read_conversation(options, environment.attributes)
        asked = Conversation(environment.name, event, environment.attributes)
        now = evaluate(head.manifests, environment, asked)
        earlier = versions.earlier_versions(asked)
        history = search((head.commit, now), earlier, scope, versions.boundary())
    return SinceAnswer(
        environment=environment.name,
        event=event,
        labels=labels_of(
            replace(head.manifests, labelled=output.loudness != "verbose"), environment
        ),
        history=history,
        run=_first_run(head, history, output),
        limit=limit,
        differs=head.differs,
        notes=_notes(head, event),
    )


def pull_request(subject: str) -> int | None:
    """Return the number of the pull request that the subject of a commit names, if it does."""
    own = _REVERTED.sub("", subject, count=1)
    merged = _MERGE.match(own)
    numbers = [merged[1]] if merged else _SQUASH.findall(own)
    numbers = numbers or _GITLAB.findall(own)
    # the last one: an author can name other ones before it
    return int(numbers[-1]) if numbers else None


def is_known(history: History) -> bool:
    """Return whether the first commit of the newest run of equal destinations is known."""
    return bool(history.changes)


def since_to_json(answer: SinceAnswer) -> "SinceJson":
    """Return the answer as JSON."""
    history = answer.history
    since: SinceCommitJson = {
        **_change(history.since),
        "run": _run(answer.run),
    }
    return {
        "environment": answer.environment,
        "input": dict(answer.event),
        "now": _route(history.now),
        "since": since,
        "changes": [_change(change) for change in history.changes],
        "broken": [
            {"commit": each.commit.name, "problem": each.problem}
            for each in history.broken
        ],
        "complete": history.boundary is None,
        "shallow": history.boundary == "shallow",
        "workTreeDiffers": answer.differs,
    }


def _first_run(head: HeadState, history: History, output: Output) -> FirstRun | None:
    """Return the first run of the commits; None if not all of these are known."""
    if not is_known(history):
        return None
    try:
        return run_journal().first_run(head.environment, set(history.commits))
    except UsageError as error:
        output.warn(f"the run that applied it is not known: {error}")
        return None


def _notes(head: HeadState, event: Event) -> tuple[str, ...]:
    desired, _ = desire_offline(head.manifests, head.environment)
    entries = desired_entries(desired)
    return tuple(misspellings(entries, head.manifests, head.environment, event))


def _change(change: RouteChange) -> "RouteChangeJson":
    commit = change.commit
    return {
        "commit": commit.name,
        "date": commit.date,
        "author": commit.author,
        "subject": commit.subject,
        "pullRequest": pull_request(commit.subject),
        "before": _route(change.before) if change.before else None,
        "after": _route(change.after),
    }


def _route(route: VersionRoute) -> "RouteJson":
    names: Mapping[str, str] = route.queues
    return {
        "rule": route.rule,
        "destination": destination_form(route.destination, names),
    }


def _run(run: FirstRun | None) -> "FirstRunJson | None":
    return {"run": run.run, "at": run.at, "who": run.who} if run else None
