"""RuleSets and Queues -> the text of manifests, with comments that say where it comes from and what is missing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from reconciler.manifest.yaml_writer import mapping
from reconciler.text.escape import pluralize, sanitize

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from reconciler.export.export import Exported
    from reconciler.export.names import LeftOut
    from reconciler.export.ruleset import Group, Written


_HEAD: Final = {"apiVersion": "routing/v1"}
_MOST_LEFT_OUT: Final = 100


class Setting(NamedTuple):
    """What stands in every file beside the rules."""

    head: str
    """Where and when the rules were read."""
    environments: tuple[str, ...]
    """Where the RuleSets apply; none means everywhere."""
    queues: str
    """The name of the Queues document."""


def one_file(exported: Exported, setting: Setting) -> str:
    """Return everything as one text of several documents."""
    documents = [*_queues(exported, setting), *(_ruleset(group, setting) for group in exported.groups)]
    head = [f"# {setting.head}", *_comments(exported.left_out)]
    return "\n".join([*head, *"\n---\n".join("\n".join(lines) for lines in documents).split("\n"), ""])


def several_files(exported: Exported, setting: Setting) -> dict[str, str]:
    """Return a file for each RuleSet, and one for the queues, by name; the first says what is left out."""
    documents = [(setting.queues, lines) for lines in _queues(exported, setting)]
    documents += [(group.name, _ruleset(group, setting)) for group in exported.groups]
    missing = _comments(exported.left_out)
    return {
        f"{name}.yaml": "\n".join([f"# {setting.head}", *(missing if place == 0 else ()), *lines, ""])
        for place, (name, lines) in enumerate(documents)
    }


def _queues(exported: Exported, setting: Setting) -> list[list[str]]:
    """Return the Queues document, where one is needed."""
    if not exported.queues:
        return []
    fields = {**_HEAD, "kind": "Queues", "name": setting.queues}
    return [[*mapping(fields, 0), "queues:", *mapping(exported.queues, 2)]]


def _ruleset(group: Group, setting: Setting) -> list[str]:
    fields: dict[str, object] = {**_HEAD, "kind": "RuleSet", "name": group.name}
    fields |= {"environments": setting.environments} if setting.environments else {}
    fields |= {"defaults": group.defaults} if group.defaults else {}
    rules = [line for rule in group.rules for line in _rule(rule)]
    return [f"# {group.title}", *mapping(fields, 0), "rules:", *rules]


def _rule(rule: Written) -> list[str]:
    """Return a rule's lines; what is to be known of it stands above."""
    first, *others = mapping(rule.fields, 4)
    notes = [f"  # {sanitize(note)}" for note in rule.notes]
    return [*notes, f"  - {first[4:]}", *others]


def _comments(left_out: Sequence[LeftOut]) -> list[str]:
    """Return what a reader is told of live rules that are not here."""
    if not left_out:
        return []
    more = len(left_out) - _MOST_LEFT_OUT
    return [
        "# Not here, and left as they are:",
        *(f"#   {line}" for line in told(left_out[:_MOST_LEFT_OUT])),
        *([f"#   and {pluralize(more, 'other')}"] if more > 0 else []),
    ]


def told(left_out: Iterable[LeftOut]) -> list[str]:
    """Return a line for each rule that is left out: its name, its id and why."""
    return [f'"{sanitize(one.live.rule.name)}" ({sanitize(one.live.id)}): {sanitize(one.reason)}' for one in left_out]
