"""Writes an Intents document of a bot: a new one, or the smallest edits of an existing one."""

import re
from bisect import bisect_left
from collections.abc import Callable, Collection, Mapping
from typing import Any, Final, NamedTuple

from reconciler.cognigy.bot import Bot, BotIntent, sort_key
from reconciler.errors import CxrouteError, ManifestError
from reconciler.manifest.source_map import Document
from reconciler.manifest.yaml_patch import CannotPatchError, apply_edits, compute_edits, find_mapping
from reconciler.manifest.yaml_reader import parse_file
from reconciler.manifest.yaml_writer import format_entry
from reconciler.text.escape import pluralize, sanitize

_HEAD: Final = "# Written by `cxroute cognigy intents`"
_HEAD_LINE: Final = re.compile(rf"^{re.escape(_HEAD)} [^\r\n]*", re.MULTILINE)
_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"

Entry = str | Mapping[str, Any]  # of the list in a document


class NameChanges(NamedTuple):
    """How a bot's intents differ from those of a document."""

    added: tuple[str, ...]
    removed: tuple[str, ...]
    renamed: Mapping[str, str]  # the new names by the old ones; the reference id is the same

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.renamed)


def head_line(origin: str, when: str) -> str:
    """Return the comment that says where a document came from, and when."""
    return f"{_HEAD} from {sanitize(origin)}, {when}"


def new_document(bot: Bot, head: str) -> str:
    """Return an Intents document with the bot's intents by name."""
    entries = [_update_entry(intent.name, intent) for intent in bot.intents]
    lines = [head, "apiVersion: routing/v1", "kind: Intents", "name: bot", *format_entry("intents", entries, 0)]
    return "\n".join([*lines, ""])


def compare_names(ids: Mapping[str, str], bot: Bot, kept: Collection[str]) -> NameChanges:
    """Return the differences from a document's intents, with their reference ids or ""; `kept` are not the bot's."""
    renamed: dict[str, str] = {}
    for name, id_ in ids.items():
        new = bot.names_by_id.get(id_, name)
        if name not in bot.names and new not in ids and new not in renamed.values():
            renamed[name] = new
    removed = [name for name in ids if name not in bot.names and name not in renamed and name not in kept]
    known = {*ids, *renamed.values()}
    return NameChanges(tuple(name for name in bot.names if name not in known), tuple(removed), renamed)


def update_document(data: bytes, file: str, bot: Bot, head: str, kept: Collection[str]) -> tuple[bytes, NameChanges]:
    """Return the file with the bot's intents; the rest of it stays. Raises ManifestError and CxrouteError."""
    document, text = _find_document(data, file)
    entries: list[Entry] = [*document.value["intents"]]
    changes = compare_names({_name(entry): _id(entry) for entry in entries}, bot, kept)
    intents = {intent.name: intent for intent in bot.intents}
    # One kind of change at a time, so that no line with its comment is taken for that of another intent.
    stages: list[Callable[[list[Entry]], list[Entry]]] = [
        lambda listed: [
            _update_entry(entry, intents.get(changes.renamed.get(_name(entry), _name(entry)))) for entry in listed
        ],
        lambda listed: _insert_entries(listed, [_update_entry(name, intents[name]) for name in changes.added]),
        lambda listed: [entry for entry in listed if _name(entry) not in changes.removed],
    ]
    expected = [each.value for each in parse_file(data, file).documents]
    at = expected.index(document.value)
    updated = text
    for stage in stages:
        document, updated = _find_document(updated.encode(), file)
        new = {**document.value, "intents": stage([*document.value["intents"]])}
        try:
            node = find_mapping(updated, document.start)
            updated = apply_edits(updated, compute_edits(updated, node, document.value, new))
        except CannotPatchError as error:
            raise CxrouteError(f"{file}: edit the list of intents by hand: {error}") from None
        expected[at] = new
    if [each.value for each in parse_file(updated.encode(), file).documents] != expected:
        raise CxrouteError(f"{file}: the list of intents cannot be edited in place; write one intent per line")
    if updated != text:
        updated = _mark(updated, _find_document(updated.encode(), file)[0].start, head)
    return _BYTE_ORDER_MARK * data.startswith(_BYTE_ORDER_MARK) + updated.encode(), changes


def _find_document(data: bytes, file: str) -> tuple[Document, str]:
    """Return the file's Intents document, and the text. Raises ManifestError and CxrouteError."""
    parsed = parse_file(data, file)
    if parsed.collector.collected:
        raise ManifestError(parsed.collector.findings())
    found = [each for each in parsed.documents if isinstance(each.value, dict) and each.value.get("kind") == "Intents"]
    if len(found) != 1:
        advice = "name a file with one, or a new file"
        raise CxrouteError(f"{file} has {pluralize(len(found), 'Intents document')}; {advice}")
    entries = found[0].value.get("intents")
    if not isinstance(entries, list) or not all(isinstance(_name(entry), str) for entry in entries):
        raise CxrouteError(f"{file}: the list of intents is not valid; run `cxroute validate` first")
    return found[0], parsed.text.text


def _name(entry: Any) -> Any:  # noqa: ANN401 - an entry that may be invalid
    return entry.get("name") if isinstance(entry, dict) else entry


def _id(entry: Entry) -> str:
    return "" if isinstance(entry, str) else str(entry.get("id") or "")


def _update_entry(entry: Entry, intent: BotIntent | None) -> Entry:
    """Return an entry with the values of its intent; a label in the document stays."""
    if intent is None:
        return entry
    fields = {"name": intent.name} if isinstance(entry, str) else {**entry, "name": intent.name}
    fields |= {"label": intent.label} if intent.label and not fields.get("label") else {}
    fields |= {"id": intent.id} if intent.id else {}
    fields.pop("parent", None)
    fields |= {"parent": intent.parent} if intent.parent else {}
    return intent.name if isinstance(entry, str) and len(fields) == 1 else fields


def _insert_entries(entries: list[Entry], new: list[Entry]) -> list[Entry]:
    """Return the entries with new ones: each at its place in a sorted list, otherwise at the end."""
    entries, keys = [*entries], [sort_key(_name(entry)) for entry in entries]
    is_sorted = keys == sorted(keys)
    for entry in new:
        key = sort_key(_name(entry))
        at = bisect_left(keys, key) if is_sorted else len(keys)
        entries.insert(at, entry)
        keys.insert(at, key)
    return entries


def _mark(text: str, start: int, head: str) -> str:
    """Return the text with the comment about the origin: in place of the earlier one, or above the document."""
    begin = text.rfind("\n", 0, start) + 1
    earlier = [match for match in _HEAD_LINE.finditer(text, 0, start) if "\n---" not in text[match.end() : begin]]
    if earlier:
        return text[: earlier[-1].start()] + head + text[earlier[-1].end() :]
    line_end = "\r\n" if "\r\n" in text else "\n"
    return f"{text[:begin]}{head}{line_end}{text[begin:]}"
