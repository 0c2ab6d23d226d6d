"""The hand-over of a Cognigy flow to a Studio script: what its node sends, and the SNIPPET that reads
it (docs/cognigy.md, "Hand-over").

The node is Exit Interaction of Cognigy's CXone extension. Its versions send the parameters in three
forms; one object as the only parameter can be read in all of them.
"""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from textwrap import indent
from typing import Final, Literal

from reconciler.core.behaviour.endpoint_stage import NO_FALLBACK, FallbackPolicy
from reconciler.core.errors import UsageError
from reconciler.core.text.escape import quote_name
from reconciler.core.text.pages import page

Channel = Literal["chat", "voice"]
CHANNELS: Final[tuple[Channel, ...]] = ("chat", "voice")
LONGEST: Final = 256
"""Characters of an intent that a node sends."""

# What a text in a Studio script cannot hold, and the brackets that the SNIPPET removes. The Code
# node has the same class: with the flag u, it matches only half pairs of surrogates.
_UNFIT: Final = r'["\\[\]{}\u0000-\u001f\u007f-\u009f\u2028\u2029\ud800-\udfff]'
_UNFIT_TEXT: Final = re.compile(_UNFIT)

CODE: Final = """\
// cxroute: what the next node, Exit Interaction, hands over. It needs no require and no library.
const found = input.intent;
const score = input.intentScore;
// A script in Studio cannot hold every text: an intent that does not fit is handed over as none.
const fits = typeof found === "string" && found !== "" && found === found.trim()
  && Array.from(found).length <= %(longest)s && !/%(unfit)s/u.test(found);
const isScored = fits && typeof score === "number" && Number.isFinite(score);
input.cxroute = {
  intent: fits ? found : %(none)s,
  confidence: isScored ? Math.min(Math.max(score, 0), 1) : ""
};
"""
_FALLBACK: Final = """\
// The fallback of the Environment %(environment)s, as `cxroute serve` applies it.
const known = %(known)s;
const bot = input.cxroute;
const isKnown = known.length === 0 || known.includes(bot.intent);
if (!isKnown || bot.confidence === "" || bot.confidence < %(least)s) {
  bot.intent = %(intent)s;
}
"""

INTENT: Final = "cxr_intent"
CONFIDENCE: Final = "cxr_confidence"
# `$cs` keeps the confidence a number.
_MEMBERS: Final = {
    INTENT: {"$cs": {"script": "input.cxroute.intent"}},
    CONFIDENCE: {"$cs": {"script": "input.cxroute.confidence"}},
}

_PLACES: Final[dict[Channel, tuple[str, str]]] = {
    "chat": (
        "customPayloadFromBot.scriptPayloads[1].Intent",
        "customPayloadFromBot.scriptPayloads[1].Params",
    ),
    "voice": ("P1", "P2"),
}
"""Where a script finds the exit action and the parameters."""

_SNIPPET: Final = """\
// cxroute: the hand-over of a Cognigy flow, for %(channel)s.
ASSIGN cxr_exit = ""
ASSIGN %(intent)s = "%(unknown)s"
ASSIGN %(confidence)s = ""
ASSIGN cxr_exit = %(exit)s
ASSIGN cxr_params = %(params)s
IF ( cxr_params.contains("%(member)s") )
{
  ASSIGN cxr_params = cxr_params.replace("[", "")
  ASSIGN cxr_params = cxr_params.replace("]", "")
  DYNAMIC cxr_bot FROM cxr_params
  ASSIGN %(confidence)s = cxr_bot.%(score)s
  ASSIGN %(intent)s = cxr_bot.%(member)s
}
"""

_STEPS: Final = """\
The hand-over of a Cognigy flow to a Studio script, for %(channel)s. Nothing here was tried on a tenant.
Each step is (vendor's code): Cognigy's CXone extension shows it, (documented) by NICE or Cognigy,
(third-party): only other code shows it, or (unknown).

IN COGNIGY
1. Put the node Context Init at the start of the flow (vendor's code).
2. Put a Code node after the node that detects the intent (documented):

%(code)s

3. Put the node Exit Interaction after it (vendor's code). Another version may call its fields
   by similar names:

   Exit Action          Escalate to Agent
   Main Contact ID      {{context.data.contactId}}
   Spawned Contact ID   {{context.data.spawnedContactId}}
   Parameters           this JSON; where there is a mode, Array of JSON Objects:

%(parameters)s

   Your own values can be further members of this object: texts without [ and ], or numbers. With a
   second element in the list, the intent can arrive as unknown. That $cs works in this field is
   (unknown): in an HTTP Request node it does (documented).

IN STUDIO
%(script)s

%(snippet)s
   The names ASSIGN, IF, DYNAMIC ... FROM and members are (documented), .contains and .replace
   (third-party). That a number in the JSON is a number in the script is (unknown):
   %(page)s, says how to see it.
6. Connect the SNIPPET, and its Error branch, to an IF action with cxr_exit = "End" (documented). If it
   is true, end the contact as today. If not, go on to the SNIPPET with the managed block
   (`cxroute studio recipe`): after an error, %(intent)s is "%(unknown)s".
"""
_SCRIPTS: Final[dict[Channel, str]] = {
    "chat": """\
4. Use the branch ReturnControlToScript of TEXTBOT EXCHANGE, which the node causes (vendor's code).
5. Connect it to a SNIPPET with this text. The place of Intent and Params is (vendor's code). Whether
   arrays count from 0 or 1 is (unknown): if cxr_exit stays empty, try another number than [1].""",
    "voice": """\
4. Put ONSIGNAL into the script of the spawned contact. The node signals this contact, whose id is in
   the header X-InContact-ContactId, and not the main one (vendor's code). Which of your scripts runs
   for it is (unknown): a trace of each candidate shows the contact's id. The managed block must be
   in this script, or in one that gets the two variables from it.
5. Connect it to a SNIPPET with this text. Cognigy calls the first two parameters P1 and P2 (vendor's
   code), the help page of ONSIGNAL calls them SP1 and SP2 (documented): use the names in your script.""",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class HandOver:
    """What the texts of a hand-over name.

    `intent` and `confidence` are variables of the script. `none` is the intent where the bot
    understood nothing. `fallback` is applied in the flow, because no endpoint is in between;
    `environment` is the name of its Environment.
    """

    channel: Channel
    intent: str = "intent"
    confidence: str = "confidence"
    none: str = "none"
    environment: str = ""
    fallback: FallbackPolicy = NO_FALLBACK

    @property
    def unknown(self) -> str:
        """The intent in the script if nothing else arrives."""
        fallback = self.fallback.intent
        return self.none if fallback is None else fallback


def fits(intent: str) -> bool:
    """Return whether an intent can be handed over as it is."""
    is_plain = _UNFIT_TEXT.search(intent) is None
    return is_plain and intent == intent.strip() and 0 < len(intent) <= LONGEST


def unfit_intents(intents: Iterable[str]) -> list[str]:
    """Return the intents that are handed over as unknown, sorted."""
    return sorted(intent for intent in intents if not fits(intent))


def handover_code(handover: HandOver) -> str:
    """Return the Code node's text. Raises UsageError for an unknown intent that does not fit."""
    for intent, name in (
        (handover.none, "--none"),
        (handover.unknown, "`context.below.intent`"),
    ):
        if not fits(intent):
            raise UsageError(
                f"{name} {quote_name(intent)} cannot be handed over: use 1 to {LONGEST} characters "
                f"without quotes, brackets, braces, backslashes and blanks around them"
            )
    texts = {"longest": LONGEST, "unfit": _UNFIT, "none": json.dumps(handover.none)}
    code = CODE % texts
    fallback = handover.fallback
    if fallback.intent is None:
        return code
    known = sorted(filter(fits, fallback.known_intents))
    # a set of known intents that do not fit is not the same as no Intents document
    listed = known or [handover.unknown] if fallback.known_intents else []
    stage = {
        "environment": handover.environment,
        "known": json.dumps(listed),
        "least": json.dumps(float(fallback.min_confidence)),
        "intent": json.dumps(fallback.intent),
    }
    return code + _FALLBACK % stage


def handover_snippet(handover: HandOver) -> str:
    """Return the SNIPPET that reads the parameters into the variables of the script."""
    exit_action, parameters = _PLACES[handover.channel]
    names = {
        "channel": handover.channel,
        "intent": handover.intent,
        "confidence": handover.confidence,
        "unknown": handover.unknown,
        "exit": exit_action,
        "params": parameters,
        "member": INTENT,
        "score": CONFIDENCE,
    }
    return _SNIPPET % names


def handover_steps(handover: HandOver) -> str:
    """Return the steps in Cognigy and in Studio. Raises UsageError, as `handover_code` does."""
    code = handover_code(handover).rstrip()
    members = [f'  "{name}": {json.dumps(value)}' for name, value in _MEMBERS.items()]
    parameters = "[{\n" + ",\n".join(members) + "\n}]"
    texts = {
        "channel": handover.channel,
        "code": indent(code, "   "),
        "parameters": indent(parameters, "   "),
        "script": _SCRIPTS[handover.channel],
        "snippet": handover_snippet(handover),
        "page": page("cognigy.md", "Hand-over"),
        "intent": handover.intent,
        "unknown": handover.unknown,
    }
    return _STEPS % texts
