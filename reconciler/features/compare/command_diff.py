"""`cxroute diff LEFT RIGHT`: the conversations that two lists of rules route to different
queues.
"""

import argparse
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from reconciler.cli.command_line import SIMULATED
from reconciler.cli.commands.plan import PENDING
from reconciler.cli.options import SessionOptions
from reconciler.cli.output import Output
from reconciler.cli.parsing import add_format_option
from reconciler.cli.rule_sources import (
    DiffSide,
    endpoints,
    evaluation,
    labels,
    parse_source,
    read_sources,
)
from reconciler.core.behaviour.routing_entry import Evaluation
from reconciler.core.plan.behaviour_json import hide_assumed_ids, impact_to_json
from reconciler.core.plan.clauses import FEW_VALUES
from reconciler.core.plan.headline import headline
from reconciler.core.plan.impact import Impact
from reconciler.core.plan.list_impact import ListSide, impact_of_lists
from reconciler.core.plan.routing_table import RuleList
from reconciler.core.plan.words import ALL_VALUES
from reconciler.core.text.escape import pluralize, sanitize
from reconciler.core.text.phrases import Labels
from reconciler.render.effects import summarize_effects
from reconciler.render.text.effects import effects_lines, headline_lines

if TYPE_CHECKING:
    from reconciler.core.plan.plan_json import BehaviourJson


@dataclass(frozen=True, slots=True, kw_only=True)
class DiffOptions(SessionOptions):
    """The options of `cxroute diff`."""

    left: str
    right: str
    detailed_exitcode: bool


def options(parser: argparse.ArgumentParser) -> type[DiffOptions]:
    add = parser.add_argument
    add("left", metavar="LEFT", help="live:ENV, manifests:ENV, or a JSON file of rules")
    add("right", metavar="RIGHT", help="as for LEFT")
    add_format_option(parser)
    add(
        "--detailed-exitcode",
        action="store_true",
        help="exit 2 if conversations are routed differently, or may be",
    )
    parser.epilog = (
        "LEFT and RIGHT are live:ENV (the tenant's live rules; served:ENV and studio:ENV also say "
        "their place),\n"
        "manifests:ENV (the rules of the manifests), or a JSON file in the API's format: a list of "
        "rules, or a page.\n"
        "Two files need no environment, network or credentials. Beside an Environment with "
        "`api.rules: studio`, the\n"
        "file is a script (JSON or XML), or a snippet's text. Queues are compared by id; between "
        "two environments by\n"
        "name, and between two manifests by the names there."
    )
    return DiffOptions


def run(options: DiffOptions, output: Output) -> int:
    """Compare, and print the conversations that are routed differently.

    With --detailed-exitcode, return 2 for them.
    """
    first = parse_source(options.left, options, output)
    second = parse_source(options.right, options, output)
    order = evaluation(first, second)
    before, after = read_sources(first, second)
    impact = _compare((first, second), (before, after), order)
    difference = impact.behaviour
    queues = {**before.queues, **after.queues}

    if output.form == "json":
        output.document(_document(impact, queues, labels(first, second)))
    else:
        if is_simulated(first) or is_simulated(second):
            output.result(SIMULATED)
        left = _describe_side(first, before)
        right = _describe_side(second, after)
        output.result(f"From {left} to {right}\n\n")
        _print_effects(impact, queues, labels(first, second), output)

    is_different = difference.changed or not difference.complete
    return PENDING if options.detailed_exitcode and is_different else 0


def _describe_side(side: DiffSide, rules: RuleList) -> str:
    return f"{sanitize(side.name)} ({pluralize(len(rules.entries), 'rule')})"


def _compare(
    sources: tuple[DiffSide, DiffSide],
    lists: tuple[RuleList, RuleList],
    order: Evaluation,
) -> Impact:
    """Return the conversations that the two lists of rules route differently."""
    left, right = endpoints(sources, lists)
    return impact_of_lists(
        ListSide(lists[0].entries, left),
        ListSide(lists[1].entries, right),
        order,
        labels(*sources),
    )


def is_simulated(source: DiffSide) -> bool:
    """Return whether a source is a simulated tenant."""
    return source.kind == "live" and bool(source.session and source.session.simulated)


def _print_effects(
    impact: Impact, queues: Mapping[str, str], sides: Labels, output: Output
) -> None:
    is_verbose = output.loudness == "verbose"
    values = ALL_VALUES if is_verbose else FEW_VALUES
    summary = summarize_effects(impact, queues, sides, values=values)
    lines = [*headline_lines(summary, output.paint)]
    effects = list(effects_lines(summary, output.paint, verbose=is_verbose))
    if effects:
        lines += ["", *effects]
    output.result("".join(f"{line}\n" for line in lines))


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
