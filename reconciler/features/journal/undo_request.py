"""`--undo RUN`: a run of the journal to undo; its rules replace those of the manifests."""

import os
import socket
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from reconciler.core.desired.desired import (
    DesiredState,
    empty_desired_state,
    expand_manifests,
)
from reconciler.core.desired.queues import QueueResolver, resolve_aliases
from reconciler.core.errors import ManifestError, RefusedError, UsageError
from reconciler.core.manifest.kinds.environment import Environment
from reconciler.core.manifest.load import Manifests
from reconciler.core.model.finding import Finding
from reconciler.core.plan.changes import unmatched_selectors
from reconciler.core.plan.ownership import classify_by_owner
from reconciler.core.plan.stages import Changes, LiveState, PlanOptions
from reconciler.core.text.escape import pluralize, sanitize
from reconciler.core.text.json_values import moment_at
from reconciler.features.journal.history import RecordedRun, read_changes
from reconciler.features.journal.journal import RUN_NAME
from reconciler.features.journal.undo import (
    REAPPLIED,
    build_undo_state,
    warn_reapplied_changes,
)
from reconciler.features.journal.undo_settings import restore_settings

# runs with the same values write the same rules
_RULES_OF: Final = (
    "environment",
    "owner",
)
# the longest outage that a run waits for, without an entry
_SILENCE: Final = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class UndoRequest:
    """The run to undo, the later runs on the same rules, and the path of the journal from the
    command line.
    """

    run: RecordedRun
    later: tuple[RecordedRun, ...]
    journal: str | None

    @classmethod
    def of(
        cls,
        run: RecordedRun,
        runs: Sequence[RecordedRun],
        environment: Environment,
        tenant: str,
        journal: str | None,
    ) -> "UndoRequest":
        """Return the request to undo one of the recorded runs.

        Raises UsageError for a run on other rules.
        """
        _refuse_others(run, environment, tenant)
        rivals = runs[runs.index(run) + 1 :]
        later = (
            each
            for each in rivals
            if all(each.start.get(key) == run.start.get(key) for key in _RULES_OF)
        )
        return cls(run, tuple(later), journal)

    @property
    def run_id(self) -> str:
        """Return the name of the run."""
        return self.run.id

    def hints(self, plan: Changes) -> Iterator[str]:
        """Yield a sentence for each change that the next apply would make again."""
        for finding in plan.findings:
            if finding.code != REAPPLIED:
                continue
            message = f"{finding.message[:1].upper()}{finding.message[1:]}"
            hint = f"{finding.hint[:1].upper()}{finding.hint[1:]}"
            yield f"{sanitize(message)}. {sanitize(hint)}."

    def refuse_running(self, now: datetime) -> None:
        """Raise RefusedError for a run that may still be in progress."""
        run = self.run
        last_entry_at = moment_at(run.last_entry, "at")
        if run.end is not None or not last_entry_at:
            return
        if now - last_entry_at >= _SILENCE or _is_dead(run):
            return
        minutes = pluralize(int(_SILENCE.total_seconds() // 60), "minute")
        last = (
            f"its last entry is from {sanitize(run.last_entry['at'])}: it may still be in "
            f"progress"
        )
        remedy = (
            f"Wait for its end, or stop it; it counts as ended {minutes} after its last "
            f"entry"
        )
        raise RefusedError(
            f"run {run.id} has no end in the journal, and {last}. {remedy}"
        )

    def target(
        self,
        manifests: Manifests,
        environment: Environment,
        options: PlanOptions,
        live: LiveState,
    ) -> tuple[DesiredState, Callable[[Changes], Sequence[Finding]]]:
        """Return the rules that undo the run, and a function that returns a plan's warnings.

        Raises RefusedError.
        """
        # Wrong manifests do not prevent an undo: every live RuleSet counts as defined, and a
        # warning says so.
        changes = read_changes(self.run, environment.owner)
        expanded = _expand(manifests, environment, live)
        state = expanded
        if isinstance(state, ManifestError):
            state = _live_rulesets(manifests, environment, live)
        rules = build_undo_state(self.run, changes, self.later, live, state)
        desired = restore_settings(rules, self.run, live)
        addresses = [change.address for change in changes]
        for selector in unmatched_selectors(options.only, addresses):
            raise UsageError(
                f"--only {selector}: run {self.run.id} changed no rule at that address"
            )

        def warnings(plan: Changes) -> Sequence[Finding]:
            if isinstance(expanded, ManifestError):
                return [_warn_of_manifests(expanded)]
            next_options = PlanOptions(prune=environment.prune)
            return warn_reapplied_changes(plan, expanded, next_options)

        return desired, warnings


def _live_rulesets(
    manifests: Manifests, environment: Environment, live: LiveState
) -> DesiredState:
    """Return a state without rules, in which every RuleSet with a live rule is defined."""
    managed = classify_by_owner(live.rules, environment.owner).managed
    rulesets = frozenset(address.ruleset for address in managed)
    return replace(empty_desired_state(manifests, environment), rulesets=rulesets)


def _warn_of_manifests(error: ManifestError) -> Finding:
    return Finding(
        code=REAPPLIED,
        severity="warning",
        message=f"the effect of the next apply is unknown: {error}",
        hint="`cxroute validate` lists the errors; they do not affect the undo",
    )


def _expand(
    manifests: Manifests,
    environment: Environment,
    live: LiveState,
) -> DesiredState | ManifestError:
    if manifests.errors:
        return ManifestError(manifests.errors)
    try:
        resolver = QueueResolver(
            environment.name,
            resolve_aliases(manifests, environment.name),
            live.queues,
        )
        return expand_manifests(manifests, environment, resolver)
    except ManifestError as error:
        return error


def _refuse_others(run: RecordedRun, environment: Environment, tenant: str) -> None:
    start = run.start
    name = environment.name
    if not RUN_NAME.fullmatch(run.id):
        raise UsageError(f"{sanitize(run.id)} is not a valid name of a run")
    if start.get("event") != "start":
        return  # `read_changes` refuses it
    if start.get("environment") != name:
        run_environment = sanitize(str(start.get("environment")))
        raise UsageError(
            f"run {run.id} was in {run_environment}, and this is {name}: set -e {run_environment}"
        )
    if start.get("owner") != environment.owner:
        owner = sanitize(str(start.get("owner")))
        cause = (
            f"{name} is now owned by {environment.owner}: rules of another owner are never "
            f"written"
        )
        remedy = "Check out the Environment as it was then, or undo the run there"
        raise UsageError(
            f"run {run.id} was made for owner {owner}, and {cause}. {remedy}"
        )
    if start.get("tenant", tenant) != tenant:
        run_tenant = sanitize(str(start.get("tenant")) or "the sandbox")
        raise UsageError(
            f"run {run.id} was on {run_tenant}, and {name} is now {tenant}, which has other rules"
        )


def _is_dead(run: RecordedRun) -> bool:
    process = run.start.get("process")
    pid = (
        process.get("pid")
        if isinstance(process, dict) and process.get("host") == socket.gethostname()
        else None
    )
    if os.name != "posix" or type(pid) is not int or not 0 < pid < 1 << 31:
        return False
    try:
        os.kill(pid, 0)
    except OSError as error:
        return isinstance(error, ProcessLookupError)
    return False
