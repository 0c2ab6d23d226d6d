"""`cxroute validate`: everything that can be checked without a tenant."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING, Any, NamedTuple

from reconciler.cli.discretion import DISCRETION
from reconciler.cli.environments import choose, unset_tenant
from reconciler.cli.route_tests import check, failures, tested
from reconciler.cli.workspace import rooted, summary_file
from reconciler.desired import unaliased
from reconciler.errors import CxrouteError, ManifestError
from reconciler.finding_document import finding_document
from reconciler.lint.lint import lint
from reconciler.manifest.environment import SANDBOX
from reconciler.manifest.load import load
from reconciler.render.annotations import annotated, quoted, summary
from reconciler.render.findings_text import findings_text, totals
from reconciler.render.paint import colourless
from reconciler.render.route_tests_text import tests_line
from reconciler.render.sarif import sarif, sarif_failure

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Sequence

    from reconciler.cli.output import Output
    from reconciler.cli.route_tests import Checked
    from reconciler.findings import Finding
    from reconciler.manifest.load import Manifests
    from reconciler.model import Source
    from reconciler.verify import Tried


class _Validated(NamedTuple):
    """What became of all checks."""

    findings: list[Finding]
    tried: tuple[Tried, ...]
    files: int

    @property
    def wrong(self) -> bool:
        """Say whether anything has to be corrected."""
        return any(finding.severity == "error" for finding in self.findings)


def options(parser: argparse.ArgumentParser) -> None:
    """Add validate's options."""
    forms = ("text", "json", "github", "sarif")
    parser.add_argument("--format", choices=forms, default="text", help="form of the result (default: text)")


def run(options: argparse.Namespace, output: Output) -> int:
    """Check every file, and every rule and route test in every environment (or in the one that -e names)."""
    try:
        validated = _validated(options)
    except CxrouteError as error:
        if output.form != "sarif":
            raise
        output.document(sarif_failure(str(error)))
        return error.exit_code
    if output.form == "json":
        output.document(_document(validated))
    elif output.form == "sarif":
        output.document(sarif(rooted(validated.findings)))
    elif output.form == "github":
        _print_for_github(validated, output)
    else:
        findings = output.brief(validated.findings)
        output.findings(findings, sys.stdout)
        output.result(("\n" if findings else "") + _totals(findings, validated))
    return ManifestError.exit_code if validated.wrong else 0


def _validated(options: argparse.Namespace) -> _Validated:
    tried: tuple[Tried, ...] = ()
    try:
        manifests = load(Path(options.manifests))
        checked = check_all(manifests, options.environment)
        tried = tuple(one for each in checked for one in each.tried)
        findings = found(manifests, checked, options.manifests)
    except ManifestError as error:
        findings = list(error.findings)
    return _Validated(findings, tried, len(set(Path(options.manifests).rglob("*.y*ml"))))


def _document(validated: _Validated) -> dict[str, Any]:
    tests = {"tests": len(validated.tried), "failed": sum(one.failure is not None for one in validated.tried)}
    said = [finding_document(finding) for finding in validated.findings]
    return {"valid": not validated.wrong, "findings": said, "routeTests": tests}


def _print_for_github(validated: _Validated, output: Output) -> None:
    """Print everything for the log, where no name is taken for a command, and after it the annotations.

    What GitHub has no room for beside the lines stands in the job's summary, where the step has one.
    """
    findings = output.brief(rooted(validated.findings))
    listed, said = findings_text(findings, colourless), _totals(findings, validated)
    output.result(quoted(listed, token_hex(16)))
    file = summary_file()
    output.result(annotated(findings) if file else annotated(findings, "listed above"))
    output.result(said)
    if file and findings:
        try:
            with file.open("a", encoding="utf-8") as written:
                written.write(DISCRETION.hide(summary(f"{listed}\n{said}")))
        except OSError as error:
            output.warn(f"the job's summary cannot be written: {error.strerror}")


def _totals(findings: Sequence[Finding], validated: _Validated) -> str:
    tests_too = f" {tests_line(validated.tried)}" if validated.tried else ""
    return f"{totals(findings, validated.files)}{tests_too}\n"


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
    tenants = [finding for each in checked for finding in unset_tenant(manifests, each.environment.name)]
    rules = _once(
        [*manifests.warnings, *tenants, *(one for each in checked for one in each.findings), *unaliased(manifests)]
    )
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
