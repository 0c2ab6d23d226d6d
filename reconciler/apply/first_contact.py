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

from reconciler.apply.attempt import Attempt, Written, written
from reconciler.model.change import Create, Delete, Step, Update
from reconciler.model.live import LiveRule, Marker, signed
from reconciler.plan.compare import fields
from reconciler.plan.stored_texts import is_form_of
from reconciler.text.escape import join_first, quote

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from reconciler.model.rule import Rule


_MOST_FIELDS: Final = 3
_SHORT: Final = 200
"""Characters of a description that a tenant is taken to keep whole once it kept any with our line."""
_TAIL: Final = 80
"""Characters of a description's end that are shown."""


class Lost(NamedTuple):
    """A live rule that a first write made, and that is not as it was sent. `sure`: provably that write made it."""

    live: LiveRule
    sure: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstWrite:
    """The step that goes alone, what it sends, and every rule as it was read before it."""

    step: Step
    sent: Written
    before: Mapping[str, tuple[Rule, Marker | None]]
    lag: float
    """By how many seconds lists lag: a rule that a list shows for the first time may be older."""
    known: bool
    """The tenant has kept our line below shorter texts: that line alone is in doubt."""

    def lost(self, result: Attempt, rules: Iterable[LiveRule]) -> list[Lost]:
        """Return what the write made and the tenant did not keep, by a complete read after it."""
        if not result.may_have_written:
            return []
        touched = [live for live in rules if self.before.get(live.id) != (live.rule, live.marker)]
        if self.step.call == "create":
            made = [live for live in touched if live.id not in self.before]
            answered = [live for live in made if live.id == result.id]
            made = answered or [live for live in made if live.marker is None and self._is_alike(live)]
            unanswered = result.doubt == "lasting" and not self.lag
            sure = bool(answered) or (unanswered and len(made) == 1 and bool(made[0].rule.description))
        else:
            made = [live for live in touched if live.id == _id_of(self.step)]
            sure = True
        lost = [live for live in made if not self._is_kept(live, result)]
        return [Lost(live, sure and self._is_own(live, result)) for live in lost]

    def _is_kept(self, live: LiveRule, result: Attempt) -> bool:
        """Say whether the marker was kept, and, where the answer told already of other values, what routes."""
        marker, sent = live.marker, self.sent.marker
        if marker is None or sent is None or (marker.owner, marker.address) != (sent.owner, sent.address):
            return False
        return self.known or _routing(live.rule) == _routing(self.sent.rule) or not _is_as_answered(live, result)

    def _is_own(self, live: LiveRule, result: Attempt) -> bool:
        """Say whether the write made the rule what it is: it is as it was answered, or as a tenant keeps texts."""
        return _is_as_answered(live, result) or self._is_alike(live)

    def _is_alike(self, live: LiveRule) -> bool:
        rule, text, kept = self.sent.rule, signed(*self.sent), live.rule.description
        ours = is_form_of(kept, text) or text.rpartition("\n")[2] in kept
        return ours and _routing(live.rule) == _routing(rule) and is_form_of(live.rule.name, rule.name)


def first_write(wave: Sequence[Step], rules: Iterable[LiveRule], owner: str, lag: float) -> FirstWrite | None:
    """Return the write of a wave that is to go alone; None where the tenant has shown that it keeps such markers.

    A rule without a text of its own shows nothing of one with a text: its marker is the only line. Nor does a rule
    with a short text of one with a longer text, which may be cut. The longest text tells most.
    """
    live_rules = tuple(rules)
    sent = [(step, what) for step in wave if (what := written(step, owner)) is not None and what.marker is not None]
    ours = [live for live in live_rules if live.marker is not None and live.marker.owner == owner]
    kept = [len(signed(live.rule, live.marker)) for live in ours if live.rule.description]
    if not sent or (ours and not any(what.rule.description for _, what in sent)):
        return None
    step, what = max(sent, key=lambda pair: len(signed(*pair[1])))
    if kept and len(signed(*what)) <= max(_SHORT, *kept):
        return None
    before = {live.id: (live.rule, live.marker) for live in live_rules}
    return FirstWrite(step=step, sent=what, before=before, lag=lag, known=bool(kept))


def difference(first: FirstWrite, live: LiveRule) -> str:
    """Return how the tenant keeps a rule, and how it was sent."""
    changes = fields(first.sent.rule, live.rule)
    other = [f"{one.path} {quote(one.before)} as {quote(one.after)}" for one in changes if one.path != "description"]
    if live.marker is None:
        kept = f"its description, which ended in {_end(signed(*first.sent))}, ends in {_end(live.rule.description)}"
        return kept if live.rule.description else "its description is empty"
    return f"the server kept other values than were sent: {join_first(other, _MOST_FIELDS)}"


def advice(first: FirstWrite, live: LiveRule) -> str:
    """Return why the run stops, and what can be done about it."""
    address, text, kept = first.step.change.address, signed(*first.sent), live.rule.description
    if live.marker is not None:
        why = f"the tenant keeps other values of {address} than were sent, which would route callers elsewhere"
        return f"{why}. Write them in the manifest as it keeps them"
    why = f"the tenant does not keep the last line of a description, which says who manages the rule ({address})"
    if kept and text.startswith(kept):
        return f"{why}. It cuts descriptions at {len(kept)} characters: write shorter ones in the manifests"
    if " ".join(text.split()) == kept:
        return f"{why}. It makes one line of several: only rules with `description: ''` can be managed there"
    return f"{why}. Have it keep descriptions as they are sent, then apply again"


def undoing(step: Step, live: LiveRule) -> Step:
    """Return, for the journal, what undoes a first write that made a rule."""
    change, then = step.change, before(step)
    if then is None:
        return Step(Delete(address=change.address, live=live, cause="duplicate"), "back")
    update = Update(
        address=change.address,
        live=live,
        after=then.rule,
        fields=fields(live.rule, then.rule),
        source=None,
        cause="manifest",
        released=then.marker is None,
    )
    return Step(update, "back")


def before(step: Step) -> Written | None:
    """Return what a first write found, or None where it creates."""
    change = step.change
    return (
        None if step.call == "create" or isinstance(change, Create) else Written(change.live.rule, change.live.marker)
    )


def became(step: Step, left: Sequence[Lost], error: str) -> str:
    """Say what became of the rule that a first write made; `left` is what could not be taken back."""
    if not left:
        done = "deleted again" if step.call == "create" else "put back as it was"
        return f"The rule was {done}; nothing more was written"
    ids = ", ".join(one.live.id for one in left)
    if not all(one.sure for one in left):
        return f"Rule {ids} is not provably as this run wrote it, so it was left alone: look at it in CXone"
    return f"Rule {ids} could not be taken back ({error or 'it is still there'}): put it right in CXone"


def unseen(step: Step, result: Attempt) -> str:
    """Say which rule a first write may have made where no read came after it; nothing where it made none."""
    rule = f" (rule {result.id})" if result.id else ""
    said = f". Whether the tenant kept {step.change.address}{rule} as it was sent is not known: look at it in CXone"
    return said if result.may_have_written else ""


def _end(text: str) -> str:
    return quote(text if len(text) <= _TAIL else f"...{text[-_TAIL:]}")


def _is_as_answered(live: LiveRule, result: Attempt) -> bool:
    answer = result.answer
    return answer is not None and (answer.id, answer.rule, answer.marker) == (live.id, live.rule, live.marker)


def _routing(rule: Rule) -> object:
    return rule.priority, rule.enabled, rule.conditions, rule.targets


def _id_of(step: Step) -> str:
    return "" if isinstance(step.change, Create) else step.change.live.id
