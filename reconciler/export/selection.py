"""The selection of live rules for an export: rules that neither a manifest nor another owner has."""

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from reconciler.desired.desired import DesiredState
from reconciler.export.names import SkippedRule
from reconciler.model.live import LiveRule
from reconciler.plan.ownership import LiveRulesByOwner
from reconciler.plan.plan import is_selected


class ExportSelection(NamedTuple):
    """Live rules to export, skipped rules, and rules that the manifests already have."""

    rules: tuple[LiveRule, ...]
    skipped: tuple[SkippedRule, ...]
    already_in_manifests: tuple[SkippedRule, ...]  # or adopted by them; the reason is the location


def select_rules(
    candidates: Iterable[LiveRule], by_owner: LiveRulesByOwner, desired: DesiredState, rulesets: Mapping[str, str]
) -> ExportSelection:
    """Return the selection; `rulesets` are the names of all existing RuleSets with their files."""
    selector = _RuleSelector(by_owner, desired, rulesets)
    locations = [(live, selector.manifest_location(live)) for live in candidates]
    reasons = [(live, selector.exclusion_reason(live)) for live, location in locations if not location]
    return ExportSelection(
        rules=tuple(live for live, reason in reasons if not reason),
        skipped=tuple(SkippedRule(live, reason) for live, reason in reasons if reason),
        already_in_manifests=tuple(SkippedRule(live, location) for live, location in locations if location),
    )


def match_rules(rules: Iterable[LiveRule], selector: str, owner: str) -> Iterator[LiveRule]:
    """Yield the rules with this live name, id or address of this owner, or that match a pattern of addresses."""
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
            return f"it is in {rule.location}" if rule else ""
        if live.marker is not None:
            return ""
        rule = self._adopting.get(("id", live.id)) or self._adopting.get(live.rule.name)
        return f"{rule.address} adopts it, in {rule.location}" if rule else ""

    def exclusion_reason(self, live: LiveRule) -> str:
        marker = live.marker
        if live.id in self._removable_ids:
            return "it is a second copy of a managed rule; the next apply deletes it"
        if live.id in self._edited_copy_ids:
            return "it is an edited copy of a managed rule; delete it, or remove the last line of its description"
        if marker is not None and marker.owner != self.desired.owner:
            return f"it is managed by {marker.owner}"
        if rule := self._names.get(live.rule.name):
            advice = "write `adopt:` there" if marker is None else "it would be moved"
            return f"{rule.address} has its name, in {rule.location}: {advice}"
        if marker is not None and marker.address.ruleset in self.rulesets:
            name = marker.address.ruleset
            return f"RuleSet {name} is in {self.rulesets[name]}: add the rule there, or leave it to be deleted"
        return ""
