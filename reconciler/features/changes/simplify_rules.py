"""The rules of the manifests as `cxroute simplify` edits them, in every Environment. Pure."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Final, NamedTuple

from reconciler.core.behaviour.routing_entry import RoutingEntry
from reconciler.core.behaviour.space.space import Conditions
from reconciler.core.desired.desired import (
    DesiredState,
    desire_offline,
    phases_from_now,
)
from reconciler.core.desired.expand import FieldPath, InvalidRuleError
from reconciler.core.desired.queues import OfflineQueueResolver
from reconciler.core.export.export import TenantSnapshot
from reconciler.core.export.names import NotRepresentableError
from reconciler.core.export.ruleset import Fields
from reconciler.core.export.update_manifest import RuleUpdater, with_field
from reconciler.core.manifest.kinds.environment import SANDBOX, Environment
from reconciler.core.manifest.kinds.ruleset import RuleSet
from reconciler.core.manifest.load import Manifests
from reconciler.core.manifest.source_map import SourceText
from reconciler.core.model.rule import Address, Condition, Rule
from reconciler.core.plan.routing_table import desired_entries, unmanaged_entries
from reconciler.core.plan.stages import LiveState

_KEPT_FIELDS: Final = frozenset({"hold", "adopt", "accept", "from", "until", "steps"})
_DASH_ALONE: Final = re.compile(r"\s*-\s*(?:#|$)")
_KEEP: Final = re.compile(r"#\s*cxroute:\s*keep\b")


class RulePlace(NamedTuple):
    """A rule of the manifests: the number of its document, and its number there, from 0."""

    document: int
    number: int


class CannotSimplifyError(Exception):
    """An edit of a rule that its manifest cannot express."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvironmentRules:
    """The rules of one Environment at one time, before any edit; `entries` are those that are
    switched on.

    `places` are those of all rules, and `unmanaged` the live rules that the manifests do not
    manage. `steps_back`: see `Phase`.
    """

    environment: Environment
    desired: DesiredState
    tenant: TenantSnapshot
    places: Mapping[Address, RulePlace]
    entries: Mapping[RulePlace, RoutingEntry]
    live: LiveState | None
    unmanaged: tuple[RoutingEntry, ...]
    steps_back: int = 0

    @property
    def name(self) -> str:
        """Return the name of the Environment."""
        return self.environment.name


def read_environments(manifests: Manifests) -> list[EnvironmentRules]:
    """Return the rules of every Environment, at each time from now on. Raises ManifestError."""
    return [
        rules
        for environment in environments_of(manifests)
        for rules in read_environment(manifests, environment)
    ]


def read_environment(
    manifests: Manifests, environment: Environment, live: LiveState | None = None
) -> Iterator[EnvironmentRules]:
    """Yield the rules of an Environment, and the unmanaged live ones, at each time from now on.

    Rules without dates are the same at all times. Raises ManifestError.
    """
    queues = live.queues if live else ()
    desired, resolver = desire_offline(manifests, environment, queues)
    for phase in phases_from_now(desired):
        rules = _rules_at(manifests, environment, phase.state, resolver, live)
        yield replace(rules, steps_back=phase.steps_back)


def _rules_at(
    manifests: Manifests,
    environment: Environment,
    desired: DesiredState,
    resolver: OfflineQueueResolver,
    live: LiveState | None,
) -> EnvironmentRules:
    """Return the rules of an Environment at the time of a desired state."""
    tenant = TenantSnapshot(
        rules=(),
        queues=tuple(resolver.queues_by_id.values()),
        resolver=resolver,
        environment=environment,
        desired=desired,
    )
    by_source = {
        manifests.rulesets[place.document].source_of("rules", place.number): place
        for place in places_of(manifests)
    }
    places = {
        address: by_source[each.source]
        for address, each in desired.rules.items()
        if each.source
    }
    entries = {
        places[entry.address]: entry
        for entry in desired_entries(desired)
        if entry.rule.enabled and entry.address
    }
    return EnvironmentRules(
        environment=environment,
        desired=desired,
        tenant=tenant,
        places=places,
        entries=entries,
        live=live,
        unmanaged=unmanaged_entries(live.rules, desired) if live else (),
    )


def environments_of(manifests: Manifests) -> Sequence[Environment]:
    """Return every Environment of the manifests; without any, the sandbox."""
    return [
        manifests.environment(name) for name in manifests.environments or (SANDBOX,)
    ]


def places_of(manifests: Manifests) -> Iterator[RulePlace]:
    """Yield every rule of the manifests."""
    for number, loaded in enumerate(manifests.rulesets):
        for index in range(len(loaded.document.rules)):
            yield RulePlace(number, index)


def find_kept(
    manifests: Manifests, environments: Sequence[EnvironmentRules]
) -> frozenset[RulePlace]:
    """Return the rules that stay byte for byte."""
    kept = {
        place for place in places_of(manifests) if _is_kept_by_text(manifests, place)
    }
    for each in environments:
        kept.update(_kept_in(each))
    return frozenset(kept)


def _is_kept_by_text(manifests: Manifests, place: RulePlace) -> bool:
    """Return whether a rule has a field or a comment that keeps it."""
    loaded = manifests.rulesets[place.document]
    path = ("rules", place.number)
    if not _KEPT_FIELDS.isdisjoint(loaded.source_map.value(path)):
        return True
    lines = _first_lines(loaded.source_map.text, loaded.source_map.index(path))
    return any(map(_KEEP.search, lines))


def _first_lines(source: SourceText, start: int) -> Iterator[str]:
    """Yield the first line of a rule, that of its dash, and the lines of the comment above it."""
    text = source.text
    line_start = text.rfind("\n", 0, start) + 1
    line_end = text.find("\n", start)
    yield text[line_start : None if line_end < 0 else line_end]
    # With a comment behind it, the dash is in a line above the first field.
    may_be_dash = not text[line_start:start].strip()
    while line_start:
        line_end = line_start - 1
        line_start = text.rfind("\n", 0, line_end) + 1
        line = text[line_start:line_end]
        is_dash = may_be_dash and _DASH_ALONE.match(line) is not None
        if not is_dash and not line.lstrip().startswith("#"):
            return
        may_be_dash = may_be_dash and not is_dash
        yield line


def _kept_in(rules: EnvironmentRules) -> Iterator[RulePlace]:
    """Yield the rules that an Environment keeps: switched off, protected, or in a promise."""
    protected = frozenset(rules.environment.guard.protected)
    patterns = [
        stated.promise.decided_by
        for stated in rules.desired.promises
        if stated.promise.decided_by
    ]
    for address, place in rules.places.items():
        name = str(address)
        is_named = any(fnmatchcase(name, pattern) for pattern in patterns)
        if is_named or name in protected or place not in rules.entries:
            yield place


class StatedCondition(NamedTuple):
    """A condition of a rule, and the path of its value in the fields of the rule; () for a default
    of the RuleSet.
    """

    condition: Condition
    path: FieldPath


class RuleWriter:
    """Writes edited rules as fields of the manifests, and reads them in each Environment."""

    def __init__(self, manifests: Manifests) -> None:
        self._manifests = manifests

    def document(self, place: RulePlace) -> RuleSet:
        """Return the document of a rule."""
        return self._manifests.rulesets[place.document].document

    def stated_fields(self, place: RulePlace) -> Fields:
        """Return the fields of a rule as its manifest has them."""
        loaded = self._manifests.rulesets[place.document]
        return dict(loaded.source_map.value(("rules", place.number)))

    def conditions(
        self, place: RulePlace, fields: Fields, rules: EnvironmentRules
    ) -> list[StatedCondition]:
        """Return the conditions that the fields define in an Environment.

        Raises CannotSimplifyError.
        """
        updater = self._updater(place, rules, rules.entries[place].rule)
        try:
            conditions = updater.expander(fields).conditions()
        except (NotRepresentableError, InvalidRuleError) as error:
            raise CannotSimplifyError(str(error)) from None
        return [
            StatedCondition(condition, path if path[0] in fields else ())
            for condition, path in conditions
        ]

    def write(
        self,
        place: RulePlace,
        fields: Fields,
        conditions: Conditions,
        rules: EnvironmentRules,
    ) -> Fields:
        """Return the fields of a rule with other conditions. Raises CannotSimplifyError."""
        rule = replace(rules.entries[place].rule, conditions=conditions)
        updater = self._updater(place, rules, rule)
        try:
            return _tidy(updater.update(fields, "values"), updater)
        except NotRepresentableError as error:
            raise CannotSimplifyError(str(error)) from None

    def read(
        self, place: RulePlace, fields: Fields, rules: EnvironmentRules
    ) -> RoutingEntry:
        """Return the rule that the fields define in an Environment. Raises CannotSimplifyError."""
        before = rules.entries[place]
        updater = self._updater(place, rules, before.rule)
        try:
            expander = updater.expander(fields)
            rule = expander.rule()
            key = expander.key()
        except (NotRepresentableError, InvalidRuleError) as error:
            raise CannotSimplifyError(str(error)) from None
        if before.address is None or key != before.address.key:
            raise CannotSimplifyError("its key would change")
        return replace(before, rule=rule)

    def _updater(
        self, place: RulePlace, rules: EnvironmentRules, rule: Rule
    ) -> RuleUpdater:
        address = rules.entries[place].address
        key = address.key if address else ""
        return RuleUpdater(key, rule, self.document(place), rules.tenant)


def _tidy(fields: Fields, updater: RuleUpdater) -> Fields:
    """Return the fields with `when: []` exactly where a rule without a condition needs it."""
    without = {name: value for name, value in fields.items() if name != "when"}
    if fields.get("when"):
        return fields
    if updater.expander(without).is_implicit_catch_all():
        return with_field(without, "when", [])
    return without
