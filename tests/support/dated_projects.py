"""Random manifests with dates, and the same manifests without dates as they are at one time.

The reading of dates below shares no code with the product.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from random import Random
from typing import Any, Final

import yaml

from tests.support.random_projects import Fallback, a_project

NOW: Final = datetime(2026, 12, 1, tzinfo=UTC)
TIMES: Final = (
    datetime(2026, 11, 20, tzinfo=UTC),
    datetime(2026, 12, 10, tzinfo=UTC),
    datetime(2026, 12, 20, 6, 30, tzinfo=UTC),
    datetime(2027, 1, 7, tzinfo=UTC),
)
"""All times in these manifests; the first one is over."""
INSTANTS: Final = (NOW, *TIMES[1:])
"""A time of each interval from now on."""
_WEIGHTS: Final = ((100, 0), (90, 10), (50, 50), (0, 1))
Document = dict[str, Any]


@dataclass(frozen=True)
class DatedProject:
    """Documents of manifests, and the fallback of each Environment."""

    documents: tuple[Document, ...]
    fallbacks: Mapping[str, Fallback]

    @property
    def text(self) -> str:
        """Return the manifests."""
        return text_of(self.documents)

    def with_rules(self, rules: Sequence[Document]) -> DatedProject:
        """Return the project with other rules."""
        documents = [
            {**each, "rules": list(rules)} if each["kind"] == "RuleSet" else each
            for each in self.documents
        ]
        return DatedProject(tuple(documents), self.fallbacks)

    @property
    def rules(self) -> list[Document]:
        """Return the rules."""
        (rules,) = [each["rules"] for each in self.documents if "rules" in each]
        return list(rules)


def text_of(documents: Sequence[Document]) -> str:
    """Return documents as one text."""
    return "---\n".join(json.dumps(each) + "\n" for each in documents)


def a_dated_project(random: Random, most: int) -> DatedProject:
    """Return a random project, in which some rules have dates."""
    plain = a_project(random, most)
    documents = tuple(yaml.safe_load_all(plain.text))
    project = DatedProject(documents, plain.fallbacks)
    return project.with_rules([with_dates(random, rule) for rule in project.rules])


def with_dates(random: Random, rule: Document) -> Document:
    """Return a rule with random dates, or as it is."""
    dated = dict(rule)
    if random.random() < 0.4:
        first, last = sorted(random.sample(TIMES, 2))
        ends = random.choice((("from",), ("until",), ("from", "until")))
        times = {"from": first.isoformat(), "until": last.isoformat()}
        dated.update({name: times[name] for name in ends})
    if random.random() < 0.2:
        dated.update(_steps(random, dated.pop("queue")))
    return dated


def _steps(random: Random, queue: str) -> Document:
    names = [queue, "Partner"]
    first, *later = random.sample(_WEIGHTS, 3)
    times = sorted(random.sample(TIMES, 2))
    targets = [
        {"queue": name, "weight": weight}
        for name, weight in zip(names, first, strict=True)
    ]
    steps = [
        {"at": at.isoformat(), "weights": dict(zip(names, weights, strict=True))}
        for at, weights in zip(times, later, strict=True)
    ]
    return {"targets": targets, "steps": steps}


def documents_at(text: str, instant: datetime) -> tuple[Document, ...]:
    """Return the documents of a text as they are at a time, without dates."""
    return tuple(
        {**each, "rules": _rules_at(each["rules"], instant)}
        if each["kind"] == "RuleSet"
        else each
        for each in yaml.safe_load_all(text)
    )


def _rules_at(rules: Sequence[Document], instant: datetime) -> list[Document]:
    return [_rule_at(rule, instant) for rule in rules if _is_active(rule, instant)]


def _is_active(rule: Document, instant: datetime) -> bool:
    has_begun = "from" not in rule or datetime.fromisoformat(rule["from"]) <= instant
    is_over = "until" in rule and datetime.fromisoformat(rule["until"]) <= instant
    return has_begun and not is_over


def _rule_at(rule: Document, instant: datetime) -> Document:
    plain = {
        name: value
        for name, value in rule.items()
        if name not in ("from", "until", "steps")
    }
    if "steps" not in rule:
        return plain
    weights = {each["queue"]: each["weight"] for each in rule["targets"]}
    for step in rule["steps"]:
        if datetime.fromisoformat(step["at"]) <= instant:
            weights = step["weights"]
    targets = [
        {"queue": queue, "weight": weight}
        for queue, weight in weights.items()
        if weight
    ]
    return {**plain, "targets": targets}
