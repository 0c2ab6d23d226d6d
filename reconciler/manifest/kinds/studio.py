"""`api.studio`: the script and the managed block that hold the rules, with `api.rules: studio`."""

from typing import Annotated, Final

from pydantic import Field

import reconciler.manifest.kinds.fields as f

ScriptVariable = Annotated[str, Field(pattern=f.SCRIPT_VARIABLE)]
_FACT: Final = "Whether Studio {0}. Without it, cxroute proves that both answers route alike."


def _fact(text: str) -> bool | None:
    fact: bool | None = f.omittable(_FACT.format(text), True)
    return fact


class ScriptResult(f.StrictModel):
    """The script's variables that the block sets."""

    skill: ScriptVariable = f.exemplary("cxr_skill", "The variable that gets the id of the skill.")
    rule: ScriptVariable = f.exemplary("cxr_rule", "The variable that gets the rule's address, empty without a rule.")


class DialectFacts(f.StrictModel):
    """Facts about Studio's language that no document states; `cxroute studio probe` finds them on a tenant."""

    case_sensitive: f.Omittable[bool] = _fact("distinguishes `Card` from `card`")
    trims_blanks: f.Omittable[bool] = _fact("ignores blanks around a text in comparisons")
    digit_text_is_number: f.Omittable[bool] = _fact("reads a text of digits as a number")
    mixed_is_zero: f.Omittable[bool] = _fact("compares a text that is not a number as 0 with a number")


class Studio(f.StrictModel):
    """The Studio script with the rules. One action of it contains the two lines of the managed block."""

    script: Annotated[str, Field(pattern=f.SCRIPT_PATH)] = f.required(
        "The script's path in Studio: its folders and its name.", "Bot\\Hand-over"
    )
    block: f.Slug = f.exemplary("main", "The block's name in its first line, `// cxroute:begin OWNER/BLOCK`.")
    api_version: Annotated[str, Field(pattern=f.API_VERSION)] = f.exemplary(
        "v34.0", "The version in the paths of the Scripts API."
    )
    variables: dict[f.NonEmptyText, ScriptVariable] = f.optional(
        {},
        "The script's variable of an attribute, or of `intent` and `confidence`. Default: the attribute's name.",
        {"intent": "intent", "confidence": "confidence"},
    )
    result: ScriptResult = f.optional(
        ScriptResult(), "The variables that the block sets.", {"skill": "cxr_skill", "rule": "cxr_rule"}
    )
    dialect: DialectFacts = f.optional(
        DialectFacts(), "Known facts about Studio's language, from `cxroute studio probe`.", {"caseSensitive": True}
    )
