"""`cxroute validate`: everything that can be checked without a tenant."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING, Any, NamedTuple

from reconciler.checks.acknowledgements import (
    OFFLINE_CODES,
    RULE_CODES,
    apply_acknowledgements,
    collect_acknowledgements,
    report_unused,
)
from reconciler.checks.lint import is_complete, lint
from reconciler.checks.lint_names import intents_in_catch_all
from reconciler.checks.lint_view import LintView
from reconciler.cli.ci import rooted, summary_file
from reconciler.cli.environments.choose import choose, unset_tenant
from reconciler.cli.route_tests import Checked, asked_for, check, failures, tested
from reconciler.desired.desired import find_unaliased_queues
from reconciler.errors import CxrouteError, ManifestError
from reconciler.manifest.load import Manifests, load_manifests
from reconciler.model.finding import Finding, finding_to_json, group_findings
from reconciler.render.colour import no_style
from reconciler.render.github_annotations import annotate_findings, job_summary, quote_for_runner
from reconciler.render.sarif import failure_to_sarif, findings_to_sarif
from reconciler.render.text.findings import findings_text, severity_totals
from reconciler.render.text.route_tests import tests_line
from reconciler.text.escape import pluralize
from reconciler.text.phrases import acknowledged_phrase
from reconciler.text.redact import REDACTOR

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from reconciler.checks.route_tests import RouteTestResult
    from reconciler.cli.output import Output
    from reconciler.model.rule import Address, Source


class _Validated(NamedTuple):
    """What became of all checks."""

    findings: list[Finding]
    """Those that the manifests do not accept, one for each cause."""
    acknowledged: list[Finding]
    left: list[str]
    """Intents of the bot that in some environment go by a catch-all alone."""
    tried: tuple[RouteTestResult, ...]
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
    """Check every file, and every rule and route test in every environment (or in those that -e names)."""
    try:
        validated = _validated(options)
    except CxrouteError as error:
        if output.form != "sarif":
            raise
        output.document(failure_to_sarif(str(error)))
        return error.exit_code
    if output.form == "json":
        output.document(_document(validated))
    elif output.form == "sarif":
        output.document(findings_to_sarif(rooted([*validated.findings, *validated.acknowledged])))
    elif output.form == "github":
        _print_for_github(validated, output)
    else:
        findings = output.brief(validated.findings)
        output.findings(findings, sys.stdout)
        output.result(("\n" if findings else "") + _totals(findings, validated))
    return ManifestError.exit_code if validated.wrong else 0


def _validated(options: argparse.Namespace) -> _Validated:
    tried: tuple[RouteTestResult, ...] = ()
    left: list[str] = []
    try:
        manifests = load_manifests(Path(options.manifests))
        checked = check_all(manifests, options.environment)
        tried = tuple(one for each in checked for one in each.tried)
        findings = found(manifests, checked, options)
        left = _left(manifests, checked)
    except ManifestError as error:
        findings = list(error.findings)
    shown = group_findings(finding for finding in findings if not finding.acknowledged)
    acknowledged = group_findings(finding for finding in findings if finding.acknowledged)
    return _Validated(shown, acknowledged, left, tried, len(set(Path(options.manifests).rglob("*.y*ml"))))


def _document(validated: _Validated) -> dict[str, Any]:
    tests = {"tests": len(validated.tried), "failed": sum(one.failure is not None for one in validated.tried)}
    said = [finding_to_json(finding) for finding in validated.findings]
    accepted = [finding_to_json(finding) for finding in validated.acknowledged]
    form = {"valid": not validated.wrong, "findings": said, "acknowledged": accepted, "routeTests": tests}
    return {**form, "leftToCatchAll": validated.left}


def _print_for_github(validated: _Validated, output: Output) -> None:
    """Print everything for the log, where no name is taken for a command, and after it the annotations.

    What GitHub has no room for beside the lines stands in the job's summary, where the step has one.
    """
    findings = output.brief(rooted(validated.findings))
    listed, said = findings_text(findings, no_style), _totals(findings, validated)
    output.result(quote_for_runner(listed, token_hex(16)))
    file = summary_file()
    output.result(annotate_findings(findings) if file else annotate_findings(findings, "listed above"))
    output.result(said)
    if file and findings:
        try:
            with file.open("a", encoding="utf-8") as written:
                written.write(REDACTOR.redact(job_summary(f"{listed}\n{said}")))
        except OSError as error:
            output.warn(f"the job's summary cannot be written: {error.strerror}")


def _totals(findings: Sequence[Finding], validated: _Validated) -> str:
    tests_too = f" {tests_line(validated.tried)}" if validated.tried else ""
    count, left = len(validated.acknowledged), pluralize(len(validated.left), "intent")
    accepted = f" {acknowledged_phrase(count)}" if count else ""
    rest = f" {left} {'goes' if len(validated.left) == 1 else 'go'} by a catch-all alone." if validated.left else ""
    return f"{severity_totals(findings, validated.files)}{accepted}{rest}{tests_too}\n"


def check_all(manifests: Manifests, only: str | None) -> list[Checked]:
    """Expand every rule offline and try every route test, for each environment that they are meant for."""
    checked = []
    for name in asked_for(manifests, only):
        each = check(manifests, choose(manifests, name))
        # The built-in sandbox has attributes of its own names: what is said of rules there may not hold elsewhere.
        checked.append(each if tested(manifests, only, name) else replace(each, tried=(), desired=None))
    return checked


def found(manifests: Manifests, checked: Sequence[Checked], options: argparse.Namespace) -> list[Finding]:
    """Return everything that was found, by place; the same thing is said once, and accepted where all accept it."""
    tenants = [finding for each in checked for finding in unset_tenant(manifests, each.environment.name)]
    everywhere = [*manifests.warnings, *tenants, *find_unaliased_queues(manifests, _addresses(checked))]
    accepted = [
        (each, collect_acknowledgements(manifests, each.environment, each.desired)) for each in checked if each.desired
    ]
    every = [one for _, here in accepted for one in here]
    others = (one for each in checked if not each.desired for one in each.findings)
    rules, idle = apply_acknowledgements([*everywhere, *others], every)
    vain = {one.source: one for one in idle}
    for each, here in accepted:
        advice = lint(each.desired, (), manifests, each.environment, each.queues) if each.desired else ()
        findings, unused = apply_acknowledgements([*each.findings, *advice], here)
        if not is_complete(advice):  # what was not checked may exist
            unused = [one for one in unused if one.code not in RULE_CODES]
        rules += findings
        used = {one.source for one in here} - {one.source for one in unused}
        vain = {source: one for source, one in vain.items() if source not in used}
    if all(finding.severity != "error" for finding in rules):
        rules += report_unused(
            one for one in vain.values() if one.code in OFFLINE_CODES and not (options.environment and one.shared)
        )
    tests = failures([each for each in checked if each.tried], options.manifests)
    return sorted([*_once(rules), *tests], key=_place)


def _left(manifests: Manifests, checked: Sequence[Checked]) -> list[str]:
    """Return the intents that in some environment no rule names, and a catch-all takes."""
    known = [each for each in checked if each.desired and manifests.intents]
    views = (LintView(each.desired, (), manifests, each.environment, {}) for each in known if each.desired)
    return list(dict.fromkeys(intent for view in views for intent in intents_in_catch_all(view)))


def _addresses(checked: Sequence[Checked]) -> dict[Source, Address]:
    """Return the address of each rule, by its place."""
    rules = [rule for each in checked if each.desired for rule in each.desired.rules.values()]
    return {rule.source: rule.address for rule in rules if rule.source}


def _once(findings: Sequence[Finding]) -> list[Finding]:
    """Leave out what an earlier environment said already; accepted is what no environment says otherwise."""
    known: dict[object, Finding] = {}
    for finding in sorted(findings, key=lambda one: bool(one.acknowledged)):
        of_rules = finding.message if finding.code in RULE_CODES else ""
        known.setdefault((finding.code, finding.source, of_rules), finding)
    return list(known.values())


def _place(finding: Finding) -> tuple[Source | tuple[str, int, int], str]:
    return finding.source or ("", 0, 0), finding.code
