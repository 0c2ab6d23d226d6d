"""How many changed rules of a plan no route test and no promise watches.

A test watches a rule that takes its conversation: it fails if the rule is removed or sent to another queue. It watches
a rule that no longer takes part if it would fail if that rule stayed as it is live.
"""

from collections.abc import Callable, Sequence

from reconciler.behaviour.evaluate import RuleIndex
from reconciler.behaviour.routing_entry import RoutingEntry, destination_of, evaluation_key
from reconciler.behaviour.space.patterns import bits
from reconciler.checks.adequacy import ConversationTable
from reconciler.checks.route_tests import RouteTestResult
from reconciler.model.change import Change, Create, is_copy_removal
from reconciler.plan.plan import Plan


def _never(_change: Change) -> bool:
    return False


def count_unwatched(
    plan: Plan, tests: Sequence[RouteTestResult], watches: Callable[[Change], bool] = _never
) -> int | None:
    """Return the number of changed rules without a test or a promise (`watches`); None if there are no tests."""
    if not tests:
        return None
    passed = [result for result in tests if result.failure is None]
    winners = {result.winner.address for result in passed if result.winner}
    changes = [change for change in plan.changes if not is_copy_removal(change) and change.address not in winners]
    kept_out = _KeptOutRules(plan, passed)
    return sum(not watches(change) and not kept_out.has(change) for change in changes)


class _KeptOutRules:
    """Finds live rules that must not take part: a test would fail if such a rule stayed as it is."""

    def __init__(self, plan: Plan, passed: Sequence[RouteTestResult]) -> None:
        self.desired, self.evaluation = plan.desired.rules, plan.desired.evaluation
        self.table = ConversationTable(RuleIndex(()), [result.context for result in passed], self.evaluation)
        addresses = (result.winner and result.winner.address for result in passed)
        self.winners = [self.desired.get(address) if address else None for address in addresses]

    def has(self, change: Change) -> bool:
        """Return whether the rule of a change takes no part afterwards, and a test would fail if it did."""
        after = self.desired.get(change.address)
        if isinstance(change, Create) or (after and after.rule.enabled) or not change.live.rule.enabled:
            return False
        live = RoutingEntry(name="", rule=change.live.rule)
        return any(self._would_take(live, number) for number in bits(self.table.matched(live.rule.conditions)))

    def _would_take(self, live: RoutingEntry, number: int) -> bool:
        winner = self.winners[number]
        if winner is None:
            return True
        key = evaluation_key(RoutingEntry(name="", rule=winner.rule), self.evaluation)
        is_first = evaluation_key(live, self.evaluation) < key
        return is_first and destination_of(live.rule.targets) != destination_of(winner.rule.targets)
