"""RuleSets and Queues -> the text of manifests, with comments that say where it comes from and what is missing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from reconciler.export.export import ExportedManifests
from reconciler.export.names import SkippedRule
from reconciler.export.ruleset import ExportedRuleSet
from reconciler.manifest.yaml_writer import format_mapping
from reconciler.text.escape import pluralize, sanitize

_API_VERSION_FIELD: Final = {"apiVersion": "routing/v1"}
_MAX_SKIPPED: Final = 100


class ManifestHeader(NamedTuple):
    """What stands in every file beside the rules."""

    comment: str  # where and when the rules were read
    environments: tuple[str, ...]  # where the RuleSets apply; none means everywhere
    queues_name: str  # the name of the Queues document


def format_one_file(exported: ExportedManifests, header: ManifestHeader) -> str:
    """Return everything as one text of several documents."""
    documents = [*_queues_documents(exported, header), *(_ruleset_lines(group, header) for group in exported.rulesets)]
    head = [f"# {header.comment}", *_skipped_comments(exported.skipped)]
    return "\n".join([*head, *"\n---\n".join("\n".join(lines) for lines in documents).split("\n"), ""])


def format_files(exported: ExportedManifests, header: ManifestHeader) -> dict[str, str]:
    """Return a file for each RuleSet, and one for the queues, by name; the first says what is left out."""
    documents = [(header.queues_name, lines) for lines in _queues_documents(exported, header)]
    documents += [(group.name, _ruleset_lines(group, header)) for group in exported.rulesets]
    missing = _skipped_comments(exported.skipped)
    return {
        f"{name}.yaml": "\n".join([f"# {header.comment}", *(missing if place == 0 else ()), *lines, ""])
        for place, (name, lines) in enumerate(documents)
    }


def _queues_documents(exported: ExportedManifests, header: ManifestHeader) -> list[list[str]]:
    if not exported.queue_aliases:
        return []
    fields = {**_API_VERSION_FIELD, "kind": "Queues", "name": header.queues_name}
    return [[*format_mapping(fields, 0), "queues:", *format_mapping(exported.queue_aliases, 2)]]


def _ruleset_lines(group: ExportedRuleSet, header: ManifestHeader) -> list[str]:
    fields: dict[str, object] = {**_API_VERSION_FIELD, "kind": "RuleSet", "name": group.name}
    fields |= {"environments": header.environments} if header.environments else {}
    fields |= {"defaults": group.defaults} if group.defaults else {}
    lines = [f"# {group.title}", *format_mapping(fields, 0), "rules:"]
    for rule in group.rules:
        first, *following = format_mapping(rule.fields, 4)
        lines += [*(f"  # {sanitize(note)}" for note in rule.notes), f"  - {first[4:]}", *following]
    return lines


def _skipped_comments(skipped: Sequence[SkippedRule]) -> list[str]:
    lines = [f"#   {line}" for line in describe_skipped(skipped[:_MAX_SKIPPED])]
    if len(skipped) > _MAX_SKIPPED:
        lines.append(f"#   and {pluralize(len(skipped) - _MAX_SKIPPED, 'other')}")
    return ["# Not here, and left as they are:", *lines] if skipped else []


def describe_skipped(skipped: Iterable[SkippedRule]) -> list[str]:
    """Return a line for each rule that is left out: its name, its id and the reason."""
    rules = ((rule.live, rule.reason) for rule in skipped)
    return [f'"{sanitize(live.rule.name)}" ({sanitize(live.id)}): {sanitize(reason)}' for live, reason in rules]
