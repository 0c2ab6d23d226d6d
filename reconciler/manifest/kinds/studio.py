"""`api.studio`: the script and the managed block that hold the rules, with `api.rules: studio`."""

from typing import Annotated, Final

from pydantic import Field

import reconciler.manifest.kinds.fields as f

ScriptVariable = Annotated[str, Field(pattern=f.SCRIPT_VARIABLE)]
_YES: Final = (True,)
_UNKNOWN: Final = ". Without it, cxroute proves that both answers route alike."


class ScriptResult(f.StrictModel):
    """The script's variables that the block sets."""

    skill: ScriptVariable = f.exemplary("cxr_skill", "The variable that gets the id of the skill.")
    rule: ScriptVariable = f.exemplary("cxr_rule", "The variable that gets the rule's address, empty without a rule.")


class DialectFacts(f.StrictModel):
    """Facts about Studio's language that no document states; `cxroute studio probe` finds them on a tenant."""

    case_sensitive: f.Omittable[bool] = f.omittable(f"Whether Studio distinguishes `Card` from `card`{_UNKNOWN}", *_YES)
    trims_blanks: f.Omittable[bool] = f.omittable(
        f"Whether Studio ignores blanks around a text in comparisons{_UNKNOWN}", *_YES
    )
    digit_text_is_number: f.Omittable[bool] = f.omittable(
        f"Whether Studio reads a text of digits as a number{_UNKNOWN}", *_YES
    )
    mixed_is_zero: f.Omittable[bool] = f.omittable(
        f"Whether Studio compares a text that is not a number as 0 with a number{_UNKNOWN}", *_YES
    )


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
