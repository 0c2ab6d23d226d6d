"""The part of `api` in an Environment whose rules are in a Studio script."""

from typing import Annotated, Final, Literal

from pydantic import Field

import reconciler.core.manifest.kinds.fields as f

SkillForm = Literal["id", "name", "routing-queue"]
"""What the variable of the skill holds: the number of a skill, its name, or the id of a digital queue."""
ScriptVariable = Annotated[str, Field(pattern=f.SCRIPT_VARIABLE)]
_YES: Final = (True,)


class ScriptResult(f.StrictModel):
    """The script's variables that the block sets."""

    skill: ScriptVariable = f.exemplary(
        "cxr_skill", "The variable that gets the skill."
    )
    as_: SkillForm = Field(
        default="id",
        alias="as",
        description="What the variable of the skill gets: the number of a skill (`queues: acd-skills`), its name, or "
        "the id of a digital routing queue (`queues: digital`). No document says which of them REQAGENT accepts: use "
        "what your script assigns today.",
        examples=["name"],
    )
    rule: ScriptVariable = f.exemplary(
        "cxr_rule", "The variable that gets the rule's address, empty without a rule."
    )


class DialectFacts(f.StrictModel):
    """Facts about Studio's language from `cxroute studio probe`.

    An absent fact is proven not to matter.
    """

    case_sensitive: f.Omittable[bool] = f.omittable(
        "Whether Studio distinguishes `Card` from `card`.", *_YES
    )
    trims_blanks: f.Omittable[bool] = f.omittable(
        "Whether Studio ignores blanks around a text.", *_YES
    )
    digit_text_is_number: f.Omittable[bool] = f.omittable(
        "Whether a text of digits is a number.", *_YES
    )
    mixed_is_zero: f.Omittable[bool] = f.omittable(
        "Whether another text equals 0, compared with a number.", *_YES
    )


class Studio(f.StrictModel):
    """The Studio script with the rules.

    One action of it contains the two lines of the managed block.
    """

    script: Annotated[str, Field(pattern=f.SCRIPT_PATH)] = f.required(
        "Its folders and its name.", "Bot\\Hand-over"
    )
    block: f.Slug = f.exemplary(
        "main", "The block's name in its first line, `// cxroute:begin OWNER/BLOCK`."
    )
    api_version: Annotated[str, Field(pattern=f.API_VERSION)] = f.exemplary(
        "v34.0", "The version of the Scripts API."
    )
    variables: dict[f.NonEmptyText, ScriptVariable] = f.optional(
        {},
        "Variables by attribute, `intent` or `confidence`; others have the attribute's name.",
        {"intent": "intent"},
    )
    result: ScriptResult = f.optional(
        ScriptResult(), "The variables that the block sets.", {"skill": "cxr_skill"}
    )
    dialect: DialectFacts = f.optional(
        DialectFacts(), "Known facts about the language.", {"caseSensitive": True}
    )
