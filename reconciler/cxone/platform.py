"""Queues where the platform itself has them, as far as public documents and SDKs tell (docs/profiles.md)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from reconciler.manifest.profile import ListedQueues

if TYPE_CHECKING:
    from reconciler.manifest.tenant import Api


def queues_of(api: Api, otherwise: ListedQueues) -> ListedQueues:
    """Return where and how the environment's queues are read; `otherwise` is the profile's list beside the rules."""
    match api.queues:
        case "acd-skills":
            return skills(api.skills_version)
        case "digital":
            return ROUTING_QUEUES
    return otherwise


def skills(version: int) -> ListedQueues:
    """Return the list of ACD skills: numeric ids, 204 where there is none."""
    return ListedQueues.model_validate(
        {
            "path": f"/inContactAPI/services/v{version}.0/skills",
            "paging": {"style": "skip-top"},
            "list": "skills",
            "id": "skillId",
            "ids": "number",
            "name": "skillName",
            "active": "isActive",
            "noContent": True,
        }
    )


ROUTING_QUEUES: Final = ListedQueues.model_validate(
    {
        "path": "/dfo/3.0/routing-queues",
        "paging": {"style": "scroll-token", "size": "size", "total": "hits"},
        "list": "data",
        "noContent": True,
    }
)
