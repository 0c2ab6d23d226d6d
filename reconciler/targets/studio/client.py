"""Clients of rules in a block of a Studio script.

No method deletes or starts a script, or takes a user's lock away.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import replace
from datetime import datetime
from http import HTTPStatus
from typing import Any, ClassVar, Final

from reconciler.core import errors
from reconciler.core.behaviour.endpoint_stage import TableSettings
from reconciler.core.model.live import LastSave, LiveRule
from reconciler.core.target import NotStorableError
from reconciler.core.text.escape import MAX_ITEMS, MAX_NAME_LENGTH, sanitize
from reconciler.core.text.json_values import STRICT_DECODER, find_member, find_members
from reconciler.targets.platform.client import (
    GONE,
    UNSUPPORTED,
    Call,
    PlatformClient,
    ProgressCallback,
    ignore_progress,
    object_path,
)
from reconciler.targets.platform.settings import ClientCredentials, TenantSettings
from reconciler.targets.platform.transport.circuit_breaker import WaitingBreaker
from reconciler.targets.platform.transport.rate_limiter import (
    TimeSource,
    WaitCallback,
    ignore_wait,
)
from reconciler.targets.platform.transport.request import (
    ApiRequest,
    ApiResponse,
    Transport,
)
from reconciler.targets.platform.transport.sender import RequestKind
from reconciler.targets.studio.block_rules import block_after, live_rules
from reconciler.targets.studio.build import BlockEntry
from reconciler.targets.studio.language import SnippetError
from reconciler.targets.studio.layout import BlockLayout, unique_ids
from reconciler.targets.studio.place import StudioScript
from reconciler.targets.studio.script import (
    ScriptBlock,
    ScriptError,
    find_block,
    is_desktop_script,
    replace_block,
    version_content,
)

_UNLOCK_SECONDS: Final = 30.0
# The type of a script of Desktop Studio in the text of a 500.
_DESKTOP_TYPE: Final = b"ScriptContainer"
_RIGHT: Final = (
    "right to view and edit scripts in Studio, which its employee's role gives"
)
_CALLS: Final = {
    **PlatformClient.calls,
    "read script": Call("GET", RequestKind.READ, _RIGHT, GONE),
    "lock script": Call("PUT", RequestKind.MERGE, _RIGHT, GONE, UNSUPPORTED),
    "save script": Call(
        "POST",
        RequestKind.SAVE,
        _RIGHT,
        unsupported=GONE | UNSUPPORTED,
        answered=frozenset({409}),
    ),
}


class StudioReadingClient(PlatformClient):
    """Reads the rules in a script, and the tenant's queues."""

    calls: ClassVar[Mapping[str, Call]] = _CALLS
    _last_block: ScriptBlock | None = None  # that `rules` read
    _queue_ids: Mapping[str, str] | None = (
        None  # by name, for a script that assigns names
    )

    def __init__(  # noqa: PLR0913 - those of every client, and the script
        self,
        transport: Transport,
        tenant: TenantSettings,
        credentials: ClientCredentials,
        time: TimeSource,
        progress: ProgressCallback = ignore_progress,
        on_wait: WaitCallback = ignore_wait,
        *,
        script: StudioScript,
    ) -> None:
        """`script` holds the rules."""
        super().__init__(self._deliver, tenant, credentials, time, progress, on_wait)
        self._transport = transport
        self._script = script

    @property
    def _name(self) -> str:
        return f"script {sanitize(self._script.path)}"

    async def rules(self) -> tuple[LiveRule, ...]:
        """Return every rule in the block.

        Raises ApiError for a script that does not exist or has no such block.
        """
        if self._last_block is None:
            await self._refuse_desktop_script()
        _, self._last_block, rules = await self.script()
        return tuple(live for live, _ in rules.values())

    async def last_save(self) -> LastSave | None:
        """Return who saved the running version of the script, and when; None if the tenant does not
        tell.
        """
        history = await self._call_script("read script", "/historyByName")
        save = last_save(history.payload)
        return save if any(save) else None

    async def script(self) -> tuple[str, ScriptBlock, dict[str, tuple[LiveRule, str]]]:
        """Return the script's JSON, the block in it, and its rules by id, each with its lines.

        Raises ApiError.
        """
        response = await self._call_script("read script")
        content = response.content.decode()
        layout = await self._known_layout()
        try:
            block = find_block(content, layout)
            read_rules = live_rules(block.text, layout, block.first_line)
            rules = {live.id: (live, read.text) for live, read in read_rules}
        except (ScriptError, SnippetError) as error:
            raise errors.ApiError(f"{self._name}: {error}") from error
        return content, block, rules

    async def _known_layout(self) -> BlockLayout:
        """Return the layout, with the queues by name if the script assigns names."""
        layout = self._script.layout
        if layout.skill_as != "name":
            return layout
        if self._queue_ids is None:
            queues = await self.queues()
            self._queue_ids = unique_ids((queue.id, queue.name) for queue in queues)
        return replace(layout, queue_ids=self._queue_ids)

    async def _refuse_desktop_script(self) -> None:
        """Raise ApiError for a script of Desktop Studio: a read of its JSON would fail like an
        outage (500).
        """
        history = await self._call_script("read script", "/historyByName")
        content = None
        with suppress(
            errors.RejectedError,
            errors.UnsupportedCallError,
            errors.UnexpectedResponseError,
            ScriptError,
        ):
            version_id = str(_running_version(history.payload).get("scriptId", ""))
            path = object_path("", version_id[:MAX_NAME_LENGTH])
            version = await self._call("read script", self._script.target(path))
            content = version_content(version.payload)
        if is_desktop_script(content):
            raise self._desktop_error()

    def _desktop_error(self) -> errors.ApiError:
        text = (
            f"{self._name} was made with Desktop Studio, and cxroute cannot write its XML. To "
            f"read its rules,"
        )
        remedy = (
            "export it and give the file to `--live FILE`; to manage rules, make a script in "
            "Studio"
        )
        return errors.ApiError(f"{text} {remedy}")

    async def _deliver(self, request: ApiRequest) -> ApiResponse:
        """Return the response to a request.

        Raises ApiError for a script of Desktop Studio, because a repeated call would fail, too.
        """
        response = await self._transport(request)
        is_outage = response.status == HTTPStatus.INTERNAL_SERVER_ERROR
        if is_outage and _DESKTOP_TYPE in response.content:
            raise self._desktop_error()
        return response

    async def _call_script(
        self, name: str, call: str = "", **query: str
    ) -> ApiResponse:
        target = self._script.target(call, scriptPath=self._script.path, **query)
        try:
            return await self._call(name, target)
        except errors.RuleNotFoundError as error:
            lines = f"`{self._script.layout.begin}` and `{self._script.layout.end}`"
            remedy = (
                f"make it in Studio, with a SNIPPET that contains the lines {lines} (`cxroute "
                f"studio recipe`)"
            )
            raise errors.ApiError(
                f"{self._name} does not exist at the tenant: {remedy} ({error})"
            ) from error


class StudioClient(StudioReadingClient):
    """Reads and saves the rules in a script."""

    notes: tuple[str, ...] = ()  # failures that do not change the result of a run

    @asynccontextmanager
    async def lock(self) -> AsyncIterator[None]:
        """Hold the script's lock.

        Raises LockedError if another user holds it. A failed unlock becomes a note.
        """
        async with AsyncExitStack() as stack:
            # Also after a call without an answer, which may have locked.
            stack.push_async_callback(self._release_lock)
            refusal = await self._set_lock("true")
            if refusal:
                stack.pop_all()
                raise await self._locked_error(refusal)
            yield

    async def save(
        self,
        read: Sequence[LiveRule],
        after: Sequence[LiveRule],
        queue_names: Mapping[str, str],
        settings: TableSettings | None = None,
    ) -> tuple[str, ...]:
        """Replace the rules and return the tenant's warnings; a script has no settings beside them.

        Raises ConcurrentChangeError if the script changed.
        """
        del settings
        before = self._last_block
        content, block, rules = await self.script()
        is_same = (
            before is not None
            and before.master_id == block.master_id
            and before.text == block.text
        )
        live_rules_now = [live for live, _ in rules.values()]
        if not is_same or list(read) != live_rules_now:
            raise await self._concurrent_change_error()

        entries = [
            _block_entry(rule, *rules.get(rule.id, (None, ""))) for rule in after
        ]
        layout = await self._known_layout()
        try:
            text = block_after(entries, layout, queue_names, block.text)
        except (NotStorableError, SnippetError) as error:
            raise errors.ApiError(f"{self._name}: {error}") from error
        # all else is as it was read
        return await self._save_script(replace_block(content, block, text))

    async def _save_script(self, content: str) -> tuple[str, ...]:
        body = f'{{"scriptContent": {content}}}'
        target = self._script.target()
        response = await self._call("save script", target, body.encode())
        return self._check_save(response)

    async def _concurrent_change_error(self) -> errors.ConcurrentChangeError:
        """Return the error of a script that changed, with its last save if that is known."""
        problem = f"{self._name} changed since it was read"
        save = await self.last_save()
        if save:
            problem += f"; {save.by or 'a user'} saved it last ({save.at})"
        return errors.ConcurrentChangeError(problem, HTTPStatus.CONFLICT)

    def _check_save(self, response: ApiResponse) -> tuple[str, ...]:
        payload: object = None
        with suppress(errors.UnexpectedResponseError):
            payload = response.json(STRICT_DECODER)
        verdicts = (
            find_members(payload, "results[].success")
            if response.is_success
            else [False]
        )
        if verdicts == [True]:
            return _action_texts(payload, "warnings")
        if verdicts != [False]:
            raise errors.AmbiguousWriteError(
                f"{response.call}: no `success` in the response; the save may be done"
            )
        keys = ", ".join(_action_texts(payload, "errors")) or self._login.explain_error(
            response
        )
        text = (
            f"the tenant refuses {self._name}, and nothing was saved: {keys} (status "
            f"{response.status})"
        )
        raise errors.RejectedError(text, response.status)

    async def _set_lock(self, state: str) -> str:
        """Lock or unlock; return the reason of a refusal, or an empty text."""
        try:
            response = await self._call_script("lock script", lockScript=state)
        except errors.RejectedError as error:
            return str(error)
        is_refused, message = (
            find_member(response.payload, name)
            for name in ("errorState", "errorMessage")
        )
        if not isinstance(is_refused, bool):
            raise errors.UnexpectedResponseError(
                f"{response.call}: no `errorState` in the response"
            )
        return (display_text(message) or "no reason given") if is_refused else ""

    async def _locked_error(self, refusal: str) -> errors.LockedError:
        text = f"{self._name} cannot be locked ({refusal})"
        with suppress(errors.ApiError):
            lock = find_member(
                (await self._call_script("read script")).payload, "header.lockInfo"
            )
            holder, since = (
                display_text(find_member(lock, name))
                for name in ("lockedName", "lockedDate")
            )
            text = (
                f"{self._name} is locked by {holder} since {since or 'an unknown time'}"
                if holder
                else text
            )
        return errors.LockedError(
            f"{text}: close it in Studio, or ask this user to, and run the command again"
        )

    async def _release_lock(self) -> None:
        """Unlock, also while this task is cancelled, which continues after it."""
        unlock = asyncio.ensure_future(self._unlock())
        try:
            await asyncio.shield(unlock)
        finally:
            await unlock

    async def _unlock(self) -> None:
        # the unlock is tried after any failure
        self.rate_limiter.restart_time_limit(self._tenant.run_seconds)
        self._sender.circuit = WaitingBreaker(
            _UNLOCK_SECONDS, self._time, self.rate_limiter
        )
        try:
            async with self._time.deadline(_UNLOCK_SECONDS):
                reason = await self._set_lock("false")
        except (errors.ApiError, TimeoutError) as error:
            reason = str(error) or "no response in time"
        if reason:
            self.notes += (
                f"{self._name} may still be locked: {reason}. Unlock it in Studio",
            )


def _block_entry(rule: LiveRule, before: LiveRule | None, lines: str) -> BlockEntry:
    address, digest = (
        (rule.marker.address, rule.marker.digest) if rule.marker else (None, "")
    )
    return BlockEntry(
        rule.rule,
        address,
        digest,
        lines if before and before.content == rule.content else "",
    )


def _action_texts(payload: object, name: str) -> tuple[str, ...]:
    """Return `SNIPPET 12: KEY` for each error, or warning, in the response to a save."""
    texts: list[str] = []
    for actions in find_members(payload, "results[].error_code.details.actions"):
        if not isinstance(actions, dict):
            continue
        for action_id, action in actions.items():
            kind = display_text(find_member(action, "actionType")) or "action"
            place = f"{kind} {display_text(action_id)}"
            keys = find_members(action, f"{name}[].key")
            texts += [f"{place}: {display_text(key)}" for key in keys]
    excess = len(texts) - MAX_ITEMS
    if excess > 0:
        texts[MAX_ITEMS:] = [f"and {excess:,} more"]
    return tuple(texts)


def _running_version(history: object) -> dict[str, Any]:
    versions = find_members(history, "versions[]")
    return next(
        (
            each
            for each in versions
            if isinstance(each, dict) and each.get("status") == "CURR"
        ),
        {},
    )


def last_save(history: object) -> LastSave:
    """Return who saved the version that runs, and when, from a script's history; empty texts if it
    does not tell.
    """
    version = _running_version(history)
    return LastSave(
        display_text(version.get("modifyUser")), display_text(version.get("modifyDate"))
    )


def display_text(value: object) -> str:
    """Return a text of the tenant, safe to display.

    A time is in ISO form, without a zone: none is documented.
    """
    text = value if isinstance(value, str) else ""
    with suppress(ValueError):
        return datetime.strptime(  # noqa: DTZ007
            text[:MAX_NAME_LENGTH], "%m/%d/%Y %I:%M:%S %p"
        ).isoformat(" ")
    return sanitize(text, MAX_NAME_LENGTH)
