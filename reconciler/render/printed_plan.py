"""A plan as its forms read it: one that was just made, or one that a file contains."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from reconciler.core.model.finding import Document, Finding
from reconciler.render.colour import Style
from reconciler.render.effects import Extent
from reconciler.render.plan_view import PlanView
from reconciler.render.summary import PlanSummary
from reconciler.render.text.plan import TextLimits


@dataclass(frozen=True, slots=True, kw_only=True)
class PrintedPlan:
    """The parts of a plan that a form may use. Each part is made only for a form that calls it."""

    style: Style  # the colours of the terminal
    limits: TextLimits  # how much a screen shows
    length: Literal["brief", "usual"]  # brief: the results alone (-q)
    token: str  # a random text, which no name from outside can contain
    banner: Callable[[], str]
    """Returns the line above the plan if no tenant was contacted; otherwise an empty text."""
    document: Callable[[], Document]
    """Returns the plan as JSON."""
    summary: Callable[[int, Extent], PlanSummary]
    """Returns the plan in words, with so many values of each list."""
    view: Callable[[], PlanView]
    """Returns the plan in words, with its findings and its origin."""
    findings: Callable[[], Sequence[Finding]]
    """Returns its findings, with paths from the top of the repository."""
