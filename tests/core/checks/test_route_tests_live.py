"""RouteTests with live rules and live queues: an undecidable test, or one without a queue of the
tenant, fails.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

from reconciler.core.checks.route_tests import RouteTestResult, run_route_tests
from reconciler.core.desired.queues import (
    OfflineQueueResolver,
    QueueResolver,
    resolve_aliases,
)
from reconciler.core.manifest.kinds.environment import Environment
from reconciler.core.manifest.load import Manifests, load_manifests
from reconciler.core.model.live import LiveRule
from reconciler.core.model.rule import Queue, Rule, make_opaque
from reconciler.core.plan.routing_table import live_entries
from tests.support.builders import QUEUES, desired, intent_is, rule, unmanaged, wanted
from tests.support.cases import each_case
from tests.support.program import write

pytestmark = pytest.mark.usefixtures("elsewhere")
ODD = make_opaque(
    {
        "type": "attribute",
        "attributeName": "mood",
        "operator": "soundsLike",
        "value": "cross",
    }
)
HEAD = """\
{apiVersion: routing/v1, kind: Environment, name: prod, owner: acme, tenant: acme, vars: {word: x, long: LONG}}
---
{apiVersion: routing/v1, kind: Queues, name: queues, queues: {vip: {staging: {name: VIP}}, old: {prod: {id: gone}}}}
---
{apiVersion: routing/v1, kind: RouteTests, name: all, tests: [
"""
MUCH = ", ".join(f"a{n}: '${{long}}'" for n in range(90))
VIP = "{given: {intent: vip}, expect: {queue: Card Services}}"


def said(*tests: str) -> tuple[Manifests, Environment]:
    """Write these tests from line 6 on, and read them."""
    write(
        "tests.yaml", HEAD.replace("LONG", "x" * 60_000) + ",\n".join(tests) + "\n]}\n"
    )
    manifests = load_manifests(Path("manifests"))
    return manifests, manifests.environments["prod"].document


def tried(
    rules: Iterable[LiveRule], *tests: str, queues: Iterable[Queue] = QUEUES
) -> tuple[RouteTestResult, ...]:
    """Run these tests on live rules."""
    manifests, environment = said(*tests)
    catalogue = QueueResolver("prod", resolve_aliases(manifests, "prod"), queues)
    state = desired()
    return run_route_tests(
        manifests.route_tests, environment, catalogue, state, live_entries(rules, state)
    )


def failure(found: RouteTestResult) -> tuple[str, str, str]:
    """Return the code, the message and the hint of a failed test."""
    assert found.failure is not None
    return found.failure.code, found.failure.message, found.failure.hint


def vip(**more: object) -> Rule:
    return rule("vip", **more)


def test_a_test_passes_on_live_rules_with_the_queues_live_name() -> None:
    """The winner is the live rule, managed or not."""
    (actual,) = tried([unmanaged("7", vip())], VIP)
    assert (None, "vip") == (
        actual.failure,
        actual.winner.name if actual.winner else "",
    )


@each_case(
    "expect, code, message",
    [
        (
            "{queue: Nobody knows it}",
            "CXR105",
            "is neither an alias nor a live queue of prod",
        ),
        (
            "{split: {Card Services: 1, Nobody knows it: 0}}",
            "CXR105",
            "is neither an alias nor a live queue of prod",
        ),
        ("{queue: vip}", "CXR105", "queue alias 'vip' has no entry for prod"),
        (
            "{queue: old}",
            "CXR105",
            "queue id \"gone\" (alias 'old') is not live in prod",
        ),
        ("{queue: Twice}", "CXR106", '2 live queues of prod are named "Twice"'),
        ("{queue: Off}", "CXR121", 'queue "Off" (id q-off) of prod is inactive'),
    ],
)
def test_a_test_without_one_usable_queue_fails(
    expect: str, code: str, message: str
) -> None:
    """Even if the unknown queue has weight 0; the code is that of a rule with this queue."""
    queues = (
        *QUEUES,
        Queue("q1", "Twice"),
        Queue("q2", "Twice"),
        Queue("q-off", "Off", active=False),
    )
    (actual,) = tried(
        [unmanaged("7", vip())],
        f"{{given: {{intent: vip}}, expect: {expect}}}",
        queues=queues,
    )
    assert (code, True) == (failure(actual)[0], message in failure(actual)[1])
    assert None is actual.winner


def test_a_test_with_an_unknown_queue_has_the_nearest_name() -> None:
    """A hint, and the line of the test; the other tests of the document are still run."""
    (actual, candidate) = tried(
        [unmanaged("7", vip())],
        "{given: {intent: vip}, expect: {queue: Card Service}}",
        VIP,
    )
    assert ("CXR105", 'did you mean "Card Services"?') == (
        failure(actual)[0],
        failure(actual)[2],
    )
    assert (6, None) == (actual.source.line, candidate.failure)


@each_case(
    "test, code, message, hint",
    [
        (
            "{given: {intent: vip, confidence: '${word}'}, expect: {default: true}}",
            "CXR104",
            'confidence must be a number from 0 to 1, and ${word} is the text "x" in prod',
            "",
        ),
        (
            "{given: {intent: vip}, expect: {split: {Fraud: '${word}'}}}",
            "CXR104",
            'weight must be a number from 0 to 1e+300, and ${word} is the text "x" in prod',
            "",
        ),
        (
            "{given: {intent: '${word'}, expect: {default: true}}",
            "CXR107",
            "prod has no variable '${word' in its vars",
            'did you mean "word"?',
        ),
        (
            "{given: {intent: '${long}${long}'}, expect: {default: true}}",
            "CXR104",
            "this text with its variables is longer than 64 KiB; shorten it or its variables",
            "",
        ),
        (
            "{given: {intent: vip}, expect: {queue: '${wrod}'}}",
            "CXR107",
            "prod has no variable 'wrod' in its vars",
            'did you mean "word"?',
        ),
        (
            f"{{given: {{attributes: {{{MUCH}}}}}, expect: {{default: true}}}}",
            "CXR010",
            "the variables in this file expand to more than 5 MiB of text",
            "shorten the variables, or split the file",
        ),
    ],
)
def test_an_invalid_test_fails(test: str, code: str, message: str, hint: str) -> None:
    """Variables of another type, half a variable, an unknown name, and more text than allowed."""
    (actual,) = tried([unmanaged("7", vip())], test)
    assert (code, hint) == (failure(actual)[0], failure(actual)[2])
    assert (message, {}) == (failure(actual)[1], actual.conversation)


def test_an_unsupported_live_condition_counts_as_false() -> None:
    """The rule after it takes the conversation."""
    first = unmanaged("1", rule("odd", priority=1, conditions=[intent_is("vip"), ODD]))
    (actual,) = tried([first, unmanaged("7", vip())], VIP)
    assert (None, "vip") == (
        actual.failure,
        actual.winner.name if actual.winner else "",
    )


def test_an_undecidable_test_fails() -> None:
    """A desired rule has a decisive condition that is not understood: the destination is
    unknown.
    """
    manifests, environment = said(
        VIP, "{given: {intent: other}, expect: {default: true}}"
    )
    odd = wanted("cards/vip", rule("vip", conditions=[intent_is("vip"), ODD]))
    catalogue = OfflineQueueResolver("prod", resolve_aliases(manifests, "prod"))
    actual, decided = run_route_tests(
        manifests.route_tests, environment, catalogue, desired(odd)
    )
    assert (
        "CXR220",
        "the destination is unknown: a rule has a condition that cxroute does not understand",
    ) == (
        failure(actual)[0],
        failure(actual)[1].partition(",")[0],
    )
    assert (None, None, None) == (actual.winner, decided.failure, decided.winner)
