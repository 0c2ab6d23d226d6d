"""`cxroute test`: the RouteTests, offline, in every environment."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from reconciler.cli.environments import choose, utc_now
from reconciler.cli.route_tests import asked_for, check, failures, tested
from reconciler.cli.whole_file import write_whole
from reconciler.errors import ManifestError
from reconciler.manifest.load import load
from reconciler.render.junit import junit
from reconciler.render.route_tests_text import tests_document, tests_line

if TYPE_CHECKING:
    import argparse

    from reconciler.cli.output import Output


def options(parser: argparse.ArgumentParser) -> None:
    """Add test's options."""
    parser.add_argument("--junit", metavar="FILE", help="write the results as JUnit XML too")
    parser.add_argument("--format", choices=("text", "json"), default="text", help="form of the result (default: text)")


def run(options: argparse.Namespace, output: Output) -> int:
    """Try every test in every environment (or in those that -e names); exit 3 where one fails."""
    manifests = load(Path(options.manifests))
    names = asked_for(manifests, options.environment)
    chosen = [name for name in names if tested(manifests, options.environment, name)]
    checked = [check(manifests, choose(manifests, name)) for name in chosen]
    wrong = [finding for each in checked for finding in each.findings if finding.severity == "error"]
    if wrong:
        raise ManifestError(list(dict.fromkeys(wrong)))
    failed = failures(checked, options.manifests)
    tried = [one for each in checked for one in each.tried]
    if options.junit is not None:
        labels = {each.environment.name: each.labels for each in checked}
        write_whole(Path(options.junit), junit(tried, labels, utc_now()))
    if output.form == "json":
        output.document(tests_document(tried))
    else:
        output.findings(failed, sys.stdout)
        output.result(("\n" if failed else "") + tests_line(tried) + "\n")
    return ManifestError.exit_code if failed else 0
