"""The commands, and what --help says. A command's module is imported only when the command is run."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from reconciler.errors import CxrouteError, UsageError


class Command(NamedTuple):
    """A command's group and line in --help, and the module that holds it."""

    group: str
    help: str
    module: str


COMMANDS: Final[dict[str, Command]] = {
    "init": Command("every day", "write a first set of manifests", "init"),
    "validate": Command("every day", "check the manifests, offline", "validate"),
    "test": Command("every day", "try the route tests: conversations and where they must go", "test"),
    "plan": Command("every day", "say what differs and what apply would do; changes nothing", "plan"),
    "apply": Command("every day", "make it so, and read again to prove it", "apply"),
    "drift": Command(
        "every day", "say what is not as the manifests say, rules made by hand included; exit 2 if so", "drift"
    ),
    "explain": Command(
        "every day", "say which rule takes a conversation, and why each earlier one does not", "explain"
    ),
    "diff": Command("every day", "say which conversations two lists of rules send to different places", "diff"),
    "export": Command("operate", "write manifests from live rules, or live values into manifests", "export"),
    "watch": Command("operate", "look at a tenant again and again; report what differs, or heal it", "watch"),
    "doctor": Command("operate", "look at settings, network, token and a page of rules; say what to do", "doctor"),
    "history": Command("operate", "who changed what, when and why", "history"),
    "serve": Command("the endpoint", "take from the bot what it understood and write it to the conversation", "serve"),
    "cognigy": Command("the endpoint", "print the nodes of a Cognigy flow that post to it", "cognigy"),
    "schema": Command("set up", "print the JSON Schema of manifests or plans, or the default profile", "schema"),
    "github": Command("set up", "what steps of a GitHub workflow do: comment, reviewed plan, drift issue", "github"),
    "completion": Command("set up", "print a completion script for a shell", "completion"),
    "help": Command("set up", "print the help of a command, or of all commands", "help"),
    "version": Command("set up", "print the version", "version"),
    "demo": Command("try it", "a guided first run on a simulated bank", "demo"),
    "simulate": Command("try it", "serve a simulated CXone over HTTP", "simulate"),
}

SHARED: Final = "-e, -m, --color, -q, -v, --log-format, --no-input (cxroute help options)"  # options of every command
_EXIT_CODES: Final = (
    "Exit codes: 0 done, 1 error, 2 changes pending, 3 manifests invalid, 4 refused, 5 partly applied, 64 usage,"
    " 130 interrupted."
)
_FIRST_STEPS: Final = 'First time? `cxroute demo`. Your own tenant? docs/guide.md, "Connect a tenant".'
_ALONE: Final = ("-h", "--help", "--version", "-q", "--quiet", "-v", "--verbose", "--no-input")
_WITH_VALUE: Final = ("-e", "--environment", "-m", "--manifests", "--color", "--log-format")


def find_command(arguments: Sequence[str]) -> int | None:
    """Return the place of the command among the arguments, or None where there is none. Raises UsageError."""
    previous = ""
    for position, argument in enumerate(arguments):
        if previous in _WITH_VALUE:
            previous = ""
            continue
        previous = argument
        if argument.startswith("-"):
            continue
        if argument in COMMANDS:
            return position
        common = (*_ALONE, *_WITH_VALUE)
        for option in arguments[:position]:  # an unknown option first: the argument may be its value
            if option.startswith("--") and "=" not in option and option not in common:
                hint = suggestion(option, common) or ";"
                raise UsageError(f"unrecognized arguments: {option}{hint} options of one command stand after it")
        raise unknown_command(argument)
    return None


def unknown_command(name: str) -> UsageError:
    """Return the error of a command that does not exist, with the nearest one."""
    return UsageError(f"no command {name!r}{suggestion(name, COMMANDS) or ';'} `cxroute --help` lists them")


def suggestion(name: str, names: Iterable[str]) -> str:
    """Return `; did you mean "plan"?`, or nothing where no known name is near."""
    from reconciler.text.suggest import suggest  # noqa: PLC0415 - only where a name is wrong

    hint = suggest(name, names)
    return f"; {hint}" if hint else ""


def usage() -> str:
    """Return the text of `cxroute --help`."""
    lines = ["usage: cxroute [OPTIONS] COMMAND ...", "", "Routing rules as code for NICE CXone.", ""]
    width = max(map(len, COMMANDS))
    for group in dict.fromkeys(command.group for command in COMMANDS.values()):
        rows = [f"  {name:<{width}}  {command.help}" for name, command in COMMANDS.items() if command.group == group]
        lines += [f"{group}:", *rows, ""]
    lines += [f"options: --help, --version, {SHARED}", "", _EXIT_CODES, _FIRST_STEPS]
    return "\n".join(lines) + "\n"


def missing_extra(feature: str) -> CxrouteError:
    """Return the error that names the missing extra; no command to copy: no package index has the project's name."""
    return CxrouteError(
        f"{feature} needs the extra `serve`, which is not installed. See docs/getting-started.md, section Install."
    )
