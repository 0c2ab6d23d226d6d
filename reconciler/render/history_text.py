"""The journal as text: one line a run, or one run with every change's before and after."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reconciler.words import counted, plain, value

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from reconciler.change import Run


def runs_text(runs: Sequence[Run]) -> str:
    """Return a line for each run, newest first."""
    if not runs:
        return "No run is recorded yet.\n"
    rows = [
        (run.id, _text(run.start, "at"), _text(run.start, "who"), _outcome(run), _text(run.start, "reason"))
        for run in reversed(runs)
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    return "".join(
        "  ".join([*(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=False)), row[4]]).rstrip() + "\n"
        for row in rows
    )


def run_text(run: Run) -> str:
    """Return one run: who, when, why, and each change with what it was before and after."""
    lines = [f"Run {plain(run.id)}   {_outcome(run)}"]
    names = ("at", "environment", "who", "reason", "planId", "allowed", *(["undo"] if run.start.get("undo") else ()))
    lines += [f"  {name}: {_text(run.start, name)}" for name in names]
    for change in run.changes:
        lines += ["", f"  {_text(change, 'action')} {_text(change, 'address')}   {_text(change, 'status')}"]
        if change.get("error"):
            lines.append(f"      {_text(change, 'error')}")
        lines += _differences(change.get("before"), change.get("after"))
    return "\n".join(lines) + "\n"


def run_document(run: Run) -> dict[str, Any]:
    """Return one run as JSON: its head, its changes and its end."""
    return {"run": run.id, "start": dict(run.start), "changes": [dict(one) for one in run.changes], "end": run.end}


def _differences(before: object, after: object) -> Iterator[str]:
    old = before if isinstance(before, dict) else {}
    new = after if isinstance(after, dict) else {}
    for name in ("name", "description", "priority", "enabled", "conditions", "targets"):
        if old.get(name) != new.get(name):
            shown = [value(side[name]) if name in side else "nothing" for side in (old, new)]
            yield f"      {name}: {shown[0]} -> {shown[1]}"


def _outcome(run: Run) -> str:
    if run.end is None:
        return f"{counted(len(run.changes), 'change')}, ended without a word"
    applied = sum(change.get("status") == "applied" for change in run.changes)
    return f"{applied} of {counted(len(run.changes), 'change')} applied"


def _text(entry: Mapping[str, Any], name: str) -> str:
    found = entry.get(name)
    return "-" if found in (None, "", []) else plain(found if isinstance(found, str) else value(found))
