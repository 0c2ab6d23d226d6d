"""`cxroute explore`: one HTML file that works offline: try a conversation, the rules as a table,
queues, promises.
"""

import argparse
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from reconciler.cli.ci import source_links
from reconciler.cli.files import write_text
from reconciler.cli.hooks import BuildReportPage, ReportPage
from reconciler.cli.options import SessionOptions
from reconciler.cli.output import Output
from reconciler.cli.rule_sources import read_tenant
from reconciler.cli.session import Session, open_session
from reconciler.cli.validation import note_assumed_steps
from reconciler.core.desired.desired import DesiredState, desire_offline
from reconciler.core.plan.impact import Impact
from reconciler.core.plan.routing_table import RuleList, desired_entries, live_entries
from reconciler.core.plan.stages import LiveState, Plan
from reconciler.core.text.escape import join_first, pluralize, quote, sanitize
from reconciler.core.text.redact import REDACTOR
from reconciler.features.explore.page import (
    ExplorePage,
    ExploreSide,
    build_plan_sides,
    build_side,
    render_explore,
)
from reconciler.features.explore.times import PageTimes, build_dated_sides


@dataclass(frozen=True, slots=True, kw_only=True)
class ExploreOptions(SessionOptions):
    """The options of `cxroute explore`."""

    has_traffic = True
    live: bool
    out: str


def options(parser: argparse.ArgumentParser) -> type[ExploreOptions]:
    add = parser.add_argument
    add(
        "--live",
        action="store_true",
        help="use the tenant's live rules instead of the manifests",
    )
    add(
        "--out",
        metavar="FILE",
        default="explore.html",
        help="the file to write (default: explore.html)",
    )
    add(
        "--traffic",
        metavar="FILE",
        help="traffic sample, CSV of intent,...,count: shows the share of each rule",
    )
    return ExploreOptions


def run(options: ExploreOptions, output: Output) -> int:
    session = open_session(options, output)
    live = read_tenant(session) if options.live else None
    queues = live.queues if live else ()
    desired, resolver = desire_offline(session.manifests, session.environment, queues)
    entries = live_entries(live.rules, desired) if live else desired_entries(desired)
    title = _title(desired, live)
    rules = RuleList(entries, resolver.names)
    if live or desired.calendar is None:
        side = build_side(title, rules, desired, session.sample)
        page = _render(session, desired, resolver.names, side)
    else:
        side, page = _dated_page(session, title, desired, resolver.names)
    _finish(session, options.out, page, side)
    if live:
        _note_missing(resolver.names.keys() - {queue.id for queue in queues}, session)
    else:
        note_assumed_steps([desired], output)
    return 0


def _dated_page(
    session: Session, title: str, desired: DesiredState, queues: Mapping[str, str]
) -> tuple[ExploreSide, str]:
    """Return the side of now, and the page about rules with dates."""
    times, sides = build_dated_sides(title, desired, queues, session.sample)
    return sides[0], _render(session, desired, queues, *sides, times=times)


def _title(desired: DesiredState, live: LiveState | None) -> str:
    return f"the {'live rules' if live else 'manifests'} of {desired.environment}"


def _finish(session: Session, out: str, page: str, side: ExploreSide) -> None:
    """Write a page, and print what it shows."""
    write_text(Path(out), REDACTOR.redact(page))
    session.print_banner()
    _print_result(sanitize(out), side, session.output)


def _print_result(file: str, side: ExploreSide, output: Output) -> None:
    """Print what the page in a file shows."""
    promises = pluralize(len(side.promises), "promise")
    output.result(
        f"Wrote {file}: {side.name}, {side.count_text} and {promises}. It works offline, in any "
        f"browser.\n"
    )


def _note_missing(queues: AbstractSet[str], session: Session) -> None:
    """Note queues that the manifests name and the tenant lacks."""
    if queues:
        names = join_first(sorted(queues), 5, quote)
        session.output.note(
            f"{session.environment.name} lacks queues that the manifests name: {names}"
        )


def _build_report_page(session: Session, plan: Plan) -> ReportPage:
    """Return the page with the rules today and after a plan."""
    text = _render(
        session,
        plan.desired,
        plan.queue_names,
        *build_plan_sides(plan),
        impact=plan.impact,
    )
    return ReportPage("explore.html", text)


REPORT_PAGE: Final[BuildReportPage] = _build_report_page


def _render(
    session: Session,
    desired: DesiredState,
    queues: Mapping[str, str],
    *sides: ExploreSide,
    impact: Impact | None = None,
    times: PageTimes | None = None,
) -> str:
    sample = session.sample
    values = {
        name: sorted(entry.canonical_values, key=str)
        for name, entry in session.manifests.declared_attributes.items()
        if entry.values
    }
    page = ExplorePage(
        desired=desired,
        queues=queues,
        sides=sides,
        values=values,
        links=source_links(),
        banner=session.banner.strip(),
        period=sanitize(sample.period or sample.name) if sample else "",
        impact=impact,
        times=times,
    )
    return render_explore(page)
