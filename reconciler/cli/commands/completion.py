"""`cxroute completion SHELL`: a completion script, which shtab creates from the program's own parsers."""

import argparse
from importlib import import_module

from reconciler.cli.arguments import COMMANDS
from reconciler.cli.output import Output
from reconciler.cli.parsing import Parser, add_common_options

SHELLS = ("bash", "zsh", "fish", "tcsh")


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("shell", choices=SHELLS, help="a shell: `cxroute completion bash > ~/.cxroute-completion`")


def run(options: argparse.Namespace, output: Output) -> int:
    import shtab  # noqa: PLC0415 - only this command needs it

    parser = Parser("cxroute")
    add_common_options(parser)
    commands = parser.add_subparsers(metavar="COMMAND")
    for name, command in COMMANDS.items():
        below = commands.add_parser(name, help=command.help)
        import_module(f"reconciler.cli.commands.{name}").options(below)
        add_common_options(below)
    output.file_text(shtab.complete(parser, shell=options.shell).rstrip() + "\n")
    return 0
