"""What a script chose by itself, compared with the decisions: the shadow before a switch."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from reconciler.core.text.prometheus import metric_header, sample
from reconciler.targets.decide.decision import Decision
from reconciler.targets.decide.table import PublishedTable

_LISTED: Final = 100
_MAX_RULES: Final = 1000  # whose counts are kept
_LOG_SECONDS: Final = 60.0  # between two disagreements in the log
# a text that does not name a queue of the table comes from a request: it is not repeated
_OTHER: Final = None


@dataclass(slots=True)
class _RuleCounts:
    """The comparisons of one rule, and the queues of the last disagreement."""

    agreements: int = 0
    disagreements: int = 0
    queue: str | None = None
    script_queue: str | None = None


class Shadow:
    """Compares decisions with the choices of scripts. It keeps no conversation's id."""

    def __init__(
        self, log: Callable[[str], object], clock: Callable[[], float]
    ) -> None:
        self._log = log
        self._clock = clock
        self._next_line = clock()
        self._rules: dict[str, _RuleCounts] = {}
        self.agreements = 0
        self.disagreements = 0

    def compare(self, decision: Decision, chosen: str, table: PublishedTable) -> None:
        """Count whether the script chose the queue of the decision, by its id or its name.

        A decision without a queue disagrees with every choice.
        """
        queue = None
        if decision.queue_id is not None:
            queue = table.queues.get(decision.queue_id)
        rule = decision.rule or ""
        counts = self._counts_of(rule)
        if chosen in (decision.queue_id, queue):
            self.agreements += 1
            counts.agreements += 1
            return

        self.disagreements += 1
        counts.disagreements += 1
        counts.queue = queue or decision.queue_id
        counts.script_queue = _known_queue(chosen, table)
        self._log_disagreement(rule, counts)

    def _counts_of(self, rule: str) -> _RuleCounts:
        counts = self._rules.get(rule)
        if counts is not None:
            return counts
        if len(self._rules) >= _MAX_RULES:
            least = min(self._rules, key=lambda name: self._rules[name].disagreements)
            del self._rules[least]
        counts = _RuleCounts()
        self._rules[rule] = counts
        return counts

    def _log_disagreement(self, rule: str, counts: _RuleCounts) -> None:
        if self._clock() < self._next_line:
            return
        self._next_line = self._clock() + _LOG_SECONDS
        line = {
            "event": "shadow",
            "rule": rule,
            "queue": counts.queue,
            "script_queue": counts.script_queue,
            "disagreements": self.disagreements,
        }
        self._log(json.dumps(line))

    def to_json(self) -> dict[str, Any]:
        """Return the counts, and the rules with most disagreements; "" is the default routing."""
        pairs = [pair for pair in self._rules.items() if pair[1].disagreements]
        pairs.sort(key=lambda pair: (-pair[1].disagreements, pair[0]))
        rules = [
            {
                "rule": rule,
                "disagreements": counts.disagreements,
                "agreements": counts.agreements,
                "queue": counts.queue,
                "scriptQueue": counts.script_queue,
            }
            for rule, counts in pairs[:_LISTED]
        ]
        return {
            "agreements": self.agreements,
            "disagreements": self.disagreements,
            "rules": rules,
        }

    def lines(self) -> Iterator[str]:
        """Yield the counts in Prometheus' text format; both series exist from the start."""
        name = "cxroute_shadow_total"
        text = "Decisions compared with the choice of a script."
        yield from metric_header(name, "counter", text)
        yield sample(name, self.agreements, agrees="yes")
        yield sample(name, self.disagreements, agrees="no")


def _known_queue(chosen: str, table: PublishedTable) -> str | None:
    """Return the name of the queue that a script chose, or None for one that is not in the table."""
    name = table.queues.get(chosen)
    if name is not None:
        return name or chosen
    return chosen if chosen in table.queues.values() else _OTHER
