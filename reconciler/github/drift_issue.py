"""One issue for each environment that differs: opened, revised and closed, given the open issues."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final, NamedTuple

from reconciler.github.actions import list_objects
from reconciler.github.api import GitHub, GitHubError, Post, Purpose, Skip
from reconciler.model.live import normalize_line_ends

LABEL: Final = "cxroute-drift"
_PERMISSION: Final = "issues: write"
_EXISTS: Final = 422
_MAX_BODY: Final = 60_000
_STATE: Final = re.compile(r"<!-- cxroute:state \{\"difference\":\"([0-9a-f]{16})\"\} -->")


class OpenIssue(NamedTuple):
    """Write a new issue."""

    title: str
    body: str


class UpdateIssue(NamedTuple):
    """Change an issue's text, or close it, with a comment on it."""

    id: int
    fields: Mapping[str, str]
    remark: str


IssueDecision = OpenIssue | UpdateIssue | Skip


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftObservation:
    """The difference of one environment, empty if there is none, and its text in Markdown."""

    environment: str
    author: str
    difference: str
    text: str
    when: str  # when, and in which run, in Markdown


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
        remark, fields = f"No drift since {observation.when}.", {"state": "closed", "state_reason": "completed"}
        closed = [UpdateIssue(issue.id, fields, remark) for issue in mine]
        return closed or [Skip("there is no drift, and no open issue")]
    if not mine:
        title = f"Routing of {observation.environment} differs from the manifests"
        return [OpenIssue(title, _body(observation, "First seen"))]
    state = _STATE.fullmatch("".join(_lines(mine[0].body)[1:2]))
    if state and state[1] == observation.difference:
        return [Skip(f"issue {mine[0].id} is up to date")]
    remark = f"The difference has changed, seen {observation.when}. The text above shows the current state."
    return [UpdateIssue(mine[0].id, {"body": _body(observation, "Unchanged since")}, remark)]


def _body(observation: DriftObservation, since: str) -> str:
    state = f'<!-- cxroute:state {{"difference":"{observation.difference}"}} -->'
    text = normalize_line_ends(observation.text).strip()
    if len(text) > _MAX_BODY:
        text = "The difference is too long for an issue: see the run's summary."
    return f"{_first_line(observation.environment)}\n{state}\n\n{text}\n\n<sub>{since} {observation.when}</sub>\n"


def _first_line(environment: str) -> str:
    return f"<!-- cxroute:drift env={environment} -->"


def _lines(body: str) -> list[str]:
    return normalize_line_ends(body).split("\n", 2)


def list_open_issues(github: GitHub) -> list[Post]:
    """Return the open issues on drift, by any author."""
    purpose = Purpose("list the issues about drift", _PERMISSION)
    listed = github.pages(f"/issues?state=open&labels={LABEL}&per_page=100", purpose)
    labelled = (issue for issue in listed if any(label.get("name") == LABEL for label in list_objects(issue, "labels")))
    return [Post.parse(issue, "number") for issue in labelled if "pull_request" not in issue]


def write_issue(github: GitHub, decision: IssueDecision) -> str:
    """Execute a decision, and return its description. The issue comes before the remark, which may get lost."""
    purpose = Purpose("write the issue about drift", _PERMISSION)
    match decision:
        case OpenIssue():
            _ensure_label(github)
            payload = {"title": decision.title, "body": decision.body, "labels": [LABEL]}
            issue = github.send("POST", "/issues", payload, purpose)
            return f"opened issue {int(issue.get('number') or 0)}"
        case UpdateIssue():
            github.send("PATCH", f"/issues/{decision.id}", decision.fields, purpose)
            github.send("POST", f"/issues/{decision.id}/comments", {"body": decision.remark}, purpose)
            return f"{'closed' if 'state' in decision.fields else 'edited'} issue {decision.id}"
        case _:
            return f"did not change the issues: {decision.reason}"


def _ensure_label(github: GitHub) -> None:
    """Create the label if it is missing. Without it, the next run would not find the issue."""
    label = {"name": LABEL, "color": "d93f0b", "description": "Routing rules differ from the manifests"}
    try:
        github.send("POST", "/labels", label, Purpose(f"create the label {LABEL}", _PERMISSION))
    except GitHubError as error:
        if error.status != _EXISTS:
            raise
