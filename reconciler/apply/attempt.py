"""One attempt at one call of a change: read the rule again, write it if it is still what the plan saw, say what came.

The table of errors (api-contract "Errors") ends here: each error of a write becomes a verdict, and no attempt ever
repeats a write by itself (invariants R6): only a fresh complete read tells what is still to be done.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol

from reconciler.errors import (
    AmbiguousWriteError,
    ApiError,
    ChangedMeanwhileError,
    CredentialsError,
    GoneError,
    NameTakenError,
    OverloadedError,
    RejectedError,
    UnreachableError,
)
from reconciler.model.change import Adopt, Change, Create, Delete, Step, Update, is_release
from reconciler.model.live import LiveRule, Marker, Read, digest
from reconciler.plan.compare import fields
from reconciler.plan.unknown_fields import differing, phrase
from reconciler.text.escape import sanitize

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from reconciler.model.rule import Rule


class RuleSource(Protocol):
    """What is read of a tenant. Each call raises the errors of `reconciler.errors`."""

    async def rules(self) -> tuple[LiveRule, ...]:
        """Return every live rule, proven complete."""

    async def rule(self, rule_id: str) -> Read | None:
        """Return one rule as it is now, or None where it is gone."""


class RuleStore(RuleSource, Protocol):
    """What apply needs of a tenant."""

    async def create(self, rule: Rule, marker: Marker) -> LiveRule:
        """Create a rule and return it as the server answered."""

    async def update(self, read: Read, rule: Rule, marker: Marker | None) -> LiveRule:
        """Replace a rule, its unknown fields kept, and return it as the server answered; None gives it back."""

    async def restore(self, read: Read, before: LiveRule) -> LiveRule:
        """Write a rule back as it was read earlier, every field as it came then, and return the answer."""

    async def delete(self, read: Read) -> None:
        """Delete a rule; one that is gone already is a success."""


class Verdict(Enum):
    """What an attempt leaves to be done."""

    DONE = auto()  # the server acknowledged it; a read must still show it
    AGAIN = auto()  # it was not done, or nobody knows; the next read tells
    KEPT = auto()  # the server says that it keeps other values than were sent; if a read shows that too, it failed
    MOVED = auto()  # the rule is no longer what the plan saw
    FAILED = auto()  # it will not work: keep the rule as it is
    HALT = auto()  # nothing more may be written in this run


Doubt = Literal["none", "until read", "lasting"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One attempt's verdict. `id` is the server's, where known; `wrote` is False when nothing had to be or was sent.

    doubt: whether nobody knows if it was done: until the next read, or beyond it, since a request can be done late.
    """

    verdict: Verdict
    error: str = ""
    id: str = ""
    doubt: Doubt = "none"
    wrote: bool = True
    answer: LiveRule | None = None
    """The rule as the server answered, where that is not what was sent."""

    @property
    def may_have_written(self) -> bool:
        """Say whether something of it was written, or perhaps."""
        return self.wrote and (self.verdict in (Verdict.DONE, Verdict.KEPT) or self.doubt != "none")


class Written(NamedTuple):
    """What one call writes: the rule, and the marker that its description gets; None where it is ours no longer."""

    rule: Rule
    marker: Marker | None


async def attempt(step: Step, owner: str, store: RuleStore) -> Attempt:
    """Try one call once. Raises nothing of `reconciler.errors`."""
    return await _verdict(_write(step.change, written(step, owner), store))


async def take_back(step: Step, live: LiveRule, store: RuleStore) -> Attempt:
    """Try once to undo what a call made of a rule, `live`: a rule that it created is deleted, another is as before."""
    change = step.change
    if isinstance(change, Delete) or step.call == "create":
        return await _verdict(_delete(Delete(address=change.address, live=live, cause="duplicate"), store))
    assert not isinstance(change, Create)  # noqa: S101 - that call is a create
    return await _verdict(_restore(change.live, live, store))


async def _verdict(call: Awaitable[Attempt]) -> Attempt:
    """Return what an attempt came to; an error is a verdict, too."""
    try:
        return await call
    except (AmbiguousWriteError, NameTakenError) as error:
        # Who took the name, perhaps ourselves, a read tells; a request without an answer can be done after that.
        return Attempt(
            verdict=Verdict.AGAIN,
            error=str(error),
            doubt="until read" if isinstance(error, NameTakenError) else "lasting",
        )
    except (UnreachableError, OverloadedError) as error:
        return Attempt(verdict=Verdict.AGAIN, error=str(error))
    except (GoneError, ChangedMeanwhileError) as error:
        return Attempt(verdict=Verdict.MOVED, error=str(error))
    except RejectedError as error:
        return Attempt(verdict=Verdict.FAILED, error=str(error))
    except ApiError as error:
        return Attempt(verdict=Verdict.HALT, error=str(error), wrote=not isinstance(error, CredentialsError))


def written(step: Step, owner: str) -> Written | None:
    """Return what a step writes; None where it deletes."""
    change = step.change
    if isinstance(change, Delete):
        return None
    rule = replace(change.after, name=step.name) if step.name else change.after
    if is_release(change) and step.kind == "whole":
        return Written(rule, None)
    return Written(rule, Marker(owner, change.address, digest(rule), copy=step.kind == "copy"))


async def _write(change: Change, what: Written | None, store: RuleStore) -> Attempt:
    if isinstance(change, Delete):
        return await _delete(change, store)
    assert what is not None  # noqa: S101 - only a delete writes nothing
    if what.marker is not None and (isinstance(change, Create) or what.marker.copy):
        return _acknowledged(what, await store.create(what.rule, what.marker))
    assert not isinstance(change, Create)  # noqa: S101 - what is created is ours
    return await _update(change, what, store)


async def _update(change: Update | Adopt, what: Written, store: RuleStore) -> Attempt:
    read = await store.rule(change.live.id)
    if read is None:
        return Attempt(verdict=Verdict.MOVED, error="deleted meanwhile by somebody else", wrote=False)
    if (read.live.rule, read.live.marker) == what:
        return Attempt(verdict=Verdict.DONE, id=read.live.id, wrote=False)
    if not _same(read.live, change.live):
        return Attempt(verdict=Verdict.MOVED, error="changed meanwhile by somebody else", wrote=False)
    return _acknowledged(what, await store.update(read, *what))


async def _restore(before: LiveRule, live: LiveRule, store: RuleStore) -> Attempt:
    read = await store.rule(live.id)
    if read is None:
        return Attempt(verdict=Verdict.MOVED, error="deleted meanwhile by somebody else", wrote=False)
    if not _same(read.live, live):
        return Attempt(verdict=Verdict.MOVED, error="changed meanwhile by somebody else", wrote=False)
    return _acknowledged(Written(before.rule, before.marker), await store.restore(read, before))


async def _delete(change: Delete, store: RuleStore) -> Attempt:
    read = await store.rule(change.live.id)
    if read is None:
        return Attempt(verdict=Verdict.DONE, id=change.live.id, wrote=False)
    if not _same(read.live, change.live):
        return Attempt(verdict=Verdict.MOVED, error="changed meanwhile by somebody else", wrote=False)
    if change.original is not None and (why := await _no_duplicate(read.live, change.original, store)):
        return Attempt(verdict=Verdict.MOVED, error=why, wrote=False)
    await store.delete(read)
    return Attempt(verdict=Verdict.DONE, id=change.live.id)


async def _no_duplicate(live: LiveRule, original: LiveRule, store: RuleStore) -> str:
    """Say why a rule is not a duplicate, as both are now, read by themselves: a list may show fewer fields."""
    read = await store.rule(original.id)
    if read is None or not _same(read.live, original):
        return f"rule {sanitize(original.id)}, which it was a duplicate of, was changed meanwhile by somebody else"
    names = differing(read.live, live)
    return f"it differs from rule {sanitize(original.id)} in {phrase(names)}, and is no duplicate" if names else ""


def _acknowledged(what: Written, answer: LiveRule) -> Attempt:
    """Hold the server's answer against what was sent."""
    if (answer.rule, answer.marker) == what:
        return Attempt(verdict=Verdict.DONE, id=answer.id)
    kept = ", ".join(dict.fromkeys(one.path for one in fields(what.rule, answer.rule))) or "the description's last line"
    why = f"the server kept other values than were sent: {kept}"
    return Attempt(verdict=Verdict.KEPT, error=why, id=answer.id, answer=answer)


def _same(read: LiveRule, planned: LiveRule) -> bool:
    return (read.rule, read.marker) == (planned.rule, planned.marker)
