"""First contact: a run's first write goes alone until the tenant has shown a managed rule that kept
its marker.

A tenant that changes texts would lose every marker, and no later run would find the rules. So one
rule is written, read back, and reverted if it was altered. The same applies to the first
description longer than those the tenant has kept.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

from reconciler.core.apply.attempt import Attempt
from reconciler.core.model.change import Create, Delete, PlanStep, Update, write_payload
from reconciler.core.model.live import LiveRule, WritePayload, format_description
from reconciler.core.plan.compare import diff_fields
from reconciler.core.plan.stored_texts import is_form_of
from reconciler.core.text.escape import join_first, quote

_MAX_FIELDS: Final = 3
# characters: shorter descriptions are not cut if any description with a marker was kept
_SHORT_LENGTH: Final = 200
_TAIL_LENGTH: Final = 80  # characters of a description's end that are shown


class AlteredRule(NamedTuple):
    """A live rule that a first write made, and that is not as it was sent."""

    live: LiveRule
    is_certain: bool  # it is proven that this write made the rule


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstWrite:
    """The step that is made alone, its payload, and every rule as it was read before."""

    step: PlanStep
    payload: WritePayload
    before: Mapping[str, WritePayload]
    # by how many seconds lists lag: a rule that a list shows for the first time may be older
    lag: float
    # the tenant has kept markers below shorter texts: only this marker is in doubt
    keeps_markers: bool

    def altered_rules(
        self,
        result: Attempt,
        rules: Iterable[LiveRule],
    ) -> list[AlteredRule]:
        """Return the rules of the write that the tenant altered, from a complete read after it."""
        if not result.may_have_written:
            return []
        touched = [live for live in rules if self.before.get(live.id) != live.content]
        is_sure = True
        if self.step.call == "create":
            created = [live for live in touched if live.id not in self.before]
            touched, is_sure = self._find_created(result, created)
        else:
            change = self.step.change
            rule_id = "" if isinstance(change, Create) else change.live.id
            touched = [live for live in touched if live.id == rule_id]

        altered = []
        for live in touched:
            if self._is_intact(live, result):
                continue
            is_own = _matches_response(live, result) or self._resembles_payload(live)
            altered.append(AlteredRule(live, is_sure and is_own))
        return altered

    def _find_created(
        self,
        result: Attempt,
        created: list[LiveRule],
    ) -> tuple[list[LiveRule], bool]:
        """Return which of the new rules this create may have made, and whether that is proven."""
        answered = [live for live in created if live.id == result.id]
        if answered:
            return answered, True
        similar = [
            live
            for live in created
            if live.marker is None and self._resembles_payload(live)
        ]
        is_only = len(similar) == 1 and bool(similar[0].rule.description)
        is_sure = result.uncertainty == "lasting" and not self.lag and is_only
        return similar, is_sure

    def _is_intact(self, live: LiveRule, result: Attempt) -> bool:
        """Return whether the marker was kept, and the routing fields, if the response already had
        other values.
        """
        marker = live.marker
        expected = self.payload.marker
        if not marker or not expected:
            return False
        if (marker.owner, marker.address) != (expected.owner, expected.address):
            return False
        is_same_route = live.rule.routing_fields == self.payload.rule.routing_fields
        if self.keeps_markers or is_same_route:
            return True
        return not _matches_response(live, result)

    def _resembles_payload(self, live: LiveRule) -> bool:
        rule = self.payload.rule
        text = format_description(*self.payload)
        last_line = text.rpartition("\n")[2]
        stored = live.rule.description
        has_marker = is_form_of(stored, text) or last_line in stored
        is_same_route = live.rule.routing_fields == rule.routing_fields
        return has_marker and is_same_route and is_form_of(live.rule.name, rule.name)


def find_first_write(
    wave: Sequence[PlanStep],
    rules: Iterable[LiveRule],
    owner: str,
    lag: float,
) -> FirstWrite | None:
    """Return the write of a wave that must be made alone, or None if the tenant has shown that it
    keeps markers.
    """
    # A live rule without a description proves nothing about rules with one, and a short description
    # proves nothing about a longer one, which may be cut. So the longest description is written
    # first.
    live_rules = tuple(rules)
    managed = [
        live
        for live in live_rules
        if live.marker is not None and live.marker.owner == owner
    ]
    lengths = [
        len(format_description(live.rule, live.marker))
        for live in managed
        if live.rule.description
    ]

    writes = _marked_writes(wave, owner)
    has_descriptions = any(payload.rule.description for _, payload in writes)
    if not writes or (managed and not has_descriptions):
        return None
    step, payload = max(writes, key=lambda write: len(format_description(*write[1])))
    length = len(format_description(*payload))
    if lengths and length <= max(_SHORT_LENGTH, *lengths):
        return None

    before = {live.id: live.content for live in live_rules}
    return FirstWrite(
        step=step,
        payload=payload,
        before=before,
        lag=lag,
        keeps_markers=bool(lengths),
    )


def _marked_writes(
    wave: Sequence[PlanStep], owner: str
) -> list[tuple[PlanStep, WritePayload]]:
    """Return the steps that write a rule with a marker, with their payloads."""
    writes = []
    for step in wave:
        payload = write_payload(step, owner)
        if payload is not None and payload.marker is not None:
            writes.append((step, payload))
    return writes


def describe_difference(first: FirstWrite, live: LiveRule) -> str:
    """Return the difference between the rule that was sent and the rule that the tenant keeps."""
    if live.marker is None and not live.rule.description:
        return "its description is empty"
    if live.marker is None:
        end = _quote_end(format_description(*first.payload))
        return f"its description, which ended in {end}, ends in {_quote_end(live.rule.description)}"
    phrases = [
        f"{field.path} {quote(field.before)} as {quote(field.after)}"
        for field in diff_fields(first.payload.rule, live.rule)
        if field.path != "description"
    ]
    return f"the server stored other values than were sent: {join_first(phrases, _MAX_FIELDS)}"


def describe_abort(first: FirstWrite, live: LiveRule) -> str:
    """Return why the run stops, and the remedy."""
    address = first.step.change.address
    text = format_description(*first.payload)
    stored = live.rule.description
    if live.marker is not None:
        reason = (
            f"the tenant stores other values of {address} than were sent, which would route "
            f"callers elsewhere"
        )
        return f"{reason}. Write the values in the manifest as the tenant stores them"
    reason = (
        f"the tenant does not keep the last line of a description, which marks the rule as managed "
        f"({address})"
    )
    if stored and text.startswith(stored):
        return (
            f"{reason}. It cuts descriptions at {len(stored)} characters: write shorter ones in "
            f"the manifests"
        )
    if " ".join(text.split()) == stored:
        return (
            f"{reason}. It joins several lines into one: only rules with `description: ''` can be "
            f"managed there"
        )
    return f"{reason}. Configure it to keep descriptions as they are sent, then apply again"


def reverting_step(step: PlanStep, live: LiveRule) -> PlanStep:
    """Return, for the journal, the step that reverts a first write which made the rule `live`."""
    address = step.change.address
    before = payload_before(step)
    if before is None:
        return PlanStep(Delete(address=address, live=live, cause="duplicate"), "back")
    update = Update(
        address=address,
        live=live,
        after=before.rule,
        fields=diff_fields(live.rule, before.rule),
        source=None,
        cause="manifest",
    )
    return PlanStep(replace(update, unadopts=before.marker is None), "back")


def payload_before(step: PlanStep) -> WritePayload | None:
    """Return the rule before a first write, or None for a create."""
    if step.call == "create" or isinstance(step.change, Create):
        return None
    return step.change.live.content


def describe_revert(
    step: PlanStep,
    remaining: Sequence[AlteredRule],
    error: str,
) -> str:
    """Return the result of a revert in words; `remaining` are the rules that could not be
    reverted.
    """
    if not remaining:
        result = "deleted again" if step.call == "create" else "restored"
        return f"The rule was {result}; nothing more was written"
    ids = ", ".join(rule.live.id for rule in remaining)
    if not all(rule.is_certain for rule in remaining):
        return (
            f"It is not proven that rule {ids} is as this run wrote it, so it was not changed: "
            f"check it in CXone"
        )
    return f"Rule {ids} could not be reverted ({error or 'it still exists'}): correct it in CXone"


def describe_unread(step: PlanStep, result: Attempt) -> str:
    """Return the rule that a first write may have made if no read followed; empty if it made
    none.
    """
    if not result.may_have_written:
        return ""
    rule = str(step.change.address)
    if result.id:
        rule = f"{rule} (rule {result.id})"
    return f". It is not known whether the tenant kept {rule} as it was sent: check it in CXone"


def _quote_end(text: str) -> str:
    if len(text) <= _TAIL_LENGTH:
        return quote(text)
    return quote(f"...{text[-_TAIL_LENGTH:]}")


def _matches_response(live: LiveRule, result: Attempt) -> bool:
    response = result.response
    if response is None:
        return False
    return response.id == live.id and response.content == live.content
