"""One attempt at one call of a change: read the rule again, write it if it is still what the plan saw, say what came.

The table of errors (api-contract "Errors") ends here: each error of a write becomes a verdict, and no attempt ever
repeats a write by itself (invariants R6): only a fresh complete read tells what is still to be done.
"""

from __future__ import annotations

from reconciler.model.change import Adopt, Change, Create, Delete, is_unadoption


def matches_intent(planned: Change, fresh: Change) -> bool:
    """Without a reviewed plan: the same rule is to be made right, whatever it looks like by now."""
    # A rule that is not ours is taken over only where just that was planned (invariants R1).
    if isinstance(fresh, Adopt):
        return isinstance(planned, Adopt) and planned.live.id == fresh.live.id
    return isinstance(planned, Delete) == isinstance(fresh, Delete)


def matches_review(planned: Change, fresh: Change) -> bool:
    """With a reviewed plan: just the change that was reviewed, on a rule in just the state that was reviewed."""
    return type(planned) is type(fresh) and _reviewed_state(planned) == _reviewed_state(fresh)


def _reviewed_state(change: Change) -> object:
    before = None if isinstance(change, Create) else (change.live.id, change.live.rule, change.live.marker)
    return (before, None if isinstance(change, Delete) else change.after, is_unadoption(change))
