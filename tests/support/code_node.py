"""Runs the text of a Cognigy Code node in Node.js, with replacements for Cognigy's globals."""

from __future__ import annotations

import json
import shutil
import subprocess
from typing import Any

from tests.support.requirements import skip_or_fail

NODE = shutil.which("node")
RUN = """
const vm = require("vm");
const [code, input] = JSON.parse(require("fs").readFileSync(0, "utf-8"));
const globals = {input, context: {}, profile: {}, api: {}};
vm.runInNewContext(code, globals, {timeout: 1000});
console.log(JSON.stringify(globals.input.cxroute));
"""


def run_code_node(text: str, given: dict[str, Any]) -> Any:
    """Run a Code node's text and return its output for the HTTP Request node."""
    if NODE is None:
        skip_or_fail("Node.js is not installed")
    done = subprocess.run(
        [NODE, "-e", RUN],
        input=json.dumps([text, given]),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert 0 == done.returncode, done.stderr
    return json.loads(done.stdout)
