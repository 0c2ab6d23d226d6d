"""An airline with 29 intents in the sandbox, and a function that adds a rule in CXone."""

from __future__ import annotations

from typing import Final

from reconciler.cli.files import STATE
from reconciler.features.practice.sandbox import open_state
from tests.support.program import write

INTENTS: Final = [f"intent-{number}" for number in range(29)]
ADDRESSES: Final = [f"air/{intent}" for intent in INTENTS]
"""Those of their rules."""


def rules(
    confidence: float = 0.6, catch_all: str = "", environment: str = "", own: str = ""
) -> None:
    """Write the manifests: a rule for each intent, and the given further rules, Environment fields
    and rule 3.
    """
    listed = [
        f"{{intent: {intent}, queue: Q{n % 4}, priority: {10 + n}{own if n == 3 else ''}}}"
        for n, intent in enumerate(INTENTS)
    ]
    text = "".join(
        f"  - {rule}\n" for rule in (*listed, *([catch_all] if catch_all else []))
    )
    head = (
        f"apiVersion: routing/v1\nkind: RuleSet\nname: air\ndefaults: {{minConfidence: "
        f"{confidence}}}\nrules:\n"
    )
    write("rules.yaml", head + text)
    write(
        "sandbox.yaml",
        f"apiVersion: routing/v1\nkind: Environment\nname: sandbox\nowner: air\n{environment}\n",
    )


def create_unmanaged_rule(name: str = "ALL CALLS", priority: int = 1) -> None:
    """Create a rule in CXone that matches every conversation."""
    with open_state(STATE) as state:
        queue = next(queue["id"] for queue in state.queues if queue["name"] == "Q0")
        target = {"type": "queue", "queueId": queue, "weight": 1}
        rest = {
            "priority": priority,
            "enabled": True,
            "conditions": [],
            "targets": [target],
        }
        state.put(
            {"id": "by-hand", "name": name, "description": "", "version": 1, **rest}
        )
