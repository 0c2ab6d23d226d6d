"""The results of `doctor`: one line per check, followed by its advice."""

from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

from reconciler.core.model.check import CheckResult
from reconciler.render.colour import Style

_COLOURS: Final = {"ok": "green", "warn": "yellow", "fail": "red"}


def doctor_text(results: Sequence[CheckResult], style: Style) -> str:
    """Return the lines and the totals."""
    width = max((len(line.name) for line in results), default=0)
    lines = []
    for line in results:
        status = " " * 4
        if line.is_checked:
            status = style(_COLOURS[line.status], f"{line.status:<4}")
        lines.append(f"  {status}  {line.name:<{width}}  {line.message}")
        if line.advice:
            indent = " " * (width + 10)
            lines.append(f"{indent}{line.advice}")
    counts = Counter[str](line.status for line in results if line.is_checked)
    totals = ", ".join(f"{counts[status]} {status}" for status in _COLOURS)
    return "\n".join([*lines, "", f"{totals}."]) + "\n"


def doctor_document(results: Sequence[CheckResult], environment: str) -> dict[str, Any]:
    """Return the same as JSON."""
    checks = [
        {
            "name": check.name,
            "status": check.status,
            "message": check.message,
            "advice": check.advice or None,
        }
        for check in results
    ]
    return {"environment": environment, "ok": is_healthy(results), "checks": checks}


def is_healthy(results: Sequence[CheckResult]) -> bool:
    """Return whether no check failed."""
    return all(line.status != "fail" for line in results)
