"""Live rules in the text of a managed block: of a tenant's script, or of a file in its place."""

from collections.abc import Iterator

from reconciler.cxone.rule_json import RulesFile, read_file_text, rule_body
from reconciler.errors import UsageError
from reconciler.model.live import LiveRule, Marker, marker_digest
from reconciler.studio.build import BlockEntry, build_block
from reconciler.studio.language import SnippetError
from reconciler.studio.layout import BlockLayout
from reconciler.studio.read import BlockRule, read_block
from reconciler.studio.script import ScriptError, find_file_block
from reconciler.text.escape import sanitize


def live_rules(text: str, layout: BlockLayout, first_line: int = 1) -> Iterator[tuple[LiveRule, BlockRule]]:
    """Yield the rules of a block as live rules, each with what was read. Raises SnippetError.

    An edit of a line that belongs to no rule is a change of the first rule's marker: a save writes the line again.
    """
    rules = read_block(text, layout, first_line)
    is_applied = all(rule.address and marker_digest(rule.rule) == rule.digest for rule in rules)
    kept = [BlockEntry(rule.rule, rule.address, rule.digest, rule.text) for rule in rules] if is_applied else []
    is_stale = bool(kept) and build_block(kept, layout, {}) != text
    for rule in rules:
        digest = "0" * 8 if is_stale and rule is rules[0] else rule.digest
        marker = Marker(layout.owner, rule.address, digest) if rule.address else None
        yield LiveRule(rule.id, rule.rule, marker, {"id": rule.id, **rule_body(rule.rule, marker)}), rule


def read_block_file(path: str, layout: BlockLayout) -> RulesFile:
    """Return the rules of a script in a file: JSON, Desktop XML, or a snippet. Raises UsageError."""
    try:
        text, first_line = find_file_block(read_file_text(path, "neither a script nor a snippet"), layout)
        rules = list(live_rules(text, layout, first_line))
    except (ScriptError, SnippetError) as error:
        raise UsageError(f"{sanitize(path)}: {error}") from None
    names = {queue_id: name for _, rule in rules for queue_id, name in rule.queue_names.items()}
    return RulesFile(tuple(live for live, _ in rules), names, lists_queues=False)
