"""Whether the rows of an effect must be read from the top, because a conversation may fit two of them."""

from collections.abc import Sequence
from itertools import combinations

from reconciler.behaviour.diff.effects import EffectRow
from reconciler.behaviour.space.clauses import Clause
from reconciler.model.rule import Condition

_MAX_COMPARED = 60
_LISTS = frozenset({"equals", "in"})
_LOWER = frozenset({"greaterThan", "greaterThanOrEqual"})
_UPPER = frozenset({"lessThan", "lessThanOrEqual"})


def depends_on_order(rows: Sequence[EffectRow]) -> bool:
    """Return whether two rows may fit one conversation, as far as their conditions show.

    Not if the second one is the last row and has no condition of its own: it reads as all other conversations.
    Many rows are not compared.
    """
    return len(rows) > _MAX_COMPARED or any(
        not _are_apart(first, second) and not (second is rows[-1] and set(second.where) < set(first.where))
        for first, second in combinations(rows, 2)
    )


def _are_apart(first: EffectRow, second: EffectRow) -> bool:
    return any(_exclude_each_other(one, other) for one in first.where for other in second.where)


def _exclude_each_other(first: Clause, second: Clause) -> bool:
    """Return whether two clauses about one attribute can never hold together; False where that is not obvious."""
    one, other = first.condition, second.condition
    if not isinstance(one, Condition) or not isinstance(other, Condition) or one.attribute != other.attribute:
        return False
    if one.operator in _LISTS and other.operator in _LISTS:
        return _are_lists_apart(first, second)
    if first.negate or second.negate:
        return False
    return _is_below(one, other) or _is_below(other, one)


def _are_lists_apart(first: Clause, second: Clause) -> bool:
    one, other = (set(_values(clause)) for clause in (first, second))
    if first.negate and second.negate:
        return False
    if first.negate or second.negate:
        kept, left_out = (other, one) if first.negate else (one, other)
        return kept <= left_out
    return not one & other


def _is_below(low: Condition, high: Condition) -> bool:
    """Return whether an upper bound excludes a lower bound."""
    if low.operator not in _UPPER or high.operator not in _LOWER:
        return False
    top, bottom = float(str(low.value)), float(str(high.value))
    is_shared = low.operator == "lessThanOrEqual" and high.operator == "greaterThanOrEqual"
    return top < bottom or (top == bottom and not is_shared)


def _values(clause: Clause) -> Sequence[object]:
    condition = clause.condition
    return condition.values if isinstance(condition, Condition) else ()
