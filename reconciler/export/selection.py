"""Which live rules are exported: of those that were asked for, the ones that no manifest and nobody else has."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from reconciler.desired.desired import DesiredRule, DesiredState
from reconciler.export.names import SkippedRule
from reconciler.model.live import LiveRule
from reconciler.plan.ownership import LiveRulesByOwner
from reconciler.plan.plan import is_selected


@dataclass(frozen=True, slots=True)
class ExportSelection:
    """Live rules to export, those that cannot be, and how many the manifests have already."""

    rules: tuple[LiveRule, ...]
    skipped: tuple[SkippedRule, ...]
    already_in_manifests: tuple[SkippedRule, ...]
    """Rules that the manifests have, or take over, already; the reason says where."""


def select_rules(
    candidates: Iterable[LiveRule], by_owner: LiveRulesByOwner, desired: DesiredState, rulesets: Mapping[str, str]
) -> ExportSelection:
    """Sort the candidates; `rulesets` are the names of all existing RuleSets, and their files."""
    selector = _RuleSelector(by_owner, desired, rulesets)
    rules: list[LiveRule] = []
    skipped: list[SkippedRule] = []
    already_in_manifests: list[SkippedRule] = []
    for live in candidates:
        if location := selector.manifest_location(live):
            already_in_manifests.append(SkippedRule(live, location))
        elif reason := selector.exclusion_reason(live):
            skipped.append(SkippedRule(live, reason))
        else:
            rules.append(live)
    return ExportSelection(tuple(rules), tuple(skipped), tuple(already_in_manifests))


def match_rules(rules: Iterable[LiveRule], selector: str, owner: str) -> Iterator[LiveRule]:
    """Yield the rules that a live name, an id, an address of this owner, or a pattern of addresses means."""
    for live in rules:
        address = live.marker.address if live.marker is not None and live.marker.owner == owner else None
        if selector in (live.rule.name, live.id) or (address and is_selected(address, [selector])):
            yield live


class _RuleSelector:
    def __init__(self, by_owner: LiveRulesByOwner, desired: DesiredState, rulesets: Mapping[str, str]) -> None:
        self.by_owner, self.desired, self.rulesets = by_owner, desired, rulesets
        self._managed = {live.id: address for address, live in by_owner.managed.items()}
        self._removable_ids = {live.id for live in (*by_owner.duplicates, *by_owner.temporary_copies)}
        self._edited_copy_ids = {live.id for live in by_owner.edited_copies}
        rules = desired.rules.values()
        self._names = {rule.rule.name: rule for rule in rules}
        adopting = ((rule.adopt, rule) for rule in rules if rule.adopt is not None)
        self._adopting = {adopt if isinstance(adopt, str) else ("id", adopt.id): rule for adopt, rule in adopting}

    def manifest_location(self, live: LiveRule) -> str:
        address = self._managed.get(live.id)
        if address is not None:
            rule = self.desired.rules.get(address)
            return f"it is in {_location(rule)}" if rule else ""
        if live.marker is not None:
            return ""
        rule = self._adopting.get(("id", live.id)) or self._adopting.get(live.rule.name)
        return f"{rule.address} adopts it, in {_location(rule)}" if rule else ""

    def exclusion_reason(self, live: LiveRule) -> str:
        marker = live.marker
        if live.id in self._removable_ids:
            return "it is a second copy of a rule of ours, which the next apply deletes"
        if live.id in self._edited_copy_ids:
            return "it is an edited copy of a rule of ours; delete it, or take the last line out of its description"
        if marker is not None and marker.owner != self.desired.owner:
            return f"it is managed by {marker.owner}"
        if rule := self._names.get(live.rule.name):
            advice = "write `adopt:` there" if marker is None else "it would be moved"
            return f"{rule.address} has its name, in {_location(rule)}: {advice}"
        if marker is not None and marker.address.ruleset in self.rulesets:
            name = marker.address.ruleset
            return f"RuleSet {name} is in {self.rulesets[name]}: add the rule there, or leave it to be deleted"
        return ""


def _location(desired: DesiredRule) -> str:
    return f"{desired.source.file}:{desired.source.line}" if desired.source else "the manifests"
