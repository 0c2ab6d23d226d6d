"""`--undo RUN`: a run of the journal in the manifests' place."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

from reconciler.cli.commands.history import NAME, one, read
from reconciler.cli.environments.selection import are_several
from reconciler.cli.recorder import journal_path, tenant_of
from reconciler.desired.desired import DesiredState, empty_desired_state, expand_manifests
from reconciler.desired.queues import QueueResolver, resolve_aliases
from reconciler.errors import ManifestError, RefusedError, UsageError
from reconciler.journal.history import read_changes
from reconciler.journal.undo import build_undo_state
from reconciler.journal.undo_warnings import REAPPLIED, unknown_outcome_warning, warn_reapplied_changes
from reconciler.model.change import Applied, UnknownOutcome
from reconciler.plan.options import PlanOptions, unmatched_selectors
from reconciler.plan.ownership import classify_by_owner
from reconciler.plan.plan import LiveState, Plan, add_findings
from reconciler.text.escape import pluralize, sanitize

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator, Sequence

    from reconciler.apply.report import ApplyReport
    from reconciler.cli.session import Session
    from reconciler.journal.journal import RecordedRun


_SILENCE: Final = timedelta(minutes=15)
"""How long a run may write nothing and still be going on: its outage is waited for, its deadline is that long."""


@dataclass(frozen=True, slots=True)
class Undoing:
    """The run that is to be undone, those after it, and the journal that tells of them, as it was typed."""

    run: RecordedRun
    later: tuple[RecordedRun, ...]
    journal: str | None

    @property
    def words(self) -> list[str]:
        """Return the options that ask for it."""
        return ["--undo", self.run.id, *(["--journal", self.journal] if self.journal else [])]

    def aim(self, session: Session, live: LiveState) -> tuple[DesiredState, Callable[[Plan], Plan]]:
        """Return what is to be live, and what says of a plan what the manifests make of it. Raises RefusedError."""
        found = read_changes(self.run, session.environment.owner)
        wanted = _wanted(session, live)
        manifests = _unknown(session, live) if isinstance(wanted, ManifestError) else wanted
        aimed = build_undo_state(self.run, found, self.later, live, manifests)
        for selector in unmatched_selectors(session.options.only, [deed.address for deed in found]):
            raise UsageError(f"--only {selector}: run {self.run.id} changed no rule at that address")

        def told(made: Plan) -> Plan:
            if isinstance(wanted, ManifestError):
                return add_findings(made, [unknown_outcome_warning(wanted)])
            return add_findings(
                made, warn_reapplied_changes(made, wanted, PlanOptions(prune=session.environment.prune))
            )

        return aimed, told


def options(parser: argparse.ArgumentParser) -> None:
    """Add the options of plan and apply that undo a run."""
    parser.add_argument("--undo", metavar="RUN", help="undo this run: what `cxroute history` calls it")
    parser.add_argument("--journal", metavar="FILE", help="where that run stands; default: as for `cxroute history`")


def check(options: argparse.Namespace) -> None:
    """Refuse what makes no sense together. Raises UsageError."""
    if options.undo is None:
        return
    if options.adopt or options.keep_drift:
        raise UsageError("--undo says itself what it is about: leave out --adopt and --keep-drift")
    if are_several(options):
        raise UsageError("--undo is about a run in one environment: say -e with its name")


def undone(session: Session, options: argparse.Namespace) -> Session:
    """Return the session with the run that its options undo, if any. Raises UsageError and RefusedError."""
    name, journal = session.options.undo, options.journal
    if name is None:
        if journal is not None:
            raise UsageError("--journal says where the run of --undo stands, and there is no --undo")
        return session
    path = Path(journal) if journal else journal_path()
    recorded = read(path)
    run = one(recorded, name, path)
    _refuse_others(session, run)
    _refuse_running(run, session.clock())
    later = _of(run, recorded[recorded.index(run) + 1 :])
    # The Environment's `prune: false` is about rules that no manifest names, and these a run made.
    chosen = replace(session.options, prune=not getattr(options, "no_prune", False))
    return replace(session, options=chosen, undoing=Undoing(run, later, journal))


def way_back(session: Session, made: Plan, report: ApplyReport) -> Iterator[str]:
    """Yield what to know after an apply: what the next one makes of an undo, and how to undo this one."""
    for finding in made.findings if session.undoing else ():
        if finding.code == REAPPLIED:
            yield f"{finding.message[:1].upper()}{sanitize(finding.message[1:])}: {sanitize(finding.hint)}."
    if report.run_id and any(isinstance(outcome, Applied | UnknownOutcome) for outcome in report.outcomes):
        alone = replace(session, options=PlanOptions(), which=(), undoing=None)
        yield f"Undo: {alone.command('plan', '--undo', report.run_id)}"


def _wanted(session: Session, live: LiveState) -> DesiredState | ManifestError:
    """Return what the manifests want, or what is wrong with them: that does not keep anybody from undoing a run."""
    name = session.environment.name
    if session.manifests.errors:
        return ManifestError(session.manifests.errors)
    try:
        catalogue = QueueResolver(name, resolve_aliases(session.manifests, name), live.queues)
        return expand_manifests(session.manifests, session.environment, catalogue)
    except ManifestError as error:
        return error


def _unknown(session: Session, live: LiveState) -> DesiredState:
    """Return what stands in for wrong manifests: every RuleSet that is live counts as one that they have."""
    owned = classify_by_owner(live.rules, session.environment.owner)
    return replace(
        empty_desired_state(session.environment), rulesets=frozenset(address.ruleset for address in owned.managed)
    )


def _of(run: RecordedRun, others: Sequence[RecordedRun]) -> tuple[RecordedRun, ...]:
    """Return the runs that were about the same tenant's rules."""
    whose = ("environment", "owner")
    return tuple(other for other in others if all(other.start.get(name) == run.start.get(name) for name in whose))


def _refuse_others(session: Session, run: RecordedRun) -> None:
    """Raise UsageError for a run of another environment, tenant or owner: its rules are not those that are read."""
    here, start = session.environment, run.start
    if not NAME.fullmatch(run.id):
        raise UsageError(f"{sanitize(run.id)} is not what cxroute calls a run")
    if start.get("event") != "start":
        return  # refused with what else is lacking
    if start.get("environment") != here.name:
        other = sanitize(str(start.get("environment")))
        raise UsageError(f"run {run.id} was in {other}, and this is {here.name}: say -e {other}")
    if start.get("owner") != here.owner:
        owner = sanitize(str(start.get("owner")))
        raise UsageError(
            f"run {run.id} was made for owner {owner}, and {here.name} is now owned by {here.owner}: rules of another"
            f" owner are never written. Check the Environment out as it was then, or undo it there"
        )
    if start.get("tenant", tenant_of(session)) != tenant_of(session):
        tenant = sanitize(str(start.get("tenant")) or "the sandbox")
        raise UsageError(f"run {run.id} was on {tenant}, and {here.name} is now {tenant_of(session)}: other rules")


def _refuse_running(run: RecordedRun, now: datetime) -> None:
    """Raise RefusedError for a run that may still be going on."""
    if run.end is not None or _is_dead(run):
        return
    try:
        silent = now - datetime.fromisoformat(run.last_entry_at)
    except (ValueError, TypeError):
        return
    if silent < _SILENCE:
        minutes = pluralize(int(_SILENCE.total_seconds() // 60), "minute")
        raise RefusedError(
            f"run {run.id} has no end in the journal and wrote there at {sanitize(run.last_entry_at)}: it may still be going on."
            f" Wait for its end, or stop it; after {minutes} without a word it counts as ended"
        )


def _is_dead(run: RecordedRun) -> bool:
    """Say whether the process that ran it was on this machine and is no more."""
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
