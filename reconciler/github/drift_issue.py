"""One issue for each environment that differs: opened, revised and closed, given the open issues."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from reconciler.github.actions import list_objects

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

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
    changes = [{name: one.get(name) for name in _COMPARED_FIELDS} for one in list_objects(plan, "changes")]
    wrong = [one.get("message") for one in list_objects(plan, "findings") if one.get("severity") == "error"]
    if not changes and not wrong:
        return ""
    lines = sorted(json.dumps(one, sort_keys=True) for one in (*changes, *wrong))
    return sha256("\n".join(lines).encode()).hexdigest()[:16]


def decide_issues(issues: Iterable[Issue], observation: DriftObservation) -> Sequence[IssueDecision]:
    """Return the decisions. Of several issues with this author the oldest is edited; all are closed in the end."""
    mine = sorted(
        one for one in issues if one.author == observation.author and _belongs_to(observation.environment, one.body)
    )
    if not observation.difference:
        closed = [CloseIssue(one.number, f"No drift since {observation.when}.") for one in mine]
        return closed or [SkipIssue("there is no drift, and no open issue that says otherwise")]
    if not mine:
        return [
            OpenIssue(
                f"Routing of {observation.environment} differs from the manifests", _body(observation, "First seen")
            )
        ]
    if _recorded_difference(mine[0].body) == observation.difference:
        return [SkipIssue(f"issue {mine[0].number} says that already")]
    remark = f"What differs has changed, seen {observation.when}. The text above is as it is now."
    return [EditIssue(mine[0].number, _body(observation, "As it is since"), remark)]


def _body(seen: DriftObservation, since: str) -> str:
    state = f'<!-- cxroute:state {{"difference":"{seen.difference}"}} -->'
    text = seen.text.replace("\r\n", "\n").strip()
    if len(text) > _MAX_BODY:
        text = "What differs is too long for an issue: it stands in the run's summary."
    return f"{_first_line(seen.environment)}\n{state}\n\n{text}\n\n<sub>{since} {seen.when}</sub>\n"


def _first_line(environment: str) -> str:
    return f"<!-- cxroute:drift env={environment} -->"


def _belongs_to(environment: str, body: str) -> bool:
    return body.replace("\r\n", "\n").split("\n", 1)[0] == _first_line(environment)


def _recorded_difference(body: str) -> str | None:
    lines = body.replace("\r\n", "\n").split("\n", 2)
    found = _STATE.fullmatch(lines[1]) if len(lines) > 1 else None
    return found.group(1) if found else None
