"""The space of conversations that some lists of rules can tell apart, and each rule as a box in it.

Rules are filed by the attribute that they name most values of, the pivot; mostly the intent. For one value of the
pivot a rule is only its shape on the other attributes, and few rules are about that value at all.

Conditions of one rule that cannot hold together.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from reconciler.behaviour.budget import DEFAULT_WORK, WORK_PER_SEARCH, WorkBudget
from reconciler.behaviour.space.boxes import Box, Shape, Shapes
from reconciler.behaviour.space.domain import MISSING, NOTHING, REST, Domain, ValueSet, intersect
from reconciler.behaviour.space.patterns import PatternSet, bits
from reconciler.behaviour.space.value_type import ANY_VALUE, Types
from reconciler.model.rule import Condition, Opaque, Scalar

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from reconciler.behaviour.routing_entry import RoutingEntry


def find_contradiction(space: Space, entry: RoutingEntry) -> tuple[Condition | Opaque, ...]:
    """Return conditions of a rule that cannot hold together, none of which could be left out."""
    conditions = [one for one in entry.rule.conditions if isinstance(one, Condition)]
    for number in sorted({space.domain_index[one.attribute] for one in conditions}):
        asked = [one for one in conditions if space.domain_index[one.attribute] == number]
        if not _intersect_conditions(space, number, asked)[0]:
            for one in list(asked):
                others = [other for other in asked if other is not one]
                if not others or not _intersect_conditions(space, number, others)[0]:
                    asked = others or asked
            return tuple(asked)
    raise AssertionError(entry.name)


def _intersect_conditions(space: Space, number: int, conditions: Sequence[Condition]) -> ValueSet:
    part = space.domains[number].all
    for one in conditions:
        part = intersect(part, space.domain(number).values_for(one))
    return part


Conditions = tuple[Condition | Opaque, ...]

HOLDS: Final[ValueSet] = (4, 0, 0)
FAILS: Final[ValueSet] = (1, 0, 0)
MAX_NARROW_VALUES: Final = 64
_PATTERNS_PER_COMPARISON: Final = 100


class OpaqueDomain:
    """The one unknown truth of a condition that is not understood (S11), in the place of a domain."""

    value_count = text_mask = number_mask = unlikely = text_like_numbers = 0
    is_narrowed = False
    all: Final[ValueSet] = (HOLDS[0] | FAILS[0], 0, 0)

    def __init__(self, condition: Opaque) -> None:
        self.condition = condition
        self.attribute = condition.text
        self.patterns = PatternSet(())

    def clause_cost(self, _part: ValueSet) -> float:
        """Return how many conditions say whether it holds."""
        return 1


class CompiledRule(NamedTuple):
    """One rule's conditions as a box; equal boxes are one object.

    A rule about few values of the pivot has them in `atoms`, any other in `pivot`.
    """

    atoms: tuple[int, ...]
    pivot: ValueSet
    shape: int
    rest: int
    """Its shape among texts of the pivot that no rule names, the pivot's patterns included; -1 where it has none."""


class Example(NamedTuple):
    """A conversation, and what is taken to hold of conditions that are not understood, by their JSON."""

    attributes: dict[str, Scalar]
    assumed: dict[str, bool]


class Space:
    """What the rules of some lists can tell apart, and their boxes."""

    def __init__(
        self,
        lists: Iterable[Iterable[RoutingEntry]],
        texts: Mapping[str, Iterable[str]] | None = None,
        types: Types | None = None,
    ) -> None:
        """Cut by every rule of the lists; `texts` are further values of attributes to tell apart."""
        distinct = dict.fromkeys(entry.rule.conditions for entries in lists for entry in entries)
        asked: dict[str, dict[Condition, None]] = {attribute: {} for attribute in texts or ()}
        unknown: dict[Opaque, None] = {}
        for conditions in distinct:
            for one in conditions:
                if isinstance(one, Condition):
                    asked.setdefault(one.attribute, {})[one] = None
                else:
                    unknown[one] = None
        self.domains: list[Domain | OpaqueDomain] = [
            Domain(attribute, conditions, (texts or {}).get(attribute, ()), (types or {}).get(attribute, ANY_VALUE))
            for attribute, conditions in asked.items()
        ]
        self.domains += [OpaqueDomain(part) for part in unknown]
        # By the condition itself where it is not understood: an attribute may be named like that condition's JSON.
        self.domain_index: Final[dict[str | Opaque, int]] = {
            domain.condition if isinstance(domain, OpaqueDomain) else domain.attribute: place
            for place, domain in enumerate(self.domains)
        }
        self.pivot = self._choose_pivot()
        self.budget = WorkBudget(DEFAULT_WORK, WORK_PER_SEARCH)
        self.shapes = Shapes(self.domains, self.budget)  # type: ignore[arg-type]
        self.rest_shapes = Shapes(self.domains, self.budget)  # type: ignore[arg-type]
        self._values_by_condition: dict[Condition, ValueSet] = {}
        self._interned: dict[CompiledRule, CompiledRule] = {}
        self.always = self._compile_box(self.pivot_domain.all, ())
        unnamed = ((self.pivot, (REST, 0, 0)),) if self.pivot >= 0 else ()
        self.rest_always = self.rest_shapes.add(unnamed)
        self._compiled = {conditions: self._compile(conditions) for conditions in distinct}
        others = [domain.all[0].bit_length() for place, domain in enumerate(self.domains) if place != self.pivot]
        patterns = [len(domain.patterns.all) for domain in self.domains]
        self.budget.widen(max(len(self.shapes.all), *others, *patterns, 0))

    def compiled(self, conditions: Conditions) -> CompiledRule | None:
        """Return the box of a rule's conditions; None where they can never hold together."""
        return self._compiled[conditions]

    def domain(self, number: int) -> Domain:
        """Return the domain of an attribute; that of an unknown truth answers to the same names."""
        return self.domains[number]  # type: ignore[return-value]

    def _choose_pivot(self) -> int:
        """Choose the attribute with most values; where there is none, -1."""
        sizes = [domain.value_count for domain in self.domains]
        most = max(range(len(sizes)), key=lambda place: (sizes[place], -place), default=-1)
        return most if most >= 0 and sizes[most] else -1

    @property
    def pivot_domain(self) -> Domain:
        """The domain of the pivot; an attribute nobody asks about where there are no attributes at all."""
        return self.domain(self.pivot) if self.pivot >= 0 else _EMPTY_DOMAIN

    def _compile(self, conditions: Conditions) -> CompiledRule | None:
        parts: Box = {}
        literal = None
        for one in conditions:
            if isinstance(one, Opaque):
                parts[self.domain_index[one]] = HOLDS
                continue
            number = self.domain_index[one.attribute]
            if number == self.pivot and literal is None and self._is_literal(one):
                literal = one
                continue
            part = self._condition_values(number, one)
            parts[number] = intersect(parts[number], part) if number in parts else part
        if literal is not None and self.pivot in parts:
            parts[self.pivot] = intersect(parts[self.pivot], self._condition_values(self.pivot, literal))
            literal = None
        if any(not part[0] for part in parts.values()):
            return None
        pivot = parts.pop(self.pivot, None)
        shape = tuple(sorted((n, part) for n, part in parts.items() if part != self.domains[n].all))
        if literal is not None:
            atom = self.pivot_domain.atom(str(literal.value))
            return self._intern(CompiledRule((atom or 0,), NOTHING, self.shapes.add(shape), -1))
        return self._compile_box(pivot or self.pivot_domain.all, shape)

    def _is_literal(self, condition: Condition) -> bool:
        return condition.operator == "equals" and isinstance(condition.value, str) and self.pivot_domain.text_mask != 0

    def _compile_box(self, pivot: ValueSet, shape: Shape) -> CompiledRule:
        number = self.shapes.add(shape)
        if not pivot[0] & REST:
            if pivot[0].bit_count() <= MAX_NARROW_VALUES and pivot != self.pivot_domain.all:
                return self._intern(CompiledRule(tuple(bits(pivot[0])), NOTHING, number, -1))
            return self._intern(CompiledRule((), pivot, number, -1))
        asked = ((self.pivot, (REST, pivot[1], pivot[2])),) if self.pivot >= 0 else ()
        return self._intern(CompiledRule((), pivot, number, self.rest_shapes.add(tuple(sorted((*asked, *shape))))))

    def _intern(self, compiled: CompiledRule) -> CompiledRule:
        return self._interned.setdefault(compiled, compiled)

    def _condition_values(self, number: int, condition: Condition) -> ValueSet:
        found = self._values_by_condition.get(condition)
        if found is None:
            found = self._values_by_condition[condition] = self.domain(number).values_for(condition)
        return found

    def pivot_values(self, compiled: CompiledRule) -> ValueSet:
        """Return a rule's values of the pivot as one part, however many they are."""
        if not compiled.atoms:
            return compiled.pivot
        return (sum(1 << atom for atom in compiled.atoms), 0, 0)

    def box(self, compiled: CompiledRule) -> Box:
        """Return what a rule asks of each attribute, the pivot included."""
        found = dict(self.shapes.all[compiled.shape])
        pivot = self.pivot_values(compiled)
        if pivot != self.pivot_domain.all:
            found[self.pivot] = pivot
        return found

    @property
    def narrowed_attributes(self) -> tuple[str, ...]:
        """The attributes of which a known type leaves values out that the rules could tell from all others."""
        return tuple(domain.attribute for domain in self.domains if domain.is_narrowed)

    def unlikely_attributes(self, box: Box) -> tuple[str, ...]:
        """Return the attributes that have a value of another type than rules compare them with all over the box."""
        found = ((self.domains[number], part[0]) for number, part in box.items())
        return tuple(domain.attribute for domain, atoms in found if atoms and not atoms & ~domain.unlikely)

    def cost_of_example(self, box: Box) -> int:
        """Return what an example of a box costs, in comparisons: a text of many patterns is long, and tried by all."""
        texts = (part[1].bit_count() * len(self.domains[number].patterns.all) for number, part in box.items())
        return (sum(part[0].bit_count() for part in box.values()) * 25 + sum(texts)) // _PATTERNS_PER_COMPARISON

    def example(self, box: Box) -> Example:
        """Return a conversation of a box: attributes that are asked about, unless anything is right."""
        attributes: dict[str, Scalar] = {}
        assumed: dict[str, bool] = {}
        for number, domain in enumerate(self.domains):
            part = box.get(number, domain.all)
            if isinstance(domain, OpaqueDomain):
                assumed[domain.attribute] = part[0] & HOLDS[0] != 0
            elif part != domain.all and not _allows_nearly_all(part, domain):
                value = domain.example_value(part)
                if value is not None:
                    attributes[domain.attribute] = value
        return Example(attributes, assumed)


def _allows_nearly_all(part: ValueSet, domain: Domain) -> bool:
    """Say whether nearly everything is right, nothing at all included: a conversation need not say it."""
    return bool(part[0] & MISSING and part[0] & REST and not part[0] & domain.number_mask)


_EMPTY_DOMAIN: Final = Domain("", ())
