"""`cxroute explore`: one HTML file that works offline: try a conversation, the rules as a table, queues, promises."""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

from reconciler.cli.ci import source_links
from reconciler.cli.files import write_text
from reconciler.cli.output import Output
from reconciler.cli.rule_sources import read_tenant
from reconciler.cli.session import Session, open_session
from reconciler.desired.desired import desire_offline, expand_manifests
from reconciler.desired.queues import QueueResolver, resolve_aliases
from reconciler.model.rule import Scalar
from reconciler.plan.plan import Plan
from reconciler.plan.routing_table import desired_entries, live_entries
from reconciler.text.escape import pluralize, sanitize
from reconciler.text.redact import REDACTOR


def options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--live", action="store_true", help="use the tenant's live rules instead of the manifests")
    add("--out", metavar="FILE", default="explore.html", help="the file to write (default: explore.html)")
    add("--traffic", metavar="FILE", help="traffic sample, CSV of intent,...,count: shows the share of each rule")


def run(options: argparse.Namespace, output: Output) -> int:
    from reconciler.render.explore import ExplorePage, build_side, render_explore  # noqa: PLC0415 - imports jinja2

    session = open_session(options, output)
    name, environment = session.environment.name, session.environment
    if options.live:
        live = read_tenant(session)
        resolver = QueueResolver(name, resolve_aliases(session.manifests, name), live.queues)
        desired, queues = expand_manifests(session.manifests, environment, resolver), resolver.names
        title, entries = f"the live rules of {name}", live_entries(live.rules, desired)
    else:
        desired, offline = desire_offline(session.manifests, environment)
        title, entries, queues = f"the manifests of {name}", desired_entries(desired), offline.names
    side = build_side(title, entries, desired, queues, session.sample)
    page = ExplorePage(
        desired=desired,
        queues=queues,
        sides=(side,),
        values=declared_values(session),
        links=source_links(),
        banner=session.banner.strip(),
        period=_period(session),
    )
    write_text(Path(options.out), REDACTOR.redact(render_explore(page)))
    session.terminal.print_banner(session.banner)
    counts = f"{pluralize(len(entries), 'rule')} and {pluralize(len(side.promises), 'promise')}"
    output.result(f"Wrote {sanitize(options.out)}: {title}, {counts}. It works offline, in any browser.\n")
    return 0


def plan_page(session: Session, plan: Plan) -> str:
    """Return the page with the rules today and after a plan."""
    from reconciler.render.explore import ExplorePage, build_plan_sides, render_explore  # noqa: PLC0415 - imports jinja2

    page = ExplorePage(
        desired=plan.desired,
        queues=plan.queue_names,
        sides=build_plan_sides(plan, session.sample),
        values=declared_values(session),
        links=source_links(),
        banner=session.banner.strip(),
        period=_period(session),
    )
    return render_explore(page)


def declared_values(session: Session) -> Mapping[str, Sequence[Scalar]]:
    """Return the values that Attributes and Intents documents declare, by attribute."""
    entries = session.manifests.declared_attributes.items()
    values = {name: sorted(entry.canonical_values, key=str) for name, entry in entries if entry.values}
    intents = [intent for loaded in session.manifests.intents for intent in loaded.document.names]
    return values | ({session.environment.attributes.intent: intents} if intents else {})


def _period(session: Session) -> str:
    return sanitize(session.sample.period or session.sample.name) if session.sample else ""
