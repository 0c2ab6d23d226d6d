"""How the context endpoint (`cxroute serve`) writes what the bot understood, and what where the bot is unsure."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from reconciler.manifest.fields import Filled, Share, Strict, Unset

Parameter = Annotated[int, Field(ge=1, le=9)]


class Fallback(Strict):
    """What the context endpoint writes in place of an unknown or unsure intent."""

    intent: Filled = Field(description="The intent that is written instead.", examples=["none"])


class Signal(Strict):
    """Which of the parameters p1 to p9 of a signal holds what."""

    intent: Parameter = Field(default=1, description="The parameter that holds the intent.", examples=[1])
    confidence: Parameter = Field(
        default=2, description="The parameter that holds the confidence; empty where there is none.", examples=[2]
    )
    updated_at: Parameter = Field(default=3, description="The parameter that holds the event's time.", examples=[3])

    @model_validator(mode="after")
    def _one_each(self) -> Self:
        if len({self.intent, self.confidence, self.updated_at}) < 3:  # noqa: PLR2004 - three parameters
            raise PydanticCustomError(
                "CXR104", "two of intent, confidence and updatedAt are in one parameter of the signal"
            )
        return self


class Context(Strict):
    """How the context endpoint writes. Without `below`, values are written as they come."""

    writer: Literal["interaction", "digital-custom-fields", "voice-signal"] = Field(
        default="interaction",
        description="What is written: the context of an interaction, as in the tutorial; the custom fields of a digital"
        " contact, named as `attributes` says; or a signal to the script of a voice contact.",
    )
    signal: Signal = Field(
        default=Signal(),
        description="With `writer: voice-signal`, in which parameters the script finds what.",
        examples=[{"intent": 1, "confidence": 2, "updatedAt": 3}],
    )
    min_confidence: Unset[Share] = Field(
        default=None,
        description="How sure the bot must be, from 0 to 1; below that, the fallback is written instead. Default: 0.",
        examples=[0.4],
    )
    below: Unset[Fallback] = Field(
        default=None,
        description="What is written when the bot is less sure than that, or its intent is in no Intents document.",
        examples=[{"intent": "none"}],
    )

    @model_validator(mode="after")
    def _together(self) -> Self:
        if self.below is None and self.min_confidence is not None:
            raise PydanticCustomError("CXR103", 'missing field "below"')
        return self
