"""Parsing one command's options; argparse is imported here, and so not by --help and --version.

argparse, not click: `import click` alone costs five bare interpreters' CPU, and --help may cost three
(benchmarks/README.md). Each command is a module with `options(parser)` and `run(options, output)`. Options before and
after the command are the same options.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, NoReturn, Protocol

from reconciler.cli.arguments import COMMANDS
from reconciler.errors import UsageError

if TYPE_CHECKING:
    from reconciler.cli.output import Output


class CommandModule(Protocol):
    """What a command's module offers."""

    def options(self, parser: argparse.ArgumentParser) -> None:
        """Add the command's own options."""

    def run(self, options: argparse.Namespace, output: Output) -> int:
        """Do it and return the exit code; raises the errors of `reconciler.errors`."""


class Parser(argparse.ArgumentParser):
    """An argument parser that raises UsageError (exit 64) where argparse would exit with 2."""

    def error(self, message: str) -> NoReturn:
        """Raise what argparse found wrong."""
        raise UsageError(message)


def parser_of(name: str, module: CommandModule) -> Parser:
    """Return the parser of one command, with the options that every command takes."""
    parser = Parser(
        prog=f"cxroute {name}",
        description=f"{COMMANDS[name].help[:1].upper()}{COMMANDS[name].help[1:]}.",
        allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    module.options(parser)
    shared(parser)
    return parser


def shared(parser: argparse.ArgumentParser) -> None:
    """Add the options that every command takes, before or after its name."""
    group = parser.add_argument_group("options of every command")
    group.add_argument(
        "-e", "--environment", metavar="ENV", help="which Environment (default: $CXROUTE_ENV, else sandbox)"
    )
    group.add_argument(
        "-m", "--manifests", metavar="DIR", default="manifests", help="where the manifests are (default: manifests)"
    )
    group.add_argument("--color", choices=("auto", "always", "never"), default="auto", help="colours (default: auto)")
    group.add_argument(
        "-q",
        "--quiet",
        dest="loudness",
        action="store_const",
        const="quiet",
        default="normal",
        help="only results and errors",
    )
    group.add_argument("-v", "--verbose", dest="loudness", action="store_const", const="verbose", help="say more")
    group.add_argument("--log-format", choices=("text", "json"), default="text", help="form of what goes to stderr")
    group.add_argument("--no-input", action="store_true", help="never ask")
