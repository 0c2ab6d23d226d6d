"""`cxroute validate`: everything that can be checked without a tenant."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from reconciler.cli.environments import choose
from reconciler.cli.route_tests import check, failures, tested
from reconciler.desired import unaliased
from reconciler.errors import ManifestError
from reconciler.finding_document import finding_document
from reconciler.lint.lint import lint
from reconciler.manifest.environment import SANDBOX
from reconciler.manifest.load import load
from reconciler.render.findings_text import totals
from reconciler.render.route_tests_text import tests_line

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Sequence

    from reconciler.cli.output import Output
    from reconciler.cli.route_tests import Checked
    from reconciler.findings import Finding
    from reconciler.manifest.load import Manifests
    from reconciler.model import Source
    from reconciler.verify import Tried


def options(parser: argparse.ArgumentParser) -> None:
    """Add validate's options."""
    parser.add_argument("--format", choices=("text", "json"), default="text", help="form of the result (default: text)")


def run(options: argparse.Namespace, output: Output) -> int:
    """Check every file, and every rule and route test in every environment (or in the one that -e names)."""
    tried: tuple[Tried, ...] = ()
    try:
        manifests = load(Path(options.manifests))
        checked = check_all(manifests, options.environment)
        tried = tuple(one for each in checked for one in each.tried)
        findings = found(manifests, checked, options.manifests)
    except ManifestError as error:
        findings = list(error.findings)
    wrong = any(finding.severity == "error" for finding in findings)
    files = len(set(Path(options.manifests).rglob("*.y*ml")))
    if output.form == "json":
        tests = {"tests": len(tried), "failed": sum(one.failure is not None for one in tried)}
        said = [finding_document(finding) for finding in findings]
        output.document({"valid": not wrong, "findings": said, "routeTests": tests})
    else:
        findings = output.brief(findings)
        output.findings(findings, sys.stdout)
        tests_too = f" {tests_line(tried)}" if tried else ""
        output.result(("\n" if findings else "") + totals(findings, files) + tests_too + "\n")
    return ManifestError.exit_code if wrong else 0


def check_all(manifests: Manifests, only: str | None) -> list[Checked]:
    """Expand every rule offline and try every route test, for each environment that they are meant for."""
    names = [choose(manifests, only).name] if only else [*manifests.environments, SANDBOX]
    checked = []
    for name in dict.fromkeys(names):
        each = check(manifests, choose(manifests, name))
        # The built-in sandbox has attributes of its own names: what is said of rules there may not hold elsewhere.
        checked.append(each if tested(manifests, only, name) else replace(each, tried=(), desired=None))
    return checked


def found(manifests: Manifests, checked: Sequence[Checked], directory: str) -> list[Finding]:
    """Return everything that was found, by place; the same thing is said once."""
    rules = _once([*manifests.warnings, *(one for each in checked for one in each.findings), *unaliased(manifests)])
    tests = failures([each for each in checked if each.tried], directory)
    return sorted([*rules, *advice(manifests, checked), *tests], key=_place)


def advice(manifests: Manifests, checked: Sequence[Checked]) -> list[Finding]:
    """Return what is most likely wrong with the rules that the manifests want, in any environment; each thing once."""
    found = [
        finding
        for each in checked
        if each.desired
        for finding in lint(each.desired, (), manifests, each.environment, each.queues)
    ]
    return list({(finding.code, finding.source, finding.message): finding for finding in reversed(found)}.values())


def _once(findings: Iterable[Finding]) -> list[Finding]:
    """Sort by place, and leave out what an earlier environment already said of the same place."""
    known = {(finding.code, finding.source): finding for finding in reversed(list(findings))}
    return sorted(known.values(), key=_place)


def _place(finding: Finding) -> tuple[Source | tuple[str, int, int], str]:
    return finding.source or ("", 0, 0), finding.code
