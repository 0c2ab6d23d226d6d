"""Which live rules are exported: of those that were asked for, the ones that no manifest and nobody else has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from reconciler.export.names import LeftOut
from reconciler.plan.options import selected

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from reconciler.desired.desired import Desired, DesiredRule
    from reconciler.model.live import LiveRule
    from reconciler.plan.ownership import Owned


@dataclass(frozen=True, slots=True)
class Chosen:
    """Live rules to export, those that cannot be, and how many the manifests have already."""

    rules: tuple[LiveRule, ...]
    left_out: tuple[LeftOut, ...]
    there: tuple[LeftOut, ...]
    """Rules that the manifests have, or take over, already; the reason says where."""


def choose(asked: Iterable[LiveRule], owned: Owned, desired: Desired, rulesets: Mapping[str, str]) -> Chosen:
    """Part the rules that were asked for; `rulesets` are the names of all RuleSets there are, and their files."""
    parting = _Parting(owned, desired, rulesets)
    rules: list[LiveRule] = []
    left_out: list[LeftOut] = []
    there: list[LeftOut] = []
    for live in asked:
        if known := parting.known(live):
            there.append(LeftOut(live, known))
        elif hindered := parting.hindered(live):
            left_out.append(LeftOut(live, hindered))
        else:
            rules.append(live)
    return Chosen(tuple(rules), tuple(left_out), tuple(there))


def matching(rules: Iterable[LiveRule], selector: str, owner: str) -> Iterator[LiveRule]:
    """Yield the rules that a person means by a live name, an id, an address of ours, or a pattern of addresses."""
    for live in rules:
        ours = live.marker is not None and live.marker.owner == owner
        if selector in (live.rule.name, live.id) or (
            ours and live.marker and selected(live.marker.address, [selector])
        ):
            yield live


class _Parting:
    """What there is beside the live rules."""

    def __init__(self, owned: Owned, desired: Desired, rulesets: Mapping[str, str]) -> None:
        self.owned, self.desired, self.rulesets = owned, desired, rulesets
        self._managed = {live.id: address for address, live in owned.managed.items()}
        self._spare = {live.id for live in (*owned.duplicates, *owned.copies)}
        self._clones = {live.id for live in owned.clones}
        self._names = {one.rule.name: one for one in desired.rules.values()}
        self._adopting = {
            one.adopt if isinstance(one.adopt, str) else ("id", one.adopt.id): one
            for one in desired.rules.values()
            if one.adopt is not None
        }

    def known(self, live: LiveRule) -> str:
        """Return where the manifests have the rule; nothing where they have not."""
        address = self._managed.get(live.id)
        if address is not None:
            found = self.desired.rules.get(address)
            return f"it is in {_place(found)}" if found else ""
        if live.marker is not None:
            return ""
        found = self._adopting.get(("id", live.id)) or self._adopting.get(live.rule.name)
        return f"{found.address} adopts it, in {_place(found)}" if found else ""

    def hindered(self, live: LiveRule) -> str:
        """Return why a rule cannot be exported; nothing where it can."""
        if live.id in self._spare:
            return "it is a second copy of a rule of ours, which the next apply deletes"
        if live.id in self._clones:
            return "it is an edited copy of a rule of ours; delete it, or take the last line out of its description"
        if live.marker is not None and live.marker.owner != self.desired.owner:
            return f"it is managed by {live.marker.owner}"
        if found := self._names.get(live.rule.name):
            advice = "write `adopt:` there" if live.marker is None else "it would be moved"
            return f"{found.address} has its name, in {_place(found)}: {advice}"
        if live.marker is not None and live.marker.address.ruleset in self.rulesets:
            name = live.marker.address.ruleset
            return f"RuleSet {name} is in {self.rulesets[name]}: add the rule there, or leave it to be deleted"
        return ""


def _place(desired: DesiredRule) -> str:
    return f"{desired.source.file}:{desired.source.line}" if desired.source else "the manifests"
