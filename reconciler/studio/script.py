"""The managed block inside a script, as the Scripts API or a file holds the script."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from typing import Any, Final, NamedTuple
from xml.etree import ElementTree as ET  # safe here: a document type, and so every entity, is refused before

from reconciler.errors import CxrouteError
from reconciler.studio.layout import BlockLayout
from reconciler.text.strict_json import STRICT_DECODER

MAX_SCRIPT: Final = 64 * 1024 * 1024
_STRING: Final = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_LINE: Final = re.compile(r"[^\r\n]*(\r\n|\r|\n|\Z)")
_CARRIAGE_RETURN: Final = re.compile(r"\r\n?")
_CASE: Final = re.compile(r"^[ \t]*CASE\b", re.MULTILINE | re.IGNORECASE)
_DOCUMENT_TYPE: Final = re.compile("<!(?:DOCTYPE|ENTITY)", re.IGNORECASE)


class ScriptError(CxrouteError, kind="Script"):
    """A script has no managed block, or it cannot be read. `hint` says what to do."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(f"{message}; {hint}")
        self.message = message
        self.hint = hint


class ScriptBlock(NamedTuple):
    """The block in a script's JSON. `text` has both marker lines, and LF line ends."""

    master_id: str
    locked_by: str  # the holder of the lock, or the empty text
    text: str
    first_line: int  # of the block in its property, from 1
    newline: str
    start: int  # of the JSON string that contains the block, in the script's text
    end: int
    value: str  # that string, decoded
    value_start: int  # of the block in `value`
    value_end: int


def find_block(content: str, layout: BlockLayout) -> ScriptBlock:
    """Return the block in the JSON of `GET /scripts`. Raises ScriptError."""
    header = _member(_parse_object(content), "header")
    matches = [match for match in _STRING.finditer(content) if "cxroute" in match[0] or "\\u" in match[0]]
    values = [(match, value) for match in matches if layout.begin in (value := json.loads(match[0]))]
    properties = _find_properties(content, [match for match, _ in values])
    blocks = [(match, value, span) for match, value in values if match in properties for span in _spans(value, layout)]
    if len(blocks) != 1:
        raise _block_error(layout, len(blocks), any(match not in properties for match, _ in values))
    match, value, (start, end, first_line, newline) = blocks[0]
    return ScriptBlock(
        master_id=_name(header.get("masterId")),
        locked_by=_name(_member(header, "lockInfo").get("lockedName")),
        text=_CARRIAGE_RETURN.sub("\n", value[start:end]),
        first_line=first_line,
        newline=newline,
        start=match.start(),
        end=match.end(),
        value=value,
        value_start=start,
        value_end=end,
    )


def replace_block(content: str, found: ScriptBlock, block: str) -> str:
    """Return the script with another block; everything outside the marker lines stays. Raises ScriptError."""
    string = content[found.start : found.end]
    if not _STRING.fullmatch(string) or json.loads(string) != found.value:
        raise ScriptError("the script is not the one that was read", "run the command again")
    lines = block.replace("\n", found.newline)
    value = f"{found.value[: found.value_start]}{lines}{found.value[found.value_end :]}"
    return f"{content[: found.start]}{json.dumps(value)}{content[found.end :]}"


def read_script_file(text: str, layout: BlockLayout) -> str:
    """Return the block in a file's script; without a block, the only snippet with a CASE. Raises ScriptError.

    The file has the JSON of `GET /scripts` or `GET /scripts/{scriptId}`, the XML of Desktop Studio, or a snippet.
    """
    values = list(dict.fromkeys(_script_values(text.removeprefix("\ufeff"))))
    blocks = [value[span[0] : span[1]] for value in values for span in _spans(value, layout)]
    snippets = blocks or [value for value in values if _CASE.search(value)]
    if len(snippets) != 1:
        raise _block_error(layout, len(blocks), bool(snippets))
    return _CARRIAGE_RETURN.sub("\n", snippets[0])


def _spans(value: str, layout: BlockLayout) -> Iterator[tuple[int, int, int, str]]:
    """Yield the start and the end of each block in a snippet, its first line, and its line end."""
    start: tuple[int, int, str] | None = None
    for number, line in enumerate(_LINE.finditer(value) if layout.begin in value else (), 1):
        text = line[0].strip(" \t\r\n")
        if text.startswith("// cxroute:begin ") and start is not None:
            break
        if text == layout.begin:
            start = (line.start() + line[0].index(layout.begin), number, line[1])
        elif text == layout.end and start is not None:
            yield start[0], line.start() + line[0].index(layout.end) + len(layout.end), *start[1:]
            start = None
    if start is not None:
        message = f"the block {layout.owner}/{layout.block} begins in line {start[1]} of its snippet, and does not end"
        raise ScriptError(message, f"add the line `{layout.end}` after it in Studio")


def _parse_object(content: str) -> dict[str, Any]:
    if len(content) > MAX_SCRIPT:
        raise ScriptError("the script is larger than 64 MiB", "check the script's path")
    try:
        data = STRICT_DECODER.decode(content)
    except (ValueError, RecursionError):
        data = None
    if not isinstance(data, dict):
        raise ScriptError(
            "the script is not a JSON object", "check the script's path, and that it is a CXone Studio script"
        )
    return data


def _find_properties(content: str, matches: Sequence[re.Match[str]]) -> set[re.Match[str]]:
    """Return the strings that are values of properties: a text that occurs nowhere else stands for each of them."""
    mark = sha256(content.encode("utf-8", "surrogatepass")).hexdigest()
    pieces, end = [], 0
    for index, match in enumerate(matches):
        pieces += [content[end : match.start()], f'"{mark}{index}"']
        end = match.end()
    values = set(_property_values(_parse_object("".join([*pieces, content[end:]])))) if matches else set()
    return {match for index, match in enumerate(matches) if f"{mark}{index}" in values}


def _property_values(script: Mapping[str, Any]) -> Iterator[str]:
    properties = _member(script, "properties")
    for action in properties:
        for index in _member(properties, action):
            value = _member(properties[action], index).get("value")
            if isinstance(value, str):
                yield value


def _script_values(text: str) -> Iterator[str]:
    start = text.lstrip()[:1]
    if start == "{":
        script = _parse_object(text)
        content = script.get("scriptContent", script)
        if isinstance(content, str):
            yield from _script_values(content)
        elif isinstance(content, dict):
            yield from _property_values(content)
    elif start == "<":
        yield from _xml_values(text)
    else:
        yield text


def _xml_values(text: str) -> Iterator[str]:
    if len(text) > MAX_SCRIPT or _DOCUMENT_TYPE.search(text):
        raise ScriptError(
            "the XML is larger than 64 MiB, or has a document type", "export the script from Studio again"
        )
    try:
        root = ET.fromstring(text)  # noqa: S314 - see the import
    except (ET.ParseError, ValueError, LookupError):
        raise ScriptError("the script is not valid XML", "export the script from Studio again") from None
    for element in root.iter():
        if element.tag.rpartition("}")[2] == "string" and element.text:
            yield element.text


def _member(data: Mapping[str, Any], name: str) -> dict[str, Any]:
    value = data.get(name)
    return value if isinstance(value, dict) else {}


def _name(value: object) -> str:
    return str(value) if isinstance(value, (str, int, float)) and not isinstance(value, bool) else ""


def _block_error(layout: BlockLayout, count: int, is_elsewhere: bool) -> ScriptError:  # noqa: FBT001
    name = f"{layout.owner}/{layout.block}"
    if count:
        return ScriptError(f"the script has {count} blocks {name}", "remove all but one of them in Studio")
    if is_elsewhere:
        message = f"the block {name} is not in one value of a property"
        return ScriptError(message, "put its two lines into one SNIPPET action in Studio")
    hint = f"put the lines `{layout.begin}` and `{layout.end}` into a SNIPPET action (see `cxroute studio recipe`)"
    return ScriptError(f"the script has no block {name}", hint)
