"""One issue for each environment that differs: opened, revised and closed, given the open issues."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final, NamedTuple

from reconciler.forge.forge import Forge, Post, Skip
from reconciler.model.live import normalize_line_ends
from reconciler.text.json_values import list_objects

_ROOM: Final = 5_536  # characters, for the lines around the difference
_MAX_TITLE: Final = 200  # characters; forges refuse titles of more than 255
_STATE: Final = re.compile(r"<!-- cxroute:state \{\"difference\":\"([0-9a-f]{16})\"\} -->")


class OpenIssue(NamedTuple):
    """Write a new issue."""

    title: str
    body: str


class ChangeIssue(NamedTuple):
    """Change an issue's text, or close it if there is none, with a remark on it."""

    id: int
    body: str | None
    remark: str


IssueDecision = OpenIssue | ChangeIssue | Skip


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftObservation:
    """The difference of one environment, empty if there is none, its first sentence, and its text in Markdown."""

    environment: str
    author: str
    difference: str
    headline: str  # empty if no conversation goes elsewhere
    text: str
    when: str  # when, and in which run, in Markdown
    limit: int  # characters of an issue


def difference_digest(plan: Mapping[str, Any]) -> str:
    """Return a digest of the difference; empty if live rules and manifests agree."""
    fields = ("action", "address", "id", "before", "after")
    parts: list[object] = [{name: change.get(name) for name in fields} for change in list_objects(plan, "changes")]
    parts += [each.get("message") for each in list_objects(plan, "findings") if each.get("severity") == "error"]
    lines = sorted(json.dumps(part, sort_keys=True) for part in parts)
    return sha256("\n".join(lines).encode()).hexdigest()[:16] if parts else ""


def decide_issues(issues: Iterable[Post], observation: DriftObservation) -> Sequence[IssueDecision]:
    """Return the decisions. Of several issues with this author the oldest is edited; all are closed in the end."""
    first_line = _first_line(observation.environment)
    own = (issue for issue in issues if issue.author == observation.author)
    mine = sorted(issue for issue in own if _lines(issue.body)[0] == first_line)
    if not observation.difference:
        closed = [ChangeIssue(issue.id, None, f"No drift since {observation.when}.") for issue in mine]
        return closed or [Skip("there is no drift, and no open issue")]
    if not mine:
        return [OpenIssue(_title(observation), _body(observation, "First seen"))]
    state = _STATE.fullmatch("".join(_lines(mine[0].body)[1:2]))
    if state and state[1] == observation.difference:
        return [Skip(f"issue {mine[0].id} is up to date")]
    remark = f"The difference has changed, seen {observation.when}. The text above shows the current state."
    return [ChangeIssue(mine[0].id, _body(observation, "Unchanged since"), remark)]


def drift_headline(plan: Mapping[str, Any]) -> str:
    """Return the first sentence about conversations that go elsewhere; empty if none does."""
    behaviour = plan.get("behaviour")
    if not isinstance(behaviour, Mapping) or not behaviour.get("effects"):
        return ""
    text = behaviour.get("headline")
    return text if isinstance(text, str) else ""


def _title(observation: DriftObservation) -> str:
    if not observation.headline:
        return f"Routing of {observation.environment} differs from the manifests"
    title = f"{observation.environment}: {observation.headline.removesuffix('.')}"
    return title if len(title) <= _MAX_TITLE else f"{title[: _MAX_TITLE - 3]}..."


def _body(observation: DriftObservation, since: str) -> str:
    state = f'<!-- cxroute:state {{"difference":"{observation.difference}"}} -->'
    text = normalize_line_ends(observation.text).strip()
    if len(text) > observation.limit - _ROOM:
        text = "The difference is too long for an issue: see the run's summary."
    return f"{_first_line(observation.environment)}\n{state}\n\n{text}\n\n<sub>{since} {observation.when}</sub>\n"


def _first_line(environment: str) -> str:
    return f"<!-- cxroute:drift env={environment} -->"


def _lines(body: str) -> list[str]:
    return normalize_line_ends(body).split("\n", 2)


def write_issue(forge: Forge, decision: IssueDecision) -> str:
    """Execute a decision, and return its description."""
    match decision:
        case OpenIssue():
            return f"opened issue {forge.open_drift_issue(decision.title, decision.body)}"
        case ChangeIssue():
            forge.change_drift_issue(*decision)
            return f"{'closed' if decision.body is None else 'edited'} issue {decision.id}"
        case _:
            return f"did not change the issues: {decision.reason}"
