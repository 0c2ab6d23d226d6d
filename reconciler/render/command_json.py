"""The JSON that each command prints with `--format json`, and its JSON Schema, for programs that
read it.

Only `cxroute schema` loads this module; the writers import its types for mypy alone.
"""

from collections.abc import Mapping
from typing import Any, Final, Generic, Literal, NotRequired, TypeVar

from reconciler.core.behaviour.endpoint_stage import Doubt
from reconciler.core.model.change import Action
from reconciler.core.model.finding import Document
from reconciler.core.plan.plan_json import (
    Attributes,
    ClosedPart,
    Count,
    DestinationJson,
    FindingJson,
    IntervalJson,
    PlanJson,
    PlanPart,
    PromiseJson,
    RuleJson,
    SourceJson,
)

_PlanT = TypeVar("_PlanT")


class ErrorJson(ClosedPart):
    """Why a command failed."""

    kind: str
    message: str
    exitCode: Count
    findings: NotRequired[list[FindingJson]]


class FailureJson(ClosedPart):
    """The document of a command that failed."""

    error: ErrorJson


class FailedEnvironmentJson(PlanPart):
    """An environment for which there is no document."""

    environment: str
    error: ErrorJson


class SeveralJson(ClosedPart, Generic[_PlanT]):
    """One document for each environment."""

    environments: list[_PlanT | FailedEnvironmentJson]
    error: NotRequired[ErrorJson]


class TestCountsJson(ClosedPart):
    """How many route tests there are, and how many fail."""

    tests: Count
    failed: Count


class ValidationJson(ClosedPart):
    """The result of `cxroute validate`.

    `strict` is false if an error, or a warning that counts as one, makes the exit code 3.
    """

    valid: bool
    strict: bool
    findings: list[FindingJson]
    acknowledged: list[FindingJson]
    routeTests: TestCountsJson
    leftToCatchAll: list[str]


class RouteTestJson(ClosedPart):
    """The result of a route test in an environment.

    `interval`: when a test of rules with dates fails.
    """

    environment: str
    document: str
    test: Count
    source: SourceJson
    input: Attributes
    winner: str | None
    passed: bool
    message: str | None
    interval: NotRequired[IntervalJson]


class UnnoticedEditJson(ClosedPart):
    """An edit that moves conversations, and that no route test and no promise notices."""

    environment: str
    edit: str
    address: str
    witness: Attributes
    before: DestinationJson
    after: DestinationJson
    rules: list[RuleJson]


class AddedTestsJson(ClosedPart):
    """The route tests that `--write` added to a file."""

    file: str
    tests: Count


class AdequacyJson(ClosedPart):
    """How many single edits of rules no route test and no promise notices."""

    edits: Count
    unnoticed: Count
    percent: float
    undecided: Count
    examples: list[UnnoticedEditJson]
    added: NotRequired[AddedTestsJson]


class TestsJson(TestCountsJson):
    """The results of `cxroute test`."""

    passed: bool
    results: list[RouteTestJson]
    promises: list[PromiseJson]
    adequacy: NotRequired[AdequacyJson]


class CodeJson(ClosedPart):
    """The meaning of a code."""

    code: str
    title: str
    text: str


class NonMatchJson(ClosedPart):
    """A rule that does not take a conversation, and the first condition that does not hold."""

    rule: str
    condition: Document
    source: SourceJson | None


class WinnerJson(ClosedPart):
    """The rule that takes a conversation."""

    winner: str | None
    destination: DestinationJson | None


class NextMatchJson(ClosedPart):
    """The rule that would take a conversation without the winner."""

    rule: str | None
    destination: DestinationJson


class ExplanationJson(WinnerJson):
    """The answer of `cxroute explain`.

    If a condition is not understood, the winner is in `otherwise`.
    """

    environment: str
    rules: Literal["live", "manifests"]
    input: Attributes
    context: Attributes
    fallback: Doubt | None
    otherwise: NotRequired[WinnerJson]
    undecided: list[NonMatchJson]
    passed: list[NonMatchJson]
    winnerSource: SourceJson | None
    next: NextMatchJson
    tied: list[str]
    switchedOff: list[str]
    since: NotRequired[Document]  # with --since: the document of `cxroute since`


class OutcomeJson(ClosedPart):
    """What became of a change."""

    address: str
    action: Action
    status: Literal["applied", "failed", "skipped", "unknown"]
    error: str | None
    attempts: Count


class ApplyJson(PlanJson):
    """A plan, and what became of it."""

    outcomes: list[OutcomeJson]
    converged: bool
    run: NotRequired[str]
    notes: NotRequired[list[str]]
    error: NotRequired[ErrorJson]


OUTPUTS: Final[Mapping[str, Any]] = {
    "validate": ValidationJson,
    "test": TestsJson,
    "plan": PlanJson | SeveralJson[PlanJson],
    "apply": ApplyJson | SeveralJson[ApplyJson],
    "drift": PlanJson | SeveralJson[PlanJson],
    "explain": CodeJson | ExplanationJson,
}
"""The commands of the core with `--format json`, each with its document. A feature names the
documents of its commands in its `FEATURE`."""
