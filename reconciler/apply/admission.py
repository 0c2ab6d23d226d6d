"""Whether a change that a later read found is covered by the plan: by its intent, or by its review."""

from __future__ import annotations

from reconciler.model.change import Adopt, Change, Create, Delete, is_unadoption


def matches_intent(planned: Change, fresh: Change) -> bool:
    """Say whether a change makes the same rule right, whatever its state is by now: without a reviewed plan."""
    if isinstance(fresh, Adopt):  # an unmanaged rule is taken over only where that was planned (invariants R1)
        return isinstance(planned, Adopt) and planned.live.id == fresh.live.id
    return isinstance(planned, Delete) == isinstance(fresh, Delete)


def matches_review(planned: Change, fresh: Change) -> bool:
    """Say whether a change is the reviewed one, on a rule in the reviewed state."""
    return type(planned) is type(fresh) and _reviewed_state(planned) == _reviewed_state(fresh)


def _reviewed_state(change: Change) -> object:
    before = None if isinstance(change, Create) else (change.live.id, change.live.rule, change.live.marker)
    return (before, None if isinstance(change, Delete) else change.after, is_unadoption(change))
