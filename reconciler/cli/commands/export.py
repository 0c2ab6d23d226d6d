"""`cxroute export`: readable manifests from live rules, verified before a file is written."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Final

from reconciler.cli import live_file
from reconciler.cli.exporting import export_new, parse_target, take_snapshot, update_all, update_named
from reconciler.cli.output import Output
from reconciler.cli.session import Session, open_session
from reconciler.errors import RefusedError, UsageError
from reconciler.export.selection import match_rules
from reconciler.model.live import LiveRule
from reconciler.plan.ownership import classify_by_owner
from reconciler.plan.plan import LiveState
from reconciler.text.escape import pluralize, sanitize
from reconciler.text.suggest import suggest

_HELP: Final = (
    "Without --into, the manifests go to stdout. FILE must not exist, and must end in .yaml; with a directory (DIR/),\n"
    "each RuleSet gets its own file. Rules of another owner, rules with a part that cxroute does not understand, and\n"
    "rules that the manifests have are skipped and stay unchanged. --write is for rules that the manifests have and\n"
    "that were changed in CXone: it changes single values of the files and keeps every other byte."
)
_MOST_NAMES: Final = 15


def options(parser: argparse.ArgumentParser) -> None:
    """Add export's options."""
    add = parser.add_argument
    add("rules", nargs="*", metavar="NAME or ADDRESS", help="name or id of a live rule; ruleset/key of a managed rule")
    add("--all", action="store_true", help="every live rule that the manifests do not have")
    add("--into", metavar="FILE", help="write there instead of to stdout; DIR/: a file for each RuleSet")
    add("--write", action="store_true", help="write the live values of managed rules into their manifests")
    live_file.options(parser)
    parser.epilog = _HELP


def run(options: argparse.Namespace, output: Output) -> int:
    """Read, choose, verify, and print or write."""
    if options.all and options.rules:
        raise UsageError("specify --all or the names of rules, not both")
    if options.write and options.into:
        raise UsageError("--write changes existing manifests, and --into writes new ones: specify one of them")
    if options.write and options.live:
        raise UsageError("--write needs the live values of the tenant, and --live reads a file: specify one of them")
    session = live_file.with_live_file(open_session(options, output), options.live)
    into = parse_target(options.into, Path(options.manifests))
    if session.live_file is not None:
        session.output.warn(session.live_file.finding.message)
        live = session.live_file.live
    else:
        live = live_file.read_tenant(session)
    rules = _chosen_rules(options, session, live)
    snapshot = take_snapshot(session, live)
    if not options.write:
        exported = export_new(session, live, snapshot, rules, into)
        if options.rules and exported.skipped and not exported.rules:
            return RefusedError.exit_code
    elif options.all:
        update_all(session, live, snapshot)
    else:
        update_named(session, live, snapshot, rules)
    return 0


def _chosen_rules(options: argparse.Namespace, session: Session, live: LiveState) -> list[LiveRule]:
    owner = session.environment.owner
    if options.all:
        return list(live.rules)
    if not options.rules:
        owned = classify_by_owner(live.rules, owner)
        free = sorted(rule.rule.name for rule in owned.unmanaged if rule.marker is None)
        lines = [f'\n  "{sanitize(name)}"' for name in free[:_MOST_NAMES]]
        lines += [f"\n  and {len(free) - _MOST_NAMES:,} more"] if len(free) > _MOST_NAMES else []
        total, managed = pluralize(len(live.rules), "live rule"), f"{len(owned.managed):,} of them managed"
        raise UsageError(
            f"specify rules: names, addresses such as cards/card-help, or --all. {session.environment.name} has"
            f" {total}, {managed} and {len(free):,} made by hand{':' if lines else '.'}{''.join(lines)}"
        )
    rules: dict[str, LiveRule] = {}
    for selector in options.rules:
        matches = list(match_rules(live.rules, selector, owner))
        if not matches:
            names = [*(rule.rule.name for rule in live.rules), *map(str, classify_by_owner(live.rules, owner).managed)]
            raise UsageError(f'there is no live rule "{sanitize(selector)}". {suggest(selector, names)}'.rstrip())
        rules |= {rule.id: rule for rule in matches}
    return list(rules.values())
