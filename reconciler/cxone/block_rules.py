"""Live rules in the text of a managed block: of a tenant's script, or of a file in its place."""

from collections.abc import Iterator
from contextlib import suppress

from reconciler.cxone.rule_json import RulesFile, read_file_text, rule_body
from reconciler.errors import UsageError
from reconciler.model.live import LiveRule, Marker, marker_digest
from reconciler.studio.build import BlockEntry, build_block
from reconciler.studio.language import SnippetError
from reconciler.studio.layout import BlockLayout, NotStorableError
from reconciler.studio.read import BlockRule, ReadBlock, read_block
from reconciler.studio.script import ScriptError, find_file_block
from reconciler.text.escape import sanitize

_STALE = "00000000"


def live_rules(text: str, layout: BlockLayout, first_line: int = 1) -> Iterator[tuple[LiveRule, BlockRule]]:
    """Yield the rules of a block as live rules, each with what was read. Raises SnippetError.

    If somebody edited a line that belongs to no rule, the first rule has a digest that calls for a save, which writes
    these lines again. So an edit in the block is a change, whichever line it is in.
    """
    read = read_block(text, layout, first_line)
    stale = None if read.is_canonical or _is_framed(read, text, layout) else read.rules[0]
    for rule in read.rules:
        digest = _STALE if rule is stale else rule.digest
        marker = Marker(layout.owner, rule.address, digest) if rule.address else None
        yield LiveRule(rule.id, rule.rule, marker, {"id": rule.id, **rule_body(rule.rule, marker)}), rule


def _is_framed(read: ReadBlock, text: str, layout: BlockLayout) -> bool:
    """Return whether a save that keeps all rules would keep the text; true if a rule calls for a save anyway."""
    if any(rule.address is None or marker_digest(rule.rule) != rule.digest for rule in read.rules):
        return True
    with suppress(NotStorableError):
        entries = [BlockEntry(rule.rule, rule.address, rule.digest, rule.text) for rule in read.rules]
        return not entries or build_block(entries, layout, {}) == text
    return True


def read_block_file(path: str, layout: BlockLayout) -> RulesFile:
    """Return the rules of a script in a file: JSON, Desktop XML, or a snippet. Raises UsageError."""
    try:
        text, first_line = find_file_block(read_file_text(path), layout)
        rules = list(live_rules(text, layout, first_line))
    except (ScriptError, SnippetError) as error:
        raise UsageError(f"{sanitize(path)}: {error}") from None
    names = {queue_id: name for _, rule in rules for queue_id, name in rule.queue_names.items()}
    return RulesFile(tuple(live for live, _ in rules), names, lists_queues=False)
