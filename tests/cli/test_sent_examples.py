"""Each example of a report is a conversation that the stage before the rules lets through, and is in
the set that it stands for; or the report says that none exists.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from random import Random
from typing import Any, Final

import pytest

from reconciler.core.desired.desired import desire_offline
from reconciler.core.manifest.load import load_contents
from reconciler.core.model.live import Marker, format_description
from reconciler.core.model.rule import to_api_json
from tests.support.brute_force import Destination, Json
from tests.support.program import Program
from tests.support.random_projects import CONFIDENCE, INTENT, QUEUES
from tests.support.sent_conversations import (
    Conversation,
    RoutedList,
    Versions,
    is_inside,
    some_versions,
)
from tests.tiers import size

NAMES: Final = ("base", "ours", "theirs", "merged")
BLOCKS: Final = 10
SIZE: Final = size(fast=3, slow=15, full=60)
"""Projects in each block."""
NO_EXAMPLE: Final = "no such conversation is sent"


@dataclass(frozen=True)
class Claim:
    """An example of a report: of the conversations with all of `where`, without those of `excepts`.

    `routes` are the destinations that it has in versions.
    """

    report: str
    example: Conversation | None
    where: Sequence[Json] = ()
    excepts: Sequence[Sequence[Json]] = ()
    routes: Sequence[tuple[RoutedList, Destination]] = ()
    edit: tuple[RoutedList, RoutedList] | None = None

    def has(self, conversation: Conversation) -> bool:
        """Return whether a conversation is in the set."""
        if self.edit is not None:
            before, after = (rules.route(conversation) for rules in self.edit)
            return before != after
        return is_inside(conversation, self.where, self.excepts)


def place(form: Json) -> Destination:
    if "queues" not in form:
        return None
    return frozenset(
        (queue["queueName"], Fraction(queue["share"]).limit_denominator(1000))
        for queue in form["queues"]
    )


def written(versions: Versions, folder: Path) -> dict[str, RoutedList]:
    """Write the versions, and the live rules of `base`; return their rules in order."""
    lists = {}
    for name, text in zip(NAMES, versions.texts(), strict=True):
        (folder / name).mkdir(parents=True, exist_ok=True)
        (folder / name / "all.yaml").write_text(text, encoding="utf-8")
        lists[name] = _read(versions, text, folder / f"{name}.json")
    return lists


def _read(versions: Versions, text: str, live: Path) -> RoutedList:
    manifests = load_contents([("all.yaml", text.encode())])
    environment = manifests.environment("prod")
    desired, _ = desire_offline(manifests, environment)
    forms = [
        {
            "id": f"id-{address.key}",
            "name": each.rule.name,
            "description": format_description(
                each.rule, Marker(desired.owner, address, each.marker_digest)
            ),
            "priority": each.rule.priority,
            "enabled": each.rule.enabled,
            "conditions": [to_api_json(part) for part in each.rule.conditions],
            "targets": [to_api_json(part) for part in each.rule.targets],
        }
        for address, each in desired.rules.items()
    ]
    named = [{"id": name, "name": name} for name in QUEUES]
    live.write_text(json.dumps({"rules": forms, "queues": named}), encoding="utf-8")
    evaluation = environment.api.evaluation
    return RoutedList(forms, evaluation, versions.fallback, versions.vocabulary)


def claims_of_merge(report: Json, lists: dict[str, RoutedList]) -> Iterator[Claim]:
    environment = report["environments"]["prod"]
    for row in (*environment["surprises"], *environment["conflicts"]):
        yield Claim(
            "merge-check",
            row["example"],
            row["where"],
            [environment["rules"][name]["conditions"] for name in row["earlier"]],
            [(lists[name], place(row[name])) for name in NAMES],
        )
    for tie in environment.get("ties", ()):
        yield Claim("merge-check ties", tie["example"])


def claims_of_behaviour(
    report: str, behaviour: Json, before: RoutedList, after: RoutedList
) -> Iterator[Claim]:
    def routes(each: Json) -> Sequence[tuple[RoutedList, Destination]]:
        return [(before, place(each["before"])), (after, place(each["after"]))]

    rules = behaviour["rules"]
    for row in (row for effect in behaviour["effects"] for row in effect["rows"]):
        earlier = [rules[name]["conditions"] for name in row["earlier"]]
        yield Claim(
            f"{report} rows", row["example"], row["where"], earlier, routes(row)
        )
    for each in behaviour["regions"]:
        yield Claim(
            f"{report} regions",
            each["witness"],
            each["where"],
            each["except"],
            routes(each),
        )


def claims_of_tests(report: Json, rules: RoutedList) -> Iterator[Claim]:
    for promise in report["promises"]:
        if promise["environment"] != "prod":
            continue
        for each in promise["violations"]:
            routes = [(rules, place(each["destination"]))]
            yield Claim(
                "promises", each["witness"], each["where"], each["except"], routes
            )
    for each in report["adequacy"]["examples"]:
        if each.get("environment", "prod") == "prod":
            edited = rules.with_rules(each["rules"])
            yield Claim("adequacy", each["witness"], edit=(rules, edited))


TEXTS: Final = {
    "lint": re.compile(r"for example, (.*?) goes to "),
    "gap": re.compile(r"rules take more and less: (.*?) goes to "),
    "low": re.compile(r"for example (intent .*)$"),
    "row": re.compile(r"^ +example: (.*)$", re.MULTILINE),
    "merge": re.compile(r"^ +For example (.*)$", re.MULTILINE),
}


def conversation_of(text: str) -> Conversation | None:
    """Return a conversation that a report has in words; None: it says that there is none."""
    if NO_EXAMPLE in text:
        return None
    names = {"intent": INTENT, "confidence": CONFIDENCE}
    found = {}
    for name, value in re.findall(r'(\w+) ("[^"]*"|[-\w.]+)', text):
        if name != "no":
            found[names.get(name, name)] = _value(value)
    return found


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def texts_of(report: str, kind: str, text: str) -> Iterator[Claim]:
    for match in TEXTS[kind].finditer(text):
        yield Claim(f"{report} in words", conversation_of(match[1]))


def every_claim(cxroute: Program, versions: Versions, folder: Path) -> Iterator[Claim]:
    lists = written(versions, folder)
    sides = [str(folder / name) for name in NAMES]
    _, merge = cxroute.json("merge-check", *sides)
    yield from claims_of_merge(merge, lists)
    cxroute("merge-check", *sides, "-v")
    yield from texts_of("merge-check", "merge", cxroute.out)

    base, merged = lists["base"], lists["merged"]
    live = str(folder / "base.json")
    manifests = ("-m", sides[3])
    of_live = (*manifests, "-e", "prod", "--live", live)
    _, plan = cxroute.json("plan", *of_live, "--base", "none")
    assert "behaviour" in plan, plan
    yield from claims_of_behaviour("plan", plan["behaviour"], base, merged)
    cxroute("plan", *of_live, "--base", "none", "-v")
    yield from texts_of("plan", "row", cxroute.out)
    _, tests = cxroute.json("test", *manifests, "--adequacy")
    yield from claims_of_tests(tests, merged)
    _, findings = cxroute.json("validate", *manifests)
    for finding in findings["findings"]:
        for kind in ("lint", "gap", "low"):
            yield from texts_of(f"validate {finding['code']}", kind, finding["message"])


def wrong(claim: Claim, versions: Versions) -> str:
    """Return what is wrong about an example; empty if nothing is."""
    vocabulary = versions.vocabulary
    is_known = bool(claim.where or claim.edit)
    inside = filter(claim.has, vocabulary.every if is_known else ())
    if claim.example is None:
        found = next(inside, None)
        return f"there is one: {found}" if found else ""
    if not vocabulary.lets_through(claim.example):
        return "not let through"
    has_no_intent = vocabulary.intents is not None and INTENT not in claim.example
    if has_no_intent and any(INTENT in each for each in inside):
        return "without an intent"
    if not claim.has(claim.example):
        return "not in its set"
    for rules, expected in claim.routes:
        if rules.route(claim.example) != expected:
            return f"goes to {rules.route(claim.example)}, not to {expected}"
    return ""


@pytest.mark.generated
@pytest.mark.fast_cases(2)
@pytest.mark.parametrize("block", range(BLOCKS))
def test_each_example_is_let_through_and_in_its_set(
    cxroute: Program, tmp_path: Path, block: int
) -> None:
    """Over random versions with declared intents and values, in JSON and in words."""
    tried: Counter[str] = Counter()
    failed: Counter[str] = Counter()
    shown = []
    for seed in range(block * SIZE, (block + 1) * SIZE):
        versions = some_versions(Random(f"sent {seed}"), 7)
        for claim in every_claim(cxroute, versions, tmp_path / str(seed)):
            tried[claim.report] += 1
            problem = wrong(claim, versions)
            if problem:
                failed[claim.report] += 1
                shown.append((seed, claim.report, problem, claim.example, claim.where))
    if failed:
        counts = [f"{name}: {failed[name]} of {tried[name]}" for name in sorted(tried)]
        pytest.fail("\n".join([*counts, *map(str, shown[:40])]))
    assert tried["merge-check"], "some merge has a row"
    assert tried["plan rows"], "some plan has a row"
