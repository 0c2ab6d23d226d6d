"""Which single edits of rules move callers, and which are noticed (semantics "Adequacy of tests and
promises").
"""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from reconciler.core.behaviour.endpoint_stage import EndpointStage, FallbackPolicy
from reconciler.core.behaviour.space.value_type import ANY_TEXT, SHARE
from reconciler.core.checks.adequacy import Adequacy, UnnoticedEdit, measure_adequacy
from reconciler.core.checks.route_tests import Checked, RouteTestResult, with_promises
from reconciler.core.desired.desired import DesiredState
from reconciler.core.desired.desired_rule import DesiredRule
from reconciler.core.desired.expand_promises import StatedPromise
from reconciler.core.manifest.kinds.environment import Environment
from reconciler.core.model.finding import Finding
from reconciler.core.model.rule import Address, Source, to_api_json
from reconciler.core.text.phrases import Labels
from tests.support.brute_force import Json
from tests.support.edit_oracle import (
    EditOracle,
    PlainEndpoint,
    adequacy_sample,
    list_key,
)
from tests.support.random_promises import AuthoredPromise, a_promise
from tests.support.random_rules import entry
from tests.tiers import FULL, size

BLOCKS = 20 if FULL else 8
SIZE = size(fast=5, slow=50, full=200)
# what the endpoint never writes
IMPOSSIBLE: tuple[Json, ...] = (
    {},
    {"conf": 7},
    {"conf": "0.7"},
    {"intent": 1},
)
KNOWN = {"intent": None, "conf": (0, 1)}
TYPES = {"intent": ANY_TEXT, "conf": SHARE}


SOURCE = Source("promises.yaml", 1, 1)


def checked_of(
    rules: list[Json],
    evaluation: str,
    endpoint: PlainEndpoint,
    events: list[Json],
    contexts: list[Json],
    promises: list[AuthoredPromise],
) -> Checked:
    """Rules of an environment whose route tests all pass: some give events, others what the rules
    read.
    """
    stage = EndpointStage(
        intent="intent",
        confidence="conf",
        fallback=FallbackPolicy(
            endpoint.fallback, endpoint.least, frozenset(endpoint.known)
        ),
        context_types=TYPES,
    )
    desired = {}
    for form in rules:
        address = Address("set", form["id"])
        desired[address] = DesiredRule(
            address=address,
            rule=entry(form).rule,
            fingerprint="",
            source=None,
            hold=None,
            adopt=None,
        )
    state = DesiredState(
        environment="sandbox",
        owner="acme",
        rules=desired,
        rulesets=frozenset(),
        findings=(),
        labels=Labels(),
        evaluation=evaluation,  # type: ignore[arg-type]
        endpoint=stage,
        promises=tuple(
            StatedPromise(
                document="all",
                name=str(number),
                promise=promise.promise,
                requirement="",
                finding=Finding(
                    code="CXR221", severity="error", message="", source=SOURCE
                ),
            )
            for number, promise in enumerate(promises)
        ),
    )
    fields: Any = {"intent": "intent", "confidence": "conf"}
    environment = Environment(
        name="sandbox",
        owner="acme",
        attributes=fields,
        api={"evaluation": evaluation},  # type: ignore[arg-type]
    )
    pairs = [(event, endpoint.context(event)) for event in events] + [
        (context, context) for context in contexts
    ]
    results = tuple(
        RouteTestResult(
            environment="sandbox",
            document="all",
            number=number,
            source=Source("tests.yaml", number, 1),
            conversation=conversation,
            context=context,
            winner=None,
            failure=None,
        )
        for number, (conversation, context) in enumerate(pairs, 1)
    )
    return with_promises(
        Checked(
            environment=environment,
            findings=(),
            tried=results,
            desired=state,
            queues={},
        )
    )


def edited_list(rules: list[Json], unnoticed: UnnoticedEdit) -> list[Json]:
    """Return the rules after an edit, in the API's form."""
    before, after = unnoticed.edit
    actual = [rule for rule in rules if f"set/{rule['id']}" != before.name]
    if after is None:
        return actual
    form = {
        "id": before.name.removeprefix("set/"),
        "name": after.rule.name,
        "enabled": after.rule.enabled,
        "priority": after.rule.priority,
        "conditions": [to_api_json(part) for part in after.rule.conditions],
        "targets": [to_api_json(part) for part in after.rule.targets],
    }
    return [*actual, form]


@pytest.mark.generated
@pytest.mark.fast_cases(1)
@pytest.mark.parametrize("block", range(BLOCKS))
def test_exactly_the_edits_that_move_callers_are_counted(block: int) -> None:
    """By plain re-evaluation of all events: counted edits move callers; unnoticed ones break no
    test or promise.
    """
    for seed in range(block * SIZE, (block + 1) * SIZE):
        random = Random(f"adequacy {seed}")
        rules, evaluation, endpoint = adequacy_sample(random)
        promises = (
            [a_promise(random, rules) for _ in range(random.randrange(3))]
            if rules
            else []
        )
        oracle = EditOracle(rules, evaluation, endpoint, KNOWN, promises)
        events = [random.choice(oracle.events) for _ in range(random.randrange(4))]
        contexts = [
            random.choice(oracle.events) | random.choice(IMPOSSIBLE)
            for _ in range(random.randrange(2))
        ]
        actual = measure_adequacy(
            checked_of(rules, evaluation, endpoint, events, contexts, promises)
        )
        read = [*map(endpoint.context, events), *contexts]
        moving = {
            key: edited
            for key, edited in oracle.edited_lists().items()
            if oracle.moves(edited)
        }
        expected = {
            key
            for key, edited in moving.items()
            if all(
                oracle.destination_of_context(edited, item)
                == oracle.destination_of_context(rules, item)
                for item in read
            )
            and not any(oracle.breaks(edited, promise) for promise in oracle.promises)
        }
        source_values = f"events: {events}\ncontexts: {contexts}\npromises: {promises}"
        report = (
            f"{evaluation} {endpoint}\n{chr(10).join(map(str, rules))}\n{source_values}"
        )
        assert (len(moving), 0) == (actual.edits, actual.undecided), report
        assert expected == {
            list_key(edited_list(rules, each)) for each in actual.unnoticed
        }, report
        assert len(expected) == len(actual.unnoticed), report
        check_examples(rules, actual, oracle, report)


def check_examples(
    rules: list[Json], found: Adequacy, oracle: EditOracle, report: str
) -> None:
    """Each example goes from and to the named destinations, by the plain evaluation of both
    lists.
    """
    for each in found.unnoticed:
        context = oracle.endpoint.context(each.event)
        ways = [
            oracle.destination_of_context(selected, context)
            for selected in (rules, edited_list(rules, each))
        ]
        named = [
            None if item is None else frozenset(item)
            for item in (each.before, each.after)
        ]
        assert ways == named, f"{report}\n{each}"
