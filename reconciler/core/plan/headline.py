"""The first sentence about a change: its most important move, in at most 30 words."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from reconciler.core.behaviour.diff.effects import EffectRow
from reconciler.core.behaviour.routing_entry import Destination
from reconciler.core.behaviour.space.clauses import Clause
from reconciler.core.model.rule import Condition
from reconciler.core.plan.clauses import EVERY_CONVERSATION, condition_phrases
from reconciler.core.plan.flows import Flow, shown_flows
from reconciler.core.plan.impact import Impact
from reconciler.core.plan.promises import PromiseResult
from reconciler.core.plan.traffic_shares import ShareRange
from reconciler.core.plan.words import (
    NO_IMPACT,
    NO_KNOWN_IMPACT,
    Names,
    destination_phrase,
    listed_intents,
    share_phrase,
    target_name,
    two_destinations,
)
from reconciler.core.text.escape import join_all, pluralize, quote
from reconciler.core.text.phrases import Labels

MAX_WORDS: Final = 30
_FEW: Final = 3  # values of a list in a headline


class _Subject(NamedTuple):
    """Conversations in words; `is_one` for a verb in the singular."""

    words: str
    is_one: bool


class _Move(NamedTuple):
    """Conversations with equal destinations: the subjects say the same with less and less
    detail.
    """

    before: Destination
    after: Destination
    share: ShareRange | None
    intents: int
    is_usual: bool
    subjects: Sequence[_Subject]


def headline(
    impact: Impact,
    names: Names,
    labels: Labels,
    promises: Iterable[PromiseResult] = (),
    flows: Sequence[Flow] | None = None,
) -> str:
    """Return what happens: first a broken promise or a lost queue, then the largest move.

    `flows` are those of the impact, if the caller has them.
    """
    for promise in promises:
        if promise.failure is not None and promise.failure.severity == "error":
            return _broken_text(promise, names)

    if flows is None:
        flows = shown_flows(impact, labels)
    moves = _flow_moves(flows, labels) if flows else _row_moves(impact, labels)
    ordered = sorted(moves, key=_rank)
    if not ordered:
        return _quiet_text(impact)

    further = len(ordered) - 1
    rest = f"; {pluralize(further, 'more move')}" if further else ""
    sentences = (f"{text}{rest}." for text in _move_texts(ordered[0], names))
    return next(text for text in sentences if len(text.split()) <= MAX_WORDS)


def _quiet_text(impact: Impact) -> str:
    """Return that no conversation moves, and how many edits there are; a renaming is one."""
    sentence = NO_IMPACT if impact.behaviour.complete else NO_KNOWN_IMPACT
    edits = [edited for edited in impact.edits if not edited.is_copy]
    count = len({edited.renaming or id(edited) for edited in edits})
    return f"{sentence} {pluralize(count, 'edit')}." if count else sentence


def _broken_text(promise: PromiseResult, names: Names) -> str:
    name = quote(promise.name)
    texts = []
    violations = promise.facts.violations
    if violations:
        destination = destination_phrase(violations[0].after, names)
        texts.append(
            f"The promise {name} breaks: some of its conversations would go to {destination}."
        )
    texts += [f"The promise {name} is broken.", "A promise is broken."]
    return next(text for text in texts if len(text.split()) <= MAX_WORDS)


def _row_moves(impact: Impact, labels: Labels) -> Iterator[_Move]:
    for effect, shares in impact.effects:
        for row, share in zip(effect.rows, shares.rows, strict=True):
            yield _Move(
                before=row.before,
                after=row.after,
                share=share,
                intents=len(listed_intents(row, labels)),
                is_usual=not row.other_type,
                subjects=tuple(_row_subjects(row, share, labels)),
            )


def _row_subjects(
    row: EffectRow, share: ShareRange | None, labels: Labels
) -> Iterator[_Subject]:
    """Yield the conversations of a row: with all conditions, and with the first one alone.

    A share says how many of an intent's callers move, so the confidence that they need is left to
    the row.
    """
    intents = listed_intents(row, labels)
    where = row.where
    if intents and share is not None:
        where = tuple(
            clause for clause in where if not _is_about_confidence(clause, labels)
        )
    phrases = condition_phrases(where, labels, _FEW) or (EVERY_CONVERSATION,)
    is_complete = not row.own_version and not any(map(_is_opaque, phrases))
    if phrases[0] == EVERY_CONVERSATION:
        yield _every_conversation(row, is_complete=is_complete)
    elif _is_opaque(phrases[0]):
        yield _Subject("Some conversations", is_one=False)
    else:
        if is_complete:
            yield _complete_subject(phrases, intents)
        yield _Subject(f"Some callers with {phrases[0]}", is_one=False)
        if len(intents) > 1:
            yield _Subject(f"Some callers of {len(intents):,} intents", is_one=False)


def _complete_subject(phrases: Sequence[str], intents: Sequence[str]) -> _Subject:
    """Return the conversations of all conditions; the first phrase lists the intents, if any."""
    if not intents:
        return _Subject(f"Callers with {', '.join(phrases)}", is_one=False)
    first, *further = phrases
    conditions = f" with {', '.join(further)}" if further else ""
    return _Subject(f"{first}{conditions}", is_one=len(intents) == 1)


def _is_opaque(phrase: str) -> bool:
    return phrase.startswith(("if ", "unless "))


def _every_conversation(row: EffectRow, *, is_complete: bool) -> _Subject:
    if not is_complete:
        return _Subject("Some conversations", is_one=False)
    if row.earlier:
        return _Subject("Conversations that earlier rules do not take", is_one=False)
    return _Subject("Every conversation", is_one=True)


def _is_about_confidence(clause: Clause, labels: Labels) -> bool:
    part = clause.condition
    if not isinstance(part, Condition):
        return False
    return labels.short.get(part.attribute) == "confidence"


def _flow_moves(flows: Iterable[Flow], labels: Labels) -> Iterator[_Move]:
    attribute = next(
        (name for name, short in labels.short.items() if short == "intent"), ""
    )
    for flow in flows:
        yield _Move(
            before=flow.before,
            after=flow.after,
            share=flow.share,
            intents=len(flow.intents),
            is_usual=True,
            subjects=tuple(_flow_subjects(flow, labels, attribute)),
        )


def _flow_subjects(flow: Flow, labels: Labels, attribute: str) -> Iterator[_Subject]:
    count = len(flow.intents)
    if flow.is_open:
        yield _Subject("Conversations", is_one=False)
        return
    if count <= _FEW:
        names = [labels.plain_value(attribute, intent) for intent in flow.intents]
        yield _Subject(join_all(names, "and"), is_one=count == 1)
    yield _Subject(pluralize(count, "intent"), is_one=count == 1)


def _rank(move: _Move) -> tuple[int, bool, float, int]:
    """Return the key by which moves are told: no queue, the default routing, then most callers."""
    urgency = 2
    if move.after == ():
        urgency = 0
    elif move.after is None:
        urgency = 1
    most = move.share.most if move.share else 0.0
    return urgency, not move.is_usual, -most, -move.intents


def _move_texts(move: _Move, names: Names) -> Iterator[str]:
    """Yield the move in words, with less and less detail."""
    share = f" ({share_phrase(move.share)} of callers)" if move.share else ""
    for words in _moves_in_words(move, names):
        yield f"{words}{share}"


def _moves_in_words(move: _Move, names: Names) -> Iterator[str]:
    if move.before and move.after and _queues(move.before) == _queues(move.after):
        yield from _splits_in_words(move, names)
        return

    before, after = _two_ends(move, names)
    plural, singular = ("move", "moves") if move.after else ("go", "goes")
    for subject in move.subjects:
        verb = singular if subject.is_one else plural
        yield f"{subject.words} {verb} from {before} to {after}"

    if move.after is None:
        yield "Some callers go to the default routing"
    elif move.after:
        yield "Some callers go to another queue"
    else:
        yield "Some callers go to no queue"


def _splits_in_words(move: _Move, names: Names) -> Iterator[str]:
    """Yield a move between the same queues: only their shares differ."""
    queue_names = sorted(target_name(queue, names) for queue in _queues(move.after))
    queues = join_all(queue_names, "and")
    for subject in move.subjects:
        verb = "is" if subject.is_one else "are"
        yield f"{subject.words} {verb} split differently between {queues}"
    yield "Some callers are split differently between the same queues"


def _two_ends(move: _Move, names: Names) -> tuple[str, str]:
    """Return both destinations: splits without their shares, which the row has, unless they have a
    queue in common.
    """
    before = _queue_list(move.before, names)
    after = _queue_list(move.after, names)
    if before == after or _queues(move.before) & _queues(move.after):
        return two_destinations(move.before, move.after, names)
    return before, after


def _queue_list(destination: Destination, names: Names) -> str:
    if not destination or len(destination) == 1:
        return destination_phrase(destination, names)
    queue_names = [target_name(queue, names) for queue, _ in destination]
    return join_all(queue_names, "and")


def _queues(destination: Destination) -> set[str]:
    return {queue for queue, _ in destination or ()}
