"""Who goes elsewhere, in words: which conversations, from where to where, an example of each; what is not known.

Every form of a plan says these words; a form only lays them out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from reconciler.model import Condition
from reconciler.render.behaviour_brief import cases
from reconciler.render.clauses_text import clauses_phrase, exception_phrase
from reconciler.words import conversation_phrase, counted, plain, queue_phrase, value

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from reconciler.behaviour.difference import Behaviour
    from reconciler.behaviour.entry import Destination, Entry
    from reconciler.behaviour.region import Region
    from reconciler.shares import Moved, Share

DEFAULT: Final = "the tenant's default"
MOST_SHOWN: Final = 20
EVERYTHING: Final = 10**9
"""How many cases are shown to who wants to see all."""
NOBODY: Final = "No conversation goes elsewhere (proven)."
NOBODY_KNOWN: Final = "No conversation is known to go elsewhere."
TITLE: Final = "Who is affected"
OTHERS: Final = "Everyone else: no change (proven)."
BRIEF: Final = "Each case leaves out what other rules take first"
WAITING: Final = "Whether conversations that already wait are routed again depends on the tenant's settings."
NOT_KNOWN: Final = "Not known: the rules overlap in too many ways, and the analysis stopped at its bound for"
_MOST_UNGROUPED: Final = 6
_MOST_EXCEPTIONS: Final = 5
_MOST_BEFORES: Final = 3
_MOST_UNKNOWN: Final = 5


@dataclass(frozen=True, slots=True)
class Case:
    """Conversations that go elsewhere: who, from where to where, which share of the sample, an example, exceptions."""

    who: str
    befores: tuple[str, ...]
    """Where they go today; several where each goes to one of them."""
    after: str
    share: str
    """`3.1 %`; empty where there is no sample."""
    example: str
    rules: str
    """Which rules take it: `by cards/vip`, `cards/vip -> no rule`."""
    excepts: tuple[str, ...] = ()

    @property
    def before(self) -> str:
        """Return where they go today as one text."""
        return "; ".join(self.befores)

    @property
    def way(self) -> str:
        """Return `"Card Services" -> "General"`."""
        return f"{self.before} -> {self.after}"


@dataclass(frozen=True, slots=True)
class Affected:
    """All that is said of who goes elsewhere.

    `form` is how cases are told: `each` exactly, `ways` exactly and those of one way together, `brief` by what is
    asked for and not by what is left out.
    """

    head: str
    share: str
    cases: tuple[Case, ...]
    form: Literal["each", "ways", "brief"]
    more: int
    """Further cases that are not among `cases`."""
    unknown: tuple[str, ...]
    """Of whom nothing is known; where there are many, the last one counts the others."""

    @property
    def complete(self) -> bool:
        """Say whether everybody else is known to stay."""
        return not self.unknown


def affected(
    behaviour: Behaviour,
    names: Mapping[str, str],
    labels: Mapping[str, str],
    moved: Moved | None = None,
    most: int = MOST_SHOWN,
) -> Affected:
    """Return who goes elsewhere, or that nobody does, or what is not known.

    `names` are queues by id, `labels` what people call attributes that the API knows by longer names. A few cases are
    told exactly. Of many, up to `most` are told, in brief; with `EVERYTHING` all of them, exactly.
    """
    unknown = _unknown(behaviour, labels)
    if not behaviour.regions:
        return Affected(NOBODY_KNOWN if unknown else NOBODY, "", (), "each", 0, unknown)
    share = f"{share_phrase(moved.total)} of {_sample(moved)}" if moved else "share of callers unknown"
    if len(behaviour.regions) <= _MOST_UNGROUPED or most == EVERYTHING:
        told = tuple(_exactly(region, share, names, labels) for region, share in _ordered(behaviour, moved, labels))
        form: Literal["each", "ways"] = "each" if len(told) <= _MOST_UNGROUPED else "ways"
        return Affected(TITLE, share, told, form, 0, unknown)
    brief = _briefly(behaviour, moved, names, labels)
    return Affected(TITLE, share, brief[:most], "brief", max(len(brief) - most, 0), unknown)


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


def _ordered(behaviour: Behaviour, moved: Moved | None, labels: Mapping[str, str]) -> list[tuple[Region, Share | None]]:
    """Order regions by their share of the traffic, else by how much they name: who matters most stands first.

    Those that hang on something that is not understood stand last.
    """
    shares: Sequence[Share | None] = moved.regions if moved else [None] * len(behaviour.regions)
    return sorted(
        zip(behaviour.regions, shares, strict=True),
        key=lambda row: (
            -row[1].most if row[1] else 0.0,
            any(not isinstance(part, Condition) for part, _ in row[0].where),
            -_size(row[0], labels),
            len(row[0].where),
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


def _exactly(region: Region, share: Share | None, names: Mapping[str, str], labels: Mapping[str, str]) -> Case:
    """Return one region as a case, with its exceptions."""
    return Case(
        clauses_phrase(region.where, labels),
        (destination_phrase(region.before, names),),
        destination_phrase(region.after, names),
        share_phrase(share) if share else "",
        conversation_phrase(region.example.attributes, labels),
        _rules(region),
        _exceptions(region, labels),
    )


def _briefly(
    behaviour: Behaviour, moved: Moved | None, names: Mapping[str, str], labels: Mapping[str, str]
) -> tuple[Case, ...]:
    """Return many regions by what is asked for: one case for each rule that conversations come to."""
    found = cases(behaviour.regions, moved.sample if moved else None, labels)
    told = []
    for case in found:
        befores = [destination_phrase(before, names) for before in case.befores]
        if len(befores) > _MOST_BEFORES:
            befores[_MOST_BEFORES - 1] += f" and {len(befores) - _MOST_BEFORES} more"
        told.append(
            Case(
                case.who(labels),
                tuple(befores[:_MOST_BEFORES]),
                destination_phrase(case.after, names),
                share_phrase(case.share) if case.share else "",
                conversation_phrase(case.region.example.attributes, labels),
                _rules(case.region),
            )
        )
    return tuple(told)


def _exceptions(region: Region, labels: Mapping[str, str]) -> tuple[str, ...]:
    if len(region.excepts) > _MOST_EXCEPTIONS:
        return (f"unless one of {len(region.excepts):,} higher rules takes it (--format json lists them)",)
    return tuple(f"unless also {exception_phrase(clauses, labels)}" for clauses in region.excepts)


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


def _unknown(behaviour: Behaviour, labels: Mapping[str, str]) -> tuple[str, ...]:
    unknown = behaviour.unknown
    told = [clauses_phrase(tuple(clauses), labels) for clauses in unknown[:_MOST_UNKNOWN]]
    if len(unknown) > _MOST_UNKNOWN:
        told.append(f"and {counted(len(unknown) - _MOST_UNKNOWN, 'further case')}; --format json lists all.")
    return tuple(told)


def _queue(queue: str, names: Mapping[str, str]) -> str:
    """Return a queue's name; the "queue" of a target that is not understood is its JSON."""
    if queue not in names and queue.startswith('{"'):
        return f"something that cxroute does not understand ({plain(queue)})"
    return queue_phrase(queue, names)
