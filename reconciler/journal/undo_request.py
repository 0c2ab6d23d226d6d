"""`--undo RUN`: a run of the journal to undo, in place of what the manifests define."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from reconciler.desired.desired import DesiredState, empty_desired_state, expand_manifests
from reconciler.desired.queues import QueueResolver, resolve_aliases
from reconciler.errors import ManifestError, RefusedError, UsageError
from reconciler.journal.history import read_changes
from reconciler.journal.journal import RUN_NAME, RecordedRun
from reconciler.journal.undo import build_undo_state
from reconciler.journal.undo_warnings import unknown_outcome_warning, warn_reapplied_changes
from reconciler.manifest.kinds.environment import Environment
from reconciler.manifest.load import Manifests
from reconciler.model.finding import Finding
from reconciler.plan.ownership import classify_by_owner
from reconciler.plan.plan import LiveState, Plan, PlanOptions, unmatched_selectors
from reconciler.text.escape import pluralize, sanitize

_SILENCE: Final = timedelta(minutes=15)
"""How long a run may write nothing and still be going on: its outage is waited for, its deadline is that long."""


@dataclass(frozen=True, slots=True)
class UndoRequest:
    """The run to undo, the later runs on the same rules, and the journal's path as it was typed."""

    run: RecordedRun
    later: tuple[RecordedRun, ...]
    journal: str | None

    @classmethod
    def of(
        cls,
        run: RecordedRun,
        recorded: Sequence[RecordedRun],
        environment: Environment,
        tenant: str,
        journal: str | None,
    ) -> UndoRequest:
        """Return the request to undo one of the recorded runs. Raises UsageError for a run on other rules."""
        _refuse_others(run, environment, tenant)
        names = ("environment", "owner")
        following = recorded[recorded.index(run) + 1 :]
        later = (rival for rival in following if all(rival.start.get(name) == run.start.get(name) for name in names))
        return cls(run, tuple(later), journal)

    @property
    def words(self) -> list[str]:
        """Return the options of the command line that make this request."""
        return ["--undo", self.run.id, *(["--journal", self.journal] if self.journal else [])]

    def refuse_running(self, now: datetime) -> None:
        """Raise RefusedError for a run that may still be going on."""
        run = self.run
        if run.end is not None or _is_dead(run):
            return
        try:
            silent = now - datetime.fromisoformat(run.last_entry_at)
        except (ValueError, TypeError):
            return
        if silent < _SILENCE:
            minutes = pluralize(int(_SILENCE.total_seconds() // 60), "minute")
            raise RefusedError(
                f"run {run.id} has no end in the journal and wrote there at {sanitize(run.last_entry_at)}:"
                f" it may still be going"
                f" on. Wait for its end, or stop it; after {minutes} without a word it counts as ended"
            )

    def target(
        self, manifests: Manifests, environment: Environment, options: PlanOptions, live: LiveState
    ) -> tuple[DesiredState, Callable[[Plan], Sequence[Finding]]]:
        """Return the rules that undo the run, and a function that returns a plan's warnings. Raises RefusedError."""
        # Wrong manifests do not prevent an undo: every live RuleSet counts as defined, and a warning says so.
        changes = read_changes(self.run, environment.owner)
        expanded = _expanded(manifests, environment, live)
        if isinstance(expanded, ManifestError):
            managed = classify_by_owner(live.rules, environment.owner).managed
            rulesets = frozenset(address.ruleset for address in managed)
            manifest_state = replace(empty_desired_state(environment), rulesets=rulesets)
        else:
            manifest_state = expanded
        desired = build_undo_state(self.run, changes, self.later, live, manifest_state)
        for selector in unmatched_selectors(options.only, [change.address for change in changes]):
            raise UsageError(f"--only {selector}: run {self.run.id} changed no rule at that address")

        def warnings(plan: Plan) -> Sequence[Finding]:
            if isinstance(expanded, ManifestError):
                return [unknown_outcome_warning(expanded)]
            return warn_reapplied_changes(plan, expanded, PlanOptions(prune=environment.prune))

        return desired, warnings


def _expanded(manifests: Manifests, environment: Environment, live: LiveState) -> DesiredState | ManifestError:
    if manifests.errors:
        return ManifestError(manifests.errors)
    try:
        catalogue = QueueResolver(environment.name, resolve_aliases(manifests, environment.name), live.queues)
        return expand_manifests(manifests, environment, catalogue)
    except ManifestError as error:
        return error


def _refuse_others(run: RecordedRun, environment: Environment, tenant: str) -> None:
    """Raise UsageError for a run of another environment, tenant or owner."""
    start, name = run.start, environment.name
    if not RUN_NAME.fullmatch(run.id):
        raise UsageError(f"{sanitize(run.id)} is not what cxroute calls a run")
    if start.get("event") != "start":
        return  # `read_changes` refuses it
    if start.get("environment") != name:
        run_environment = sanitize(str(start.get("environment")))
        raise UsageError(f"run {run.id} was in {run_environment}, and this is {name}: say -e {run_environment}")
    if start.get("owner") != environment.owner:
        owner = sanitize(str(start.get("owner")))
        raise UsageError(
            f"run {run.id} was made for owner {owner}, and {name} is now owned by {environment.owner}:"
            " rules of another owner are never written. Check the Environment out as it was then, or undo it there"
        )
    if start.get("tenant", tenant) != tenant:
        run_tenant = sanitize(str(start.get("tenant")) or "the sandbox")
        raise UsageError(f"run {run.id} was on {run_tenant}, and {name} is now {tenant}: other rules")


def _is_dead(run: RecordedRun) -> bool:
    process = run.start.get("process")
    pid = process.get("pid") if isinstance(process, dict) and process.get("host") == socket.gethostname() else None
    if os.name != "posix" or type(pid) is not int or not 0 < pid < 1 << 31:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return False
