"""Findings about names: intents (CXR205, CXR206), attributes and values (CXR207, CXR213), queues,
custom fields.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from difflib import SequenceMatcher
from itertools import chain
from typing import Any, Final

from reconciler.core.behaviour.budget import UndecidedError
from reconciler.core.behaviour.evaluate import route_conversation
from reconciler.core.behaviour.facts.rule_facts import RuleFacts
from reconciler.core.behaviour.routing_entry import RoutingEntry
from reconciler.core.checks.lint_view import (
    MAX_LISTED_VALUES,
    LintView,
    StatedCondition,
    items_of,
    list_names,
)
from reconciler.core.desired.expand import list_targets
from reconciler.core.desired.queues import resolve_aliases
from reconciler.core.desired.substitution import describe_value, fill_variables
from reconciler.core.manifest.documents import AttributeEntry, QueueRef, fits_type
from reconciler.core.manifest.source_map import LoadedDocument, PathStep
from reconciler.core.model.finding import Finding
from reconciler.core.model.grouping import group_pairs
from reconciler.core.model.operators import EQUALITIES, PATTERNS, RANGES, SETS
from reconciler.core.model.rule import (
    JSON_NUMBER,
    Address,
    Condition,
    Json,
    Source,
    canonical_scalar,
)
from reconciler.core.text.escape import join_first, pluralize, quote
from reconciler.core.text.suggest import find_nearest, suggest

# unknown intents with a separate finding: finding the nearest name is costly
_MAX_UNKNOWN_INTENTS: Final = 20
_HIGH_CONFIDENCE: Final = 0.99


def check_protected(view: LintView) -> Iterator[Finding]:
    """Yield a finding for each protected address that no rule of the Environment has, now or later."""
    loaded = view.manifests.environments.get(view.environment.name)
    if loaded is None:
        return
    calendar = view.desired.calendar
    entries = calendar.entries if calendar else ()
    known = {str(address) for address in view.desired.rules}
    known |= {str(entry.address) for entry in entries}
    for index, name in enumerate(view.environment.guard.protected):
        if name not in known:
            yield loaded.finding(
                "CXR217",
                f"guard.protected names {quote(name)}, but the manifests have no such rule",
                "guard",
                "protected",
                index,
                severity="warning",
                hint=suggest(name, sorted(known))
                or "correct the address, or remove it",
            )


def check_intents(view: LintView, facts: RuleFacts) -> Iterator[Finding]:
    """Yield a finding about all intents that no rule of the manifests takes, and findings about
    unknown intents.
    """
    if not view.intents:
        return
    unrouted = unrouted_intents(view, facts)
    if unrouted:
        example = view.example_phrase(_confident_conversation(view, unrouted[0]))
        count = pluralize(len(unrouted), "intent")
        verb = "has" if len(unrouted) == 1 else "have"
        message = (
            f"{count} of the bot {verb} no rule: {list_names(unrouted)}. {example}"
        )
        yield Finding(
            code="CXR205",
            severity="warning",
            message=message,
            source=view.intents[unrouted[0]],
            hint="add a rule, or a catch-all that takes them",
        )
    yield from _unknown_intents(view)


def unrouted_intents(view: LintView, facts: RuleFacts) -> list[str]:
    """Return the bot's intents that no rule of the manifests takes. Raises UndecidedError."""
    # CXR202 reports shadowed rules.
    shadowed = {id(rule.entry) for rule in facts.shadowed}
    return [
        intent
        for intent in view.intents
        if intent != view.fallback.intent
        and all(
            entry.address is None and id(entry) in shadowed
            for entry in view.rules_by_intent.get(intent, ())
        )
        and not _is_caught(view, intent)
    ]


def intents_in_catch_all(view: LintView) -> list[str]:
    """Return the bot's intents that only a catch-all of the manifests takes, as far as checked."""
    unnamed = (intent for intent in view.intents if intent != view.fallback.intent)
    caught: list[str] = []
    with suppress(UndecidedError):  # the lint reports the bound for the same intents
        caught.extend(
            intent
            for intent in unnamed
            if intent not in view.rules_by_intent and _is_caught(view, intent)
        )
    return caught


def _is_caught(view: LintView, intent: str) -> bool:
    """Return whether a catch-all of the manifests takes an intent with a high confidence."""
    view.space.budget.spend(len(view.general_rules))
    managed = (entry for entry in view.general_rules if entry.address)
    conversation = _confident_conversation(view, intent)
    return route_conversation(managed, conversation).winner is not None


def _confident_conversation(view: LintView, intent: str) -> dict[str, str | float]:
    names = view.attributes
    confidence = max(_HIGH_CONFIDENCE, view.fallback.min_confidence)
    return {names.intent: intent, names.confidence: confidence}


def _unknown_intents(view: LintView) -> Iterator[Finding]:
    """Yield a finding for each intent that is in no Intents document; after a limit, one for all
    others.
    """
    entries_by_intent = entries_of_unknown_intents(view)
    groups = _intents_by_group(view)
    unknown = list(entries_by_intent)
    for intent in unknown[:_MAX_UNKNOWN_INTENTS]:
        first, *others = entries_by_intent[intent]
        too = f", and in {pluralize(len(others), 'further place')}" if others else ""
        message = f"intent {quote(intent)} is used here{too}, but it is in no Intents document"
        hint = (
            _group_hint(groups.get(intent, ()))
            or suggest(intent, view.intents)
            or "add it there if the bot can return it"
        )
        yield view.finding_at(intent, "CXR206", "warning", message, first, hint)

    further = unknown[_MAX_UNKNOWN_INTENTS:]
    if further:
        count = pluralize(len(further), "further intent")
        message = f"{count} in no Intents document: {list_names(further)}"
        first = entries_by_intent[further[0]][0]
        yield view.finding("CXR206", "warning", message, first)


def _intents_by_group(view: LintView) -> dict[str | None, list[str]]:
    documents = [loaded.document for loaded in view.manifests.intents]
    entries = chain.from_iterable(document.entries for document in documents)
    return group_pairs((entry.group, entry.name) for entry in entries)


def _group_hint(values: Sequence[str]) -> str:
    """Return what to write instead of the name of a group with these values; empty without one."""
    if not values:
        return ""
    return f"it is a group: write its values, {join_first(values, MAX_LISTED_VALUES, quote)}"


def entries_of_unknown_intents(view: LintView) -> dict[str, list[RoutingEntry]]:
    """Return the rules and promises that name an intent of no Intents document, by intent."""
    declared = {*view.intents, view.fallback.intent}
    managed = [entry for entry in view.ordered if entry.address]
    uses: dict[str, list[RoutingEntry]] = {}
    for entry in (*managed, *view.promises):
        for intent in _named_intents(view, entry):
            if intent not in declared:
                uses.setdefault(intent, []).append(entry)
    return uses


def _named_intents(view: LintView, entry: RoutingEntry) -> Iterator[str]:
    for part in entry.rule.conditions:
        if not isinstance(part, Condition) or part.attribute != view.attributes.intent:
            continue
        if part.operator in EQUALITIES | SETS:
            yield from (value for value in part.values if isinstance(value, str))


_MIN_TYPO_LENGTH: Final = 5  # the minimum length of a name for a typo in it
_LIKENESS: Final = 0.85  # of a misspelt name and the known one, from 0 to 1
# of the comparison of two names, in comparisons of rules
_COMPARED_NAME_COST: Final = 2


def check_attributes(view: LintView) -> Iterator[Finding]:
    """Yield a finding for each attribute that the endpoint does not write and no unmanaged rule
    uses.
    """
    names = (
        view.attributes.intent,
        view.attributes.confidence,
        view.attributes.updated_at,
    )
    managed, unmanaged = _rules_by_attribute(view, names)
    declared = view.declared_attributes
    proposable: Iterable[str] = ()
    if declared is None:
        proposable = dict.fromkeys((*names, *sorted(unmanaged), *managed))
    rare = managed.keys() - unmanaged  # a name that fewer rules use is not proposed
    for name, entries in managed.items():
        if name in unmanaged:
            continue
        # if it is not declared, the check of the vocabulary reports it
        if declared is not None and (name not in declared or declared[name].written_by):
            continue
        common = [
            candidate
            for candidate in proposable
            if candidate not in rare or len(managed[candidate]) > len(entries)
        ]
        view.space.budget.spend(_COMPARED_NAME_COST * len(common))
        nearest = find_nearest(name, common)
        suggestion = nearest if is_typo(name, nearest) else None
        yield _attribute_finding(view, name, entries, suggestion)


def _rules_by_attribute(
    view: LintView, written: Iterable[str]
) -> tuple[dict[str, list[RoutingEntry]], set[str]]:
    """Return the managed rules by each attribute that they test, and the attributes that unmanaged
    rules test, without those that the endpoint has `written`.
    """
    managed: dict[str, list[RoutingEntry]] = {}
    unmanaged: set[str] = set()
    for entry in view.ordered:
        for name in sorted(_tested_attributes(entry).difference(written)):
            if entry.address is None:
                unmanaged.add(name)
            else:
                managed.setdefault(name, []).append(entry)
    return managed, unmanaged


def _tested_attributes(entry: RoutingEntry) -> set[str]:
    conditions = entry.rule.conditions
    return {part.attribute for part in conditions if isinstance(part, Condition)}


def _attribute_finding(
    view: LintView,
    name: str,
    entries: list[RoutingEntry],
    suggestion: str | None,
) -> Finding:
    message = f"attribute {quote(name)} is used by {pluralize(len(entries), 'rule')}"
    if suggestion is not None:
        message = f"{message}, but nothing is known to write it"
        hint = f"did you mean {quote(suggestion)}?"
        return view.finding_at(name, "CXR207", "warning", message, entries[0], hint)
    hint = "make sure that another source writes it: the phone menu, a script, the customer data"
    if view.declared_attributes is not None:
        hint = "name the system that writes it: `writtenBy` in the Attributes document"
    message += "; the context endpoint does not write it"
    return view.finding_at(name, "CXR207", "info", message, entries[0], hint)


def is_typo(name: str, candidate: str) -> bool:
    """Return whether a name is probably a misspelling of a known one: nearly the same letters, and
    the same digits.
    """
    if name == candidate or min(len(name), len(candidate)) < _MIN_TYPO_LENGTH:
        return False
    first = _letters(name)
    second = _letters(candidate)
    if list(filter(str.isdigit, first)) != list(filter(str.isdigit, second)):
        return False
    return SequenceMatcher(None, first, second).ratio() >= _LIKENESS


def _letters(name: str) -> str:
    return name.casefold().replace("_", "").replace("-", "")


# names and values with a separate finding: finding the nearest one is costly
_MAX_UNDECLARED: Final = 50

# code, message, hint; a text, for a similar one of candidates
_Problem = tuple[str, str, str, str, Iterable[object]]
# a problem, and its document and path
_PlacedProblem = tuple[_Problem, LoadedDocument[Any], tuple[PathStep, ...]]


def check_vocabulary(view: LintView) -> Iterator[Finding]:
    """Yield a finding for each undeclared attribute or value, at its first use, if there is an
    Attributes document.
    """
    declared = view.declared_attributes
    if declared is None:
        return
    names = view.attributes
    of_bot = (names.intent, names.confidence, names.updated_at)
    vocabulary = {**dict.fromkeys(of_bot, AttributeEntry()), **declared}
    problems = list(_find_problems(view, vocabulary).values())
    addresses = {entry.source: entry.address for entry in view.ordered}
    for places in problems[:_MAX_UNDECLARED]:
        message, hint = _problem_texts(places)
        yield _vocabulary_finding(places[0], message, hint, addresses)

    further = problems[_MAX_UNDECLARED:]
    if further:
        count = pluralize(len(further), "further difference")
        message = f"{count} from the Attributes documents, the first one here"
        hint = "correct the others first"
        yield _vocabulary_finding(further[0][0], message, hint, addresses)


def _vocabulary_finding(
    place: _PlacedProblem,
    message: str,
    hint: str,
    addresses: Mapping[Source | None, Address | None],
) -> Finding:
    (code, *_), loaded, path = place
    index = _problem_index(code, loaded, path)
    finding = loaded.source_map.text.finding(code, index, message, hint)
    address = addresses.get(loaded.source_of(*path[:2]))
    return replace(finding, severity="warning", address=address)


def _find_problems(
    view: LintView, vocabulary: Mapping[str, AttributeEntry]
) -> dict[str, list[_PlacedProblem]]:
    """Return the problems of all conditions and route tests, by message."""
    problems: dict[str, list[_PlacedProblem]] = {}
    for loaded, path, condition in chain(*view.stated.values(), _test_attributes(view)):
        value = condition.raw_value
        items = value if isinstance(value, tuple) else (value,)
        for step, item in enumerate(items):
            problem = _find_problem(condition, item, vocabulary)
            if problem:
                _, message, *_ = problem
                place = (problem, loaded, (*path, step))
                problems.setdefault(message, []).append(place)
    return problems


def _problem_texts(places: Sequence[_PlacedProblem]) -> tuple[str, str]:
    """Return the message and the hint of a problem, with the number of its places."""
    problem, *_ = places[0]
    _, message, hint, text, candidates = problem
    sources = {loaded.source_of(*path[:2]) for _, loaded, path in places}
    further = len(sources) - 1
    if further:
        message += f"; also in {pluralize(further, 'further place')}"

    names = [candidate for candidate in candidates if isinstance(candidate, str)]
    suggestion = suggest(text, names)
    return message, suggestion or hint


def _problem_index(
    code: str,
    loaded: LoadedDocument[Any],
    path: tuple[PathStep, ...],
) -> int:
    """Return the position of a problem in its file."""
    if code == "CXR213":
        return loaded.source_map.index(path)
    if code == "CXR207" and path[0] == "tests":  # there, a name is a key
        return loaded.source_map.key_index(path[:-1])
    return loaded.source_map.index((*path[:-2], "attribute"))


def _test_attributes(view: LintView) -> Iterator[StatedCondition]:
    """Yield the attributes of route tests as conditions."""
    for loaded in view.manifests.route_tests:
        for index, test in enumerate(loaded.document.tests):
            field = "attributes" if test.given.context is None else "context"
            for name, value in getattr(test.given, field).items():
                # an invalid variable: the test fails
                with suppress(KeyError, ValueError):
                    condition = _given_condition(view, field, name, value)
                    yield loaded, ("tests", index, "given", field, name), condition


def _given_condition(view: LintView, field: str, name: str, value: Json) -> Condition:
    """Return an attribute of a route test as a condition. Raises KeyError and ValueError."""
    if field == "context":
        short = {
            "intent": view.attributes.intent,
            "confidence": view.attributes.confidence,
        }
        name = short.get(name, name)
    variables = view.environment.vars
    attribute = str(fill_variables(name, variables))
    if isinstance(value, str):
        value = fill_variables(value, variables)
    operator = "exists" if value is None else "equals"
    return Condition(attribute, operator, value, value)


def _find_problem(
    condition: Condition,
    value: Json,
    vocabulary: Mapping[str, AttributeEntry],
) -> _Problem | None:
    """Return why the attribute, the operator or a value of a condition is not as declared."""
    name = condition.attribute
    operator = condition.operator
    subject = f"attribute {quote(name)}"
    if name not in vocabulary:
        message = f"{subject} is in no Attributes document"
        hint = "declare it there, or correct the name"
        return "CXR207", message, hint, name[:100], vocabulary

    entry = vocabulary[name]
    type_ = entry.declared_type
    compared: str | None = type_
    if operator in PATTERNS:
        compared = "text"
    elif operator in RANGES:
        compared = "number"
    if type_ and compared != type_:
        message = f"{operator} compares {compared}s, and {subject} has the type {type_}"
        return "CXR213", message, "use another operator, or correct the `type`", "", ()
    if operator in EQUALITIES | SETS:
        return _find_value_problem(subject, value, entry)
    return None


def _find_value_problem(
    subject: str,
    value: Json,
    entry: AttributeEntry,
) -> _Problem | None:
    """Return why a value is not one of a declared attribute."""
    type_ = entry.declared_type
    declared = tuple(entry.values or ())
    hint = ""
    if declared:
        hint = f"declared: {join_first(declared, MAX_LISTED_VALUES, quote)}"
    if type_ and not fits_type(value, type_):
        message = (
            f"{subject} has the type {type_}, and {describe_value(value)} is not of it"
        )
        if type_ == "text":
            hint = "put it in quotes"
        elif (
            type_ == "number"
            and isinstance(value, str)
            and JSON_NUMBER.fullmatch(value)
        ):
            hint = "write it without quotes"
        return "CXR213", message, hint, "", ()

    if declared and canonical_scalar(value) not in entry.canonical_values:
        message = f"{quote(value)} is not a declared value of {subject}"
        members = [item for item, group in entry.value_groups.items() if group == value]
        if members:
            return "CXR213", message, _group_hint(members), str(value)[:100], ()
        return "CXR213", message, hint, str(value)[:100], declared
    return None


_SKILL_NAME: Final = re.compile(r"[A-Za-z0-9_.:-]{2,30}", re.ASCII)
"""From public documents: 2 to 30 of these characters."""


def check_queues(view: LintView) -> Iterator[Finding]:
    """Yield a finding for each queue name that is not a valid skill name, at its first use."""
    environment = view.environment
    if environment.api.queues != "acd-skills":
        return
    aliases = resolve_aliases(view.manifests, environment.name)
    checked: set[str | None] = set()
    for loaded, index, entry in items_of(view.manifests.rulesets, "rules", environment):
        for text, _, path in list_targets(entry):
            try:
                name = fill_variables(text, environment.vars)
            except (KeyError, ValueError):
                continue  # another check reports it
            target = aliases.get(name, name) if isinstance(name, str) else None
            skill = target.name if isinstance(target, QueueRef) else target
            if skill is None or skill in checked:
                continue
            if not _SKILL_NAME.fullmatch(skill):
                message = (
                    f"queue {quote(skill)} is not a valid skill name: use 2 to 30 letters, digits, "
                    f"-, _, . and :"
                )
                hint = "correct it, or write the skill's id in a Queues document"
                yield loaded.finding(
                    "CXR210",
                    message,
                    "rules",
                    index,
                    *path,
                    severity="warning",
                    hint=hint,
                )
            checked.add(skill)


_FIELD_IDENT: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}", re.ASCII)
"""The form of all idents in public documents, which do not define the allowed characters."""


def check_field_idents(view: LintView) -> Iterator[Finding]:
    """Yield a finding for each of the three attribute names that is probably not an ident."""
    loaded = view.manifests.environments.get(view.environment.name)
    if loaded is None or view.environment.context.writer != "digital-custom-fields":
        return
    names = view.attributes
    of_fields = {
        "intent": names.intent,
        "confidence": names.confidence,
        "updatedAt": names.updated_at,
    }
    for field, name in of_fields.items():
        if not _FIELD_IDENT.fullmatch(name):
            reason = (
                "is probably not the ident of a custom field: use at most 64 letters, digits, -, _ "
                "and ."
            )
            message = f"{quote(name)} {reason}"
            hint = "write the ident that the field has in CXone"
            yield loaded.finding(
                "CXR211",
                message,
                "attributes",
                field,
                severity="warning",
                hint=hint,
            )
