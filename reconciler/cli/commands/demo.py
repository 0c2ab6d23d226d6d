"""`cxroute demo`: a guided first run with the real commands, on the simulated tenant of a bank."""

import argparse
import contextlib
import contextvars
import io
import json
import shlex
import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Final

from reconciler.cli.command_line import SIMULATED
from reconciler.cli.files import STATE
from reconciler.cli.output import Output
from reconciler.cli.sandbox import open_state
from reconciler.cli.session import PRACTICE
from reconciler.errors import CxrouteError
from reconciler.manifest.kinds.environment import SANDBOX
from reconciler.render.colour import ansi_style
from reconciler.simulator.state import TenantState, bank_tenant
from reconciler.text.pages import page

_MOST_LINES: Final = 30
_EDITED: Final = "Cognigy Intent Route: lost_or_stolen_card"
_SCRIPT: Final = "Bot\\Hand-over"


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--studio", action="store_true", help="the same rules in a Studio script")
    parser.epilog = "Works in a temporary folder and leaves no files behind."


def run(options: argparse.Namespace, output: Output) -> int:
    """Plan, apply, apply again, explain, edit a rule in CXone, find the drift, and restore the rule. Return 0."""
    source, steps = bank_manifests(), _next_steps(Path.cwd())
    # A temporary folder protects an existing .cxroute.
    with tempfile.TemporaryDirectory(prefix="cxroute-demo-") as folder, contextlib.chdir(folder):
        shutil.copytree(source, "manifests")
        walk = _Walk(output, steps, "studio" if options.studio else SANDBOX)
        walk.say(SIMULATED.strip())
        if options.studio:
            contextvars.copy_context().run(walk.studio)  # where PRACTICE is set
        else:
            with open_state(STATE, bank_tenant()):
                pass  # the sandbox starts with the bank's tenant
            walk.all()
    return 0


def _next_steps(here: Path) -> str:
    """Return the next command, with the path of the program if the shell does not find it by name."""
    beside, on_path = Path(sys.executable).with_name("cxroute"), shutil.which("cxroute")
    if on_path and (not beside.exists() or beside.samefile(on_path)):
        return "Next: cxroute init my-routing"
    if not beside.exists():
        return f"Next: {shlex.join([sys.executable, '-m', 'reconciler', 'init', 'my-routing'])}"
    command = str(beside.relative_to(here) if beside.is_relative_to(here) else beside)
    export = f'export PATH={shlex.quote(str(beside.parent))}:"$PATH"'
    first = f"Next: {shlex.join([command, 'init', 'my-routing'])}"
    return f"{first}\nMessages call it `cxroute`. To use this name in your shell: {export}"


def bank_manifests() -> Path:
    """Return the bank's manifests: from the wheel, or next to the package in a checkout."""
    package = Path(str(files("reconciler")))
    if folder := next(filter(Path.is_dir, (package / "bank", package.parent / "manifests")), None):
        return folder
    raise CxrouteError("the bank's manifests are not installed with this program")


@dataclass(frozen=True, slots=True)
class _Walk:
    output: Output
    next_steps: str
    environment: str

    def all(self) -> None:
        self.say(
            "The tenant of a bank: rules made by hand, some with the names of rules in the manifests, rules of\n"
            "another team, and disabled rules. The manifests route the 77 intents of the bank's bot."
        )
        unmanaged = _unmanaged_rules()

        def disable(state: TenantState) -> None:
            (rule_id,) = state.ids_named(_EDITED)
            state.edit(rule_id, priority=950, enabled=False)

        self.repair("card_not_working", f'disables "{_EDITED}" in CXone and sets its priority to 950', disable)
        after = _unmanaged_rules()
        if after != {rule_id: rule for rule_id, rule in unmanaged.items() if rule_id in after}:
            raise CxrouteError("an unmanaged rule was changed")
        unchanged = f"{len(after)} unmanaged rules are unchanged, byte for byte."
        self.say(f"{unchanged}\n{self.next_steps}\nFor your own tenant, see {page('guide.md')}.")

    def studio(self) -> None:
        """Show the rules in a script."""
        self.say(f"On a tenant, a Studio script decides. In {_SCRIPT}, cxroute writes one block, which is empty now.")
        PRACTICE.set(self.environment)
        intent = "lost_or_stolen_card"

        def rename(state: TenantState) -> None:
            state.save_script_by_person(_SCRIPT, "ann", lambda text: text.replace(f'"{intent}"', '"no_intent"', 1))

        self.repair(intent, f"replaces the text {intent} in Studio", rename)
        self.say(f"{self.next_steps}\nFor a script of your own tenant, see {page('studio.md')}.")

    def repair(self, intent: str, edit: str, apply_edit: Callable[[TenantState], object]) -> None:
        """Plan, apply, and explain; then find and repair a colleague's edit."""
        self.command("Show what would change. Nothing is written.", "plan")
        self.command("Apply the changes. Without --yes, apply asks for confirmation.", "apply", "--yes", "-q")
        self.command("Apply again: nothing is left to do, and nothing is written.", "apply", "--yes")
        words = ("explain", "--live", "--intent", intent, "--confidence", "0.9", "--attr", "language=fr")
        self.command("Where does a conversation go, and why? Unmanaged rules count as well.", *words)
        self.say(f"Now a colleague {edit}.")
        with open_state(STATE) as state:
            apply_edit(state)
        self.command("The scheduled check reports fields, values and each rule in the way.", "drift", expected=2)
        self.command("Restore the rule.", "apply", "--yes")
        self.command("The tenant matches the manifests again.", "plan", "--detailed-exitcode")

    def say(self, text: str) -> None:
        self.output.result(f"{self.output.paint('blue', text)}\n\n")

    def command(self, why: str, *arguments: str, expected: int = 0) -> None:
        paint = self.output.paint
        self.output.result(f"{paint('blue', why)}\n{paint('bold', '$ cxroute ' + ' '.join(arguments))}\n")
        from reconciler.cli.main import main  # noqa: PLC0415 - main imports this module

        colour = "always" if paint is ansi_style else "never"
        with contextlib.redirect_stdout(io.StringIO()) as buffer:
            code = main(["-e", self.environment, "--color", colour, "--no-input", *arguments])
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
