"""Rules of the manifests -> edits after which they are fewer, and proven to route as before. Pure.

An edit is made only if the analysis proves, for every Environment, that no conversation goes
elsewhere. Edits are tried one after the other, in rounds, until none is left: a second search of
the result finds nothing.
"""

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

from reconciler.core.behaviour.budget import UndecidedError
from reconciler.core.behaviour.facts.rule_facts import ShadowingSearch
from reconciler.core.behaviour.routing_entry import RoutingEntry, make_probe
from reconciler.core.behaviour.space.space import Space
from reconciler.core.export.ruleset import Fields
from reconciler.core.model.rule import Condition
from reconciler.features.changes.neutral import MayTake, OrderedList
from reconciler.features.changes.simplify_candidates import (
    Candidate,
    EditKind,
    RuleView,
    dropped_conditions,
    joined_rules,
    removals,
)
from reconciler.features.changes.simplify_rules import (
    CannotSimplifyError,
    EnvironmentRules,
    RulePlace,
    RuleWriter,
)

WORK: Final = 300_000_000  # of one Environment, in comparisons: about a minute


class RuleEdit(NamedTuple):
    """An edit that is proven to move no conversation.

    `entries` are the rules before it, `takers` those that take the conversations of a removed one,
    and `subject` is the condition that is dropped, or the attribute that joined rules differ in.
    """

    kind: EditKind
    entries: tuple[RoutingEntry, ...]
    takers: tuple[RoutingEntry, ...]
    subject: Condition | str


class ListSize(NamedTuple):
    """The rules that are switched on, and their conditions in the API's form."""

    rules: int
    conditions: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Simplified:
    """What was found; `fields` are those of the rules that remain.

    `complete` is False if the work ended before every edit was tried.
    """

    edits: tuple[RuleEdit, ...]
    fields: Mapping[RulePlace, Fields]
    before: ListSize
    after: ListSize
    complete: bool


class _RoundRules:
    """The rules of one Environment during a round, and the proofs about them."""

    def __init__(
        self, view: RuleView, candidates: Iterable[Candidate], work: int
    ) -> None:
        self.rules = view.rules
        self.entries = dict(view.rules.entries)
        self._endpoint = view.rules.desired.endpoint.unreachable()
        known = (*self._endpoint, *self.entries.values(), *view.rules.unmanaged)
        probes = [
            make_probe(each.conditions[view.rules.name])
            for each in candidates
            if each.conditions and view.rules.name in each.conditions
        ]
        types = view.rules.desired.endpoint.context_types
        self.space = Space((known, probes), types=types)
        self.space.budget.remaining = work
        self._ordered: OrderedList | None = None

    @property
    def ordered(self) -> OrderedList:
        """Return the rules as they are now, in order."""
        if self._ordered is None:
            self._ordered = self._order(self.entries.values())
        return self._ordered

    def _order(self, entries: Iterable[RoutingEntry]) -> OrderedList:
        return OrderedList(
            self.space,
            self._endpoint,
            (*entries, *self.rules.unmanaged),
            self.rules.desired.evaluation,
        )

    def can_replace(
        self, olds: Sequence[RoutingEntry], new: RoutingEntry, may_give: MayTake
    ) -> bool:
        """Return whether a rule can take the place of others; `may_give` says which rules may give
        it conversations.

        Raises UndecidedError.
        """
        if not self.ordered.is_neutral_with(new, may_give):
            return False
        remaining = [*self.entries.values(), new]
        for old in olds:
            ordered = self._order(remaining)
            if not ordered.is_neutral_without(old, anyone):
                return False
            remaining = [entry for entry in remaining if entry is not old]
        return True

    def edit(self, places: Sequence[RulePlace], new: RoutingEntry | None) -> None:
        """Remove the rules; with `new`, it takes the place of the first one."""
        for place in places:
            self.entries.pop(place, None)
        if new is not None:
            self.entries[places[0]] = new
        self._ordered = None


class SimplifySearch:
    """Searches the rules in `editable` for edits of some kinds.

    Rules of `kept`, and unmanaged ones, lose no conversation to another rule.
    """

    def __init__(
        self,
        writer: RuleWriter,
        environments: Sequence[EnvironmentRules],
        editable: Iterable[RulePlace],
        kept: Container[RulePlace],
        kinds: Container[EditKind],
        work: int = WORK,
    ) -> None:
        self._writer = writer
        self._rules = list(environments)
        self._before = list_size(environments)
        self._fields = {place: writer.stated_fields(place) for place in editable}
        self._kept = list(_kept_entries(environments, kept))
        self._kept_ids = set(map(id, self._kept))
        self._kinds = kinds
        self._work = [work for _ in environments]
        self._edits: list[RuleEdit] = []
        self._is_complete = True

    def run(self) -> Simplified:
        """Return the edits, in the order in which they are proven."""
        while self._run_round():
            pass
        return Simplified(
            edits=tuple(self._edits),
            fields=self._fields,
            before=self._before,
            after=list_size(self._rules),
            complete=self._is_complete,
        )

    def _run_round(self) -> bool:
        """Try every edit of the rules as they are now, and return whether one was made.

        A rule is edited once in a round: after that its other edits are out of date.
        """
        views = [self._view(rules) for rules in self._rules]
        candidates = list(self._candidates(views))
        rounds = [
            _RoundRules(view, candidates, work)
            for view, work in zip(views, self._work, strict=True)
        ]
        touched: set[RulePlace] = set()
        for candidate in candidates:
            if touched.isdisjoint(candidate.places) and self._try(candidate, rounds):
                touched.update(candidate.places)

        self._work = [each.space.budget.remaining for each in rounds]
        self._rules = [replace(each.rules, entries=each.entries) for each in rounds]
        return bool(touched)

    def _view(self, rules: EnvironmentRules) -> RuleView:
        stated = {
            place: self._writer.conditions(place, fields, rules)
            for place, fields in self._fields.items()
            if place in rules.entries
        }
        return RuleView(rules, stated)

    def _candidates(self, views: Sequence[RuleView]) -> Iterator[Candidate]:
        """Yield the edits, those that remove most first; rules without an Environment have none."""
        places = [
            place
            for place in self._fields
            if any(place in view.stated for view in views)
        ]
        yield from removals("unused", places)
        yield from dropped_conditions(places, views)
        if "redundant" in self._kinds:
            yield from removals("redundant", places)
        if "join" in self._kinds:
            yield from joined_rules(places, views)

    def _try(self, candidate: Candidate, rounds: Sequence[_RoundRules]) -> bool:
        """Make an edit if it is proven to move no conversation, and return whether it was made."""
        having = [each for each in rounds if candidate.places[0] in each.entries]
        try:
            if candidate.conditions is None:
                return self._try_removal(candidate, having)
            return self._try_replacement(candidate, having)
        except UndecidedError:
            self._is_complete = False
        except CannotSimplifyError:
            pass
        return False

    def _try_removal(self, candidate: Candidate, rounds: Sequence[_RoundRules]) -> bool:
        (place,) = candidate.places
        may_take = no_one if candidate.kind == "unused" else anyone
        for each in rounds:
            if not each.ordered.is_neutral_without(each.entries[place], may_take):
                return False

        entry = rounds[0].entries[place]
        takers = _takers(rounds[0].ordered, entry, candidate.kind)
        self._edits.append(RuleEdit(candidate.kind, (entry,), takers, ""))
        for each in rounds:
            each.edit(candidate.places, None)
        del self._fields[place]
        return True

    def _try_replacement(
        self, candidate: Candidate, rounds: Sequence[_RoundRules]
    ) -> bool:
        first, *others = candidate.places
        olds = [
            tuple(each.entries[place] for place in candidate.places) for each in rounds
        ]
        # Most edits fail: one question without the manifest's text answers that.
        probe = _with_conditions(olds[0][0], candidate, rounds[0])
        may_give = self._may_give(candidate.kind, olds[0])
        if not rounds[0].ordered.is_neutral_with(probe, may_give):
            return False

        fields = self._writer.write(
            first, self._fields[first], probe.rule.conditions, rounds[0].rules
        )
        news = [self._read(candidate, fields, each) for each in rounds]
        for each, old, new in zip(rounds, olds, news, strict=True):
            if not each.can_replace(old, new, self._may_give(candidate.kind, old)):
                return False

        self._edits.append(RuleEdit(candidate.kind, olds[0], (), candidate.subject))
        for each, new in zip(rounds, news, strict=True):
            each.edit(candidate.places, new)
        self._fields[first] = fields
        for place in others:
            del self._fields[place]
        return True

    def _read(
        self, candidate: Candidate, fields: Fields, rounds: _RoundRules
    ) -> RoutingEntry:
        """Return the edited rule in an Environment, with the conditions that the space knows.

        Raises CannotSimplifyError.
        """
        entry = self._writer.read(candidate.places[0], fields, rounds.rules)
        known = _with_conditions(entry, candidate, rounds)
        if known.rule.conditions != entry.rule.conditions:
            raise CannotSimplifyError("the edit has another effect there")
        return known

    def _may_give(self, kind: EditKind, olds: Sequence[RoutingEntry]) -> MayTake:
        """Return which rules may give conversations to the rule that takes the place of others.

        Where a condition is dropped, no conversation changes its rule.
        """
        own = set(map(id, olds))
        if kind == "condition":
            return lambda entry: id(entry) in own
        return lambda entry: id(entry) not in self._kept_ids


def anyone(_entry: RoutingEntry) -> bool:
    """Allow each rule to get the conversations of another one, if the destination is the same."""
    return True


def no_one(_entry: RoutingEntry) -> bool:
    """Allow no rule to get a conversation of another one."""
    return False


def _kept_entries(
    environments: Iterable[EnvironmentRules], kept: Container[RulePlace]
) -> Iterator[RoutingEntry]:
    """Yield the rules that lose no conversation."""
    for each in environments:
        yield from each.unmanaged
        for place, entry in each.entries.items():
            if place in kept:
                yield entry


def _with_conditions(
    entry: RoutingEntry, candidate: Candidate, rounds: _RoundRules
) -> RoutingEntry:
    """Return a rule with the conditions of a candidate."""
    if candidate.conditions is None:
        raise AssertionError(candidate)
    conditions = candidate.conditions[rounds.rules.name]
    return replace(entry, rule=replace(entry.rule, conditions=conditions))


def _takers(
    ordered: OrderedList, entry: RoutingEntry, kind: EditKind
) -> tuple[RoutingEntry, ...]:
    """Return the rules that take the conversations of a removed rule.

    Empty if its conditions contradict each other. Raises UndecidedError.
    """
    rank = ordered.rank_of(entry)
    if rank is None:
        return ()
    if kind == "unused":
        return ShadowingSearch(ordered.slices).shadowing_rules(rank)
    return ordered.takers_without(entry)


def list_size(environments: Iterable[EnvironmentRules]) -> ListSize:
    """Return the size of the rules that an Environment has; conditions are those of the first one
    that has the rule.
    """
    rules: dict[RulePlace, RoutingEntry] = {}
    for each in environments:
        for place, entry in each.entries.items():
            rules.setdefault(place, entry)
    conditions = sum(len(entry.rule.conditions) for entry in rules.values())
    return ListSize(len(rules), conditions)
