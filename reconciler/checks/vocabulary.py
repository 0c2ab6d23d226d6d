"""Attributes and values of rules and route tests that no Attributes document declares (CXR207, CXR213)."""

from collections.abc import Iterable, Iterator, Mapping
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
from reconciler.manifest.kinds.attributes import TYPE_PHRASES, AttributeEntry, fits_type
from reconciler.manifest.kinds.condition import ConditionEntry
from reconciler.manifest.kinds.environment import Environment
from reconciler.manifest.kinds.ruleset import RuleEntry, RuleSet
from reconciler.manifest.load import Manifests
from reconciler.manifest.source_map import LoadedDocument, PathStep
from reconciler.model.finding import Finding
from reconciler.model.rule import EQUALITIES, JSON_NUMBER, PATTERNS, RANGES, SETS, Json, canonical_scalar
from reconciler.text.escape import join_first, pluralize, quote
from reconciler.text.suggest import suggest

_MAX_PROBLEMS: Final = 50  # problems with a separate finding: the search for the nearest name is slow
_MAX_LISTED: Final = 8
_NAME: Final = ""  # the operator of the use of a name

_Path = tuple[PathStep, ...]
_Problem = tuple[str, str, str]  # code, message and hint; an empty hint is the nearest name or value


class _Use(NamedTuple):
    """An attribute's name in a manifest, or a value with which the operator compares the attribute."""

    loaded: LoadedDocument[Any]
    path: _Path
    attribute: str
    operator: str
    value: Json = None

    def finding(self, problem: _Problem) -> Finding:
        """Return the finding at the name or the value."""
        source_map = self.loaded.source_map
        is_key = self.operator == _NAME and self.path[0] == "tests"
        index = source_map.key_index(self.path) if is_key else source_map.index(self.path)
        return replace(source_map.text.finding(problem[0], index, *problem[1:]), severity="warning")


def check_vocabulary(
    manifests: Manifests, environment: Environment, entries: Iterable[RoutingEntry]
) -> Iterator[Finding]:
    """Yield a finding for each undeclared attribute or value, at its first use, if there is an Attributes document."""
    if not manifests.attributes:
        return
    declared, names = manifests.declared_attributes, environment.attributes
    known = dict.fromkeys((*declared, names.intent, names.confidence, names.updated_at))
    uses: dict[_Problem, list[_Use]] = {}
    for use in _filled(_uses(manifests, environment), environment.vars):
        if use.operator != _NAME:
            problem = _fault(use, declared[use.attribute]) if use.attribute in declared else None
        elif use.attribute not in known:
            problem = ("CXR207", f"attribute {quote(use.attribute)} is in no Attributes document", "")
        else:
            problem = None
        if problem:
            uses.setdefault(problem, []).append(use)
    addresses = {entry.source: entry.address for entry in entries if entry.source} if uses else {}
    for number, ((code, message, hint), places) in enumerate(islice(uses.items(), _MAX_PROBLEMS + 1)):
        first, count = places[0], len({(use.loaded.file, use.loaded.source_map.start, use.path[:2]) for use in places})
        if number == _MAX_PROBLEMS:
            further = pluralize(len(uses) - number, "further difference")
            problem = code, f"{further} from the Attributes documents, the first one here", "correct the others first"
        else:
            also = f"; also in {pluralize(count - 1, 'further place')}" if count > 1 else ""
            problem = code, message + also, hint or _nearest(first, declared, known)
        yield replace(first.finding(problem), address=addresses.get(first.loaded.source_of(*first.path[:2])))


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
        yield from condition_uses(loaded, ("rules", index, "when"), entry.when)
    for stated in manifests.promises:
        for index, promise in enumerate(stated.document.promises):
            if promise.conversations:
                yield from condition_uses(stated, ("promises", index, "for", "when"), promise.conversations.when)
    short = {"intent": environment.attributes.intent, "confidence": environment.attributes.confidence}
    for tests in manifests.route_tests:
        for index, test in enumerate(tests.document.tests):
            context = {name: short.get(name, name) for name in test.given.context or ()}
            for field, values in (("attributes", test.given.attributes), ("context", test.given.context or {})):
                for name, value in values.items():
                    path, attribute = ("tests", index, "given", field, name), context.get(name, name)
                    yield _Use(tests, path, attribute, _NAME)
                    if value is not None:
                        yield _Use(tests, path, attribute, "equals", value)


def condition_uses(loaded: LoadedDocument[Any], path: _Path, conditions: Iterable[ConditionEntry]) -> Iterator[_Use]:
    """Yield what the conditions of a `when` use: each name, and each value, of a list separately."""
    for at, test in enumerate(conditions):
        yield _Use(loaded, (*path, at, "attribute"), test.attribute, _NAME)
        steps = ((step,) for step in range(len(test.value))) if isinstance(test.value, tuple) else [()]
        values = test.value if isinstance(test.value, tuple) else (test.value,)
        for step, value in zip(steps, values, strict=True):
            yield _Use(loaded, (*path, at, test.operator, *step), test.attribute, test.operator, value)


def _filled(uses: Iterable[_Use], variables: Mapping[str, Json]) -> Iterator[_Use]:
    """Yield the uses with variables filled in, except invalid ones: another check reports them."""
    budget = TextBudget(MAX_FILLED_BYTES_TOTAL)
    for use in uses:
        if not any(isinstance(text, str) and "$" in text for text in (use.attribute, use.value)):
            yield use
            continue
        try:
            attribute, value = (
                fill_variables(text, variables) if isinstance(text, str) else text
                for text in (use.attribute, use.value)
            )
            budget.spend(value)
        except (KeyError, ValueError):
            continue
        except TextLimitError:
            return
        for item in value if isinstance(value, tuple) else (value,):
            yield use._replace(attribute=str(attribute), value=item)


def _fault(use: _Use, entry: AttributeEntry) -> _Problem | None:
    """Return why a value, or an operator, does not fit the declaration of its attribute."""
    operator, value, declared, subject = (
        use.operator,
        use.value,
        entry.declared_type,
        f"attribute {quote(use.attribute)}",
    )
    is_declared_as = f"{subject} is declared as {TYPE_PHRASES[declared]}" if declared else ""
    compared = "text" if operator in PATTERNS else "number" if operator in RANGES else declared
    if compared != declared and declared:
        message = f"{operator} compares {compared}s, and {is_declared_as}"
        return "CXR213", message, "use another operator, or correct the `type`"
    if operator not in EQUALITIES | SETS:
        return None
    if declared and not fits_type(value, declared):
        is_number = declared == "number" and isinstance(value, str) and JSON_NUMBER.fullmatch(value)
        hint = "put it in quotes" if declared == "text" else "write it without quotes" if is_number else ""
        return "CXR213", f"{is_declared_as}, not {describe_value(value)}", hint
    if entry.canonical_values and canonical_scalar(value) not in entry.canonical_values:
        return "CXR213", f"{quote(value)} is not a declared value of {subject}", ""
    return None


def _nearest(use: _Use, declared: Mapping[str, AttributeEntry], known: Mapping[str, object]) -> str:
    """Return the nearest declared name or value, or what to do."""
    if use.operator == _NAME:
        return suggest(use.attribute, known) or "declare it there, or correct the name"
    values = declared[use.attribute].known_values
    near = suggest(str(use.value), [value for value in values if isinstance(value, str)])
    return near or f"declared: {join_first(values, _MAX_LISTED, quote)}" if values else ""
