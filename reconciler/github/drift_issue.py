"""One issue for each environment that differs: opened, revised and closed, given the open issues."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final, NamedTuple

from reconciler.github.actions import list_objects

LABEL: Final = "cxroute-drift"
_MAX_BODY: Final = 60_000
_STATE: Final = re.compile(r"<!-- cxroute:state \{\"difference\":\"([0-9a-f]{16})\"\} -->")
_COMPARED_FIELDS: Final = ("action", "address", "id", "before", "after")


class Issue(NamedTuple):
    """One open issue."""

    number: int
    author: str
    body: str


class OpenIssue(NamedTuple):
    """Write a new issue."""

    title: str
    body: str


class EditIssue(NamedTuple):
    """Change an issue's text, with one comment on it."""

    number: int
    body: str
    remark: str


class CloseIssue(NamedTuple):
    """Close an issue, with a comment."""

    number: int
    remark: str


class SkipIssue(NamedTuple):
    """Do nothing, for a reason."""

    reason: str


IssueDecision = OpenIssue | EditIssue | CloseIssue | SkipIssue


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
    findings = list_objects(plan, "findings")
    changes = list_objects(plan, "changes")
    parts: list[object] = [{name: change.get(name) for name in _COMPARED_FIELDS} for change in changes]
    parts += [finding.get("message") for finding in findings if finding.get("severity") == "error"]
    lines = sorted(json.dumps(part, sort_keys=True) for part in parts)
    return sha256("\n".join(lines).encode()).hexdigest()[:16] if parts else ""


def decide_issues(issues: Iterable[Issue], observation: DriftObservation) -> Sequence[IssueDecision]:
    """Return the decisions. Of several issues with this author the oldest is edited; all are closed in the end."""
    first_line = _first_line(observation.environment)
    own = (issue for issue in issues if issue.author == observation.author)
    mine = sorted(issue for issue in own if _lines(issue.body)[0] == first_line)
    if not observation.difference:
        closed = [CloseIssue(issue.number, f"No drift since {observation.when}.") for issue in mine]
        return closed or [SkipIssue("there is no drift, and no open issue")]
    if not mine:
        title = f"Routing of {observation.environment} differs from the manifests"
        return [OpenIssue(title, _body(observation, "First seen"))]
    state = _STATE.fullmatch("".join(_lines(mine[0].body)[1:2]))
    if state and state[1] == observation.difference:
        return [SkipIssue(f"issue {mine[0].number} is up to date")]
    remark = f"The difference has changed, seen {observation.when}. The text above shows the current state."
    return [EditIssue(mine[0].number, _body(observation, "Unchanged since"), remark)]


def _body(observation: DriftObservation, since: str) -> str:
    state = f'<!-- cxroute:state {{"difference":"{observation.difference}"}} -->'
    text = observation.text.replace("\r\n", "\n").strip()
    if len(text) > _MAX_BODY:
        text = "The difference is too long for an issue: see the run's summary."
    return f"{_first_line(observation.environment)}\n{state}\n\n{text}\n\n<sub>{since} {observation.when}</sub>\n"


def _first_line(environment: str) -> str:
    return f"<!-- cxroute:drift env={environment} -->"


def _lines(body: str) -> list[str]:
    return body.replace("\r\n", "\n").split("\n", 2)
