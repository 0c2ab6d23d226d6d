"""`plan --base` with another bound of the fallback: a program that reads only the document's rows and
`rules` gets exactly the conversations that move.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from random import Random
from shutil import rmtree
from typing import Any, Final

import pytest

from tests.support.brute_force import Json, holds
from tests.support.program import Program
from tests.tiers import size

INTENT: Final = "cognigyDetectedIntent"
CONFIDENCE: Final = "cognigyConfidence"
INTENTS: Final = ("a", "b", "c", "none")
BOUNDS: Final = (0.2, 0.3, 0.4, 0.5, 0.6)
CONFIDENCES: Final = (None, 0.0, 0.15, 0.25, 0.35, 0.45, 0.55, 0.65, *BOUNDS)
SEEDS: Final = size(fast=6, slow=15, full=60)
_HEAD: Final = """\
apiVersion: routing/v1
kind: Environment
name: sandbox
owner: acme
context: {{minConfidence: {floor}, below: {{intent: none}}}}
---
apiVersion: routing/v1
kind: RuleSet
name: set
rules:
"""


@dataclass(frozen=True, kw_only=True)
class WrittenRule:
    """A rule of a manifest, with its own bound of the confidence."""

    intent: str
    bound: float | None
    below: bool
    language: str | None
    queue: str

    def text(self, key: str, priority: int) -> str:
        """Return its entry in a manifest."""
        name = "belowConfidence" if self.below else "minConfidence"
        bound = "" if self.bound is None else f", {name}: {self.bound}"
        when = f"[{{attribute: language, equals: {self.language}}}]"
        spoken = f", when: {when}" if self.language else ""
        head = f"key: {key}, intent: {self.intent}, priority: {priority}"
        return f"  - {{{head}, queue: Desk {self.queue}{bound}{spoken}}}\n"

    def matches(self, context: Mapping[str, Any]) -> bool:
        """Return whether it takes what the endpoint wrote."""
        if context[INTENT] != self.intent:
            return False
        if self.language not in (None, context.get("language")):
            return False
        if self.bound is None:
            return True
        confidence = context.get(CONFIDENCE)
        if confidence is None:
            return False
        return bool((confidence < self.bound) is self.below)


Version = tuple[float, Sequence[WrittenRule | None]]
"""The bound of the fallback, and the rules by priority; None for one that is not there."""


def a_rule(random: Random) -> WrittenRule:
    return WrittenRule(
        intent=random.choice(INTENTS),
        bound=random.choice((None, *BOUNDS)),
        below=random.choice((False, False, True)),
        language=random.choice((None, None, "de")),
        queue=random.choice("ABC"),
    )


def edit(random: Random, rule: WrittenRule | None) -> WrittenRule | None:
    """Return a rule as it is, edited, deleted or new."""
    if rule is None or random.random() < 0.15:
        return random.choice((None, a_rule(random)))
    if random.random() < 0.5:
        return rule
    other = a_rule(random)
    field = random.choice(("bound", "queue", "language"))
    return replace(rule, **{field: getattr(other, field)})


def write_version(folder: str, version: Version) -> None:
    floor, rules = version
    Path(folder).mkdir(exist_ok=True)
    texts = [
        rule.text(f"k{number}", number + 1)
        for number, rule in enumerate(rules)
        if rule is not None
    ]
    last = "  - {key: rest, when: [], priority: 900, queue: Rest}\n"
    text = "".join([_HEAD.format(floor=floor), *texts, last])
    Path(folder, "all.yaml").write_text(text, encoding="utf-8")


def queue_of(version: Version, event: Mapping[str, Any]) -> str:
    """Return where an event goes."""
    floor, rules = version
    is_sure = event.get(CONFIDENCE) is not None and event[CONFIDENCE] >= floor
    context = {**event, INTENT: event[INTENT] if is_sure else "none"}
    takers = (rule for rule in rules if rule is not None and rule.matches(context))
    taker = next(takers, None)
    return f"Desk {taker.queue}" if taker else "Rest"


def events() -> Iterator[dict[str, Any]]:
    for intent, confidence, language in product(
        (*INTENTS, "x"), CONFIDENCES, (None, "de", "fr")
    ):
        named = {INTENT: intent, CONFIDENCE: confidence, "language": language}
        yield {name: value for name, value in named.items() if value is not None}


def all_hold(parts: Sequence[Json], event: Mapping[str, Any]) -> bool:
    return all(holds(part, event, {}) for part in parts)


def check(behaviour: Json, before: Version, after: Version) -> None:
    """Assert that each event that moves is in one row, with its queues, and no other one."""
    rules = behaviour["rules"]
    rows = [row for effect in behaviour["effects"] for row in effect["rows"]]
    for event in events():
        fitting = [
            row
            for row in rows
            if all_hold(row["where"], event)
            and not any(
                all_hold(rules[name]["conditions"], event) for name in row["earlier"]
            )
        ]
        route = queue_of(before, event), queue_of(after, event)
        assert len(fitting) == (route[0] != route[1]), (event, route, fitting)
        for row in fitting:
            assert route == (name_of(row["before"]), name_of(row["after"])), (
                event,
                row,
            )


def name_of(destination: Json) -> str:
    (queue,) = destination["queues"]
    return str(queue["queueName"])


def check_rules(rules: Mapping[str, Json]) -> None:
    """Assert that an entry has each bound once, and a side each box of a rule once."""
    boxes = Counter[str]()
    for form in rules.values():
        bounds = [
            part["operator"]
            for part in form["conditions"]
            if part["attributeName"] == CONFIDENCE
        ]
        assert len(set(bounds)) == len(bounds), form
        sides = ("before", "after") if form["when"] == "both" else (form["when"],)
        boxes.update(f"{side} {form['address']} {form['conditions']}" for side in sides)
    assert set(boxes.values()) <= {1}, boxes


@pytest.mark.generated
@pytest.mark.fast_cases(1)
@pytest.mark.parametrize("block", range(4))
def test_rows_and_rules_alone_say_what_moves(cxroute: Program, block: int) -> None:
    """Random projects, whose bounds of the fallback differ, and often their rules, too."""
    kinds = Counter[str]()
    for seed in range(block * SEEDS, (block + 1) * SEEDS):
        random = Random(f"base rules {seed}")
        floors = random.sample(BOUNDS, 2)
        old = [a_rule(random) for _ in range(random.randint(2, 6))]
        before: Version = floors[0], old
        after: Version = floors[1], [edit(random, rule) for rule in old]
        rmtree(".cxroute", ignore_errors=True)
        write_version("old", before)
        write_version("new", after)
        assert 0 == cxroute("-m", "old", "apply", "-e", "sandbox", "--yes")
        words = ["-m", "new", "plan", "-e", "sandbox", "--base", "old"]
        code, document = cxroute.json(*words)
        assert 0 == code, seed
        behaviour = document["behaviour"]
        check(behaviour, before, after)
        check_rules(behaviour["rules"])
        kinds.update(form["when"] for form in behaviour["rules"].values())
    assert {"before", "after"} <= kinds.keys(), kinds
