"""The impact on conversations, and replayed ones, as text for a terminal."""

from collections.abc import Iterator
from typing import Final

from reconciler.render.colour import Style
from reconciler.render.impact import OTHERS_UNCHANGED, UNKNOWN_NOTE, ImpactCase, ImpactSummary
from reconciler.render.replay import ReplaySummary

_ONE_LINE: Final = 100  # characters of callers and route that fit on one line


def impact_lines(impact: ImpactSummary, style: Style) -> Iterator[str]:
    """Yield the title, the cases, the balance of queues, and the unknown cases."""
    yield f"{style('bold', impact.title)}   ({impact.share})" if impact.share else style("bold", impact.title)
    for case in impact.cases:
        yield from _case(case, style)
    if impact.rest_text():
        yield f"  {impact.rest_text()}; see -v or plan.html"
    if impact.cases and not impact.unknown:
        yield f"  {OTHERS_UNCHANGED}"
    if impact.premise:
        yield f"  {impact.premise}"
    for item in impact.balance:
        yield f"  {item.queue} gets {item.before} today, {item.after} afterwards: {item.change}"
    if impact.unknown:
        yield style("yellow", UNKNOWN_NOTE)
        yield from (f"  {item}" for item in impact.unknown)


def replay_lines(replay: ReplaySummary, style: Style) -> Iterator[str]:
    """Yield the title, the cases and the notes of replayed conversations."""
    yield style("bold", replay.title)
    for case in replay.cases:
        yield from _case(case, style)
    yield from (f"  {note}" for note in replay.notes)


def _case(case: ImpactCase, style: Style) -> Iterator[str]:
    share = f"   {case.share}" if case.share else ""
    if len(case.origins) == 1 and len(f"{case.callers}: {case.route}") <= _ONE_LINE:
        yield f"  {case.callers}: {style('yellow', case.route)}{share}"
    else:
        yield f"  {case.callers}{share}"
        yield f"      {style('yellow', case.route)}"
    yield from (f"      {exception}" for exception in case.exceptions)
    yield style("dim", f"      example: {case.example}   ({case.rules})")
