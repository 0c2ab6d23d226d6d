"""The functions between a plan's value and the terminal: `python -m tests.support.plan_way` prints each.

A function counts if an argument of it is the plan, a summary of it (an instance of a class of
`reconciler.render`), or the text that contains the plan. It counts once, and so does its package. Constructors that
dataclass generates do not count; generator expressions and lambdas belong to the function around them.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import io
import shutil
import sys
import tempfile
from pathlib import Path
from types import CodeType, FrameType
from typing import Final

from reconciler.cli.commands import plan as command
from reconciler.cli.output import Output
from reconciler.cli.session import open_session
from reconciler.plan.plan import Plan

CALLS: Final = 25
PACKAGES: Final = 8
"""The limits."""
MANIFESTS: Final = Path(__file__).parents[2] / "manifests"
_HEADLINE: Final = "Plan for "


def way() -> list[str]:
    """Print a plan of the bank's manifests like `cxroute plan`; return its functions, in order."""
    options = argparse.Namespace(manifests="manifests", environment="sandbox")
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        shutil.copytree(MANIFESTS, "manifests")
        session = open_session(
            options, Output(colour="never", loudness="normal", log_format="text", form="text", asks=False)
        )
        plan = asyncio.run(command.read_and_plan(session))
    found: dict[str, None] = {}

    def look(frame: FrameType, event: str, _argument: object) -> None:
        code, module = frame.f_code, str(frame.f_globals.get("__name__"))
        if event == "call" and module.startswith("reconciler.") and "<" not in code.co_name + code.co_filename:
            arguments = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
            if any(_is_plan(frame.f_locals.get(name)) for name in arguments):
                found[f"{module}:{_name(code, frame)}"] = None

    with contextlib.redirect_stdout(io.StringIO()) as shown:
        sys.setprofile(look)
        try:
            command.print_plan(session, plan)
            command.print_next_command(session, plan, None)
        finally:
            sys.setprofile(None)
    assert _HEADLINE in shown.getvalue()
    return list(found)


def packages(functions: list[str]) -> list[str]:
    """Return the packages of functions."""
    return sorted({one.partition(":")[0].rpartition(".")[0] for one in functions})


def _is_plan(value: object) -> bool:
    """Return whether a value is the plan, a summary, a list of these, or the text."""
    if isinstance(value, str):
        return _HEADLINE in value
    if isinstance(value, list | tuple):
        return any(map(_is_plan, value[:1]))
    return isinstance(value, Plan) or type(value).__module__.startswith("reconciler.render.")


def _name(code: CodeType, frame: FrameType) -> str:
    """Return a function's name, that of a method with its class."""
    first = frame.f_locals.get(code.co_varnames[0]) if code.co_argcount else None
    return f"{type(first).__name__}.{code.co_name}" if hasattr(type(first), code.co_name) else code.co_name


if __name__ == "__main__":
    functions = way()
    sys.stdout.write("".join(f"  {one}\n" for one in functions))
    calls, rooms = len(functions), len(packages(functions))
    sys.stdout.write(f"plan to terminal: {calls} calls (limit {CALLS}), {rooms} packages (limit {PACKAGES})\n")
