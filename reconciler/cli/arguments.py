"""The commands and the text of --help.

A command's module is imported only when the command runs.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from types import ModuleType
from typing import Final

from reconciler.cli.feature import GROUPS, Command, load_features
from reconciler.core.errors import CxrouteError, UsageError

_CORE: Final = "reconciler.cli.commands"
_CORE_COMMANDS: Final = {
    "init": Command("every day", 10, "write a first set of manifests", f"{_CORE}.init"),
    "validate": Command(
        "every day", 20, "check the manifests, offline", f"{_CORE}.validate"
    ),
    "test": Command(
        "every day",
        30,
        "run the route tests, and prove the promises for all conversations",
        f"{_CORE}.test",
    ),
    "plan": Command(
        "every day",
        40,
        "compare manifests and tenant, and show what apply would do; writes nothing",
        f"{_CORE}.plan",
    ),
    "show": Command(
        "every day",
        50,
        "print a saved plan in every form, without a tenant",
        f"{_CORE}.show",
    ),
    "apply": Command(
        "every day",
        60,
        "make the changes, and read the rules again to verify them",
        f"{_CORE}.apply",
    ),
    "drift": Command(
        "every day",
        70,
        "show differences from the manifests, including unmanaged rules; exit 2 if any",
        f"{_CORE}.drift",
    ),
    "explain": Command(
        "every day",
        80,
        "show which rule matches a conversation, and why earlier rules do not",
        f"{_CORE}.explain",
    ),
    "schema": Command(
        "set up",
        10,
        "print the JSON Schema of manifests or plans, or the default profile",
        f"{_CORE}.schema",
    ),
    "completion": Command(
        "set up", 80, "print a completion script for a shell", f"{_CORE}.completion"
    ),
    "help": Command(
        "set up", 90, "print the help of a command, or of all commands", f"{_CORE}.help"
    ),
    "version": Command("set up", 100, "print the version", f"{_CORE}.version"),
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


@cache
def all_commands() -> dict[str, Command]:
    """Return the commands of this installation by name, in the order of `--help`."""
    commands = dict(_CORE_COMMANDS)
    for feature in load_features():
        commands.update(feature.commands)

    def place(name: str) -> tuple[int, int]:
        return GROUPS.index(commands[name].group), commands[name].order

    return {name: commands[name] for name in sorted(commands, key=place)}


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
        if argument in all_commands() or _is_installed(argument):
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


def _is_installed(name: str) -> bool:
    from reconciler.cli.installed_commands import is_installed  # noqa: PLC0415 - not for a built-in command

    return is_installed(name)


def command_module(name: str) -> ModuleType:
    """Import the module of a command.

    Raises CxrouteError for a command of another distribution that cannot be imported.
    """
    command = all_commands().get(name)
    if command:
        return import_module(command.module)
    from reconciler.cli.installed_commands import load_installed  # noqa: PLC0415 - not for a built-in command

    return load_installed(name)


def describe_command(name: str, documentation: str) -> str:
    """Return the sentence at the top of a command's help.

    For a command of another distribution, it is the first line of its documentation.
    """
    command = all_commands().get(name)
    if command is None:
        return documentation.partition("\n")[0]
    return f"{command.help[:1].upper()}{command.help[1:]}."


def unknown_command(name: str, arguments: Sequence[str] = ()) -> UsageError:
    """Return the error of a command that does not exist, with the one of that meaning, or the
    nearest one.
    """
    from reconciler.cli.advice import other_command  # noqa: PLC0415 - only for an error

    if other := other_command(name, arguments):
        return UsageError(f"unknown command {name!r}; {other}")
    return UsageError(
        f"unknown command {name!r}{suggestion(name, all_commands()) or ';'} `cxroute --help` lists all"
    )


def suggestion(name: str, names: Iterable[str]) -> str:
    """Return `; did you mean "plan"?`, or an empty text if no known name is similar."""
    from reconciler.core.text.suggest import suggest  # noqa: PLC0415 - only for an unknown name

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
    commands = all_commands()
    width = max(map(len, commands))
    for group in GROUPS:
        rows = [
            f"  {name:<{width}}  {command.help}"
            for name, command in commands.items()
            if command.group == group
        ]
        lines += [f"{group}:", *rows, ""]
    lines += [f"options: --help, --version, {SHARED}", "", _EXIT_CODES, _first_steps()]
    return "\n".join(lines) + "\n"


def _first_steps() -> str:
    from reconciler.core.text.pages import page  # noqa: PLC0415 - not for a command

    return f"First time? `cxroute demo`. Your own tenant? {page('connect.md')}."


@contextmanager
def requires_extra(extra: str, feature: str) -> Iterator[None]:
    """Raise the error that names the missing extra; without a command, because no package index has
    the project.
    """
    try:
        yield
    except ImportError as error:
        from reconciler.core.text.pages import page  # noqa: PLC0415 - only for an error

        remedy = f"See {page('install.md', 'Extras')}."
        raise CxrouteError(
            f"{feature} needs the extra `{extra}`, which is not installed. {remedy}"
        ) from error
