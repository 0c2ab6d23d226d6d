"""The first sentence about a change: its most important move, in at most 30 words."""

from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from reconciler.behaviour.diff.effects import EffectRow
from reconciler.plan.impact import Impact
from reconciler.plan.promises import PromiseResult
from reconciler.plan.traffic_shares import ShareRange
from reconciler.plan.words import (
    NO_IMPACT,
    NO_KNOWN_IMPACT,
    Names,
    destination_phrase,
    row_phrases,
    share_phrase,
    two_destinations,
)
from reconciler.text.escape import pluralize, quote
from reconciler.text.phrases import Labels

MAX_WORDS: Final = 30
_FEW: Final = 3  # values of a list in a headline


class _Move(NamedTuple):
    row: EffectRow
    share: ShareRange | None


def headline(impact: Impact, names: Names, labels: Labels, promises: Iterable[PromiseResult] = ()) -> str:
    """Return what happens to conversations: first a broken promise or a lost queue, then the largest move."""
    broken = next((promise for promise in promises if _is_broken(promise)), None)
    if broken is not None:
        return _broken_text(broken, names)

    behaviour = impact.behaviour
    moves = sorted(_moves(impact), key=_rank)
    if not moves:
        sentence = NO_IMPACT if behaviour.complete else NO_KNOWN_IMPACT
        count = len(impact.edits)
        return f"{sentence} {pluralize(count, 'edit')}." if count else sentence

    first, *further = moves
    rest = f", and {pluralize(len(further), 'more move')}" if further else ""
    sentences = (f"{text}{rest}." for text in _move_texts(first, names, labels))
    return next(text for text in sentences if len(text.split()) <= MAX_WORDS)


def _is_broken(promise: PromiseResult) -> bool:
    return promise.failure is not None and promise.failure.severity == "error"


def _broken_text(promise: PromiseResult, names: Names) -> str:
    name = quote(promise.name)
    violations = promise.facts.violations
    if not violations:
        return f"The promise {name} is broken."
    destination = destination_phrase(violations[0].after, names)
    return f"The promise {name} breaks: some of its conversations would go to {destination}."


def _moves(impact: Impact) -> Iterator[_Move]:
    behaviour, traffic = impact.behaviour, impact.traffic
    for number, effect in enumerate(behaviour.effects):
        shares = traffic.effects[number].rows if traffic else (None,) * len(effect.rows)
        for row, share in zip(effect.rows, shares, strict=True):
            yield _Move(row, share)


def _rank(move: _Move) -> tuple[int, bool, float]:
    """Return the key by which moves are told: no queue, the default routing, then most callers."""
    after = move.row.after
    urgency = 0 if after == () else 1 if after is None else 2
    most = move.share.most if move.share else 0.0
    return urgency, bool(move.row.other_type), -most


def _move_texts(move: _Move, names: Names, labels: Labels) -> Iterator[str]:
    """Yield the move in words, with less and less detail."""
    row = move.row
    before, after = two_destinations(row.before, row.after, names)
    share = f" ({share_phrase(move.share)} of callers)" if move.share else ""
    for callers in _callers(row, labels):
        yield f"{callers} {_verb(row, callers)} from {before} to {after}{share}"
    yield f"Some conversations go elsewhere{share}"


def _verb(row: EffectRow, callers: str) -> str:
    """Return the verb: one intent moves, several move."""
    is_one = '" or "' not in callers and " more" not in callers and not callers.startswith("Some ")
    if row.after is None or row.after == ():
        return "goes" if is_one else "go"
    return "moves" if is_one else "move"


def _callers(row: EffectRow, labels: Labels) -> Iterator[str]:
    """Yield the conversations: with all conditions, and by the first one alone."""
    phrases = row_phrases(row, labels, _FEW)
    text = ", ".join(phrases)
    yield text[:1].upper() + text[1:]
    if len(phrases) > 1:
        yield f"Some conversations of {phrases[0]}"
