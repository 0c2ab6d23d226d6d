"""What a change does to conversations: the analysis, the edits, and their shares of a traffic
sample.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from reconciler.core.behaviour.diff.difference import BehaviourChange
from reconciler.core.behaviour.diff.effects import Effect
from reconciler.core.plan.edits import EditedRule
from reconciler.core.plan.traffic_shares import EffectShare, TrafficImpact


@dataclass(frozen=True, slots=True)
class Impact:
    """The difference of two lists, the edits between them, and the shares of a sample; None without
    one.
    """

    behaviour: BehaviourChange
    edits: Sequence[EditedRule] = ()
    traffic: TrafficImpact | None = None

    @property
    def effects(self) -> list[tuple[Effect, EffectShare]]:
        """Return the effects, each with its share of the sample."""
        effects = self.behaviour.effects
        shares: Iterable[EffectShare]
        if self.traffic is None:
            shares = (
                EffectShare(None, (None,) * len(effect.rows)) for effect in effects
            )
        else:
            shares = self.traffic.effects
        return list(zip(effects, shares, strict=True))


NO_IMPACT: Final = Impact(BehaviourChange(regions=()))
"""The impact of no change."""
