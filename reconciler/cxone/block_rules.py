"""Live rules in the text of a managed block: of a tenant's script, or of a file in its place."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress

from reconciler.cxone.rule_json import RulesFile, read_file_text, rule_body
from reconciler.errors import UsageError
from reconciler.model.live import LiveRule, Marker, marker_digest
from reconciler.model.rule import Opaque
from reconciler.studio.build import USED_VARIABLE, BlockEntry, build_block
from reconciler.studio.language import SnippetError, parse_snippet
from reconciler.studio.layout import BlockLayout, NotStorableError
from reconciler.studio.read import BlockReader, BlockRule, read_block
from reconciler.studio.script import ScriptError, find_file_block
from reconciler.text.escape import sanitize


def live_rules(
    text: str, layout: BlockLayout, first_line: int = 1
) -> Iterator[tuple[LiveRule, BlockRule]]:
    """Yield the rules of a block as live rules, each with what was read. Raises SnippetError.

    An edit of a line that belongs to no rule is a change of the first rule's marker: a save writes
    the line again.
    """
    rules = read_block(text, layout, first_line)
    is_applied = all(
        rule.address and marker_digest(rule.rule) == rule.digest for rule in rules
    )
    kept = (
        [BlockEntry(rule.rule, rule.address, rule.digest, rule.text) for rule in rules]
        if is_applied
        else []
    )
    is_stale = bool(kept) and build_block(kept, layout, {}) != text
    for rule in rules:
        digest = "0" * 8 if is_stale and rule is rules[0] else rule.digest
        marker = Marker(layout.owner, rule.address, digest) if rule.address else None
        yield (
            LiveRule(
                rule.id,
                rule.rule,
                marker,
                {"id": rule.id, **rule_body(rule.rule, marker)},
            ),
            rule,
        )


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
        each if each.text and _has_own_lines(each.text) else each._replace(text="")
        for each in entries
    ]
    text, kept = (
        build_block(entries, layout, queue_names),
        [each for each in entries if each.text],
    )
    reader = BlockReader(text, layout)
    changed = Counter(map(_meaning, kept)) - Counter(map(_meaning, reader.read()))
    old, new = _helpers(BlockReader(before, layout)), _helpers(reader)
    for each in kept:
        parts = "".join(
            part.text
            for part in (*each.rule.conditions, *each.rule.targets)
            if isinstance(part, Opaque)
        )
        names = [found[0].lower() for found in USED_VARIABLE.finditer(parts)]
        if _meaning(each) in changed or any(
            old.get(name) != new.get(name) for name in names
        ):
            message = (
                f"a person edited {each.address}, and it would mean something else after this "
                f"save"
            )
            raise NotStorableError(
                f"{message}; include it in the apply, or undo its edit in Studio"
            )
    return text


def _meaning(each: BlockEntry | BlockRule) -> tuple[object, ...]:
    return each.address, each.rule.enabled, each.rule.conditions, each.rule.targets


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
        return kinds in ([], ["case"], ["default"]) and not statements[
            -1
        ].text.startswith("// cxroute:")
    return False


def read_block_file(path: str, layout: BlockLayout) -> RulesFile:
    """Return the rules of a script in a file: JSON, Desktop XML, or a snippet.

    Raises UsageError.
    """
    try:
        text, first_line = find_file_block(
            read_file_text(path, "neither a script nor a snippet"), layout
        )
        rules = list(live_rules(text, layout, first_line))
    except (ScriptError, SnippetError) as error:
        raise UsageError(f"{sanitize(path)}: {error}") from None
    names = {
        queue_id: name
        for _, rule in rules
        for queue_id, name in rule.queue_names.items()
    }
    return RulesFile(tuple(live for live, _ in rules), names, lists_queues=False)
