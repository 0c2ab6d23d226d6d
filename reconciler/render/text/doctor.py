"""What `doctor` saw, line by line: whether it is in order, what was seen, and below that what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reconciler.doctor.check import Line
    from reconciler.render.colour import Paint


_COLOURS: Final = {"ok": "green", "warn": "yellow", "fail": "red"}


def doctor_text(lines: Sequence[Line], paint: Paint) -> str:
    """Return the lines, and their sum."""
    width = max((len(line.name) for line in lines), default=0)
    shown = [part for line in lines for part in _shown(line, paint, width)]
    counts = {state: sum(line.state == state for line in lines) for state in _COLOURS}
    said = ", ".join(f"{count} {state}" for state, count in counts.items())
    return "\n".join([*shown, "", f"{said}."]) + "\n"


def doctor_document(lines: Sequence[Line], environment: str) -> dict[str, Any]:
    """Return the same as JSON."""
    checks = [
        {"name": line.name, "status": line.state, "message": line.message, "advice": line.advice or None}
        for line in lines
    ]
    return {"environment": environment, "ok": healthy(lines), "checks": checks}


def healthy(lines: Sequence[Line]) -> bool:
    """Say whether nothing failed."""
    return all(line.state != "fail" for line in lines)


def _shown(line: Line, paint: Paint, width: int) -> list[str]:
    head = f"  {paint(_COLOURS[line.state], f'{line.state:<4}')}  {line.name:<{width}}  {line.message}"
    return [head, f"{' ' * (width + 10)}{line.advice}"] if line.advice else [head]
