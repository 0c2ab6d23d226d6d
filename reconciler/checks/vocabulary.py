"""Attributes and values of rules and route tests that no Attributes document declares (CXR207, CXR213)."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any, Final, NamedTuple

from reconciler.behaviour.routing_entry import RoutingEntry
from reconciler.desired.substitution import (
    MAX_FILLED_BYTES_TOTAL,
    TextBudget,
    TextLimitError,
    describe_value,
    fill_variables,
)
from reconciler.manifest.documents import Given
from reconciler.manifest.kinds.attributes import TYPE_PHRASES, AttributeEntry, fits_type
from reconciler.manifest.kinds.condition import ConditionEntry
from reconciler.manifest.kinds.environment import Environment
from reconciler.manifest.kinds.ruleset import RuleEntry, RuleSet
from reconciler.manifest.load import Manifests
from reconciler.manifest.source_map import LoadedDocument, PathStep
from reconciler.model.finding import Finding
from reconciler.model.rule import EQUALITIES, JSON_NUMBER, PATTERNS, RANGES, SETS, Json, Scalar, canonical_scalar
from reconciler.text.escape import join_first, pluralize, quote
from reconciler.text.suggest import suggest

_MAX_PROBLEMS: Final = 50  # problems with a separate finding: the search for the nearest name is slow
_MAX_LISTED: Final = 8
_NAME: Final = ""  # the operator of the use of a name

_Path = tuple[PathStep, ...]


class _Use(NamedTuple):
    """An attribute's name in a manifest, or a value with which the operator compares the attribute."""

    loaded: LoadedDocument[Any]
    path: _Path
    attribute: str
    operator: str
    value: Json = None


class _Declared(NamedTuple):
    """A declaration in the form that is fast to check."""

    type: str | None
    values: Sequence[Scalar]
    canonical: frozenset[Scalar]


class _Problem(NamedTuple):
    code: str
    message: str
    attribute: str
    hint: str = ""  # empty if it is the nearest name or value
    wrong: str = ""  # the name or value for which to find the nearest


def check_vocabulary(
    manifests: Manifests, environment: Environment, entries: Iterable[RoutingEntry]
) -> Iterator[Finding]:
    """Yield a finding for each undeclared attribute or value, at its first use, if there is an Attributes document."""
    if not manifests.attributes:
        return
    names = environment.attributes
    declared = {name: _read(entry) for name, entry in manifests.declared_attributes.items()}
    known = dict.fromkeys((*declared, names.intent, names.confidence, names.updated_at))
    uses: dict[_Problem, list[_Use]] = {}
    for use in _filled(_uses(manifests, environment), environment.vars):
        problem = None
        if use.operator != _NAME:
            problem = _fault(use, declared[use.attribute]) if use.attribute in declared else None
        elif use.attribute not in known:
            message = f"attribute {quote(use.attribute)} is in no Attributes document"
            problem = _Problem("CXR207", message, use.attribute, wrong=use.attribute)
        if problem:
            uses.setdefault(problem, []).append(use)
    addresses = {entry.source: entry.address for entry in entries if entry.source} if uses else {}
    for number, (problem, places) in enumerate(islice(uses.items(), _MAX_PROBLEMS + 1)):
        message, hint = problem.message, problem.hint or _nearest(problem, declared, known)
        first, count = places[0], len({(use.loaded.file, use.loaded.source_map.start, use.path[:2]) for use in places})
        if number == _MAX_PROBLEMS:
            further = pluralize(len(uses) - number, "further difference")
            message, hint = f"{further} from the Attributes documents, the first one here", "correct the others first"
        elif count > 1:
            message += f"; also in {pluralize(count - 1, 'further place')}"
        source_map = first.loaded.source_map
        is_key = first.operator == _NAME and first.path[0] == "tests"
        index = source_map.key_index(first.path) if is_key else source_map.index(first.path)
        finding = source_map.text.finding(problem.code, index, message, hint)
        yield replace(finding, severity="warning", address=addresses.get(first.loaded.source_of(*first.path[:2])))


def rules_in(
    manifests: Manifests, environment: Environment
) -> Iterator[tuple[LoadedDocument[RuleSet], int, RuleEntry]]:
    """Yield the rules of one environment, each with its document and its position in it."""
    for loaded in manifests.rulesets:
        if loaded.document.environments is None or environment.name in loaded.document.environments:
            for index, entry in enumerate(loaded.document.rules):
                if entry.environments is None or environment.name in entry.environments:
                    yield loaded, index, entry


def _uses(manifests: Manifests, environment: Environment) -> Iterator[_Use]:
    for loaded, index, entry in rules_in(manifests, environment):
        yield from _condition_uses(loaded, ("rules", index, "when"), entry.when)
    names = environment.attributes
    short = {"intent": names.intent, "confidence": names.confidence}
    for tests in manifests.route_tests:
        for index, test in enumerate(tests.document.tests):
            yield from _given_uses(tests, ("tests", index, "given"), test.given, short)


def _condition_uses(loaded: LoadedDocument[Any], path: _Path, conditions: Iterable[ConditionEntry]) -> Iterator[_Use]:
    """Yield what the conditions of a `when` use: each name, and each value, of a list separately."""
    for at, test in enumerate(conditions):
        yield _Use(loaded, (*path, at, "attribute"), test.attribute, _NAME)
        if isinstance(test.value, tuple):
            for step, value in enumerate(test.value):
                yield _Use(loaded, (*path, at, test.operator, step), test.attribute, test.operator, value)
        else:
            yield _Use(loaded, (*path, at, test.operator), test.attribute, test.operator, test.value)


def _given_uses(loaded: LoadedDocument[Any], path: _Path, given: Given, short: Mapping[str, str]) -> Iterator[_Use]:
    for field, values in (("attributes", given.attributes), ("context", given.context or {})):
        for name, value in values.items():
            attribute = short.get(name, name) if field == "context" else name
            yield _Use(loaded, (*path, field, name), attribute, _NAME)
            if value is not None:
                yield _Use(loaded, (*path, field, name), attribute, "equals", value)


def _filled(uses: Iterable[_Use], variables: Mapping[str, Json]) -> Iterator[_Use]:
    """Yield the uses with variables filled in, except invalid ones: another check reports them."""
    budget = TextBudget(MAX_FILLED_BYTES_TOTAL)
    for use in uses:
        try:
            attribute, value = (
                fill_variables(text, variables) if isinstance(text, str) and "$" in text else text
                for text in (use.attribute, use.value)
            )
            if value is not use.value:
                budget.spend(value)
        except (KeyError, ValueError):
            continue
        except TextLimitError:
            return
        for item in value if isinstance(value, tuple) else (value,):
            yield use._replace(attribute=str(attribute), value=item)


def _read(entry: AttributeEntry) -> _Declared:
    values = entry.known_values
    return _Declared(entry.declared_type, values, frozenset(map(canonical_scalar, values)))


def _fault(use: _Use, declared: _Declared) -> _Problem | None:
    """Return why a value, or an operator, does not fit the declaration of its attribute."""
    operator, value, subject = use.operator, use.value, f"attribute {quote(use.attribute)}"
    is_declared_as = f"{subject} is declared as {TYPE_PHRASES[declared.type]}" if declared.type else ""
    compared = "text" if operator in PATTERNS else "number" if operator in RANGES else declared.type
    if declared.type and compared != declared.type:
        message = f"{operator} compares {compared}s, and {is_declared_as}"
        return _Problem("CXR213", message, use.attribute, "use another operator, or correct the `type`")
    if operator not in EQUALITIES | SETS:
        return None
    if declared.type and not fits_type(value, declared.type):
        is_number = declared.type == "number" and isinstance(value, str) and JSON_NUMBER.fullmatch(value)
        hint = "put it in quotes" if declared.type == "text" else "write it without quotes" if is_number else ""
        return _Problem("CXR213", f"{is_declared_as}, not {describe_value(value)}", use.attribute, hint, str(value))
    if declared.values and canonical_scalar(value) not in declared.canonical:
        message = f"{quote(value)} is not a declared value of {subject}"
        return _Problem("CXR213", message, use.attribute, wrong=str(value))
    return None


def _nearest(problem: _Problem, declared: Mapping[str, _Declared], known: Mapping[str, object]) -> str:
    """Return the nearest declared name or value, or what to do."""
    if problem.code == "CXR207":
        return suggest(problem.wrong, known) or "declare it there, or correct the name"
    values = declared[problem.attribute].values
    near = suggest(problem.wrong, [value for value in values if isinstance(value, str)])
    return near or f"declared: {join_first(values, _MAX_LISTED, quote)}" if values else ""
