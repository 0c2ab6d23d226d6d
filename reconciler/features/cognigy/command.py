"""`cxroute cognigy`: the nodes of a flow that post to the context endpoint, or hand over to a Studio
script, and the intents of the bot.
"""

import argparse
import json
import os
from pathlib import Path
from textwrap import indent
from typing import Final

from reconciler.cli.command_line import choose_environment, run_time
from reconciler.cli.output import Output
from reconciler.cli.parsing import check_task
from reconciler.core.errors import UsageError
from reconciler.core.manifest.load import Manifests, load_manifests
from reconciler.core.text.pages import page
from reconciler.features.cognigy import API
from reconciler.features.cognigy.handover import (
    CHANNELS,
    LONGEST,
    HandOver,
    handover_code,
    handover_steps,
)
from reconciler.features.cognigy.options import CognigyOptions

_CONVERSATION: Final = "input.sessionId"
# A signal goes to the spawned contact, whose id Cognigy's node Context Init keeps.
_SPAWNED: Final = "(context.data || {}).spawnedContactId"

CODE: Final = """\
// cxroute: the data that the next node, an HTTP Request node, posts. It needs no require and no library.
const score = input.intentScore;
input.cxroute = {
  conversationId: String(%(conversation)s),
  // The bot sets neither an intent nor a score where it understands nothing.
  intent: Array.from(String(input.intent || "").trim() || %(none)s).slice(0, 256).join(""),
  confidence: typeof score === "number" && Number.isFinite(score) ? Math.min(Math.max(score, 0), 1) : null,
  timestamp: new Date().toISOString()
};
"""

_FIELDS: Final = ("conversationId", "intent", "confidence", "timestamp")
PAYLOAD: Final = {
    name: {"$cs": {"script": f"input.cxroute.{name}"}} for name in _FIELDS
}
"""Text in {{ }} would convert the confidence to text; with a script it stays a number, or null."""

_STEPS: Final = """\
1. A Code node, after the node that detects the intent:

%(code)s

2. An HTTP Request node after it:

   Method          POST
   URL             %(url)s/api/route
   Headers         X-API-Key: a key of $CXROUTE_API_KEYS, from a connection or a secret, not as text in the flow
                   Content-Type: application/json
   Payload         JSON:

%(payload)s

   Timeout         8 seconds: the endpoint answers within 5
   Retries         2, for 408, 429, 502, 503 and 504: the endpoint accepts the same event twice
   On error        continue: the conversation is then routed by the earlier values of its context

%(page)s explains where the conversation's id comes from, and which checks to make.
"""


_HELP: Final = (
    "intents writes an Intents document of the bot: from a folder of the Cognigy CLI, a file of "
    "exported intents, or\n"
    "the API (key in COGNIGY_API_KEY). An existing document is edited in place. --check writes "
    "nothing, compares the\n"
    "bot with the rules and tests of the manifests, and exits with 2 if they differ."
)


def options(parser: argparse.ArgumentParser) -> type[CognigyOptions]:
    parser.add_argument(
        "task",
        nargs="?",
        choices=("nodes", "intents"),
        default="nodes",
        help="default: nodes",
    )
    add = parser.add_argument
    url = "nodes: address of `cxroute serve`; intents: of the API, with /v2.0 or /new/v2.0"
    add("--url", help=f"{url} (default: {API})")
    conversation = (
        f"nodes: expression for the id of the interaction in CXone (default: "
        f"{_CONVERSATION}; with an Environment that signals, the spawned contact)"
    )
    add("--conversation", metavar="SCRIPT", help=conversation)
    handover = (
        "nodes: instead, the hand-over to a Studio script, with the variables of the "
        "Environment in -e"
    )
    add("--handover", choices=CHANNELS, help=handover)
    none = (
        "value that the node posts without an intent (default: none); intents: it is never "
        "removed"
    )
    add("--none", metavar="INTENT", default="none", help=none)
    add(
        "--code",
        action="store_const",
        const=True,
        help="nodes: print only the text of the Code node",
    )
    add(
        "--from",
        dest="source",
        metavar="PATH",
        help="intents: folder of the Cognigy CLI, or file of exported intents",
    )
    add("--project", metavar="ID", help="intents: read the project from the API")
    add(
        "--into",
        metavar="FILE",
        help="intents: the file of the Intents document (default: print a new one)",
    )
    compare = "intents: compare the bot with the manifests; exit 2 if they differ"
    add("--check", action="store_const", const=True, help=compare)
    add(
        "--format",
        choices=("text", "json"),
        help="intents: format of --check (default: text)",
    )
    parser.epilog = _HELP
    return CognigyOptions


def run(options: CognigyOptions, output: Output) -> int:
    intents = {
        "--from": options.source,
        "--project": options.project,
        "--into": options.into,
        "--check": options.check,
        "--format": options.format,
    }
    nodes = {
        "--conversation": options.conversation,
        "--code": options.code,
        "--handover": options.handover,
    }
    check_task("cognigy", options.task, {"nodes": nodes, "intents": intents})
    if options.task == "intents":
        from reconciler.features.cognigy.bot_intents import run_intents  # noqa: PLC0415 - imports manifests and HTTP

        return run_intents(options, output)
    if options.handover is not None:
        return _print_handover(options, output)
    script = code(_conversation(options), options.none)
    if options.code:
        output.file_text(script)
        return 0
    url = "https://YOUR-ENDPOINT" if options.url is None else options.url
    if not url.startswith(("https://", "http://")):
        raise UsageError("--url must begin with https:// or http://")
    texts = {"code": indent(script.rstrip(), "   "), "url": url.rstrip("/")}
    payload = indent(json.dumps(PAYLOAD, indent=2), "   ")
    output.file_text(_STEPS % {**texts, "payload": payload, "page": page("cognigy.md")})
    return 0


def _manifests(options: CognigyOptions) -> Manifests | None:
    """Return the manifests if the command line or $CXROUTE_ENV names an Environment."""
    if options.environment or os.environ.get("CXROUTE_ENV"):
        return load_manifests(Path(options.manifests), run_time(options))
    return None


def _conversation(options: CognigyOptions) -> str:
    """Return the expression for the id of the interaction."""
    if options.conversation is not None:
        return options.conversation
    manifests = _manifests(options)
    if manifests is None:
        return _CONVERSATION
    environment = choose_environment(manifests, options.environment)
    is_signal = environment.context.writer == "voice-signal"
    return _SPAWNED if is_signal else _CONVERSATION


def _print_handover(options: CognigyOptions, output: Output) -> int:
    """Print the steps of a hand-over, or the text of its Code node."""
    for option, value in (
        ("--url", options.url),
        ("--conversation", options.conversation),
    ):
        if value is not None:
            raise UsageError(
                f"{option} does not go with --handover: a hand-over needs no endpoint"
            )
    handover = _handover(options, output)
    text = handover_code(handover) if options.code else handover_steps(handover)
    output.file_text(text)
    return 0


def _handover(options: CognigyOptions, output: Output) -> HandOver:
    """Return what the texts of a hand-over name, by the Environment if there is one."""
    channel = next(name for name in CHANNELS if name == options.handover)
    manifests = _manifests(options)
    if manifests is None:
        return HandOver(channel=channel, none=options.none)

    from reconciler.features.cognigy.environment import (  # noqa: PLC0415 - imports the targets
        environment_handover,
    )

    environment = choose_environment(manifests, options.environment)
    handover, warnings = environment_handover(
        HandOver(channel=channel, none=options.none), manifests, environment
    )
    for warning in warnings:
        output.warn(warning)
    return handover


def code(conversation: str, none: str) -> str:
    """Return the Code node's text. Raises UsageError."""
    if not none.strip() or len(none) > LONGEST or not none.isprintable():
        raise UsageError(f"--none must have 1 to {LONGEST} printable characters")
    if not conversation.strip() or "\n" in conversation:
        raise UsageError(
            "--conversation must be an expression on one line, such as input.sessionId"
        )
    return CODE % {"conversation": conversation, "none": json.dumps(none)}
