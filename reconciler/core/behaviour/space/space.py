"""The space of conversations that lists of rules can distinguish, and each rule as a box in it.

Rules are indexed by the attribute of which they name most values, the pivot; mostly the intent.
Within one value of the pivot a rule is only its shape on the other attributes, and few rules have
that value at all.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Final, NamedTuple

from reconciler.core.behaviour.budget import DEFAULT_WORK, WORK_PER_SEARCH, WorkBudget
from reconciler.core.behaviour.routing_entry import RoutingEntry
from reconciler.core.behaviour.space.boxes import Box, Shape, Shapes
from reconciler.core.behaviour.space.domain import (
    MISSING,
    NOTHING,
    REST,
    Domain,
    ValueSet,
    intersect,
)
from reconciler.core.behaviour.space.patterns import bits
from reconciler.core.behaviour.space.value_type import ANY_VALUE, Types
from reconciler.core.model.operators import Scalar
from reconciler.core.model.rule import Condition, Opaque

Conditions = tuple[Condition | Opaque, ...]

NOT_SENT: Final = (
    "no such conversation is sent with the declared intents and attribute values"
)
SENT_UNDECIDED: Final = (
    "it is not decided whether such a conversation is sent with the declared intents and "
    "attribute values"
)

HOLDS: Final[ValueSet] = (REST, 0, 0)  # of a condition of an unknown kind
FAILS: Final[ValueSet] = (MISSING, 0, 0)
MAX_NARROW_VALUES: Final = 64
_PATTERNS_PER_COMPARISON: Final = 100


def find_contradiction(space: "Space", entry: RoutingEntry) -> Conditions:
    """Return conditions of a rule that cannot hold together, each of them necessary for that."""
    conditions = [part for part in entry.rule.conditions if isinstance(part, Condition)]
    for number in sorted({space.domain_index[part.attribute] for part in conditions}):
        needed = [
            part for part in conditions if space.domain_index[part.attribute] == number
        ]
        domain = space.domains[number]
        if not domain.values_for_all(needed)[0]:
            for part in list(needed):
                others = [condition for condition in needed if condition is not part]
                if not domain.values_for_all(others)[0]:
                    needed = others
            return tuple(needed)
    raise AssertionError(entry.name)


class OpaqueDomain(Domain):
    """A condition of an unknown kind (S11), as an attribute that exists exactly where the condition
    holds.
    """

    def __init__(self, condition: Opaque) -> None:
        super().__init__(condition.text, ())
        self.condition = condition

    def clause_cost(self, _part: ValueSet) -> float:
        """Return the number of conditions that express a truth value."""
        return 1


class CompiledRule(NamedTuple):
    """The conditions of a rule as a box; equal boxes are one object."""

    atoms: tuple[int, ...]  # the values of the pivot, where they are few
    pivot: ValueSet  # the values of the pivot of every other rule
    shape: int
    # the shape among unnamed texts of the pivot, with the patterns of the pivot; -1 where it has
    # none
    rest: int


class Example(NamedTuple):
    """A conversation, and assumed truth values of conditions of an unknown kind, by their JSON."""

    attributes: dict[str, Scalar]
    assumed: dict[str, bool]
    # attributes that conversations usually have, and that this one must not have
    absent: tuple[str, ...] = ()
    # why it is not shown: no such conversation is sent; empty for one that is
    reason: str = ""

    @property
    def shown(self) -> dict[str, Scalar] | None:
        """Return the conversation that reports show; None: none is sent."""
        return None if self.reason else self.attributes


Texts = Mapping[str, Iterable[str]]  # further values to distinguish, by attribute


def _build_domains(
    parts: Iterable[Condition | Opaque],
    texts: Texts,
    types: Types,
) -> list[Domain]:
    """Return the domain of each attribute, and of each condition of an unknown kind."""
    grouped: dict[str, list[Condition]] = {name: [] for name in texts}
    opaque: list[Domain] = []
    for part in parts:
        if isinstance(part, Opaque):
            opaque.append(OpaqueDomain(part))
        else:
            grouped.setdefault(part.attribute, []).append(part)
    domains = [
        Domain(name, tests, texts.get(name, ()), types.get(name, ANY_VALUE))
        for name, tests in grouped.items()
    ]
    return [*domains, *opaque]


def _index_domains(domains: Iterable[Domain]) -> dict[str | Opaque, int]:
    """Return the number of each domain, by its attribute or its condition of an unknown kind."""
    # An attribute may be named like the JSON of such a condition.
    return {
        domain.condition if isinstance(domain, OpaqueDomain) else domain.attribute: n
        for n, domain in enumerate(domains)
    }


def _find_pivot(domains: Sequence[Domain]) -> int:
    sizes = [domain.value_count for domain in domains]
    return sizes.index(max(sizes)) if any(sizes) else -1


class Space:
    """The domains of all attributes, the pivot, and the boxes of the rules of some lists."""

    reason_without_example = NOT_SENT  # until a search for one that is sent gives up

    def __init__(
        self,
        lists: Iterable[Iterable[RoutingEntry]],
        texts: Texts | None = None,
        types: Types | None = None,
    ) -> None:
        # Most rules are in all lists: each is compiled once.
        self._conditions: Final = {
            id(entry.rule.conditions): entry.rule.conditions
            for entry in chain.from_iterable(lists)
        }
        parts = dict.fromkeys(chain.from_iterable(self._conditions.values()))
        self.domains = _build_domains(parts, texts or {}, types or {})
        self.domain_index = _index_domains(self.domains)
        self.usual_domains = self._preferring_domains()
        self._usual_elsewhere = self._usual_values_elsewhere(types or {})
        # the attribute with most values; -1 without values
        self.pivot = _find_pivot(self.domains)

        self.budget = WorkBudget(DEFAULT_WORK, WORK_PER_SEARCH)
        self.shapes = Shapes(self.domains, self.budget)
        self.rest_shapes = Shapes(self.domains, self.budget)
        self._interned: dict[CompiledRule, CompiledRule] = {}
        self._shape_of: dict[Conditions, Shape | None] = {}
        self._compile_all()
        self.budget.widen(self._longest_mask())

    def _compile_all(self) -> None:
        pivot = self.pivot_domain.attribute if self.pivot >= 0 else None
        self.always = self._compile_box(self.pivot_domain.all, ())
        # by the identity of a rule's conditions
        self._compiled = {
            key: self._compile(conditions, pivot)
            for key, conditions in self._conditions.items()
        }

    @property
    def pivot_domain(self) -> Domain:
        """The domain of the pivot; an empty domain without a pivot."""
        return self.domains[self.pivot] if self.pivot >= 0 else _EMPTY_DOMAIN

    def _longest_mask(self) -> int:
        """Return the bits of the longest mask that a comparison uses."""
        atoms = [
            domain.all[0].bit_length()
            for number, domain in enumerate(self.domains)
            if number != self.pivot
        ]
        patterns = [len(domain.patterns.all) for domain in self.domains]
        return max(len(self.shapes.all), *atoms, *patterns, 0)

    def compiled(self, entry: RoutingEntry) -> CompiledRule | None:
        """Return the box of a rule of the lists; None if its conditions contradict each other."""
        return self._compiled[id(entry.rule.conditions)]

    def _compile(
        self,
        conditions: Conditions,
        pivot: str | None,
    ) -> CompiledRule | None:
        about_pivot: list[Condition] = []
        others: list[Condition | Opaque] = []
        for part in conditions:
            if isinstance(part, Condition) and part.attribute == pivot:
                about_pivot.append(part)
            else:
                others.append(part)

        shape = self._remembered_shape(tuple(others))
        if shape is None:
            return None
        if len(about_pivot) == 1 and self._is_literal(about_pivot[0]):
            atom = self.pivot_domain.atom_of[str(about_pivot[0].value)]
            number = self.shapes.add(shape)
            return self._intern(CompiledRule((atom,), NOTHING, number, -1))

        values = self.pivot_domain.values_for_all(about_pivot)
        return self._compile_box(values, shape) if values[0] else None

    def _remembered_shape(self, conditions: Conditions) -> Shape | None:
        """Return the box of conditions that are not about the pivot; many rules share them."""
        if conditions not in self._shape_of:
            self._shape_of[conditions] = self._build_shape(conditions)
        return self._shape_of[conditions]

    def _build_shape(self, conditions: Conditions) -> Shape | None:
        parts: Box = {}
        for part in conditions:
            if isinstance(part, Opaque):
                parts[self.domain_index[part]] = HOLDS
                continue
            number = self.domain_index[part.attribute]
            values = self.domains[number].values_for(part)
            parts[number] = intersect(parts.get(number, values), values)

        if not all(values[0] for values in parts.values()):
            return None
        restricting = (
            (number, values)
            for number, values in parts.items()
            if values != self.domains[number].all
        )
        return tuple(sorted(restricting))

    def _usual_values_elsewhere(self, types: Types) -> dict[str, Scalar]:
        """Return the most usual value of each attribute that no rule tests."""
        return {
            name: value_type.usual[0]
            for name, value_type in types.items()
            if value_type.usual and name not in self.domain_index
        }

    def _preferring_domains(self) -> tuple[int, ...]:
        """Return the attributes whose examples prefer some values: those with declared values
        first, and of both kinds those that conversations always have.
        """
        preferring = [
            number for number, domain in enumerate(self.domains) if domain.usual_levels
        ]

        def place(number: int) -> tuple[bool, bool]:
            domain = self.domains[number]
            return not domain.declares_values, not domain.usual

        return tuple(sorted(preferring, key=place))

    def _is_literal(self, condition: Condition) -> bool:
        return (
            condition.operator == "equals"
            and isinstance(condition.value, str)
            and self.pivot_domain.text_mask != 0
        )

    def _compile_box(self, pivot: ValueSet, shape: Shape) -> CompiledRule:
        number = self.shapes.add(shape)
        if not pivot[0] & REST:
            is_narrow = pivot[0].bit_count() <= MAX_NARROW_VALUES
            if is_narrow and pivot != self.pivot_domain.all:
                atoms = tuple(bits(pivot[0]))
                return self._intern(CompiledRule(atoms, NOTHING, number, -1))
            return self._intern(CompiledRule((), pivot, number, -1))

        unnamed: Shape = ()
        if self.pivot >= 0:
            unnamed = ((self.pivot, (REST, pivot[1], pivot[2])),)
        rest = self.rest_shapes.add(tuple(sorted((*unnamed, *shape))))
        return self._intern(CompiledRule((), pivot, number, rest))

    def _intern(self, compiled: CompiledRule) -> CompiledRule:
        return self._interned.setdefault(compiled, compiled)

    def pivot_values(self, compiled: CompiledRule) -> ValueSet:
        """Return a rule's values of the pivot as one part, however many they are."""
        if not compiled.atoms:
            return compiled.pivot
        atoms = sum(1 << atom for atom in compiled.atoms)
        return (atoms, 0, 0)

    def box(self, compiled: CompiledRule) -> Box:
        """Return a rule's values of each attribute, the pivot included."""
        box = dict(self.shapes.all[compiled.shape])
        pivot = self.pivot_values(compiled)
        if pivot != self.pivot_domain.all:
            box[self.pivot] = pivot
        return box

    @property
    def narrowed_attributes(self) -> tuple[str, ...]:
        """The attributes whose known type excludes values that the rules could distinguish from all
        others.
        """
        return tuple(domain.attribute for domain in self.domains if domain.is_narrowed)

    def unlikely_attributes(self, box: Box) -> tuple[str, ...]:
        """Return the attributes that have a value of another type than rules compare them with in
        all of the box.
        """
        atoms_of = ((self.domains[number], part[0]) for number, part in box.items())
        return tuple(
            domain.attribute
            for domain, atoms in atoms_of
            if atoms and not atoms & ~domain.unlikely
        )

    def cost_of_example(self, box: Box) -> int:
        """Return the cost of an example of a box: a text of many patterns is long, and is tried
        against all.
        """
        cost = 0
        for number, part in box.items():
            patterns = self.domains[number].patterns.all
            cost += 25 * part[0].bit_count() + part[1].bit_count() * len(patterns)
        return cost // _PATTERNS_PER_COMPARISON

    def example(self, box: Box) -> Example:
        """Return a conversation of a box, without attributes that may have nearly any value.

        It has the values that are sent; where the box has none, it has a reason not to be shown.
        """
        attributes: dict[str, Scalar] = dict(self._usual_elsewhere)
        assumed: dict[str, bool] = {}
        absent: list[str] = []
        for number, domain in enumerate(self.domains):
            part = box.get(number, domain.all)
            if isinstance(domain, OpaqueDomain):
                assumed[domain.attribute] = part[0] & REST != 0
                continue
            if not domain.usual and domain.may_be_left_out(part):
                continue
            value = domain.example_value(part)
            if value is not None:
                attributes[domain.attribute] = value
            elif domain.usual:
                absent.append(domain.attribute)
        reason = "" if self.is_sent(box) else self.reason_without_example
        return Example(attributes, assumed, tuple(absent), reason)

    def is_sent(self, box: Box) -> bool:
        """Return whether a conversation of a box is sent, by the declared values."""
        return all(
            domain.is_sent(box.get(number, domain.all))
            for number, domain in enumerate(self.domains)
            if domain.declares_values
        )

    def lacks_usual_value(self, box: Box) -> bool:
        """Return whether the example of a box lacks the most usual value of an attribute."""
        return any(self._usual_levels(box))

    def most_usual(self, boxes: Iterable[Box]) -> int:
        """Return the place of the first box whose example has the most usual values."""
        best = 0
        best_levels: tuple[int, ...] | None = None
        for place, box in enumerate(boxes):
            levels = (not self.is_sent(box), *self._usual_levels(box))
            if not any(levels):
                return place
            if best_levels is None or levels < best_levels:
                best = place
                best_levels = levels
        return best

    def _usual_levels(self, box: Box) -> Iterator[int]:
        """Yield how usual a box's example is in each of `usual_domains`; 0 is the best."""
        for number in self.usual_domains:
            domain = self.domains[number]
            yield domain.usual_level(box.get(number, domain.all))


_EMPTY_DOMAIN: Final = Domain("", ())
