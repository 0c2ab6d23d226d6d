"""The managed block inside a script, as the Scripts API or a file holds the script."""

import base64
import binascii
import codecs
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Any, Final, NamedTuple, TypeVar

# Safe here: a document type, and so every entity, is refused before.
from xml.etree import ElementTree as ET

from reconciler.core.errors import CxrouteError
from reconciler.core.text.json_values import STRICT_DECODER, find_member
from reconciler.targets.studio.language import SnippetError, parse_snippet, walk
from reconciler.targets.studio.layout import BlockLayout

_Block = TypeVar("_Block")
MAX_SCRIPT: Final = 64 * 1024 * 1024
MAX_PROVEN_BYTES: Final = 40_000
"""The size of the largest text of a SNIPPET that is known to work."""
_STRING: Final = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_MARKER: Final = re.compile(
    r"(?<![^\r\n])[ \t]*(// cxroute:(?:begin [^\r\n]*|end[ \t]*))(\r\n?|\n|\Z)"
)
_CARRIAGE_RETURN: Final = re.compile(r"\r\n?")
_CASE: Final = re.compile(r"^[ \t]*CASE\b", re.MULTILINE | re.IGNORECASE)
_UTF_16_MARKS: Final = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_BRANCH: Final = re.compile(r"\b(?:CASE|IF|DEFAULT)\b", re.IGNORECASE)
# Members of an action in JSON that may hold its caption: no document names it.
_CAPTIONS: Final = ("caption", "label", "name")
_DOCUMENT_TYPE: Final = re.compile("<!(?:DOCTYPE|ENTITY)", re.IGNORECASE)


class ScriptError(CxrouteError, kind="Script"):
    """A script has no managed block, or it cannot be read. The message says what to do."""


class ScriptBlock(NamedTuple):
    """The block in a script's JSON. `text` has both marker lines, and LF line ends."""

    master_id: str
    text: str
    first_line: int  # of the block in its property, from 1
    newline: str
    start: int  # of the JSON string that contains the block, in the script's text
    end: int
    value: str  # that string, decoded
    # of the text between the marker lines, in `value`
    value_start: int
    value_end: int


class _Span(NamedTuple):
    """A block in a snippet: where it begins, and the text between the marker lines."""

    begin: int
    start: int
    end: int
    newline: str


class ScriptProperty(NamedTuple):
    """A property of an action."""

    name: str
    value: str


def find_block(content: str, layout: BlockLayout) -> ScriptBlock:
    """Return the block in the JSON of `GET /scripts`. Raises ScriptError."""
    script = _parse_object(content)
    properties = {*_property_values(script)}
    blocks: list[tuple[re.Match[str], str, _Span]] = []
    for string in _STRING.finditer(content):
        if "cxroute" in string[0] or "\\u" in string[0]:
            value = json.loads(string[0])
            if value in properties:
                blocks += [(string, value, span) for span in _spans(value, layout)]
    string, value, span = _only(blocks, layout)

    text, first_line = _block_text(value, span, layout)
    return ScriptBlock(
        master_id=_master_id(script),
        text=text,
        first_line=first_line,
        newline=span.newline,
        start=string.start(),
        end=string.end(),
        value=value,
        value_start=span.start,
        value_end=span.end,
    )


def _master_id(script: dict[str, Any]) -> str:
    master_id = find_member(script, "header.masterId")
    if isinstance(master_id, str | int) and master_id is not True:
        return str(master_id)
    return ""


def replace_block(content: str, found: ScriptBlock, block: str) -> str:
    """Return the script with another block; only the text between the marker lines changes.

    Raises ScriptError.
    """
    string = content[found.start : found.end]
    if not _STRING.fullmatch(string) or json.loads(string) != found.value:
        raise ScriptError(
            "the script is not the one that was read; run the command again"
        )
    value_before = found.value[: found.value_start]
    value_after = found.value[found.value_end :]
    lines = block.split("\n")[1:-1]
    between = "".join(f"{line}{found.newline}" for line in lines)
    new_string = json.dumps(f"{value_before}{between}{value_after}")
    return f"{content[: found.start]}{new_string}{content[found.end :]}"


def find_file_block(text: str, layout: BlockLayout) -> tuple[str, int]:
    """Return a file's block, else its only snippet with a CASE, and the number of its first line.

    Raises ScriptError.

    The file has the JSON of `GET /scripts` or `GET /scripts/{scriptId}`, the XML of Desktop Studio,
    or a snippet.
    """
    values = list(dict.fromkeys(_script_values(text.removeprefix("\ufeff"))))
    blocks = [(value, span) for value in values for span in _spans(value, layout)]
    snippets = [value for value in values if _CASE.search(value)]
    if not blocks and len(snippets) == 1:
        return _cut(snippets[0], 0, len(snippets[0]))
    snippets_text = f", and {len(snippets) or 'no'} snippets with CASE lines"
    return _block_text(*_only(blocks, layout, snippets_text), layout)


class ScriptSnippet(NamedTuple):
    """A snippet that chooses something, and the action with it: its id and its caption."""

    action: str
    caption: str
    text: str


def find_decisions(text: str) -> list[ScriptSnippet]:
    """Return the snippets of a file that assign variables in an IF, a SELECT or a SWITCH.

    The file is as for `find_file_block`; another text is the only snippet. Raises
    ScriptError.
    """
    content = _script_content(text.removeprefix("\ufeff"))
    if isinstance(content, str):
        return [ScriptSnippet("", "", _cut(content, 0, len(content))[0])]
    found = dict.fromkeys(content)
    return [
        each._replace(text=_cut(each.text, 0, len(each.text))[0])
        for each in found
        if _is_decision(each.text)
    ]


def _is_decision(text: str) -> bool:
    """Return whether a text is a snippet with an assignment in an IF, a SELECT or a SWITCH."""
    if not _BRANCH.search(text):
        return False
    try:
        statements = parse_snippet(text)
    except SnippetError:
        return True
    kinds = ("if", "select", "switch")
    decisions = [each for each in statements if each.kind in kinds]
    bodies = [(*each.body, *each.otherwise) for each in decisions]
    return any(each.kind == "assign" for body in bodies for each in walk(body))


def _block_text(value: str, span: _Span, layout: BlockLayout) -> tuple[str, int]:
    """Return a block with the usual marker lines, and the number of its first line."""
    _, first_line = _cut(value, span.begin, span.begin)
    between, _ = _cut(value, span.start, span.end)
    return f"{layout.begin}\n{between}{layout.end}", first_line


def _cut(value: str, start: int, end: int) -> tuple[str, int]:
    """Return a part of a snippet with LF line ends, and the number of its first line."""
    before = _CARRIAGE_RETURN.sub("\n", value[:start])
    text = _CARRIAGE_RETURN.sub("\n", value[start:end])
    first_line = before.count("\n") + 1
    return text, first_line


def _spans(value: str, layout: BlockLayout) -> Iterator[_Span]:
    """Yield each block in a snippet."""
    start: re.Match[str] | None = None
    for marker in _MARKER.finditer(value):
        text = marker[1].rstrip(" \t")
        if start is None:
            start = marker if text == layout.begin else None
        elif text == layout.end:
            yield _Span(start.start(1), start.end(), marker.start(), start[2])
            start = None
        else:
            break
    if start:
        _, line = _cut(value, start.start(), start.end())
        message = (
            f"the block {layout.owner}/{layout.block} begins in line {line} of its snippet, and "
            f"does not end"
        )
        raise ScriptError(f"{message}; add the line `{layout.end}` after it in Studio")


def _only(blocks: Sequence[_Block], layout: BlockLayout, other: str = "") -> _Block:
    if len(blocks) == 1:
        return blocks[0]
    name = f"{layout.owner}/{layout.block}"
    if blocks:
        raise ScriptError(
            f"the script has {len(blocks)} blocks {name}; remove all but one of them in Studio"
        )
    hint = (
        f"put the lines `{layout.begin}` and `{layout.end}` into one SNIPPET action (see `cxroute "
        f"studio recipe`)"
    )
    raise ScriptError(f"the script has no block {name} in a property{other}; {hint}")


def _parse_object(content: str) -> dict[str, Any]:
    if len(content) > MAX_SCRIPT:
        raise ScriptError("the script is larger than 64 MiB; check the script's path")
    with suppress(ValueError, RecursionError):
        if isinstance(data := STRICT_DECODER.decode(content), dict):
            return data
    hint = "check the script's path, and that it is a CXone Studio script"
    raise ScriptError(f"the script is not a JSON object; {hint}")


def _property_values(script: object) -> Iterator[str]:
    return (each.value for each in script_properties(script))


def script_properties(script: object) -> Iterator[ScriptProperty]:
    """Yield the texts among the properties of a script's actions."""
    actions = find_member(script, "properties")
    if not isinstance(actions, dict):
        return
    for action in actions.values():
        if not isinstance(action, dict):
            continue
        for item in action.values():
            name = find_member(item, "name")
            value = find_member(item, "value")
            if isinstance(value, str):
                yield ScriptProperty(name if isinstance(name, str) else "", value)


def _script_values(text: str) -> Iterable[str]:
    content = _script_content(text)
    if isinstance(content, str):
        return [content]
    return [each.text for each in content]


def _script_content(text: str) -> str | list[ScriptSnippet]:
    """Return the texts of a script's actions; another text as it is."""
    start = text.lstrip()[:1]
    if start == "<":
        return _xml_texts(text)
    if start != "{":
        return text
    script = _parse_object(text)
    content = version_content(script)
    if content is None:
        content = script
    if isinstance(content, str):
        return _script_content(content)
    return list(_json_texts(content))


def _json_texts(script: object) -> Iterator[ScriptSnippet]:
    actions = find_member(script, "actions")
    properties = find_member(script, "properties")
    if not isinstance(properties, dict):
        return
    for action_id, items in properties.items():
        action = actions.get(action_id) if isinstance(actions, dict) else None
        caption = _caption_of(action)
        own_properties = {"properties": {action_id: items}}
        for each in script_properties(own_properties):
            yield ScriptSnippet(action_id, caption, each.value)


def _caption_of(action: object) -> str:
    """Return the text by which a person finds an action; empty without one."""
    for name in _CAPTIONS:
        caption = find_member(action, name)
        if isinstance(caption, str) and caption:
            return caption
    return ""


def version_content(version: object) -> object:
    """Return the script in a response to `GET /scripts/{scriptId}`, or None.

    It is in `scriptContent`, or, according to another source, in a `body` in base64. Raises
    ScriptError.
    """
    content = find_member(version, "scriptContent")
    body = find_member(version, "body")
    if content is not None or not isinstance(body, str):
        return content
    try:
        data = base64.b64decode("".join(body.split()), validate=True)
        encoding = "utf-16" if data.startswith(_UTF_16_MARKS) else "utf-8-sig"
        return data.decode(encoding)
    except (binascii.Error, ValueError):
        raise ScriptError(
            "the `body` of the script is not a text in base64; export the script again"
        ) from None


def is_desktop_script(content: object) -> bool:
    """Return whether the content of a script is the XML of Desktop Studio."""
    return isinstance(content, str) and content.lstrip("\ufeff \t\r\n").startswith("<")


def _xml_texts(text: str) -> list[ScriptSnippet]:
    hint = "export the script from Studio again"
    if len(text) > MAX_SCRIPT or _DOCUMENT_TYPE.search(text):
        raise ScriptError(
            f"the XML is larger than 64 MiB, or has a document type; {hint}"
        )
    try:
        root = ET.fromstring(text)  # noqa: S314 - see the import
    except (ET.ParseError, ValueError, LookupError):
        raise ScriptError(f"the script is not valid XML; {hint}") from None
    actions = [each for each in root.iter() if _local_name(each) == "ActionStruct"]
    if not actions:
        actions = [root]
    return [
        ScriptSnippet(
            action.findtext("{*}ActionID") or "",
            action.findtext("{*}Caption") or "",
            element.text or "",
        )
        for action in actions
        for element in action.iterfind(".//{*}string")
    ]


def _local_name(element: ET.Element) -> str:
    return element.tag.rpartition("}")[2]
