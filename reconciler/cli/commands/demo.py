"""`cxroute demo`: a guided first run: the real commands, on a simulated bank as found in life."""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import shlex
import shutil
import sys
import tempfile
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

from reconciler.cli.environments.choose import SIMULATED
from reconciler.cli.files import STATE
from reconciler.cli.output import Output
from reconciler.cli.sandbox import open_state
from reconciler.errors import CxrouteError
from reconciler.render.colour import ansi_style
from reconciler.simulator.state import bank_tenant

_MOST_LINES: Final = 30
_EDITED: Final = "Cognigy Intent Route: lost_or_stolen_card"


def options(parser: argparse.ArgumentParser) -> None:
    """Say what demo does; it has no options of its own."""
    parser.epilog = "Works in a temporary folder; leaves nothing behind."


def run(options: argparse.Namespace, output: Output) -> int:
    """Plan, apply, nothing left to do, explain, somebody edits a rule, drift, healed. Exit 0 when all went well."""
    del options
    source, steps = bank_manifests(), _next_steps(Path.cwd())
    # In a temporary folder no existing .cxroute is touched.
    with tempfile.TemporaryDirectory(prefix="cxroute-demo-") as folder, contextlib.chdir(folder):
        shutil.copytree(source, "manifests")
        with open_state(STATE, bank_tenant()):
            pass  # the sandbox begins as the bank's tenant
        _Walk(output, steps).all()
    return 0


def _next_steps(here: Path) -> str:
    """Return the next command, with the program's path where the shell does not find it by its name."""
    beside, on_path = Path(sys.executable).with_name("cxroute"), shutil.which("cxroute")
    if on_path and (not beside.exists() or beside.samefile(on_path)):
        return "Next: cxroute init my-routing"
    if not beside.exists():
        return f"Next: {shlex.join([sys.executable, '-m', 'reconciler', 'init', 'my-routing'])}"
    command = str(beside.relative_to(here) if beside.is_relative_to(here) else beside)
    folder = shlex.quote(str(beside.parent))
    return (
        f"Next: {shlex.join([command, 'init', 'my-routing'])}\n"
        f'Messages call it `cxroute`. So that your shell finds it: export PATH={folder}:"$PATH"'
    )


def bank_manifests() -> Path:
    """Return the bank's manifests: shipped in the wheel, or beside the package in a checkout."""
    package = Path(str(files("reconciler")))
    if folder := next(filter(Path.is_dir, (package / "bank", package.parent / "manifests")), None):
        return folder
    raise CxrouteError("the bank's manifests are not installed beside this program")


@dataclass(frozen=True, slots=True)
class _Walk:
    output: Output
    next_steps: str

    def all(self) -> None:
        self.say(SIMULATED.strip())
        self.say(
            "A bank's tenant as found in life: rules made by hand, some with the names that the manifests want,\n"
            "rules of another team, some switched off. The manifests route the 77 intents of the bank's bot."
        )
        unmanaged = _unmanaged_rules()
        self.command("What would happen? Nothing is changed.", "plan")
        self.command("Make it so. It would ask for a yes; here it is given.", "apply", "--yes", "-q")
        self.command("Again: there is nothing left to do, and nothing is written.", "apply", "--yes")
        words = ("explain", "--live", "--intent", "card_not_working", "--confidence", "0.9", "--attr", "language=fr")
        self.command("Where does a conversation go, and why? The live rules are asked, those of others too.", *words)
        self.say(f'Now somebody opens CXone, switches "{_EDITED}" off and gives it priority 950.')
        _edit(_EDITED, priority=950, enabled=False)
        self.command("The scheduled check names fields, values, and each rule that is in the way.", "drift", expected=2)
        self.command("Heal it.", "apply", "--yes")
        self.command("And it is as it should be.", "plan", "--detailed-exitcode")
        after = _unmanaged_rules()
        if after != {rule_id: rule for rule_id, rule in unmanaged.items() if rule_id in after}:
            raise CxrouteError("a rule that is not ours was changed")
        self.say(
            f"{len(after)} rules that are not ours are byte for byte what they were.\n"
            f"{self.next_steps}\nFor your own tenant, see docs/guide.md."
        )

    def say(self, text: str) -> None:
        self.output.result(f"{self.output.paint('blue', text)}\n\n")

    def command(self, why: str, *arguments: str, expected: int = 0) -> None:
        paint = self.output.paint
        self.output.result(f"{paint('blue', why)}\n{paint('bold', '$ cxroute ' + ' '.join(arguments))}\n")
        from reconciler.cli.main import main  # noqa: PLC0415 - main imports this module, by name

        colour = "always" if paint is ansi_style else "never"
        with contextlib.redirect_stdout(io.StringIO()) as buffer:
            code = main(["-e", "sandbox", "--color", colour, "--no-input", *arguments])
        sys.stdout.flush()
        lines = buffer.getvalue().removeprefix(SIMULATED).splitlines()
        if len(lines) > _MOST_LINES:
            middle = f"  ... {len(lines) - _MOST_LINES} more lines ..."
            lines = [*lines[: _MOST_LINES - 6], paint("dim", middle), *lines[-6:]]
        self.output.result("\n".join(lines) + f"\n{paint('dim', f'(exit {code})')}\n\n")
        if code != expected:
            raise CxrouteError(f"`cxroute {' '.join(arguments)}` ended with {code}, not {expected}")


def _unmanaged_rules() -> dict[str, str]:
    """Return every rule of the simulated tenant that the bank's manifests do not manage, as JSON, by id."""
    with open_state(STATE) as state:
        rules = state.rules()
    return {rule["id"]: json.dumps(rule) for rule in rules if "[cxroute:bank-routing/" not in rule["description"]}


def _edit(name: str, **fields: Any) -> None:  # noqa: ANN401 - any JSON
    """Change a rule as somebody does in CXone."""
    with open_state(STATE) as state:
        (rule_id,) = state.ids_named(name)
        state.edit(rule_id, **fields)
