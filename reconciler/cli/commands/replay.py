"""`cxroute replay FILE LEFT RIGHT`: the recorded conversations that two lists of rules route
differently.
"""

import argparse

from reconciler.behaviour.routing_entry import order_entries
from reconciler.cli.command_line import SIMULATED
from reconciler.cli.commands import diff
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
from reconciler.errors import UsageError
from reconciler.manifest.kinds.environment import BotAttributes
from reconciler.plan.behaviour_json import hide_assumed_ids
from reconciler.plan.replay import ReplaySide, replay, replay_to_json
from reconciler.render.limits import ALL_ROWS, MAX_SHOWN
from reconciler.render.replay import summarize_replay
from reconciler.render.text.effects import replay_lines
from reconciler.text.escape import sanitize
from reconciler.traffic.records import RecordReader


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "file",
        metavar="FILE",
        help="the recorded conversations, CSV or JSON lines; `-` reads stdin",
    )
    diff.options(parser)
    parser.epilog = (
        "FILE is CSV with the columns intent, confidence, other attributes and optionally count, "
        "or JSON lines with\n"
        f"these names. It is read as a stream, of any length.\n{parser.epilog}"
    )


def run(options: argparse.Namespace, output: Output) -> int:
    """Count, and print the conversations that go elsewhere.

    With --detailed-exitcode, return 2 for them.
    """
    sides = [
        parse_source(name, options, output) for name in (options.left, options.right)
    ]
    order, reader = (
        evaluation(*sides),
        RecordReader.open(options.file, _attributes(sides)),
    )
    lists, stages = read_sources(*sides), endpoints(*sides)
    ordered = (order_entries(rules.entries, order) for rules in lists)
    result = replay(reader, *map(ReplaySide, ordered, stages))
    queues = {**lists[0].queues, **lists[1].queues}
    code = (
        PENDING if options.detailed_exitcode and (result.moved or result.unknown) else 0
    )
    if output.form == "json":
        document = replay_to_json(result, queues)
        hide_assumed_ids(
            destination
            for pair in document["pairs"]
            for destination in (pair["before"], pair["after"])
        )
        output.document(document)
        return code
    if any(
        side.kind == "live" and side.session and side.session.simulated
        for side in sides
    ):
        output.result(SIMULATED)
    most = ALL_ROWS if output.loudness == "verbose" else MAX_SHOWN
    names = diff.queue_names(
        (split for pair in result.pairs for split in (pair.before, pair.after)), queues
    )
    lines = replay_lines(
        summarize_replay(result, names, labels(*sides), most), output.paint
    )
    output.result(
        f"{reader.name}, from {sanitize(sides[0].name)} to {sanitize(sides[1].name)}\n\n"
    )
    output.result("".join(f"{line}\n" for line in lines))
    return code


def _attributes(sides: list[DiffSide]) -> BotAttributes:
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
