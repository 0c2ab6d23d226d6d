"""The set-up of a script that asks a decision service: steps with exact names and texts."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from reconciler.core.manifest.kinds.fields import SCRIPT_VARIABLE
from reconciler.core.target import NotStorableError
from reconciler.core.text.escape import quote_name
from reconciler.targets.decide.settings import Answer

_VARIABLE: Final = re.compile(SCRIPT_VARIABLE, re.ASCII)
_SKILL: Final = "script_skill"
"""The name in `customPayload` of the skill that the script chose by itself."""


_PAYLOAD: Final = "customPayload"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceRecipe:
    """What the steps name: the service, the variables of the Environment and its other block.

    `bot` has the variables of the intent and of the confidence. `names` has the attributes that
    rules use, and `attributes` their variables. `blocks` has the Environments of the same tenant whose rules are
    in a script.
    """

    environment: str
    url: str
    answer: Answer
    bot: tuple[str, str]
    names: tuple[str, ...]
    attributes: tuple[str, ...]
    blocks: tuple[str, ...]


def attribute_variables(
    attributes: Iterable[str], variables: Mapping[str, str], bot: tuple[str, str]
) -> tuple[str, ...]:
    """Return the variable of each attribute, in their order; `bot` has those of the bot.

    Raises NotStorableError for a name that a script cannot have as a variable, or that the recipe
    uses for another value.
    """
    # Studio does not tell upper case from lower case in the names of variables
    taken = {name.lower() for name in (*bot, _SKILL, _PAYLOAD)}
    found = []
    for attribute in attributes:
        name = variables.get(attribute, attribute)
        reason = ""
        if not _VARIABLE.fullmatch(name):
            reason = "is not letters, digits and _"
        elif name.lower() in taken or name.lower().startswith("cxr_"):
            reason = "stands for another value"
        if reason:
            problem = f"the attribute {quote_name(attribute)} has the variable {quote_name(name)}"
            hint = "specify another one in `api.served.variables`"
            raise NotStorableError(f"{problem}, which {reason}; {hint}")
        taken.add(name.lower())
        found.append(name)
    return tuple(found)


def format_service_recipe(recipe: ServiceRecipe) -> str:
    """Return the steps for each of the three ways to ask the service."""
    parts = [
        _introduction(recipe),
        _exchange_steps(recipe),
        _rest_steps(recipe),
        _cognigy_steps(recipe),
    ]
    return "\n".join(parts)


def _introduction(recipe: ServiceRecipe) -> str:
    holds = "number" if recipe.answer == "id" else "name"
    return f"""\
A script asks the decision service of {recipe.environment}. Nothing here was tried on a tenant.
Each step is (documented) by NICE or Cognigy, (third-party): only code shows it, or (unknown).

Choose one way. In a script: A for chat, email, SMS and digital; B for phone, because A may need a
prompt there (unknown). In a flow of Cognigy: C.
Replace DEFAULT_SKILL by the {holds} of the skill of the default routing.
Replace KEY, in CXone or Cognigy alone, by a key of CXROUTE_API_KEYS.

For A and B, assign these variables in the script, after the bot's turn:
     {", ".join(recipe.bot)}: from your bot's variables (unknown names); the confidence is 0 to 1, as 0.8
{_attribute_line(recipe)}\
     {_SKILL}: the {holds} of the skill that the script chooses today
"""


def _attribute_line(recipe: ServiceRecipe) -> str:
    """Return the line of the variables of attributes; empty if rules use none."""
    if not recipe.attributes:
        return ""
    return f"     {', '.join(recipe.attributes)}: for the rules; empty if not known\n"


def _exchange_steps(recipe: ServiceRecipe) -> str:
    return f"""\
A. WITH AN EXCHANGE ACTION, AFTER THE BOT'S TURN
1. In Virtual Agent Hub, add a Custom Exchange Endpoint (documented):
     URL            {recipe.url}/exchange
     Authorization  Bearer KEY
2. Put this SNIPPET before the exchange action, so that it runs before each exchange (documented).
   It sets the default skill first: a variable of an earlier answer would stay.

{_snippet(recipe, _PAYLOAD)}
3. Add TEXTBOT EXCHANGE (VOICEBOT EXCHANGE for phone), with the endpoint of step 1 (documented).
   Set its customPayload to {{customPayload}}. Its time-out is (unknown).
4. Connect ReturnControlToScript to step 6 (documented). The answer sets cxr_skill, cxr_rule,
   cxr_queue, cxr_fallback and cxr_digest. Without a rule, cxr_rule is empty, and cxr_skill stays
   the default one. If cxr_rule is always empty, your tenant may give the answer as one object
   (unknown). Then set customPayloadVarName of the action to cxr_answer, and put the SNIPPET of B.3
   before step 6, with {{cxr_answer.cxr_skill}} in its first line.
5. Connect Error, and every other branch, to step 6 (documented): cxr_skill still has the default
   skill there. Or connect them to {_block(recipe.blocks)}.
6. First compare: REQAGENT keeps its skill, and GET /rules/shadow lists where {_SKILL} differs.
   Then switch: Set Skill of REQAGENT to {{cxr_skill}} (documented). For a digital contact that is
   queued already, use REQAGENT (Digital): assume that it does not move otherwise (unknown).
"""


def _rest_steps(recipe: ServiceRecipe) -> str:
    return f"""\
B. WITH THE REST API ACTION, WITHOUT A BOT'S TURN
1. Put this SNIPPET before it (documented: nested members, asjson).

{_snippet(recipe, f"cxr_request.{_PAYLOAD}")}
2. Set the action to POST {recipe.url}/exchange,
   the parameters to {{cxr_request.asjson()}}, the result to cxr_answer, and the headers to
   {{"Authorization": "Bearer KEY", "Content-Type": "application/json"}} (documented).
   The script holds this key: give it one of its own. Set a time-out of 3 seconds. The action
   retries twice, so its Error branch comes after up to 9 seconds (documented).
3. Put this SNIPPET after it. Connect its Error branch, and that of the action, to REQAGENT
   (documented). What an absent member gives is (unknown): the default skill stays in both cases.

{_taken(f"cxr_answer.{_PAYLOAD}")}
4. Compare, then switch REQAGENT, as in A.6.
"""


def _cognigy_steps(recipe: ServiceRecipe) -> str:
    members = [f"{json.dumps(name)}: VALUE" for name in recipe.names]
    attributes = ",\n                     ".join(members)
    return f"""\
C. WITH AN HTTP REQUEST NODE OF COGNIGY, BEFORE THE HAND-OVER
1. Add the node after the one that detects the intent (documented):
     POST {recipe.url}/decide
   with the headers Authorization: Bearer KEY and Content-Type: application/json, and this JSON.
   $cs keeps the confidence a number: POST /decide refuses a text.
     {{"conversationId": {{"$cs": {{"script": "input.sessionId"}}}},
      "intent": {{"$cs": {{"script": "input.intent"}}}},
      "confidence": {{"$cs": {{"script": "input.intentScore"}}}},
      "attributes": {{{attributes}}},
      "scriptQueue": VALUE}}   (VALUE: a text needs quotes)
   Leave out an attribute without a value. scriptQueue is the queue that the flow chooses today.
2. Compare with GET /rules/shadow, as in A.6. Then hand over with queue.{recipe.answer} of the answer
   (third-party: the names of the hand-over's data). The answer also has rule, share, fallback and
   digest. queue is null without a rule: use the default skill, as after an error.
"""


def _taken(answer: str) -> str:
    """Return the SNIPPET that takes the skill out of an answer; the default one stays without."""
    lines = [
        f'ASSIGN cxr_found = "{{{answer}.cxr_skill}}"',
        'IF ( cxr_found != "" )',
        "{",
        '  ASSIGN cxr_skill = "{cxr_found}"',
        "}",
    ]
    return "\n".join([*lines, ""])


def _block(blocks: Sequence[str]) -> str:
    if not blocks:
        return "a block of a second Environment with `rules: studio`"
    names = ", ".join(blocks)
    return f"the block of {names} (`cxroute studio recipe`)"


def _snippet(recipe: ServiceRecipe, payload: str) -> str:
    """Return the SNIPPET that fills an object; an attribute without a value is left out."""
    declared = payload.partition(".")[0]
    lines = [
        'ASSIGN cxr_skill = "DEFAULT_SKILL"',
        'ASSIGN cxr_rule = ""',
        f"DYNAMIC {declared}",
    ]
    if declared != payload:
        lines.append(f'ASSIGN {declared}.executionInfo.contactId = "{{contactId}}"')
    # an empty intent or confidence is none for the service
    lines += [f'ASSIGN {payload}.{name} = "{{{name}}}"' for name in recipe.bot]
    for variable in (*recipe.attributes, _SKILL):
        lines += [
            f'IF ( {variable} != "" )',
            "{",
            f'  ASSIGN {payload}.{variable} = "{{{variable}}}"',
            "}",
        ]
    return "\n".join([*lines, ""])
