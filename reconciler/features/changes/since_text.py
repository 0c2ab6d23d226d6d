"""Since when a conversation goes where it goes, as text and as Markdown."""

from collections.abc import Iterator, Sequence
from typing import Final

from reconciler.cli.git import GitCommit
from reconciler.core.plan.words import destination_phrase, two_destinations
from reconciler.core.text.escape import pluralize, quote, sanitize
from reconciler.core.text.phrases import conversation_phrase
from reconciler.features.changes.search import (
    BrokenVersion,
    RouteChange,
    Scope,
    VersionRoute,
)
from reconciler.features.changes.since import SinceAnswer, is_known, pull_request
from reconciler.render.escape_markdown import (
    code_span,
    details,
    escape_markdown,
    table_cell,
)

_SHORT: Final = 8  # characters of a commit's name
_MINUTES: Final = 16  # characters of a time in ISO 8601 up to the minutes
_LONGEST_NAME: Final = 80  # characters of an author, a rule or a run
_MOST_BROKEN: Final = 5
_NOTHING: Final = "no valid version in this folder"


def since_text(answer: SinceAnswer, scope: Scope) -> str:
    """Return the answer, with each change if the scope is "all"."""
    history = answer.history
    lines = [*_sentences(answer)]
    if scope == "all" and history.changes:
        lines += ["", _changes_title(answer)]
        for change in history.changes:
            lines += _change_lines(change)
    if history.broken:
        lines += ["", f"{_broken_title(history.broken)}:"]
        lines += [f"  {line}" for line in _broken_lines(history.broken)]
    return "\n".join(lines) + "\n"


def since_markdown(answer: SinceAnswer, scope: Scope) -> str:
    """Return the answer for a comment. Texts of commits become no markup."""
    history = answer.history
    blocks = [escape_markdown(sentence) for sentence in _sentences(answer)]
    if scope == "all" and history.changes:
        blocks.append("\n".join(_changes_table(history.changes)))
    if history.broken:
        items = [f"- {escape_markdown(line)}" for line in _broken_lines(history.broken)]
        title = escape_markdown(_broken_title(history.broken))
        blocks.append(details(title, "\n".join(items) + "\n"))
    return "\n\n".join(blocks) + "\n"


def _sentences(answer: SinceAnswer) -> Iterator[str]:
    yield _route_now(answer)
    yield from _newest(answer)
    yield from _remarks(answer)


def _route_now(answer: SinceAnswer) -> str:
    event = conversation_phrase(answer.event, answer.labels)
    environment = sanitize(answer.environment, _LONGEST_NAME)
    place = f"By the manifests of {environment} at HEAD"
    return (
        f"{place}, a conversation with {event} goes to {_phrase(answer.history.now)}."
    )


def _newest(answer: SinceAnswer) -> Iterator[str]:
    """Yield the first commit of the newest run of equal destinations."""
    history = answer.history
    change = history.since
    if not is_known(history):
        yield f"It does so at least since {_commit(change.commit)}."
        return
    yield f"It does so since {_commit(change.commit)}."
    before, after = _two_routes(change)
    yield f"Before: {before}."
    yield f"After: {after}."
    if answer.run:
        run = sanitize(answer.run.run, _LONGEST_NAME)
        who = sanitize(answer.run.who, _LONGEST_NAME)
        yield f"First run with these manifests: {run}, by {who}."


def _remarks(answer: SinceAnswer) -> Iterator[str]:
    history = answer.history
    if history.boundary == "shallow":
        yield (
            "Earlier commits are not known: this clone is shallow. `git fetch --unshallow` brings "
            "them."
        )
    if history.boundary == "limit":
        yield (
            f"Earlier commits are not searched: --limit is {pluralize(answer.limit, 'commit')}."
        )
    if answer.differs:
        yield "The work tree has other manifests than HEAD; this answer is about HEAD."


def _changes_title(answer: SinceAnswer) -> str:
    count = pluralize(len(answer.history.changes), "change")
    return f"{count} of its destination, newest first:"


def _change_lines(change: RouteChange) -> Iterator[str]:
    before, after = _two_routes(change)
    yield f"  {_commit(change.commit)}"
    yield f"      {before} -> {after}"


def _changes_table(changes: Sequence[RouteChange]) -> Iterator[str]:
    yield "| commit | date | author | subject | before | after |"
    yield "|---|---|---|---|---|---|"
    for change in changes:
        commit = change.commit
        before, after = _two_routes(change)
        name = code_span(commit.name[:_SHORT])
        texts = [
            _date(commit),
            sanitize(commit.author, _LONGEST_NAME),
            quote(commit.subject),
            before,
            after,
        ]
        cells = [name, *map(escape_markdown, texts)]
        yield f"| {' | '.join(map(table_cell, cells))} |"


def _two_routes(change: RouteChange) -> tuple[str, str]:
    """Return both routes in words, which differ."""
    after = change.after
    if change.before is None:
        return _NOTHING, _phrase(after)
    before = change.before
    names = {**before.queues, **after.queues}
    first, second = two_destinations(before.destination, after.destination, names)
    return f"{first}, {_by(before)}", f"{second}, {_by(after)}"


def _phrase(route: VersionRoute) -> str:
    return f"{destination_phrase(route.destination, route.queues)}, {_by(route)}"


def _by(route: VersionRoute) -> str:
    if route.rule is None:
        return "because no rule takes it"
    return f"by {sanitize(route.rule, _LONGEST_NAME)}"


def _commit(commit: GitCommit) -> str:
    """Return a commit in words: its name, time, author, pull request and subject."""
    author = sanitize(commit.author, _LONGEST_NAME)
    number = pull_request(commit.subject)
    request = f" in pull request {number}" if number is not None else ""
    return (
        f"commit {commit.name[:_SHORT]} of {_date(commit)} by {author}{request}: "
        f"{quote(commit.subject)}"
    )


def _date(commit: GitCommit) -> str:
    """Return the time of a commit, with its offset."""
    if not commit.date:
        return "an unknown time"
    minutes = commit.date[:_MINUTES].replace("T", " ")
    offset = commit.date[_MINUTES + len(":00") :]
    return sanitize(f"{minutes} {offset}".strip())


def _broken_title(broken: Sequence[BrokenVersion]) -> str:
    versions = pluralize(len(broken), "version")
    return f"{versions} with invalid manifests, passed over"


def _broken_lines(broken: Sequence[BrokenVersion]) -> Iterator[str]:
    for each in broken[:_MOST_BROKEN]:
        commit = each.commit
        problem = sanitize(each.problem)
        yield f"commit {commit.name[:_SHORT]} of {_date(commit)}: {problem}"
    if len(broken) > _MOST_BROKEN:
        yield f"and {len(broken) - _MOST_BROKEN:,} more; --format json has all"
