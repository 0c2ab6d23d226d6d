"""The promises of manifests, checked for all conversations of a list of rules (semantics
"Promises").
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from reconciler.behaviour.diff.promises import PromiseFacts, check_promises
from reconciler.behaviour.evaluate import Conversation, canonical_attributes
from reconciler.behaviour.routing_entry import RoutingEntry
from reconciler.desired.desired import DesiredState
from reconciler.desired.expand import StatedPromise
from reconciler.model.finding import Document, Finding
from reconciler.plan.behaviour_json import violation_to_json
from reconciler.plan.routing_table import route_phrase
from reconciler.text.escape import pluralize, quote, sanitize
from reconciler.text.phrases import Labels, conversation_phrase


@dataclass(frozen=True, kw_only=True)
class PromiseResult(StatedPromise):
    """The result of one promise in one environment."""

    environment: str
    facts: PromiseFacts
    failure: (
        Finding | None
    )  # None if the promise holds; the finding about a promise without conversations is a warning

    @property
    def conversation(self) -> Conversation:
        """The example of a conversation that breaks the promise."""
        return (
            canonical_attributes(self.facts.violations[0].example.attributes)
            if self.facts.violations
            else {}
        )

    def to_json(self, queue_names: Mapping[str, str]) -> Document:
        """Return the result in the form of `test --format json`."""
        return {
            "environment": self.environment,
            "document": self.document,
            "name": self.name,
            "severity": self.finding.severity,
            "holds": self.facts.holds,
            "violations": [
                violation_to_json(region, queue_names)
                for region in self.facts.violations
            ],
        }


def run_promises(
    desired: DesiredState,
    entries: Iterable[RoutingEntry],
    queue_names: Mapping[str, str],
) -> tuple[PromiseResult, ...]:
    """Return the result of each promise on rules behind the environment's endpoint."""
    promises = [stated.promise for stated in desired.promises]
    labels = Labels(desired.labels.short)
    events: Sequence[RoutingEntry] = (
        desired.endpoint.pull_back(entries) if promises else ()
    )
    results = check_promises(
        events, promises, desired.evaluation, desired.endpoint.types
    )
    outcomes = []
    for stated, facts in zip(desired.promises, results, strict=True):
        failure = _failure(stated, facts, labels, queue_names)
        examples = [region.example.attributes for region in facts.violations]
        if failure and desired.endpoint.may_depend_on_context(examples):
            remedy = context_remedy(desired.environment)
            failure = replace(
                failure, hint=f"{failure.hint}; {remedy}" if failure.hint else remedy
            )
        result = PromiseResult(
            **vars(stated),
            environment=desired.environment,
            facts=facts,
            failure=failure,
        )
        outcomes.append(result)
    return tuple(outcomes)


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
        return replace(
            stated.finding, message=message, hint="use conditions on fewer attributes"
        )
    if facts.holds:
        return None
    first = facts.violations[0]
    others = len(facts.violations) - 1
    route = route_phrase(first.after_rule, first.after, queues)
    attributes = first.example.attributes
    absent = first.example.absent
    is_bare = not attributes and not absent
    phrase = conversation_phrase(attributes, labels, absent)
    example = "a conversation without attributes" if is_bare else phrase
    message = (
        f"{name} is broken for {example}: expected {stated.requirement}, but {route}"
    )
    message += (
        ", depending on a condition that cxroute does not understand"
        if first.example.assumed
        else ""
    )
    hint = (
        f"{pluralize(others, 'other case')}: cxroute test --format json"
        if others
        else ""
    )
    return replace(stated.finding, message=message, hint=hint)
