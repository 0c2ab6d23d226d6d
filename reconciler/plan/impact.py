"""What a change does to conversations: the analysis, the edits, and their shares of a traffic sample."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from reconciler.behaviour.diff.difference import BehaviourChange
from reconciler.plan.edits import EditedRule
from reconciler.plan.traffic_shares import TrafficImpact


@dataclass(frozen=True, slots=True)
class Impact:
    """The difference of two lists, the edits between them, and the shares of a sample; None without one."""

    behaviour: BehaviourChange
    edits: Sequence[EditedRule] = ()
    traffic: TrafficImpact | None = None


NO_IMPACT: Final = Impact(BehaviourChange(regions=()))
"""The impact of no change."""
