"""What an apply must not do in an Environment: the guards that have numbers or names, and how they are lifted."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from reconciler.manifest.fields import (
    ADDRESS,
    ADDRESSES,
    Filled,
    FindingCode,
    LongList,
    Percent,
    ShortList,
    Strict,
    Timestamp,
    Unset,
)

GuardName = Literal["deletes", "changes", "emptied", "protected", "unrouted", "traffic", "freeze", "transient"]


class Limit(Strict):
    """How many may go or change: whichever of the two is more. One that is left out is 0."""

    count: Annotated[int, Field(ge=0, le=2**31 - 1)] = Field(
        default=0,
        description="So many are always allowed, however few rules there are.",
        examples=[2],
    )
    percent: Percent = Field(
        default=0, description="So many percent of all managed rules are allowed, where that is more.", examples=[30]
    )


class TrafficLimit(Strict):
    """How much of the traffic sample may go to another queue."""

    percent: Percent = Field(
        description="So many percent of the sample's conversations may go to another queue.", examples=[10]
    )


class Allow(Strict):
    """A guard that is lifted until a time, reviewed like all else."""

    name: GuardName = Field(
        description="The guard to lift, by the name that a refusal says.",
        examples=["deletes"],
    )
    until: Timestamp = Field(
        description="When the guard holds again: a time with its offset from UTC.", examples=["2026-12-01T00:00:00Z"]
    )
    reason: Filled = Field(
        description="Why it may be lifted; shown in plans and kept in the journal.", examples=["CHG-1042"]
    )


class Accept(Strict):
    """A finding that is meant in this Environment: it is counted and not shown."""

    code: FindingCode = Field(description="The finding's code. An error cannot be accepted.", examples=["CXR202"])
    address: Unset[Annotated[str, Field(pattern=ADDRESSES)]] = Field(
        default=None,
        description="The rules that it is accepted for, such as exchange/* (* stands for anything). Default: findings"
        " that are about no single rule.",
        examples=["exchange/*"],
    )
    reason: Filled = Field(
        description="Why the finding is meant; kept in the plan's JSON.",
        examples=["the rule made by hand goes in June"],
    )


class Guard(Strict):
    """What an apply must not do: beyond these, it refuses."""

    deletes: Limit = Field(
        default=Limit(count=2, percent=30),
        description="How many rules one apply may delete or switch off before it refuses: the larger of a count and a"
        " percentage.",
        examples=[{"count": 2, "percent": 30}],
    )
    changes: Unset[Limit] = Field(
        default=None,
        description="How many rules one apply may update or delete before it refuses. Default: no limit.",
        examples=[{"count": 10, "percent": 20}],
    )
    traffic: Unset[TrafficLimit] = Field(
        default=None,
        description="How much of the traffic sample one apply may send to other queues. Default: no limit.",
        examples=[{"percent": 10}],
    )
    protected: LongList[Annotated[str, Field(pattern=ADDRESS)]] = Field(
        default=(),
        description="Rules (RuleSet's name/key) that may not be deleted, switched off or routed otherwise, and whose"
        " conversations may go nowhere else.",
        examples=[["cards/lost-or-stolen-card"]],
    )
    allow: ShortList[Allow] = Field(
        default=(),
        description="Guards that are lifted for a while, each with a reason. Shown above all else in every plan.",
        examples=[[{"name": "deletes", "until": "2026-12-01T00:00:00Z", "reason": "CHG-1042"}]],
    )
