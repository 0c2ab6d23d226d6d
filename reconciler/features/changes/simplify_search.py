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


class ProvenEdit(NamedTuple):
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

    edits: tuple[ProvenEdit, ...]
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
        self._names_of_others = {
            each.rule.name
            for each in view.rules.desired.rules.values()
            if not each.rule.enabled
        }
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
        self.ordered = self._order(self.entries.values())

    def _order(self, entries: Iterable[RoutingEntry]) -> OrderedList:
        return OrderedList(
            self.space,
            self._endpoint,
            (*entries, *self.rules.unmanaged),
            self.rules.desired.evaluation,
        )

    def has_name(self, name: str, places: Container[RulePlace]) -> bool:
        """Return whether another rule than those at some places has a name, also one that is
        switched off.
        """
        if name in self._names_of_others:
            return True
        return any(
            entry.rule.name == name
            for place, entry in self.entries.items()
            if place not in places
        )

    def replaced(
        self, olds: Sequence[RoutingEntry], new: RoutingEntry, may_lose: MayTake
    ) -> OrderedList | None:
        """Return the list in which a rule replaces others; None if a conversation goes elsewhere.

        `may_lose` says from which rules it may take conversations. Raises UndecidedError.
        """
        if not self.ordered.is_neutral_with(new, may_lose):
            return None
        ordered = self._order([*self.entries.values(), new])
        for old in olds:
            if not ordered.is_neutral_without(old, anyone):
                return None
            ordered.remove(old)
        return ordered

    def takers(self, entry: RoutingEntry, kind: EditKind) -> tuple[RoutingEntry, ...]:
        """Return the rules that take the conversations of a rule that is to be removed.

        Empty if its conditions contradict each other. Raises UndecidedError.
        """
        if kind != "unused":
            return self.ordered.takers_without(entry)
        ordered = self._order(self.entries.values())
        rank = ordered.rank_of(entry)
        if rank is None:
            return ()
        return ShadowingSearch(ordered.slices).shadowing_rules(rank)

    def remove(self, place: RulePlace) -> None:
        """Remove a rule."""
        self.ordered.remove(self.entries.pop(place))

    def replace(
        self, places: Sequence[RulePlace], new: RoutingEntry, ordered: OrderedList
    ) -> None:
        """Replace rules by one, at the first of the places; `ordered` is the list after that."""
        for place in places:
            del self.entries[place]
        self.entries[places[0]] = new
        self.ordered = ordered


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
        self._edits: list[ProvenEdit] = []
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
        # The endpoint's fallback is several rules of one name.
        takers = {
            taker.name: taker for taker in rounds[0].takers(entry, candidate.kind)
        }
        found = ProvenEdit(candidate.kind, (entry,), tuple(takers.values()), "")
        self._edits.append(found)
        for each in rounds:
            each.remove(place)
        del self._fields[place]
        return True

    def _try_replacement(
        self, candidate: Candidate, rounds: Sequence[_RoundRules]
    ) -> bool:
        olds = [
            tuple(each.entries[place] for place in candidate.places) for each in rounds
        ]
        # Most edits fail: one question without the manifest's text answers that.
        probe = _with_conditions(olds[0][0], candidate, rounds[0])
        may_lose = self._may_lose(candidate.kind, olds[0])
        if not rounds[0].ordered.is_neutral_with(probe, may_lose):
            return False

        fields = self._write(candidate, probe, rounds[0])
        news = [self._read(candidate, fields, each) for each in rounds]
        lists = self._replaced_lists(candidate.kind, rounds, olds, news)
        if lists is None:
            return False
        for each, new, ordered in zip(rounds, news, lists, strict=True):
            each.replace(candidate.places, new, ordered)
        self._record(candidate, olds[0], fields)
        return True

    def _replaced_lists(
        self,
        kind: EditKind,
        rounds: Sequence[_RoundRules],
        olds: Sequence[Sequence[RoutingEntry]],
        news: Sequence[RoutingEntry],
    ) -> list[OrderedList] | None:
        """Return the list of each Environment after the edit; None if a conversation goes elsewhere
        in one.
        """
        lists = []
        for each, old, new in zip(rounds, olds, news, strict=True):
            ordered = each.replaced(old, new, self._may_lose(kind, old))
            if ordered is None:
                return None
            lists.append(ordered)
        return lists

    def _record(
        self, candidate: Candidate, olds: tuple[RoutingEntry, ...], fields: Fields
    ) -> None:
        self._edits.append(ProvenEdit(candidate.kind, olds, (), candidate.subject))
        for place in candidate.places:
            del self._fields[place]
        self._fields[candidate.places[0]] = fields

    def _write(
        self, candidate: Candidate, probe: RoutingEntry, rounds: _RoundRules
    ) -> Fields:
        """Return the fields of the edited rule. Raises CannotSimplifyError."""
        place = candidate.places[0]
        return self._writer.write(
            place, self._fields[place], probe.rule.conditions, rounds.rules
        )

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
        # A default name follows the intents, and no two rules may have one name.
        if rounds.has_name(entry.rule.name, candidate.places):
            raise CannotSimplifyError("another rule has the name that it would get")
        return known

    def _may_lose(self, kind: EditKind, olds: Sequence[RoutingEntry]) -> MayTake:
        """Return which rules may lose conversations to the rule that replaces others.

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
