"""A saved plan, read back to hold a fresh plan against it: what apply may do without a new review."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from reconciler.core.behaviour.diff.containment import RegionClaim, find_uncovered
from reconciler.core.behaviour.diff.difference import compare_behaviour
from reconciler.core.behaviour.diff.regions import Region
from reconciler.core.behaviour.endpoint_stage import FallbackPolicy
from reconciler.core.errors import RefusedError, UsageError
from reconciler.core.model.change import Change, HeldChange, Update, is_copy_removal
from reconciler.core.model.rule import CANONICAL_JSON
from reconciler.core.plan.behaviour_json import impact_to_json, region_claims
from reconciler.core.plan.consent import parse_consent
from reconciler.core.plan.document import (
    FORMAT_VERSION,
    change_facts,
    change_to_json,
    digest_document,
)
from reconciler.core.plan.impact import Impact
from reconciler.core.plan.review_later import (
    ChangeFacts,
    ReviewedBoundary,
    join_changes,
    join_claims,
    read_boundaries,
)
from reconciler.core.plan.routing_table import live_entries
from reconciler.core.plan.stages import Changes, Plan, PlanOptions
from reconciler.core.text.escape import join_first, pluralize, quote, sanitize
from reconciler.version import __version__

if TYPE_CHECKING:
    from reconciler.core.plan.plan_json import (
        ChangeJson,
        FallbackJson,
        PlanJson,
        SampleJson,
    )

UNREVIEWED_EDIT_REASON: Final = (
    "edited in CXone without an effect on routing, and not part of the reviewed plan"
)
_MAX_LISTED_CHANGES: Final = 5
_LONGEST_VALUE: Final = 120  # characters of a value in a message


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewedPlan:
    """The parts of a saved plan that limit an apply.

    `changes` holds the canonical JSON of each reviewed change.
    """

    plan_id: str
    environment: str
    owner: str
    options: PlanOptions
    generated_at: str
    changes: frozenset[str]
    addresses: frozenset[str]  # the addresses of its changes
    claims: tuple[RegionClaim, ...]  # the impact of its regions
    traffic: "SampleJson | None"
    # each queue and its owners
    consent: frozenset[tuple[str, tuple[str, ...]]] = frozenset()
    later: tuple[ReviewedBoundary, ...] = ()

    def at(self, instant: datetime) -> "ReviewedPlan":
        """Return the plan with what its boundaries until an instant allow, too."""
        over = [boundary for boundary in self.later if boundary.at <= instant]
        if not over:
            return self
        changes = join_changes(self.changes, over)
        addresses = {
            change.address or "" for boundary in over for change in boundary.changes
        }
        return replace(
            self,
            changes=changes,
            addresses=self.addresses | addresses,
            claims=join_claims(self.claims, over),
        )


def read_saved_plan(text: str, name: str) -> ReviewedPlan:
    """Return the parts of a saved plan that limit an apply.

    Raises UsageError, and RefusedError if it is outdated.
    """
    from reconciler.core.plan.plan_json import parse_plan  # noqa: PLC0415 - only a saved plan is read by its types

    remedy = f"Create one with `cxroute plan --out {name}`"
    try:
        form = parse_plan(text)
        reviewed = _reviewed(form)
    except (ValueError, RecursionError) as error:
        raise UsageError(
            f"{name} is not a saved plan ({sanitize(str(error), _LONGEST_VALUE)}). {remedy}"
        ) from None
    if "report" in form:
        raise UsageError(f"{name} is a report of `cxroute drift`, not a plan. {remedy}")
    if "at" in form["options"]:
        at = sanitize(form["options"]["at"], _LONGEST_VALUE)
        raise UsageError(
            f"{name} is a plan for {at} (--at), which is for reading only. {remedy}"
        )
    versions = [form["formatVersion"], form["tool"]["version"]]
    if list(map(_major, versions)) != list(map(_major, (FORMAT_VERSION, __version__))):
        raise RefusedError(
            f"{name} was created by another major version of cxroute. Run `plan` again with this "
            f"version"
        )
    if form["planId"] != digest_document(form):
        raise RefusedError(
            f"{name} was changed after it was created (its planId does not match). Run `plan` again"
        )
    return reviewed


def _reviewed(form: "PlanJson") -> ReviewedPlan:
    options = form["options"]
    endpoint = form["endpoint"]
    return ReviewedPlan(
        plan_id=form["planId"],
        environment=form["environment"],
        owner=form["owner"],
        options=PlanOptions(
            only=tuple(options["only"]),
            adopt=options["adopt"],
            keep_drift=options["keepDrift"],
            undo=options["undo"],
            base=options["base"],
            base_fallback=_parse_fallback(endpoint["before"]) if endpoint else None,
        ),
        generated_at=datetime.fromisoformat(form["generatedAt"]).isoformat(),
        changes=frozenset(_change_identity(change) for change in form["changes"]),
        addresses=frozenset(change["address"] or "" for change in form["changes"]),
        claims=region_claims(form["behaviour"]) if form["behaviour"] else (),
        traffic=options["traffic"],
        consent=frozenset(
            parse_consent(entry).queue.identity for entry in form.get("consent", ())
        ),
        later=read_boundaries(form.get("later", ())),
    )


def _major(version: str) -> str:
    return version.split(".", maxsplit=1)[0]


def _parse_fallback(form: "FallbackJson") -> FallbackPolicy:
    return FallbackPolicy(
        form["intent"], form["minConfidence"], frozenset(form["knownIntents"])
    )


def unreviewed_changes(fresh: Changes, reviewed: ReviewedPlan) -> tuple[Change, ...]:
    """Return the changes of a fresh plan that the reviewed plan does not have, in order."""
    unreviewed = []
    for change in fresh.changes:
        if is_copy_removal(change):
            continue
        facts = ChangeFacts.of(change_to_json(fresh, change))
        if not _is_reviewed(facts, reviewed):
            unreviewed.append(change)
    return tuple(unreviewed)


def _is_reviewed(facts: ChangeFacts, reviewed: ReviewedPlan) -> bool:
    """Return whether a reviewed plan has a change; a rule that the plan creates may have any id."""
    identities = (facts.identity, facts.without_id.identity)
    return any(identity in reviewed.changes for identity in identities)


def refuse_unreviewed(fresh: Plan, reviewed: ReviewedPlan, plan_again: str) -> None:
    """Raise RefusedError if a fresh plan has a change, or moves conversations, that the reviewed
    plan does not.
    """
    new = unreviewed_changes(fresh, reviewed)
    again = f"Nothing was written. Plan again, review, apply: {plan_again}"
    name = f"plan {reviewed.plan_id} of {reviewed.generated_at}"
    if new:
        count = pluralize(len(new), "change")
        names = [f"{change.action} {change.address}" for change in new]
        phrase = join_first(names, _MAX_LISTED_CHANGES)
        difference = _first_difference(fresh, new[0], reviewed)
        raise RefusedError(
            f"the manifests or the tenant changed since the plan was created. A new plan has "
            f"{count} that {name} does not have: {phrase}{difference}. {again}"
        )
    regions = unreviewed_regions(fresh.impact, fresh.queue_names, reviewed)
    if regions:
        first = regions[0].example
        example = first.reason or quote(first.attributes)
        raise RefusedError(
            f"rules outside the plan, or the Environment, changed since the plan was created, and "
            f"it would now send conversations elsewhere that {name} does not: {example}. {again}"
        )
    owners = _unlisted_owners(fresh, reviewed)
    if owners:
        raise RefusedError(
            f"{name} does not list the consent of the owners of {owners}. {again}"
        )


def _unlisted_owners(fresh: Plan, reviewed: ReviewedPlan) -> str:
    """Return the first queue whose owners the reviewed plan does not list, with them; empty if
    there is none.
    """
    for entry in fresh.consent or ():
        if entry.queue.identity not in reviewed.consent:
            return f"{quote(entry.queue.name)} ({', '.join(entry.queue.owners)})"
    return ""


def _first_difference(fresh: Changes, change: Change, reviewed: ReviewedPlan) -> str:
    """Return what differs in a change from the reviewed one of its address: its action, or its
    fields.
    """
    earlier = [
        identity
        for identity in map(json.loads, sorted(reviewed.changes))
        if identity[1] == str(change.address)
    ]
    if not earlier:
        return f". The plan has no change of {change.address}"
    old_action, _, _, old_before, old_after = earlier[0]
    identity = json.loads(_change_identity(change_to_json(fresh, change)))
    new_action, _, _, new_before, new_after = identity
    if old_action != new_action:
        return f". The plan would {old_action} {change.address}"
    live_difference = _field_difference(old_before or {}, new_before or {})
    if live_difference:
        return f". In the live rule, {live_difference}"
    difference = _field_difference(old_after or {}, new_after or {})
    return f". In the manifests' rule, {difference}" if difference else ""


def _field_difference(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    """Return what differs between two versions of a rule; empty if nothing does."""
    names = [name for name in {**old, **new} if old.get(name) != new.get(name)]
    # last: it contains the digest of the other fields
    names.sort(key="description".__eq__)
    if not names:
        return ""
    first, *further = names
    old_value = sanitize(quote(old.get(first)), _LONGEST_VALUE)
    new_value = sanitize(quote(new.get(first)), _LONGEST_VALUE)
    difference = f"{first} was {old_value} and is now {new_value}"
    listed = [name for name in further if name != "description"]
    if listed:
        difference += f"; {join_first(listed, _MAX_LISTED_CHANGES)} differ, too"
    return difference


def hold_unreviewed_edits(fresh: Changes, reviewed: ReviewedPlan) -> Changes:
    """Return the changes of a fresh plan that hold unreviewed edits, if they do not change routing."""
    # These are edits of managed rules in CXone: the rules are not changed, and the other changes
    # continue.
    edits = _unreviewed_edits(fresh, reviewed)
    if not edits or _changes_routing(fresh, edits):
        return fresh
    held = [HeldChange(change, UNREVIEWED_EDIT_REASON) for change in edits]
    holds = sorted((*fresh.held, *held), key=lambda hold: hold.change.address)
    changes = tuple(change for change in fresh.changes if change not in edits)
    return replace(fresh, changes=changes, held=tuple(holds))


def _unreviewed_edits(fresh: Changes, reviewed: ReviewedPlan) -> list[Update]:
    """Return the edits outside of the reviewed plan that need no name of another desired rule."""
    names = {desired.rule.name for desired in fresh.desired.rules.values()}
    edits = []
    for change in fresh.changes:
        if not isinstance(change, Update) or change.cause != "drift":
            continue
        if str(change.address) in reviewed.addresses:
            continue
        live_name = change.live.rule.name
        if live_name == change.after.name or live_name not in names:
            edits.append(change)
    return edits


def _changes_routing(fresh: Changes, edits: Iterable[Update]) -> bool:
    """Return whether edits move conversations, or may do so."""
    unedited = {
        edit.live.id: edit.after
        for edit in edits
        if any(field.path != "description" for field in edit.fields)
    }
    if not unedited:
        return False
    now = live_entries(fresh.live.rules, fresh.desired)
    before = [replace(entry, rule=unedited.get(entry.id, entry.rule)) for entry in now]
    behaviour = compare_behaviour(
        before,
        now,
        fresh.desired.evaluation,
        types=fresh.desired.endpoint.context_types,
    )
    return behaviour.changed or not behaviour.complete


def unreviewed_regions(
    impact: Impact, queue_names: Mapping[str, str], reviewed: ReviewedPlan
) -> tuple[Region, ...]:
    """Return the regions of an impact with conversations that the reviewed plan does not move in
    the same way.
    """
    without_shares = replace(impact, traffic=None)
    claims = region_claims(impact_to_json(without_shares, queue_names))
    return tuple(
        impact.behaviour.regions[index]
        for index in find_uncovered(claims, reviewed.claims)
    )


def _change_identity(change: "ChangeJson") -> str:
    return CANONICAL_JSON.encode(change_facts(change))
