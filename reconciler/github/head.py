"""The head of a comment: what became of its plan, as Markdown, and whether that is the end of it."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from reconciler.github.quoting import code, link_free

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from reconciler.github.run import Run

_MOST: Final = 10
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
        return _stopped(error, run, now)
    counts = Counter(str(one.get("status")) for one in outcomes)
    done, total = counts["applied"], len(outcomes)
    if form.get("converged") is True and done == total:
        what = "**Applied**" if total else "**Nothing was left to apply**"
        return Head(f"> [!NOTE]\n> {what} {_when(run, now)}", applied=True)
    told = f"> [!CAUTION]\n> **Applied {done} of {total}** {_when(run, now)}"
    missing = [one for one in outcomes if one.get("status") != "applied"]
    lines = [f"> - {code(str(one.get('address')))} {_fate(one)}" for one in missing[:_MOST]]
    more = [f"> - and {len(missing) - _MOST} more"] if len(missing) > _MOST else []
    since = [] if missing else ["> Read again, the tenant still differs from the manifests."]
    return Head("\n".join([told, ">", *lines, *more, *since]))


def unreported_head(run: Run, now: datetime) -> Head:
    """Say that the run that applied left no report."""
    return Head(f"> [!CAUTION]\n> **Apply ended without a report** {_when(run, now)} What was done stands in its log.")


def outdated_head(why: str, run: Run, now: datetime) -> Head:
    """Say that this plan is not what would be applied now."""
    reason = f"\n>\n> {link_free(why)}" if why.strip() else ""
    return Head(f"> [!WARNING]\n> **Out of date, not applied** {_when(run, now)}{reason}")


def planless_head(run: Run, now: datetime) -> Head:
    """Say that a later commit has no plan: what stands below is of an earlier one."""
    commit = code(run.sha[:8])
    told = f"> **No plan for {commit}**: what is below is of an earlier commit. Why stands in the checks."
    return Head(f"> [!CAUTION]\n{told} {_when(run, now)}")


def _stopped(error: Mapping[str, Any], run: Run, now: datetime) -> Head:
    word = "Refused" if error.get("exitCode") == _REFUSED else "Failed"
    return Head(f"> [!CAUTION]\n> **{word}** {_when(run, now)}\n>\n> {link_free(str(error.get('message', '')))}")


def _fate(outcome: Mapping[str, Any]) -> str:
    words = {"failed": "failed", "skipped": "not tried", "unknown": "unknown: the next run finds out"}
    word = words.get(str(outcome.get("status")), "unknown")
    return f"{word}: {code(str(outcome['error']))}" if outcome.get("error") else word


def _when(run: Run, now: datetime) -> str:
    return f"on {now:%Y-%m-%d at %H:%M} UTC by @{run.actor} ({run.link})."


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []
