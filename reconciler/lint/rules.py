"""Rules that are never reached, change nothing, or are tied with others (CXR201 to CXR204, CXR209)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reconciler.lint.view import called, listed
from reconciler.words import condition_phrase, conversation_phrase, counted, value

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from reconciler.behaviour.entry import Entry
    from reconciler.behaviour.lint import Facts, Never, Redundant, Shadowed, Tie
    from reconciler.findings import Finding
    from reconciler.lint.view import View


def about_rules(view: View, facts: Facts) -> Iterator[Finding]:
    """Yield what is known of each rule of ours."""
    yield from (_never(view, one) for one in facts.never if one.entry.address)
    tied = {frozenset((id(tie.first), id(tie.second))) for tie in facts.ties}
    for one in facts.shadowed:
        # Of two that are tied neither surely comes first: the tie is what is wrong.
        if one.entry.address and not any(frozenset((id(one.entry), id(other))) in tied for other in one.by):
            yield _shadowed(view, one)
    yield from (_redundant(view, one) for one in facts.redundant if one.entry.address)
    yield from _ties(view, facts.ties)
    ours = [entry for entry in facts.undecided if entry.address]
    if ours:
        yield _undecided(view, ours)


def _never(view: View, never: Never) -> Finding:
    said = [condition_phrase(one, view.labels) for one in never.conditions]
    why = f"{listed(said, str)} contradict each other" if len(said) > 1 else f"nothing satisfies {said[0]}"
    return view.finding("CXR201", "warning", f"this rule can never match: {why}", never.entry)


def _shadowed(view: View, shadowed: Shadowed) -> Finding:
    by = [called(entry) for entry in shadowed.by]
    who = (
        f"{by[0]} is tried earlier and takes"
        if len(by) == 1
        else f"{listed(by, str)} are tried earlier and together take"
    )
    other = "the other one" if len(by) == 1 else "the others"
    if all(entry.address for entry in shadowed.by):
        hint = f"give it a better priority, narrow {other}, or remove it"
    else:
        hint = "give it a better priority, or take the live rule over with `adopt:` and change it"
    message = f"this rule is never reached: {who} every conversation that it asks for"
    return view.finding("CXR202", "warning", message, shadowed.entry, hint)


def _redundant(view: View, redundant: Redundant) -> Finding:
    goes = view.goes(redundant.entry)
    by = listed(redundant.instead, called)
    message = f"this rule changes nothing: without it, its conversations would go to {goes} all the same, by {by}"
    hint = "remove it if it is not kept for later; one such rule at a time, since two may need each other"
    return view.finding("CXR203", "warning", message, redundant.entry, hint)


def _ties(view: View, ties: Sequence[Tie]) -> Iterator[Finding]:
    """Yield one finding for each rule of ours, with all the rules that it is tied with."""
    of: dict[int, list[tuple[Entry, Entry, Tie]]] = {}
    for tie in ties:
        ours, other = (tie.first, tie.second) if tie.first.address else (tie.second, tie.first)
        if ours.address:
            of.setdefault(id(ours), []).append((ours, other, tie))
    for group in of.values():
        ours, other, tie = group[0]
        others = listed([entry for _, entry, _ in group], called)
        elsewhere = "which sends" if len(group) == 1 else "which send"
        message = (
            f"this rule has the same priority ({value(ours.rule.priority)}) as {others}, {elsewhere} elsewhere:"
            f" {conversation_phrase(tie.example.attributes, view.labels)} goes to {view.goes(ours)} or to"
            f" {view.goes(other)}, and the platform does not say which"
        )
        yield view.finding("CXR204", "warning", message, ours, "give one of them another priority")


def _undecided(view: View, ours: Sequence[Entry]) -> Finding:
    message = (
        f"{counted(len(ours), 'rule')} overlap{'s' if len(ours) == 1 else ''} with others in too many ways, and the"
        f" analysis stopped: nobody can say whether {listed(ours, called)}"
        f" {'is' if len(ours) == 1 else 'are'} reached or tied"
    )
    hint = "let rules ask for fewer attributes, or for the same ones"
    return view.finding("CXR209", "warning", message, ours[0], hint)
