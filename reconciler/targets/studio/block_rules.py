"""Live rules in the text of a managed block: of a tenant's script, or of a file in its place."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace

from reconciler.core.errors import UsageError
from reconciler.core.model.live import LiveRule, Marker, marker_digest
from reconciler.core.model.rule import Opaque
from reconciler.core.rule_json import RulesFile, read_file_text, rule_body
from reconciler.core.target import NotStorableError
from reconciler.core.text.escape import sanitize
from reconciler.targets.studio.build import USED_VARIABLE, BlockEntry, build_block
from reconciler.targets.studio.language import SnippetError, parse_snippet
from reconciler.targets.studio.layout import BlockLayout, unique_ids
from reconciler.targets.studio.read import BlockReader, BlockRule, read_block
from reconciler.targets.studio.script import ScriptError, find_file_block


def live_rules(
    text: str,
    layout: BlockLayout,
    first_line: int = 1,
) -> Iterator[tuple[LiveRule, BlockRule]]:
    """Yield the rules of a block as live rules, each with what was read. Raises SnippetError.

    An edit of a line that belongs to no rule is a change of the first rule's marker: a save writes
    the line again.
    """
    rules = read_block(text, layout, first_line)
    is_applied = all(
        rule.address and marker_digest(rule.rule) == rule.digest for rule in rules
    )
    is_stale = False
    if rules and is_applied:
        entries = [
            BlockEntry(rule.rule, rule.address, rule.digest, rule.text)
            for rule in rules
        ]
        is_stale = build_block(entries, layout, {}) != text

    for rule in rules:
        digest = "0" * 8 if is_stale and rule is rules[0] else rule.digest
        marker = Marker(layout.owner, rule.address, digest) if rule.address else None
        raw = {"id": rule.id, **rule_body(rule.rule, marker)}
        yield LiveRule(rule.id, rule.rule, marker, raw), rule


def block_after(
    entries: Sequence[BlockEntry],
    layout: BlockLayout,
    queue_names: Mapping[str, str],
    before: str,
) -> str:
    """Return the block that replaces `before`.

    Raises NotStorableError if a kept rule would mean something else.
    """
    entries = [
        entry if entry.text and _has_own_lines(entry.text) else entry._replace(text="")
        for entry in entries
    ]
    text = build_block(entries, layout, queue_names)
    reader = BlockReader(text, layout)
    with_own_lines = [entry for entry in entries if entry.text]
    meanings = Counter(map(_meaning, with_own_lines))
    changed = meanings - Counter(map(_meaning, reader.read()))
    old_helpers = _helpers(BlockReader(before, layout))
    new_helpers = _helpers(reader)
    for entry in with_own_lines:
        has_changed_helper = any(
            old_helpers.get(name) != new_helpers.get(name)
            for name in _used_variables(entry)
        )
        if has_changed_helper or _meaning(entry) in changed:
            message = (
                f"a person edited {entry.address}, and it would mean something else after this "
                f"save"
            )
            raise NotStorableError(
                f"{message}; include it in the apply, or undo its edit in Studio"
            )
    return text


def _meaning(entry: BlockEntry | BlockRule) -> tuple[object, ...]:
    rule = entry.rule
    return entry.address, rule.enabled, rule.conditions, rule.targets


def _used_variables(entry: BlockEntry) -> list[str]:
    """Return the helper variables that the opaque parts of a rule use, in lower case."""
    rule = entry.rule
    text = "".join(
        part.text
        for part in (*rule.conditions, *rule.targets)
        if isinstance(part, Opaque)
    )
    return [match[0].lower() for match in USED_VARIABLE.finditer(text)]


def _helpers(reader: BlockReader) -> dict[str, tuple[str, str]]:
    return {
        name: (helper.kind, helper.variable.lower())
        for name, helper in reader.helpers.items()
    }


def _has_own_lines(text: str) -> bool:
    """Return whether the lines of a rule have all of it, and nothing else."""
    with suppress(SnippetError):
        statements = parse_snippet(text)
        kinds = [each.kind for each in statements if each.kind != "comment"]
        if kinds not in ([], ["case"], ["default"]):
            return False
        return not statements[-1].text.startswith("// cxroute:")
    return False


def read_block_file(path: str, layout: BlockLayout) -> RulesFile:
    """Return the rules of a script in a file: JSON, Desktop XML, or a snippet.

    Raises UsageError.
    """
    try:
        file_text = read_file_text(path, "neither a script nor a snippet")
        text, first_line = find_file_block(file_text, layout)
        names: dict[str, str] = {}
        for rule in read_block(text, layout, first_line):
            names |= rule.queue_names
        # the comments of the block have the ids of skills that it assigns by name
        layout = replace(layout, queue_ids=unique_ids(names.items()))
        rules = list(live_rules(text, layout, first_line))
    except (ScriptError, SnippetError) as error:
        raise UsageError(f"{sanitize(path)}: {error}") from None
    return RulesFile(tuple(live for live, _ in rules), names, lists_queues=False)
