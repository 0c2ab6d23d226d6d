"""The commands and the text of --help.

A command's module is imported only when the command runs.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from types import ModuleType
from typing import Final, NamedTuple

from reconciler.errors import CxrouteError, UsageError


class Command(NamedTuple):
    """A command's group and line in --help, and the module that holds it: by default the one of the
    same name.
    """

    group: str
    help: str
    module: str = ""


COMMANDS: Final[dict[str, Command]] = {
    "init": Command("every day", "write a first set of manifests"),
    "validate": Command("every day", "check the manifests, offline"),
    "test": Command(
        "every day", "run the route tests, and prove the promises for all conversations"
    ),
    "plan": Command(
        "every day",
        "compare manifests and tenant, and show what apply would do; writes nothing",
    ),
    "show": Command("every day", "print a saved plan in every form, without a tenant"),
    "apply": Command(
        "every day", "make the changes, and read the rules again to verify them"
    ),
    "drift": Command(
        "every day",
        "show differences from the manifests, including unmanaged rules; exit 2 if any",
    ),
    "explain": Command(
        "every day",
        "show which rule matches a conversation, and why earlier rules do not",
    ),
    "explore": Command(
        "every day", "write a page on which people try conversations, offline"
    ),
    "diff": Command(
        "every day", "show the conversations that two lists of rules route differently"
    ),
    "replay": Command(
        "every day",
        "count the recorded conversations that two lists of rules route differently",
    ),
    "table": Command(
        "every day",
        "write the rules as a table for a spreadsheet, and read its edits back",
    ),
    "export": Command(
        "operate", "write manifests from live rules, or live values into manifests"
    ),
    "watch": Command(
        "operate", "check a tenant at intervals; report differences, or correct them"
    ),
    "doctor": Command(
        "operate", "check settings, network, token and a page of rules; suggest fixes"
    ),
    "history": Command("operate", "show who changed which rules, when and why"),
    "serve": Command(
        "context endpoint",
        "receive intents from the bot and write them to the conversation",
    ),
    "cognigy": Command(
        "context endpoint",
        "print the nodes of a flow that post to `cxroute serve`; write the bot's intents",
    ),
    "traffic": Command(
        "context endpoint",
        "write a traffic sample from the endpoint's counters or from records",
    ),
    "schema": Command(
        "set up", "print the JSON Schema of manifests or plans, or the default profile"
    ),
    "studio": Command(
        "set up",
        "build the rules of a Studio script offline, import a snippet, print its set-up",
    ),
    "github": Command(
        "set up",
        "run steps of a GitHub workflow: comment, consent, reviewed plan, drift issue",
        "forge",
    ),
    "gitlab": Command(
        "set up",
        "run steps of a GitLab job: note, consent, reviewed plan, drift issue",
        "forge",
    ),
    "azure": Command(
        "set up",
        "run steps of an Azure pipeline: note, consent, reviewed plan, drift issue",
        "forge",
    ),
    "bitbucket": Command(
        "set up",
        "run steps of a Bitbucket pipeline: note, consent, reviewed plan",
        "forge",
    ),
    "lsp": Command("set up", "serve diagnostics and help for manifests to an editor"),
    "completion": Command("set up", "print a completion script for a shell"),
    "help": Command("set up", "print the help of a command, or of all commands"),
    "version": Command("set up", "print the version"),
    "demo": Command("try it", "run a guided tour on a simulated bank"),
    "simulate": Command("try it", "serve a simulated CXone over HTTP"),
}

# options of every command
SHARED: Final = (
    "-e, -m, --color, -q, -v, --log-format, --no-input (cxroute help options)"
)
_FAILURES: Final = (
    "3 manifests invalid, 4 refused, 5 partly applied, 64 usage, 130 interrupted"
)
_EXIT_CODES: Final = f"Exit codes: 0 done, 1 error, 2 changes pending, {_FAILURES}."
_ALONE: Final = (
    "-h",
    "--help",
    "--version",
    "-q",
    "--quiet",
    "-v",
    "--verbose",
    "--no-input",
)
_WITH_VALUE: Final = (
    "-e",
    "--environment",
    "-m",
    "--manifests",
    "--color",
    "--log-format",
)


def find_command(arguments: Sequence[str]) -> int | None:
    """Return the position of the command among the arguments, or None without a command.

    Raises UsageError.
    """
    if any("\0" in argument for argument in arguments):
        raise UsageError(
            "an argument contains the character NUL, which no name of a file has: remove it"
        )
    words = iter(enumerate(arguments))
    for position, argument in words:
        if argument in _WITH_VALUE:
            next(words, None)  # its value
        if argument.startswith("-"):
            continue
        if argument in COMMANDS:
            return position
        common = (*_ALONE, *_WITH_VALUE)
        # an unknown option first: the argument may be its value
        for option in arguments[:position]:
            if option.startswith("--") and "=" not in option and option not in common:
                raise UsageError(_unknown_option(option, argument, common))
        raise unknown_command(argument, arguments[position + 1 :])
    return None


def _unknown_option(option: str, value: str, common: Iterable[str]) -> str:
    """Return the message about an unknown option before the command; the argument may be its
    value.
    """
    from reconciler.cli.advice import common_option, is_secret_option  # noqa: PLC0415 - only for an error

    message = f"unrecognized arguments: {option}"
    if is_secret_option(option):
        return (
            f"{message}; a secret must not stand on a command line: treat it as leaked, and set "
            f"the variable for it"
        )
    if advice := common_option(option, value):
        return f"{message}; {advice}"
    return f"{message}{suggestion(option, common) or ';'} the options of a command follow its name"


def command_module(name: str) -> ModuleType:
    """Import the module of a command."""
    return import_module(f"reconciler.cli.commands.{COMMANDS[name].module or name}")


def unknown_command(name: str, arguments: Sequence[str] = ()) -> UsageError:
    """Return the error of a command that does not exist, with the one of that meaning, or the
    nearest one.
    """
    from reconciler.cli.advice import other_command  # noqa: PLC0415 - only for an error

    if other := other_command(name, arguments):
        return UsageError(f"unknown command {name!r}; {other}")
    return UsageError(
        f"unknown command {name!r}{suggestion(name, COMMANDS) or ';'} `cxroute --help` lists all"
    )


def suggestion(name: str, names: Iterable[str]) -> str:
    """Return `; did you mean "plan"?`, or an empty text if no known name is similar."""
    from reconciler.text.suggest import suggest  # noqa: PLC0415 - only for an unknown name

    hint = suggest(name, names)
    return f"; {hint}" if hint else ""


def usage() -> str:
    """Return the text of `cxroute --help`."""
    lines = [
        "usage: cxroute [OPTIONS] COMMAND ...",
        "",
        "Routing rules as code for NICE CXone.",
        "",
    ]
    width = max(map(len, COMMANDS))
    for group in dict.fromkeys(command.group for command in COMMANDS.values()):
        rows = [
            f"  {name:<{width}}  {command.help}"
            for name, command in COMMANDS.items()
            if command.group == group
        ]
        lines += [f"{group}:", *rows, ""]
    lines += [f"options: --help, --version, {SHARED}", "", _EXIT_CODES, _first_steps()]
    return "\n".join(lines) + "\n"


def _first_steps() -> str:
    from reconciler.text.pages import page  # noqa: PLC0415 - not for a command

    place = page("guide.md")
    where = (
        f'{place}, "Connect a tenant"'
        if place.startswith("docs/")
        else f"{place}#connect-a-tenant"
    )
    return f"First time? `cxroute demo`. Your own tenant? {where}."


@contextmanager
def requires_extra(extra: str, feature: str) -> Iterator[None]:
    """Raise the error that names the missing extra; without a command, because no package index has
    the project.
    """
    try:
        yield
    except ImportError as error:
        from reconciler.text.pages import page  # noqa: PLC0415 - only for an error

        remedy = f"See {page('install.md', 'Extras')}."
        raise CxrouteError(
            f"{feature} needs the extra `{extra}`, which is not installed. {remedy}"
        ) from error
