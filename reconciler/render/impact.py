"""Who goes elsewhere, in words: which conversations, from where to where, an example of each; what is not known.

Every form of a plan says these words; a form only lays them out. A row is exact: it may shorten a list of values, and
never leaves a condition out.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from reconciler.model.rule import Condition
from reconciler.plan.routing_table import types_phrase
from reconciler.plan.traffic_shares import Moved, QueueShare, Share
from reconciler.render.clauses import FEW_VALUES, clauses_phrase, exception_phrase
from reconciler.text.escape import pluralize, quote, sanitize
from reconciler.text.phrases import conversation_phrase, queue_phrase, split_phrase

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from reconciler.behaviour.diff.difference import Behaviour
    from reconciler.behaviour.diff.rows import Row
    from reconciler.behaviour.routing_entry import Destination, Entry


DEFAULT: Final = "the tenant's default"
MOST_SHOWN: Final = 20
EVERYTHING: Final = 10**9
"""How many rows are shown to who wants to see all."""
NOBODY: Final = "No conversation goes elsewhere (proven)."
NOBODY_KNOWN: Final = "No conversation is known to go elsewhere."
TITLE: Final = "Who is affected"
OTHERS: Final = "Everyone else: no change (proven)."
WAITING: Final = "Whether conversations that already wait are routed again depends on the tenant's settings."
NOT_KNOWN: Final = "Not known: the rules overlap in too many ways, and the analysis stopped at its bound for"
_MOST_EXCEPTIONS: Final = 40
"""Exceptions of a row that is shown among the first: one with more fills the screen, and is left to -v."""
_MOST_BEFORES: Final = 3
_MOST_UNKNOWN: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
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
    excepts: tuple[str, ...]

    @property
    def before(self) -> str:
        """Return where they go today as one text."""
        return "; ".join(self.befores)

    @property
    def way(self) -> str:
        """Return `"Card Services" -> "General"`."""
        return f"{self.before} -> {self.after}"


@dataclass(frozen=True, slots=True)
class Balance:
    """What one queue gets of the sample today and afterwards, `3.1 to 5.0 %`, and the change: `-2.5 %`."""

    queue: str
    before: str
    after: str
    change: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Affected:
    """All that is said of who goes elsewhere."""

    head: str
    share: str
    cases: tuple[Case, ...]
    balance: tuple[Balance, ...]
    """The queues that conversations come to or leave; none without a sample."""
    more: int
    """Further cases that are not among `cases`."""
    more_share: str
    """Their share of the sample: `2.1 %`; empty where there is none."""
    unknown: tuple[str, ...]
    """Of whom nothing is known; where there are many, the last one counts the others."""
    premise: str = ""
    """On which known types of attributes all this rests; empty where it rests on none."""

    @property
    def complete(self) -> bool:
        """Say whether everybody else is known to stay."""
        return not self.unknown

    def rest(self, left_out: int = 0) -> str:
        """Count the rows that are not shown, `left_out` of `cases` among them; nothing where all are."""
        more = self.more + left_out
        share = f", {self.more_share} of callers" if self.more_share and not left_out else ""
        return f"and {pluralize(more, 'more row')}{share}" if more else ""


def affected(
    behaviour: Behaviour,
    names: Mapping[str, str],
    labels: Mapping[str, str],
    moved: Moved | None = None,
    most: int = MOST_SHOWN,
) -> Affected:
    """Return who goes elsewhere, or that nobody does, or what is not known.

    `names` are queues by id, `labels` what people call attributes that the API knows by longer names. Up to `most`
    rows are told, those of most callers first; with `EVERYTHING` all of them, each value included.
    """
    unknown, rests = _unknown(behaviour, labels), premise(behaviour, labels)
    if not behaviour.rows:
        return Affected(
            head=NOBODY_KNOWN if unknown else NOBODY,
            share="",
            cases=(),
            balance=(),
            more=0,
            more_share="",
            unknown=unknown,
            premise=rests,
        )
    share = f"{_total(moved.total, unknown)} of {_sample(moved)}" if moved else "share of callers unknown"
    ordered = _ordered(behaviour, moved, labels)
    values = EVERYTHING if most == EVERYTHING else FEW_VALUES
    together = [one for one in ordered if one[0].unlikely] if most < EVERYTHING else []
    if len(together) > 1:
        ordered = [one for one in ordered if not one[0].unlikely]
    readable = [one for one in ordered if most > MOST_SHOWN or len(one[0].excepts) <= _MOST_EXCEPTIONS]
    shown = readable[:most] or ordered[:1]
    told_of = {id(row) for row, _ in shown}
    left = [share for row, share in ordered if id(row) not in told_of]
    told = tuple(_case(row, share, names, labels, values) for row, share in shown)
    if len(together) > 1:
        told += (_of_other_types(together, moved, names, labels),)
    balance = _balance(behaviour, moved, names) if moved else ()
    return Affected(
        head=TITLE,
        share=share,
        cases=told,
        balance=balance,
        more=len(left),
        more_share=_together(left, moved),
        unknown=unknown,
        premise=rests,
    )


def premise(behaviour: Behaviour, labels: Mapping[str, str]) -> str:
    """Say on which known types the answer rests; nothing where it rests on none."""
    return f"This holds where {types_phrase(behaviour.rests_on, labels)}." if behaviour.rests_on else ""


def destination_phrase(destination: Destination, names: Mapping[str, str]) -> str:
    """Say a destination: a queue, a split with percents, no queue, or the tenant's default."""
    return DEFAULT if destination is None else split_phrase(destination, lambda queue: _queue(queue, names))


def share_phrase(share: Share) -> str:
    """Say a share of a sample: `3.1 %`; "at most" where the sample does not tell enough."""
    shown = "under 0.1" if 0 < share.most < 0.1 else f"{share.most:.1f}"  # noqa: PLR2004 - what one digit can show
    return f"{'' if share.least == share.most else 'at most '}{shown} %"


def _total(total: Share, unknown: Sequence[str]) -> str:
    """Say the share of all who go elsewhere; where of some nothing is known, they may be more."""
    return f"at least {total.least:.1f} %" if unknown else share_phrase(total)


def _sample(moved: Moved) -> str:
    return sanitize(moved.sample.period or moved.sample.name)


def _ordered(behaviour: Behaviour, moved: Moved | None, labels: Mapping[str, str]) -> list[tuple[Row, Share | None]]:
    """Order rows by their share of the traffic, else by how much they name: who matters most stands first.

    Those that hang on something that is not understood, or on a value of a type that no rule compares, stand last.
    """
    shares: Sequence[Share | None] = moved.rows if moved else [None] * len(behaviour.rows)
    return sorted(
        zip(behaviour.rows, shares, strict=True),
        key=lambda row: (
            bool(row[0].unlikely),
            -row[1].most if row[1] else 0.0,
            any(not isinstance(part, Condition) for part, _ in row[0].where),
            -_size(row[0], labels),
            len(row[0].where),
        ),
    )


def _size(row: Row, labels: Mapping[str, str]) -> int:
    """Return how many intents a row names; none where it leaves that open: who is named reads best."""
    sizes = [
        len(part.value) if isinstance(part.value, tuple) else 1
        for part, negate in row.where
        if isinstance(part, Condition)
        and labels.get(part.attribute) == "intent"
        and not negate
        and part.operator in ("equals", "in")
    ]
    return min(sizes, default=0)


def _case(row: Row, share: Share | None, names: Mapping[str, str], labels: Mapping[str, str], values: int) -> Case:
    *befores, after = _ways(row, names)
    if values == FEW_VALUES and len(befores) > _MOST_BEFORES:
        befores = [
            *befores[: _MOST_BEFORES - 1],
            f"{befores[_MOST_BEFORES - 1]} and {len(befores) - _MOST_BEFORES} more",
        ]
    return Case(
        who=clauses_phrase(row.where, labels, values),
        befores=tuple(befores),
        after=after,
        share=share_phrase(share) if share else "",
        example=conversation_phrase(row.example.attributes, labels),
        rules=_rules(row),
        excepts=tuple(f"unless also {exception_phrase(clauses, labels, values)}" for clauses in row.excepts),
    )


def _of_other_types(
    rows: Sequence[tuple[Row, Share | None]], moved: Moved | None, names: Mapping[str, str], labels: Mapping[str, str]
) -> Case:
    """Tell as one of several rows that only attributes make whose type no rule expects, and no document declares."""
    attributes = dict.fromkeys(labels.get(name, name) for row, _ in rows for name in row.unlikely)
    ways = [_ways(row, names) for row, _ in rows]
    befores, afters = (
        tuple(dict.fromkeys(several)) for several in ([b for w in ways for b in w[:-1]], [w[-1] for w in ways])
    )
    first = rows[0][0]
    return Case(
        who=f"some conversations in which {' or '.join(map(sanitize, attributes))} is of another type, text or number,"
        f" than the rules compare it with: {pluralize(len(rows), 'row')}, which -v and JSON list",
        befores=befores,
        after="; ".join(afters),
        share=_together([share for _, share in rows], moved),
        example=conversation_phrase(first.example.attributes, labels),
        rules=_rules(first),
        excepts=(),
    )


def _ways(row: Row, names: Mapping[str, str]) -> list[str]:
    """Say where a row's conversations go today, and afterwards; exactly, where two of these would read alike."""
    goes = (*row.befores, row.after)
    said = [destination_phrase(one, names) for one in goes]
    # The order of shares that are nearly equal tells nobody anything.
    alike = {tuple(sorted(one.split(", "))) for one in said}
    return said if len(alike) == len(said) else [_exactly(one, names) for one in goes]


def _exactly(destination: Destination, names: Mapping[str, str]) -> str:
    """Say a destination with the queues' ids, and with as many digits as tell it from any other."""
    if not destination:
        return destination_phrase(destination, names)
    parts = ((f"{100 * float(share):.15g} % " if share != 1 else "", queue) for queue, share in destination)
    return ", ".join(f"{share}{_with_id(queue, names)}" for share, queue in parts)


def _with_id(queue: str, names: Mapping[str, str]) -> str:
    return f"{_queue(queue, names)} ({sanitize(queue)})" if queue in names else _queue(queue, names)


def _together(shares: Sequence[Share | None], moved: Moved | None) -> str:
    """Say which share of the sample the rows that are left out move in all."""
    if moved is None or not shares:
        return ""
    known = [share for share in shares if share is not None]
    most = min(sum(share.most for share in known), moved.total.most)
    return share_phrase(Share(min(sum(share.least for share in known), most), most))


def _balance(behaviour: Behaviour, moved: Moved, names: Mapping[str, str]) -> tuple[Balance, ...]:
    """Say what the queues get that conversations come to or leave, those that gain or lose most first."""
    touched = {queue for row in behaviour.rows for split in (*row.befores, row.after) for queue in _queues(split)}
    told = [one for one in moved.balance if one.queue in touched or behaviour.unknown]
    often = Counter(_balanced(one, names) for one in told)
    return tuple(
        Balance(_unlike(one, names, often), _range(one.before), _range(one.after), _range(one.change, "+"))
        for one in told
    )


def _queues(split: Destination) -> tuple[str | None, ...]:
    return (None,) if split is None else tuple(queue for queue, _ in split) or ("",)


def _balanced(one: QueueShare, names: Mapping[str, str]) -> str:
    return _queue(one.queue, names) if one.queue else DEFAULT if one.queue is None else "no queue"


def _unlike(one: QueueShare, names: Mapping[str, str], often: Mapping[str, int]) -> str:
    """Name a queue, with its id where another one has that name."""
    said = _balanced(one, names)
    return _with_id(one.queue, names) if one.queue and often[said] > 1 else said


def _range(share: Share, sign: Literal["-", "+"] = "-") -> str:
    least, most = (f"{round(one, 1) + 0.0:{sign}.1f}" for one in (share.least, share.most))
    return f"{most} %" if least == most else f"{least} to {most} %"


def _rules(row: Row) -> str:
    before, after = (_winners(rules) for rules in (row.before_rules, row.after_rules))
    return f"by {before}" if before == after else f"{before} -> {after}"


def _winners(rules: Sequence[Entry | None]) -> str:
    """Name the first rule that takes conversations of a row, and count the others."""
    named = [entry for entry in rules if entry is not None]
    if not named:
        return "no rule"
    first = quote(named[0].name) if named[0].address is None else sanitize(named[0].name)
    return first if len(rules) == 1 else f"{first} and {len(rules) - 1:,} more"


def _unknown(behaviour: Behaviour, labels: Mapping[str, str]) -> tuple[str, ...]:
    unknown = behaviour.unknown
    told = [clauses_phrase(tuple(clauses), labels) for clauses in unknown[:_MOST_UNKNOWN]]
    if len(unknown) > _MOST_UNKNOWN:
        told.append(f"and {pluralize(len(unknown) - _MOST_UNKNOWN, 'further case')}; --format json lists all.")
    return tuple(told)


def _queue(queue: str, names: Mapping[str, str]) -> str:
    """Return a queue's name; the "queue" of a target that is not understood is its JSON."""
    if queue not in names and queue.startswith('{"'):
        return f"something that cxroute does not understand ({sanitize(queue)})"
    return queue_phrase(queue, names)
