"""`cxroute cognigy`: the set-up of the two nodes of a Cognigy flow that post to the context endpoint."""

import argparse
import json
from textwrap import indent
from typing import Final

from reconciler.cli.output import Output
from reconciler.errors import UsageError

_LONGEST: Final = 256

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
PAYLOAD: Final = {name: {"$cs": {"script": f"input.cxroute.{name}"}} for name in _FIELDS}
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

docs/cognigy.md explains where the conversation's id comes from, and which checks to make.
"""


def options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--url", default="https://YOUR-ENDPOINT", help="address of `cxroute serve`")
    conversation = "expression for the id of the interaction in CXone (default: input.sessionId)"
    add("--conversation", metavar="SCRIPT", default="input.sessionId", help=conversation)
    add("--none", metavar="INTENT", default="none", help="value to post without an intent (default: none)")
    add("--code", action="store_true", help="print only the text of the Code node")


def run(options: argparse.Namespace, output: Output) -> int:
    script = code(options.conversation, options.none)
    if options.code:
        output.file_text(script)
        return 0
    if not options.url.startswith(("https://", "http://")):
        raise UsageError("--url must begin with https:// or http://")
    texts = {"code": indent(script.rstrip(), "   "), "url": options.url.rstrip("/")}
    output.file_text(_STEPS % {**texts, "payload": indent(json.dumps(PAYLOAD, indent=2), "   ")})
    return 0


def code(conversation: str, none: str) -> str:
    """Return the Code node's text. Raises UsageError."""
    if not none.strip() or len(none) > _LONGEST or not none.isprintable():
        raise UsageError(f"--none must have 1 to {_LONGEST} printable characters")
    if not conversation.strip() or "\n" in conversation:
        raise UsageError("--conversation must be an expression on one line, such as input.sessionId")
    return CODE % {"conversation": conversation, "none": json.dumps(none)}
