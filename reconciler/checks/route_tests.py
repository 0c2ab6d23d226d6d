"""RouteTests x the rules of one environment -> which tests hold, and for each that fails where its conversation goes.

Offline, against the rules that the manifests want alone; or against all live rules, unmanaged ones included.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from reconciler.behaviour.evaluate import RuleIndex, UnknownConditionError, canonical
from reconciler.behaviour.routing_entry import Destination, Entry, destination, in_order
from reconciler.desired.desired import Desired, as_written, written_types
from reconciler.desired.queues import AssumedCatalogue, Catalogue, QueueError
from reconciler.desired.substitution import SHARE, WEIGHT, Kind, TextBudget, TooMuchTextError, fill
from reconciler.model.rule import Json, Opaque, Source, Target
from reconciler.plan.routing_table import desired_entries
from reconciler.text.escape import quote
from reconciler.text.phrases import split_phrase
from reconciler.text.suggest import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from reconciler.manifest.kinds.environment import Environment
    from reconciler.manifest.kinds.route_tests import RouteTest, RouteTests
    from reconciler.manifest.source_map import Loaded
    from reconciler.model.finding import Finding

    Conversation = Mapping[str, str | int | float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """One test, tried in one environment. `failure` says what went wrong; None where the test holds."""

    environment: str
    document: str
    number: int
    """Which test of its document it is, from 1."""
    source: Source
    given: Conversation
    """The conversation, by the API's names of attributes; empty where the test cannot be read."""
    winner: Entry | None
    failure: Finding | None


class _WrongTestError(Exception):
    """The test itself cannot be read in this environment."""

    def __init__(self, code: str, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.code, self.hint = code, hint


def verify(
    documents: Iterable[Loaded[RouteTests]], environment: Environment, catalogue: AssumedCatalogue, desired: Desired
) -> tuple[Tried, ...]:
    """Try every test. `catalogue` must be the one that `desired` was made with: both name queues alike."""
    return _tried(documents, _Trial(environment, catalogue, desired_entries(desired), {}))


def verify_live(
    documents: Iterable[Loaded[RouteTests]], environment: Environment, catalogue: Catalogue, entries: Sequence[Entry]
) -> tuple[Tried, ...]:
    """Try every test on all live rules, whose queues are those of `catalogue`.

    A condition that is not understood counts as one that does not hold: no test can say what it asks. A rule that may
    take conversations by such a condition is in the way of the manifests, which drift reports.
    """
    parts = (part for entry in entries for part in entry.rule.conditions)
    assumed = {part.text: False for part in parts if isinstance(part, Opaque)}
    return _tried(documents, _Trial(environment, catalogue, entries, assumed))


def _tried(documents: Iterable[Loaded[RouteTests]], trial: _Trial) -> tuple[Tried, ...]:
    return tuple(trial.tried(loaded, place) for loaded in documents for place in range(len(loaded.document.tests)))


class _Trial:
    """The rules of one environment in order, and what its queues and variables are called."""

    def __init__(
        self,
        environment: Environment,
        catalogue: Catalogue,
        entries: Iterable[Entry],
        assumed: Mapping[str, bool],
    ) -> None:
        self.environment = environment
        self.catalogue = catalogue
        self._assumed = assumed
        self._types = written_types(environment)
        self._budget = TextBudget()
        self._budgets: dict[str, TextBudget] = {}
        self._rules = RuleIndex(in_order(entries, environment.api.evaluation))

    def tried(self, loaded: Loaded[RouteTests], place: int) -> Tried:
        """Try the test at one place of its document."""
        self._budget = self._budgets.setdefault(loaded.file, TextBudget())
        given: Conversation = {}
        found, failure = None, None
        test = loaded.document.tests[place]
        try:
            given, expected = self._read(test)
            found = self._rules.winner(given, self._assumed)
            goes = None if found is None else destination(found.rule.targets)
            if goes != expected:
                message = f"expected {self._phrase(expected)}, but {self._goes(found, goes)}"
                failure = loaded.finding("CXR220", message, "tests", place, hint=self._by_id(test, goes))
        except _WrongTestError as wrong:
            failure = loaded.finding(wrong.code, str(wrong), "tests", place, hint=wrong.hint)
        except UnknownConditionError as unknown:
            message = f"nobody can say where this goes: a rule asks something that is not understood, {unknown}"
            failure = loaded.finding("CXR220", message, "tests", place)
        source = loaded.at("tests", place)
        return Tried(
            environment=self.environment.name,
            document=loaded.document.name,
            number=place + 1,
            source=source,
            given=given,
            winner=found,
            failure=failure,
        )

    def _read(self, test: RouteTest) -> tuple[Conversation, Destination]:
        """Return the conversation and where it must go, variables filled in. Raises _WrongTestError."""
        names, given = self.environment.attributes, test.given
        confidence = self._typed(given.confidence, SHARE, "confidence")
        attributes: dict[str, Json] = {names.intent: self._filled(given.intent), names.confidence: confidence}
        for written, said in given.attributes.items():
            name = str(self._filled(written))
            if attributes.get(name) is not None:
                raise _WrongTestError("CXR104", f'the conversation says "{name}" twice')
            attributes[name] = self._filled(said)
        conversation = as_written(self._types, canonical(attributes))
        if test.expect.default:
            return conversation, None
        weights = {name: self._typed(weight, WEIGHT, "split") for name, weight in _weights(test).items()}
        targets = [self._target(name, weight) for name, weight in weights.items()]
        return conversation, destination(targets)

    def _target(self, written: str, weight: float) -> Target:
        try:
            return Target(self.catalogue.resolve(str(self._filled(written))).id, weight)
        except QueueError as error:
            raise _WrongTestError(error.code, str(error), error.hint) from None

    def _typed(self, written: Json, kind: Kind, name: str) -> Json:
        """Return the value of a field that is not text, or of the variable that stands there."""
        value = self._filled(written)
        if value is not None and not kind.fits(value):
            raise _WrongTestError("CXR104", f"{name} must be {kind.must}, and {written} is not")
        return value

    def _filled(self, value: Json) -> Json:
        variables = self.environment.vars
        if not isinstance(value, str) or "$" not in value:
            return value
        try:
            filled = fill(value, variables)
            self._budget.take(filled)
        except TooMuchTextError as error:
            raise _WrongTestError("CXR010", str(error), "shorten the variables, or split the file") from None
        except KeyError as missing:
            name = str(missing.args[0])
            message = f'the Environment has no variable "{name}" in its vars'
            raise _WrongTestError("CXR107", message, did_you_mean(name, variables)) from None
        except ValueError as error:
            raise _WrongTestError("CXR104", str(error)) from None
        return filled

    def _goes(self, found: Entry | None, goes: Destination) -> str:
        if found is None:
            return "no rule takes it: it goes to the tenant's default routing"
        where = f" ({found.source.file}:{found.source.line})" if found.source else ""
        rule = str(found.address) if found.address else quote(found.name)
        return f"goes to {self._phrase(goes)} by rule {rule}{where}"

    def _phrase(self, where: Destination) -> str:
        """Say a destination: `"Fraud"`, or `80 % "Cards" and 20 % "General"`."""
        if where is None:
            return "the tenant's default routing"
        return split_phrase(where, self._name, " and ")

    def _name(self, queue_id: str) -> str:
        queue = self.catalogue.known.get(queue_id)
        return quote(queue.name if queue else queue_id)

    def _by_id(self, test: RouteTest, goes: Destination) -> str:
        """Say why one queue may count as two: the test has its live name, and the manifests name it by id."""
        offline = isinstance(self.catalogue, AssumedCatalogue)
        if not offline or all(name in self.catalogue.aliases for name in _weights(test)):
            return ""
        ids = (self.catalogue.known.get(queue_id) for queue_id, _ in goes or ())
        alias = next((queue.name for queue in ids if queue and queue.id != queue.name), "")
        named = f'queue "{alias}" is named by id in {self.environment.name}'
        return f"{named}: offline, only that alias means it" if alias else ""


def _weights(test: RouteTest) -> Mapping[str, str | int | float]:
    expect = test.expect
    return {expect.queue: 1} if expect.queue is not None else expect.split or {}
