"""Plan x limits -> refusals (plan-json "Guards"). A guard that is not `ok` makes apply refuse with exit 4."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from reconciler.model.change import Adopt, Change, Create, Delete, Update, is_copy_removal
from reconciler.plan.plan import GuardResult, Plan
from reconciler.text.escape import join_first, quote

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator
    from datetime import datetime

    from reconciler.behaviour.diff.regions import Region
    from reconciler.behaviour.routing_entry import RoutingEntry
    from reconciler.manifest.kinds.environment import Environment
    from reconciler.manifest.kinds.guard_limits import Limit
    from reconciler.model.rule import Address


def check_guards(plan: Plan, environment: Environment) -> Plan:
    """Return the plan with what every guard of the environment says of it; the plan's own time is now."""
    results = [_apply_allowance(result, environment, plan.generated_at) for result in _check_all(plan, environment)]
    return replace(plan, guards=tuple(results))


def lift_guards(plan: Plan, names: Iterable[str], reason: str) -> Plan:
    """Return the plan with the named guards lifted for the reason given."""
    lifted = set(names)
    results = (
        replace(result, ok=True, allowed=reason) if result.name in lifted and not result.ok else result
        for result in plan.guards
    )
    return replace(plan, guards=tuple(results))


def freeze_reason(environment: Environment, now: datetime, lifted: Collection[str] = ()) -> str:
    """Return why nothing may be written now: a freeze window is open, and nothing lifts it. Empty where it may."""
    result = _apply_allowance(_check_freeze(environment, now), environment, now)
    return "" if result.ok or result.name in lifted else result.message


def guard_refusals(plan: Plan) -> tuple[GuardResult, ...]:
    """Return the guards that make apply refuse the plan."""
    return tuple(result for result in plan.guards if not result.ok)


GUARD_NAMES = ("deletes", "changes", "emptied", "protected", "unrouted", "traffic", "freeze", "transient")
"""Every guard's name, as `--allow` takes it."""

_MAX_LISTED = 5
_FALLS_TO_DEFAULT = "fall to the tenant's default routing"
_REACHES_NO_QUEUE = "reach no queue, since no target of the rule that takes them has a positive weight"


def _check_all(plan: Plan, environment: Environment) -> Iterator[GuardResult]:
    limits = environment.guard
    yield _check_deletes(plan, limits.deletes)
    if limits.changes is not None:
        yield _check_changes(plan, limits.changes)
    yield _check_emptied(plan)
    if limits.protected:
        yield _check_protected(plan, frozenset(limits.protected))
    yield _check_unrouted(plan)
    if limits.traffic is not None:
        yield _check_traffic(plan, limits.traffic.percent)
    if environment.freeze:
        yield _check_freeze(environment, plan.generated_at)
    yield _check_transient(plan)


def _check_deletes(plan: Plan, limit: Limit) -> GuardResult:
    """Count the rules that would no longer take part: a rule that is switched off serves as few as a deleted one."""
    # A rule that the plan adopts and switches off is counted among the managed ones.
    off = [change for change in plan.changes if isinstance(change, Update | Adopt) and _switches_off(change)]
    count = len(off) + sum(isinstance(change, Delete) and not is_copy_removal(change) for change in plan.changes)
    managed = len(plan.managed) + sum(isinstance(change, Adopt) for change in off)
    does = f"deletes or switches off {count}" if off else f"deletes {count}"
    return _check_count("deletes", does, count, (managed, plan.environment), limit)


def _switches_off(change: Update | Adopt) -> bool:
    return change.live.rule.enabled and not change.after.enabled


def _check_changes(plan: Plan, limit: Limit) -> GuardResult:
    count = sum(isinstance(change, Update | Delete) and not is_copy_removal(change) for change in plan.changes)
    return _check_count("changes", f"updates or deletes {count}", count, (len(plan.managed), plan.environment), limit)


def _check_count(name: str, action: str, count: int, managed_in: tuple[int, str], limit: Limit) -> GuardResult:
    """Compare a count with its limit; `managed_in` is the number of managed rules and the environment that has them."""
    managed, environment = managed_in
    most = max(limit.count, int(managed * limit.percent // 100))
    share = f" ({100 * count / managed:.0f} %)" if managed else ""
    message = f"{action} of {managed} managed rules{share}; the limit for {environment} is {most}"
    either = f"{limit.count} or {limit.percent:g} %, whichever is more"
    return GuardResult(name=name, value=count, limit=most, ok=count <= most, message=f"{message} ({either})")


def _check_emptied(plan: Plan) -> GuardResult:
    """Look at what would be left: nothing at all, or nothing of a RuleSet that the manifests still have."""
    left = set(plan.managed)
    for change in plan.changes:
        match change:
            case Delete(cause="duplicate"):
                continue
            case Delete():
                left.discard(change.address)
            case Update():
                left.discard(_address_before(change))
                left.add(change.address)
            case Create() | Adopt():
                left.add(change.address)
    had = {address.ruleset for address in plan.managed}
    emptied = sorted((had & plan.rulesets) - {address.ruleset for address in left})
    if plan.managed and not left:
        return GuardResult(
            name="emptied", value=len(plan.managed), limit=0, ok=False, message="no managed rule would be left"
        )
    named = ", ".join(emptied)
    message = f"no rule would be left of {named}" if emptied else "something is left of every RuleSet"
    return GuardResult(name="emptied", value=len(emptied), limit=0, ok=not emptied, message=message)


def _check_protected(plan: Plan, protected: frozenset[str]) -> GuardResult:
    """Look at the protected rules themselves, and at who is served by one and would not be."""
    touched = {str(address) for change in plan.changes for address in _harmed_addresses(change)} & protected
    robbed = {entry.name for region in _regions(plan) for entry in region.before_rules if entry} & protected - touched
    said = [f"protected rules would change: {', '.join(sorted(touched))}"] if touched else []
    said += [f"conversations that a protected rule serves would go elsewhere: {', '.join(sorted(robbed))}"] * bool(
        robbed
    )
    if _is_incomplete(plan):
        said.append("it could not be shown within the bound of work that no protected conversation goes elsewhere")
    message = "; ".join(said) or "no protected rule would change"
    return GuardResult(name="protected", value=len(touched | robbed), limit=0, ok=not said, message=message)


def _is_incomplete(plan: Plan) -> bool:
    return plan.behaviour is not None and not plan.behaviour.complete


def _regions(plan: Plan) -> tuple[Region, ...]:
    return plan.behaviour.regions if plan.behaviour else ()


def _check_unrouted(plan: Plan) -> GuardResult:
    """Look for conversations that reach a queue today and would reach none: by default routing, or by no weight."""
    lost = [region for region in _regions(plan) if region.before and not region.after]
    if lost:
        rules = dict.fromkeys(_display_name(entry) for region in lost for entry in region.before_rules if entry)
        today = join_first([*rules], _MAX_LISTED)
        ways = dict.fromkeys(_FALLS_TO_DEFAULT if region.after is None else _REACHES_NO_QUEUE for region in lost)
        message = f"conversations that reach a queue today would {', or '.join(ways)} (today by {today})"
        return GuardResult(name="unrouted", value=len(lost), limit=0, ok=False, message=message)
    if _is_incomplete(plan):
        message = "it could not be shown within the bound of work that every conversation still reaches a queue"
        return GuardResult(name="unrouted", value=0, limit=0, ok=False, message=message)
    message = "every conversation that reaches a queue today still reaches one"
    return GuardResult(name="unrouted", value=0, limit=0, ok=True, message=message)


def _check_traffic(plan: Plan, limit: float) -> GuardResult:
    """Look at the share of the sample that would go to another queue; without a sample nobody knows it."""
    if plan.traffic_impact is None:
        message = f"at most {limit:g} % of the traffic may move, and there is no sample to tell (--traffic FILE)"
        return GuardResult(name="traffic", value=0, limit=limit, ok=False, message=message)
    if _is_incomplete(plan):
        message = f"at most {limit:g} % of the traffic may move, and it could not be shown within the bound of work"
        return GuardResult(name="traffic", value=plan.traffic_impact.total.most, limit=limit, ok=False, message=message)
    most = plan.traffic_impact.total.most
    moved = f"{most:.3g} % of the traffic sample would change queue"
    return GuardResult(
        name="traffic", value=most, limit=limit, ok=most <= limit, message=f"{moved}; the limit is {limit:g} %"
    )


def _check_transient(plan: Plan) -> GuardResult:
    """Look at the way there: every conversation must stay at its old or its new destination after each single call."""
    if not plan.unproven:
        return GuardResult(
            name="transient",
            value=0,
            limit=0,
            ok=True,
            message="each conversation goes to its old or new queue throughout",
        )
    named = join_first([str(address) for address in plan.unproven], _MAX_LISTED)
    message = f"it could not be shown that nobody is sent elsewhere while these are changed: {named}"
    return GuardResult(name="transient", value=len(plan.unproven), limit=0, ok=False, message=message)


def _display_name(entry: RoutingEntry) -> str:
    return entry.name if entry.address else quote(entry.name)


def _harmed_addresses(change: Change) -> Iterator[Address]:
    match change:
        case Delete() if change.cause != "duplicate":
            yield change.address
        case Update():
            before, after = change.live.rule, change.after
            moved = _address_before(change) != change.address
            decisive = (before.conditions, before.priority, before.targets)
            rerouted = decisive != (after.conditions, after.priority, after.targets)
            if moved or rerouted or _switches_off(change):
                yield _address_before(change)
        case _:
            return


def _address_before(change: Update) -> Address:
    return change.live.marker.address if change.live.marker else change.address


def _check_freeze(environment: Environment, now: datetime) -> GuardResult:
    window = next((window for window in environment.freeze if window.covers(now)), None)
    if window is None:
        return GuardResult(name="freeze", value=0, limit=0, ok=True, message="no freeze window is open")
    why = f": {window.reason}" if window.reason else ""
    return GuardResult(name="freeze", value=1, limit=0, ok=False, message=f"{environment.name} is frozen now{why}")


def _apply_allowance(result: GuardResult, environment: Environment, now: datetime) -> GuardResult:
    """Lift a guard for which the Environment has an entry that still counts; the entry is told either way."""
    for entry in environment.guard.allow:
        if entry.name == result.name and now < entry.until:
            return replace(result, ok=True, allowed=f"{entry.reason} (until {entry.until.isoformat()})")
    return result
