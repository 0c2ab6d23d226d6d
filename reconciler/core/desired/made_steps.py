"""Which step of a rule is made: read from the live rule, and from the answers to conditions.

The made step is the last due step whose targets the live rule has; without one, the first weights.
A further step is made only if its condition holds, and holds all later ones while it does not.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, NamedTuple, Protocol

from reconciler.core.desired.calendar import DatedRule, DatedStep
from reconciler.core.manifest.kinds.ruleset import StepCondition
from reconciler.core.model.live import LiveRule
from reconciler.core.model.rule import Address, Rule
from reconciler.core.text.escape import sanitize

_LONGEST_PHRASE: Final = 200


class Answer(NamedTuple):
    """Whether the condition of a step holds; if not, why the step waits."""

    holds: bool
    reason: str = ""


class StepKey(NamedTuple):
    """A step of one rule, by its time."""

    address: Address
    at: datetime


Answers = Mapping[StepKey, Answer]
"""The answers of one run; a condition without one was not asked."""


class ConditionSource(Protocol):
    """Answers conditions, such as a Prometheus server."""

    async def answer(self, condition: StepCondition) -> Answer:
        """Return whether a condition holds now. Does not raise: without an answer, the step waits."""


class ChosenStep(NamedTuple):
    """The step that a live rule should have now, and the next due step, if it waits.

    `is_asked` is whether its condition has an answer in this run.
    """

    step: DatedStep
    waiting: DatedStep | None = None
    reason: str = ""
    is_asked: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingStep:
    """A due step that is not made; `live` is the rule that waits for it, None if it is not live."""

    step: DatedStep
    reason: str
    is_asked: bool
    live: LiveRule | None

    @property
    def address(self) -> Address:
        """Return the address of the rule."""
        return self.step.rule.address


def choose_step(
    rule: DatedRule, live: Rule | None, instant: datetime, answers: Answers
) -> ChosenStep:
    """Return the step that a rule should have at an instant; `live` is None if it is not live yet."""
    due = rule.due_steps(instant)
    position = _made_position(due, live)
    for following in due[position + 1 :]:
        if following.condition is not None and following.at is not None:
            answer = answers.get(StepKey(rule.address, following.at))
            if answer is None:
                reason = _unasked_reason(following.condition)
                return ChosenStep(due[position], following, reason)
            if not answer.holds:
                return ChosenStep(
                    due[position], following, answer.reason, is_asked=True
                )
        position += 1
    return ChosenStep(due[position])


def condition_phrase(condition: StepCondition) -> str:
    """Return a condition in words, for messages."""
    return sanitize(condition.phrase, _LONGEST_PHRASE)


def _made_position(due: tuple[DatedStep, ...], live: Rule | None) -> int:
    """Return the position of the last step whose targets a live rule has; 0 without one."""
    if live is None:
        return 0
    positions = [
        number
        for number, step in enumerate(due)
        if step.rule.rule.targets == live.targets
    ]
    return max(positions, default=0)


def _unasked_reason(condition: StepCondition) -> str:
    phrase = condition_phrase(condition)
    return f"apply asks Prometheus for its condition, {phrase}"
