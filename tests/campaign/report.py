"""The campaign's figures as text, for the terminal and for docs/internals/campaign.md."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from os import cpu_count
from pathlib import Path
from typing import Final

from tests.campaign.bug_search import BugRow
from tests.campaign.cases import CaseResult, Running
from tests.campaign.figures import Figures
from tests.campaign.world import Event

PAGE: Final = Path(__file__).parents[2] / "docs/internals/campaign.md"
BEGIN = "<!-- figures: begin -->\n"
END = "<!-- figures: end -->\n"
_MOST_SHOWN: Final = 20


def table(found: Figures, how: tuple[float, str, int]) -> str:
    """Return all figures; `how` is seconds, tier and seed."""
    return "\n".join(
        [
            *_head(found, *how),
            "",
            *_checks(found),
            "",
            *_converged(found),
            *_broken(found),
            "",
        ]
    )


def bugs(caught: Iterable[BugRow]) -> str:
    """Return the promise that caught each deliberate bug, and the number of cases until then."""
    rows = [
        f"| {row.bug.replace('_', ' ')} | {row.caught} | {row.tried} |"
        for row in caught
    ]
    return "\n".join(
        [
            "\n| Deliberate bug | Caught by | Cases |",
            "|---|---|---:|",
            *rows,
            "",
        ]
    )


def reproductions(caught: Iterable[tuple[str, str]]) -> str:
    """Return the case that caught each deliberate bug, from pairs of a bug and its case.

    The case reproduces the catch while the bug is in place. A bug that nothing caught is left out.
    """
    lines = [f"  {bug}: {case}" for bug, case in caught if case]
    return "\n".join(["", "The case that caught each deliberate bug:", *lines, ""])


def write(
    found: Figures,
    caught: Iterable[BugRow],
    how: tuple[float, str, int],
    of_scripts: str,
) -> None:
    """Write the figures into the page, between its markers; `of_scripts` are those of rules in a
    Studio script.
    """
    text = PAGE.read_text(encoding="utf-8")
    inner = table(found, how) + bugs(caught) + of_scripts
    marked = re.sub(
        f"{BEGIN}.*?{END}", lambda _: BEGIN + inner + END, text, flags=re.DOTALL
    )
    PAGE.write_text(marked, encoding="utf-8")


def _head(found: Figures, seconds: float, tier: str, seed: int) -> Iterator[str]:
    day = datetime.now(UTC).date().isoformat()
    yield f"{day}, tier {tier}, seed {seed}, {seconds:.0f} s on {cpu_count()} cores."
    yield ""
    yield "| Part | Cases | Requests |"
    yield "|---|---:|---:|"
    for part, runs in found.runs.items():
        yield f"| {part} | {runs:,} | {found.requests[part]:,} |"
    yield f"| all | {sum(found.runs.values()):,} | {sum(found.requests.values()):,} |"


def _checks(found: Figures) -> Iterator[str]:
    yield "| Promise | Checks | Broken |"
    yield "|---|---:|---:|"
    for invariant in sorted(found.checks, key=lambda item: (len(item), item)):
        checks = found.checks[invariant]
        yield f"| {invariant} | {checks:,} | {found.broken[invariant]} |"


def _converged(found: Figures) -> Iterator[str]:
    tried = sum(found.tried.values())
    yield (
        f"Same-run convergence with one transient fault: {found.convergence:.2%} of {tried:,} "
        f"runs."
    )
    runs = found.tried.values()
    yield (
        f"There are {len(runs)} faults, each with {min(runs, default=0):,} to "
        f"{max(runs, default=0):,} runs."
    )
    rare = {
        name: found.converged[name] / tried
        for name, tried in found.tried.items()
        if found.converged[name] < tried
    }
    if rare:
        yield ""
        yield "| Fault | Runs | Converged |"
        yield "|---|---:|---:|"
    for name, share in sorted(rare.items(), key=lambda item: (item[1], item[0])):
        yield f"| `{name}` | {found.tried[name]:,} | {share:.1%} |"


def _broken(found: Figures) -> Iterator[str]:
    for invariant, line, message in found.violations[:_MOST_SHOWN]:
        yield f"\n{invariant}: {message}\n    {line}"
    for line in found.missed[:_MOST_SHOWN]:
        yield f"\nnot converged in the same run:\n    {line}"


def detailed(running: Running, result: CaseResult) -> str:
    """Return all events of one case."""
    lines = [
        str(result.case),
        "",
        "before:",
        *_rules(running.scenario.rules),
        "",
        "requests:",
    ]
    lines += [_event(event) for event in running.world.events]
    lines += [
        "",
        "after:",
        *_rules(running.world.state.rules()),
        "",
        "output of the runs:",
    ]
    lines += [item[:400] for item in running.world.said]
    lines += [
        "",
        "exit codes: "
        + ", ".join(str(item and item.exit_code) for item in result.ended),
    ]
    lines += [
        f"{violation.invariant}: {violation.message}" for violation in result.violations
    ] or ["no violation"]
    return "\n".join(lines) + "\n"


def _rules(rules: object) -> Iterator[str]:
    for rule in rules if isinstance(rules, (list, tuple)) else ():
        printed = {
            key: rule.get(key)
            for key in ("priority", "enabled", "conditions", "targets")
        }
        yield f"  {rule['id']:9} {rule['name']!r} {rule.get('description')!r} {json.dumps(printed)}"


def _event(event: Event) -> str:
    request = event.request
    answer = event.answer
    received = (
        "no answer"
        if answer is None
        else f"{answer.delivery.name.lower()} {answer.status}"
    )
    changed = "changed the tenant" if request.changed_state else ""
    path = request.path + (f"?{request.query}" if request.query else "")
    body = request.body[:160].decode(errors="replace") if "token" not in path else ""
    return f"  {event.actor:8} #{event.number:<3} {request.method:6} {path} -> {received} {changed} {body}".rstrip()
