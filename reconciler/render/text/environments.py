"""Several environments at a glance: a line each, before what is said of each of them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from reconciler.model.change import Applied
from reconciler.plan.document import summary
from reconciler.plan.drift_json import counts
from reconciler.plan.guards import refusals
from reconciler.render.escape_markdown import cell, code, inline
from reconciler.render.impact import affected
from reconciler.render.summary import tests_title
from reconciler.text.escape import pluralize, sanitize

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reconciler.apply.report import Report
    from reconciler.behaviour.diff.difference import Behaviour
    from reconciler.plan.drift import Drift
    from reconciler.plan.plan import Plan
    from reconciler.plan.traffic_shares import Moved
    from reconciler.render.colour import Paint


State = Literal["same", "differs", "refused", "failed", "partly", "applied", "interrupted"]

_COLOURS: Final[dict[State, str]] = {
    "same": "dim",
    "differs": "yellow",
    "refused": "red",
    "failed": "red",
    "partly": "red",
    "applied": "green",
    "interrupted": "red",
}
_SAID: Final[dict[State, str]] = {
    "applied": "applied",
    "differs": "with changes",
    "same": "with nothing to do",
    "partly": "not wholly applied",
    "refused": "refused",
    "failed": "failed",
    "interrupted": "interrupted",
}
_HEAD: Final = ("environment", "changes", "who is affected")
_SECTIONS: Final = ("changed in CXone", "missing", "in the way", "not applied", "accepted")
_WIDEST: Final = 70


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One environment's line: `changes` as `2 update, 1 delete`, who is affected, and how it stands in a few words."""

    environment: str
    changes: str
    affected: str
    state: State
    said: str = ""


def planned_row(plan: Plan) -> Row:
    """Return the line of a plan that nobody has applied."""
    if plan.failed_tests:
        return _row(plan, "refused", tests_title(plan.failed_tests))
    in_the_way = [pluralize(len(plan.conflicts), "rule") + " in the way"] if plan.conflicts else []
    refused = ", ".join([*in_the_way, *(result.name for result in refusals(plan))])
    if refused:
        return _row(plan, "refused", f"apply will refuse this: {refused}")
    return _row(plan, "differs") if plan.changes else _row(plan, "same")


def drift_row(drift: Drift) -> Row:
    """Return the line of an environment's drift."""
    state: State = "differs" if drift.differs else "same"
    words = [f"{count:,} {what}" for what, count in zip(_SECTIONS, counts(drift).values(), strict=True) if count]
    plan, impact = drift.plan, drift.unwanted
    words += [f"{len(plan.conflicts):,} in conflict"] if plan.conflicts else []
    words += [f"{len(drift.failures):,} failed on the live rules"] if drift.failures else []
    words += [f"{len(plan.held):,} left alone"] if plan.held else []
    return Row(
        environment=plan.environment,
        changes=", ".join(words) or "none",
        affected=_who(plan, impact.behaviour, impact.moved),
        state=state,
    )


def applied_row(plan: Plan, report: Report | None) -> Row:
    """Return the line of a plan of which this became; without a report there was nothing to do."""
    if report is None:
        return _row(plan, "same")
    done = sum(isinstance(outcome, Applied) for outcome in report.outcomes)
    said = f"applied {done:,} of {len(report.outcomes):,}{f'; {report.error}' if report.error else ''}"
    if report.converged:
        return _row(plan, "applied", said)
    return _row(plan, "interrupted" if report.interrupted else "partly", said)


def _row(plan: Plan, state: State, said: str = "") -> Row:
    counts = summary(plan)
    words = [f"{counts[kind]:,} {kind}" for kind in ("create", "update", "adopt", "delete") if counts[kind]]
    words = words or ["clean-up"] * bool(plan.changes)
    words += [f"{counts['held']:,} left alone"] if counts["held"] else []
    return Row(
        environment=plan.environment,
        changes=", ".join(words) or "none",
        affected=_affected(plan),
        state=state,
        said=said,
    )


def _affected(plan: Plan) -> str:
    if not plan.changes:
        return "nobody"
    return "not known" if plan.behaviour is None else _who(plan, plan.behaviour, plan.moved)


def _who(plan: Plan, behaviour: Behaviour, moved: Moved | None) -> str:
    who = affected(behaviour, plan.queue_names, plan.labels, moved)
    if not who.cases:
        return "nobody" if who.complete else "not known"
    share = f", {who.share}" if moved else ""
    return f"{pluralize(len(who.cases) + who.more, 'case')}{share}"


def several_text(rows: Sequence[Row], title: str, paint: Paint) -> str:
    """Return the table for a terminal: the sum of it, then a line for each environment.

    `title` goes before their number: `Plan for`.
    """
    lines = [(row.environment, row.changes, row.affected) for row in rows]
    widths = [max(map(len, column)) for column in zip(_HEAD, *lines, strict=True)]
    shown = [paint("bold", f"{title} {total(rows)}"), "", f"  {paint('dim', _aligned(_HEAD, widths).rstrip())}"]
    for line, row in zip(lines, rows, strict=True):
        shown.append(f"  {_aligned(line, widths)}{paint(_COLOURS[row.state], _state(row))}".rstrip())
    return "\n".join(shown) + "\n"


def several_markdown(rows: Sequence[Row], title: str) -> str:
    """Return the table in Markdown."""
    lines = [f"### {title} {total(rows)}", "", "| Environment | Changes | Who is affected | |", "|---|---|---|---|"]
    for row in rows:
        cells = (code(row.environment), row.changes, inline(row.affected), inline(_state(row)))
        lines.append(f"| {' | '.join(map(cell, cells))} |")
    return "\n".join(lines) + "\n"


def total(rows: Sequence[Row]) -> str:
    """Return `3 environments: 1 with changes, 2 with nothing to do`."""
    states = Counter(row.state for row in rows)
    parts = [f"{states[state]:,} {words}" for state, words in _SAID.items() if states[state]]
    return f"{pluralize(len(rows), 'environment')}: {', '.join(parts)}" if parts else pluralize(0, "environment")


def _state(row: Row) -> str:
    said = sanitize(row.said or {"same": "nothing to do", "differs": ""}.get(row.state, row.state))
    return said if len(said) <= _WIDEST else f"{said[: _WIDEST - 3]}..."


def _aligned(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "".join(f"{one:<{width}}  " for one, width in zip(cells, widths, strict=True))
