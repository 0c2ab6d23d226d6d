"""Who goes elsewhere, as text for a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from reconciler.render.impact import NOT_KNOWN, OTHERS, Affected, Case

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reconciler.render.colour import Paint


_ONE_LINE: Final = 100
"""Characters of who, from where to where, that stand on one line."""


def behaviour_lines(told: Affected, paint: Paint) -> Iterator[str]:
    """Yield who goes elsewhere, or that nobody does, or what is not known."""
    yield f"{paint('bold', told.head)}   ({told.share})" if told.share else paint("bold", told.head)
    for case in told.cases:
        yield from _case(case, paint)
    if told.rest():
        yield f"  {told.rest()}; see -v or plan.html"
    if told.cases and not told.unknown:
        yield f"  {OTHERS}"
    if told.premise:
        yield f"  {told.premise}"
    for one in told.balance:
        yield f"  {one.queue} gets {one.before} today, {one.after} afterwards: {one.change}"
    if told.unknown:
        yield paint("yellow", NOT_KNOWN)
        yield from (f"  {one}" for one in told.unknown)


def _case(case: Case, paint: Paint) -> Iterator[str]:
    """Yield one row: who, from where to where, exceptions, an example, the rules."""
    share = f"   {case.share}" if case.share else ""
    if len(case.befores) == 1 and len(f"{case.who}: {case.way}") <= _ONE_LINE:
        yield f"  {case.who}: {paint('yellow', case.way)}{share}"
    else:
        yield f"  {case.who}{share}"
        yield f"      {paint('yellow', case.way)}"
    yield from (f"      {one}" for one in case.excepts)
    yield paint("dim", f"      example: {case.example}   ({case.rules})")
