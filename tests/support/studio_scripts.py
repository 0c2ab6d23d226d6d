"""Studio scripts of tests: a path, a Desktop script, and the code in a script's JSON."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, Final

PATH: Final = "Acme\\Routing"
SCRIPTS: Final = "/inContactAPI/services/v34.0/scripts"
DESKTOP_SCRIPT: Final = (
    '<?xml version="1.0" encoding="utf-8"?>\r\n<ScriptContainer><Actions><ActionStruct><ActionID>7</ActionID>'
    "<Action>SNIPPET</Action><Caption>Choose</Caption><Parameters><string>ASSIGN cxr_skill = "
    "4001\r\n"
    "// cxroute:begin acme-routing/main\r\n// "
    "cxroute:end\r\n</string></Parameters></ActionStruct></Actions>"
    "</ScriptContainer>"
)


def code_of(script: dict[str, Any]) -> str:
    """Return the code of the only property with the marker of a block."""
    (code,) = [
        item["value"]
        for properties in script["properties"].values()
        for item in properties.values()
        if "// cxroute:begin" in item["value"]
    ]
    assert isinstance(code, str)
    return code


def with_code(script: dict[str, Any], edit: Callable[[str], str]) -> dict[str, Any]:
    """Return the body of a save, with the code edited and everything else as it was read."""
    content = copy.deepcopy(script)
    code = code_of(script)
    for properties in content["properties"].values():
        for item in properties.values():
            item["value"] = edit(code) if item["value"] == code else item["value"]
    return {"scriptContent": content}


def with_block(script: dict[str, Any], *lines: str) -> dict[str, Any]:
    """Return the body of a save, with more lines at the end of the block."""
    end = "// cxroute:end"
    return with_code(script, lambda code: code.replace(end, "\r\n".join([*lines, end])))
