"""`cxroute validate`: everything that can be checked without a tenant."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from reconciler.catalogue import AssumedCatalogue, aliases
from reconciler.cli.session import SANDBOX, choose
from reconciler.desired import desire, unaliased
from reconciler.errors import ManifestError
from reconciler.manifest.load import load
from reconciler.render.findings_text import totals
from reconciler.render.words import counted
from reconciler.saved_plan import finding_document

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable

    from reconciler.cli.output import Output
    from reconciler.findings import Finding
    from reconciler.manifest.load import Manifests


def options(parser: argparse.ArgumentParser) -> None:
    """Add validate's options."""
    parser.add_argument("--format", choices=("text", "json"), default="text", help="form of the result (default: text)")


def run(options: argparse.Namespace, output: Output) -> int:
    """Check every file, and every rule in every environment (or in the one that -e names)."""
    untried = 0
    try:
        manifests = load(Path(options.manifests))
        untried = sum(len(loaded.document.tests) for loaded in manifests.route_tests)
        findings = check(manifests, options.environment)
    except ManifestError as error:
        findings = list(error.findings)
    wrong = any(finding.severity == "error" for finding in findings)
    files = len(set(Path(options.manifests).rglob("*.y*ml")))
    if output.form == "json":
        output.document({"valid": not wrong, "findings": [finding_document(finding) for finding in findings]})
    else:
        output.findings(findings, sys.stdout)
        output.result(("\n" if findings else "") + totals(findings, files) + "\n")
        if untried:
            output.note(f"{counted(untried, 'route test')} checked for form alone: this version does not run them.")
    return ManifestError.exit_code if wrong else 0


def check(manifests: Manifests, only: str | None) -> list[Finding]:
    """Expand every rule offline, for each environment. Returns what was found; the same thing is said once."""
    names = [choose(manifests, only).name] if only else [*manifests.environments, SANDBOX]
    found: list[Finding] = []
    for name in dict.fromkeys(names):
        environment = choose(manifests, name)
        try:
            found += desire(manifests, environment, AssumedCatalogue(name, aliases(manifests, name))).findings
        except ManifestError as error:
            found += error.findings
    return _once([*manifests.warnings, *found, *unaliased(manifests)])


def _once(findings: Iterable[Finding]) -> list[Finding]:
    """Sort by place, and leave out what an earlier environment already said of the same place."""
    known = {(finding.code, finding.source): finding for finding in reversed(list(findings))}
    return sorted(known.values(), key=lambda finding: (finding.source or ("", 0, 0), finding.code))
