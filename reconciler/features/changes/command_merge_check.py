"""`cxroute merge-check BASE OURS THEIRS`: conversations that two changes together send where
neither of them does.
"""

import argparse
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from reconciler.cli.command_line import run_time, split_names
from reconciler.cli.commands.plan import PENDING
from reconciler.cli.options import CommonOptions
from reconciler.cli.output import Output
from reconciler.core.errors import ManifestError
from reconciler.core.plan.finding_json import finding_to_json
from reconciler.features.changes.merge_check import MergeReport, report_merge
from reconciler.features.changes.merge_document import environment_to_json
from reconciler.features.changes.merge_text import (
    BRIEF,
    VERBOSE,
    merge_markdown,
    merge_text,
)
from reconciler.features.changes.merge_versions import read_versions

if TYPE_CHECKING:
    from reconciler.features.changes.merge_json import MergeCheckJson

_FORMS: Final = ("text", "json", "markdown")


@dataclass(frozen=True, slots=True, kw_only=True)
class MergeCheckOptions(CommonOptions):
    """The options of `cxroute merge-check`."""

    base: str
    ours: str
    theirs: str
    merged: str | None


def options(parser: argparse.ArgumentParser) -> type[MergeCheckOptions]:
    add = parser.add_argument
    add("base", metavar="BASE", help="the manifests before both changes")
    add("ours", metavar="OURS", help="the manifests after one change")
    add("theirs", metavar="THEIRS", help="the manifests after the other change")
    merged = "the manifests after both (default: as git merges the three revisions)"
    add("merged", metavar="MERGED", nargs="?", help=merged)
    form = "output format: markdown for a comment (default: text)"
    add("--format", choices=_FORMS, default="text", help=form)
    parser.epilog = (
        "Each is a revision of git, or a directory of manifests; with a directory, MERGED is "
        "needed. No file\n"
        "of the work tree changes. The exit code is 2 if a conversation goes elsewhere than "
        "expected, if the two\n"
        "changes are in conflict about one, if the merge ties rules of equal priority, or if that "
        "is not\n"
        "decided; and 3 for a text conflict, for an invalid version, and for a route test or "
        "promise that fails\n"
        "in MERGED, and in neither OURS nor THEIRS."
    )
    return MergeCheckOptions


def run(options: MergeCheckOptions, output: Output) -> int:
    """Compare, and print the conversations that go elsewhere than expected."""
    names = (options.base, options.ours, options.theirs)
    versions = read_versions(
        names, options.merged, options.manifests, run_time(options)
    )
    chosen = split_names(options.environment) if options.environment else None
    report = report_merge(versions, chosen)
    _print_report(report, output)
    if report.failures:
        return ManifestError.exit_code
    return 0 if report.is_as_expected else PENDING


def _print_report(report: MergeReport, output: Output) -> None:
    if output.form == "json":
        output.document(_document(report))
        return
    limits = VERBOSE if output.loudness == "verbose" else BRIEF
    if output.form == "markdown":
        output.result(merge_markdown(report, limits))
        return
    output.result(merge_text(report, output.paint, limits))
    if report.failures:
        title = "Fails in the merged version, and in neither change:"
        output.result(f"\n{title}\n")
        output.findings(report.failures, sys.stdout)


def _document(report: MergeReport) -> "MergeCheckJson":
    return {
        "environments": {
            each.name: environment_to_json(each) for each in report.environments
        },
        "others": list(report.others),
        "failures": [
            {"environment": each.name, "finding": finding_to_json(finding)}
            for each in report.environments
            for finding in each.failures
        ],
    }
