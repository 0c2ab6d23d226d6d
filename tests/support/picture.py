"""Draws the README's picture, a plan as the program prints it (`make picture`)."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import tempfile
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

from reconciler.cli.main import main

PICTURE = Path(__file__).resolve().parents[2] / ".github" / "plan.svg"

# rich's frame, without the fonts that it would download.
FRAME = """\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img">
<title>cxroute plan</title>
<style>
.{unique_id}-matrix {{ font-family: ui-monospace, Menlo, Consolas, monospace; font-size: {char_height}px; }}
{styles}
</style>
<rect width="100%" height="100%" rx="8" fill="#1e1f1c"/>
<g transform="translate(9, 9)"><g class="{unique_id}-matrix" xml:space="preserve">{backgrounds}{matrix}</g></g>
</svg>
"""

RULES = """\
apiVersion: routing/v1
kind: RuleSet
name: routing
defaults: {{priority: 100, minConfidence: 0.6}}
rules:
  - intent: lost_or_stolen_card
    queue: cards
    priority: 10
{more}  - key: catch-all
    priority: 900
    when: []
    queue: general
"""
BEFORE = """\
  - {intent: billing_inquiry, queue: general, priority: 20, description: Bills}
  - {intent: legacy_fax, queue: general}
"""
AFTER = """\
  - {intent: billing_inquiry, queue: billing, priority: 10, description: Bills}
  - {intent: cancel_card, queue: cards}
"""
PROTECTED = "guard: {protected: [routing/legacy-fax]}\n"


def demo_output() -> str:
    """Return the output of `cxroute plan`, with colours, for a small tenant with each kind of change."""
    back = Path.cwd()
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()) as out:
        os.chdir(folder)
        try:
            for command in (["init"], ["apply", "--yes"]):
                if Path("manifests").exists():
                    Path("manifests/tests.yaml").unlink()  # they refer to the rules that `init` writes
                    Path("manifests/routing.yaml").write_text(RULES.format(more=BEFORE))
                main(["-e", "sandbox", *command])
            state = json.loads(Path(".cxroute/sandbox.json").read_text(encoding="utf-8"))
            for rule in state["rules"]:
                if rule["name"].endswith("lost_or_stolen_card"):
                    rule["enabled"] = False
            Path(".cxroute/sandbox.json").write_text(json.dumps(state))
            Path("manifests/routing.yaml").write_text(RULES.format(more=AFTER))
            with Path("manifests/environments/sandbox.yaml").open("a") as file:
                file.write(PROTECTED)
            out.truncate(0)
            out.seek(0)
            main(["-e", "sandbox", "--color", "always", "plan"])
        finally:
            os.chdir(back)
        return out.getvalue()


def draw_svg(text: str) -> str:
    """Return coloured text as SVG."""
    width = max(len(line) for line in re.sub(r"\x1b\[\d+m", "", text).splitlines()) + 2
    console = Console(record=True, width=width, file=io.StringIO(), force_terminal=True, color_system="standard")
    console.print(Text.from_ansi(f"$ cxroute plan\n{text}".rstrip("\n")), soft_wrap=True)
    svg = console.export_svg(theme=MONOKAI, code_format=FRAME, unique_id="plan")
    return re.sub(r"[ \t]+$", "", svg, flags=re.MULTILINE)


if __name__ == "__main__":
    PICTURE.write_text(draw_svg(demo_output()), encoding="utf-8")
