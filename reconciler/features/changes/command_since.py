"""`cxroute since`: the commit since which a conversation goes where it goes, and who changed it."""

import argparse
from dataclasses import dataclass

from reconciler.cli import conversation
from reconciler.cli.output import Output
from reconciler.core.errors import UsageError
from reconciler.features.changes.search import Scope
from reconciler.features.changes.since import LIMIT, find_since, since_to_json
from reconciler.features.changes.since_text import since_markdown, since_text

_EXAMPLE = "--intent lost_or_stolen_card --confidence 0.8 --attr language=de"


@dataclass(frozen=True, slots=True, kw_only=True)
class SinceOptions(conversation.ConversationOptions):
    """The options of `cxroute since`."""

    scope: Scope
    limit: str


def options(parser: argparse.ArgumentParser) -> type[SinceOptions]:
    conversation.add_options(parser)
    add = parser.add_argument
    add(
        "--all",
        dest="scope",
        action="store_const",
        const="all",
        default="newest",
        help="search the whole history, and show every change of the destination",
    )
    add(
        "--limit",
        metavar="N",
        default=str(LIMIT),
        help=f"search at most N commits (default: {LIMIT:,})",
    )
    add(
        "--format",
        choices=("text", "json", "markdown"),
        default="text",
        help="output format (default: text)",
    )
    parser.epilog = (
        "The answer is about the manifests at HEAD, and follows first parents: a merge counts as "
        "one change.\n\n"
        f"{conversation.HELP}"
    )
    return SinceOptions


def run(options: SinceOptions, output: Output) -> int:
    """Search, and print the answer."""
    if options.intent is None and options.confidence is None and not options.attr:
        raise UsageError(f"specify a conversation, such as {_EXAMPLE}")
    answer = find_since(options, output, options.scope, _limit(options.limit))
    if output.form == "json":
        output.document(since_to_json(answer))
    elif output.form == "markdown":
        output.result(since_markdown(answer, options.scope))
    else:
        output.result(since_text(answer, options.scope))
    for note in answer.notes:
        output.note(note)
    return 0


def _limit(text: str) -> int:
    is_number = (
        text.isascii() and text.isdigit() and len(text) <= len(str(LIMIT * LIMIT))
    )
    if not is_number or int(text) == 0:
        raise UsageError(
            f"--limit {text[:60]!r}: must be a number of commits, at least 1"
        )
    return int(text)
