"""`cxroute export`: new manifests from live rules, or live values into manifests; verified, all or
nothing.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from reconciler.cli.manifest_files import (
    export_new,
    parse_target,
    plan_with,
    replace_files,
    snapshot,
)
from reconciler.cli.options import SessionOptions
from reconciler.cli.output import Output
from reconciler.cli.rule_sources import (
    add_live_file_option,
    read_live_rules,
    with_live_file,
)
from reconciler.cli.session import Session, open_session
from reconciler.core.desired.desired_rule import DesiredRule
from reconciler.core.errors import CxrouteError, ManifestError, RefusedError, UsageError
from reconciler.core.export import export as exports
from reconciler.core.export.dated_rules import is_inactive, made_rule
from reconciler.core.export.export import (
    TenantSnapshot,
)
from reconciler.core.export.update_manifest import (
    ManifestEdit,
    all_edits,
    edit_texts,
    prove_edits,
)
from reconciler.core.model.live import LiveRule
from reconciler.core.plan.ownership import classify_by_owner, find_cause
from reconciler.core.plan.stages import LiveState
from reconciler.core.plan.stored_texts import classify_live_rules
from reconciler.core.text.escape import pluralize, sanitize
from reconciler.core.text.suggest import suggest

_HELP: Final = (
    "Without --into, the manifests go to stdout. FILE must not exist, and must end in .yaml; with "
    "a directory (DIR/),\n"
    "each RuleSet gets its own file. Rules of another owner, rules with a part that cxroute does "
    "not understand, and\n"
    "rules that the manifests have are skipped and stay unchanged. --write is for rules that the "
    "manifests have and\n"
    "that were changed in CXone: it changes single values of the files and keeps every other byte."
)
_MOST_NAMES: Final = 15
# rules that were changed in CXone, each beside that of its manifest
Drifted = list[tuple[LiveRule, DesiredRule]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportOptions(SessionOptions):
    """The options of `cxroute export`."""

    rules: Sequence[str]
    all: bool
    into: str | None
    write: bool
    live: str | None


def options(parser: argparse.ArgumentParser) -> type[ExportOptions]:
    add = parser.add_argument
    add(
        "rules",
        nargs="*",
        default=(),
        metavar="NAME or ADDRESS",
        help="name or id of a live rule; ruleset/key of a managed rule",
    )
    add(
        "--all",
        action="store_true",
        help="every live rule that the manifests do not have",
    )
    add(
        "--into",
        metavar="FILE",
        help="write there instead of to stdout; DIR/: a file for each RuleSet",
    )
    add(
        "--write",
        action="store_true",
        help="write the live values of managed rules into their manifests",
    )
    add_live_file_option(parser)
    parser.epilog = _HELP
    return ExportOptions


def run(options: ExportOptions, output: Output) -> int:
    if options.all and options.rules:
        raise UsageError("specify --all or the names of rules, not both")
    if options.write and options.into:
        raise UsageError(
            "--write changes existing manifests, and --into writes new ones: specify one of them"
        )
    if options.write and options.live:
        raise UsageError(
            "--write needs the live values of the tenant, and --live reads a file: specify one of "
            "them"
        )
    session = with_live_file(open_session(options, output), options.live)
    into = parse_target(options.into, Path(options.manifests))
    for finding in session.findings:
        output.warn(finding.message)
    live = read_live_rules(session)
    rules = _chosen_rules(options, session, live)
    tenant = snapshot(session, live)
    if options.write:
        drifted = (
            _all_drifted(session, tenant)
            if options.all
            else _named_drifted(session, tenant, rules)
        )
        _update(session, tenant, drifted)
        return 0
    exported = export_new(session, tenant, rules, into)
    if options.rules and exported.skipped and not exported.rules:
        return RefusedError.exit_code
    return 0


def _chosen_rules(
    options: ExportOptions, session: Session, live: LiveState
) -> list[LiveRule]:
    owner = session.environment.owner
    if options.all:
        return list(live.rules)
    if not options.rules:
        raise UsageError(
            f"specify rules: names, addresses such as cards/card-help, or --all. "
            f"{_describe_rules(session, live)}"
        )
    rules: dict[str, LiveRule] = {}
    for selector in options.rules:
        matches = list(exports.match_rules(live.rules, selector, owner))
        if not matches:
            names = [rule.rule.name for rule in live.rules]
            managed = classify_by_owner(live.rules, owner).managed
            hint = suggest(selector, [*names, *map(str, managed)])
            raise UsageError(
                f'there is no live rule "{sanitize(selector)}". {hint}'.rstrip()
            )
        rules |= {rule.id: rule for rule in matches}
    return list(rules.values())


def _describe_rules(session: Session, live: LiveState) -> str:
    """Return how many rules are live, and the first names of those made by hand."""
    owned = classify_by_owner(live.rules, session.environment.owner)
    names = sorted(rule.rule.name for rule in owned.unmanaged if rule.marker is None)
    total = pluralize(len(live.rules), "live rule")
    counts = (
        f"{session.environment.name} has {total}, {len(owned.managed):,} of them managed and "
        f"{len(names):,} made by hand"
    )
    if not names:
        return f"{counts}."
    lines = [f"{counts}:"]
    lines += [f'  "{sanitize(name)}"' for name in names[:_MOST_NAMES]]
    if len(names) > _MOST_NAMES:
        lines.append(f"  and {len(names) - _MOST_NAMES:,} more")
    return "\n".join(lines)


def _all_drifted(session: Session, tenant: TenantSnapshot) -> Drifted:
    """Return each managed rule that was changed in CXone, unless its manifest changed too."""
    managed = classify_live_rules(tenant.rules, tenant.desired).managed
    drifted = []
    for address, rule in sorted(managed.items()):
        if address not in tenant.desired.rules:
            continue
        desired = made_rule(tenant.desired, address, rule)
        if desired.rule == rule.rule:
            continue
        cause = find_cause(rule, desired.marker_digest)
        if cause == "drift":
            drifted.append((rule, desired))
        elif cause == "both":
            keep = "Name the rule to keep its live state."
            session.output.warn(
                f"{address} is skipped: its manifest changed too. {keep}"
            )
    return drifted


def _named_drifted(
    session: Session, tenant: TenantSnapshot, rules: Sequence[LiveRule]
) -> Drifted:
    """Return the rules that differ.

    Raises RefusedError for one that is unmanaged, or not changed in CXone.
    """
    owned = classify_by_owner(tenant.rules, tenant.desired.owner)
    managed = {rule.id: address for address, rule in owned.managed.items()}
    drifted = []
    refused = []
    for rule in rules:
        address = managed.get(rule.id)
        if address is not None and is_inactive(tenant.desired, address):
            refused.append(
                f"{address} is not a rule of now, by the dates of its manifest: the next apply deletes "
                "the live rule"
            )
            continue
        if address is None or address not in tenant.desired.rules:
            refused.append(
                f'"{sanitize(rule.rule.name)}" is not in a manifest: export it without --write'
            )
            continue
        desired = made_rule(tenant.desired, address, rule)
        if rule.rule == desired.rule:
            session.output.note(f"{address} matches its manifest.")
        elif find_cause(rule, desired.marker_digest) == "manifest":
            refused.append(
                f"{address} was not changed in CXone: its manifest changed and is not applied yet"
            )
        else:
            drifted.append((rule, desired))
    if refused:
        raise RefusedError(f"nothing was written: {'; '.join(refused)}")
    return drifted


def _update(session: Session, tenant: TenantSnapshot, drifted: Drifted) -> None:
    """Write the rules into their manifests."""
    if not drifted:
        session.output.note("Nothing to keep: no managed rule was changed in CXone.")
        return
    edits = all_edits(drifted, session.manifests, tenant)
    changed = edit_texts(((edit.file, edit.edits) for edit in edits), session.manifests)
    try:
        manifests, after = plan_with(session, tenant, changed)
    except ManifestError as error:
        where = sanitize(error.findings[0].message)
        raise CxrouteError(
            f"nothing was written: the manifests would no longer be valid ({where})"
        ) from error
    prove_edits(edits, (session.manifests, manifests), (tenant.desired, after))
    replace_files(changed, session.manifests)
    _print_edits(session, edits)


def _print_edits(session: Session, edits: Sequence[ManifestEdit]) -> None:
    session.print_banner()
    for edit in edits:
        names = ", ".join([*edit.changed_fields, *edit.removed_fields])
        session.output.result(
            f"{edit.desired.address}   {edit.desired.location}: {names}\n"
        )
    rules = pluralize(len(edits), "rule")
    match = (
        f"Verified: the manifests now match the live state of {rules}; no other rule or "
        f"environment changes."
    )
    session.output.result(f"{match}\nNext: {session.command_line.command('plan')}\n")
