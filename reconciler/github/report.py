"""What `cxroute plan --report DIR` left: the plan, and its Markdown."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from reconciler.errors import UsageError
from reconciler.regular_file import MIB, read_file, read_text

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_PLAN_ID: Final = re.compile(r"[0-9a-f]{1,64}")
_COUNTED: Final = ("create", "update", "adopt", "delete")
_LARGEST: Final = 128 * MIB


@dataclass(frozen=True, slots=True)
class Report:
    """A plan as far as a comment needs it."""

    environment: str
    plan_id: str
    counts: dict[str, int]
    has_changes: bool
    refused: bool
    """Whether something stands in the way: a conflict, or a guard."""
    text: str

    @property
    def speaks(self) -> bool:
        """Say whether the plan is worth a comment of its own."""
        return self.has_changes or self.refused


def report(directory: Path) -> Report | None:
    """Read a report; None where there is none, or one that is not whole."""
    plan = document(directory / "plan.json")
    try:
        text = read_text(directory / "plan.md", _LARGEST)
    except OSError:
        return None
    environment, plan_id = str(plan.get("environment")), str(plan.get("planId"))
    if not _NAME.fullmatch(environment) or not _PLAN_ID.fullmatch(plan_id):
        return None
    summary = plan.get("summary")
    counts = {name: _number(summary.get(name)) for name in _COUNTED} if isinstance(summary, dict) else {}
    conflicts = any(one.get("severity") == "error" for one in objects(plan, "findings"))
    guards = any(one.get("ok") is False for one in objects(plan, "guards"))
    return Report(environment, plan_id, counts, bool(plan.get("changes")), conflicts or guards, text)


def objects(plan: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    """Return the objects of a list in the plan."""
    found = plan.get(name)
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def document(path: Path) -> dict[str, Any]:
    """Return the JSON object of a file; an empty one where there is none. Raises UsageError."""
    try:
        form = json.loads(read_file(path, _LARGEST))
    except (FileNotFoundError, ValueError, RecursionError):
        return {}
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from error
    return form if isinstance(form, dict) else {}


def _number(value: object) -> int:
    return value if isinstance(value, int) else 0
