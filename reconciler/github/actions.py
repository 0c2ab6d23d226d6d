"""The workflow run of this process, the outputs and the summary of its step, and the report of a plan."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

from reconciler.errors import CxrouteError, UsageError
from reconciler.plan.document import COUNTED_ACTIONS
from reconciler.text.files import MIB, read_file, read_text
from reconciler.text.hosts import request_url

MANUAL_EVENT: Final = "workflow_dispatch"
_REPOSITORY: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,38}/[A-Za-z0-9._-]{1,100}")
_NUMBER: Final = re.compile(r"[1-9][0-9]{0,17}")
_SHA: Final = re.compile(r"[0-9a-f]{7,64}")
_PULL: Final = re.compile(r"refs/pull/([1-9][0-9]{0,11})/(merge|head)")
_ACTOR: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,60}(\[bot\])?")
_UNSAFE: Final = re.compile(r"[\s()<>]")


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkflowRun:
    """A workflow run, its commit, and its pull request if there is one."""

    repository: str  # owner/name
    id: int
    attempt: int
    sha: str  # for a pull request its head, not the merge commit
    event: str
    actor: str
    api: str
    server: str
    pull_request: int | None

    @property
    def link(self) -> str:
        """Return a link to this run, in Markdown."""
        return f"[run]({self.server}/{self.repository}/actions/runs/{self.id}/attempts/{self.attempt})"


def read_workflow_run(variables: Mapping[str, str], event: Mapping[str, Any]) -> WorkflowRun:
    """Return the run from the step's variables and the event. Raises UsageError outside of a workflow."""
    pull = as_object(event.get("pull_request"))
    head = pull.get("head")
    sha = head.get("sha") if isinstance(head, dict) else variables.get("GITHUB_SHA")
    ref = _PULL.fullmatch(variables.get("GITHUB_REF", ""))
    number = pull.get("number") or (int(ref[1]) if ref else None)
    return WorkflowRun(
        repository=_matching_variable(variables, "GITHUB_REPOSITORY", _REPOSITORY),
        id=int(_matching_variable(variables, "GITHUB_RUN_ID", _NUMBER)),
        attempt=int(_matching_variable({"GITHUB_RUN_ATTEMPT": "1", **variables}, "GITHUB_RUN_ATTEMPT", _NUMBER)),
        sha=_matching_variable({"GITHUB_SHA": str(sha or "")}, "GITHUB_SHA", _SHA),
        event=variables.get("GITHUB_EVENT_NAME", ""),
        actor=_matching_variable({"GITHUB_ACTOR": variables.get("GITHUB_ACTOR") or "nobody"}, "GITHUB_ACTOR", _ACTOR),
        api=_address(variables, "GITHUB_API_URL", "https://api.github.com"),
        server=_address(variables, "GITHUB_SERVER_URL", "https://github.com"),
        pull_request=number if isinstance(number, int) and not isinstance(number, bool) and number > 0 else None,
    )


def _matching_variable(variables: Mapping[str, str], name: str, pattern: re.Pattern[str]) -> str:
    value = variables.get(name, "")
    if not pattern.fullmatch(value):
        raise UsageError(f"{name} is not set as GitHub sets it: run this in a step of a GitHub workflow")
    return value


def _address(variables: Mapping[str, str], name: str, default: str) -> str:
    """Return a base address without a slash at its end. The token is sent there: it must be https, or loopback."""
    address = (variables.get(name) or default).rstrip("/")
    parts = request_url(address)
    if parts is None or parts.query or parts.fragment or _UNSAFE.search(address):
        raise UsageError(f"{name} is not an https:// address: the token is not sent there")
    return address


MAX_SUMMARY_BYTES: Final = 900_000  # bytes; GitHub drops a summary over 1 MiB


class StepFiles(NamedTuple):
    """The files that GitHub reads at the end of a step; outside of a workflow there are none."""

    outputs: Path | None
    summary: Path | None

    @classmethod
    def from_variables(cls, variables: Mapping[str, str]) -> "StepFiles":
        """Return the files in the step's variables."""
        outputs, summary = variables.get("GITHUB_OUTPUT"), variables.get("GITHUB_STEP_SUMMARY")
        return cls(Path(outputs) if outputs else None, Path(summary) if summary else None)

    def write_outputs(self, values: Mapping[str, object]) -> None:
        """Write outputs, each on one line."""
        _append(self.outputs, "".join(f"{name}={' '.join(str(value).split())}\n" for name, value in values.items()))

    def add_summary(self, text: str) -> None:
        """Add Markdown to the summary if it fits."""
        room = MAX_SUMMARY_BYTES - (self.summary.stat().st_size if self.summary and self.summary.exists() else 0)
        text = text if len(text.encode()) <= room else "This is too long for a summary: see the run's artifact."
        _append(self.summary, f"{text.rstrip()}\n\n")


def _append(path: Path | None, text: str) -> None:
    try:
        if path is not None:
            with path.open("a", encoding="utf-8") as file:
                file.write(text)
    except OSError as error:
        raise CxrouteError(f"cannot write {path}: {error.strerror}") from error


_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_PLAN_ID: Final = re.compile(r"[0-9a-f]{1,64}")
_MAX_FILE_BYTES: Final = 128 * MIB


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanReport:
    """The parts of a plan that a comment needs."""

    environment: str
    plan_id: str
    counts: dict[str, int]
    has_changes: bool
    is_refused: bool  # by a conflict or a guard
    text: str


def read_plan_report(directory: Path) -> PlanReport | None:
    """Return the report in a directory of `cxroute plan --report`; None if it is missing or incomplete."""
    plan = read_json_object(directory / "plan.json")
    try:
        text = read_text(directory / "plan.md", _MAX_FILE_BYTES)
    except OSError:
        return None
    environment, plan_id = str(plan.get("environment")), str(plan.get("planId"))
    if not _NAME.fullmatch(environment) or not _PLAN_ID.fullmatch(plan_id):
        return None
    summary = plan.get("summary")
    numbers = {name: summary.get(name) for name in COUNTED_ACTIONS} if isinstance(summary, dict) else {}
    endpoint = as_object(plan.get("endpoint"))
    conflicts = any(finding.get("severity") == "error" for finding in list_objects(plan, "findings"))
    return PlanReport(
        environment=environment,
        plan_id=plan_id,
        counts={name: number if isinstance(number, int) else 0 for name, number in numbers.items()},
        has_changes=bool(plan.get("changes")) or endpoint.get("before") != endpoint.get("after"),
        is_refused=conflicts or any(guard.get("ok") is False for guard in list_objects(plan, "guards")),
        text=text,
    )


def list_objects(plan: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    """Return the objects of a list in the plan."""
    items = plan.get(name)
    return [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []


def read_json_object(path: Path) -> dict[str, Any]:
    """Return the JSON object in a file; empty if there is none. Raises UsageError."""
    try:
        content = json.loads(read_file(path, _MAX_FILE_BYTES))
    except (FileNotFoundError, ValueError, RecursionError):
        return {}
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from error
    return as_object(content)


def as_object(value: object) -> dict[str, Any]:
    """Return a JSON object; an empty one in place of another value."""
    return value if isinstance(value, dict) else {}
