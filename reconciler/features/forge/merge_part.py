"""The part of a comment about merges with other open pull requests.

It is the end of the comment, between two hidden lines, of which the first names the run that wrote
it. The rest of the comment is that of the plan (`note`). Either step can write first.
"""

import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final, NamedTuple

from reconciler.core.model.live import normalize_line_ends
from reconciler.core.text.json_values import number_at, parse_object, text_at
from reconciler.features.forge.comment import (
    CommentDecision,
    CommentState,
    Skip,
    WriteComment,
    belongs_to,
    parse_state,
)
from reconciler.features.forge.forge import PipelineRun, Post
from reconciler.render.markdown.plan import comment_marker

_START: Final = re.compile(r"<!-- cxroute:merge (\{[^\n]{0,400}\}) -->")
_END: Final = "<!-- cxroute:merge ends -->"
_OPEN: Final = "<details>"
_CLOSE: Final = "</details>"
_WANTED: Final = 20_000  # characters of a part, in a comment that has room for them
_GUARANTEED: Final = 5_000  # characters, whatever the length of the plan


class MergePart(NamedTuple):
    """The part: the run that wrote it, the commit that it is about, and its Markdown."""

    run: int
    attempt: int
    sha: str
    text: str

    @property
    def block(self) -> str:
        """Return the part with its hidden lines, which nothing in its text can imitate."""
        state = {"run": self.run, "attempt": self.attempt, "sha": self.sha}
        start = f"<!-- cxroute:merge {json.dumps(state, separators=(',', ':'))} -->"
        text = self.text.strip().replace("<!--", "<!-")
        return f"\n{start}\n\n{text}\n\n{_END}\n"


class SplitComment(NamedTuple):
    """A comment without its part, and the part."""

    rest: str
    part: MergePart | None


def split_part(body: str) -> SplitComment:
    """Return a comment without its part, and the part if there is one."""
    lines = normalize_line_ends(body).rstrip().split("\n")
    if lines[-1] == _END:
        for number in range(len(lines) - 2, 0, -1):
            start = _START.fullmatch(lines[number])
            if start:
                text = "\n".join(lines[number + 1 : -1]).strip()
                rest = "\n".join(lines[:number]).rstrip() + "\n"
                return SplitComment(rest, _parse_part(start[1], text))
    return SplitComment(normalize_line_ends(body), None)


def _parse_part(marker: str, text: str) -> MergePart:
    state = parse_object(marker)
    run, attempt = (number_at(state, name) for name in ("run", "attempt"))
    return MergePart(run, attempt, text_at(state, "sha"), text)


def join_part(rest: str, part: MergePart | None, limit: int) -> str:
    """Return a comment with a part at its end; if both do not fit, the rest is cut."""
    if part is None:
        return rest
    room = limit - len(part.block)
    if len(rest) > room:
        # a closed part that is cut must not hide the one that follows
        cut = rest[: max(0, room - 1 - 2 * len(_CLOSE))].rstrip()
        is_open = cut.count(_OPEN) > cut.count(_CLOSE)
        rest = f"{cut}\n{_CLOSE}\n" if is_open else f"{cut}\n"
    return f"{rest.rstrip()}\n{part.block}"


@dataclass(frozen=True, slots=True, kw_only=True)
class DesiredPart:
    """A part about one Environment, written by one run.

    `text` returns its Markdown, which has at most so many characters. A part without news edits a
    comment, and does not create one.
    """

    environment: str
    run: PipelineRun
    text: Callable[[int], str]
    has_news: bool
    author: str  # the token's login
    limit: int  # characters of a note


def decide_part(comments: Iterable[Post], desired: DesiredPart) -> CommentDecision:
    """Return the decision on the part in the author's comment of the environment."""
    for comment in comments:
        body = normalize_line_ends(comment.body)
        if comment.author == desired.author and belongs_to(desired.environment, body):
            return _edit(comment, desired)
    if not desired.has_news:
        return Skip("there is nothing to report, and no comment to update")
    run = desired.run
    # the plan of this run, which may still be written, counts as newer
    state = CommentState(run=run.id, attempt=0, sha=run.sha, plan="")
    head = f"{comment_marker(desired.environment)}\n{state.marker_line}\n"
    return WriteComment(_with_new_part(head, desired))


def _edit(comment: Post, desired: DesiredPart) -> CommentDecision:
    rest, part = split_part(comment.body)
    state = parse_state(rest)
    run = desired.run
    if state and state.applied:
        return Skip("the plan was applied since")
    is_older = state is not None and state.run > run.id
    if is_older or (part and (part.run, part.attempt) > (run.id, run.attempt)):
        return Skip("a newer run wrote it")
    body = _with_new_part(rest, desired)
    written = split_part(body).part
    if part and written and (part.sha, part.text) == (written.sha, written.text):
        return Skip("it is up to date")
    return WriteComment(body, comment.id)


def _with_new_part(rest: str, desired: DesiredPart) -> str:
    run = desired.run
    frame = len(MergePart(run.id, run.attempt, run.sha, "").block)
    room = max(_GUARANTEED, min(_WANTED, desired.limit - len(rest))) - frame
    part = MergePart(run.id, run.attempt, run.sha, desired.text(room))
    return join_part(rest, part, desired.limit)
