"""The rules and places that a finding is about, in words. Imports no plan: `validate` uses it."""

from typing import Final

from reconciler.core.model.finding import Finding
from reconciler.core.model.rule import Source
from reconciler.core.text.escape import pluralize, sanitize

MAX_NAMED: Final = 3  # names in a list that is cut


def finding_subject(finding: Finding) -> str:
    """Return `cards/help`, `29 rules` or `3 places`; empty for a finding without an address."""
    names = finding_members(finding)
    if not names:
        return str(finding.address) if finding.address else ""
    return pluralize(len(names), "rule" if len(finding.addresses) > 1 else "place")


def finding_members(finding: Finding) -> list[str]:
    """Return the rules or, without rules, the places of a finding about several; empty for a single
    rule.
    """
    if len(finding.addresses) > 1:
        return [str(address) for address in finding.addresses]
    occurrences = finding.occurrences if finding.repeats else ()
    return [
        source_location(occurrence.source)
        for occurrence in occurrences
        if occurrence.source
    ]


def subject_prefix(finding: Finding) -> str:
    """Return the subject as the start of a sentence: `cards/help: `."""
    subject = finding_subject(finding)
    return f"{subject}: " if subject else ""


def source_location(source: Source) -> str:
    """Return `manifests/cards.yaml:12`."""
    return f"{sanitize(source.file)}:{source.line}"
