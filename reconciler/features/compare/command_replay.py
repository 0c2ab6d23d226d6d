"""`cxroute replay FILE LEFT RIGHT`: the recorded conversations that two lists of rules route
differently.
"""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from reconciler.cli.command_line import SIMULATED
from reconciler.cli.commands.plan import PENDING
from reconciler.cli.output import Output
from reconciler.cli.rule_sources import (
    DiffSide,
    endpoints,
    evaluation,
    labels,
    parse_source,
    read_sources,
)
from reconciler.core.behaviour.routing_entry import order_entries
from reconciler.core.errors import UsageError
from reconciler.core.manifest.kinds.environment import BotAttributes
from reconciler.core.plan.behaviour_json import hide_assumed_ids
from reconciler.core.plan.replay import ReplayResult, ReplaySide, replay, replay_to_json
from reconciler.core.text.escape import sanitize
from reconciler.core.text.phrases import Labels
from reconciler.core.traffic.records import RecordReader
from reconciler.features.compare import command_diff as diff
from reconciler.render.limits import ALL_ROWS, MAX_SHOWN
from reconciler.render.replay import summarize_replay
from reconciler.render.text.effects import replay_lines

if TYPE_CHECKING:
    from reconciler.core.plan.plan_json import ReplayJson


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayOptions(diff.DiffOptions):
    """The options of `cxroute replay`."""

    file: str


def options(parser: argparse.ArgumentParser) -> type[ReplayOptions]:
    parser.add_argument(
        "file",
        metavar="FILE",
        help="the recorded conversations, CSV or JSON lines; `-` reads stdin",
    )
    diff.options(parser)
    parser.epilog = (
        "FILE is CSV with the columns intent, confidence, other attributes and optionally count, "
        "or JSON lines with\n"
        f"these names. It is read as a stream, of any length.\n\n{parser.epilog}"
    )
    return ReplayOptions


def run(options: ReplayOptions, output: Output) -> int:
    """Count, and print the conversations that go elsewhere.

    With --detailed-exitcode, return 2 for them.
    """
    first = parse_source(options.left, options, output)
    second = parse_source(options.right, options, output)
    sides = (first, second)
    order = evaluation(*sides)
    reader = RecordReader.open(options.file, _attributes(sides))
    before, after = read_sources(*sides)
    stages = endpoints((first, second), (before, after))
    ordered = [order_entries(rules.entries, order) for rules in (before, after)]
    result = replay(reader, *map(ReplaySide, ordered, stages))
    queues = {**before.queues, **after.queues}
    if output.form == "json":
        output.document(_document(result, queues))
    else:
        _print_title(reader.name, sides, output)
        _print_moved(result, queues, labels(*sides), output)
    is_different = result.moved or result.unknown
    return PENDING if options.detailed_exitcode and is_different else 0


def _print_title(records: str, sides: Sequence[DiffSide], output: Output) -> None:
    if any(map(diff.is_simulated, sides)):
        output.result(SIMULATED)
    first, second = (sanitize(side.name) for side in sides)
    output.result(f"{records}, from {first} to {second}\n\n")


def _document(result: ReplayResult, queues: Mapping[str, str]) -> "ReplayJson":
    document = replay_to_json(result, queues)
    destinations = []
    for pair in document["pairs"]:
        destinations += [pair["before"], pair["after"]]
    hide_assumed_ids(destinations)
    return document


def _print_moved(
    result: ReplayResult, queues: Mapping[str, str], sides: Labels, output: Output
) -> None:
    most = ALL_ROWS if output.loudness == "verbose" else MAX_SHOWN
    summary = summarize_replay(result, queues, sides, most)
    lines = replay_lines(summary, output.paint)
    output.result("".join(f"{line}\n" for line in lines))


def _attributes(sides: Sequence[DiffSide]) -> BotAttributes:
    """Return the names of the bot's attributes. Raises UsageError if the sides differ in them."""
    names = [side.session.environment.attributes for side in sides if side.session] or [
        BotAttributes()
    ]
    if names[0] != names[-1]:
        raise UsageError(
            "the two Environments name the bot's attributes differently (`attributes:`); replay "
            "one of them"
        )
    return names[0]
