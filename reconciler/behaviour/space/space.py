"""The space of conversations that some lists of rules can tell apart, and each rule as a box in it.

Rules are filed by the attribute that they name most values of, the pivot; mostly the intent. For one value of the
pivot a rule is only its shape on the other attributes, and few rules are about that value at all.

Conditions of one rule that cannot hold together.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from reconciler.behaviour.budget import WORK, WORK_OF_ONE_SEARCH, Budget
from reconciler.behaviour.space.boxes import Box, Shape, Shapes
from reconciler.behaviour.space.domain import MISSING, NOTHING, REST, Domain, Part, meet
from reconciler.behaviour.space.patterns import Patterns, bits
from reconciler.behaviour.space.value_type import ANY, Types
from reconciler.model.rule import Condition, Opaque, Scalar

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from reconciler.behaviour.routing_entry import Entry


def core(space: Space, entry: Entry) -> tuple[Condition | Opaque, ...]:
    """Return conditions of a rule that cannot hold together, none of which could be left out."""
    conditions = [one for one in entry.rule.conditions if isinstance(one, Condition)]
    for number in sorted({space.number[one.attribute] for one in conditions}):
        asked = [one for one in conditions if space.number[one.attribute] == number]
        if not _common(space, number, asked)[0]:
            for one in list(asked):
                others = [other for other in asked if other is not one]
                if not others or not _common(space, number, others)[0]:
                    asked = others or asked
            return tuple(asked)
    raise AssertionError(entry.name)


def _common(space: Space, number: int, asked: Sequence[Condition]) -> Part:
    part = space.domains[number].all
    for one in asked:
        part = meet(part, space.domain(number).part(one))
    return part


Conditions = tuple[Condition | Opaque, ...]

HOLDS: Final[Part] = (4, 0, 0)
FAILS: Final[Part] = (1, 0, 0)
FEW: Final = 64
_PATTERNS_AT_ONCE: Final = 100


class Unknown:
    """The one unknown truth of a condition that is not understood (S11), in the place of a domain."""

    values = text_mask = number_mask = unlikely = text_likes = 0
    narrowed = False
    all: Final[Part] = (HOLDS[0] | FAILS[0], 0, 0)

    def __init__(self, part: Opaque) -> None:
        self.part_of_rule = part
        self.attribute = part.text
        self.patterns = Patterns(())

    def length(self, _part: Part) -> float:
        """Return how many conditions say whether it holds."""
        return 1


class Compiled(NamedTuple):
    """One rule's conditions as a box; equal boxes are one object.

    A rule about few values of the pivot has them in `atoms`, any other in `pivot`.
    """

    atoms: tuple[int, ...]
    pivot: Part
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
        lists: Iterable[Iterable[Entry]],
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
        self.domains: list[Domain | Unknown] = [
            Domain(attribute, conditions, (texts or {}).get(attribute, ()), (types or {}).get(attribute, ANY))
            for attribute, conditions in asked.items()
        ]
        self.domains += [Unknown(part) for part in unknown]
        # By the condition itself where it is not understood: an attribute may be named like that condition's JSON.
        self.number: Final[dict[str | Opaque, int]] = {
            domain.part_of_rule if isinstance(domain, Unknown) else domain.attribute: place
            for place, domain in enumerate(self.domains)
        }
        self.pivot = self._pivot()
        self.budget = Budget(WORK, WORK_OF_ONE_SEARCH)
        self.shapes = Shapes(self.domains, self.budget)  # type: ignore[arg-type]
        self.rest_shapes = Shapes(self.domains, self.budget)  # type: ignore[arg-type]
        self._parts: dict[Condition, Part] = {}
        self._same: dict[Compiled, Compiled] = {}
        self.always = self._filed(self.pivot_domain.all, ())
        unnamed = ((self.pivot, (REST, 0, 0)),) if self.pivot >= 0 else ()
        self.rest_always = self.rest_shapes.enter(unnamed)
        self._compiled = {conditions: self._compile(conditions) for conditions in distinct}
        others = [domain.all[0].bit_length() for place, domain in enumerate(self.domains) if place != self.pivot]
        patterns = [len(domain.patterns.all) for domain in self.domains]
        self.budget.widen(max(len(self.shapes.all), *others, *patterns, 0))

    def compiled(self, conditions: Conditions) -> Compiled | None:
        """Return the box of a rule's conditions; None where they can never hold together."""
        return self._compiled[conditions]

    def domain(self, number: int) -> Domain:
        """Return the domain of an attribute; that of an unknown truth answers to the same names."""
        return self.domains[number]  # type: ignore[return-value]

    def _pivot(self) -> int:
        """Choose the attribute with most values; where there is none, -1."""
        sizes = [domain.values for domain in self.domains]
        most = max(range(len(sizes)), key=lambda place: (sizes[place], -place), default=-1)
        return most if most >= 0 and sizes[most] else -1

    @property
    def pivot_domain(self) -> Domain:
        """The domain of the pivot; an attribute nobody asks about where there are no attributes at all."""
        return self.domain(self.pivot) if self.pivot >= 0 else _NOBODY

    def _compile(self, conditions: Conditions) -> Compiled | None:
        parts: Box = {}
        literal = None
        for one in conditions:
            if isinstance(one, Opaque):
                parts[self.number[one]] = HOLDS
                continue
            number = self.number[one.attribute]
            if number == self.pivot and literal is None and self._is_literal(one):
                literal = one
                continue
            part = self._part(number, one)
            parts[number] = meet(parts[number], part) if number in parts else part
        if literal is not None and self.pivot in parts:
            parts[self.pivot] = meet(parts[self.pivot], self._part(self.pivot, literal))
            literal = None
        if any(not part[0] for part in parts.values()):
            return None
        pivot = parts.pop(self.pivot, None)
        shape = tuple(sorted((n, part) for n, part in parts.items() if part != self.domains[n].all))
        if literal is not None:
            atom = self.pivot_domain.atom(str(literal.value))
            return self._shared(Compiled((atom or 0,), NOTHING, self.shapes.enter(shape), -1))
        return self._filed(pivot or self.pivot_domain.all, shape)

    def _is_literal(self, one: Condition) -> bool:
        return one.operator == "equals" and isinstance(one.value, str) and self.pivot_domain.text_mask != 0

    def _filed(self, pivot: Part, shape: Shape) -> Compiled:
        number = self.shapes.enter(shape)
        if not pivot[0] & REST:
            if pivot[0].bit_count() <= FEW and pivot != self.pivot_domain.all:
                return self._shared(Compiled(tuple(bits(pivot[0])), NOTHING, number, -1))
            return self._shared(Compiled((), pivot, number, -1))
        asked = ((self.pivot, (REST, pivot[1], pivot[2])),) if self.pivot >= 0 else ()
        return self._shared(Compiled((), pivot, number, self.rest_shapes.enter(tuple(sorted((*asked, *shape))))))

    def _shared(self, compiled: Compiled) -> Compiled:
        return self._same.setdefault(compiled, compiled)

    def _part(self, number: int, condition: Condition) -> Part:
        found = self._parts.get(condition)
        if found is None:
            found = self._parts[condition] = self.domain(number).part(condition)
        return found

    def pivot_part(self, compiled: Compiled) -> Part:
        """Return a rule's values of the pivot as one part, however many they are."""
        if not compiled.atoms:
            return compiled.pivot
        return (sum(1 << atom for atom in compiled.atoms), 0, 0)

    def box(self, compiled: Compiled) -> Box:
        """Return what a rule asks of each attribute, the pivot included."""
        found = dict(self.shapes.all[compiled.shape])
        pivot = self.pivot_part(compiled)
        if pivot != self.pivot_domain.all:
            found[self.pivot] = pivot
        return found

    @property
    def rests_on(self) -> tuple[str, ...]:
        """The attributes of which a known type leaves values out that the rules could tell from all others."""
        return tuple(domain.attribute for domain in self.domains if domain.narrowed)

    def unlikely(self, box: Box) -> tuple[str, ...]:
        """Return the attributes that have a value of another type than rules compare them with all over the box."""
        found = ((self.domains[number], part[0]) for number, part in box.items())
        return tuple(domain.attribute for domain, atoms in found if atoms and not atoms & ~domain.unlikely)

    def cost_of_example(self, box: Box) -> int:
        """Return what an example of a box costs, in comparisons: a text of many patterns is long, and tried by all."""
        texts = (part[1].bit_count() * len(self.domains[number].patterns.all) for number, part in box.items())
        return (sum(part[0].bit_count() for part in box.values()) * 25 + sum(texts)) // _PATTERNS_AT_ONCE

    def example(self, box: Box) -> Example:
        """Return a conversation of a box: attributes that are asked about, unless anything is right."""
        attributes: dict[str, Scalar] = {}
        assumed: dict[str, bool] = {}
        for number, domain in enumerate(self.domains):
            part = box.get(number, domain.all)
            if isinstance(domain, Unknown):
                assumed[domain.attribute] = part[0] & HOLDS[0] != 0
            elif part != domain.all and not _is_open(part, domain):
                value = domain.value(part)
                if value is not None:
                    attributes[domain.attribute] = value
        return Example(attributes, assumed)


def _is_open(part: Part, domain: Domain) -> bool:
    """Say whether nearly everything is right, nothing at all included: a conversation need not say it."""
    return bool(part[0] & MISSING and part[0] & REST and not part[0] & domain.number_mask)


_NOBODY: Final = Domain("", ())
