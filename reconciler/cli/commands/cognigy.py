"""`cxroute cognigy`: how to set up the two nodes of a Cognigy flow that post to the context endpoint."""

from __future__ import annotations

import argparse
import json
from typing import Final

from reconciler.cli.output import Output
from reconciler.errors import UsageError

_LONGEST: Final = 256

CODE: Final = """\
// cxroute: what the HTTP Request node after this one posts. Neither require nor a library is needed.
const score = input.intentScore;
input.cxroute = {
  conversationId: String(%(conversation)s),
  // Both are null where the bot understood nothing.
  intent: Array.from(String(input.intent || "").trim() || %(none)s).slice(0, 256).join(""),
  confidence: typeof score === "number" && Number.isFinite(score) ? Math.min(Math.max(score, 0), 1) : null,
  timestamp: new Date().toISOString()
};
"""

_FIELDS: Final = ("conversationId", "intent", "confidence", "timestamp")
PAYLOAD: Final = {name: {"$cs": {"script": f"input.cxroute.{name}"}} for name in _FIELDS}
"""Text in {{ }} would make a text of the confidence; this keeps it a number, or null."""

_STEPS: Final = """\
1. A Code node, behind the node that detects the intent:

%(code)s

2. An HTTP Request node behind it:

   Method          POST
   URL             %(url)s/api/route
   Headers         X-API-Key: a key of $CXROUTE_API_KEYS, from a connection or secret and not as text in the flow
                   Content-Type: application/json
   Payload         JSON:

%(payload)s

   Timeout         8 seconds: the endpoint answers within 5
   Retries         2, for 408, 429, 502, 503 and 504: the same event twice does no harm
   On error        go on: the conversation is then routed by what its context held before

docs/cognigy.md says where the conversation's id comes from, and what to check.
"""


def options(parser: argparse.ArgumentParser) -> None:
    """Add cognigy's options."""
    add = parser.add_argument
    add("--url", default="https://YOUR-ENDPOINT", help="where `cxroute serve` is reached")
    conversation = "where the flow holds the id of CXone's interaction (default: input.sessionId)"
    add("--conversation", metavar="SCRIPT", default="input.sessionId", help=conversation)
    add("--none", metavar="INTENT", default="none", help="posted where there is no intent (default: none)")
    add("--code", action="store_true", help="only the Code node's text")


def run(options: argparse.Namespace, output: Output) -> int:
    """Print the steps, or the code alone."""
    script = code(options.conversation, options.none)
    if options.code:
        output.file_text(script)
        return 0
    if not options.url.startswith(("https://", "http://")):
        raise UsageError("--url must begin with https:// or http://")
    texts = {"code": _indented(script), "url": options.url.rstrip("/")}
    output.file_text(_STEPS % {**texts, "payload": _indented(json.dumps(PAYLOAD, indent=2))})
    return 0


def code(conversation: str, none: str) -> str:
    """Return the Code node's text. Raises UsageError."""
    if not none.strip() or len(none) > _LONGEST or not none.isprintable():
        raise UsageError(f"--none must have 1 to {_LONGEST} characters that can be shown")
    if not conversation.strip() or "\n" in conversation:
        raise UsageError("--conversation must be an expression in one line, such as input.sessionId")
    return CODE % {"conversation": conversation, "none": json.dumps(none)}


def _indented(text: str) -> str:
    return "\n".join(f"   {line}".rstrip() for line in text.splitlines())
