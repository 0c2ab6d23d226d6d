"""Tables of a decision service, short to write in tests."""

from __future__ import annotations

from typing import Any, Final

from reconciler.targets.decide.table import PublishedTable, parse_table

QUEUES: Final = [
    {"id": "4001", "name": "Fraud Desk"},
    {"id": "4002", "name": "Billing"},
]
ENDPOINT: Final = {
    "intent": "intent",
    "confidence": "confidence",
    "fallback": {"intent": None, "minConfidence": 0, "knownIntents": []},
    "types": {},
}


def rule_json(name: str, **fields: Any) -> dict[str, Any]:
    """Return a rule from intent `name` to the fraud desk, in the API's form."""
    intent = {
        "type": "attribute",
        "attributeName": "intent",
        "operator": "equals",
        "value": name,
    }
    return {
        "id": f"id-{name}",
        "name": name,
        "description": f"[cxroute:acme/cards/{name}#00000000]",
        "priority": 10,
        "enabled": True,
        "conditions": [intent],
        "targets": [{"type": "queue", "queueId": "4001", "weight": 1}],
        **fields,
    }


def table_json(*rules: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """Return a table with these rules, as JSON."""
    return {
        "rules": list(rules),
        "queues": QUEUES,
        "endpoint": ENDPOINT,
        "evaluation": "lowest-first",
        "answer": "id",
        "variables": {},
        **fields,
    }


def a_table(*rules: dict[str, Any], **fields: Any) -> PublishedTable:
    """Return a table with these rules."""
    return parse_table(table_json(*rules, **fields))
