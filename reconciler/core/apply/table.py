"""Apply to a store that keeps all rules in one document: one save switches the whole table
(invariants "Studio").

There is no state in between, so no order of changes matters. A save is made from a read under the
store's lock, and the store refuses it if the document changed since that read: an edit of another
user is never overwritten unseen.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final

from reconciler.core.apply.attempt import Attempt, Verdict, judge
from reconciler.core.apply.progress import ApplyProgress, ApplyReport
from reconciler.core.apply.settings import ApplySettings, Replanner
from reconciler.core.behaviour.endpoint_stage import TableSettings
from reconciler.core.errors import ApiError, CxrouteError, RefusedError
from reconciler.core.model.change import Change, PlanStep, is_unadoption
from reconciler.core.model.finding import Finding
from reconciler.core.plan.changes import rule_id_after, rules_after
from reconciler.core.plan.guards import guard_refusals
from reconciler.core.plan.stages import Changes, Plan
from reconciler.core.target import RuleTable
from reconciler.core.text.escape import join_first

MAX_SAVES: Final = 4
_MAX_NAMES: Final = 5
_SETTINGS: Final = "the settings beside the rules"


async def apply_to_table(
    plan: Plan, table: RuleTable, planner: Replanner, settings: ApplySettings
) -> ApplyReport:
    """Make the plan's changes in one save.

    Raises RefusedError and ApiError before the first save.
    """
    form = plan.desired.form
    lasting = form.lasting_adoption
    if lasting and any(map(is_unadoption, plan.changes)):
        raise RefusedError(
            f"an adoption in a {form.document} cannot be undone: {lasting.remedy}"
        )
    run = _TableRun(plan, table, planner, settings)
    try:
        async with table.lock():
            fresh = await run.read()
            refusal = await run.find_refusal(fresh)
            if refusal:
                raise RefusedError(
                    f"the {form.document} changed since the plan was made: {refusal}"
                )
            # after the first save, errors are part of the report
            try:
                await run.save_changes(fresh)
            except ApiError as error:
                run.stop(str(error))
    except CxrouteError as error:
        error.args = (". ".join((str(error), *table.notes)),)
        raise
    return run.build_report()


class _TableRun:
    def __init__(
        self, plan: Plan, table: RuleTable, planner: Replanner, settings: ApplySettings
    ) -> None:
        self.plan = plan
        self.table = table
        self.planner = planner
        self.settings = settings
        self.progress = ApplyProgress(plan)
        self.stop_reason = ""
        self.fresh_changes: Changes | None = None
        # the rules of the last read
        self.known: dict[str, object] = {live.id: live.rule for live in plan.live.rules}
        # the rules that another user edited since the plan was made
        self.edited: set[str] = set()
        self.warnings: list[str] = []
        self.has_saved_settings = False
        # those of the plan's read, and those that this run saved, or may have saved
        self.expected_settings = {_content(plan.live.settings)}

    async def read(self) -> Changes:
        self.fresh_changes = None
        rules = await self.table.rules()
        settings = await self.table.table_settings()
        live = replace(self.plan.live, rules=rules, settings=settings)
        # without markers: a save may write a marker again
        contents: dict[str, object] = {rule.id: rule.rule for rule in live.rules}
        own_states = self.list_own_states()
        differing = {rule_id for rule_id, _ in contents.items() ^ self.known.items()}
        self.edited |= {
            rule_id
            for rule_id in differing
            if contents.get(rule_id, rule_id) not in own_states
        }
        if _content(settings) not in self.expected_settings:
            self.edited.add(_SETTINGS)
        self.known = contents
        self.fresh_changes = await self.settings.run_blocking(
            lambda: self.planner.find_changes(live)
        )
        return self.fresh_changes

    def list_own_states(self) -> set[object]:
        """Return the ids and the rules that this run wrote, or may have written."""
        states = set[object]()
        for progress in self.progress.progress.values():
            states.add(progress.id)
            for payload in (progress.acknowledged, progress.unconfirmed):
                if payload:
                    states.add(payload.rule)
        return states

    async def find_refusal(self, fresh: Changes) -> str:
        """Return why nothing may be written; empty if the changes may be made."""
        if self.edited and self.settings.is_within_review is not None:
            return f"{self.edited_phrase()}. Run `plan` again"
        if fresh.conflicts:
            return fresh.conflicts[0].message
        if not self.edited:
            return ""
        reduced = replace(fresh, changes=tuple(self.changes_to_make(fresh)))
        plan = await self.settings.run_blocking(lambda: self.planner.complete(reduced))
        refusals = guard_refusals(plan)
        return f"now {refusals[0].message}" if refusals else ""

    def edited_phrase(self) -> str:
        names = join_first(sorted(self.edited), _MAX_NAMES)
        return f"{names} changed in {self.plan.desired.form.editor} meanwhile"

    def changes_to_make(self, fresh: Changes) -> list[Change]:
        """Return the planned changes that remain. An edit that the plan does not cover stays."""
        changes = []
        for change in fresh.changes:
            planned = self.progress.planned_for(change)
            if not planned:
                continue
            is_own_write = self.progress.is_own_write(change)
            if is_own_write or self.settings.accepts(planned, change):
                changes.append(change)
        return changes

    async def save_changes(self, fresh: Changes) -> None:
        """Save until a read shows no remaining change, within limits."""
        pauses = iter(self.settings.backoff)
        conflicts = 0
        for _ in range(MAX_SAVES):
            changes = self.changes_to_make(fresh)
            has_work = bool(changes) or fresh.changes_settings
            self.stop(self.planner.freeze() if has_work else "")
            if not has_work or self.must_stop():
                break
            result = await self.save(fresh, changes)
            conflicts += result.verdict is Verdict.CONFLICT
            if result.verdict.is_refusal or conflicts > 1:
                self.stop(result.error)
            if result.verdict is Verdict.RETRY:
                await self.settings.sleep(next(pauses, self.settings.backoff[-1]))
            fresh = await self.read()
            if result.verdict is not Verdict.DONE:  # another save would follow
                self.stop(await self.find_refusal(fresh))
        if self.progress.unplanned_changes(fresh) and not self.must_stop():
            self.stop(
                f"{self.edited_phrase()}; this plan does not cover that edit, which stays. Run "
                f"`plan` again"
            )

    async def save(self, fresh: Changes, changes: Sequence[Change]) -> Attempt:
        """Make the changes in one save, and record it for each of them."""
        steps = list(map(PlanStep, changes))
        self.settings.recorder.announce(steps)
        for step in steps:
            self.settings.recorder.intend(step)

        self.expected_settings.add(_content(fresh.desired.settings))

        async def call() -> Attempt:
            self.warnings += await self.table.save(
                fresh.live.rules,
                rules_after(fresh, changes),
                fresh.queue_names,
                fresh.desired.settings,
            )
            return Attempt(verdict=Verdict.DONE)

        result = await judge(call())
        if result.verdict is Verdict.DONE and fresh.changes_settings:
            self.has_saved_settings = True
        for step in steps:
            tried = replace(result, id=rule_id_after(step.change))
            self.settings.recorder.tried(step, tried)
            self.progress.record_attempt(step, tried)
        self.settings.recorder.wave()
        return result

    def must_stop(self) -> bool:
        return bool(self.stop_reason) or self.settings.should_stop()

    def stop(self, reason: str) -> None:
        self.stop_reason = self.stop_reason or reason

    def build_report(self) -> ApplyReport:
        report = self.progress.report(
            self.fresh_changes,
            self.stop_reason,
            interrupted=self.settings.should_stop(),
        )
        notes = []
        if self.edited:
            notes.append(self.edited_phrase())
        notes += [
            f"{self.plan.desired.form.editor} warns: {warning}"
            for warning in self.warnings
        ]
        return replace(
            report,
            notes=(*notes, *self.table.notes),
            has_saved_settings=self.has_saved_settings,
        )


def _content(settings: TableSettings | None) -> str | None:
    return settings.content if settings else None


def warn_of_table(plan: Changes) -> Iterable[Finding]:
    """Return what the target says about the table after the plan's changes."""
    form = plan.desired.form
    if not plan.changes or form.switches == "each rule":
        return ()
    return form.table_findings(rules_after(plan, plan.changes), plan.queue_names)
