"""What the manifests make of a run that was undone: whatever they still ask for, the next apply makes again."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from reconciler.model.change import Change, Create, Delete, Update, is_release
from reconciler.model.finding import Finding
from reconciler.model.live import LiveRule, Marker, digest
from reconciler.plan.plan import Plan, plan

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from reconciler.desired.desired import Desired
    from reconciler.model.rule import Address
    from reconciler.plan.options import Options


CODE: Final = "CXR310"
_HELD: Final = timedelta(days=8)
"""How long the hold is that is given to write: a week, and the day that has begun."""


def aftermath(made: Plan, manifests: Desired, options: Options) -> tuple[Finding, ...]:
    """Return a warning for each change of an undo that the next apply would make again; all say the same.

    `options` are those of that apply. Each says where the manifests ask for it, and what to write there to wait.
    """
    found = _again(made, manifests, options)
    count = f"{len(found)} of these changes" if len(found) > 1 else "one of these changes"
    message = f"the manifests still say otherwise: the next apply, or a scheduled one, would make {count} again"
    hint = _hint(made, found)
    return tuple(
        Finding(code=CODE, severity="warning", message=message, source=change.source, address=change.address, hint=hint)
        for change in found
    )


def unknown(error: Exception) -> Finding:
    """Return the warning that nobody knows what the next apply does, since the manifests are wrong."""
    message = f"what the next apply would make of it is not known: {error}"
    return Finding(
        code=CODE, severity="warning", message=message, hint="`cxroute validate` lists them; they did not matter here"
    )


def _again(made: Plan, manifests: Desired, options: Options) -> list[Change]:
    """Return what a plan of the manifests would do to the same rules once this one is made."""
    then = plan(manifests, replace(made.live, rules=tuple(_afterwards(made))), options, made.generated_at)
    touched = {address for change in made.changes for address in _addresses(change)}
    return [one for one in then.changes if one.cause != "duplicate" and touched.intersection(_addresses(one))]


def _afterwards(made: Plan) -> Iterator[LiveRule]:
    """Yield the live rules as they will be."""
    changed = {change.live.id: change for change in made.changes if not isinstance(change, Create)}
    for live in made.live.rules:
        change = changed.get(live.id)
        if not isinstance(change, Delete):
            yield live if change is None else _written(made, change, live.id)
    yield from (_written(made, one, f"new {one.address}") for one in made.changes if isinstance(one, Create))


def _written(made: Plan, change: Change, rule_id: str) -> LiveRule:
    rule = change.live.rule if isinstance(change, Delete) else change.after
    marker = None if is_release(change) else Marker(made.owner, change.address, digest(rule))
    return LiveRule(rule_id, rule, marker, {"id": rule_id})


def _addresses(change: Change) -> Iterator[Address]:
    yield change.address
    if isinstance(change, Update) and change.live.marker is not None:
        yield change.live.marker.address


def _hint(made: Plan, found: Sequence[Change]) -> str:
    """Say how to keep the next apply from it. A rule that stands in no manifest has no entry to write a hold into."""
    ways = ["revert the commit that asked for it"]
    if not all(isinstance(change, Delete) for change in found):
        ways.append(f"write `{_line(made)}` into each rule")
    if any(isinstance(change, Delete) for change in found):
        ways.append("set `prune: false` for rules that stand in no manifest")
    return ", or ".join(ways)


def _line(made: Plan) -> str:
    until: datetime = made.generated_at + _HELD
    return f"hold: {{until: {until:%Y-%m-%d}T00:00:00Z, reason: undo of {made.options.undo}}}"
