"""Assessed x limits -> Plan: the changes, and the guards that refuse them.

A guard that is not `ok` makes apply refuse with exit 4 (docs/operations.md#refusals).
"""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import chain
from typing import Final, get_args

from reconciler.core.desired.calendar import DatedRule
from reconciler.core.manifest.kinds.environment import Environment
from reconciler.core.manifest.kinds.guard_limits import Allow, GuardName, Limit
from reconciler.core.model.change import Adopt, Change, Delete, Update, is_copy_removal
from reconciler.core.model.rule import Address
from reconciler.core.plan.findings import add_findings
from reconciler.core.plan.promises import PromiseResult, context_remedy
from reconciler.core.plan.routing_table import entry_name
from reconciler.core.plan.stages import Assessed, Changes, GuardResult, Plan, Scheduled
from reconciler.core.text.escape import join_first, quote


def check_guards(assessed: Assessed, environment: Environment) -> Plan:
    """Return the plan, with the result of each guard of the environment at the plan's own time."""
    results = _check_all(assessed, environment)
    now = assessed.instant
    calendar = assessed.desired.calendar
    since = calendar.interval.start if calendar else None
    guards = tuple(
        apply_allowance(result, environment, now, since) for result in results
    )
    plan = Plan(**Assessed.parts_of(assessed), guards=guards)

    failures = (result.failure for result in assessed.promises if result.failure)
    warnings = (finding for finding in failures if finding.severity == "warning")
    return add_findings(plan, warnings)


def lift_guards(plan: Plan, names: Iterable[str], reason: str) -> Plan:
    """Return the plan with the named guards lifted for the reason given."""
    lifted = {result.name for result in guard_refusals(plan)} & set(names)
    guards = []
    for guard in plan.guards:
        if guard.name in lifted:
            guards.append(replace(guard, ok=True, allowed=reason))
        else:
            guards.append(guard)
    return replace(plan, guards=tuple(guards))


def freeze_reason(
    environment: Environment,
    now: datetime,
    lifted: Collection[str] = (),
    since: datetime | None = None,
) -> str:
    """Return why a freeze window forbids writing now; empty if writing is allowed.

    `since` is the last boundary of rules with dates.
    """
    checked = _check_freeze(environment, now)
    result = apply_allowance(checked, environment, now, since)
    return "" if result.ok or result.name in lifted else result.message


def guard_refusals(plan: Plan) -> tuple[GuardResult, ...]:
    """Return the guards that make apply refuse the plan."""
    return tuple(result for result in plan.guards if not result.ok)


GUARD_NAMES: Final[tuple[str, ...]] = get_args(GuardName)
"""Every guard's name, as `--allow` takes it."""
_MAX_LISTED = 5
# after its date, if no other date follows
_LONGEST_ALLOWANCE = timedelta(days=31)
_FALLS_TO_DEFAULT = "fall to the tenant's default routing"
_REACHES_NO_QUEUE = (
    "reach no queue, since no target of the rule that takes them has a positive weight"
)


def _check_all(plan: Assessed, environment: Environment) -> Iterator[GuardResult]:
    """Yield the result of each guard of the environment, in the order of `GuardName`."""
    limits = environment.guard
    yield _check_deletes(plan, environment)
    if limits.changes is not None:
        count = sum(
            isinstance(change, Update | Delete) and not is_copy_removal(change)
            for change in plan.changes
        )
        action = f"updates or deletes {count}"
        managed = len(plan.managed)
        yield _check_count(
            "changes", action, count, managed, environment, limits.changes
        )
    yield _check_emptied(plan)
    if limits.protected:
        yield _check_protected(plan, frozenset(limits.protected))
    yield _check_unrouted(plan)
    if limits.traffic is not None:
        yield _check_traffic(plan, limits.traffic.percent)
    if environment.freeze:
        yield _check_freeze(environment, plan.instant)
    yield _check_transient(plan)
    if plan.promises:
        yield _check_promises(plan.promises, environment.name)


def _result(
    name: GuardName, value: float, message: str, limit: float = 0
) -> GuardResult:
    return GuardResult(
        name=name, value=value, limit=limit, ok=value <= limit, message=message
    )


def _check_deletes(plan: Changes, environment: Environment) -> GuardResult:
    """Count the rules that the plan deletes or switches off."""
    # An adopted rule that is switched off is counted among the managed ones.
    off = [
        change
        for change in plan.changes
        if isinstance(change, Update | Adopt) and _switches_off(change)
    ]
    deleted = sum(
        isinstance(change, Delete) and not is_copy_removal(change)
        for change in plan.changes
    )
    adopted = sum(isinstance(change, Adopt) for change in off)
    managed = len(plan.managed) + adopted
    return count_deletes(deleted, len(off), managed, environment)


def count_deletes(
    deleted: int, switched_off: int, managed: int, environment: Environment
) -> GuardResult:
    """Return the result of the guard `deletes` for numbers of rules."""
    count = deleted + switched_off
    action = f"deletes or switches off {count}" if switched_off else f"deletes {count}"
    return _check_count(
        "deletes", action, count, managed, environment, environment.guard.deletes
    )


def _switches_off(change: Update | Adopt) -> bool:
    return change.live.rule.enabled and not change.after.enabled


def _check_count(
    name: GuardName,
    action: str,
    count: int,
    managed: int,
    environment: Environment,
    limit: Limit,
) -> GuardResult:
    maximum = max(limit.count, int(managed * limit.percent // 100))
    share = f" ({100 * count / managed:.0f} %)" if managed else ""
    message = (
        f"{action} of {managed} managed rules{share}; the limit for {environment.name} is "
        f"{maximum} ({limit.count} or {limit.percent:g} %, whichever is more)"
    )
    return _result(name, count, message, maximum)


def _check_emptied(plan: Changes) -> GuardResult:
    """Check that a managed rule remains, and a rule of each RuleSet that the manifests define."""
    remaining = set(plan.managed)
    for change in plan.changes:
        if isinstance(change, Update):
            remaining.discard(_address_before(change))
        if not isinstance(change, Delete):
            remaining.add(change.address)
        elif change.cause != "duplicate":
            remaining.discard(change.address)
    if plan.managed and not remaining:
        return _result("emptied", len(plan.managed), "no managed rule would remain")

    before = {address.ruleset for address in plan.managed}
    after = {address.ruleset for address in remaining}
    emptied = sorted(
        ruleset
        for ruleset in (before & plan.desired.rulesets) - after
        if not _ends_by_dates(plan, ruleset)
    )
    message = "no RuleSet loses its last rule"
    if emptied:
        message = f"no rule of {', '.join(emptied)} would remain"
    return _result("emptied", len(emptied), message)


def _ends_by_dates(plan: Changes, ruleset: str) -> bool:
    """Return whether the manifests still have each deleted rule of a RuleSet, at other times."""
    calendar = plan.desired.calendar
    if calendar is None:
        return False
    dated = {
        entry.address for entry in calendar.entries if isinstance(entry, DatedRule)
    }
    return all(
        change.address in dated
        for change in plan.changes
        if isinstance(change, Delete) and change.address.ruleset == ruleset
    )


def _check_protected(plan: Assessed, protected: frozenset[str]) -> GuardResult:
    """Check the protected rules, and the conversations that they serve."""
    harmed = chain.from_iterable(map(_harmed_addresses, plan.changes))
    touched = protected.intersection(map(str, harmed))
    winners = chain.from_iterable(
        region.before_rules for region in plan.behaviour.regions
    )
    rerouted = protected.intersection(entry.name for entry in winners if entry)
    rerouted -= touched

    problems = []
    if touched:
        names = ", ".join(sorted(touched))
        problems.append(f"protected rules would change: {names}")
    if rerouted:
        names = ", ".join(sorted(rerouted))
        problems.append(
            f"conversations that a protected rule serves would go elsewhere: {names}"
        )
    if not plan.behaviour.complete:
        problems.append(
            "the analysis stopped at its bound before it proved that no protected conversation "
            "goes elsewhere"
        )
    message = "; ".join(problems) or "no protected rule would change"
    result = _result("protected", len(touched | rerouted), message)
    return replace(result, ok=not problems)


def _check_unrouted(plan: Assessed) -> GuardResult:
    """Check that conversations that reach a queue still reach one, not default routing or a weight
    of 0.
    """
    lost = [
        region
        for region in plan.behaviour.regions
        if region.before and not region.after
    ]
    message = "every conversation that reaches a queue today still reaches one"
    if lost:
        winners = chain.from_iterable(region.before_rules for region in lost)
        names = dict.fromkeys(entry_name(entry) for entry in winners if entry)
        effects = dict.fromkeys(
            _FALLS_TO_DEFAULT if region.after is None else _REACHES_NO_QUEUE
            for region in lost
        )
        today = join_first([*names], _MAX_LISTED)
        message = (
            f"conversations that reach a queue today would {', or '.join(effects)} (today by "
            f"{today})"
        )
        examples = [region.example.attributes for region in lost]
        if plan.endpoints[1].may_depend_on_context(examples):
            message = f"{message}. {_sentence(context_remedy(plan.environment))}"
    elif not plan.is_comparable:
        message = (
            "the live rules read other attributes of the bot, or are tried in another order: it is "
            "not proven that every conversation still reaches a queue"
        )
    elif not plan.behaviour.complete:
        message = (
            "the analysis stopped at its bound before it proved that every conversation still "
            "reaches a queue"
        )
    is_proven = not lost and plan.behaviour.complete
    return replace(_result("unrouted", len(lost), message), ok=is_proven)


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}"


def _check_traffic(plan: Assessed, limit: float) -> GuardResult:
    """Check the share of the sample that would move to another queue; refuse without a sample."""
    bound = f"at most {limit:g} % of the traffic may move, but"
    measured = plan.impact.traffic
    if measured is None:
        message = f"{bound} there is no traffic sample (--traffic FILE)"
        return replace(_result("traffic", 0, message, limit), ok=False)
    for finding in measured.sample.age_findings(plan.instant):
        message = f"{bound} {finding.message}"
        return replace(_result("traffic", 0, message, limit), ok=False)

    percent = measured.total.most
    if not plan.behaviour.complete:
        message = f"{bound} the analysis stopped at its bound of work"
        return replace(_result("traffic", percent, message, limit), ok=False)
    message = f"{percent:.3g} % of the traffic sample would change queue; the limit is {limit:g} %"
    return _result("traffic", percent, message, limit)


def _check_transient(plan: Scheduled) -> GuardResult:
    """Check that each conversation stays at its old or its new destination after each single
    call.
    """
    message = "each conversation goes to its old or its new queue during the apply"
    if plan.unproven:
        names = join_first(plan.unproven, _MAX_LISTED)
        unproven = "not proven that each conversation goes to its old or its new queue"
        message = f"{unproven} while these rules change: {names}"
    return _result("transient", len(plan.unproven), message)


def _check_promises(promises: Iterable[PromiseResult], environment: str) -> GuardResult:
    """Return whether the rules after the plan keep the promises of severity error; an undecided one
    is not kept.
    """
    failed = [
        (result.name, result.failure)
        for result in promises
        if result.failure and result.failure.severity == "error"
    ]
    if not failed:
        message = "the rules after this plan keep every promise of severity error"
        return _result("promises", 0, message)

    _, first = failed[0]
    message = first.message
    remedy = context_remedy(environment)
    if first.hint.endswith(remedy):
        message = f"{message}. {_sentence(remedy)}"
    if len(failed) > 1:
        names = join_first([name for name, _ in failed], _MAX_LISTED, quote)
        message = f"{len(failed)} promises are not kept: {names}. The first: {message}"
    return _result("promises", len(failed), message)


def _harmed_addresses(change: Change) -> Iterator[Address]:
    if isinstance(change, Delete) and change.cause != "duplicate":
        yield change.address
    elif isinstance(change, Update):
        address = _address_before(change)
        before = change.live.rule
        after = change.after
        decisive = (before.conditions, before.priority, before.targets)
        is_rerouted = decisive != (after.conditions, after.priority, after.targets)
        if address != change.address or is_rerouted or _switches_off(change):
            yield address


def _address_before(change: Update) -> Address:
    return change.live.marker.address if change.live.marker else change.address


def _check_freeze(environment: Environment, now: datetime) -> GuardResult:
    for window in environment.freeze:
        if window.covers(now):
            reason = f": {window.reason}" if window.reason else ""
            return _result("freeze", 1, f"{environment.name} is frozen now{reason}")
    return _result("freeze", 0, "no freeze window is open")


def apply_allowance(
    result: GuardResult,
    environment: Environment,
    now: datetime,
    since: datetime | None = None,
) -> GuardResult:
    """Lift a guard for which the Environment has a valid entry; the entry is reported in any
    case.

    `since` is the last boundary of rules with dates: an entry can be about that one alone.
    """
    for entry in environment.guard.allow:
        if entry.name != result.name:
            continue
        reason = _allowed_reason(entry, environment, now, since)
        if reason:
            return replace(result, ok=True, allowed=reason)
    return result


def _allowed_reason(
    entry: Allow, environment: Environment, now: datetime, since: datetime | None
) -> str:
    """Return why an entry lifts its guard now; empty if it does not."""
    times = []
    if entry.until is not None:
        if environment.instant_of(entry.until) <= now:
            return ""
        times.append(f"until {entry.until.isoformat()}")
    if entry.at is not None:
        date = environment.instant_of(entry.at)
        if date != since or now - date > _LONGEST_ALLOWANCE:
            return ""
        times.append(f"at {entry.at.isoformat()}")
    return f"{entry.reason} ({', '.join(times)})"
