"""The JSON of plans, of drift and of differences (plan-json): one type for each object.

mypy checks that the writers fill these types. pydantic reads a saved plan by them, and derives the
JSON Schema. The writers import them for types alone, so that only these two load this module.
"""

import json
from collections.abc import Mapping
from functools import cache
from typing import Annotated, Any, Final, Literal, NotRequired, final

from pydantic import Field, TypeAdapter, ValidationError, WithJsonSchema, with_config
from typing_extensions import TypeAliasType, TypedDict

from reconciler.core.behaviour.diff.effects import Kind, When
from reconciler.core.manifest.kinds.fields import ADDRESS, DIGEST
from reconciler.core.model.change import Action, Cause
from reconciler.core.model.finding import Document, Severity

_DRAFT: Final = "https://json-schema.org/draft/2020-12/schema"


Text = Annotated[str, Field(min_length=1), WithJsonSchema({"type": "string"})]
Time = Annotated[str, Field(json_schema_extra={"format": "date-time"})]
Count = Annotated[int, Field(ge=0)]
Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
Attributes = Annotated[Mapping[str, Any], Field(description="attribute -> value")]


@with_config(extra="ignore")
class PlanPart(TypedDict):
    """An object in a plan. Fields may be added within format version 1, so others are ignored."""


@with_config(extra="forbid")
class ClosedPart(TypedDict):
    """An object without further fields."""


class SourceJson(PlanPart):
    """A position in a manifest."""

    file: str
    line: Count
    column: Count


_From = TypedDict("_From", {"from": Time | None})


class IntervalJson(_From, ClosedPart):
    """A time, without its end; null where it is open."""

    until: Time | None


class AcknowledgedJson(PlanPart):
    """Why a finding is accepted."""

    reason: str


class FindingJson(PlanPart):
    """A finding about manifests or rules.

    About several rules or places: `sources` has one for each, in the order of `addresses`.
    """

    code: Annotated[str, Field(pattern="^CXR[0-9]{3}$")]
    severity: Severity
    message: str
    address: str | None
    source: SourceJson | None
    addresses: NotRequired[list[str]]
    sources: NotRequired[list[SourceJson | None]]
    acknowledged: NotRequired[AcknowledgedJson]


class RuleJson(PlanPart):
    """A rule in the API's form, with the names of its queues."""

    id: NotRequired[str]
    name: str
    description: str
    priority: float
    enabled: bool
    conditions: list[Document]
    targets: list[Document]


class StepJson(PlanPart):
    """A call of a change, in its wave; `copy`: it is about a temporary copy of the rule."""

    wave: Annotated[int, Field(ge=1)]
    call: Literal["create", "update", "delete"]
    copy: bool


class FieldJson(PlanPart):
    """A changed field, by its path in the API's form."""

    path: str
    before: Any
    after: Any


class AcceptJson(PlanPart):
    """The entry of `unmanaged.accept` that accepts a rule."""

    name: str
    digest: Annotated[str, Field(pattern=DIGEST)]


class ChangeJson(PlanPart):
    """A change of one rule. Only in drift: `since` is the run that last wrote a missing rule,
    `dueSince` the date that alone caused the change.
    """

    action: Literal[Action, "none"]
    address: Annotated[str, Field(pattern=ADDRESS)] | None
    id: str | None
    name: str
    cause: Literal[Cause, "missing", "unmanaged", "date"]
    steps: list[StepJson]
    before: RuleJson | None
    after: RuleJson | None
    fields: list[FieldJson]
    source: SourceJson | None
    since: NotRequired[str | None]
    dueSince: NotRequired[Time]
    accept: NotRequired[AcceptJson]


class HeldJson(ChangeJson):
    """A change that is not made now, and the reason."""

    reason: str


class QueueJson(PlanPart):
    """A queue, and its share of the conversations."""

    queueId: str | None
    queueName: str | None
    share: float


@final
class QueuesJson(PlanPart):
    """The queues that conversations go to."""

    queues: list[QueueJson]


@final
class DefaultJson(PlanPart):
    """The tenant's default routing."""

    default: Literal[True]


DestinationJson = TypeAliasType("DestinationJson", QueuesJson | DefaultJson)


class ShareJson(PlanPart):
    """A share of the sample in percent: minimum and maximum."""

    least: float
    most: float


class AssumedJson(PlanPart):
    """Whether a condition that is not understood holds in an example."""

    condition: Document
    holds: bool


class ExampleJson(TypedDict):
    """What an example assumes about conditions that are not understood; absent if there are
    none.

    `noExample` says why the example is null.
    """

    assumed: NotRequired[list[AssumedJson]]
    noExample: NotRequired[str]


class RuleCauseJson(PlanPart):
    """A rule that is edited; `source` is `file:line`."""

    address: str
    action: Literal[Action, "changed", "disabled", "deleted", "added"]
    fields: list[str]
    source: str | None


class UnmanagedCauseJson(PlanPart):
    """An unmanaged live rule."""

    action: Literal["unmanaged"]
    name: str
    id: str


class FallbackCauseJson(PlanPart):
    """The endpoint's fallback."""

    action: Literal["fallback"]


class RowJson(ExampleJson, PlanPart):
    """Conversations that fulfil `where`, and that no rule in `earlier` takes.

    `earlier` and `counterpart` have names of `rules`; a counterpart null is the default routing.
    Attributes in `otherType` have another type, text or number, than the rules expect.
    """

    kind: Kind
    where: list[Document]
    earlier: list[str]
    counterpart: list[str | None]
    before: DestinationJson
    after: DestinationJson
    example: Attributes | None
    share: ShareJson | None
    otherType: NotRequired[list[str]]


class EffectJson(PlanPart):
    """Equal edits, and the conversations that they move."""

    causes: list[RuleCauseJson | UnmanagedCauseJson | FallbackCauseJson]
    share: ShareJson | None
    rows: list[RowJson]


class NamedRuleJson(PlanPart):
    """A rule that rows name, with what a program needs to evaluate a row."""

    address: str | None
    name: str
    id: str | None
    when: When
    conditions: list[Document]
    priority: float


_Except = TypedDict("_Except", {"except": list[list[Document]]})


class RegionJson(_Except, ExampleJson, PlanPart):
    """Conversations that go elsewhere, with an example."""

    where: list[Document]
    before: DestinationJson
    after: DestinationJson
    witness: Attributes | None
    beforeRule: str | None
    afterRule: str | None
    beforeRules: list[str | None]
    afterRules: list[str | None]
    trafficPercent: float | None
    trafficPercentLeast: NotRequired[float]


class BalanceJson(PlanPart):
    """A queue's share of the sample in percent: the maximum, and the minimum if it is lower.

    `change` is how much more the queue gets; less than 0: how much less. `default` is present where
    no queue is named: whether that is the default routing, or no queue.
    """

    queueId: str | None
    queueName: str | None
    default: NotRequired[bool]
    before: float
    beforeLeast: NotRequired[float]
    after: float
    afterLeast: NotRequired[float]
    change: float
    changeLeast: NotRequired[float]


class ImpactSummaryJson(PlanPart):
    """The shares of all queues."""

    balance: list[BalanceJson]


class UnknownJson(PlanPart):
    """Conversations of which it is not known where they go."""

    where: list[Document]


class TypeJson(PlanPart):
    """A type that the result is based on; a number may have bounds."""

    attributeName: str
    type: Literal["text", "number"]
    least: NotRequired[float]
    most: NotRequired[float]


class BehaviourJson(PlanPart):
    """The impact on conversations. `headline` is one sentence about the most important move."""

    changed: bool
    complete: bool
    headline: str
    effects: list[EffectJson]
    rules: dict[str, NamedRuleJson]
    summary: ImpactSummaryJson
    regions: list[RegionJson]
    unknown: NotRequired[list[UnknownJson]]
    restsOn: NotRequired[list[TypeJson]]


class RulePairJson(PlanPart):
    """The rules that take conversations before and after."""

    before: str | None
    after: str | None


class RecordJson(PlanPart):
    """A recorded conversation."""

    line: Count
    attributes: Mapping[str, Any]


class DestinationPairJson(PlanPart):
    """Recorded conversations with the same destinations."""

    before: DestinationJson
    after: DestinationJson
    moved: float
    rules: list[RulePairJson]
    examples: list[RecordJson]


class ReplayJson(PlanPart):
    """The recorded conversations that go elsewhere."""

    file: str
    total: float
    moved: float
    movedPercent: float
    unknown: float
    unrecorded: list[str]
    unseen: list[str]
    pairs: list[DestinationPairJson]
    unlisted: float


class ClosedAssumedJson(ClosedPart):
    """Whether a condition that is not understood holds in an example."""

    condition: Document
    holds: bool


class ViolationJson(_Except, ClosedPart):
    """Conversations that break a promise: each goes to `destination` by `rule` (null: no rule).

    `noExample` says why the witness is null.
    """

    where: list[Document]
    destination: DestinationJson
    witness: Attributes | None
    rule: str | None
    assumed: NotRequired[list[ClosedAssumedJson]]
    noExample: NotRequired[str]


class PromiseJson(ClosedPart):
    """The result of a promise in an environment.

    `interval`: when a promise about rules with dates is broken.
    """

    environment: str
    document: str
    name: str
    severity: Literal["error", "warning"]
    holds: bool | None
    violations: list[ViolationJson]
    interval: NotRequired[IntervalJson]


class ConsentJson(PlanPart):
    """A queue whose callers change or may change: one of its owners must consent."""

    queueId: str | None
    queueName: str
    owners: list[str]
    change: Literal["gains", "loses", "both", "unknown"]


class ToolJson(PlanPart):
    """The program that wrote the plan."""

    name: Literal["cxroute"]
    version: str


class SampleJson(PlanPart):
    """A traffic sample."""

    file: str
    digest: Sha256


class OptionsJson(PlanPart):
    """The options of a plan: apply plans again with them.

    `at`: only with --at, the time that the plan is for; apply refuses it. `due`: only with --due;
    `only` then has the addresses of what is due, and may be empty.
    """

    only: list[str]
    adopt: bool
    keepDrift: bool
    undo: str | None
    traffic: SampleJson | None
    base: str | None
    at: NotRequired[Time]
    due: NotRequired[bool]


class FallbackJson(PlanPart):
    """The endpoint's fallback."""

    intent: str | None
    minConfidence: float
    knownIntents: list[str]


class EndpointJson(PlanPart):
    """The endpoint's fallback before and after the change."""

    before: FallbackJson
    after: FallbackJson


class SummaryJson(PlanPart):
    """The number of changes by action, and of rules without a change; in drift also those of each
    section.
    """

    create: Count
    update: Count
    adopt: Count
    delete: Count
    unchanged: Count
    held: Count
    unmanaged: Count
    changed: NotRequired[Count]
    missing: NotRequired[Count]
    inTheWay: NotRequired[Count]
    notApplied: NotRequired[Count]
    accepted: NotRequired[Count]
    due: NotRequired[Count]
    unwatched: NotRequired[Count]
    undecidedWatch: NotRequired[Count]


class GuardJson(PlanPart):
    """The result of a guard: its number, its limit, and in `allowed` why it was lifted."""

    name: str
    value: float
    limit: float
    ok: bool
    message: str
    allowed: str | None


class SaveJson(PlanPart):
    """Who saved the script that holds the rules, and when."""

    by: str
    at: str


class LaterJson(PlanPart):
    """What changes at a time, against the time before it, if nothing else changes until then.

    - `changes`: without their steps; a rule that the tenant does not have yet has no id
    - `promises`: those that the rules do not keep then
    - `due`: only if a freeze delays changes until `at`, or if steps wait for their conditions: the
      dates at which they are due
    """

    at: Time
    changes: list[ChangeJson]
    behaviour: BehaviourJson
    guards: list[GuardJson]
    promises: list[PromiseJson]
    due: NotRequired[list[Time]]


class EditedDateJson(PlanPart):
    """A date of a rule that a change of manifests edits.

    - `before`, `after`: null where the rule has no such date; equal if the rule or its `if` is edited
    """

    address: Text
    event: Literal["begins", "changes", "ends"]
    before: Time | None
    after: Time | None


class PlanJson(PlanPart):
    """A plan, or the report of `cxroute drift`.

    - `acknowledged`: findings that `accept:` accepts, each with the reason
    - `view`: only in a saved plan, the texts that `cxroute show` prints
    - `consent`: only if a queue has owners, whose consent it needs
    - `later`: only if a rule has a date, what changes in the next 90 days
    - `editedDates`: only with `--base` and if a rule has a date, the dates that the change edits
    - `lastSave`: only of `drift` with Studio
    - `report`: only in a report of `cxroute drift`, the current differences
    """

    formatVersion: Annotated[str, WithJsonSchema({"const": "1.0"})]
    tool: ToolJson
    environment: Text
    owner: Text
    generatedAt: Time
    manifestDigest: Sha256
    liveDigest: Sha256
    planId: Annotated[str, Field(pattern="^[0-9a-f]{12}$")]
    options: OptionsJson
    endpoint: EndpointJson | None
    summary: SummaryJson
    changes: list[ChangeJson]
    held: list[HeldJson]
    behaviour: BehaviourJson | None
    findings: list[FindingJson]
    acknowledged: list[FindingJson]
    guards: list[GuardJson]
    replay: NotRequired[ReplayJson]
    view: NotRequired[Document]
    consent: NotRequired[list[ConsentJson]]
    later: NotRequired[list[LaterJson]]
    editedDates: NotRequired[list[EditedDateJson]]
    lastSave: NotRequired[SaveJson]
    report: NotRequired[Literal["drift"]]


def plan_schema() -> Document:
    """Return the JSON Schema of a plan.

    Fields may be added within format version 1; none is removed.
    """
    return json_schema(PlanJson, "cxroute plan")


def json_schema(form: Any, title: str) -> Document:  # noqa: ANN401 - any type
    """Return the JSON Schema of a type, draft 2020-12."""
    adapter: TypeAdapter[Any] = TypeAdapter(form)
    # The names of definitions are those of the types without their ending.
    text = json.dumps(adapter.json_schema()).replace('Json"', '"')
    return {
        "$schema": _DRAFT,
        "title": title,
        **json.loads(text, object_hook=_without_title),
    }


def _without_title(part: Document) -> Document:
    """Return a part of a schema without the title that pydantic derives from a name."""
    return {
        name: value
        for name, value in part.items()
        if name != "title" or not isinstance(value, str)
    }


def parse_plan(text: str) -> PlanJson:
    """Return a saved plan as it was written.

    Raises ValueError that names the first wrong field, and RecursionError.
    """
    form: PlanJson = json.loads(text)
    try:
        _plan_adapter().validate_python(form, strict=True)
    except ValidationError as error:
        problem = error.errors()[0]
        place = ".".join(map(str, problem["loc"])) or "the document"
        raise ValueError(f"{place}: {problem['msg']}") from None
    return form


@cache
def _plan_adapter() -> TypeAdapter[PlanJson]:
    return TypeAdapter(PlanJson)
