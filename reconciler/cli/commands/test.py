"""`cxroute test`: the RouteTests, offline in every environment, or on live rules."""

import argparse
import sys
from pathlib import Path

from reconciler.checks.route_tests import Checked, check, check_live
from reconciler.cli.adequacy import add_adequacy_options, adequacy_report, required_percent
from reconciler.cli.command_line import choose_environment, runs_route_tests, split_names, test_environments, utc_now
from reconciler.cli.conversation import failure_findings
from reconciler.cli.files import write_text
from reconciler.cli.output import Output
from reconciler.cli.rule_sources import read_tenant
from reconciler.cli.session import open_session
from reconciler.errors import ManifestError
from reconciler.manifest.load import Manifests, load_manifests
from reconciler.render.impact import MAX_SHOWN
from reconciler.render.text.adequacy import adequacy_document, adequacy_lines
from reconciler.render.text.route_tests import junit_document, tests_document, tests_line


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--live", action="store_true", help="test the tenant's live rules instead of the manifests")
    parser.add_argument("--junit", metavar="FILE", help="also write the results as JUnit XML")
    add_adequacy_options(parser)
    parser.add_argument("--format", choices=("text", "json"), default="text", help="output format (default: text)")


def run(options: argparse.Namespace, output: Output) -> int:
    """Run every test in every environment (or in those of -e). Return 3 if a test fails."""
    required, report = required_percent(options), None
    if options.live:
        names = split_names(options.environment) if options.environment else (None,)
        sessions = [open_session(options, output, name) for name in names]
        sessions[0].terminal.print_banner(sessions[0].banner)
        tenants = ((each, read_tenant(each)) for each in sessions)
        checked = [check_live(s.manifests, s.environment, s.planner(live).desired, live) for s, live in tenants]
    else:
        manifests = load_manifests(Path(options.manifests))
        checked = _offline(manifests, options)
        report = adequacy_report(options, manifests, checked)
    failed = failure_findings(checked, options.manifests)
    results = [result for each in checked for result in each.tried]
    if options.junit is not None:
        labels = {each.environment.name: each.labels for each in checked}
        write_text(Path(options.junit), junit_document(results, labels, utc_now()))
    if output.form == "json":
        further = {"adequacy": adequacy_document(report)} if report else {}
        output.document(tests_document(results) | further)
    else:
        output.findings(failed, sys.stdout)
        limit = sys.maxsize if output.loudness == "verbose" else MAX_SHOWN
        lines = [*([""] if failed else []), tests_line(results), *(adequacy_lines(report, limit) if report else ())]
        output.result("\n".join(lines) + "\n")
    if report and not report.reaches(required):
        output.warn(f"the tests notice less than {required:g} % of the edits (--fail-under)")
        return ManifestError.exit_code
    return ManifestError.exit_code if failed else 0


def _offline(manifests: Manifests, options: argparse.Namespace) -> list[Checked]:
    names = test_environments(manifests, options.environment)
    chosen = [name for name in names if runs_route_tests(manifests, options.environment, name)]
    checked = [check(manifests, choose_environment(manifests, name)) for name in chosen]
    if wrong := [finding for each in checked for finding in each.findings if finding.severity == "error"]:
        raise ManifestError(list(dict.fromkeys(wrong)))
    return checked
