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
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Final

from reconciler.cli.command_line import SIMULATED
from reconciler.cli.files import STATE
from reconciler.cli.options import CommonOptions
from reconciler.cli.output import Output
from reconciler.cli.session import PRACTICE
from reconciler.core.errors import CxrouteError
from reconciler.core.manifest.kinds.environment import SANDBOX
from reconciler.core.text.files import KIB, read_text
from reconciler.core.text.pages import page
from reconciler.features.practice.demo_decision import (
    decision_service,
    has_server,
    run_contact,
)
from reconciler.features.practice.sandbox import open_state
from reconciler.features.practice.simulator.state import TenantState
from reconciler.render.colour import ansi_style

_SCRIPT: Final = "Bot\\Hand-over"
_STUDIO: Final = "studio"
_EDITED_RULE: Final = "Cognigy Intent Route: pin_blocked"
_EDITED_CASE: Final = '>= %s ) ) & ( cxr_text_intent$ = "pin_blocked" )'
# the rule's least confidence in the manifests, and as a colleague sets it in CXone
_WRITTEN: Final = 0.75
_BY_HAND: Final = 0.7
# exit codes
_DRIFT: Final = 2
_REFUSED: Final = 4
_MAX_MANIFEST: Final = 256 * KIB


@dataclass(frozen=True, slots=True)
class FileEdit:
    """An edit in a copy of the bank's manifests: a text that a file has once, and its
    replacement.
    """

    file: str
    before: str
    after: str

    def make(self) -> None:
        """Replace the text. Raises CxrouteError if the file does not have it once."""
        path = Path("manifests", self.file)
        text = read_text(path, _MAX_MANIFEST)

        if text.count(self.before) != 1:
            raise CxrouteError(
                f"{path} does not contain this text exactly once: {self.before}"
            )
        path.write_text(text.replace(self.before, self.after), encoding="utf-8")

    def take_back(self) -> None:
        """Replace the new text by the old one."""
        FileEdit(self.file, self.after, self.before).make()


SMALL_CHANGE: Final = (  # one rule, and the route tests that expect its old queue
    FileEdit(
        "cards.yaml",
        "- intent: pin_blocked\n    queue: card-services\n    minConfidence: 0.7 ",
        "- intent: pin_blocked\n    queue: fraud\n    minConfidence: 0.75 ",
    ),
    FileEdit(
        "tests/intents.yaml",
        "{intent: pin_blocked, confidence: 0.9}, expect: {queue: card-services}",
        "{intent: pin_blocked, confidence: 0.9}, expect: {queue: fraud}",
    ),
    FileEdit(
        "tests/people.yaml",
        "{intent: pin_blocked, confidence: 0.9, attributes: {customerTier: standard}}, expect: "
        "{queue: card-services}",
        "{intent: pin_blocked, confidence: 0.9, attributes: {customerTier: standard}}, expect: "
        "{queue: fraud}",
    ),
    FileEdit(
        "tests/teams.yaml",
        "{intent: pin_blocked, confidence: 0.7}, expect: {queue: card-services}",
        "{intent: pin_blocked, confidence: 0.75}, expect: {queue: fraud}",
    ),
)
_CASH_WITHDRAWAL: Final = FileEdit(
    "fraud.yaml",
    "  - intent: cash_withdrawal_not_recognised\n    queue: fraud\n",
    "  - intent: cash_withdrawal_not_recognised\n    queue: fraud\n    minConfidence: 0.55\n",
)


_SERVED: Final = FileEdit(
    "environments/sandbox.yaml",
    "owner: bank-routing\n",
    "owner: bank-routing\n"
    "api: {rules: served, served: {url: 'http://127.0.0.1:3000'}}\n",
)
# what a script fills in before the exchange: its variables are texts
_PAYLOAD: Final = {"intent": "pin_blocked", "confidence": "0.9"}


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoOptions(CommonOptions):
    """The options of `cxroute demo`."""

    studio: bool


def options(parser: argparse.ArgumentParser) -> type[DemoOptions]:
    parser.add_argument(
        "--studio", action="store_true", help="the same rules in a Studio script"
    )
    parser.epilog = "Works in a temporary folder and leaves no files behind."
    return DemoOptions


def run(options: DemoOptions, output: Output) -> int:
    """Plan and apply an edit, find and restore a rule that was changed in CXone, break a promise.

    Return 0.
    """
    source = bank_manifests()
    next_steps = _next_steps(Path.cwd())

    # A temporary folder protects an existing .cxroute.
    with (
        tempfile.TemporaryDirectory(prefix="cxroute-demo-") as folder,
        contextlib.chdir(folder),
    ):
        # The files of an installed program may be read-only; their copies are edited.
        shutil.copytree(source, "manifests", copy_function=shutil.copyfile)
        tour = _Tour(output, _STUDIO if options.studio else SANDBOX)

        # PRACTICE is set in this context alone.
        contextvars.copy_context().run(tour.all)
        output.result(
            output.paint("blue", f"{tour.further_pages}\n{next_steps}") + "\n"
        )
    return 0


def _next_steps(here: Path) -> str:
    """Return the next command, with the path of the program if the shell does not find it by
    name.
    """
    program = Path(sys.executable).with_name("cxroute")
    on_path = shutil.which("cxroute")
    if on_path and (not program.exists() or program.samefile(on_path)):
        return "Next: cxroute init my-routing"
    if not program.exists():
        words = [sys.executable, "-m", "reconciler", "init", "my-routing"]
        return f"Next: {shlex.join(words)}"
    folder = shlex.quote(str(program.parent))
    if program.is_relative_to(here):
        program = program.relative_to(here)
    first = f"Next: {shlex.join([str(program), 'init', 'my-routing'])}"
    export = f'export PATH={folder}:"$PATH"'
    return (
        f"{first}\nMessages call it `cxroute`. To use this name in your shell: {export}"
    )


def bank_manifests() -> Path:
    """Return the bank's manifests: from the wheel, or next to the package in a checkout."""
    package = Path(str(files("reconciler")))
    for folder in (package / "bank", package.parent / "manifests"):
        if folder.is_dir():
            return folder
    raise CxrouteError("the bank's manifests are not installed with this program")


@dataclass(frozen=True, slots=True)
class _Tour:
    """The steps of the demo, each with a line that says what to look at."""

    output: Output
    environment: str

    def all(self) -> None:
        """Take all steps, on a simulated tenant that matches the manifests."""
        PRACTICE.set(self.environment)
        self.set_up()

        self.step(
            "1. Edit one rule, and the three tests that expect its old queue. What would change?",
            "the line with ~ is the edit; the lines below it say who moves, from which queue to "
            "which.",
        )
        for edit in SMALL_CHANGE:
            edit.make()
        self.command("plan")

        self.step(
            "2. Apply it. Without --yes, apply shows the plan and asks for confirmation.",
            "one rule is written, the tenant is read again as a check, and the change can be "
            "undone.",
        )
        self.command("apply", "--yes", "-q")

        self.step(
            f"3. Now a colleague sets its confidence to {_BY_HAND} in {self.place}. The scheduled "
            f"check finds that.",
            "the manifests' value beside the one in CXone, who is routed differently, and how to "
            "go on.",
        )
        self.edit_by_hand()
        self.command("drift", expected=_DRIFT)

        self.step(
            "4. Restore the rule, by the first of these two commands.",
            "again, only this rule is written.",
        )
        self.command("apply", "--only", "cards/pin-blocked", "--yes", "-q")

        self.step(
            "5. Edit a rule of the fraud team: disputed cash withdrawals, confidence 0.5 -> 0.55. "
            "No route test fails.",
            "a promise is about every conversation: one that breaks it is found, and nothing is "
            "written.",
        )
        _CASH_WITHDRAWAL.make()
        self.command("apply", "--yes", "-q", expected=_REFUSED)

        if self.environment == SANDBOX and has_server():
            self.decide()

    def decide(self) -> None:
        """Keep the rules in a decision service, and ask it as a Studio script does."""
        _CASH_WITHDRAWAL.take_back()
        _SERVED.make()
        self.step(
            "6. Keep the same rules in a decision service, which a Studio script asks for each "
            "contact.",
            "the variables that the script gets, by the contract that NICE publishes. Not tried on "
            "a tenant.",
        )
        printed = self.run("apply", "--yes", "-q")
        # not the 69 rules: they are the same ones
        total = next(
            line for line in printed.splitlines() if line.startswith("Applied ")
        )
        self.prompt("apply", "--yes", "-q")
        self.output.result(f"{total}\n")

        with decision_service() as port:
            variables = run_contact(port, _PAYLOAD)
        self.prompt("serve", "--decide")
        self.output.result(f"POST /exchange   customPayload {json.dumps(_PAYLOAD)}\n")
        for name in ("cxr_queue", "cxr_skill", "cxr_rule"):
            self.output.result(f"  {name:<9}  {variables[name]}\n")
        self.output.result("\n")

    def set_up(self) -> None:
        """Apply the bank's manifests to an empty tenant, and say what the tour starts with."""
        self.run("apply", "--yes", "-q")

        where = (
            ""
            if self.environment == SANDBOX
            else f", as a block of the script {_SCRIPT}"
        )
        self.say(
            f"{SIMULATED}A bank's tenant, whose rules already match the manifests{where}."
        )

    @property
    def further_pages(self) -> str:
        """Return where to read on."""
        if self.environment == SANDBOX:
            return (
                f"Your own tenant: {page('connect.md')}. The same tour on a Studio script: cxroute "
                f"demo --studio"
            )
        return f"A script of your own tenant: {page('studio.md')}."

    @property
    def place(self) -> str:
        """Return where people edit rules by hand."""
        return "CXone" if self.environment == SANDBOX else "Studio"

    def edit_by_hand(self) -> None:
        """Change the confidence of the edited rule as a person in CXone or Studio would."""
        with open_state(STATE) as state:
            if self.environment == SANDBOX:
                _edit_rule(state)
            else:
                _edit_script(state)

    def say(self, text: str) -> None:
        """Print words of the tour."""
        self.output.result(f"{self.output.paint('blue', text)}\n\n")

    def step(self, done: str, look_at: str) -> None:
        """Print what a step does, and what to look at in its output."""
        paint = self.output.paint
        self.output.result(
            f"{paint('blue', done)}\n{paint('blue', f'   Look: {look_at}')}\n"
        )

    def prompt(self, *arguments: str) -> None:
        """Print a command as a user types it."""
        command_line = " ".join(["$ cxroute", *arguments])
        self.output.result(f"{self.output.paint('bold', command_line)}\n")

    def command(self, *arguments: str, expected: int = 0) -> None:
        """Run a command of the program, and print it with all that it prints."""
        self.prompt(*arguments)
        printed = self.run(*arguments, expected=expected)
        self.output.result(f"{printed}\n\n")

    def run(self, *arguments: str, expected: int = 0) -> str:
        """Run a command of the program; return its output.

        Raises CxrouteError for an unexpected exit code.
        """
        from reconciler.cli.main import main  # noqa: PLC0415 - main imports this module

        colour = "always" if self.output.paint is ansi_style else "never"
        # The folder is in no git repository, so there is no state before the change to compare the
        # fallback with.
        base = ["--base", "none"] if arguments[0] in ("plan", "apply") else []
        buffer = io.StringIO()
        with contextlib.redirect_stdout(buffer), contextlib.redirect_stderr(buffer):
            code = main(
                [
                    "-e",
                    self.environment,
                    "--color",
                    colour,
                    "--no-input",
                    *arguments,
                    *base,
                ]
            )
        sys.stdout.flush()

        printed = buffer.getvalue().removeprefix(SIMULATED).strip("\n")
        if code != expected:
            raise CxrouteError(
                f"`cxroute {shlex.join(arguments)}` ended with {code}, not {expected}:\n{printed}"
            )
        return printed


def _edit_rule(state: TenantState) -> None:
    (rule_id,) = state.ids_named(_EDITED_RULE)
    (rule,) = (rule for rule in state.rules() if rule["id"] == rule_id)
    conditions = [
        {**condition, "value": _BY_HAND}
        if condition["value"] == _WRITTEN
        else condition
        for condition in rule["conditions"]
    ]
    state.edit(rule_id, conditions=conditions)


def _edit_script(state: TenantState) -> None:
    before = _EDITED_CASE % _WRITTEN
    after = _EDITED_CASE % _BY_HAND
    state.save_script_by_person(
        _SCRIPT, "ann", lambda text: text.replace(before, after)
    )
