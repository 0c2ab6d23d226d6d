"""A new name for a queue's alias in all manifests, and the proof that it changes nothing else."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from reconciler.core.desired.desired import DesiredState
from reconciler.core.manifest.yaml_patch import TextEdit, apply_edits
from reconciler.core.manifest.yaml_writer import format_like, format_scalar
from reconciler.core.model.finding import Finding
from reconciler.core.model.rule import Address, Opaque, Rule, Target
from reconciler.core.text.escape import is_visible, quote_name
from reconciler.features.editor.analysis import Analysis
from reconciler.features.editor.names import Mention, Names

_INVALID: Final = "The manifests have errors: correct them before you rename a queue."


class Outcome(NamedTuple):
    """The analysis of the manifests, before or after the edits, with all findings of `validate`."""

    analysis: Analysis
    findings: list[Finding]


class RenameError(Exception):
    """The alias cannot have the new name, or not without another change; the message says why."""


def find_alias(names: Names, mention: Mention | None) -> Mention:
    """Return the definition of the alias that is mentioned. Raises RenameError."""
    definitions = (
        [each for each in names.same_name(mention) if each.is_definition]
        if mention
        else []
    )
    if mention is None or mention.role != "queue" or not definitions:
        raise RenameError("Only an alias of a Queues document can be renamed.")
    return definitions[0]


def rename_edits(
    names: Names,
    mention: Mention,
    name: str,
) -> dict[str, list[TextEdit]]:
    """Return the edits of every place that means the alias, by file. Raises RenameError."""
    find_alias(names, mention)
    if not name or "$" in name or not is_visible(name):
        raise RenameError(
            "A name of a queue is a text without line ends, control characters and $."
        )
    if name in names.used("queue"):
        raise RenameError(
            f"The name {quote_name(name)} is already used for a queue: choose another one."
        )
    edits: dict[str, list[TextEdit]] = {}
    for place in names.same_name(mention):
        node = place.node
        written = names.written(place)
        edit = TextEdit(
            node.start,
            node.end,
            format_like(written, name) or format_scalar(name),
        )
        edits.setdefault(place.file, []).append(edit)
    return edits


def renamed_content(
    content: bytes | Finding, edits: Iterable[TextEdit]
) -> bytes | Finding:
    """Return a file's content after the edits."""
    edits = list(edits)
    if isinstance(content, Finding) or not edits:
        return content
    return apply_edits(content.decode("utf-8-sig"), edits).encode()


def check_rename(outcomes: tuple[Outcome, Outcome], old: str, new: str) -> None:
    """Check that rules and findings, before and after, differ in the alias alone.

    Raises RenameError.
    """
    before, after = outcomes
    if before.analysis.manifests is None:
        raise RenameError(_INVALID)
    if after.analysis.manifests is None:
        raise RenameError(
            f"The name {quote_name(new)} is not possible: {after.findings[0].message}."
        )
    for earlier, later in zip(
        before.analysis.checked,
        after.analysis.checked,
        strict=True,
    ):
        _check_rules(_rules(earlier.desired), _rules(later.desired), old, new)
    if Counter(map(_place, before.findings)) != Counter(map(_place, after.findings)):
        raise RenameError(
            "With the new name, `cxroute validate` reports other findings: choose another name."
        )


def _rules(desired: DesiredState | None) -> Mapping[Address, Rule]:
    return (
        {address: rule.rule for address, rule in desired.rules.items()}
        if desired
        else {}
    )


def _check_rules(
    before: Mapping[Address, Rule],
    after: Mapping[Address, Rule],
    old: str,
    new: str,
) -> None:
    longest_first = sorted((old, new), key=len, reverse=True)
    names = re.compile("|".join(map(re.escape, longest_first)))
    for address in dict.fromkeys([*before, *after]):
        is_same = False
        if address in before and address in after:
            content_before = _content(before[address], names, {old})
            is_same = content_before == _content(after[address], names, {new})
        if not is_same:
            reason = "a variable or a live queue has this name, too"
            raise RenameError(
                f"Rule {address} would have another queue, because {reason}: rename it by hand."
            )


def _content(rule: Rule, names: re.Pattern[str], alias: set[str]) -> tuple[object, ...]:
    """Return the rule's fields, without the alias where a queue has no other name."""
    targets = Counter(_target(target, alias) for target in rule.targets)
    conditions = frozenset(map(str, rule.conditions))
    return (
        rule.name,
        names.sub("", rule.description),
        rule.priority,
        rule.enabled,
        conditions,
        frozenset(targets.items()),
    )


def _target(target: Target | Opaque, alias: set[str]) -> object:
    if isinstance(target, Opaque):
        return str(target)
    queue = "" if target.queue_id in alias else target.queue_id
    return queue, target.weight


def _place(finding: Finding) -> tuple[object, ...]:
    source = finding.source
    return (
        finding.code,
        finding.severity,
        source.file if source else "",
        source.line if source else 0,
    )
