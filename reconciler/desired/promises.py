"""Expansion of the promises of manifests for one environment: variables filled in, queues resolved."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from reconciler.behaviour.diff.promises import Promise
from reconciler.desired.expand import InvalidRuleError, RuleExpander
from reconciler.desired.substitution import PERCENT, TextBudget
from reconciler.manifest.kinds.environment import Environment
from reconciler.manifest.kinds.promises import Conversations, PromiseEntry
from reconciler.manifest.kinds.ruleset import RuleEntry, RuleSet
from reconciler.manifest.source_map import PathStep
from reconciler.model.finding import Finding, Severity
from reconciler.model.rule import OPERATORS, Queue, Source, normalized_conditions

_WITHOUT_DEFAULTS: Final = RuleSet(name="promises", rules=())


@dataclass(frozen=True, kw_only=True)
class StatedPromise:
    """A promise of the manifests in one environment."""

    document: str
    name: str
    promise: Promise
    severity: Severity  # of the finding if the promise is broken
    source: Source
    finding: Finding  # at the promise, without a message


def list_queues(stated: PromiseEntry) -> list[tuple[str, tuple[PathStep, ...]]]:
    """Return the name and the path of each queue of a promise, without expansion."""
    fields = {"always": stated.always and stated.always.queues, "never": stated.never and stated.never.queues}
    queues = [
        (name, (field, "queues", index)) for field, names in fields.items() for index, name in enumerate(names or ())
    ]
    return [*queues, *((name, ("split", name)) for name in stated.split or ())]


class PromiseExpander(RuleExpander):
    """Expands one promise; its conversations are like the conditions of a rule."""

    def __init__(
        self,
        environment: Environment,
        resolve_queue: Callable[[str], Queue],
        stated: PromiseEntry,
        budget: TextBudget | None = None,
    ) -> None:
        """Expand with `resolve_queue`, which raises QueueError, and the file's text budget."""
        # The tenant does not evaluate promises, so they may have operators that it does not support.
        api = environment.api.model_copy(update={"operators": OPERATORS})
        entry = RuleEntry.model_construct(**dict(stated.conversations or Conversations()))
        environment = environment.model_copy(update={"api": api})
        super().__init__(environment, resolve_queue, _WITHOUT_DEFAULTS, entry, budget)
        self.stated = stated

    def promise(self) -> Promise:
        """Return the promise. Raises InvalidRuleError at the first error; its path is below the promise."""
        try:
            conditions = normalized_conditions([condition for condition, _ in self.conditions()])
        except InvalidRuleError as error:
            error.path = ("for", *error.path)
            raise
        never = self.stated.never
        ids = {path: self.queue(name, path).id for name, path in list_queues(self.stated)}
        return Promise(
            conditions=conditions,
            always=frozenset(queue for path, queue in ids.items() if path[0] == "always") or None,
            never=frozenset(queue for path, queue in ids.items() if path[0] == "never"),
            never_default=never is not None and never.default is True,
            shares=tuple(self._shares(ids)),
            decided_by=self.stated.decided_by or "",
        )

    def _shares(self, ids: Mapping[tuple[PathStep, ...], str]) -> Iterator[tuple[str, Fraction, Fraction]]:
        for name, bounds in (self.stated.split or {}).items():
            least, most = (
                Fraction(str(self._typed_value(getattr(bounds, end), PERCENT, "split", name, end))) / 100
                for end in ("least", "most")
            )
            yield ids["split", name], least, most
