"""Runs the text of a Cognigy Code node in Node.js, with replacements for Cognigy's globals."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Sequence
from typing import Any

from tests.support.requirements import skip_or_fail

NODE = shutil.which("node")
RUN = """
const vm = require("vm");
const [code, places] = JSON.parse(require("fs").readFileSync(0, "utf-8"));
const script = new vm.Script(code);
const outputs = places.map(([input, context]) => {
  const globals = {input, context, profile: {}, api: {}};
  script.runInNewContext(globals, {timeout: 1000});
  return globals.input.cxroute;
});
console.log(JSON.stringify(outputs));
"""
Place = tuple[dict[str, Any], dict[str, Any]]
"""The `input` and the `context` of a flow."""


def run_code_node(text: str, given: dict[str, Any]) -> Any:
    """Run a Code node's text and return its output for the HTTP Request node."""
    return run_code_nodes(text, [(given, {})])[0]


def run_code_nodes(text: str, places: Sequence[Place]) -> list[Any]:
    """Run a Code node's text in each place, and return the outputs for the next node."""
    if NODE is None:
        skip_or_fail("Node.js is not installed")
    done = subprocess.run(
        [NODE, "-e", RUN],
        input=json.dumps([text, places]),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert 0 == done.returncode, done.stderr
    outputs: list[Any] = json.loads(done.stdout)
    return outputs
