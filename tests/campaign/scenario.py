"""A scenario: the current tenant, and the desired rules of the manifests."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from reconciler.core.desired.desired import DesiredState
from reconciler.core.manifest.kinds.environment import Environment
from reconciler.core.plan.stages import PlanOptions
from tests.support.builders import OWNER, QUEUES

ROOMY = {"deletes": {"count": 1000, "percent": 100}}
"""Guards that allow a scenario to empty half of a tenant."""

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Scenario:
    """A tenant, as the server stores it, and its desired rules.

    `conversations` are inputs whose queue is watched in every state: of each intent and attribute
    that occurs. `kinds` are its kinds in tests/campaign/test_campaign.py (`rename`, `swap of two`,
    `clone` ...).
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
    """Plans are saved first, and then applied."""
    teams: tuple[DesiredState, ...] = ()
    """The desired rules of other owners, which apply in parallel (schedule `teams`)."""
