"""The set-up of a script that asks a decision service: steps with exact names and texts."""

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

    `bot` has the variables of the intent and of the confidence. `attributes` has the variables of
    the attributes that rules use. `blocks` has the Environments of the same tenant whose rules are
    in a script.
    """

    environment: str
    url: str
    answer: Answer
    bot: tuple[str, str]
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
Each step says how sure it is: (documented) by NICE or Cognigy; (third-party) code alone shows it;
(unknown) no source was found. Replace DEFAULT_SKILL by the {holds} of the skill of the default
routing. Replace KEY, in CXone or Cognigy alone, by a key of CXROUTE_API_KEYS.
"""


def _exchange_steps(recipe: ServiceRecipe) -> str:
    return f"""\
A. WITH THE EXCHANGE ACTION OF A BOT
1. In Virtual Agent Hub, add a Custom Exchange Endpoint (documented):
     URL            {recipe.url}/exchange
     Authorization  Bearer KEY
2. Put this SNIPPET before the exchange action, so that it runs before each exchange (documented).
   It sets the default skill first: a variable of an earlier answer would stay. The script has
   to assign {_listed(recipe)} before.
   {_SKILL} is the skill that the script chooses today, for GET /rules/shadow.

{_snippet(recipe, _PAYLOAD)}
3. Add TEXTBOT EXCHANGE for chat, email, SMS and digital, or VOICEBOT EXCHANGE for phone
   (documented). Set its customPayload to {{customPayload}}. The time-out, and whether a phone
   contact needs a prompt: (unknown).
4. Connect ReturnControlToScript to step 6 (documented). The answer sets cxr_skill, cxr_rule,
   cxr_queue, cxr_fallback and cxr_digest. Without a rule, cxr_rule is empty, and cxr_skill stays
   the default one. If the script has no such variable, look in the object that the action's
   customPayloadVarName names (unknown which one holds).
5. Connect Error, and every other branch, to step 6 with the default skill (documented){_block(recipe.blocks)}.
6. Set Skill of REQAGENT to {{cxr_skill}} (documented). A digital contact that is queued already
   does not move without REQAGENT (Digital) (unknown: no source says that it does).
"""


def _rest_steps(recipe: ServiceRecipe) -> str:
    return f"""\
B. WITH THE REST API ACTION, WITHOUT A BOT'S TURN
1. Put this SNIPPET before it (documented: nested members, asjson). A script holds texts: POST
   /exchange reads "0.8" as a number, and POST /decide refuses a confidence that is a text.

{_snippet(recipe, f"cxr_request.{_PAYLOAD}")}
2. Set the action to POST {recipe.url}/exchange,
   the parameters to {{cxr_request.asjson()}}, the result to cxr_answer, and the headers to
   {{"Authorization": "Bearer KEY", "Content-Type": "application/json"}}. The script holds this key:
   give it one of its own. The time-out is at most 90 seconds: set 3 seconds. The action retries
   twice, so its Error branch comes after up to 9 seconds (documented).
3. Put this SNIPPET after it. Connect its Error branch, and that of the action, to REQAGENT
   (documented). What an absent member gives is (unknown): the default skill stays in both cases.

ASSIGN cxr_found = "{{cxr_answer.customPayload.cxr_skill}}"
IF ( cxr_found != "" )
{{
  ASSIGN cxr_skill = "{{cxr_found}}"
}}

4. Set Skill of REQAGENT to {{cxr_skill}}, as in A.6.
"""


def _cognigy_steps(recipe: ServiceRecipe) -> str:
    return f"""\
C. WITH AN HTTP REQUEST NODE OF COGNIGY, BEFORE THE HAND-OVER
1. Send POST {recipe.url}/decide
   with the header Authorization: Bearer KEY and this body (documented). intent and confidence are
   the bot's; attributes have their names in the manifests.
     {{"conversationId": "...", "intent": "...", "confidence": 0.8, "attributes": {{}},
      "scriptQueue": "..."}}
2. Hand over with queue.{recipe.answer} of the answer (third-party: the names of the hand-over's data). The
   answer also has rule, share, fallback and digest. queue is null without a rule: use the default
   skill, as after an error.
"""


def _listed(recipe: ServiceRecipe) -> str:
    return ", ".join((*recipe.bot, *recipe.attributes))


def _block(blocks: Sequence[str]) -> str:
    if not blocks:
        return ",\n   or to a block of a second Environment with `rules: studio`"
    names = ", ".join(blocks)
    return f",\n   or to the block of {names} (`cxroute studio recipe`)"


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
