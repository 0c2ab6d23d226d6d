"""The comment of an Environment on a pull request: its first two lines, and what to do with it.

The first line names the Environment, the second the run that wrote the plan.
"""

import json
import re
from dataclasses import asdict, dataclass
from typing import Final, NamedTuple

from reconciler.core.model.live import normalize_line_ends
from reconciler.core.text.json_values import parse_object
from reconciler.features.forge.forge import Forge
from reconciler.render.markdown.plan import comment_marker

STATE_LINE: Final = re.compile(r"<!-- cxroute:state (\{[^\n]{0,400}\}) -->")
_HEX_PATTERN: Final = re.compile(r"[0-9a-f]{0,64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class CommentState:
    """The run that wrote a comment last, its commit and plan, and whether that plan was applied."""

    run: int
    attempt: int
    sha: str
    plan: str
    applied: bool = False

    @property
    def marker_line(self) -> str:
        """Return the comment's second line."""
        return (
            f"<!-- cxroute:state {json.dumps(asdict(self), separators=(',', ':'))} -->"
        )


class Skip(NamedTuple):
    """The decision to write nothing, for a reason."""

    reason: str


class WriteComment(NamedTuple):
    """Write a new comment, or change one."""

    body: str
    id: int | None = None


CommentDecision = WriteComment | Skip


def parse_state(body: str) -> CommentState | None:
    """Return the state in a comment's second line; None if it does not hold one."""
    marker = STATE_LINE.fullmatch(
        "".join(normalize_line_ends(body).split("\n", 2)[1:2])
    )
    state = parse_object(marker[1]) if marker else {}
    run, attempt, sha, plan = map(state.get, ("run", "attempt", "sha", "plan"))
    are_hex = all(
        isinstance(text, str) and _HEX_PATTERN.fullmatch(text) for text in (sha, plan)
    )
    if type(run) is not int or type(attempt) is not int or not are_hex:
        return None
    return CommentState(
        run=run,
        attempt=attempt,
        sha=str(sha),
        plan=str(plan),
        applied=state.get("applied") is True,
    )


def belongs_to(environment: str, text: str) -> bool:
    """Return whether a comment is that of the environment."""
    first_line, _, _ = text.partition("\n")
    return first_line == comment_marker(environment)


def write_note(forge: Forge, number: int, decision: CommentDecision) -> str:
    """Execute a decision, and return its description."""
    if isinstance(decision, Skip):
        return f"did not change the comments of {forge.request} {number}: {decision.reason}"
    forge.write_note(number, *decision)
    return (
        f"{'wrote a' if decision.id is None else 'edited the'} comment on {forge.request} "
        f"{number}"
    )
