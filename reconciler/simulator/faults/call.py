"""What a fault has to work with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    from reconciler.simulator.api import Api
    from reconciler.simulator.exchange import Answer, Request
    from reconciler.simulator.state import Stored


@dataclass(frozen=True, slots=True)
class Call:
    """A request that a fault fell on, and the fault's argument."""

    request: Request
    api: Api
    argument: str
    random: Random
    past: Callable[[int], tuple[Stored, ...]]
    """The rules as they were so many changes ago."""

    def real(self) -> Answer:
        """Do the request."""
        return self.api.answer(self.request)

    def number(self, default: float) -> float:
        """Return the argument, which the spec has checked to be a number where one is taken."""
        return float(self.argument) if self.argument else default
