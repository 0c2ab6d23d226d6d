"""Realistic random tenants: every operator, odd names, unknown fields, ties, managed and unmanaged
rules.

Each rule is either representable in a manifest or not (`GeneratedTenant.kept_out`). Random values
come from a `random.Random`: a seeded one, or hypothesis's, which shrinks.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random
from typing import Any, Final

from reconciler.core.model.live import Marker, format_description, marker_digest
from reconciler.core.model.rule import Address
from reconciler.core.rule_json import parse_live_rule
from tests.support.hostile_names import HOSTILE_NAMES, MARKDOWN_NAMES

Json = dict[str, Any]

OWNER: Final = "acme"
INTENT: Final = "cognigyDetectedIntent"
CONFIDENCE: Final = "cognigyConfidence"
QUEUES: Final = (
    {"id": "q1", "name": "Card Services"},
    {"id": "q2", "name": "Service en fran\u00e7ais"},
    {"id": "q3", "name": "${overflow}: $5"},
    {"id": "q4", "name": "Support"},
    {"id": "q5", "name": "\u5ba2\u670d"},
    {"id": "q6", "name": "010"},
)
TWINS: Final = ({"id": "t1-aaaa", "name": "Twice"}, {"id": "t2-bbbb", "name": "Twice"})
"""Two queues of one name with different ids."""

LIKE_YAML: Final = (
    *(
        "no",
        "010",
        "- x",
        "a: b",
        "#x",
        "a #x",
        "{",
        "[a, b]",
        "true",
        "null",
        "~",
        "1e3",
        "0x1F",
        "*a",
        "&a",
        "!t",
    ),
    *(
        "@x",
        "`x",
        "%x",
        "|",
        ">",
        "---",
        "...",
        "? x",
        ": x",
        "<<",
        "=",
        "'quoted'",
        '"quoted"',
        "a, b",
        " first",
        "last ",
    ),
    *(
        "tab\there",
        "caf\u00e9",
        "cafe\u0301",
        "\u5ba2\u670d",
        "\U0001f384",
        "$",
        "$$",
        "${x}",
        "a$b${",
        "C:\\path",
        "10:00",
    ),
)
_HALF: Final = ("half a character", "not decodable")
_ODD: Final = tuple(
    text
    for name, text in {**HOSTILE_NAMES, **MARKDOWN_NAMES}.items()
    if name not in _HALF
)
NAMES: Final = tuple(text[:250] for text in (*_ODD, *LIKE_YAML) if text.strip())
OUR_MARK: Final = "[cxroute:"
"""A description in a manifest cannot contain it: the last line of a description names the owner of
a rule."""
TEXTS: Final = (*NAMES, "", "gold", "platinum", "0.5", "true")
INTENTS: Final = (
    "lost_or_stolen_card",
    "Refund_not_showing_up",
    "reverted_card_payment?",
    "card_arrival",
    "card-arrival",
)
NUMBERS: Final = (0, 1, -1, 0.5, 0.7, 1.0, 1e-9, 2**53 + 1, 10**20, 1e21, -0.0, 5e-324)
PATTERNS: Final = (
    "contains",
    "notContains",
    "startsWith",
    "notStartsWith",
    "endsWith",
    "notEndsWith",
)
ORDERS: Final = ("greaterThan", "greaterThanOrEqual", "lessThan", "lessThanOrEqual")
UNKNOWN: Final[tuple[Json, ...]] = (
    {
        "type": "attribute",
        "attributeName": "said",
        "operator": "matchesRegex",
        "value": "a.*",
    },
    {"type": "attribute", "attributeName": "said", "operator": "equals", "value": None},
    {
        "type": "attribute",
        "attributeName": "said",
        "operator": "contains",
        "value": True,
    },
    {"type": "attribute", "attributeName": "", "operator": "equals", "value": "x"},
    {"type": "schedule", "name": "nights"},
)


@dataclass
class GeneratedTenant:
    """A tenant's rules in the API's form.

    `kept_out` are the ids of rules that no manifest can or may have.
    """

    rules: list[Json] = field(default_factory=list)
    queues: list[Json] = field(default_factory=lambda: [*map(dict, QUEUES)])
    kept_out: set[str] = field(default_factory=set)
    ours: set[str] = field(default_factory=set)

    @property
    def by_hand(self) -> set[str]:
        """Return the ids of the rules to adopt."""
        return {rule["id"] for rule in self.rules} - self.kept_out - self.ours


def generate_tenant(random: Random, size: int) -> GeneratedTenant:
    """Return a tenant of so many rules."""
    actual = GeneratedTenant()
    if random.random() < 0.3:
        actual.queues += map(dict, TWINS)
    for number in range(size):
        rule = _rule(random, number, [queue["id"] for queue in actual.queues])
        _settle(random, actual, rule)
    return actual


def _settle(random: Random, found: GeneratedTenant, rule: Json) -> None:
    """Give a rule its owner, or a property that excludes it from manifests."""
    dice = random.random()
    if rule["enabled"] and not any(target["weight"] for target in rule["targets"]):
        found.kept_out.add(rule["id"])  # CXR123
    elif dice < 0.05:
        _spoil(random, rule)
        found.kept_out.add(rule["id"])
    elif dice < 0.1:
        rule["description"] += f"\n[cxroute:other/rules/{rule['id']}#00000000]"
        found.kept_out.add(rule["id"])
    elif dice < 0.17:
        live = parse_live_rule({**rule, "name": f"Ours {rule['id']}"})
        marker = Marker(
            OWNER,
            Address(random.choice(("cards", "support")), rule["id"]),
            marker_digest(live.rule),
        )
        rule |= {
            "name": live.rule.name,
            "description": format_description(live.rule, marker),
        }
        found.ours.add(rule["id"])
    found.rules.append(rule)


def _spoil(random: Random, rule: Json) -> None:
    dice = random.randrange(8)
    if dice < len(UNKNOWN):
        rule["conditions"].append(dict(UNKNOWN[dice]))
    elif dice == 5:
        rule["targets"].append({"type": "skill", "skillId": "s"})
    elif dice == 6:
        rule["priority"] = 10.5
    else:
        rule["description"] = "what looks like [cxroute: but is not\r"


def _rule(random: Random, number: int, queues: list[str]) -> Json:
    name = random.choice(
        (
            random.choice(NAMES),
            f"rule {number}",
            f"Cognigy Intent Route: {random.choice(INTENTS)}",
        )
    )
    intent = random.choice(INTENTS)
    message = random.choice([text for text in TEXTS if OUR_MARK not in text])
    rule: Json = {
        "id": f"r{number}",
        "name": f"{name} {number}"[-250:] if random.random() < 0.8 else name,
        "description": random.choice(
            (
                "",
                "by hand",
                message,
                f"Routes conversations with intent '{intent}' to Support",
            )
        ),
        "priority": random.choice(
            (100, 100, 100, 1, 2, -(2**31), 2**31 - 1, 50.0, random.randrange(1000))
        ),
        "enabled": random.random() < 0.85,
        "conditions": [_condition(random, intent) for _ in range(random.randrange(4))],
        "targets": [
            _target(random, queues) for _ in range(random.choice((1, 1, 1, 2, 3)))
        ],
        "version": 1,
    }
    if random.random() < 0.5:
        rule |= {
            "workflowHints": {"sticky": True, "deep": [1, {"a": None}]},
            "legacy": random.choice(TEXTS),
        }
    return rule


def _condition(random: Random, intent: str) -> Json:
    attribute = random.choice(
        (INTENT, INTENT, CONFIDENCE, "language", "a: b", "$x", "caf\u00e9")
    )
    operator, value = random.choice((_of_intent, _of_confidence, _of_anything))(
        random, intent
    )
    condition = {
        "type": "attribute",
        "attributeName": attribute,
        "operator": operator,
        "value": value,
    }
    return {**condition, "note": "kept"} if random.random() < 0.1 else condition


def _of_intent(random: Random, intent: str) -> tuple[str, object]:
    several = random.sample(INTENTS, random.randrange(4))
    return random.choice(
        (("equals", intent), ("in", [*several, intent]), ("in", several))
    )


def _of_confidence(random: Random, _intent: str) -> tuple[str, object]:
    return random.choice(
        ("greaterThanOrEqual", "greaterThanOrEqual", "lessThan")
    ), random.choice((0.6, 0.6, 0, 1, 0.95, "0.7", 7))


def _of_anything(random: Random, _intent: str) -> tuple[str, object]:
    scalars = (*random.sample(TEXTS, 3), *random.sample(NUMBERS, 2), True, False)
    return random.choice(
        (
            (random.choice(("equals", "notEquals")), random.choice(scalars)),
            (
                random.choice(("in", "notIn")),
                random.choices(scalars, k=random.randrange(5)),
            ),
            (random.choice(PATTERNS), random.choice(TEXTS)),
            (random.choice(ORDERS), random.choice((*NUMBERS, "0.5", "1e2"))),
            ("between", [random.choice(NUMBERS), random.choice((*NUMBERS, "0.9"))]),
            (random.choice(("exists", "notExists")), random.choice((None, True, "x"))),
        )
    )


def _target(random: Random, queues: list[str]) -> Json:
    weight = random.choice((1, 1, 1, 100, 0, 0.5, 80, 1e-3, 2.0))
    target = {"type": "queue", "queueId": random.choice(queues), "weight": weight}
    return {**target, "ring": "all"} if random.random() < 0.1 else target
