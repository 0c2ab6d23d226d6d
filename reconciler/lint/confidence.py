"""Ranges of the bot's confidence that no rule for an intent takes, though rules take more and less (CXR208)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from reconciler.lint.gaps import Gap, Search
from reconciler.lint.view import quoted
from reconciler.words import condition_phrase, conversation_phrase, counted, range_phrase, value

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from reconciler.behaviour.entry import Entry
    from reconciler.findings import Finding
    from reconciler.lint.view import View


def about_confidence(view: View) -> Iterator[Finding]:
    """Yield the gaps, each for all the intents that have it, and the intents that fall to the default below."""
    number = view.space.number.get(view.attributes.confidence)
    if number is None or not view.space.domain(number).numbers:
        return
    search = Search(view, view.space.domain(number))
    gaps: dict[Gap, list[str]] = {}
    below: dict[str, float] = {}
    for intent, entries in view.naming.items():
        if any(entry.address for entry in entries):
            asked = [search.asked(entry) for entry in entries]
            for gap in search.gaps(asked) if len(asked) > 1 else ():
                gaps.setdefault(gap, []).append(intent)
            unsure = search.falls(intent, asked)
            if unsure is not None:
                below[intent] = unsure
    yield from (_finding(view, search, gap, intents) for gap, intents in gaps.items())
    if search.given_up:
        message = "the rules have too many different ranges of confidence to look for gaps in all of them"
        yield view.finding("CXR209", "info", message, search.given_up[0])
    if below:
        yield _open_end(view, below)


def _finding(view: View, search: Search, gap: Gap, intents: Sequence[str]) -> Finding:
    """Say a gap, for all intents that have it."""
    first = intents[0]
    low, over, high, under = search.ends(gap)
    where = f"of exactly {value(low)}" if low == high else range_phrase(low, over, high, under)
    besides = "".join(f", {condition_phrase(one, view.labels)}" for one in gap.besides)
    message = (
        f"no rule for {quoted(intents, 'or')} takes a confidence {where}{besides}, though rules take"
        f" more and less: {view.example({view.attributes.intent: first, **search.examples[gap]})}"
    )
    ours = _ours(view, first)
    hint = "let one range begin where the other ends, if that is not meant"
    found = view.finding("CXR208", "warning", message, ours, hint)
    return found if len(intents) == 1 else replace(found, address=None)


def _open_end(view: View, below: Mapping[str, float]) -> Finding:
    """Say, merely to be known, that nothing takes callers of whose intent the bot is not sure."""
    first, unsure = next(iter(below.items()))
    example = {view.attributes.intent: first, view.attributes.confidence: unsure}
    message = (
        f"{counted(len(below), 'intent')} {'goes' if len(below) == 1 else 'go'} to the tenant's default where the bot"
        f" is less sure than {'its' if len(below) == 1 else 'their'} rules ask: {quoted(below)};"
        f" for example {conversation_phrase(example, view.labels)}"
    )
    return view.finding("CXR208", "info", message, _ours(view, first), "a catch-all would take them")


def _ours(view: View, intent: str) -> Entry:
    return next(entry for entry in view.naming[intent] if entry.address)
