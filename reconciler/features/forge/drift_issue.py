"""One issue for each environment that differs: opened, revised and closed."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

from reconciler.core.model.live import normalize_line_ends
from reconciler.core.text.json_values import list_objects
from reconciler.features.forge.forge import Forge, Post

_ROOM: Final = 5_536  # characters, for the lines around the difference
_MAX_TITLE: Final = 200  # characters; forges refuse titles of more than 255
_STATE: Final = re.compile(
    r"<!-- cxroute:state \{\"difference\":\"([0-9a-f]{16})\"\} -->"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftObservation:
    """The difference of one environment, empty if there is none, its first sentence, and its text
    in Markdown.
    """

    environment: str
    author: str
    difference: str
    headline: str  # empty if no conversation goes elsewhere
    text: str
    when: str  # when, and in which run, in Markdown


def difference_digest(plan: Mapping[str, Any]) -> str:
    """Return a digest of the difference; empty if live rules and manifests agree."""
    fields = ("action", "address", "id", "before", "after")
    parts: list[object] = [
        {name: change.get(name) for name in fields}
        for change in list_objects(plan, "changes")
    ]
    parts += [
        each.get("message")
        for each in list_objects(plan, "findings")
        if each.get("severity") == "error"
    ]
    lines = sorted(json.dumps(part, sort_keys=True) for part in parts)
    return sha256("\n".join(lines).encode()).hexdigest()[:16] if parts else ""


def update_issues(forge: Forge, observation: DriftObservation) -> Iterator[str]:
    """Open, edit or close the environment's issue, and yield what was done.

    Of several issues with this author the oldest is edited; all are closed in the end.
    """
    first_line = _first_line(observation.environment)
    issues = sorted(
        issue
        for issue in forge.list_drift_issues()
        if issue.author == observation.author and _lines(issue.body)[0] == first_line
    )
    if not observation.difference:
        for issue in issues:
            remark = f"No drift since {observation.when}."
            forge.change_drift_issue(issue.id, None, remark)
            yield f"closed issue {issue.id}"
        if not issues:
            yield "did not change the issues: there is no drift, and no open issue"
    elif not issues:
        body = _body(observation, "First seen", forge.max_text)
        number = forge.open_drift_issue(_title(observation), body)
        yield f"opened issue {number}"
    else:
        yield _update_issue(forge, issues[0], observation)


def _update_issue(forge: Forge, issue: Post, observation: DriftObservation) -> str:
    """Edit an open issue if the difference is another one, and return what was done."""
    second_line = "".join(_lines(issue.body)[1:2])
    state = _STATE.fullmatch(second_line)
    if state and state[1] == observation.difference:
        return f"did not change the issues: issue {issue.id} is up to date"
    body = _body(observation, "Unchanged since", forge.max_text)
    remark = (
        f"The difference has changed, seen {observation.when}. The text above shows the current "
        f"state."
    )
    forge.change_drift_issue(issue.id, body, remark)
    return f"edited issue {issue.id}"


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
    headline = observation.headline.removesuffix(".")
    title = f"{observation.environment}: {headline}"
    if len(title) > _MAX_TITLE:
        title = f"{title[: _MAX_TITLE - 3]}..."
    return title


def _body(observation: DriftObservation, since: str, limit: int) -> str:
    state = f'<!-- cxroute:state {{"difference":"{observation.difference}"}} -->'
    text = normalize_line_ends(observation.text).strip()
    if len(text) > limit - _ROOM:
        text = "The difference is too long for an issue: see the run's summary."
    return (
        f"{_first_line(observation.environment)}\n{state}\n\n{text}\n\n<sub>{since} "
        f"{observation.when}</sub>\n"
    )


def _first_line(environment: str) -> str:
    return f"<!-- cxroute:drift env={environment} -->"


def _lines(body: str) -> list[str]:
    return normalize_line_ends(body).split("\n", 2)
