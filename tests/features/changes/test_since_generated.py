"""`cxroute since` on generated histories gives the answer of a walk over checkouts."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from random import Random
from typing import Any, Final

import pytest

from tests.features.changes.history_oracle import (
    Checkout,
    ExpectedSince,
    Routed,
    checkouts,
    expected,
)
from tests.support.program import Program
from tests.support.random_histories import (
    BOUNDS,
    INTENTS,
    LANGUAGES,
    write_history,
)
from tests.tiers import size

PREFIXES: Final = ("manifests/", "a folder/of \u00fc/rules/", "")
EVENTS: Final = 3  # conversations of a history


def an_event(random: Random) -> dict[str, Any]:
    """Return what a bot sends."""
    event: dict[str, Any] = {"intent": random.choice((*INTENTS, "other"))}
    if random.random() < 0.8:
        event["confidence"] = random.choice((*BOUNDS, 0.5, 1))
    if random.random() < 0.5:
        event["language"] = random.choice(LANGUAGES)
    return event


def words_of(event: dict[str, Any]) -> list[str]:
    """Return the options of an event."""
    words = ["--intent", event["intent"]]
    if "confidence" in event:
        words += ["--confidence", str(event["confidence"])]
    if "language" in event:
        words += ["--attr", f"language={event['language']}"]
    return words


def routed(document: Any) -> Routed | None:
    """Return a route of the document as the oracle has it."""
    if document is None:
        return None
    found = document["destination"]
    if found.get("default"):
        return document["rule"], None
    shares = frozenset(
        (queue["queueId"] or queue["queueName"], Fraction(str(queue["share"])))
        for queue in found["queues"]
    )
    return document["rule"], shares


def answered(document: Any) -> ExpectedSince:
    """Return the document as the oracle has it."""
    since = document["since"]
    return ExpectedSince(
        changes=[change_of(change) for change in document["changes"]],
        broken=[each["commit"] for each in document["broken"]],
        since=change_of(since),
        complete=document["complete"],
    )


def change_of(change: Any) -> tuple[str, Routed | None, Routed]:
    """Return a change of the document as the oracle has it."""
    after = routed(change["after"])
    assert after is not None
    return change["commit"], routed(change["before"]), after


def check_history(program: Program, repository: Path, seed: int) -> None:
    """Assert that some conversations of a random history have the answers of the oracle."""
    random = Random(seed)
    prefix = random.choice(PREFIXES)
    write_history(random, repository, prefix)
    states = checkouts(repository, prefix)
    for _ in range(EVENTS):
        event = an_event(random)
        scope = random.choice(("newest", "all"))
        limit = random.choice((10_000, random.randint(1, len(states) + 1)))
        place = ["-m", str(repository / prefix), "-e", "prod"]
        words = [*place, *words_of(event), "--limit", str(limit)]
        if scope == "all":
            words.append("--all")
        code, document = program.json("since", *words)
        report = f"seed {seed}, {repository}, {words}"
        if check_head(states[0], code, report):
            assert expected(states, event, limit, scope=scope) == answered(document), (
                report
            )


def check_head(head: Checkout, code: int, report: str) -> bool:
    """Assert the exit code; return whether there is an answer."""
    wanted = 0
    if head.is_broken or not head.files:
        wanted = 3
    elif head.is_missing:
        wanted = 64
    assert wanted == code, report
    return wanted == 0


@pytest.mark.generated
@pytest.mark.timeout(1200)
def test_a_search_equals_a_walk_over_checkouts(cxroute: Program) -> None:
    """Merges, renames, reverts, broken versions, other attributes, fallbacks and limits."""
    for seed in range(size(fast=6, slow=200)):
        check_history(cxroute, Path(f"r{seed}").absolute(), seed)


@pytest.mark.generated
def test_the_histories_have_what_they_should(tmp_path: Path) -> None:
    """Otherwise the comparison with the oracle would prove little."""
    broken = missing = changes = 0
    for seed in range(12):
        random = Random(seed)
        prefix = random.choice(PREFIXES)
        write_history(random, tmp_path / f"r{seed}", prefix)
        states = checkouts(tmp_path / f"r{seed}", prefix)
        broken += sum(state.is_broken for state in states)
        missing += sum(state.is_missing for state in states)
        if not states[0].is_broken and not states[0].is_missing:
            event = {"intent": "lost", "confidence": 0.9}
            changes += len(expected(states, event, 10_000, scope="all").changes)
    assert min(broken, missing, changes) >= 6
