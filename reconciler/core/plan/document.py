"""A plan as a JSON document (plan-json): its values in the types of `plan_json`."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final, cast

from reconciler.core.behaviour.endpoint_stage import FallbackPolicy
from reconciler.core.model.change import (
    Change,
    Create,
    Delete,
    PlanStep,
    is_copy_removal,
    write_payload,
)
from reconciler.core.model.live import LiveRule, Marker
from reconciler.core.model.rule import CANONICAL_JSON, Rule, Target
from reconciler.core.plan.behaviour_json import impact_to_json
from reconciler.core.plan.consent import consent_to_json
from reconciler.core.plan.finding_json import finding_to_json, source_to_json
from reconciler.core.plan.headline import headline
from reconciler.core.plan.replay import replay_to_json
from reconciler.core.plan.stages import (
    Assessed,
    Changes,
    EditedDate,
    GuardResult,
    LaterChange,
    Plan,
    Scheduled,
)
from reconciler.core.rule_json import rule_body
from reconciler.core.text.local_time import shown_instant
from reconciler.version import __version__

if TYPE_CHECKING:
    from reconciler.core.plan.plan_json import (
        BehaviourJson,
        ChangeJson,
        EditedDateJson,
        EndpointJson,
        FallbackJson,
        GuardJson,
        HeldJson,
        LaterJson,
        OptionsJson,
        PlanJson,
        RuleJson,
        SampleJson,
        StepJson,
        SummaryJson,
    )

FORMAT_VERSION: Final = "1.0"
# of `plan --report`, in place of a plan: why there is none
ERROR_FILE: Final = "error.json"
# the `report` of a document by `cxroute drift`, which cannot be applied
DRIFT_REPORT: Final = "drift"
COUNTED_ACTIONS: Final = ("create", "update", "adopt", "delete")


def plan_to_json(plan: Plan) -> "PlanJson":
    """Return the plan as a JSON document (plan-json); the same plan gives the same document."""
    findings = (*plan.failed_tests, *plan.findings)
    form: PlanJson = {
        "formatVersion": FORMAT_VERSION,
        "tool": {"name": "cxroute", "version": __version__},
        "environment": plan.environment,
        "owner": plan.owner,
        "generatedAt": plan.generated_at.isoformat().replace("+00:00", "Z"),
        "manifestDigest": plan.manifest_digest,
        "liveDigest": plan.live_digest,
        "planId": "",
        "options": _options(plan),
        "endpoint": _endpoint(plan),
        "summary": cast("SummaryJson", count_changes(plan)),
        "changes": _changes(plan),
        "held": _held_changes(plan),
        "behaviour": _behaviour(plan),
        "findings": [finding_to_json(finding) for finding in findings],
        "acknowledged": [finding_to_json(finding) for finding in plan.acknowledged],
        "guards": [_guard(result) for result in plan.guards],
    }
    _add_optional_parts(form, plan)
    form["planId"] = plan.remember_id(lambda: digest_document(form))
    if plan.replay:
        form["replay"] = replay_to_json(plan.replay, plan.queue_names)
    return form


def _add_optional_parts(form: "PlanJson", plan: Plan) -> None:
    """Add what only some plans have: dates, and owners of queues."""
    if plan.later is not None:
        form["later"] = _later_changes(plan.later)
    if plan.edited_dates is not None:
        form["editedDates"] = [_edited_date(each) for each in plan.edited_dates.dates]
    if plan.consent is not None:
        form["consent"] = [consent_to_json(entry) for entry in plan.consent]


def _changes(plan: Scheduled) -> list["ChangeJson"]:
    """Return each change with its calls; the removal of a leftover copy is one of them."""
    steps = _steps(plan)
    return [
        change_to_json(plan, change, steps[id(change)])
        for change in plan.changes
        if id(change) in steps
    ]


def _held_changes(plan: Changes) -> list["HeldJson"]:
    return [
        {**change_to_json(plan, held.change), "reason": held.reason}
        for held in plan.held
    ]


def _later_changes(later: Iterable[LaterChange]) -> list["LaterJson"]:
    return [_later_change(change) for change in later]


def _later_change(change: LaterChange) -> "LaterJson":
    plan = change.plan
    promises = change.broken_promises
    sentence = headline(plan.impact, plan.queue_names, plan.labels, promises)
    form: LaterJson = {
        "at": shown_instant(change.at),
        "changes": [_change_at(change, each) for each in plan.changes],
        "behaviour": impact_to_json(plan.impact, plan.queue_names, sentence),
        "guards": [_guard(result) for result in plan.guards],
        "promises": [each.to_json(plan.queue_names) for each in promises],
    }
    if change.due != (change.at,):
        form["due"] = [shown_instant(boundary) for boundary in change.due]
    return form


def _edited_date(date: EditedDate) -> "EditedDateJson":
    return {
        "address": str(date.address),
        "event": date.event,
        "before": _time_or_null(date.before),
        "after": _time_or_null(date.after),
    }


def _time_or_null(instant: datetime | None) -> str | None:
    return None if instant is None else shown_instant(instant)


def _change_at(later: LaterChange, change: Change) -> "ChangeJson":
    """Return a later change; a rule that the tenant does not have yet has no id."""
    form = change_to_json(later.plan, change)
    if form["id"] in later.created:
        form["id"] = None
        if form["before"] is not None:
            form["before"].pop("id", None)
    return form


def _behaviour(plan: Assessed) -> "BehaviourJson":
    sentence = headline(plan.impact, plan.queue_names, plan.labels, plan.promises)
    return impact_to_json(plan.impact, plan.queue_names, sentence)


def _options(plan: Assessed) -> "OptionsJson":
    options = plan.options
    traffic: SampleJson | None = None
    if plan.impact.traffic:
        sample = plan.impact.traffic.sample
        traffic = {"file": sample.name, "digest": sample.digest}
    form: OptionsJson = {
        "only": list(options.only),
        "adopt": options.adopt,
        "keepDrift": options.keep_drift,
        "undo": options.undo,
        "traffic": traffic,
        "base": options.base,
    }
    if options.due:
        form["due"] = True
    if options.at is not None:
        form["at"] = shown_instant(options.at)
    return form


def _endpoint(plan: Changes) -> "EndpointJson | None":
    if not plan.options.base and plan.live.settings is None:
        return None
    before, after = plan.endpoints
    return {"before": _fallback(before.fallback), "after": _fallback(after.fallback)}


def _fallback(policy: FallbackPolicy) -> "FallbackJson":
    settings = policy.settings
    return {
        "intent": settings["intent"],
        "minConfidence": settings["minConfidence"],
        "knownIntents": settings["knownIntents"],
    }


def _guard(result: GuardResult) -> "GuardJson":
    return {
        "name": result.name,
        "value": result.value,
        "limit": result.limit,
        "ok": result.ok,
        "message": result.message,
        "allowed": result.allowed,
    }


def plan_id(plan: Plan) -> str:
    """Return the 12 hex digits that identify this plan."""
    return plan.remember_id(lambda: plan_to_json(plan)["planId"])


def count_changes(plan: Plan) -> dict[str, int]:
    """Return the number of changes by action, and of rules without a change."""
    counts = dict.fromkeys(COUNTED_ACTIONS, 0)
    for change in plan.changes:
        counts[change.action] += not is_copy_removal(change)
    counts |= {
        "unchanged": plan.unchanged,
        "held": len(plan.held),
        "unmanaged": plan.unmanaged,
    }
    if plan.watch:
        counts["unwatched"] = plan.watch.unwatched
        if plan.watch.undecided:
            counts["undecidedWatch"] = plan.watch.undecided
    return counts


def change_to_json(
    plan: Changes, change: Change, steps: Sequence["StepJson"] = ()
) -> "ChangeJson":
    """Return one change in the form of plan-json "Change"; a held change has no steps."""
    payload = write_payload(PlanStep(change), plan.owner)
    live = None if isinstance(change, Create) else change.live
    rule = change.live.rule if isinstance(change, Delete) else change.after
    fields = () if isinstance(change, Create | Delete) else change.fields
    before = live_rule_to_json(live, plan.queue_names) if live else None
    return {
        "action": change.action,
        "address": str(change.address),
        "id": live.id if live else None,
        "name": rule.name,
        "cause": change.cause,
        "steps": list(steps),
        "before": before,
        "after": payload and rule_to_json(*payload, plan.queue_names),
        "fields": [
            {"path": field.path, "before": field.before, "after": field.after}
            for field in fields
        ],
        "source": source_to_json(change.source),
    }


def _steps(plan: Scheduled) -> dict[int, list["StepJson"]]:
    """Return each change's calls, each in its wave; `copy` marks those of a temporary copy."""
    # The removal of a leftover copy is a step of its address's change, if there is one.
    owners = {
        change.address: id(change)
        for change in plan.changes
        if not is_copy_removal(change)
    }
    steps: dict[int, list[StepJson]] = {
        id(change): []
        for change in plan.changes
        if not is_copy_removal(change) or change.address not in owners
    }
    for number, wave in enumerate(plan.steps, 1):
        for step in wave:
            is_leftover = is_copy_removal(step.change)
            change = id(step.change)
            if is_leftover:
                change = owners.get(step.change.address, change)
            is_copy = is_leftover or step.kind in ("copy", "drop")
            steps[change].append({"wave": number, "call": step.call, "copy": is_copy})
    return steps


def live_rule_to_json(live: LiveRule, queue_names: Mapping[str, str]) -> "RuleJson":
    """Return a live rule in the API's form, without the fields that the server adds."""
    return {"id": live.id, **rule_to_json(live.rule, live.marker, queue_names)}


def change_facts(change: "ChangeJson") -> list[object]:
    """Return what a change does: not why, in which calls, and from which line."""
    return [
        change["action"],
        change["address"],
        change["id"],
        change["before"],
        change["after"],
    ]


def digest_document(payload: Mapping[str, Any]) -> str:
    """Return the digest of a plan without its time, its recorded conversations, its guards, what it
    is compared with and its texts.
    """
    # Some guards depend on the time, and apply does not read recorded conversations.
    passing = ("planId", "generatedAt", "guards", "replay", "editedDates", "view")
    lasting = {name: value for name, value in payload.items() if name not in passing}
    if payload.get("behaviour"):
        lasting["behaviour"] = {**payload["behaviour"], "headline": ""}
    if payload.get("later"):
        lasting["later"] = [_lasting_part(change) for change in payload["later"]]
    return sha256(CANONICAL_JSON.encode(lasting).encode()).hexdigest()[:12]


def _lasting_part(change: Mapping[str, Any]) -> dict[str, Any]:
    """Return a later change without its guards and its headline."""
    behaviour = {**change["behaviour"], "headline": ""}
    return {**change, "guards": [], "behaviour": behaviour}


def rule_to_json(
    rule: Rule, marker: Marker | None, queue_names: Mapping[str, str]
) -> "RuleJson":
    """Return a rule in the API's form, with the names of its queues; the marker is a part of the
    description.
    """
    form = rule_body(rule, marker)
    for target, target_form in zip(rule.targets, form["targets"], strict=True):
        if isinstance(target, Target):
            target_form["queueName"] = queue_names.get(target.queue_id)
    return cast("RuleJson", form)
