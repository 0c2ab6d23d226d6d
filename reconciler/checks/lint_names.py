"""Names of attributes that no custom field can have where the endpoint writes custom fields (CXR211).

Intents that no rule takes, and intents that the bot cannot say (CXR205, CXR206).

Attributes that nobody is known to write (CXR207).

Names of queues that no queue can have where queues are skills of the platform (CXR210).
"""

from __future__ import annotations

import re
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from reconciler.behaviour.budget import UndecidedError
from reconciler.behaviour.evaluate import find_winner
from reconciler.checks.lint_view import LintView, list_names
from reconciler.desired.expand import list_targets
from reconciler.desired.queues import resolve_aliases
from reconciler.desired.substitution import fill_variables
from reconciler.manifest.documents import QueueRef
from reconciler.model.finding import Finding
from reconciler.model.rule import EQUALITIES, SETS, Condition, Scalar
from reconciler.text.escape import pluralize, quote
from reconciler.text.suggest import suggest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from reconciler.behaviour.facts.rule_facts import RuleFacts
    from reconciler.behaviour.routing_entry import RoutingEntry
    from reconciler.manifest.kinds.environment import Environment
    from reconciler.manifest.kinds.ruleset import RuleSet
    from reconciler.manifest.load import Manifests
    from reconciler.manifest.source_map import LoadedDocument, PathStep


_MAX_UNKNOWN_INTENTS: Final = 20  # how many unknown intents have a finding of their own: the nearest name costs
_HIGH_CONFIDENCE: Final = 0.99


def check_intents(view: LintView, facts: RuleFacts) -> Iterator[Finding]:
    """Yield what is known of the bot's intents, where an Intents document says what they are."""
    if view.intents:
        yield from _unrouted_intents(view, facts)
        yield from _unknown_intents(view)


def _unrouted_intents(view: LintView, facts: RuleFacts) -> Iterator[Finding]:
    """Yield one finding about all intents that no rule of the manifests takes; that a rule is hidden is CXR202's."""
    asleep = {id(one.entry) for one in facts.shadowed}
    alone = [
        intent
        for intent in view.intents
        if intent != view.fallback
        and all(entry.address is None and id(entry) in asleep for entry in view.rules_by_intent.get(intent, ()))
        and not _is_caught(view, intent)
    ]
    if not alone:
        return
    sure = view.example_phrase(_confident_conversation(view, alone[0]))
    message = (
        f"{pluralize(len(alone), 'intent')} of the bot {'has' if len(alone) == 1 else 'have'} no rule:"
        f" {list_names(alone)}. {sure}"
    )
    hint = "write a rule, or a catch-all that takes them"
    yield Finding(
        code="CXR205", severity="warning", message=message, source=view.intents[alone[0]], address=None, hint=hint
    )


def intents_in_catch_all(view: LintView) -> list[str]:
    """Return the bot's intents that no rule of the manifests names, and a rule of them takes all the same."""
    # Where there are too many to look at, as many as could be looked at.
    others = (one for one in view.intents if one != view.fallback)
    found: list[str] = []
    with suppress(UndecidedError):  # which the lint says, of the same intents
        found.extend(one for one in others if one not in view.rules_by_intent and _is_caught(view, one))
    return found


def _is_caught(view: LintView, intent: str) -> bool:
    """Say whether a rule of the manifests takes an intent of which the bot is sure, without naming it: a catch-all."""
    view.space.budget.spend(len(view.general_rules))
    return (
        find_winner((entry for entry in view.general_rules if entry.address), _confident_conversation(view, intent))
        is not None
    )


def _confident_conversation(view: LintView, intent: str) -> dict[str, Scalar]:
    return {view.attributes.intent: intent, view.attributes.confidence: _HIGH_CONFIDENCE}


def _unknown_intents(view: LintView) -> Iterator[Finding]:
    """Yield a finding for each intent that no Intents document knows; beyond a few, one for all the others."""
    by: dict[str, list[RoutingEntry]] = {}
    for entry in view.ordered:
        if entry.address:
            for intent in _named_intents(view, entry):
                if intent not in view.intents and intent != view.fallback:
                    by.setdefault(intent, []).append(entry)
    unknown = list(by)
    for intent in unknown[:_MAX_UNKNOWN_INTENTS]:
        first, *more = by[intent]
        too = f", and by {pluralize(len(more), 'further rule')}" if more else ""
        message = f"intent {quote(intent)} is asked for here{too}, but no Intents document has it"
        hint = suggest(intent, view.intents) or "add it there, if the bot can say it"
        yield view.finding_at(view.finding("CXR206", "warning", message, first, hint), first, intent)
    if len(unknown) > _MAX_UNKNOWN_INTENTS:
        yield _further_unknown_intents(view, unknown[_MAX_UNKNOWN_INTENTS:], by)


def _further_unknown_intents(view: LintView, unknown: Sequence[str], by: dict[str, list[RoutingEntry]]) -> Finding:
    message = f"{pluralize(len(unknown), 'further intent')} that no Intents document has: {list_names(unknown)}"
    return view.finding("CXR206", "warning", message, by[unknown[0]][0])


def _named_intents(view: LintView, entry: RoutingEntry) -> Iterator[str]:
    """Yield the intents that a rule names, whatever it asks of them; a list once each."""
    for one in entry.rule.conditions:
        if isinstance(one, Condition) and one.attribute == view.attributes.intent:
            if one.operator in SETS and isinstance(one.value, tuple):
                yield from (text for text in one.value if isinstance(text, str))
            elif one.operator in EQUALITIES and isinstance(one.value, str):
                yield one.value


_MIN_TYPO_LENGTH: Final = 5  # letters that a name must have for one of them to be a slip of the pen
_MAX_TYPO_LENGTH: Final = 100
"""Letters of a name that is looked at without each of them; a longer one is no name that anybody typed."""


def check_attributes(view: LintView) -> Iterator[Finding]:
    """Yield a finding for each attribute that the context endpoint does not write, and no rule of others asks about."""
    names = view.attributes
    written = (names.intent, names.confidence, names.updated_at)
    if all(domain.attribute in written for domain in view.space.domains):
        return
    ours, theirs = _attribute_uses(view, written)
    rank = {name: place for place, name in enumerate(dict.fromkeys((*written, *sorted(theirs), *ours)))}
    similar = _group_similar_names(rank)
    for name, entries in ours.items():
        if name not in theirs:
            candidates = {one for part in _one_letter_deletions(name) for one in similar[part]}
            view.space.budget.spend(len(candidates))
            known = (one for one in candidates if one not in ours or one in theirs or len(ours[one]) > len(entries))
            near = min((one for one in known if is_typo(name, one)), key=rank.__getitem__, default=None)
            yield _attribute_finding(view, name, entries, near)


def _group_similar_names(names: Iterable[str]) -> dict[str, list[str]]:
    """Return names by what is left of them without one letter: names that are one letter apart have that in common."""
    similar: dict[str, list[str]] = {}
    for name in names:
        for part in _one_letter_deletions(name):
            similar.setdefault(part, []).append(name)
    return similar


def _one_letter_deletions(name: str) -> set[str]:
    letters = _letters(name)
    if len(letters) > _MAX_TYPO_LENGTH:
        return {letters}
    return {letters, *(letters[:at] + letters[at + 1 :] for at in range(len(letters)))}


def _attribute_uses(
    view: LintView, endpoint_attributes: Iterable[str]
) -> tuple[dict[str, list[RoutingEntry]], set[str]]:
    """Return which rules of ours ask about each further attribute, and what all others ask about."""
    ours: dict[str, list[RoutingEntry]] = {}
    theirs: set[str] = set()
    known = set(endpoint_attributes)
    for entry in view.ordered:
        asked = {part.attribute for part in entry.rule.conditions if isinstance(part, Condition)} - known
        if entry.address is None:
            theirs |= asked
        else:
            for name in sorted(asked):
                ours.setdefault(name, []).append(entry)
    return ours, theirs


def _attribute_finding(view: LintView, name: str, entries: list[RoutingEntry], suggestion: str | None) -> Finding:
    first = entries[0]
    asked = f"attribute {quote(name)} is asked about by {pluralize(len(entries), 'rule')}"
    if suggestion is None:
        message = f"{asked}; the context endpoint does not write it"
        hint = "make sure that something else does: the phone menu, a script, the customer data"
        base = view.finding("CXR207", "info", message, first, hint)
    else:
        message = f"{asked}, but nothing is known to write it"
        base = view.finding("CXR207", "warning", message, first, f"did you mean {quote(suggestion)}?")
    return view.finding_at(base, first, name)


def is_typo(name: str, candidate: str) -> bool:
    """Say whether a name is most likely a misspelling of a known one: another case, or one letter off."""
    # Names that differ in a digit are two names.
    if name == candidate or min(len(name), len(candidate)) < _MIN_TYPO_LENGTH:
        return False
    one, other = _letters(name), _letters(candidate)
    if one == other:
        return True
    start = next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    rest, others = one[start:], other[start:]
    if any(letter.isdigit() for letter in rest[:1] + others[:1]):
        return False
    swapped = rest[1::-1] + rest[2:] == others
    return swapped or rest[1:] == others[1:] or rest[1:] == others or rest == others[1:]


def _letters(name: str) -> str:
    return name.casefold().replace("_", "").replace("-", "")


_SKILL_NAME: Final = re.compile(r"[A-Za-z0-9_.:-]{2,30}", re.ASCII)
"""Of public documents: 2 to 30 characters, and which."""


def check_queues(manifests: Manifests, environment: Environment) -> Iterator[Finding]:
    """Yield a finding for each name, where a rule of the environment first names it."""
    if environment.api.queues != "acd-skills":
        return
    meant = resolve_aliases(manifests, environment.name)
    seen: set[str] = set()
    for loaded, written, place in _queue_references(manifests, environment):
        try:
            filled = fill_variables(written, environment.vars)
        except (KeyError, ValueError):
            continue  # which is an error of its own
        name = _live_queue_name(filled, meant) if isinstance(filled, str) else None
        if name is None or name in seen:
            continue
        seen.add(name)
        if not _SKILL_NAME.fullmatch(name):
            message = f"queue {quote(name)} is no name of a skill: 2 to 30 of letters, digits, -, _, . and :"
            hint = "correct it, or write the skill's id in a Queues document"
            yield loaded.finding("CXR210", message, *place, severity="warning", hint=hint)


def _queue_references(
    manifests: Manifests, environment: Environment
) -> Iterator[tuple[LoadedDocument[RuleSet], str, tuple[PathStep, ...]]]:
    for loaded in manifests.rulesets:
        if loaded.document.environments is None or environment.name in loaded.document.environments:
            for index, entry in enumerate(loaded.document.rules):
                if entry.environments is None or environment.name in entry.environments:
                    for written, _, path in list_targets(entry):
                        yield loaded, written, ("rules", index, *path)


def _live_queue_name(name: str, aliases_by_name: Mapping[str, str | QueueRef | None]) -> str | None:
    found = aliases_by_name.get(name, name)
    return found.name if isinstance(found, QueueRef) else found


_FIELD_IDENT: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}", re.ASCII)
"""What idents look like wherever public documents show one; none says what they may hold."""


def check_field_idents(manifests: Manifests, environment: Environment) -> Iterator[Finding]:
    """Yield a finding for each of the three names that is most likely no ident."""
    loaded = manifests.environments.get(environment.name)
    if loaded is None or environment.context.writer != "digital-custom-fields":
        return
    names = environment.attributes
    of_fields = {"intent": names.intent, "confidence": names.confidence, "updatedAt": names.updated_at}
    for field, name in of_fields.items():
        if not _FIELD_IDENT.fullmatch(name):
            message = (
                f"{quote(name)} is most likely no ident of a custom field: letters, digits, -, _ and ., 64 at most"
            )
            hint = "write the ident that the field has in CXone"
            yield loaded.finding("CXR211", message, "attributes", field, severity="warning", hint=hint)
