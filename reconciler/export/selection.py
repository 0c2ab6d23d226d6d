"""Which live rules are exported: of those that were asked for, the ones that no manifest and nobody else has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from reconciler.export.names import SkippedRule
from reconciler.plan.options import is_selected

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from reconciler.desired.desired import DesiredRule, DesiredState
    from reconciler.model.live import LiveRule
    from reconciler.plan.ownership import LiveRulesByOwner


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
    """Part the rules that were asked for; `rulesets` are the names of all RuleSets there are, and their files."""
    parting = _RuleSelector(by_owner, desired, rulesets)
    rules: list[LiveRule] = []
    left_out: list[SkippedRule] = []
    there: list[SkippedRule] = []
    for live in candidates:
        if known := parting.manifest_location(live):
            there.append(SkippedRule(live, known))
        elif hindered := parting.exclusion_reason(live):
            left_out.append(SkippedRule(live, hindered))
        else:
            rules.append(live)
    return ExportSelection(tuple(rules), tuple(left_out), tuple(there))


def match_rules(rules: Iterable[LiveRule], selector: str, owner: str) -> Iterator[LiveRule]:
    """Yield the rules that a person means by a live name, an id, an address of ours, or a pattern of addresses."""
    for live in rules:
        ours = live.marker is not None and live.marker.owner == owner
        if selector in (live.rule.name, live.id) or (
            ours and live.marker and is_selected(live.marker.address, [selector])
        ):
            yield live


class _RuleSelector:
    """What there is beside the live rules."""

    def __init__(self, by_owner: LiveRulesByOwner, desired: DesiredState, rulesets: Mapping[str, str]) -> None:
        self.by_owner, self.desired, self.rulesets = by_owner, desired, rulesets
        self._managed = {live.id: address for address, live in by_owner.managed.items()}
        self._removable_ids = {live.id for live in (*by_owner.duplicates, *by_owner.temporary_copies)}
        self._edited_copy_ids = {live.id for live in by_owner.edited_copies}
        self._names = {one.rule.name: one for one in desired.rules.values()}
        self._adopting = {
            one.adopt if isinstance(one.adopt, str) else ("id", one.adopt.id): one
            for one in desired.rules.values()
            if one.adopt is not None
        }

    def manifest_location(self, live: LiveRule) -> str:
        address = self._managed.get(live.id)
        if address is not None:
            found = self.desired.rules.get(address)
            return f"it is in {_location(found)}" if found else ""
        if live.marker is not None:
            return ""
        found = self._adopting.get(("id", live.id)) or self._adopting.get(live.rule.name)
        return f"{found.address} adopts it, in {_location(found)}" if found else ""

    def exclusion_reason(self, live: LiveRule) -> str:
        if live.id in self._removable_ids:
            return "it is a second copy of a rule of ours, which the next apply deletes"
        if live.id in self._edited_copy_ids:
            return "it is an edited copy of a rule of ours; delete it, or take the last line out of its description"
        if live.marker is not None and live.marker.owner != self.desired.owner:
            return f"it is managed by {live.marker.owner}"
        if found := self._names.get(live.rule.name):
            advice = "write `adopt:` there" if live.marker is None else "it would be moved"
            return f"{found.address} has its name, in {_location(found)}: {advice}"
        if live.marker is not None and live.marker.address.ruleset in self.rulesets:
            name = live.marker.address.ruleset
            return f"RuleSet {name} is in {self.rulesets[name]}: add the rule there, or leave it to be deleted"
        return ""


def _location(desired: DesiredRule) -> str:
    return f"{desired.source.file}:{desired.source.line}" if desired.source else "the manifests"
