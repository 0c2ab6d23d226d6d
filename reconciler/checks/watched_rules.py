"""How many changed rules of a plan no route test and no promise watches."""

from collections.abc import Callable, Sequence

from reconciler.behaviour.evaluate import RuleIndex
from reconciler.checks.adequacy import ConversationTable
from reconciler.checks.route_tests import RouteTestResult
from reconciler.model.change import Change, Create, is_copy_removal
from reconciler.plan.plan import Plan


def count_unwatched(
    plan: Plan, tests: Sequence[RouteTestResult], watches: Callable[[Change], bool] = lambda _change: False
) -> int | None:
    """Return the number of changed rules without a test or a promise (`watches`); None if there are no tests."""
    # A test watches the rule that takes its conversation: it fails if the rule is removed or has another queue. It
    # watches a rule that takes no part any more if that rule, as it is live, matches its conversation.
    passed = [result for result in tests if result.failure is None]
    table = ConversationTable(RuleIndex(()), [result.context for result in passed], plan.desired.evaluation)
    watched = {result.winner.address for result in passed if result.winner}

    def matches_test(change: Change) -> bool:
        after = plan.desired.rules.get(change.address)
        if isinstance(change, Create) or (after and after.rule.enabled) or not change.live.rule.enabled:
            return False
        return table.matched(change.live.rule.conditions) > 0

    changes = [change for change in plan.changes if not is_copy_removal(change) and change.address not in watched]
    return sum(not matches_test(change) and not watches(change) for change in changes) if tests else None
