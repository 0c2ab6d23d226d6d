"""The promises of manifests, checked for all conversations of a list of rules (semantics "Promises")."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from reconciler.behaviour.diff.promises import PromiseFacts, check_promises
from reconciler.behaviour.evaluate import Conversation, canonical_attributes
from reconciler.behaviour.routing_entry import RoutingEntry
from reconciler.desired.desired import DesiredState
from reconciler.desired.promises import StatedPromise
from reconciler.model.finding import Document, Finding
from reconciler.plan.behaviour_json import violation_to_json
from reconciler.plan.plan import GuardResult, Plan
from reconciler.plan.routing_table import route_phrase
from reconciler.plan.schedule import build_transition
from reconciler.text.escape import join_first, pluralize, quote
from reconciler.text.phrases import conversation_phrase

ABOUT_NOTHING: Final = "CXR222"
MAX_LISTED: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class PromiseResult:
    """The result of one promise in one environment."""

    environment: str
    stated: StatedPromise
    facts: PromiseFacts
    failure: Finding | None  # None if the promise holds; the finding about a promise without conversations is a warning

    @property
    def conversation(self) -> Conversation:
        """The example of a conversation that breaks the promise."""
        return canonical_attributes(self.facts.violations[0].example.attributes) if self.facts.violations else {}

    def to_json(self, queue_names: Mapping[str, str]) -> Document:
        """Return the result in the form of `test --format json`."""
        return {
            "environment": self.environment,
            "document": self.stated.document,
            "name": self.stated.name,
            "severity": self.stated.severity,
            "holds": self.facts.holds,
            "violations": [violation_to_json(region, queue_names) for region in self.facts.violations],
        }


def run_promises(
    desired: DesiredState, entries: Iterable[RoutingEntry], queue_names: Mapping[str, str]
) -> tuple[PromiseResult, ...]:
    """Return the result of each promise on rules behind the environment's endpoint."""
    promises = [stated.promise for stated in desired.promises]
    events = desired.endpoint.pull_back(entries) if promises else ()
    results = check_promises(events, promises, desired.evaluation, desired.endpoint.types)
    return tuple(
        PromiseResult(
            environment=desired.environment,
            stated=stated,
            facts=facts,
            failure=_failure(stated, facts, desired.labels, queue_names),
        )
        for stated, facts in zip(desired.promises, results, strict=True)
    )


def _failure(
    stated: StatedPromise, facts: PromiseFacts, labels: Mapping[str, str], queue_names: Mapping[str, str]
) -> Finding | None:
    name = f"promise {quote(stated.name)}"
    if facts.is_empty:
        message = f"{name} is about no conversation: the conditions of its `for` contradict each other"
        return replace(stated.finding, code=ABOUT_NOTHING, severity="warning", message=message)
    if facts.holds is None:
        message = f"{name} is not proven: the analysis stopped at its bound of work"
        return replace(stated.finding, message=message, hint="use conditions on fewer attributes")
    if facts.holds:
        return None
    first, others = facts.violations[0], len(facts.violations) - 1
    route = route_phrase(first.after_rule, first.after, queue_names)
    attributes = first.example.attributes
    example = conversation_phrase(attributes, labels) if attributes else "a conversation without attributes"
    message = f"{name} is broken for {example}: {route if first.after_rule is None else f'it {route}'}"
    message += ", if a condition that cxroute does not understand holds or not" if first.example.assumed else ""
    hint = f"{pluralize(others, 'other case')} in the JSON of `cxroute test`" if others else ""
    return replace(stated.finding, message=message, hint=hint)


def check_promise_guard(plan: Plan) -> GuardResult:
    """Return whether the rules after the plan keep the promises of severity error; an undecided one is not kept."""
    desired, names, transition = plan.desired, plan.queue_names, build_transition(plan)
    base, endpoint = plan.endpoints
    demanded = tuple(stated for stated in desired.promises if stated.severity == "error")
    after = run_promises(replace(desired, endpoint=endpoint, promises=demanded), transition.after, names)
    broken = [result for result in after if result.facts.holds is not True]
    state = replace(desired, endpoint=base, promises=tuple(result.stated for result in broken))
    today = run_promises(state, transition.before, names)
    problems = [
        (result.failure.message if result.failure else "") + (" (broken today, too)" if now.facts.holds is not True else "")
        for result, now in zip(broken, today, strict=True)
    ]
    message = join_first(problems, MAX_LISTED) if problems else "the rules after this plan keep every promise"
    return GuardResult(name="promises", value=len(broken), limit=0, ok=not broken, message=message)
