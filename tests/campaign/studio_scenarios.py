"""Scenarios of rules in a Studio script: the rules that are live, the rules to come, and the script
around them.

A rule is a line of this module; manifests are made from it, and the oracle evaluates it by itself
(`StudioRule.route`).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, NamedTuple

from reconciler.core.manifest.load import Manifests, load_contents
from reconciler.features.practice.simulator.state import default_content, edit_content

SCRIPT: Final = "Bot\\Hand-over"
BLOCK: Final = "acme/main"
SKILLS: Final = {
    "4001": "Fraud Desk",
    "4002": "Card Services",
    "4003": "General",
    "4004": 'VIP "Gold" Größe \u2028',
}
DEFAULT: Final = "4003"
"""The skill that the script sets before the block."""
_ENVIRONMENT: Final = f"""apiVersion: routing/v1
kind: Environment
name: prod
owner: acme
tenant: acme
api:
  issuer: https://cxone.niceincontact.com
  auth: access-key
  queues: acd-skills
  rules: studio
  studio: {{script: '{SCRIPT}', block: main}}
"""


class StudioRule(NamedTuple):
    """A rule: the intents that it takes, sorted, from a confidence on, and its skill."""

    key: str
    intents: tuple[str, ...]
    skill: str
    priority: int
    least: float = 0.0
    enabled: bool = True

    @property
    def manifest(self) -> dict[str, Any]:
        """The rule's entry in a RuleSet."""
        entry: dict[str, Any] = {
            "key": self.key,
            "intents": list(self.intents),
            "queue": SKILLS[self.skill],
        }
        entry |= {"priority": self.priority, "description": f"Grüße von {self.key} ☂"}
        entry |= {"minConfidence": self.least} if self.least else {}
        return entry | ({} if self.enabled else {"enabled": False})


class Sample(NamedTuple):
    """A conversation whose route is watched."""

    intent: str
    confidence: float | str


def route(wishes: tuple[StudioRule, ...], sample: Sample) -> str:
    """Return the skill of a conversation."""
    confidence = sample.confidence if isinstance(sample.confidence, float) else -1.0
    for wish in sorted(wishes, key=lambda wish: (wish.priority, wish.key)):
        if (
            wish.enabled
            and sample.intent in wish.intents
            and (not wish.least or confidence >= wish.least)
        ):
            return wish.skill
    return DEFAULT


@dataclass(frozen=True)
class StudioScenario:
    """What is live, what is to come, and how."""

    start: tuple[StudioRule, ...]
    goal: tuple[StudioRule, ...]
    newline: str = "\r\n"
    actions: int = 0
    """Further actions of the script."""
    drift: Callable[[str], str] | None = None
    """An edit of the code by a person, before the run."""
    is_reviewed: bool = False

    @cached_property
    def samples(self) -> tuple[Sample, ...]:
        """Conversations of some intents: with a high and a low confidence, and with a text in place
        of one.
        """
        wishes = {wish.key: wish for wish in (*self.start, *self.goal)}.values()
        changed = [
            wish for wish in wishes if (wish in self.start) != (wish in self.goal)
        ]
        intents = dict.fromkeys(wish.intents[-1] for wish in (*changed, *wishes))
        usual = (
            Sample(intent, confidence)
            for intent in [*intents][:6]
            for confidence in (0.95, 0.2)
        )
        return (
            *usual,
            Sample("unknown", 0.9),
            Sample("lost", ""),
            Sample("by hand", 1.0),
        )

    @cached_property
    def manifests(self) -> Manifests:
        """The manifests of the goal."""
        return manifests(self.goal)

    @property
    def content(self) -> dict[str, Any]:
        """The script before anything was written into its block."""
        content = default_content(SCRIPT, BLOCK, DEFAULT)
        for number in range(100, 100 + self.actions):
            content["actions"][str(number)] = {
                "actionType": "PLAY",
                "x": number / 7,
                "note": '"\\"{}\u2028\u00e9',
            }
            content["properties"][str(number)] = {
                "0": {"name": "Prompt", "value": f'say "hi {{x}}" \\ {number}'}
            }
        odd = '// Größe "x" \\n \u2028 {y} \U0001f600\t\r\n  ASSIGN other = "{cxr_skill}"\r\n'
        edited = edit_content(
            content, lambda code: (odd + code + odd).replace("\r\n", self.newline)
        )
        assert isinstance(edited, dict)
        return edited


def manifests(wishes: tuple[StudioRule, ...]) -> Manifests:
    """Return manifests with these rules, as files would give them."""
    rules = {
        "apiVersion": "routing/v1",
        "kind": "RuleSet",
        "name": "cards",
        "rules": [w.manifest for w in wishes],
    }
    files = (
        ("prod.yaml", _ENVIRONMENT.encode()),
        ("cards.yaml", json.dumps(rules).encode()),
    )
    return load_contents(files)


def _edited(
    wishes: tuple[StudioRule, ...], **changes: StudioRule | None
) -> tuple[StudioRule, ...]:
    """Return the rules, with some replaced, and those that are None left out."""
    return tuple(_kept(wishes, changes))


def _kept(
    wishes: tuple[StudioRule, ...], changes: Mapping[str, StudioRule | None]
) -> Iterator[StudioRule]:
    keys = {wish.key for wish in wishes}
    for wish in wishes:
        new = changes.get(wish.key, wish)
        if new is not None:
            yield new
    yield from (
        wish for key, wish in changes.items() if wish is not None and key not in keys
    )


_BASE: Final = (
    StudioRule("lost", ("lost", "stolen"), "4001", 10, 0.7),
    StudioRule("card", ("card", 'größe "x"'.replace('"', "'")), "4002", 20),
    StudioRule("loan", ("loan",), "4002", 30, 0.5),
    StudioRule("gone", ("gone",), "4001", 40),
    StudioRule("keep", ("keep",), "4004", 50),
    StudioRule("off", ("off",), "4001", 60, enabled=False),
    StudioRule("any", ("any", "loan", "lost"), "4004", 70),
)
_CHANGED: Final = _edited(
    _BASE,
    lost=StudioRule("lost", ("lost", "stolen"), "4002", 10, 0.4),
    loan=StudioRule("loan", ("loan",), "4001", 5, 0.5),
    gone=None,
    off=StudioRule("off", ("off",), "4001", 60),
    new=StudioRule("new", ("new",), "4002", 15),
)
_BIG: Final = tuple(
    StudioRule(f"rule-{n}", (f"topic {n}",), f"400{1 + n % 3}", 10 * n + 10)
    for n in range(120)
)

SCENARIOS: Final[Mapping[str, StudioScenario]] = {
    "first": StudioScenario((), _BASE),
    "changes": StudioScenario(_BASE, _CHANGED),
    "changes-lf": StudioScenario(_BASE, _CHANGED, newline="\n"),
    "odd-script": StudioScenario(_BASE, _CHANGED, actions=60),
    "drift": StudioScenario(
        _BASE,
        _BASE,
        drift=lambda code: code.replace("cxr_skill = 4004", "cxr_skill = 4002").replace(
            "0.7", "0.1"
        ),
    ),
    "drift-of-order": StudioScenario(
        _BASE, _BASE, drift=lambda code: code.replace("priority=20", "priority=25")
    ),
    "no-change": StudioScenario(_BASE, _BASE),
    "all-gone": StudioScenario(_BASE[:3], ()),
    "reviewed": StudioScenario(_BASE, _CHANGED, is_reviewed=True),
    "big": StudioScenario(
        _BIG,
        _edited(
            _BIG,
            **{"rule-7": StudioRule("rule-7", ("topic 7",), "4004", 3), "rule-9": None},
        ),
    ),
}
