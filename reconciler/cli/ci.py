"""A run in GitHub Actions, or a job on GitLab: its repository, commit and log."""

import json
import os
import re
from collections.abc import Iterable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Final

from reconciler.core.model.finding import Finding
from reconciler.core.text.files import MIB, read_file
from reconciler.render.provenance import SourceLinks

_LARGEST: Final = 32 * MIB  # bytes of an event. GitHub sends 25 MB at most.
_SERVER: Final = re.compile(r"https?://[A-Za-z0-9.:-]+")
_NAME: Final = re.compile(r"[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+")
_PAGE: Final = re.compile(_SERVER.pattern + r"(/[A-Za-z0-9_.-]+)+")
_COMMIT: Final = re.compile(r"[0-9a-f]{7,64}")
_NUMBER: Final = re.compile(r"[0-9]+")


def relative_to_root(findings: Iterable[Finding]) -> list[Finding]:
    """Return the findings with paths relative to the repository; unchanged outside of GitHub
    Actions and GitLab.
    """
    workspace = os.environ.get("GITHUB_WORKSPACE") or os.environ.get("CI_PROJECT_DIR")
    if not workspace:
        return list(findings)
    root = os.path.realpath(workspace)

    @cache
    def within(file: str) -> str:
        path = os.path.relpath(os.path.realpath(file), root)
        if path.startswith(".."):
            return file
        return Path(path).as_posix()

    def relative(finding: Finding) -> Finding:
        source = finding.source
        if source:
            source = source._replace(file=within(source.file))
        repeats = tuple(map(relative, finding.repeats))
        return replace(finding, source=source, repeats=repeats)

    return [relative(finding) for finding in findings]


def source_links() -> SourceLinks:
    """Return the links to the commit and the log of this run."""
    project = _variable("CI_PROJECT_URL", _PAGE)
    if project:
        return _gitlab_links(project)
    server = _variable("GITHUB_SERVER_URL", _SERVER)
    name = _variable("GITHUB_REPOSITORY", _NAME)
    if not server or not name:
        return SourceLinks()
    return _github_links(f"{server}/{name}")


def _gitlab_links(project: str) -> SourceLinks:
    # The first variable is only set for merged results.
    commit = _variable("CI_MERGE_REQUEST_SOURCE_BRANCH_SHA", _COMMIT)
    if not commit:
        commit = _variable("CI_COMMIT_SHA", _COMMIT)
    log = _variable("CI_PIPELINE_URL", _PAGE)
    return SourceLinks(f"{project}/-", commit, log, _prefix("CI_PROJECT_DIR"))


def _github_links(repository: str) -> SourceLinks:
    number = _variable("GITHUB_RUN_ID", _NUMBER)
    log = f"{repository}/actions/runs/{number}" if number else ""
    try:  # the pull request's own commit is kept; that of its run is a temporary merge
        event = json.loads(read_file(os.environ.get("GITHUB_EVENT_PATH", ""), _LARGEST))
        head = event["pull_request"]["head"]["sha"]
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        commit = _variable("GITHUB_SHA", _COMMIT)
    else:
        commit = head if isinstance(head, str) and _COMMIT.fullmatch(head) else ""
    return SourceLinks(repository, commit, log, _prefix("GITHUB_WORKSPACE"))


def _prefix(variable: str) -> str:
    """Return the current folder below that of the variable, with a slash at its end; empty at the
    top.
    """
    try:
        root = Path(os.environ[variable]).resolve()
        folder = Path.cwd().resolve().relative_to(root).as_posix()
    except (KeyError, ValueError, OSError):
        folder = "."
    return "" if folder == "." else f"{folder}/"


def _variable(name: str, pattern: re.Pattern[str]) -> str:
    value = os.environ.get(name, "")
    if not pattern.fullmatch(value):
        return ""
    return value
