"""RuleSets and Queues -> the text of manifests, with comments that say where it comes from and what is missing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from reconciler.manifest.yaml_writer import format_mapping
from reconciler.text.escape import pluralize, sanitize

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from reconciler.export.export import ExportedManifests
    from reconciler.export.names import SkippedRule
    from reconciler.export.ruleset import ExportedRule, ExportedRuleSet


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


def _queues_documents(exported: ExportedManifests, setting: ManifestHeader) -> list[list[str]]:
    if not exported.queue_aliases:
        return []
    fields = {**_API_VERSION_FIELD, "kind": "Queues", "name": setting.queues_name}
    return [[*format_mapping(fields, 0), "queues:", *format_mapping(exported.queue_aliases, 2)]]


def _ruleset_lines(group: ExportedRuleSet, setting: ManifestHeader) -> list[str]:
    fields: dict[str, object] = {**_API_VERSION_FIELD, "kind": "RuleSet", "name": group.name}
    fields |= {"environments": setting.environments} if setting.environments else {}
    fields |= {"defaults": group.defaults} if group.defaults else {}
    rules = [line for rule in group.rules for line in _rule_lines(rule)]
    return [f"# {group.title}", *format_mapping(fields, 0), "rules:", *rules]


def _rule_lines(rule: ExportedRule) -> list[str]:
    """Return a rule's lines; what is to be known of it stands above."""
    first, *others = format_mapping(rule.fields, 4)
    notes = [f"  # {sanitize(note)}" for note in rule.notes]
    return [*notes, f"  - {first[4:]}", *others]


def _skipped_comments(skipped: Sequence[SkippedRule]) -> list[str]:
    if not skipped:
        return []
    more = len(skipped) - _MAX_SKIPPED
    return [
        "# Not here, and left as they are:",
        *(f"#   {line}" for line in describe_skipped(skipped[:_MAX_SKIPPED])),
        *([f"#   and {pluralize(more, 'other')}"] if more > 0 else []),
    ]


def describe_skipped(skipped: Iterable[SkippedRule]) -> list[str]:
    """Return a line for each rule that is left out: its name, its id and why."""
    return [f'"{sanitize(one.live.rule.name)}" ({sanitize(one.live.id)}): {sanitize(one.reason)}' for one in skipped]
