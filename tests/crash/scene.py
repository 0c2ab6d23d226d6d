"""The scene of the killed runs: a tenant that cxroute manages, and manifests that differ from it by
30 changes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any, Final

Rule = dict[str, Any]

OWNER: Final = "acme"
QUEUES: Final = [
    {"id": f"q-{name}", "name": name}
    for name in ("Cards", "Fraud", "General", "Overflow")
]
UPDATED = 8
DELETED = 5
CREATED = 9
KEPT = 3

ENVIRONMENT: Final = """\
apiVersion: routing/v1
kind: Environment
name: live
owner: {owner}
tenant: acme
api: {{baseUrl: "{url}", requestsPerSecond: 10000, timeoutSeconds: 20, namesUnique: {unique}, concurrency: {places}}}
guard: {{deletes: {{count: 100, percent: 100}}, changes: {{count: 100, percent: 100}}}}
"""


def before() -> list[Rule]:
    """Return the rules of the tenant, in the form of manifests."""
    return [
        *(_rule(f"kept-{number}", "Cards") for number in range(KEPT)),
        *(
            _rule(f"updated-{number}", "Cards", minConfidence=0.5)
            for number in range(UPDATED)
        ),
        *(_rule(f"deleted-{number}", "Fraud") for number in range(DELETED)),
        _rule("renamed", "Cards", name="Before \U0001f4b3"),
        _rule(
            "former-key", "Cards", intent="moved", name="Cognigy Intent Route: moved"
        ),
        _rule("left", "Cards", intent="x", name="Cognigy Intent Route: x"),
        _rule("right", "Fraud", intent="y", name="Cognigy Intent Route: y"),
        _rule("first", "Cards", intent="z", name="First of two", priority=10),
        _rule("second", "Fraud", intent="z", name="Second of two", priority=20),
        {
            "key": "rest",
            "priority": 900,
            "when": [],
            "queue": "General",
            "name": "Everything else",
        },
    ]


def after() -> list[Rule]:
    """Return the desired rules, which are 30 changes away: 10 creates, 13 updates, 6 deletes, an
    adoption.
    """
    return [
        *(_rule(f"kept-{number}", "Cards") for number in range(KEPT)),
        *(
            _rule(f"updated-{number}", "Overflow", minConfidence=0.8)
            for number in range(UPDATED)
        ),
        *(_rule(f"created-{number}", "Cards") for number in range(CREATED)),
        _rule("renamed", "Cards", name="ثم \U0001f510 after"),
        _rule("latter-key", "Fraud", intent="moved", name="Moved"),
        _rule("left", "Cards", intent="y", name="Cognigy Intent Route: y"),
        _rule("right", "Fraud", intent="x", name="Cognigy Intent Route: x"),
        _rule("first", "Cards", intent="z", name="First of two", priority=20),
        _rule("second", "Fraud", intent="z", name="Second of two", priority=10),
        _rule("adopted", "Fraud", adopt="By hand"),
        {
            "key": "rest",
            "priority": 900,
            "when": [],
            "queue": "General",
            "name": "Everything else",
        },
    ]


def others() -> list[Rule]:
    """Return unmanaged live rules in the server's form; the manifests adopt `By hand`."""
    marked = {"description": f"[cxroute:somebody-else/cards/kept-0#{0:08x}]"}
    return [
        _live("o1", "By hand", "adopted", "Cards", custom={"kept": [1, 2]}),
        _live(
            "o2",
            "Legacy",
            "legacy",
            "Overflow",
            conditions=[{"type": "schedule", "id": "s1"}],
            enabled=False,
        ),
        _live("o3", "Theirs", "theirs", "Fraud", **marked),
        _live(
            "o4",
            "\u200eעברית \U0001f600",
            "hebrew",
            "Cards",
            description=f"[cxroute:{OWNER}/rules/kept-0] is ours",
        ),
    ]


def conversations() -> list[dict[str, Any]]:
    """Return possible conversations: each intent and an unknown one, with confidences around each
    threshold.
    """
    declared = [rule["intent"] for rule in (*before(), *after()) if "intent" in rule]
    intents = sorted({*declared, "legacy", "theirs", "hebrew", "unheard-of"})
    sure = (None, 0.3, 0.5, 0.65, 0.8, 0.95)
    return [
        _conversation(intent, confidence)
        for intent, confidence in product(intents, sure)
    ]


def write_manifests(
    folder: Path, rules: list[Rule], url: str, *, unique: bool, places: int = 4
) -> None:
    """Write manifests for the tenant at that address."""
    folder.mkdir(parents=True)
    environment = ENVIRONMENT.format(
        owner=OWNER, url=url, unique=str(unique).lower(), places=places
    )
    (folder / "live.yaml").write_text(environment, encoding="utf-8")
    (folder / "rules.yaml").write_text("\n".join(_ruleset(rules)), encoding="utf-8")


def _ruleset(rules: list[Rule]) -> Iterator[str]:
    yield "apiVersion: routing/v1\nkind: RuleSet\nname: rules\nrules:"
    yield from (f"  - {json.dumps(rule, ensure_ascii=False)}" for rule in rules)
    yield ""


def _rule(key: str, queue: str, **said: Any) -> Rule:
    return {"key": key, "intent": key, "queue": queue, "priority": 100, **said}


def _live(identity: str, name: str, intent: str, queue: str, **said: Any) -> Rule:
    condition = {
        "type": "attribute",
        "attributeName": "cognigyDetectedIntent",
        "operator": "equals",
        "value": intent,
    }
    return {
        "id": identity,
        "name": name,
        "description": "made by hand",
        "priority": 50,
        "enabled": True,
        "conditions": [condition],
        "targets": [{"type": "queue", "queueId": f"q-{queue}", "weight": 1}],
        "version": 7,
        **said,
    }


def _conversation(intent: str, confidence: float | None) -> dict[str, Any]:
    return {"cognigyDetectedIntent": intent} | (
        {} if confidence is None else {"cognigyConfidence": confidence}
    )
