"""The lint behind an endpoint's fallback: a rule that no event reaches is reported, and no other
rule.
"""

from __future__ import annotations

from collections import Counter
from itertools import product
from pathlib import Path
from random import Random
from typing import Any

import pytest

from reconciler.core.behaviour.evaluate import route_conversation
from reconciler.core.behaviour.routing_entry import order_entries
from reconciler.core.checks.lint import lint
from reconciler.core.checks.lint_view import LintView
from reconciler.core.desired.desired import desire_offline
from reconciler.core.plan.routing_table import desired_entries
from tests.support.brute_force import winner
from tests.support.program import Program, write
from tests.support.random_manifests import (
    BOUNDS,
    CONFIDENCE,
    INTENT,
    INTENTS,
    context_of,
    manifests_of,
    rules_of,
)
from tests.support.written_manifests import loaded
from tests.tiers import size

SIZE = size(fast=12, slow=150, full=1000)
VALUES = sorted(
    {
        *BOUNDS,
        *(min(bound + 0.01, 1) for bound in BOUNDS),
        *(max(bound - 0.01, 0) for bound in BOUNDS),
    }
)
OTHERS = (
    "unheard of",
    *(text for name in INTENTS for text in (name[:3], f"{name[:3]}x", f"x{name[:3]}")),
)
"""Texts that no condition names, the patterns, and texts that begin or end with one."""


@pytest.mark.generated
def test_exactly_the_rules_that_no_event_reaches_are_reported(tmp_path: Path) -> None:
    """CXR201 and CXR202, against all events; with fallbacks of every kind, and without."""
    counts = Counter[bool]()
    for seed in range(SIZE):
        manifests = loaded(
            tmp_path,
            manifests_of(Random(f"lint {seed}")).format(url="http://127.0.0.1:9"),
        )
        environment = manifests.environments["prod"].document
        desired, queues = desire_offline(manifests, environment)
        declared = {name for each in manifests.intents for name in each.document.names}
        events: list[dict[str, Any]] = [{"intent": None}]
        events += [
            {"intent": i, "confidence": c}
            for i, c in product((*INTENTS, *OTHERS), (*VALUES, None))
        ]
        contexts = [
            context_of(event, environment, declared) if event["intent"] else {}
            for event in events
        ]
        # a conversation that never met the bot
        contexts += [{CONFIDENCE: value} for value in VALUES]
        rules = rules_of(desired)
        winners = {
            str((winner(rules, (context, {})) or {"id": ""})["id"])
            for context in contexts
        }
        findings = lint(LintView(desired, (), manifests, environment, queues.names))
        reported = {
            str(each.address) for each in findings if each.code in ("CXR201", "CXR202")
        }
        assert {str(address) for address in desired.rules} - winners == reported, seed
        counts[bool(reported)] += 1
    assert min(counts.values()) > SIZE / 10, counts


def test_examples_of_findings_pass_the_endpoint_unchanged(tmp_path: Path) -> None:
    """A rule that unreachable contexts alone match is named, with the fallback as the reason."""
    text = manifests_of(Random("lint 1")).format(url="http://127.0.0.1:9")
    manifests = loaded(tmp_path, text)
    environment = manifests.environments["prod"].document
    desired, _ = desire_offline(manifests, environment)
    blockers = desired.endpoint.unreachable()
    entries = order_entries(desired_entries(desired))
    for intent, value in product(INTENTS, VALUES):
        context: dict[str, str | int | float] = {INTENT: intent, CONFIDENCE: value}
        if route_conversation(blockers, context).winner is None:
            assert context == desired.endpoint.context(context).attributes
            assert (
                route_conversation(entries, context).winner
                is route_conversation((*blockers, *entries), context).winner
            )


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        (
            "{intent: lost, belowConfidence: 0.3, queue: A}",
            "never reached: the endpoint's fallback takes all of its",
        ),
        (
            "{intent: unheard, queue: A}",
            "never reached: the endpoint's fallback takes all of its",
        ),
    ],
)
def test_the_fallback_is_named_as_the_reason(
    cxroute: Program, rule: str, message: str
) -> None:
    """With what to change."""
    Path("manifests").mkdir()
    environment = (
        "apiVersion: routing/v1\nkind: Environment\nname: prod\nowner: acme\ntenant: "
        "acme\n"
    )
    write(
        "prod.yaml",
        f"{environment}context: {{minConfidence: 0.4, below: {{intent: none}}}}\n",
    )
    write(
        "rules.yaml",
        f"apiVersion: routing/v1\nkind: RuleSet\nname: cards\nrules:\n  - {rule}\n",
    )
    write(
        "bot.yaml",
        "apiVersion: routing/v1\nkind: Intents\nname: bot\nintents: [lost]\n",
    )
    assert 0 == cxroute("validate")
    assert message in cxroute.out
    assert (
        "lower `context.minConfidence`, add its intents to an Intents document, or remove this one"
        in cxroute.out
    )
