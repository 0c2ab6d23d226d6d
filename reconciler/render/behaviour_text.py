"""Who goes elsewhere, as text: which conversations, from where to where, an example of each; what is not known."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Final

from reconciler.model import ORDERS, Condition
from reconciler.render.clauses_text import clauses_phrase, exception_phrase
from reconciler.words import conversation_phrase, counted, plain, queue_phrase, value

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from reconciler.behaviour.difference import Behaviour
    from reconciler.behaviour.entry import Destination, Entry
    from reconciler.behaviour.express import Clause
    from reconciler.behaviour.region import Region
    from reconciler.render.paint import Paint
    from reconciler.shares import Share

    _Say = Callable[[Region], Sequence[str]]

DEFAULT: Final = "the tenant's default"
MOST_SHOWN: Final = 20
EVERYTHING: Final = 10**9
"""How many cases are shown to who wants to see all."""
_MOST_UNGROUPED: Final = 6
_MOST_EXCEPTIONS: Final = 5
_MOST_UNKNOWN: Final = 5


@dataclass(frozen=True, slots=True)
class Traffic:
    """Which share of a sample goes elsewhere: in all, and by region, in their order."""

    shares: Sequence[Share]
    sample: str
    """What the sample is called: `October 2026`, `traffic/prod.csv`."""
    total: Share


@dataclass(frozen=True, slots=True)
class _Row:
    region: Region
    percent: float
    share: str
    """The share in words; empty where there is no sample."""


def behaviour_lines(
    behaviour: Behaviour,
    names: Mapping[str, str],
    labels: Mapping[str, str],
    paint: Paint,
    traffic: Traffic | None = None,
    most: int = MOST_SHOWN,
) -> Iterator[str]:
    """Yield who goes elsewhere, or that nobody does, or what is not known.

    `names` are queues by id, `labels` what people call attributes that the API knows by longer names. A few cases are
    told exactly. Of many, up to `most` are shown, each by what is asked for and not by what is left out; with
    `EVERYTHING` all of them, exactly.
    """
    if not behaviour.regions:
        known = "No conversation is known to go elsewhere." if behaviour.unknown else ""
        yield paint("bold", known or "No conversation goes elsewhere (proven).")
    else:
        known = f"{share_phrase(traffic.total)} of {plain(traffic.sample)}" if traffic else "share of callers unknown"
        yield f"{paint('bold', 'Who is affected')}   ({known})"
        rows = _ordered(behaviour, traffic, labels)
        if len(rows) <= _MOST_UNGROUPED:
            for row in rows:
                yield from region_lines(row.region, names, labels, paint, row.share)
        else:
            yield from _by_way(rows[:most], names, paint, _exactly(labels) if most == EVERYTHING else _briefly(labels))
            yield from _left_out(len(rows), most)
        if not behaviour.unknown:
            yield "  Everyone else: no change (proven)."
    yield from _unknown(behaviour.unknown, labels, paint)


def region_lines(
    region: Region, names: Mapping[str, str], labels: Mapping[str, str], paint: Paint, share: str = ""
) -> Iterator[str]:
    """Yield one region: who, from where to where, exceptions, an example, the rules. `share` stands after the arrow."""
    move = paint("yellow", move_phrase(region.before, region.after, names))
    yield f"  {clauses_phrase(region.where, labels)}: {move}{share}"
    yield from _details(region, labels, paint)


def move_phrase(before: Destination, after: Destination, names: Mapping[str, str]) -> str:
    """Say from where to where: `"Card Services" -> "General"`."""
    return f"{destination_phrase(before, names)} -> {destination_phrase(after, names)}"


def destination_phrase(destination: Destination, names: Mapping[str, str]) -> str:
    """Say a destination: a queue, a split with percents, no queue, or the tenant's default."""
    if destination is None:
        return DEFAULT
    if not destination:
        return "no queue"
    if len(destination) == 1:
        return _queue(destination[0][0], names)
    heaviest = sorted(destination, key=lambda part: (-part[1], names.get(part[0], part[0])))
    return ", ".join(f"{100 * float(share):.3g} % {_queue(queue, names)}" for queue, share in heaviest)


def share_phrase(share: Share) -> str:
    """Say a share of a sample: `3.1 %`; "at most" where the sample does not tell enough."""
    shown = "under 0.1" if 0 < share.most < 0.1 else f"{share.most:.1f}"  # noqa: PLR2004 - what one digit can show
    return f"{'' if share.least == share.most else 'at most '}{shown} %"


def _ordered(behaviour: Behaviour, traffic: Traffic | None, labels: Mapping[str, str]) -> list[_Row]:
    """Order regions by their share of the traffic, else by how much they name: who matters most stands first.

    Those that hang on something that is not understood stand last.
    """
    if traffic:
        rows = [
            _Row(region, share.most, f"   {share_phrase(share)}")
            for region, share in zip(behaviour.regions, traffic.shares, strict=True)
        ]
    else:
        rows = [_Row(region, 0.0, "") for region in behaviour.regions]
    return sorted(
        rows,
        key=lambda row: (
            -row.percent,
            any(not isinstance(part, Condition) for part, _ in row.region.where),
            -_size(row.region, labels),
            len(row.region.where),
        ),
    )


def _size(region: Region, labels: Mapping[str, str]) -> int:
    """Return how many intents a region names; none where it leaves that open: who is named reads best."""
    sizes = [
        len(part.value) if isinstance(part.value, tuple) else 1
        for part, negate in region.where
        if isinstance(part, Condition)
        and labels.get(part.attribute) == "intent"
        and not negate
        and part.operator in ("equals", "in")
    ]
    return min(sizes, default=0)


def _by_way(rows: Sequence[_Row], names: Mapping[str, str], paint: Paint, say: _Say) -> Iterator[str]:
    """Yield many regions: those with one way together, under a line that says it once."""
    ways = [move_phrase(row.region.before, row.region.after, names) for row in rows]
    first = {way: place for place, way in reversed(list(enumerate(ways)))}
    together = sorted(zip(ways, rows, strict=True), key=lambda pair: first[pair[0]])
    for way, group in groupby(together, key=lambda pair: pair[0]):
        yield f"  {paint('yellow', way)}"
        for _, row in group:
            first_line, *details = say(row.region)
            yield f"    {first_line}{row.share}"
            yield from (paint("dim", line) for line in details)


def _exactly(labels: Mapping[str, str]) -> _Say:
    """Return what says a region with all that it leaves out."""
    return lambda region: [clauses_phrase(region.where, labels), *_exceptions(region, labels), _example(region, labels)]


def _briefly(labels: Mapping[str, str]) -> _Say:
    """Return what says a region by what it asks for; what others take first is left out."""

    def say(region: Region) -> list[str]:
        asked = [clause for clause in region.where if _asks_for(clause)]
        return [clauses_phrase(asked, labels) if asked else "what no other rule takes first", _example(region, labels)]

    return say


def _asks_for(clause: Clause) -> bool:
    part, negate = clause
    if not isinstance(part, Condition):
        return not negate
    return part.operator in ORDERS if negate else part.operator != "exists"


def _left_out(count: int, most: int) -> Iterator[str]:
    if count > most:
        yield f"  and {counted(count - most, 'further case')}."
    if most != EVERYTHING:
        yield "  Each line leaves out what other rules take first; -v says all of it, exactly."


def _details(region: Region, labels: Mapping[str, str], paint: Paint) -> Iterator[str]:
    """Yield exceptions, the example, and which rules take it."""
    yield from _exceptions(region, labels)
    yield paint("dim", _example(region, labels))


def _exceptions(region: Region, labels: Mapping[str, str]) -> Iterator[str]:
    if len(region.excepts) > _MOST_EXCEPTIONS:
        yield f"      unless one of {len(region.excepts):,} higher rules takes it (--format json lists them)"
        return
    for clauses in region.excepts:
        yield f"      unless also {exception_phrase(clauses, labels)}"


def _example(region: Region, labels: Mapping[str, str]) -> str:
    said = conversation_phrase(region.example.attributes, labels)
    return f"      example: {said}   ({_rules(region)})"


def _rules(region: Region) -> str:
    before, after = (_winners(rules) for rules in (region.before_rules, region.after_rules))
    return f"by {before}" if before == after else f"{before} -> {after}"


def _winners(rules: Sequence[Entry | None]) -> str:
    """Name the first rule that takes conversations of a region, and count the others."""
    named = [entry for entry in rules if entry is not None]
    if not named:
        return "no rule"
    first = value(named[0].name) if named[0].address is None else plain(named[0].name)
    return first if len(rules) == 1 else f"{first} and {len(rules) - 1:,} more"


def _unknown(unknown: Sequence[Iterable[Clause]], labels: Mapping[str, str], paint: Paint) -> Iterator[str]:
    if not unknown:
        return
    yield paint("yellow", "Not known: the rules overlap in too many ways, and the analysis stopped at its bound for")
    for clauses in unknown[:_MOST_UNKNOWN]:
        yield f"  {clauses_phrase(tuple(clauses), labels)}"
    if len(unknown) > _MOST_UNKNOWN:
        yield f"  and {counted(len(unknown) - _MOST_UNKNOWN, 'further case')}; --format json lists all."


def _queue(queue: str, names: Mapping[str, str]) -> str:
    """Return a queue's name; the "queue" of a target that is not understood is its JSON."""
    if queue not in names and queue.startswith('{"'):
        return f"something that cxroute does not understand ({plain(queue)})"
    return queue_phrase(queue, names)
