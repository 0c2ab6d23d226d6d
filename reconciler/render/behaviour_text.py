"""Who goes elsewhere, as text: which conversations, from where to where, an example of each; what is not known."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Final, NamedTuple

from reconciler.model import Condition
from reconciler.render.behaviour_brief import cases
from reconciler.render.clauses_text import clauses_phrase, exception_phrase
from reconciler.words import conversation_phrase, counted, plain, queue_phrase, value

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from reconciler.behaviour.difference import Behaviour
    from reconciler.behaviour.entry import Destination, Entry
    from reconciler.behaviour.express import Clause
    from reconciler.behaviour.region import Region
    from reconciler.render.paint import Paint
    from reconciler.shares import Moved, Share

DEFAULT: Final = "the tenant's default"
MOST_SHOWN: Final = 20
EVERYTHING: Final = 10**9
"""How many cases are shown to who wants to see all."""
_MOST_UNGROUPED: Final = 6
_MOST_EXCEPTIONS: Final = 5
_MOST_BEFORES: Final = 3
_MOST_UNKNOWN: Final = 5


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
    moved: Moved | None = None,
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
        known = f"{share_phrase(moved.total)} of {_sample(moved)}" if moved else "share of callers unknown"
        yield f"{paint('bold', 'Who is affected')}   ({known})"
        rows = _ordered(behaviour, moved, labels)
        if len(rows) <= _MOST_UNGROUPED:
            for row in rows:
                yield from region_lines(row.region, names, labels, paint, row.share)
        elif most == EVERYTHING:
            yield from _by_way(rows, names, labels, paint)
        else:
            yield from _briefly(behaviour, moved, _Words(names, labels, paint), most)
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


def _sample(moved: Moved) -> str:
    return plain(moved.sample.period or moved.sample.name)


def _ordered(behaviour: Behaviour, moved: Moved | None, labels: Mapping[str, str]) -> list[_Row]:
    """Order regions by their share of the traffic, else by how much they name: who matters most stands first.

    Those that hang on something that is not understood stand last.
    """
    if moved:
        rows = [
            _Row(region, share.most, f"   {share_phrase(share)}")
            for region, share in zip(behaviour.regions, moved.regions, strict=True)
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


def _by_way(rows: Sequence[_Row], names: Mapping[str, str], labels: Mapping[str, str], paint: Paint) -> Iterator[str]:
    """Yield many regions, exactly: those with one way together, under a line that says it once."""
    ways = [move_phrase(row.region.before, row.region.after, names) for row in rows]
    first = {way: place for place, way in reversed(list(enumerate(ways)))}
    together = sorted(zip(ways, rows, strict=True), key=lambda pair: first[pair[0]])
    for way, group in groupby(together, key=lambda pair: pair[0]):
        yield f"  {paint('yellow', way)}"
        for _, row in group:
            yield f"    {clauses_phrase(row.region.where, labels)}{row.share}"
            yield from _details(row.region, labels, paint)


class _Words(NamedTuple):
    """What turns values into words: queues by id, what people call attributes, colours."""

    names: Mapping[str, str]
    labels: Mapping[str, str]
    paint: Paint


def _briefly(behaviour: Behaviour, moved: Moved | None, words: _Words, most: int) -> Iterator[str]:
    """Yield many regions by what is asked for: one case for each rule that conversations come to."""
    names, labels, paint = words
    found = cases(behaviour.regions, moved.sample if moved else None, labels)
    for case in found[:most]:
        share = f"   {share_phrase(case.share)}" if case.share else ""
        befores = [destination_phrase(before, names) for before in case.befores]
        more = f" and {len(befores) - _MOST_BEFORES} more" if len(befores) > _MOST_BEFORES else ""
        way = f"{'; '.join(befores[:_MOST_BEFORES])}{more} -> {destination_phrase(case.after, names)}"
        yield f"  {case.who(labels)}{share}"
        yield f"      {paint('yellow', way)}"
        yield paint("dim", _example(case.region, labels))
    if len(found) > most:
        yield f"  and {counted(len(found) - most, 'further case')}."
    yield "  Each case leaves out what other rules take first; -v says all of it, exactly."


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
