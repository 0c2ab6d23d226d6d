"""Who goes elsewhere, as text for a terminal."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from reconciler.render.affected import BRIEF, NOT_KNOWN, OTHERS
from reconciler.words import counted

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from reconciler.render.affected import Affected, Case
    from reconciler.render.paint import Paint


def behaviour_lines(told: Affected, paint: Paint) -> Iterator[str]:
    """Yield who goes elsewhere, or that nobody does, or what is not known."""
    yield f"{paint('bold', told.head)}   ({told.share})" if told.share else paint("bold", told.head)
    if told.form == "each":
        for case in told.cases:
            yield from _each(case, paint)
    elif told.form == "ways":
        yield from _by_way(told.cases, paint)
    else:
        yield from _briefly(told, paint)
    if told.cases and told.complete:
        yield f"  {OTHERS}"
    if told.unknown:
        yield paint("yellow", NOT_KNOWN)
        yield from (f"  {one}" for one in told.unknown)


def _each(case: Case, paint: Paint) -> Iterator[str]:
    """Yield one case: who, from where to where, exceptions, an example, the rules."""
    yield f"  {case.who}: {paint('yellow', case.way)}{_share(case)}"
    yield from _details(case, paint)


def _by_way(cases: Sequence[Case], paint: Paint) -> Iterator[str]:
    """Yield many cases: those with one way together, under a line that says it once."""
    first = {case.way: place for place, case in reversed(list(enumerate(cases)))}
    together = sorted(cases, key=lambda case: first[case.way])
    for way, group in groupby(together, key=lambda case: case.way):
        yield f"  {paint('yellow', way)}"
        for case in group:
            yield f"    {case.who}{_share(case)}"
            yield from _details(case, paint)


def _briefly(told: Affected, paint: Paint) -> Iterator[str]:
    for case in told.cases:
        yield f"  {case.who}{_share(case)}"
        yield f"      {paint('yellow', case.way)}"
        yield _example(case, paint)
    if told.more:
        yield f"  and {counted(told.more, 'further case')}."
    yield f"  {BRIEF}; -v says all of it, exactly."


def _details(case: Case, paint: Paint) -> Iterator[str]:
    yield from (f"      {one}" for one in case.excepts)
    yield _example(case, paint)


def _example(case: Case, paint: Paint) -> str:
    return paint("dim", f"      example: {case.example}   ({case.rules})")


def _share(case: Case) -> str:
    return f"   {case.share}" if case.share else ""
