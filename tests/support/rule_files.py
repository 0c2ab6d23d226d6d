"""Files of rules in the API's format, as `diff` and `replay` read them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def asks(attribute: str, operator: str, value: Any) -> dict[str, Any]:
    return {
        "type": "attribute",
        "attributeName": attribute,
        "operator": operator,
        "value": value,
    }


def form(
    name: str, *conditions: dict[str, Any], queue: str = "q-general", **said: Any
) -> dict[str, Any]:
    """Return a rule in the API's format."""
    target = {"type": "queue", "queueId": queue, "weight": 1}
    return {
        "id": name,
        "name": name,
        "priority": 1,
        "conditions": list(conditions),
        "targets": [target],
        **said,
    }


def card(confidence: float) -> dict[str, Any]:
    sure = asks("cognigyConfidence", "greaterThanOrEqual", confidence)
    return form(
        "card",
        asks("cognigyDetectedIntent", "equals", "card_not_working"),
        sure,
        queue="q-cards",
    )


ALL = form("all", priority=900)


def file(name: str, content: object) -> str:
    Path(name).write_text(
        content if isinstance(content, str) else json.dumps(content), encoding="utf-8"
    )
    return name
