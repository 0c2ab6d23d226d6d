"""`cxroute validate`: all checks that need no tenant."""

import argparse
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex
from typing import Any, Final

from reconciler.cli.ci import relative_to_root
from reconciler.cli.command_line import add_at_option, run_time
from reconciler.cli.options import CommonOptions
from reconciler.cli.output import Output
from reconciler.cli.validation import (
    Validation,
    check_environments,
    note_assumed_steps,
    validate,
)
from reconciler.core.checks.route_tests import RouteTestResult
from reconciler.core.errors import CxrouteError, ManifestError, UsageError
from reconciler.core.manifest.files import count_files
from reconciler.core.manifest.kinds.fields import ALL_CODES
from reconciler.core.manifest.load import load_manifests
from reconciler.core.model.finding import CODES, Finding, group_findings
from reconciler.core.plan.finding_json import finding_to_json
from reconciler.core.text.escape import join_first, pluralize, quote, quote_name
from reconciler.core.text.phrases import acknowledged_phrase
from reconciler.core.text.redact import REDACTOR
from reconciler.core.text.suggest import suggest
from reconciler.render.colour import no_style
from reconciler.render.github_annotations import (
    annotate_findings,
    job_summary,
    quote_for_runner,
)
from reconciler.render.scanning import (
    code_quality_report,
    failure_to_sarif,
    findings_to_sarif,
)
from reconciler.render.text.findings import findings_text, severity_totals
from reconciler.render.text.route_tests import tests_line

_MAX_INTENTS: Final = 5  # that the totals name


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidateOptions(CommonOptions):
    """The options of `cxroute validate`."""

    strict: str | None


def options(parser: argparse.ArgumentParser) -> type[ValidateOptions]:
    forms = ("text", "json", "github", "gitlab", "sarif")
    add = parser.add_argument
    add("--format", choices=forms, default="text", help="output format (default: text)")
    strict = (
        "exit 3 for warnings too: for all, or for those with these codes, such as "
        "CXR203,CXR204"
    )
    add(
        "--strict",
        nargs="?",
        const=ALL_CODES,
        metavar="CODES",
        help=f"{strict} (default: `strict` of an Environment)",
    )
    add_at_option(parser)
    return ValidateOptions


def run(options: ValidateOptions, output: Output) -> int:
    """Check every file, and every rule, route test and promise in every environment (or in those of
    -e).
    """
    strict = _strict_codes(options.strict)
    try:
        validated = _validate(options, output)
    except CxrouteError as error:
        if output.form != "sarif":
            raise
        output.document(failure_to_sarif(str(error)))
        return error.exit_code
    has_errors = any(finding.severity == "error" for finding in validated.findings)
    refused = [] if has_errors else strict_findings(validated, strict)
    if output.form == "json":
        status = {
            "valid": not has_errors,
            "strict": not refused and not has_errors,
        }
        output.document({**status, **_document(validated)})
    else:
        _print(validated, options.manifests, output)
    if refused and output.form == "text":
        codes = ", ".join(dict.fromkeys(finding.code for finding in refused))
        output.note(f"Exit 3, because warnings count as errors here (strict): {codes}.")
    return ManifestError.exit_code if has_errors or refused else 0


def _document(validated: Validation) -> dict[str, Any]:
    results = [
        result for result in validated.results if isinstance(result, RouteTestResult)
    ]
    tests = {
        "tests": len(results),
        "failed": sum(result.failure is not None for result in results),
    }
    return {
        "findings": list(map(finding_to_json, validated.findings)),
        "acknowledged": list(map(finding_to_json, validated.acknowledged)),
        "routeTests": tests,
        "leftToCatchAll": validated.unhandled_intents,
    }


def _print(validated: Validation, directory: str, output: Output) -> None:
    """Print the findings in a form other than JSON."""
    if output.form == "sarif":
        findings = [*validated.findings, *validated.acknowledged]
        output.document(findings_to_sarif(relative_to_root(findings)))
        return
    if output.form == "gitlab":
        findings = relative_to_root(validated.findings)
        output.document(code_quality_report(findings, directory))
        return
    findings = output.without_infos(validated.findings)
    totals = _totals(findings, validated, Path(directory))
    if output.form == "github":
        _print_for_github(relative_to_root(findings), totals, output)
    else:
        output.findings(findings, sys.stdout)
        output.result(f"\n{totals}" if findings else totals)


def _strict_codes(text: str | None) -> frozenset[str]:
    """Return the codes of `--strict`, or `ALL_CODES`. Raises UsageError for an unknown one."""
    if text is None:
        return frozenset()
    every = ALL_CODES.upper()
    codes = frozenset(code.strip().upper() for code in text.split(","))
    unknown = sorted(codes - {*CODES, every})
    if unknown:
        hint = suggest(unknown[0], CODES) or "`cxroute explain CODE` explains a code"
        raise UsageError(f"--strict: unknown code {quote_name(unknown[0])}; {hint}")
    if every in codes:
        return frozenset({ALL_CODES})
    return codes


def strict_findings(validated: Validation, codes: frozenset[str]) -> list[Finding]:
    """Return the warnings that count as errors: by the option, or by `strict` of the
    Environments.
    """
    refused = codes | validated.strict
    warnings = (
        finding for finding in validated.findings if finding.severity == "warning"
    )
    return [
        finding
        for finding in warnings
        if ALL_CODES in refused or finding.code in refused
    ]


def _validate(options: ValidateOptions, output: Output) -> Validation:
    """Return the result with one finding for each cause."""
    try:
        manifests = load_manifests(Path(options.manifests), run_time(options))
        checked = check_environments(manifests, options.environment)
        found = validate(manifests, checked, options.environment, options.manifests)
        note_assumed_steps([each.desired for each in checked], output)
    except ManifestError as error:
        found = Validation(list(error.findings), [], [], ())
    return found._replace(
        findings=group_findings(found.findings),
        acknowledged=group_findings(found.acknowledged),
    )


def _print_for_github(findings: Sequence[Finding], totals: str, output: Output) -> None:
    listed = findings_text(findings, no_style)
    output.result(quote_for_runner(listed, token_hex(16)))
    file = os.environ.get("GITHUB_STEP_SUMMARY")
    output.result(
        annotate_findings(findings)
        if file
        else annotate_findings(findings, "listed above")
    )
    output.result(totals)
    if file and findings:
        try:
            with Path(file).open("a", encoding="utf-8") as summary:
                summary.write(REDACTOR.redact(job_summary(f"{listed}\n{totals}")))
        except OSError as error:
            output.warn(f"cannot write the job summary: {error.strerror}")


def _totals(findings: Sequence[Finding], validated: Validation, directory: Path) -> str:
    totals = severity_totals(findings, count_files(directory))
    if validated.acknowledged:
        totals += f" {acknowledged_phrase(len(validated.acknowledged))}"
    totals += _catch_all_sentence(validated.unhandled_intents)
    if validated.results:
        totals += f" {tests_line(validated.results)}"
    return f"{totals}\n"


def _catch_all_sentence(intents: Sequence[str]) -> str:
    """Return which intents only a catch-all takes; "" for none."""
    if not intents:
        return ""
    verb = "is" if len(intents) == 1 else "are"
    names = join_first(intents, _MAX_INTENTS, quote)
    return f" {pluralize(len(intents), 'intent')} {verb} routed only by a catch-all: {names}."
