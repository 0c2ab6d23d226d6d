"""`cxroute completion SHELL`: a completion script, which shtab creates from the program's own
parsers.

For values that the manifests define, the script runs `cxroute completion --values KIND`.
"""

import argparse
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from reconciler.cli.arguments import all_commands, command_module
from reconciler.cli.command_line import utc_now
from reconciler.cli.hooks import run_journal
from reconciler.cli.options import CommonOptions
from reconciler.cli.output import Output
from reconciler.cli.parsing import Parser, add_common_options
from reconciler.core.desired.desired import desire_offline
from reconciler.core.errors import CxrouteError, UsageError
from reconciler.core.manifest.kinds.environment import SANDBOX
from reconciler.core.manifest.load import load_manifests
from reconciler.core.plan.guards import GUARD_NAMES

SHELLS: Final = ("bash", "zsh", "fish", "tcsh")
_VALUES_OF: Final = {
    "environment": "environments",
    "only": "addresses",
    "allow": "guards",
    "undo": "runs",
    "run": "runs",
    "intent": "intents",
    "none": "intents",
}
"""The option or argument -> the kind of its values."""
_LISTED: Final = "environments"  # values that an option takes several of, with commas
_TYPED: Final = {
    "bash": ' --typed "$1"',
    "zsh": " --typed=\\${(q)PREFIX}",
    "fish": " --typed (commandline -ct)",
}
"""How a script passes the word that is typed already, by shell."""
# a shell expands the words of a completion, even `$(...)`
_SAFE: Final = re.compile(r"[A-Za-z0-9._/@:+-]{1,200}")


@dataclass(frozen=True, slots=True, kw_only=True)
class CompletionOptions(CommonOptions):
    """The options of `cxroute completion`."""

    shell: str | None
    values: str | None
    typed: str | None


def options(parser: argparse.ArgumentParser) -> type[CompletionOptions]:
    text = "a shell: `cxroute completion bash > ~/.cxroute-completion`"
    parser.add_argument("shell", nargs="?", choices=SHELLS, help=text)
    kinds = sorted(set(_VALUES_OF.values()))
    add = parser.add_argument
    add(
        "--values",
        choices=kinds,
        help="instead: list the values of the manifests, as the script does",
    )
    add(
        "--typed",
        metavar="WORD",
        help="with --values: what is typed already, such as prod, for a further name",
    )
    return CompletionOptions


def run(options: CompletionOptions, output: Output) -> int:
    if options.shell is not None and options.values is None:
        output.file_text(_script(options.shell))
    elif options.values is not None and options.shell is None:
        with suppress(CxrouteError):  # a completion has no place for a message
            directory = Path(options.manifests)
            _print_values(options.values, directory, options.typed or "", output)
    else:
        raise UsageError("specify a shell, or --values KIND")
    return 0


def _print_values(kind: str, directory: Path, typed: str, output: Output) -> None:
    values = _VALUES[kind](directory)
    safe = [value for value in sorted(set(values)) if _SAFE.fullmatch(value)]
    if kind == _LISTED:
        safe = _further(safe, typed)
    output.result("".join(f"{value}\n" for value in safe))


def _script(shell: str) -> str:
    """Return the script that completes commands and options in a shell."""
    import shtab  # noqa: PLC0415 - only this command needs it

    parser = Parser("cxroute")
    add_common_options(parser)
    commands = parser.add_subparsers(metavar="COMMAND")
    for name, command in all_commands().items():
        subparser = commands.add_parser(name, help=command.help)
        command_module(name).options(subparser)
        add_common_options(subparser)
        _complete_values(subparser, shtab.cmd)
    _complete_values(parser, shtab.cmd)
    script: str = shtab.complete(parser, shell=shell)
    return f"{script.rstrip()}\n"


def _further(values: list[str], typed: str) -> list[str]:
    """Return the values after the last comma of a word, each with what is before it and without
    repetitions.
    """
    before, comma, _ = typed.rpartition(",")
    present = before.split(",")
    if comma and not all(name in values for name in present):
        return []  # a shell would expand a word with other characters
    return [f"{before}{comma}{value}" for value in values if value not in present]


def _complete_values(
    parser: argparse.ArgumentParser, run_command: Callable[[str], Mapping[str, object]]
) -> None:
    for action in parser._actions:  # noqa: SLF001 - argparse has no public list of them
        kind = _VALUES_OF.get(action.dest)
        if not kind or action.nargs == 0:
            continue
        command = f"cxroute completion --values {kind}"
        typed = _TYPED if kind == _LISTED else dict.fromkeys(_TYPED, "")
        fish = f"({command}{typed['fish']})"
        # run at each completion, not when the script is read
        zsh = f"{{compadd -- \\$({command}{typed['zsh']})}}"
        forms = {
            **run_command(f"{command}{typed['bash']}"),
            "tcsh": f"`{command}`",
            "fish": fish,
            "zsh": zsh,
        }
        action.complete = forms  # type: ignore[attr-defined]


def _list_addresses(directory: Path) -> Iterator[str]:
    manifests = load_manifests(directory, utc_now())
    for name in (*manifests.environments, SANDBOX):
        environment = manifests.environment(name)
        desired, _ = desire_offline(manifests, environment)
        yield from map(str, desired.rules)


def _list_intents(directory: Path) -> Iterator[str]:
    manifests = load_manifests(directory)
    for document in manifests.intents:
        yield from document.document.names
    for loaded in manifests.rulesets:
        for rule in loaded.document.rules:
            named = (
                rule.intents
                if isinstance(rule.intents, list | tuple)
                else (rule.intent,)
            )
            yield from filter(None, named)


_VALUES: Final[dict[str, Callable[[Path], Iterable[str]]]] = {
    "environments": lambda directory: [
        *load_manifests(directory).environments,
        SANDBOX,
    ],
    "addresses": _list_addresses,
    "guards": lambda _directory: GUARD_NAMES,
    "runs": lambda _directory: run_journal().run_names(),
    "intents": _list_intents,
}
