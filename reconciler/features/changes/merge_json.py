"""The JSON that `cxroute merge-check` prints."""

from typing import NotRequired

from reconciler.core.model.finding import Document
from reconciler.core.plan.plan_json import (
    Attributes,
    ClosedAssumedJson,
    ClosedPart,
    DestinationJson,
    FindingJson,
    IntervalJson,
    TypeJson,
    UnknownJson,
)


class MergeRulesJson(ClosedPart):
    """The address of the rule that takes conversations in each version; null: no rule."""

    base: str | None
    ours: str | None
    theirs: str | None
    merged: str | None


class MergeRowJson(ClosedPart):
    """Conversations that fulfil `where`, and that no rule in `earlier` takes.

    `base`, `ours`, `theirs` and `merged` are their destinations; `expected` is null in a conflict.
    `noExample` says why the example is null.
    """

    where: list[Document]
    earlier: list[str]
    base: DestinationJson
    ours: DestinationJson
    theirs: DestinationJson
    merged: DestinationJson
    expected: DestinationJson | None
    example: Attributes | None
    noExample: NotRequired[str]
    assumed: NotRequired[list[ClosedAssumedJson]]
    rules: MergeRulesJson


class MergeRuleJson(ClosedPart):
    """A rule that rows name, and the versions that have it with these conditions and priority."""

    address: str
    name: str
    versions: list[str]
    conditions: list[Document]
    priority: float


class MergedTieJson(ClosedPart):
    """Two rules of equal priority and different destinations, which neither change has both of.

    `example` is a conversation that both match; null: `noExample` says why, or whether there is
    one is not decided.
    """

    rules: list[str]
    example: Attributes | None
    noExample: NotRequired[str]


class MergeTimeJson(ClosedPart):
    """What a merge does at a time; `unknown` holds the conversations that are not decided."""

    complete: bool
    unknown: list[UnknownJson]
    surprises: list[MergeRowJson]
    conflicts: list[MergeRowJson]
    rules: dict[str, MergeRuleJson]
    restsOn: NotRequired[list[TypeJson]]
    ties: NotRequired[list[MergedTieJson]]


class MergeLaterJson(MergeTimeJson):
    """What a merge does in a later interval."""

    interval: IntervalJson


class MergedEnvironmentJson(MergeTimeJson):
    """One Environment now.

    `later` has the further intervals: only if rules have dates, and if the rows change.
    """

    later: NotRequired[list[MergeLaterJson]]


class FailedCheckJson(ClosedPart):
    """A route test or a promise that fails in the merged version, and in neither change."""

    environment: str
    finding: FindingJson


class MergeCheckJson(ClosedPart):
    """The result of `cxroute merge-check`.

    `others` names the Environments that not every version has.
    """

    environments: dict[str, MergedEnvironmentJson]
    others: list[str]
    failures: list[FailedCheckJson]
