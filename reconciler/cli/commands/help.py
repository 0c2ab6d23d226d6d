"""`cxroute help [COMMAND]`: the help of the program or of one command, and the options of every
command.
"""

import argparse
import sys
from dataclasses import dataclass
from typing import Final

from reconciler.cli.arguments import (
    all_commands,
    command_module,
    unknown_command,
    usage,
)
from reconciler.cli.options import CommonOptions
from reconciler.cli.output import Output
from reconciler.cli.parsing import CommandParser, Parser, add_common_options
from reconciler.cli.stdio import wrap_for

OPTIONS: Final = "options"  # the page of the options that every command takes
_TOPICS: Final = (*all_commands(), OPTIONS)


@dataclass(frozen=True, slots=True, kw_only=True)
class HelpOptions(CommonOptions):
    """The options of `cxroute help`."""

    topic: str | None


def options(parser: argparse.ArgumentParser) -> type[HelpOptions]:
    help_text = f"a command, or `{OPTIONS}`: the options of every command"
    parser.add_argument(
        "topic",
        nargs="?",
        type=_topic,
        choices=_TOPICS,
        metavar="COMMAND",
        help=help_text,
    )
    return HelpOptions


def run(options: HelpOptions, _output: Output) -> int:
    if options.topic is None:
        sys.stdout.write(wrap_for(usage(), sys.stdout))
    elif options.topic == OPTIONS:
        parser = Parser(
            "cxroute COMMAND",
            add_help=False,
            description="They work before the command and after it.",
        )
        add_common_options(parser)
        sys.stdout.write(wrap_for(parser.format_help(), sys.stdout))
    else:
        CommandParser(options.topic, command_module(options.topic)).print_help()
    return 0


def _topic(name: str) -> str:
    if name not in _TOPICS:
        raise unknown_command(name)
    return name
