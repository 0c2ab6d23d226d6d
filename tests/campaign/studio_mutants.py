"""Deliberate bugs of runs on a Studio script, patched into the real modules, and the cases that
catch each.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractContextManager, asynccontextmanager
from dataclasses import replace
from typing import Any, Final

from reconciler.core.apply import table
from reconciler.core.apply.progress import ApplyProgress
from reconciler.core.apply.settings import StepRecorder
from reconciler.core.errors import AmbiguousWriteError, ConcurrentChangeError
from reconciler.core.model.change import Applied
from reconciler.core.plan import changes
from reconciler.targets.platform.transport.sender import RequestKind
from reconciler.targets.studio import client as studio_client
from reconciler.targets.studio.client import StudioClient, StudioReadingClient
from tests.campaign.mutants_patches import again, patched

Bug = Callable[[], AbstractContextManager[None]]


def _saves_what_it_read_first(real: Any) -> Any:
    async def save(self: Any, _read: Any, after: Any, *rest: Any) -> Any:
        script, self.script = self.script, _returning(self.first)
        try:
            self._last_block = self.first[1]
            return await real(
                self, [live for live, _ in self.first[2].values()], after, *rest
            )
        finally:
            self.script = script

    return save


def _returning(value: Any) -> Any:
    async def function() -> Any:
        return value

    return function


def _keeps_the_first_read(real: Any) -> Any:
    async def script(self: Any) -> Any:
        actual = await real(self)
        if not hasattr(self, "first"):
            self.first = actual
        return actual

    return script


def _saves_over_edits(real: Any) -> Any:
    async def save(self: Any, _read: Any, after: Any, *rest: Any) -> Any:
        return await real(self, await self.rules(), after, *rest)

    return save


def _unlocks_only_after_success(_real: Any) -> Any:
    @asynccontextmanager
    async def lock(self: Any) -> AsyncIterator[None]:
        if refusal := await self._set_lock("true"):
            raise await self._locked_error(refusal)
        yield
        await self._release_lock()

    return lock


def _no_lock(_real: Any) -> Any:
    @asynccontextmanager
    async def lock(_self: Any) -> AsyncIterator[None]:
        yield

    return lock


def _kicks(real: Any) -> Any:
    async def locked_error(self: Any, refusal: str) -> Any:
        with_path = self._script.target("/kick", scriptPath=self._script.path)
        await self._call("save script", with_path)
        return await real(self, refusal)

    return locked_error


def _encoded_again(real: Any) -> Any:
    def replace_block(*arguments: Any) -> str:
        return json.dumps(json.loads(real(*arguments)))

    return replace_block


def _line_feeds(real: Any) -> Any:
    return lambda content, actual, text: real(
        content, actual._replace(newline="\n"), text
    )


def _repeats_the_save(real: Any) -> Any:
    repeated = again(real, AmbiguousWriteError)

    async def call(self: Any, name: str, *arguments: Any) -> Any:
        return await (repeated if name == "save script" else real)(
            self, name, *arguments
        )

    return call


def _repeatable(real: Any) -> Any:
    return {**real, "save script": real["save script"]._replace(kind=RequestKind.WRITE)}


def _only_managed(real: Any) -> Any:
    return lambda *arguments: tuple(live for live in real(*arguments) if live.marker)


def _without_recorder(real: Any) -> Any:
    async def save(self: Any, *arguments: Any) -> Any:
        retained, self.settings = (
            self.settings,
            replace(self.settings, recorder=StepRecorder()),
        )
        result = await real(self, *arguments)
        self.settings = retained
        return result

    return save


def _all_applied(real: Any) -> Any:
    def report(self: Any, *arguments: Any, **named: Any) -> Any:
        actual = real(self, *arguments, **named)
        return replace(
            actual,
            outcomes=tuple(
                Applied(outcome.change, 1, "") for outcome in actual.outcomes
            ),
        )

    return report


def _trusts_its_save(real: Any) -> Any:
    async def read(self: Any) -> Any:
        if any(progress.attempts for progress in self.progress.progress.values()):
            self.fresh_changes = replace(self.plan, changes=())
            return self.fresh_changes
        return await real(self)

    return read


def _one_at_a_time(real: Any) -> Any:
    return lambda self, fresh: real(self, fresh)[:1]


def _silent(real: Any) -> Any:
    async def unlock(self: Any) -> None:
        await real(self)
        self.notes = ()

    return unlock


def _ignores_conflicts(real: Any) -> Any:
    async def save(self: Any, read: Any, after: Any, *rest: Any) -> Any:
        try:
            return await real(self, read, after, *rest)
        except ConcurrentChangeError:
            return await real(self, await self.rules(), after, *rest)

    return save


def _by_name(real: Any) -> Any:
    def build_by_name(entries: Any, *others: Any) -> Any:
        priorities = sorted(entry.rule.priority for entry in entries)
        ordered = sorted(entries, key=lambda entry: str(entry.address))
        return real(
            [
                each._replace(rule=replace(each.rule, priority=p))
                for each, p in zip(ordered, priorities, strict=True)
            ],
            *others,
        )

    return build_by_name


def _renewed(real: Any) -> Any:
    return lambda rule, _before, _lines: real(rule, None, "")._replace(
        digest="00000000"
    )


def _says_converged(real: Any) -> Any:
    return lambda self: replace(real(self), converged=True)


def _bug(*places: tuple[Any, str, Callable[[Any], Any]]) -> Bug:
    return lambda: patched(*places)


BUGS: Final[Mapping[str, Bug]] = {
    "saves what it read first": _bug(
        (StudioReadingClient, "script", _keeps_the_first_read),
        (StudioClient, "save", _saves_what_it_read_first),
    ),
    "block not compared": _bug((StudioClient, "save", _saves_over_edits)),
    "a conflict is overwritten": _bug((StudioClient, "save", _ignores_conflicts)),
    "no unlock after an error": _bug(
        (StudioClient, "lock", _unlocks_only_after_success)
    ),
    "no lock": _bug((StudioClient, "lock", _no_lock)),
    "kicks another user": _bug((StudioClient, "_locked_error", _kicks)),
    "a lost unlock is not reported": _bug((StudioClient, "_unlock", _silent)),
    "the script is encoded again": _bug(
        (studio_client, "replace_block", _encoded_again)
    ),
    "line feeds in a CRLF script": _bug((studio_client, "replace_block", _line_feeds)),
    "a save waits and is repeated": _bug((StudioClient, "calls", _repeatable)),
    "a lost save is repeated without a read": _bug(
        (StudioClient, "_call", _repeats_the_save)
    ),
    "a CASE of a person is dropped": _bug(
        (changes, "_foreign_findings", lambda _real: lambda *_arguments: ()),
        (table, "rules_after", _only_managed),
    ),
    "rules in the order of their names": _bug((studio_client, "block_after", _by_name)),
    "each rule is written again": _bug((studio_client, "_block_entry", _renewed)),
    "nothing is recorded": _bug((table._TableRun, "save", _without_recorder)),
    "everything is reported as applied": _bug((ApplyProgress, "report", _all_applied)),
    "always converged": _bug((table._TableRun, "build_report", _says_converged)),
    "no read after the save": _bug((table._TableRun, "read", _trusts_its_save)),
    "one save for each change": _bug(
        (table._TableRun, "changes_to_make", _one_at_a_time)
    ),
    "saves without a limit": _bug((table, "MAX_SAVES", lambda _real: 9)),
    "texts of the tenant as they are": _bug(
        (studio_client, "display_text", lambda _real: lambda value: str(value or ""))
    ),
}
