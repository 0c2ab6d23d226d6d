"""The workflow run that this process is a step of, as GitHub's variables and the event's file tell it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from reconciler.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

BY_HAND: Final = "workflow_dispatch"
_API: Final = "https://api.github.com"
_SERVER: Final = "https://github.com"
_REPOSITORY: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,38}/[A-Za-z0-9._-]{1,100}")
_SHA: Final = re.compile(r"[0-9a-f]{7,64}")
_PULL: Final = re.compile(r"refs/pull/([1-9][0-9]{0,11})/(merge|head)")
_ACTOR: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,60}(\[bot\])?")
_LOOPBACK: Final = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True, slots=True)
class Run:
    """Which run this is, of which commit, and of which pull request where it is of one."""

    repository: str
    """owner/name."""
    id: int
    attempt: int
    sha: str
    """Of a pull request its head, not the merge of it that GitHub makes up."""
    event: str
    actor: str
    api: str
    server: str
    pull_request: int | None

    @property
    def url(self) -> str:
        """Return where a person sees this run."""
        return f"{self.server}/{self.repository}/actions/runs/{self.id}/attempts/{self.attempt}"

    @property
    def link(self) -> str:
        """Return a link to this run, in Markdown."""
        return f"[run]({self.url})"


def run_of(variables: Mapping[str, str], event: Mapping[str, Any]) -> Run:
    """Read the variables of the step and the event that started the run. Raises UsageError outside of a workflow."""
    pull = event.get("pull_request")
    pull = pull if isinstance(pull, dict) else {}
    head = pull.get("head")
    sha = head.get("sha") if isinstance(head, dict) else variables.get("GITHUB_SHA")
    found = _PULL.fullmatch(variables.get("GITHUB_REF", ""))
    number = pull.get("number") or (int(found.group(1)) if found else None)
    return Run(
        _fitting(variables, "GITHUB_REPOSITORY", _REPOSITORY),
        _number(variables, "GITHUB_RUN_ID"),
        _number({"GITHUB_RUN_ATTEMPT": "1", **variables}, "GITHUB_RUN_ATTEMPT"),
        _fitting({"GITHUB_SHA": str(sha or "")}, "GITHUB_SHA", _SHA),
        variables.get("GITHUB_EVENT_NAME", ""),
        _fitting({"GITHUB_ACTOR": variables.get("GITHUB_ACTOR") or "nobody"}, "GITHUB_ACTOR", _ACTOR),
        _address(variables, "GITHUB_API_URL", _API),
        _address(variables, "GITHUB_SERVER_URL", _SERVER),
        number if isinstance(number, int) and not isinstance(number, bool) and number > 0 else None,
    )


def _fitting(variables: Mapping[str, str], name: str, pattern: re.Pattern[str]) -> str:
    found = variables.get(name, "")
    if not pattern.fullmatch(found):
        raise UsageError(f"{name} is not set, or not as GitHub sets it: this is for a step of a GitHub workflow")
    return found


def _number(variables: Mapping[str, str], name: str) -> int:
    return int(_fitting(variables, name, re.compile(r"[1-9][0-9]{0,17}")))


def _address(variables: Mapping[str, str], name: str, usual: str) -> str:
    """Return a base address without a slash at its end. The token goes there, so it is https, or on this machine."""
    found = (variables.get(name) or usual).rstrip("/")
    try:
        parts = urlsplit(found)
        safe = parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOOPBACK)
    except ValueError:
        safe = False
    if (
        not safe
        or not parts.hostname
        or parts.username
        or parts.query
        or parts.fragment
        or re.search(r"[\s()<>]", found)
    ):
        raise UsageError(f"{name} is no https:// address: the token is not sent there")
    return found
