"""Since when a conversation goes where it goes, by a checkout of each commit: an oracle that shares
no code with the product.
"""

from __future__ import annotations

import io
import json
import subprocess
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from tests.support.brute_force import Destination, Json, destination, winner
from tests.support.random_histories import BROKEN

_INTENT: Final = "cognigyDetectedIntent"
_CONFIDENCE: Final = "cognigyConfidence"
Files = Mapping[str, str]


@dataclass(frozen=True)
class Checkout:
    """A commit, and what the folder of the manifests has in its checkout."""

    commit: str
    folder: Files

    @property
    def files(self) -> Files:
        """Return the manifests."""
        extensions = (".yaml", ".yml")
        return {
            name: text
            for name, text in self.folder.items()
            if name.endswith(extensions)
        }

    @property
    def is_broken(self) -> bool:
        """Return whether the manifests are invalid."""
        return any(BROKEN in text for text in self.files.values())

    @property
    def is_missing(self) -> bool:
        """Return whether there are no manifests, or no Environment."""
        return not self.is_broken and "envs/prod.yaml" not in self.files


Routed = tuple[str | None, Destination]
"""The rule that takes a conversation, and its queues by id or else by name."""


Change = tuple[str, Routed | None, Routed]
"""The first commit with a destination, and the routes before and after it."""


@dataclass(frozen=True)
class ExpectedSince:
    """The answer; `changes` and `broken` are newest first."""

    changes: list[Change]
    broken: list[str]
    since: Change
    complete: bool


def checkouts(repository: Path, prefix: str) -> list[Checkout]:
    """Return the commits along first parents, newest first, each checked out."""
    listed = _git(repository, "rev-list", "--first-parent", "HEAD").decode().split()
    return [Checkout(commit, _files(repository, commit, prefix)) for commit in listed]


def _files(repository: Path, commit: str, prefix: str) -> dict[str, str]:
    archive = _git(repository, "archive", "--format=tar", commit)
    files = {}
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        for member in tar.getmembers():
            content = tar.extractfile(member)
            if content is not None and member.name.startswith(prefix):
                files[member.name.removeprefix(prefix)] = content.read().decode()
    return files


def _git(repository: Path, *words: str) -> bytes:
    command = ["git", "-C", str(repository), *words]
    return subprocess.run(command, check=True, capture_output=True).stdout


def route(files: Files, event: Mapping[str, Any]) -> Routed:
    """Return where valid manifests send the event of a bot, and by which rule."""
    documents = [json.loads(text) for text in files.values()]
    [environment] = _of_kind(documents, "Environment")
    names = environment.get("attributes", {})
    intent = names.get("intent", _INTENT)
    confidence = names.get("confidence", _CONFIDENCE)

    known = [
        name for each in _of_kind(documents, "Intents") for name in each["intents"]
    ]
    detected = _after_fallback(event, environment.get("context", {}), known)
    attributes = {
        **{name: value for name, value in event.items() if name == "language"},
        intent: detected,
        confidence: event.get("confidence"),
    }
    present = {name: value for name, value in attributes.items() if value is not None}
    aliases = _of_kind(documents, "Queues")[0]["queues"]
    rules = [
        _rule(ruleset["name"], entry, (intent, confidence), aliases)
        for ruleset in _of_kind(documents, "RuleSet")
        for entry in ruleset["rules"]
    ]
    taking = winner(rules, (present, {}))
    return taking and taking["id"], destination(taking)


def _of_kind(documents: Sequence[Json], kind: str) -> list[Json]:
    return [each for each in documents if each["kind"] == kind]


def _after_fallback(
    event: Mapping[str, Any], context: Json, known: Sequence[str]
) -> str | None:
    intent: str | None = event.get("intent")
    if intent is None or "below" not in context:
        return intent
    confidence = event.get("confidence")
    is_unsure = confidence is None or confidence < context["minConfidence"]
    is_unknown = bool(known) and intent not in known
    fallback: str = context["below"]["intent"]
    return fallback if is_unsure or is_unknown else intent


def _rule(ruleset: str, entry: Json, names: tuple[str, str], aliases: Json) -> Json:
    intent, confidence = names
    conditions = []
    if "intent" in entry:
        conditions.append((intent, "equals", entry["intent"]))
    if "minConfidence" in entry:
        conditions.append((confidence, "greaterThanOrEqual", entry["minConfidence"]))
    conditions += [
        (each["attribute"], "equals", each["equals"]) for each in entry["when"]
    ]
    targets = entry.get("targets") or [{"queue": entry["queue"], "weight": 100}]
    return {
        "id": f"{ruleset}/{entry['key']}",
        "name": entry["name"],
        "priority": entry["priority"],
        "enabled": entry.get("enabled", True),
        "conditions": [
            {
                "type": "attribute",
                "attributeName": name,
                "operator": operator,
                "value": value,
            }
            for name, operator, value in conditions
        ],
        "targets": [
            {
                "type": "queue",
                "queueId": _queue(aliases[target["queue"]]),
                "weight": target["weight"],
            }
            for target in targets
        ],
    }


def _queue(alias: Any) -> str:
    return str(alias["id"] if isinstance(alias, dict) else alias)


def expected(
    states: Sequence[Checkout], event: Mapping[str, Any], limit: int, *, scope: str
) -> ExpectedSince:
    """Return the answer about the newest `limit` commits."""
    searched = list(states[:limit])
    missing = [at for at, state in enumerate(searched) if state.is_missing]
    is_whole = bool(missing) or len(searched) == len(states)
    known = searched[: missing[0]] if missing else searched

    oldest_first = known[::-1]
    valid = [state for state in oldest_first if not state.is_broken]
    routes = [(state.commit, route(state.files, event)) for state in valid]
    changes = list[Change]()
    for (_, before), (commit, after) in pairwise(routes):
        if before[1] != after[1]:
            changes.insert(0, (commit, before, after))
    oldest: Change = (routes[0][0], None, routes[0][1])
    since = [*changes, oldest][0]
    if is_whole:
        changes.append(oldest)
    complete = is_whole
    if scope == "newest" and since[1] is not None:
        changes, complete = [since], True
        at = [state.commit for state in known].index(since[0])
        # up to the first valid version before the change
        further = [state.is_broken for state in known[at + 1 :]]
        known = known[: at + 1 + further.index(False)]
    return ExpectedSince(changes, _broken(known), since, complete)


def _broken(newest_first: Sequence[Checkout]) -> list[str]:
    """Return the first commit of each broken version."""
    first: dict[str, str] = {}
    for state in newest_first:
        if state.is_broken:
            version = json.dumps(sorted(state.folder.items()))
            first[version] = state.commit
    commits = [state.commit for state in newest_first]
    return sorted(first.values(), key=commits.index)
