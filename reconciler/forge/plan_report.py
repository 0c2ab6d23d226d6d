"""The report of a plan, as `cxroute plan --report DIR` writes it: the parts that a note needs."""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from reconciler.errors import UsageError
from reconciler.plan.document import COUNTED_ACTIONS
from reconciler.text.files import MIB, read_file, read_text
from reconciler.text.json_values import as_object, list_objects, number_at

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
    summary, endpoint = as_object(plan.get("summary")), as_object(plan.get("endpoint"))
    conflicts = any(finding.get("severity") == "error" for finding in list_objects(plan, "findings"))
    return PlanReport(
        environment=environment,
        plan_id=plan_id,
        counts={name: number_at(summary, name) for name in COUNTED_ACTIONS},
        has_changes=bool(plan.get("changes")) or endpoint.get("before") != endpoint.get("after"),
        is_refused=conflicts or any(guard.get("ok") is False for guard in list_objects(plan, "guards")),
        text=text,
    )


def read_json_object(path: Path) -> dict[str, Any]:
    """Return the JSON object in a file; empty if there is none. Raises UsageError."""
    try:
        content = json.loads(read_file(path, _MAX_FILE_BYTES))
    except (FileNotFoundError, ValueError, RecursionError):
        return {}
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from error
    return as_object(content)
