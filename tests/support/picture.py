"""Draws the README's picture, a plan as the program prints it (`make picture`)."""

from __future__ import annotations

import contextlib
import io
import re
import shutil
import tempfile
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

from reconciler.cli.main import main
from reconciler.features.practice.command_demo import SMALL_CHANGE, bank_manifests

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


def demo_output() -> str:
    """Return the output of `cxroute plan`, with colours, for one edited rule of the bank's
    manifests.
    """
    with (
        tempfile.TemporaryDirectory() as folder,
        contextlib.chdir(folder),
        contextlib.redirect_stdout(io.StringIO()) as out,
    ):
        shutil.copytree(bank_manifests(), "manifests")
        run("apply", "--yes", "-q")
        for edit in SMALL_CHANGE:
            edit.make()

        out.truncate(0)
        out.seek(0)
        run("--color", "always", "plan")
        return out.getvalue()


def run(*arguments: str) -> None:
    """Run a command in the sandbox. The folder is in no git repository."""
    assert 0 == main(["-e", "sandbox", *arguments, "--base", "none"])


def draw_svg(text: str) -> str:
    """Return coloured text as SVG."""
    width = max(len(line) for line in re.sub(r"\x1b\[\d+m", "", text).splitlines()) + 2
    console = Console(
        record=True,
        width=width,
        file=io.StringIO(),
        force_terminal=True,
        color_system="standard",
    )
    console.print(
        Text.from_ansi(f"$ cxroute plan\n{text}".rstrip("\n")), soft_wrap=True
    )
    svg = console.export_svg(theme=MONOKAI, code_format=FRAME, unique_id="plan")
    return re.sub(r"[ \t]+$", "", svg, flags=re.MULTILINE)


if __name__ == "__main__":
    PICTURE.write_text(draw_svg(demo_output()), encoding="utf-8")
