"""A scenario: a tenant as it is, and what the manifests want."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from reconciler.desired.desired import DesiredState
from reconciler.manifest.kinds.environment import Environment
from reconciler.plan.plan import PlanOptions
from tests.support.builders import OWNER, QUEUES

ROOMY = {"deletes": {"count": 1000, "percent": 100}}
"""Guards that let a scenario empty half of a tenant."""

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Scenario:
    """A tenant, as the server holds it, and what is wanted of it.

    `conversations` are inputs whose queue is watched in every state: of each intent and attribute that occurs.
    `kinds` says of which kinds in tests/campaign/test_campaign.py it is (`rename`, `swap of two`, `clone` ...).
    """

    name: str
    rules: tuple[Json, ...]
    wish: DesiredState
    conversations: tuple[Json, ...]
    kinds: frozenset[str] = frozenset()
    queues: tuple[Json, ...] = tuple(queue._asdict() for queue in QUEUES)
    environment: Environment = field(
        default_factory=lambda: Environment.model_validate(
            {"name": "prod", "owner": OWNER, "tenant": "acme", "guard": ROOMY}
        )
    )
    options: PlanOptions = field(default_factory=PlanOptions)
    allow: tuple[str, ...] = ("unrouted", "emptied")
    reviewed: bool = False
    """Plans are saved first, and these are applied."""
    teams: tuple[DesiredState, ...] = ()
    """What other owners want, who apply beside the first (schedule `teams`)."""
