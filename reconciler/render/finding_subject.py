"""What a finding is about, in words: one rule, or how many rules or places and which."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from reconciler.render.told_change import place
from reconciler.words import counted

if TYPE_CHECKING:
    from reconciler.findings import Finding

FOLDED: Final = 3
"""How many rules are named where not all of them are."""


def subject(finding: Finding) -> str:
    """Return `cards/help`, `29 rules` or `3 places`; nothing for a finding about no single rule."""
    names = members(finding)
    if not names:
        return str(finding.address) if finding.address else ""
    return counted(len(names), "rule" if len(finding.addresses) > 1 else "place")


def members(finding: Finding) -> list[str]:
    """Return the rules, or else the places, of a finding about several; nothing for one about a single rule."""
    if len(finding.addresses) > 1:
        return [str(address) for address in finding.addresses]
    return [place(one.source) for one in finding.places if one.source] if finding.repeats else []


def about(finding: Finding) -> str:
    """Return the subject as the beginning of a sentence: `cards/help: `."""
    said = subject(finding)
    return f"{said}: " if said else ""
