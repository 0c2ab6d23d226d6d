"""First contact: while a tenant has shown no rule of ours that kept its marker, a run's first write goes alone.

So does the first write of a longer text than it has kept until then, for a tenant may cut those.

A tenant that makes one line of several, or cuts a text, would lose the marker of every rule that is written: none of
them would be ours, and no later run could find them. So one rule is written and read back before any other. What the
tenant did not keep is taken back: the rule is deleted by its id where the run created it, and written as it was before
where the run took it over. What is not provably the run's own work is left to a person.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from reconciler.apply.attempt import Attempt, WritePayload, write_payload
from reconciler.model.change import Create, Delete, PlanStep, Update
from reconciler.model.live import LiveRule, Marker, format_description
from reconciler.plan.compare import diff_fields
from reconciler.plan.stored_texts import is_form_of
from reconciler.text.escape import join_first, quote

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from reconciler.model.rule import Rule


_MAX_FIELDS: Final = 3
_SHORT_LENGTH: Final = 200
"""Characters of a description that a tenant is taken to keep whole once it kept any with our line."""
_TAIL_LENGTH: Final = 80  # characters of a description's end that are shown


class AlteredRule(NamedTuple):
    """A live rule that a first write made, and that is not as it was sent.

    `is_certain`: provably that write made it.
    """

    live: LiveRule
    is_certain: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstWrite:
    """The step that goes alone, what it sends, and every rule as it was read before it."""

    step: PlanStep
    payload: WritePayload
    before: Mapping[str, tuple[Rule, Marker | None]]
    lag: float  # by how many seconds lists lag: a rule that a list shows for the first time may be older
    keeps_markers: bool  # the tenant has kept our line below shorter texts: that line alone is in doubt

    def altered_rules(self, result: Attempt, rules: Iterable[LiveRule]) -> list[AlteredRule]:
        """Return what the write made and the tenant did not keep, by a complete read after it."""
        if not result.may_have_written:
            return []
        touched = [live for live in rules if self.before.get(live.id) != (live.rule, live.marker)]
        if self.step.call == "create":
            made = [live for live in touched if live.id not in self.before]
            answered = [live for live in made if live.id == result.id]
            made = answered or [live for live in made if live.marker is None and self._resembles_payload(live)]
            unanswered = result.uncertainty == "lasting" and not self.lag
            sure = bool(answered) or (unanswered and len(made) == 1 and bool(made[0].rule.description))
        else:
            made = [live for live in touched if live.id == _rule_id(self.step)]
            sure = True
        lost = [live for live in made if not self._is_intact(live, result)]
        return [AlteredRule(live, sure and self._is_own_write(live, result)) for live in lost]

    def _is_intact(self, live: LiveRule, result: Attempt) -> bool:
        """Say whether the marker was kept, and, where the answer told already of other values, what routes."""
        marker, sent = live.marker, self.payload.marker
        if marker is None or sent is None or (marker.owner, marker.address) != (sent.owner, sent.address):
            return False
        return (
            self.keeps_markers
            or _routing_fields(live.rule) == _routing_fields(self.payload.rule)
            or not _matches_response(live, result)
        )

    def _is_own_write(self, live: LiveRule, result: Attempt) -> bool:
        """Say whether the write made the rule what it is: it is as it was answered, or as a tenant keeps texts."""
        return _matches_response(live, result) or self._resembles_payload(live)

    def _resembles_payload(self, live: LiveRule) -> bool:
        rule, text, kept = self.payload.rule, format_description(*self.payload), live.rule.description
        ours = is_form_of(kept, text) or text.rpartition("\n")[2] in kept
        return ours and _routing_fields(live.rule) == _routing_fields(rule) and is_form_of(live.rule.name, rule.name)


def find_first_write(wave: Sequence[PlanStep], rules: Iterable[LiveRule], owner: str, lag: float) -> FirstWrite | None:
    """Return the write of a wave that is to go alone; None where the tenant has shown that it keeps such markers."""
    # A rule without a text of its own shows nothing of one with a text: its marker is the only line. Nor does a rule
    # with a short text of one with a longer text, which may be cut. The longest text tells most.
    live_rules = tuple(rules)
    sent = [
        (step, what) for step in wave if (what := write_payload(step, owner)) is not None and what.marker is not None
    ]
    ours = [live for live in live_rules if live.marker is not None and live.marker.owner == owner]
    kept = [len(format_description(live.rule, live.marker)) for live in ours if live.rule.description]
    if not sent or (ours and not any(what.rule.description for _, what in sent)):
        return None
    step, what = max(sent, key=lambda pair: len(format_description(*pair[1])))
    if kept and len(format_description(*what)) <= max(_SHORT_LENGTH, *kept):
        return None
    before = {live.id: (live.rule, live.marker) for live in live_rules}
    return FirstWrite(step=step, payload=what, before=before, lag=lag, keeps_markers=bool(kept))


def describe_difference(first: FirstWrite, live: LiveRule) -> str:
    """Return how the tenant keeps a rule, and how it was sent."""
    changes = diff_fields(first.payload.rule, live.rule)
    other = [f"{one.path} {quote(one.before)} as {quote(one.after)}" for one in changes if one.path != "description"]
    if live.marker is None:
        written_end = _quote_end(format_description(*first.payload))
        kept = f"its description, which ended in {written_end}, ends in {_quote_end(live.rule.description)}"
        return kept if live.rule.description else "its description is empty"
    return f"the server kept other values than were sent: {join_first(other, _MAX_FIELDS)}"


def describe_abort(first: FirstWrite, live: LiveRule) -> str:
    """Return why the run stops, and what can be done about it."""
    address, text, kept = first.step.change.address, format_description(*first.payload), live.rule.description
    if live.marker is not None:
        why = f"the tenant keeps other values of {address} than were sent, which would route callers elsewhere"
        return f"{why}. Write them in the manifest as it keeps them"
    why = f"the tenant does not keep the last line of a description, which says who manages the rule ({address})"
    if kept and text.startswith(kept):
        return f"{why}. It cuts descriptions at {len(kept)} characters: write shorter ones in the manifests"
    if " ".join(text.split()) == kept:
        return f"{why}. It makes one line of several: only rules with `description: ''` can be managed there"
    return f"{why}. Have it keep descriptions as they are sent, then apply again"


def reverting_step(step: PlanStep, live: LiveRule) -> PlanStep:
    """Return, for the journal, what undoes a first write that made a rule."""
    change, then = step.change, payload_before(step)
    if then is None:
        return PlanStep(Delete(address=change.address, live=live, cause="duplicate"), "back")
    update = Update(
        address=change.address,
        live=live,
        after=then.rule,
        fields=diff_fields(live.rule, then.rule),
        source=None,
        cause="manifest",
        unadopts=then.marker is None,
    )
    return PlanStep(update, "back")


def payload_before(step: PlanStep) -> WritePayload | None:
    """Return what a first write found, or None where it creates."""
    change = step.change
    return (
        None
        if step.call == "create" or isinstance(change, Create)
        else WritePayload(change.live.rule, change.live.marker)
    )


def describe_revert(step: PlanStep, remaining: Sequence[AlteredRule], error: str) -> str:
    """Say what became of the rule that a first write made; `remaining` is what could not be taken back."""
    if not remaining:
        done = "deleted again" if step.call == "create" else "put back as it was"
        return f"The rule was {done}; nothing more was written"
    ids = ", ".join(one.live.id for one in remaining)
    if not all(one.is_certain for one in remaining):
        return f"Rule {ids} is not provably as this run wrote it, so it was left alone: look at it in CXone"
    return f"Rule {ids} could not be taken back ({error or 'it is still there'}): put it right in CXone"


def describe_unread(step: PlanStep, result: Attempt) -> str:
    """Say which rule a first write may have made where no read came after it; nothing where it made none."""
    rule = f" (rule {result.id})" if result.id else ""
    said = f". Whether the tenant kept {step.change.address}{rule} as it was sent is not known: look at it in CXone"
    return said if result.may_have_written else ""


def _quote_end(text: str) -> str:
    return quote(text if len(text) <= _TAIL_LENGTH else f"...{text[-_TAIL_LENGTH:]}")


def _matches_response(live: LiveRule, result: Attempt) -> bool:
    answer = result.response
    return answer is not None and (answer.id, answer.rule, answer.marker) == (live.id, live.rule, live.marker)


def _routing_fields(rule: Rule) -> object:
    return rule.priority, rule.enabled, rule.conditions, rule.targets


def _rule_id(step: PlanStep) -> str:
    return "" if isinstance(step.change, Create) else step.change.live.id
