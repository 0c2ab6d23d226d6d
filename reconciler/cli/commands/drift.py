"""`cxroute drift`: differences between live rules and the manifests, and edits since the last
apply.
"""

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from secrets import token_hex
from typing import Final, NamedTuple

from reconciler.cli import execute
from reconciler.cli.commands.plan import (
    PENDING,
    add_plan_options,
    plan_provenance,
    read_and_plan,
)
from reconciler.cli.conversation import failure_findings
from reconciler.cli.environments import (
    EnvironmentResult,
    EnvironmentSelection,
    print_list,
    run_environments,
)
from reconciler.cli.files import new_folder, write_text
from reconciler.cli.options import SelectionOptions
from reconciler.cli.output import Output
from reconciler.cli.session import Cancellation, Session
from reconciler.core.checks.route_tests import check_live
from reconciler.core.model.finding import Document
from reconciler.core.plan.drift import (
    Acceptance,
    Drift,
    drift_to_json,
    find_drift,
)
from reconciler.core.plan.due import find_due
from reconciler.core.plan.stages import Changes, Plan, PlanOptions
from reconciler.core.text.redact import REDACTOR
from reconciler.render.colour import Style, no_style
from reconciler.render.environment_list import (
    JoinEnvironments,
    join_as_json,
    join_for_comment,
    join_for_log,
    join_for_terminal,
)
from reconciler.render.github_annotations import quote_for_runner
from reconciler.render.markdown.drift import drift_markdown
from reconciler.render.text.drift import DriftCommands, drift_brief, drift_text
from reconciler.render.text.environments import drift_row


def options(parser: argparse.ArgumentParser) -> type[SelectionOptions]:
    add_plan_options(parser)
    help_text = "output format: markdown for an issue, github for a workflow's log (default: text)"
    parser.add_argument("--format", choices=_FORMS, default="text", help=help_text)
    parser.add_argument(
        "--report",
        metavar="DIR",
        help="also write drift.json and drift.md to this directory",
    )
    return SelectionOptions


def run(options: SelectionOptions, output: Output) -> int:
    """Plan, and print the drift. Return 2 if there is any."""
    selection = EnvironmentSelection.of(options, output)

    async def work(session: Session, _stop: Cancellation) -> EnvironmentResult:
        plan = await read_and_plan(session)
        drift = await session.run_blocking(lambda: compute_drift(session, plan))
        if options.report:
            folder = new_folder(
                selection.folder(options.report, drift.plan.environment)
            )
            write_text(
                folder / "drift.json",
                f"{REDACTOR.dump_redacted(drift_to_json(drift, plan))}\n",
            )
            write_text(
                folder / "drift.md", REDACTOR.redact(_as_markdown(session, drift, plan))
            )
        print_drift(session, drift, plan)
        return EnvironmentResult(
            code=PENDING if drift.has_drift else 0, row=drift_row(drift)
        )

    code, reports = run_environments(selection, work)
    print_list(selection, reports, "Drift in", _FORMS[output.form].join)
    return code


def compute_drift(session: Session, plan: Changes) -> Drift:
    """Return the drift of a plan, with the runs of the journal and the failed route tests."""
    last_runs = execute.last_runs(session)
    due = find_due(plan, session.environment, last_runs)
    drift = find_drift(plan, _accepted_rules(session), session.sample, due)
    checked = check_live(
        session.manifests, session.environment, plan.desired, plan.live
    )
    failures = failure_findings([checked], session.directory)
    failed = [finding for finding in failures if finding.severity == "error"]
    notes = [finding for finding in failures if finding.severity != "error"]
    return replace(
        drift,
        last_runs=last_runs,
        refusing_tests=session.failed_tests,
        failed_checks=(*drift.failed_checks, *failed),
        notes=(*drift.notes, *notes),
    )


def _accepted_rules(session: Session) -> list[Acceptance]:
    """Return the unmanaged rules that the Environment accepts."""
    loaded = session.manifests.environments.get(session.environment.name)
    accepted = []
    for index, rule in enumerate(session.environment.unmanaged.accept):
        source = loaded.source_of("unmanaged", "accept", index) if loaded else None
        accepted.append(Acceptance(rule.name, rule.digest, source))
    return accepted


def print_drift(session: Session, drift: Drift, plan: Plan) -> None:
    """Print drift in the form that the user chose."""
    printed = _FORMS[session.output.form].write(session, drift, plan)
    session.output.form_result(printed)


def _as_json(_session: Session, drift: Drift, plan: Plan) -> Document:
    return dict(drift_to_json(drift, plan))


def _as_markdown(session: Session, drift: Drift, plan: Plan) -> str:
    return drift_markdown(
        drift, session.tenant, plan_provenance(plan, ""), _heal(session, ())
    )


def _as_github(session: Session, drift: Drift, _plan: Plan) -> str:
    return quote_for_runner(_in_words(session, drift, no_style), token_hex(16))


def _as_text(session: Session, drift: Drift, _plan: Plan) -> str:
    text = _in_words(session, drift, session.output.paint)
    return f"{session.banner}{text}"


def _in_words(session: Session, drift: Drift, paint: Style) -> str:
    if session.output.loudness == "quiet":
        return drift_brief(drift, paint)

    commands = DriftCommands(partial(_heal, session), partial(_keep, session))
    return drift_text(drift, paint, commands, session.limits.rows)


def _keep(session: Session, addresses: Sequence[str]) -> str:
    command_line = replace(session.command_line, options=PlanOptions())
    rules = addresses or ("--all",)
    return command_line.command("export", *rules, "--write")


def _heal(session: Session, only: Sequence[str]) -> str:
    options = session.options
    if only:
        options = replace(options, only=tuple(only))
    command_line = replace(session.command_line, options=options)
    return command_line.command("apply")


class _DriftForm(NamedTuple):
    """A form of drift, and its place in the report of several environments."""

    write: Callable[[Session, Drift, Plan], str | Document]
    join: JoinEnvironments


_FORMS: Final[Mapping[str, _DriftForm]] = {
    "text": _DriftForm(_as_text, join_for_terminal),
    "json": _DriftForm(_as_json, join_as_json),
    "markdown": _DriftForm(_as_markdown, join_for_comment),
    "github": _DriftForm(_as_github, join_for_log),
}
"""The forms by the value of `--format`."""
