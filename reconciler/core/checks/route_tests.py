"""RouteTests x the rules of one environment -> the results of the tests, and the actual route of
each failed one.

Offline, the rules are the desired ones; with a tenant, they are all live rules, also unmanaged
ones.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, tzinfo
from typing import Final, Generic, Literal, TypeVar, cast

from reconciler.core.behaviour.endpoint_stage import EndpointStage
from reconciler.core.behaviour.evaluate import (
    Conversation,
    OpaqueConditionError,
    RuleIndex,
    canonical_attributes,
)
from reconciler.core.behaviour.routing_entry import (
    Destination,
    RoutingEntry,
    destination_of,
    destination_of_rule,
    order_entries,
)
from reconciler.core.checks.checked_rules import expand_checked
from reconciler.core.desired.calendar import ALWAYS, Interval, interval_phrase
from reconciler.core.desired.desired import (
    DesiredState,
    Phase,
    phases_at,
    phases_from_now,
)
from reconciler.core.desired.expand import FieldExpander, InvalidRuleError, TextBudget
from reconciler.core.desired.expand_dates import read_instant, zone_of
from reconciler.core.desired.queues import (
    OfflineQueueResolver,
    QueueResolver,
    resolve_aliases,
)
from reconciler.core.desired.substitution import SCALAR, SHARE, WEIGHT
from reconciler.core.errors import ManifestError
from reconciler.core.manifest.documents import Given, RouteTest, RouteTests
from reconciler.core.manifest.kinds.environment import Environment
from reconciler.core.manifest.load import Manifests
from reconciler.core.manifest.source_map import LoadedDocument
from reconciler.core.model.finding import Finding
from reconciler.core.model.rule import Json, Opaque, Source, Target
from reconciler.core.plan.promises import PromiseResult, run_promises
from reconciler.core.plan.routing_table import (
    desired_entries,
    live_entries,
    ordered_rules,
    route_phrase,
)
from reconciler.core.plan.stages import LiveState
from reconciler.core.plan.words import destination_phrase
from reconciler.core.target import StoredText
from reconciler.core.text.phrases import Labels

_FAILED: Final = "CXR220"  # a test that can be read, and fails
_UNKNOWN_DESTINATION: Final = "the destination is unknown: a rule has a condition that cxroute does not understand"


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteTestResult:
    """The result of one test in one environment. `failure` is None if the test passed."""

    environment: str
    document: str
    number: int  # the position of the test in its document, from 1
    source: Source
    # with the API's names of attributes; empty if the test cannot be read
    conversation: Conversation
    context: Conversation  # what the rules read; unlike the conversation if the endpoint changes it
    winner: RoutingEntry | None
    failure: Finding | None
    # when it fails; None for rules without dates
    interval: Interval | None = None
    # whether the test is about another time than now
    is_of_another_time: bool = False

    @property
    def is_read(self) -> bool:
        """Return whether the test could be read; otherwise it states no conversation."""
        return self.failure is None or self.failure.code == _FAILED


CheckResult = RouteTestResult | PromiseResult


def run_route_tests(
    documents: Iterable[LoadedDocument[RouteTests]],
    environment: Environment,
    resolver: QueueResolver,
    desired: DesiredState,
    live: Sequence[RoutingEntry] | None = None,
    times: Interval = ALWAYS,
) -> tuple[RouteTestResult, ...]:
    """Return the results of the tests on the desired or on all live rules, whose queues are those
    of `resolver`.

    Tests that are about a time outside of `times` are left out.
    """
    entries = desired_entries(desired) if live is None else live
    # A live condition that is not understood counts as not fulfilled, because no test can state its
    # value. Drift reports a rule that may take conversations through this condition.
    parts = (part for entry in live or () for part in entry.rule.conditions)
    assumed = {part.text: False for part in parts if isinstance(part, Opaque)}
    rules = RuleIndex(order_entries(entries, environment.api.evaluation))
    text = desired.form.text(ordered_rules(desired)) if live is None else None
    runner = _RouteTestRunner(
        environment=environment,
        resolver=resolver,
        endpoint=desired.endpoint,
        rules=rules,
        assumed=assumed,
        text=text,
    )
    return tuple(
        runner.run_test(loaded, number)
        for loaded in documents
        for number, test in enumerate(loaded.document.tests)
        if _is_about(test, environment, times)
    )


def _is_about(test: RouteTest, environment: Environment, times: Interval) -> bool:
    """Return whether a test is about a time, or has a time that cannot be read."""
    try:
        instant = _time_of(test, environment)
    except InvalidRuleError:
        return True
    return instant is None or times.covers(instant)


def _time_of(test: RouteTest, environment: Environment) -> datetime | None:
    """Return the only time of a test, if it has one. Raises InvalidRuleError."""
    if test.given.at is None:
        return None
    return read_instant(test.given.at, environment, ("given", "at"))


@dataclass(frozen=True, slots=True, kw_only=True)
class _RouteTestRunner:
    environment: Environment
    resolver: QueueResolver
    endpoint: EndpointStage
    rules: RuleIndex
    assumed: Mapping[str, bool]
    text: StoredText | None  # of the rules, if it could be read in another way
    # by file
    budgets: defaultdict[str, TextBudget] = field(
        default_factory=lambda: defaultdict(TextBudget)
    )

    def run_test(
        self,
        loaded: LoadedDocument[RouteTests],
        index: int,
    ) -> RouteTestResult:
        """Return the result of one test."""
        result = RouteTestResult(
            environment=self.environment.name,
            document=loaded.document.name,
            number=index + 1,
            source=loaded.source_of("tests", index),
            conversation={},
            context={},
            winner=None,
            failure=None,
        )
        try:
            return self._route(result, loaded, index)
        except InvalidRuleError as error:
            return replace(
                result,
                failure=loaded.finding(
                    error.code,
                    str(error),
                    "tests",
                    index,
                    hint=error.hint,
                ),
            )

    def _route(
        self, result: RouteTestResult, loaded: LoadedDocument[RouteTests], index: int
    ) -> RouteTestResult:
        """Return the result with the conversation and its route. Raises InvalidRuleError."""
        test = loaded.document.tests[index]
        _time_of(test, self.environment)
        expander = FieldExpander(
            self.environment,
            self.resolver.resolve,
            self.budgets[loaded.file],
        )
        conversation = self._read_given(test.given, expander)
        expected = _read_expected(test, expander)
        context = conversation
        if test.given.context is None:
            context = self.endpoint.context(conversation).attributes
        result = replace(result, conversation=conversation, context=context)
        return self._compare(result, loaded, test, expected)

    def _compare(
        self,
        result: RouteTestResult,
        loaded: LoadedDocument[RouteTests],
        test: RouteTest,
        expected: Destination,
    ) -> RouteTestResult:
        """Return the result of a conversation with its route, and why it is not the expected one."""
        context = result.context
        try:
            winner = self.rules.find_winner(context, self.assumed)
            result = replace(result, winner=winner)
            actual = destination_of_rule(winner)
            if actual != expected:
                message = self._failure_message(winner, actual, expected)
                hint = self._alias_hint(test, actual)
                return _fail(result, loaded, message, hint)
            message = self._deviation_message(context, expected)
        except OpaqueConditionError as error:
            message = f"{_UNKNOWN_DESTINATION}, {error}"
        return _fail(result, loaded, message) if message else result

    def _failure_message(
        self,
        winner: RoutingEntry | None,
        actual: Destination,
        expected: Destination,
    ) -> str:
        names = self.resolver.names
        route = route_phrase(winner, actual, names)
        return f"expected {destination_phrase(expected, names)}, but {route}"

    def _deviation_message(self, context: Conversation, expected: Destination) -> str:
        """Return that the text of the rules sends a conversation elsewhere; empty if it does not."""
        deviation = self.text and self.text.find_deviation(context, expected)
        if not deviation:
            return ""
        dialect, destination = deviation
        phrase = destination_phrase(destination, self.resolver.names)
        return (
            f"the rules pass, but their text in Studio sends the conversation to {phrase} "
            f"({dialect})"
        )

    def _read_given(self, given: Given, expander: FieldExpander) -> Conversation:
        """Return the conversation, variables filled in. Raises InvalidRuleError."""
        names = self.environment.attributes
        confidence = given.confidence
        attributes: dict[str, Json] = {}
        others = given.attributes
        if given.context is None:
            attributes[names.intent] = given.intent and expander.fill_text(
                given.intent, ("intent",)
            )
            if confidence is not None:
                attributes[names.confidence] = expander.typed_value(
                    confidence,
                    SHARE,
                    "confidence",
                )
        else:
            short = {"intent": names.intent, "confidence": names.confidence}
            others = {
                short.get(name, name): value for name, value in given.context.items()
            }
        for raw_name, value in others.items():
            name = expander.fill_text(raw_name, ("attributes", raw_name))
            if attributes.get(name) is not None:
                raise InvalidRuleError(
                    "CXR104", f'the conversation sets "{name}" twice'
                )
            attributes[name] = None
            if value is not None:
                attributes[name] = expander.typed_value(
                    value,
                    SCALAR,
                    "attributes",
                    raw_name,
                )
        return canonical_attributes(attributes)

    def _alias_hint(self, test: RouteTest, actual: Destination) -> str:
        """Return why one queue may count as two: the test has its live name, and the manifests use
        its id.
        """
        resolver = self.resolver
        if not isinstance(resolver, OfflineQueueResolver):
            return ""
        if all(name in resolver.aliases for name in _expected_weights(test)):
            return ""
        queues = (resolver.queues_by_id.get(queue_id) for queue_id, _ in actual or ())
        names = (queue.name for queue in queues if queue and queue.id != queue.name)
        alias = next(names, "")
        if not alias:
            return ""
        environment = self.environment.name
        return (
            f'queue "{alias}" is named by id in {environment}: offline, use that alias'
        )


def _fail(
    result: RouteTestResult,
    loaded: LoadedDocument[RouteTests],
    message: str,
    hint: str = "",
) -> RouteTestResult:
    index = result.number - 1
    failure = loaded.finding(_FAILED, message, "tests", index, hint=hint)
    return replace(result, failure=failure)


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """One environment's rules, with their findings and the results of the route tests and
    promises.
    """

    environment: Environment
    findings: tuple[Finding, ...]
    tried: tuple[CheckResult, ...]
    desired: DesiredState | None  # the rules; None if they are invalid
    # the names of the rules' queues, by id: offline every name is assumed to exist
    queues: Mapping[str, str]
    # the rules that the tests were run on
    rules: Literal["manifests", "live"] = "manifests"
    # the rules with dates, now and later; empty if no rule has a date
    phases: tuple[Phase, ...] = ()

    @property
    def labels(self) -> Labels:
        """Return what people read instead of names."""
        return self.desired.labels if self.desired else Labels()


def check(manifests: Manifests, environment: Environment) -> Checked:
    """Return the rules of one environment, expanded offline, with the results of all route tests if
    they are valid.
    """
    resolver = OfflineQueueResolver(
        environment.name, resolve_aliases(manifests, environment.name)
    )
    try:
        desired = expand_checked(manifests, environment, resolver)
    except ManifestError as error:
        return Checked(
            environment=environment,
            findings=error.findings,
            tried=(),
            desired=None,
            queues={},
        )
    tests = manifests.route_tests
    phases: tuple[Phase, ...] = ()
    if desired.calendar is None:
        tried = run_route_tests(tests, environment, resolver, desired)
    else:
        phases = tuple(phases_from_now(desired))
        tried = _TimedTests(tests, environment, resolver).run(phases)
    findings = desired.findings
    queues = resolver.names
    return Checked(
        environment=environment,
        findings=findings,
        tried=tried,
        desired=desired,
        queues=queues,
        phases=phases,
    )


@dataclass(frozen=True, slots=True)
class _TimedTests:
    """The route tests of an environment with dates."""

    documents: Sequence[LoadedDocument[RouteTests]]
    environment: Environment
    resolver: QueueResolver

    def run(self, phases: Sequence[Phase]) -> tuple[RouteTestResult, ...]:
        """Return the result of each test: that of the first phase in which it fails, or of now.

        A test of a single time has the result of that time, which may be over. Each due step
        counts as made.
        """
        now = phases[0]
        over = [
            phase
            for instant in self._times_before(now.interval.start)
            for phase in phases_at(now.state, instant)
            if not phase.steps_back
        ]
        due = [phase for phase in phases if not phase.steps_back]
        results = {**self._first_failures(over), **self._first_failures(due)}
        at_present = {result.source for result in self._results(now)}
        return tuple(
            replace(results[source], is_of_another_time=source not in at_present)
            for loaded in self.documents
            for source in _sources_of(loaded)
        )

    def _times_before(self, start: datetime | None) -> list[datetime]:
        """Return the times of tests that are over."""
        times = []
        for loaded in self.documents:
            for test in loaded.document.tests:
                with suppress(InvalidRuleError):
                    instant = _time_of(test, self.environment)
                    if instant is not None and start is not None and instant < start:
                        times.append(instant)
        return sorted({*times})

    def _first_failures(self, phases: Iterable[Phase]) -> dict[Source, RouteTestResult]:
        found: dict[Source, _Timed[RouteTestResult]] = {}
        for phase in phases:
            for result in self._results(phase):
                timed = _Timed(result, phase)
                earlier = found.get(result.source)
                found[result.source] = earlier.then(timed) if earlier else timed
        zone = zone_of(self.environment.timezone)
        return {source: _with_time(timed, zone) for source, timed in found.items()}

    def _results(self, phase: Phase) -> tuple[RouteTestResult, ...]:
        return run_route_tests(
            self.documents,
            self.environment,
            self.resolver,
            phase.state,
            times=phase.interval,
        )


_Result = TypeVar("_Result", RouteTestResult, PromiseResult)


@dataclass(frozen=True, slots=True)
class _Timed(Generic[_Result]):
    """The result of a test or promise, and the phase that it is about."""

    result: _Result
    phase: Phase

    def then(self, later: "_Timed[_Result]") -> "_Timed[_Result]":
        """Return the first failure of two results in turn.

        A failure that the next interval has in the same words is one failure, in both intervals.
        """
        if self.result.failure is None:
            return later
        interval, following = self.phase.interval, later.phase.interval
        is_next = interval.end is not None and interval.end == following.start
        is_same = self.result.failure == later.result.failure
        has_all_steps = not self.phase.steps_back and not later.phase.steps_back
        if not (is_next and is_same and has_all_steps):
            return self
        both = Interval(interval.start, following.end)
        return replace(self, phase=self.phase._replace(interval=both))


def _with_time(timed: _Timed[_Result], zone: tzinfo) -> _Result:
    """Return a result; that of a failure says when it fails."""
    result, phase = timed.result, timed.phase
    if result.failure is None:
        return result
    when = interval_phrase(phase.interval, zone)
    parts = [result.failure.message, when]
    if phase.steps_back:
        parts.append("while a step with `if` waits")
    message = ", ".join(filter(None, parts))
    failure = replace(result.failure, message=message)
    return replace(result, interval=phase.interval, failure=failure)


def _sources_of(loaded: LoadedDocument[RouteTests]) -> list[Source]:
    count = len(loaded.document.tests)
    return [loaded.source_of("tests", number) for number in range(count)]


def with_promises(checked: Checked) -> Checked:
    """Return the rules of the manifests with the results of all promises, if they are valid."""
    if checked.desired is None:
        return checked
    phases = checked.phases or (Phase(ALWAYS, checked.desired),)
    found: list[_Timed[PromiseResult]] = []
    for phase in phases:
        entries = desired_entries(phase.state)
        results = run_promises(phase.state, entries, checked.queues)
        timed = [_Timed(result, phase) for result in results]
        found = [
            earlier.then(later)
            for earlier, later in zip(found or timed, timed, strict=True)
        ]
    if not checked.phases:
        return replace(
            checked, tried=(*checked.tried, *(each.result for each in found))
        )

    zone = zone_of(checked.environment.timezone)
    promises = [_with_time(each, zone) for each in found]
    return replace(checked, tried=(*checked.tried, *promises))


def check_live(
    manifests: Manifests,
    environment: Environment,
    desired: DesiredState,
    live: LiveState,
) -> Checked:
    """Return the results of the route tests and promises of now on all live rules, also unmanaged
    ones.
    """
    resolver = QueueResolver(
        environment.name,
        resolve_aliases(manifests, environment.name),
        live.queues,
    )
    desired = replace(desired, endpoint=live.endpoint(desired.endpoint))
    entries = live_entries(live.rules, desired)
    times = desired.calendar.interval if desired.calendar else ALWAYS
    tried = run_route_tests(
        manifests.route_tests,
        environment,
        resolver,
        desired,
        entries,
        times,
    )
    queues = {queue.id: queue.name for queue in live.queues}
    checks: tuple[CheckResult, ...] = (*tried, *run_promises(desired, entries, queues))
    return Checked(
        environment=environment,
        findings=(),
        tried=checks,
        desired=desired,
        queues=queues,
        rules="live",
    )


def _expected_weights(test: RouteTest) -> Mapping[str, str | int | float]:
    queue = test.expect.queue
    if queue is not None:
        return {queue: 1}
    return test.expect.split or {}


def _read_expected(test: RouteTest, expander: FieldExpander) -> Destination:
    """Return the expected destination, variables filled in. Raises InvalidRuleError."""
    weights = [
        (
            name,
            cast(
                "float", expander.typed_value(weight, WEIGHT, "split", name, "weight")
            ),
        )
        for name, weight in _expected_weights(test).items()
    ]
    targets = [
        Target(expander.queue(name, ("queue", name)).id, weight)
        for name, weight in weights
    ]
    return None if test.expect.default else destination_of(targets)
