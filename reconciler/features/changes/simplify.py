"""Manifests -> fewer rules that route every conversation as before, as edits of the texts. Pure."""

from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from reconciler.core.behaviour.diff.difference import compare_behaviour
from reconciler.core.behaviour.endpoint_stage import common_types
from reconciler.core.checks.edit_effects import find_edit_effects
from reconciler.core.desired.desired import (
    DesiredState,
    desire_offline,
    with_calendar,
)
from reconciler.core.errors import CxrouteError, UsageError
from reconciler.core.export.update_manifest import (
    edit_texts,
    find_lost_comments,
    is_patched_exactly,
    patch_document,
)
from reconciler.core.manifest.load import Manifests
from reconciler.core.manifest.yaml_patch import CannotPatchError, TextEdit
from reconciler.core.model.grouping import group_pairs
from reconciler.core.plan.guards import apply_allowance, count_deletes
from reconciler.core.plan.routing_table import desired_entries
from reconciler.core.plan.stages import GuardResult
from reconciler.core.text.escape import join_all, sanitize
from reconciler.core.text.suggest import suggest
from reconciler.features.changes.simplify_candidates import EditKind
from reconciler.features.changes.simplify_rules import (
    EnvironmentRules,
    RulePlace,
    RuleWriter,
    find_kept,
    places_of,
)
from reconciler.features.changes.simplify_search import (
    WORK,
    ProvenEdit,
    Simplified,
    SimplifySearch,
)

BY_DEFAULT: frozenset[EditKind] = frozenset({"unused", "condition"})


class TrippedGuard(NamedTuple):
    """A guard that the next plan of an Environment trips if the edits are written."""

    environment: str
    name: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Simplification:
    """The edits, and the new texts of the files, by path."""

    environments: Sequence[EnvironmentRules]
    found: Simplified
    texts: dict[str, str]
    lost_comments: tuple[str, ...]
    guards: tuple[TrippedGuard, ...]
    kinds: frozenset[EditKind]

    @property
    def edits(self) -> tuple[ProvenEdit, ...]:
        """Return the edits, in the order in which they are proven."""
        return self.found.edits


def simplify(
    manifests: Manifests,
    environments: Sequence[EnvironmentRules],
    rulesets: Sequence[str],
    kinds: frozenset[EditKind],
    now: datetime,
    work: int = WORK,
) -> Simplification:
    """Return the edits of some RuleSets; without names, of all.

    Raises UsageError for an unknown name.
    """
    kept = find_kept(manifests, environments)
    places = list(_places_in(manifests, rulesets))
    writer = RuleWriter(manifests)
    while True:
        editable = [place for place in places if place not in kept]
        search = SimplifySearch(writer, environments, editable, kept, kinds, work)
        found = search.run()
        patches = _Patches(manifests, writer, editable, found)
        if not patches.impossible:
            break
        kept |= patches.impossible
    texts = edit_texts(patches.edits, manifests)
    return Simplification(
        environments=environments,
        found=found,
        texts=texts,
        lost_comments=tuple(find_lost_comments(texts, manifests)),
        guards=tuple(
            dict.fromkeys(_tripped_guards(environments, found, editable, now))
        ),
        kinds=kinds,
    )


def _places_in(manifests: Manifests, rulesets: Sequence[str]) -> Iterator[RulePlace]:
    """Yield the rules of some RuleSets. Raises UsageError."""
    names = [loaded.document.name for loaded in manifests.rulesets]
    for name in rulesets:
        if name not in names:
            hint = suggest(name, names)
            raise UsageError(f"there is no RuleSet {sanitize(name)!r}. {hint}".strip())
    for place in places_of(manifests):
        if not rulesets or names[place.document] in rulesets:
            yield place


class _Patches:
    """The edits of the texts. `impossible` are rules that cannot be edited without the loss of
    other text.
    """

    def __init__(
        self,
        manifests: Manifests,
        writer: RuleWriter,
        editable: Iterable[RulePlace],
        found: Simplified,
    ) -> None:
        self.edits: list[tuple[str, Sequence[TextEdit]]] = []
        self.impossible: set[RulePlace] = set()
        self._manifests = manifests
        removed: dict[int, set[int]] = {}
        for place in editable:
            fields = found.fields.get(place)
            if fields is None:
                removed.setdefault(place.document, set()).add(place.number)
            elif fields != writer.stated_fields(place):
                path = ("rules", place.number)
                if not self._add_patch(place.document, path, fields):
                    self.impossible.add(place)
        for document, numbers in removed.items():
            self._remove(document, numbers)

    def _remove(self, document: int, numbers: set[int]) -> None:
        """Remove rules; where that is impossible, those stay that cannot go."""
        staying = self._find_staying(document, sorted(numbers))
        self.impossible |= {RulePlace(document, number) for number in staying}

    def _find_staying(self, document: int, numbers: Sequence[int]) -> Sequence[int]:
        """Return which of some rules cannot go: those that cannot go alone, or all of them."""
        if self._can_remove(document, numbers):
            return ()
        if len(numbers) == 1:
            return numbers
        middle = len(numbers) // 2
        halves = (numbers[:middle], numbers[middle:])
        staying = [
            number for half in halves for number in self._find_staying(document, half)
        ]
        return staying or numbers

    def _can_remove(self, document: int, numbers: Container[int]) -> bool:
        """Add the edit that removes rules, and return whether there is one."""
        root = self._manifests.rulesets[document].source_map.root
        remaining = [
            fields
            for number, fields in enumerate(root["rules"])
            if number not in numbers
        ]
        new = {**root, "rules": remaining}
        if not self._add_patch(document, (), new):
            return False
        # Blank lines between rules can become part of a text above them.
        loaded = self._manifests.rulesets[document]
        _, edits = self.edits[-1]
        return is_patched_exactly(loaded, edits, new)

    def _add_patch(
        self, document: int, path: tuple[str | int, ...], new: dict[str, object]
    ) -> bool:
        """Add the edit of a mapping, and return whether there is one."""
        loaded = self._manifests.rulesets[document]
        try:
            self.edits.append((loaded.file, patch_document(loaded, path, new)))
        except CannotPatchError:
            return False
        return True


def _tripped_guards(
    environments: Iterable[EnvironmentRules],
    found: Simplified,
    editable: Iterable[RulePlace],
    now: datetime,
) -> Iterator[TrippedGuard]:
    """Yield the guards of each Environment that the removed rules trip now."""
    removed = {place for place in editable if place not in found.fields}
    of_now = {each.name: each for each in reversed(list(environments))}
    for each in of_now.values():
        for result in _guard_results(each, removed):
            if not apply_allowance(result, each.environment, now).ok:
                yield TrippedGuard(each.name, result.name, result.message)


def _guard_results(
    rules: EnvironmentRules, removed: Container[RulePlace]
) -> Iterator[GuardResult]:
    """Yield the results of the guards `deletes` and `emptied`, if rules are removed."""
    gone = {rules.entries[place].name for place in rules.entries if place in removed}
    if not gone:
        return
    managed = len(rules.desired.rules)
    yield count_deletes(len(gone), 0, managed, rules.environment)
    by_ruleset = group_pairs(
        (address.ruleset, str(address) in gone) for address in rules.desired.rules
    )
    emptied = [name for name, are_gone in by_ruleset.items() if all(are_gone)]
    if emptied:
        yield GuardResult(
            name="emptied",
            value=len(emptied),
            limit=0,
            ok=False,
            message=f"deletes every rule of {join_all(emptied, 'and', sanitize)}",
        )


def prove_texts(
    before: Manifests, after: Manifests, environments: Iterable[EnvironmentRules]
) -> None:
    """Check the edited manifests as a whole, in every Environment.

    Raises CxrouteError if a conversation goes elsewhere, or if a route test or promise fails that
    did not; ManifestError if they are invalid.
    """
    rules = list(environments)
    for each in rules:
        desired, _ = desire_offline(after, each.environment, each.tenant.queues)
        if _moves_conversations(each, _state_in_phase(desired, each)):
            raise CxrouteError(
                f"nothing was written: in {sanitize(each.name)}, the edited texts would move "
                f"conversations"
            )
    effects = find_edit_effects(before, after, [each.environment for each in rules])
    broken = (*effects.broken_tests, *effects.broken_promises)
    if broken:
        raise CxrouteError(f"nothing was written: {sanitize(broken[0].message)}")


def _state_in_phase(desired: DesiredState, rules: EnvironmentRules) -> DesiredState:
    """Return the edited manifests' state at the time of the rules before the edit."""
    before = rules.desired.calendar
    if desired.calendar is None or before is None:
        return desired
    calendar = desired.calendar.at(before.instant)
    return with_calendar(desired, calendar, rules.steps_back)


def _moves_conversations(rules: EnvironmentRules, after: DesiredState) -> bool:
    stages = (rules.desired.endpoint, after.endpoint)
    before_entries = (*desired_entries(rules.desired), *rules.unmanaged)
    after_entries = (*desired_entries(after), *rules.unmanaged)
    change = compare_behaviour(
        stages[0].pull_back(before_entries),
        stages[1].pull_back(after_entries),
        rules.desired.evaluation,
        types=common_types(stages),
    )
    return change.changed
