"""The head of a comment: what became of its plan, as Markdown, and whether that is the end of it."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from reconciler.render.inline import alert, code, inline

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from reconciler.github.run import Run

_MOST: Final = 10
_SENTENCE: Final = re.compile(r"(?<=[.;:]) ")
_REFUSED: Final = 4


class Head(NamedTuple):
    """Markdown; `applied` says that everything planned is done."""

    text: str
    applied: bool = False


def applied_head(form: Mapping[str, Any], run: Run, now: datetime) -> Head:
    """Say what `cxroute apply --format json` reports."""
    outcomes = [one for one in _list(form.get("outcomes")) if isinstance(one, dict)]
    error = form.get("error")
    if isinstance(error, dict) and not outcomes:
        word = "Refused" if error.get("exitCode") == _REFUSED else "Failed"
        return Head(alert("CAUTION", [f"**{word}** {_when(run, now)}", *_why(str(error.get("message", "")))]))
    done, total = Counter(str(one.get("status")) for one in outcomes)["applied"], len(outcomes)
    if form.get("converged") is True and done == total:
        what = "**Applied**" if total else "**Nothing was left to apply**"
        return Head(alert("NOTE", [f"{what} {_when(run, now)}"]), applied=True)
    missing = [one for one in outcomes if one.get("status") != "applied"]
    lines = [f"- {code(str(one.get('address')))} {_fate(one)}" for one in missing[:_MOST]]
    lines += [f"- and {len(missing) - _MOST} more"] if len(missing) > _MOST else []
    lines = lines or ["Read again, the tenant still differs from the manifests."]
    again = ["", "What is left is part of the reviewed plan: run it again to go on."]
    return Head(alert("CAUTION", [f"**Applied {done} of {total}** {_when(run, now)}", "", *lines, *again]))


def unreported_head(run: Run, now: datetime) -> Head:
    """Say that the run that applied left no report."""
    told = f"**Apply ended without a report** {_when(run, now)} What was done stands in its log and its journal."
    return Head(alert("CAUTION", [told]))


def outdated_head(why: str, run: Run, now: datetime) -> Head:
    """Say that this plan was not applied, and why; without a reason, that it is not what would be applied now."""
    what = "**Not applied**" if why.strip() else "**Out of date, not applied**"
    return Head(alert("WARNING", [f"{what} {_when(run, now)}", *_why(why)]))


def planless_head(run: Run, now: datetime) -> Head:
    """Say that a later commit has no plan: what stands below is of an earlier one."""
    told = f"**No plan for {code(run.sha[:8])}**: what is below is of an earlier commit. Why stands in the checks."
    return Head(alert("CAUTION", [f"{told} {_when(run, now)}"]))


def _why(text: str) -> list[str]:
    """Return sentences from outside as a paragraph. Each is bounded by itself, so the last ones are there too."""
    lines = [" ".join(map(inline, _SENTENCE.split(line.strip()))) for line in text.splitlines() if line.strip()]
    return ["", "<br>".join(lines[:_MOST])] if lines else []


def _fate(outcome: Mapping[str, Any]) -> str:
    words = {"failed": "failed", "skipped": "not tried", "unknown": "unknown: the next run finds out"}
    word = words.get(str(outcome.get("status")), "unknown")
    return f"{word}: {inline(str(outcome['error']))}" if outcome.get("error") else word


def _when(run: Run, now: datetime) -> str:
    return f"on {now:%Y-%m-%d at %H:%M} UTC by @{run.actor} ({run.link})."


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []
