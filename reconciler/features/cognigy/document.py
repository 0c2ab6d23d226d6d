"""Writes an Intents document of a bot: a new one, or the smallest edits of an existing one."""

import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final, NamedTuple

from reconciler.core.errors import CxrouteError, ManifestError
from reconciler.core.manifest.source_map import Document
from reconciler.core.manifest.yaml_patch import (
    CannotPatchError,
    apply_edits,
    compute_edits,
)
from reconciler.core.manifest.yaml_reader import parse_file
from reconciler.core.manifest.yaml_writer import format_entry
from reconciler.core.text.escape import pluralize, sanitize
from reconciler.core.text.json_values import as_object
from reconciler.features.cognigy.bot import Bot, BotIntent, sort_key

_HEAD: Final = "# Written by `cxroute cognigy intents`"
_HEAD_LINE: Final = re.compile(rf"^{re.escape(_HEAD)} [^\r\n]*", re.MULTILINE)
_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"

Entry = Any  # of the list in a document: a name, or a mapping


class NameChanges(NamedTuple):
    """How a bot's intents differ from those of a document."""

    added: list[str]
    removed: list[str]
    # the new names by the old ones; the reference id is the same
    renamed: dict[str, str]


def head_line(origin: str, when: str) -> str:
    """Return the comment that says where a document came from, and when."""
    return f"{_HEAD} from {sanitize(origin)}, {when}"


def new_document(bot: Bot, head: str) -> str:
    """Return an Intents document with the bot's intents by name."""
    entries = [_update_entry(name, intent) for name, intent in bot.intents.items()]
    lines = [
        head,
        "apiVersion: routing/v1",
        "kind: Intents",
        "name: bot",
        *format_entry("intents", entries, 0),
    ]
    return "\n".join([*lines, ""])


def compare_names(
    ids: Mapping[str, str],
    bot: Bot,
    kept: Collection[str],
) -> NameChanges:
    """Return the differences from a document's intents, with their reference ids or ""; `kept` are
    not the bot's.
    """
    names_by_id = bot.names_by_id
    old_names: dict[str, str] = {}  # by the new ones
    for name, reference in ids.items():
        new = names_by_id.get(reference, name)
        if name not in bot.intents and new not in ids:
            old_names.setdefault(new, name)
    renamed = {old: new for new, old in old_names.items()}
    removed = [
        name
        for name in ids
        if name not in bot.intents and name not in renamed and name not in kept
    ]
    added = [name for name in bot.intents if name not in ids and name not in old_names]
    return NameChanges(added, removed, renamed)


def update_document(
    data: bytes,
    file: str,
    bot: Bot,
    head: str,
    kept: Collection[str],
) -> tuple[bytes, NameChanges]:
    """Return the file with the bot's intents; the rest of it stays.

    Raises ManifestError and CxrouteError.
    """
    document, text = _find_document(data, file)
    entries = document.value["intents"]
    changes = compare_names(reference_ids(entries), bot, kept)
    edited = text
    # One kind of change at a time, so that no line with its comment is taken for that of another
    # intent.
    for new_entries in _list_stages(entries, bot, changes):
        edited = _replace_entries(edited, file, new_entries)
    if edited == text:
        return data, changes

    edited, count = _HEAD_LINE.subn(lambda _match: head, edited, count=1)
    if not count:
        # no edit is above the document
        start = edited.rfind("\n", 0, document.start) + 1
        line_end = "\r\n" if "\r\n" in text else "\n"
        edited = f"{edited[:start]}{head}{line_end}{edited[start:]}"
    content = edited.encode()
    if data.startswith(_BYTE_ORDER_MARK):
        content = _BYTE_ORDER_MARK + content
    return content, changes


def _list_stages(
    entries: Iterable[Entry],
    bot: Bot,
    changes: NameChanges,
) -> list[list[Entry]]:
    """Return the list of intents with updated entries, then with the added ones, then without the
    removed ones.
    """
    updated = []
    for entry in entries:
        name = _name(entry)
        intent = bot.intents.get(changes.renamed.get(name, name))
        updated.append(_update_entry(entry, intent))

    added = [_update_entry(name, bot.intents[name]) for name in changes.added]
    extended = [*updated, *added]
    if updated == sorted(updated, key=_sort_key):
        extended.sort(key=_sort_key)

    final = [entry for entry in extended if _name(entry) not in changes.removed]
    return [updated, extended, final]


def _find_document(data: bytes, file: str) -> tuple[Document, str]:
    """Return the file's Intents document, and the text. Raises ManifestError and CxrouteError."""
    parsed = parse_file(data, file)
    if parsed.collector.collected:
        raise ManifestError(parsed.collector.findings(), file)
    documents = [
        each
        for each in parsed.documents
        if as_object(each.value).get("kind") == "Intents"
    ]
    if len(documents) != 1:
        raise CxrouteError(
            f"{file} has {pluralize(len(documents), 'Intents document')}; name a file with one"
        )
    document = documents[0]
    entries = document.value.get("intents")
    if not isinstance(entries, list) or not all(
        isinstance(_name(entry), str) for entry in entries
    ):
        raise CxrouteError(
            f"{file}: the list of intents is not valid; run `cxroute validate` first"
        )
    return document, parsed.text.text


def _replace_entries(text: str, file: str, entries: list[Entry]) -> str:
    """Return the text with another list of intents, read back to verify it. Raises CxrouteError."""
    document, _ = _find_document(text.encode(), file)
    if entries == document.value["intents"]:
        return text
    new = {**document.value, "intents": entries}
    try:
        edits = compute_edits(text, document.start, document.value, new)
        edited = apply_edits(text, edits)
    except CannotPatchError as error:
        raise CxrouteError(
            f"{file}: edit the list of intents by hand: {error}"
        ) from None
    edited_document, _ = _find_document(edited.encode(), file)
    if edited_document.value != new:
        raise CxrouteError(
            f"{file}: the list of intents cannot be edited in place; write one intent per line"
        )
    return edited


def reference_ids(entries: Iterable[Entry]) -> dict[Any, str]:
    """Return the reference ids of a document's entries by name, "" for none."""
    return {
        _name(entry): entry.get("id", "") if isinstance(entry, dict) else ""
        for entry in entries
    }


def _name(entry: Entry) -> Any:  # noqa: ANN401 - the name may be missing
    return entry.get("name") if isinstance(entry, dict) else entry


def _sort_key(entry: Entry) -> tuple[str, str]:
    return sort_key(_name(entry))


def _update_entry(entry: Entry, intent: BotIntent | None) -> Entry:
    """Return an entry with the values of its intent; a label in the document stays."""
    if intent is None:
        return entry
    fields = {**entry} if isinstance(entry, dict) else {}
    label = fields.get("label") or intent.label
    values = {
        "name": intent.name,
        "label": label,
        "id": intent.id or fields.get("id"),
        "parent": intent.parent,
    }
    fields = {name: value for name, value in {**fields, **values}.items() if value}
    return fields if isinstance(entry, dict) or len(fields) > 1 else intent.name
