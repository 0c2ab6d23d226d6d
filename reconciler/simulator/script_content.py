"""The content of a Studio script: the code in it, and a script to start from."""

import json
from collections.abc import Callable, Iterator
from copy import deepcopy
from typing import Any, Final

_CODE: Final = "// A\r\nASSIGN cxr_skill = {}\r\n// cxroute:begin {}\r\n// cxroute:end\r\nTRACE cxr_rule\r\n"
_CONTENT: Final = """{"header": {"masterId": "", "scriptName": "", "mediaType": "Phone", "version": 1000.0},
"actions": {"1": {"actionType": "ONSIGNAL", "x": 80.5}, "3": {"actionType": "REQAGENT"},
  "2": {"actionType": "SNIPPET", "tags": []}},
"properties": {"3": {"0": {"name": "Skill", "value": "{cxr_skill}", "hidden": false}}, "2": {
  "1": {"hidden": true, "value": "Gr\\u00f6\\u00dfe\\u2028", "name": "Caption"}, "0": {"name": "Code", "?": null}}},
"branches": {"1": [{"label": "Default", "to": "2"}], "2": [{"to": "3", "odd": [1e-07, 1234567890123456789]}]}, "": 0}"""


def default_content(path: str, block: str, skill: str) -> dict[str, Any]:
    """Return a script with an empty block, OWNER/BLOCK; `skill` is that of contacts for which no rule applies."""
    content: dict[str, Any] = json.loads(_CONTENT)
    content["header"]["scriptName"] = path
    content["properties"]["2"]["0"]["value"] = _CODE.format(skill, block)
    return content


def find_snippets(content: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the properties with code, each with its action's id: texts of several lines, as no document names them."""
    for identity, action in content["actions"].items():
        properties = content["properties"].get(identity)
        is_snippet = isinstance(action, dict) and action.get("actionType") == "SNIPPET" and isinstance(properties, dict)
        for item in properties.values() if is_snippet else ():
            if isinstance(item, dict) and isinstance(item.get("value"), str) and "\n" in item["value"]:
                yield identity, item


def edit_content(content: dict[str, Any] | str, edit: Callable[[str], str]) -> dict[str, Any] | str:
    """Return the content with edited code; for a Desktop script, `edit` gets the complete text."""
    edited = deepcopy(content)
    for _, item in find_snippets(edited) if isinstance(edited, dict) else ():
        item["value"] = edit(item["value"])
    return edit(edited) if isinstance(edited, str) else edited
