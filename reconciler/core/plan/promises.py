"""The promises of manifests, checked for all conversations of a list of rules (semantics
"Promises").
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from reconciler.core.behaviour.diff.promises import PromiseFacts, check_promises
from reconciler.core.behaviour.evaluate import Conversation, canonical_attributes
from reconciler.core.behaviour.routing_entry import RoutingEntry
from reconciler.core.behaviour.space.space import Example
from reconciler.core.desired.calendar import Interval
from reconciler.core.desired.desired import DesiredState
from reconciler.core.desired.expand_promises import StatedPromise
from reconciler.core.model.finding import Finding
from reconciler.core.plan.behaviour_json import violation_to_json
from reconciler.core.plan.interval_json import interval_to_json
from reconciler.core.plan.routing_table import route_phrase
from reconciler.core.text.escape import pluralize, quote, sanitize
from reconciler.core.text.phrases import Labels, conversation_phrase

if TYPE_CHECKING:
    from reconciler.core.plan.plan_json import PromiseJson


@dataclass(frozen=True, kw_only=True)
class PromiseResult(StatedPromise):
    """The result of one promise in one environment."""

    environment: str
    facts: PromiseFacts
    # None if the promise holds; the finding about a promise without conversations is a warning
    failure: Finding | None
    # when it fails; None for rules without dates
    interval: Interval | None = None

    @property
    def conversation(self) -> Conversation:
        """The example of a conversation that breaks the promise; empty without one."""
        violations = self.facts.violations
        if not violations:
            return {}
        return canonical_attributes(violations[0].example.shown or {})

    def to_json(self, queue_names: Mapping[str, str]) -> "PromiseJson":
        """Return the result in the form of `test --format json`."""
        form: PromiseJson = {
            "environment": self.environment,
            "document": self.document,
            "name": self.name,
            "severity": "warning" if self.finding.severity == "warning" else "error",
            "holds": self.facts.holds,
            "violations": [
                violation_to_json(region, queue_names)
                for region in self.facts.violations
            ],
        }
        if self.interval is not None:
            form["interval"] = interval_to_json(self.interval)
        return form


def run_promises(
    desired: DesiredState,
    entries: Iterable[RoutingEntry],
    queue_names: Mapping[str, str],
) -> tuple[PromiseResult, ...]:
    """Return the result of each promise on rules behind the environment's endpoint."""
    promises = [stated.promise for stated in desired.promises]
    labels = Labels(desired.labels.short)
    events: Sequence[RoutingEntry] = ()
    if promises:
        events = desired.endpoint.pull_back(entries)
    results = check_promises(
        events, promises, desired.evaluation, desired.endpoint.sent_types
    )
    outcomes = []
    for stated, facts in zip(desired.promises, results, strict=True):
        failure = _failure(stated, facts, labels, queue_names)
        if failure:
            failure = _with_remedy(failure, facts, desired)
        result = PromiseResult(
            **vars(stated),
            environment=desired.environment,
            facts=facts,
            failure=failure,
        )
        outcomes.append(result)
    return tuple(outcomes)


def _with_remedy(
    failure: Finding, facts: PromiseFacts, desired: DesiredState
) -> Finding:
    """Return the failure of a promise, with what to write if it may be about impossible contexts."""
    examples = [region.example.attributes for region in facts.violations]
    if not desired.endpoint.may_depend_on_context(examples):
        return failure
    remedy = context_remedy(desired.environment)
    hint = f"{failure.hint}; {remedy}" if failure.hint else remedy
    return replace(failure, hint=hint)


def context_remedy(environment: str) -> str:
    """Return what to write where a result is about confidences that the endpoint never writes."""
    writes = (
        "if `cxroute serve` writes the confidence, it is always a number from 0 to 1"
    )
    return f"{writes}: then write `context: {{}}` in the Environment {sanitize(environment)}"


def _failure(
    stated: StatedPromise,
    facts: PromiseFacts,
    labels: Labels,
    queues: Mapping[str, str],
) -> Finding | None:
    name = f"promise {quote(stated.name)}"
    if facts.is_empty:
        message = (
            f"{name} is about no conversation: the conditions of its `for` contradict each "
            f"other"
        )
        return replace(
            stated.finding, code="CXR222", severity="warning", message=message
        )
    if facts.holds is None:
        message = f"{name} is not proven: the analysis stopped at its bound of work"
        hint = "use conditions on fewer attributes"
        return replace(stated.finding, message=message, hint=hint)
    if facts.holds:
        return None

    first, *further = facts.violations
    route = route_phrase(first.after_rule, first.after, queues)
    where = f" for {_example_phrase(first.example, labels)}"
    if first.example.reason:
        where = f", though {first.example.reason}"
    message = f"{name} is broken{where}: expected {stated.requirement}, but {route}"
    if first.example.assumed:
        message += ", depending on a condition that cxroute does not understand"
    hint = ""
    if further:
        count = pluralize(len(further), "other case")
        hint = f"{count}: cxroute test --format json"
    return replace(stated.finding, message=message, hint=hint)


def _example_phrase(example: Example, labels: Labels) -> str:
    if not example.attributes and not example.absent:
        return "a conversation without attributes"
    return conversation_phrase(example.attributes, labels, example.absent)
