"""One attempt at one call of a change: read the rule again, write it if it is in the planned state,
return a verdict.

Each error of a write (api-contract "Errors") becomes a verdict. An attempt does not repeat a write
(invariants R6): a complete read after it shows the remaining changes.
"""

from collections.abc import Awaitable
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final, Literal

from reconciler.core import errors
from reconciler.core.model.change import (
    Adopt,
    Change,
    Create,
    Delete,
    PlanStep,
    Update,
    write_payload,
)
from reconciler.core.model.live import LiveRule, WritePayload
from reconciler.core.plan.compare import diff_fields
from reconciler.core.plan.ownership import differing_fields, fields_phrase
from reconciler.core.target import RuleStore
from reconciler.core.text.escape import sanitize


class Verdict(Enum):
    """The result of an attempt, by the action that follows."""

    DONE = auto()  # acknowledged; a read must still show it
    RETRY = auto()  # not done, or unknown; the next read shows it
    # the response has other values than were sent; if a read shows them too, it failed
    ALTERED = auto()
    CONFLICT = auto()  # the rule is no longer in the planned state
    FAILED = auto()  # refused for good: do not change the rule
    ABORT = auto()  # nothing more may be written in this run

    @property
    def is_refusal(self) -> bool:
        """Return whether the change is not tried again."""
        return self in (Verdict.FAILED, Verdict.ABORT)


Uncertainty = Literal["none", "until read", "lasting"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """The result of one attempt.

    `id` is the server's, if known; `was_sent` is False if nothing was sent.
    """

    verdict: Verdict
    error: str = ""
    id: str = ""
    # "lasting": also after the next read, because the server can be late
    uncertainty: Uncertainty = "none"
    was_sent: bool = True
    # the rule in the response, if it differs from the payload
    response: LiveRule | None = None

    @property
    def may_have_written(self) -> bool:
        """Return whether the attempt wrote, or may have written."""
        return self.was_sent and (
            self.verdict in (Verdict.DONE, Verdict.ALTERED)
            or self.uncertainty != "none"
        )


async def attempt_step(step: PlanStep, owner: str, store: RuleStore) -> Attempt:
    """Try one call once. Does not raise the errors of `reconciler.core.errors`."""
    payload = write_payload(step, owner)
    return await judge(_write(step.change, payload, store))


async def revert_step(step: PlanStep, live: LiveRule, store: RuleStore) -> Attempt:
    """Try once to undo a call that led to the rule `live`: delete a created rule, or restore an
    updated one.
    """
    change = step.change
    if isinstance(change, Create | Delete) or step.call == "create":
        deletion = Delete(address=change.address, live=live, cause="duplicate")
        return await judge(_delete(deletion, store))
    return await judge(_restore(live, change.live, store))


async def judge(call: Awaitable[Attempt]) -> Attempt:
    """Return the result of an attempt; errors become verdicts."""
    try:
        return await call
    except (errors.AmbiguousWriteError, errors.NameTakenError) as error:
        # A read shows which rule has the name. A request without an answer can be done after that
        # read.
        uncertainty: Uncertainty = (
            "until read" if isinstance(error, errors.NameTakenError) else "lasting"
        )
        return Attempt(verdict=Verdict.RETRY, error=str(error), uncertainty=uncertainty)
    except (errors.UnreachableError, errors.OverloadedError) as error:
        return Attempt(verdict=Verdict.RETRY, error=str(error))
    except (errors.RuleNotFoundError, errors.ConcurrentChangeError) as error:
        return Attempt(verdict=Verdict.CONFLICT, error=str(error))
    except errors.RejectedError as error:
        return Attempt(verdict=Verdict.FAILED, error=str(error))
    except errors.ApiError as error:
        return Attempt(
            verdict=Verdict.ABORT,
            error=str(error),
            was_sent=not isinstance(error, errors.CredentialsError),
        )


async def _write(
    change: Change,
    payload: WritePayload | None,
    store: RuleStore,
) -> Attempt:
    if isinstance(change, Delete):
        return await _delete(change, store)
    assert payload is not None  # noqa: S101 - only a delete writes nothing
    marker = payload.marker
    if marker is not None and (isinstance(change, Create) or marker.copy):
        response = await store.create(payload.rule, marker)
        return _check_response(payload, response)
    assert not isinstance(change, Create)  # noqa: S101 - every created rule has a marker
    return await _update(change, payload, store)


async def _update(
    change: Update | Adopt,
    payload: WritePayload,
    store: RuleStore,
) -> Attempt:
    read = await store.rule(change.live.id)
    if read is None:
        return _conflict(_DELETED)
    if read.live.content == payload:
        return Attempt(verdict=Verdict.DONE, id=read.live.id, was_sent=False)
    if read.live.content != change.live.content:
        return _conflict(_CHANGED)
    response = await store.update(read, *payload)
    return _check_response(payload, response)


async def _restore(live: LiveRule, before: LiveRule, store: RuleStore) -> Attempt:
    read = await store.rule(live.id)
    if read is None:
        return _conflict(_DELETED)
    if read.live.content != live.content:
        return _conflict(_CHANGED)
    response = await store.restore(read, before)
    return _check_response(before.content, response)


async def _delete(change: Delete, store: RuleStore) -> Attempt:
    read = await store.rule(change.live.id)
    if read is None:
        return Attempt(verdict=Verdict.DONE, id=change.live.id, was_sent=False)
    if read.live.content != change.live.content:
        return _conflict(_CHANGED)
    if change.original is not None:
        # The original is read by id, too, because a list may show fewer fields.
        original = await store.rule(change.original.id)
        rule_id = sanitize(change.original.id)
        if original is None or original.live.content != change.original.content:
            return _conflict(
                f"rule {rule_id}, the original of this duplicate, was changed outside this run"
            )
        names = differing_fields(original.live, read.live)
        if names:
            return _conflict(
                f"it differs from rule {rule_id} in {fields_phrase(names)}, so it is not a "
                f"duplicate"
            )
    await store.delete(read)
    return Attempt(verdict=Verdict.DONE, id=change.live.id)


def _check_response(payload: WritePayload, response: LiveRule) -> Attempt:
    if response.content == payload:
        return Attempt(verdict=Verdict.DONE, id=response.id)
    fields = diff_fields(payload.rule, response.rule)
    paths = ", ".join(dict.fromkeys(field.path for field in fields))
    error = f"the server stored other values than were sent: {paths or _LAST_LINE}"
    return Attempt(
        verdict=Verdict.ALTERED,
        error=error,
        id=response.id,
        response=response,
    )


_LAST_LINE: Final = "the description's last line"
_DELETED: Final = "deleted outside this run"
_CHANGED: Final = "changed outside this run"


def _conflict(error: str) -> Attempt:
    return Attempt(verdict=Verdict.CONFLICT, error=error, was_sent=False)
