"""`cxroute diff LEFT RIGHT`: the conversations that two lists of rules route to different
queues.
"""

import argparse
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from reconciler.behaviour.diff.difference import compare_behaviour
from reconciler.behaviour.diff.effects import EditSet
from reconciler.behaviour.routing_entry import Destination
from reconciler.cli.command_line import SIMULATED
from reconciler.cli.commands.plan import PENDING
from reconciler.cli.output import Output
from reconciler.cli.rule_sources import (
    endpoints,
    evaluation,
    labels,
    parse_source,
    read_sources,
)
from reconciler.plan.behaviour_json import hide_assumed_ids, impact_to_json
from reconciler.plan.clauses import FEW_VALUES
from reconciler.plan.edits import edits_of_lists
from reconciler.plan.headline import headline
from reconciler.plan.impact import Impact
from reconciler.plan.words import ALL_VALUES, order_effects
from reconciler.render.effects import summarize_effects
from reconciler.render.text.effects import effects_lines, headline_lines
from reconciler.text.escape import pluralize, sanitize
from reconciler.text.phrases import Labels

if TYPE_CHECKING:
    from reconciler.plan.plan_json import BehaviourJson


def options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("left", metavar="LEFT", help="live:ENV, manifests:ENV, or a JSON file of rules")
    add("right", metavar="RIGHT", help="as for LEFT")
    add(
        "--format",
        choices=("text", "json"),
        default="text",
        help="output format (default: text)",
    )
    add(
        "--detailed-exitcode",
        action="store_true",
        help="exit 2 if conversations are routed differently, or may be",
    )
    parser.epilog = (
        "LEFT and RIGHT are live:ENV (the tenant's live rules), manifests:ENV (the rules of the "
        "manifests), or a JSON\n"
        "file in the API's format: a list of rules, or a page. Two files need no environment, "
        "network or credentials.\n"
        "Beside an Environment with `api.rules: studio`, the file is a script (JSON or XML), or a "
        "snippet's text.\n"
        "Queues are compared by id; between two environments by name, and between two manifests by "
        "the names there."
    )


def run(options: argparse.Namespace, output: Output) -> int:
    """Compare, and print the conversations that are routed differently.

    With --detailed-exitcode, return 2 for them.
    """
    first, second = (
        parse_source(name, options, output) for name in (options.left, options.right)
    )
    order = evaluation(first, second)
    before, after = read_sources(first, second)
    left, right = endpoints(first, second)
    types = {
        name: type_
        for name, type_ in left.types.items()
        if right.types.get(name) == type_
    }
    edits = edits_of_lists(
        before.entries, after.entries, labels(first, second), words="plan"
    )
    has_other_fallback = left.fallback.settings != right.fallback.settings
    middle = right.pull_back(before.entries) if has_other_fallback else None
    difference = compare_behaviour(
        left.pull_back(before.entries),
        right.pull_back(after.entries),
        order,
        types=types,
        edited=EditSet([edited.edit for edited in edits], middle),
    )
    impact = order_effects(Impact(difference, edits), labels(first, second))
    queues = {**before.queues, **after.queues}
    code = (
        PENDING
        if options.detailed_exitcode and (difference.changed or not difference.complete)
        else 0
    )
    if output.form == "json":
        output.document(_document(impact, queues, labels(first, second)))
        return code
    if any(
        side.kind == "live" and side.session and side.session.simulated
        for side in (first, second)
    ):
        output.result(SIMULATED)
    counts = [pluralize(len(side.entries), "rule") for side in (before, after)]
    output.result(
        f"From {sanitize(first.name)} ({counts[0]}) to {sanitize(second.name)} ({counts[1]})\n\n"
    )
    is_verbose = output.loudness == "verbose"
    splits = (
        split
        for region in difference.regions
        for split in (region.before, region.after)
    )
    names = queue_names(splits, queues)
    summary = summarize_effects(
        impact,
        names,
        labels(first, second),
        values=ALL_VALUES if is_verbose else FEW_VALUES,
    )
    effects = list(effects_lines(summary, output.paint, verbose=is_verbose))
    lines = [
        *headline_lines(summary, output.paint),
        *([""] if effects else []),
        *effects,
    ]
    output.result("".join(f"{line}\n" for line in lines))
    return code


def queue_names(
    splits: Iterable[Destination], queues: Mapping[str, str]
) -> dict[str, str]:
    """Return the names of queues by id; equal names are followed by their ids."""
    ids = dict.fromkeys(
        queue
        for split in splits
        for queue, _ in split or ()
        if not queue.startswith('{"')
    )
    count = Counter(queues[queue] for queue in ids if queue in queues)
    names = {queue: queues.get(queue, queue) for queue in ids}
    return {
        queue: f"{name} ({queue})" if count[name] > 1 else name
        for queue, name in names.items()
    }


def _document(
    impact: Impact, queues: Mapping[str, str], names: Labels
) -> "BehaviourJson":
    document = impact_to_json(impact, queues, headline(impact, queues, names))
    rows = [row for effect in document["effects"] for row in effect["rows"]]
    entries = (*document["regions"], *rows)
    hide_assumed_ids(
        destination
        for entry in entries
        for destination in (entry["before"], entry["after"])
    )
    return document
