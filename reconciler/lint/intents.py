"""Intents that no rule takes, and intents that the bot cannot say (CXR205, CXR206)."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Final

from reconciler.behaviour.budget import UndecidedError
from reconciler.behaviour.evaluate import winner
from reconciler.findings import Finding
from reconciler.lint.view import quoted
from reconciler.manifest.nearest import did_you_mean
from reconciler.model import EQUALITIES, SETS, Condition
from reconciler.words import counted, value

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from reconciler.behaviour.entry import Entry
    from reconciler.behaviour.lint import Facts
    from reconciler.lint.view import View
    from reconciler.model import Scalar

_MOST: Final = 20
"""How many unknown intents have a finding of their own: the nearest name costs."""
_SURE: Final = 0.99


def about_intents(view: View, facts: Facts) -> Iterator[Finding]:
    """Yield what is known of the bot's intents, where an Intents document says what they are."""
    if view.intents:
        yield from _unrouted(view, facts)
        yield from _unknown(view)


def _unrouted(view: View, facts: Facts) -> Iterator[Finding]:
    """Yield one finding about all intents that no rule of the manifests takes; that a rule is hidden is CXR202's."""
    asleep = {id(one.entry) for one in facts.shadowed}
    alone = [
        intent
        for intent in view.intents
        if intent != view.fallback
        and all(entry.address is None and id(entry) in asleep for entry in view.naming.get(intent, ()))
        and not _taken(view, intent)
    ]
    if not alone:
        return
    sure = view.example(_sure(view, alone[0]))
    message = (
        f"{counted(len(alone), 'intent')} of the bot {'has' if len(alone) == 1 else 'have'} no rule:"
        f" {quoted(alone)}. {sure}"
    )
    hint = "write a rule, or a catch-all that takes them"
    yield Finding("CXR205", "warning", message, view.intents[alone[0]], None, hint)


def left_to_catch_all(view: View) -> list[str]:
    """Return the bot's intents that no rule of the manifests names, and a rule of them takes all the same.

    Where there are too many to look at, as many as could be looked at.
    """
    others = (one for one in view.intents if one != view.fallback)
    found: list[str] = []
    with suppress(UndecidedError):  # which the lint says, of the same intents
        found.extend(one for one in others if one not in view.naming and _taken(view, one))
    return found


def _taken(view: View, intent: str) -> bool:
    """Say whether a rule of the manifests takes an intent of which the bot is sure, without naming it: a catch-all."""
    view.space.budget.spend(len(view.general))
    return winner((entry for entry in view.general if entry.address), _sure(view, intent)) is not None


def _sure(view: View, intent: str) -> dict[str, Scalar]:
    return {view.attributes.intent: intent, view.attributes.confidence: _SURE}


def _unknown(view: View) -> Iterator[Finding]:
    """Yield a finding for each intent that no Intents document knows; beyond a few, one for all the others."""
    by: dict[str, list[Entry]] = {}
    for entry in view.ordered:
        if entry.address:
            for intent in _named(view, entry):
                if intent not in view.intents and intent != view.fallback:
                    by.setdefault(intent, []).append(entry)
    unknown = list(by)
    for intent in unknown[:_MOST]:
        first, *more = by[intent]
        too = f", and by {counted(len(more), 'further rule')}" if more else ""
        message = f"intent {value(intent)} is asked for here{too}, but no Intents document has it"
        hint = did_you_mean(intent, view.intents) or "add it there, if the bot can say it"
        yield view.finding_at(view.finding("CXR206", "warning", message, first, hint), first, intent)
    if len(unknown) > _MOST:
        yield _further(view, unknown[_MOST:], by)


def _further(view: View, unknown: Sequence[str], by: dict[str, list[Entry]]) -> Finding:
    message = f"{counted(len(unknown), 'further intent')} that no Intents document has: {quoted(unknown)}"
    return view.finding("CXR206", "warning", message, by[unknown[0]][0])


def _named(view: View, entry: Entry) -> Iterator[str]:
    """Yield the intents that a rule names, whatever it asks of them; a list once each."""
    for one in entry.rule.conditions:
        if isinstance(one, Condition) and one.attribute == view.attributes.intent:
            if one.operator in SETS and isinstance(one.value, tuple):
                yield from (text for text in one.value if isinstance(text, str))
            elif one.operator in EQUALITIES and isinstance(one.value, str):
                yield one.value
