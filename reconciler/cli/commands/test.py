"""`cxroute test`: the RouteTests and Promises, offline in every environment, or on live rules."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from reconciler.checks.adequacy import Adequacy, measure_adequacy
from reconciler.checks.missing_tests import candidate_tests, choose_tests, find_noticed, union
from reconciler.checks.route_tests import Checked, RouteTestResult, check, check_live, with_promises
from reconciler.cli.command_line import choose_environment, runs_route_tests, split_names, test_environments, utc_now
from reconciler.cli.conversation import failure_findings
from reconciler.cli.files import write_text
from reconciler.cli.output import Output
from reconciler.cli.rule_sources import read_tenant
from reconciler.cli.session import open_session
from reconciler.desired.queues import OfflineQueueResolver, resolve_aliases
from reconciler.errors import ManifestError, UsageError
from reconciler.manifest.load import Manifests, load_manifests, load_with_changes
from reconciler.manifest.yaml_patch import apply_edits, compute_edits, find_mapping
from reconciler.manifest.yaml_reader import MAX_FILE_BYTES
from reconciler.manifest.yaml_writer import format_mapping
from reconciler.model.rule import CANONICAL_JSON, Json, parse_number
from reconciler.render.impact import MAX_SHOWN
from reconciler.render.text.adequacy import AdequacyReport, adequacy_document, adequacy_lines
from reconciler.render.text.route_tests import junit_document, tests_document, tests_line
from reconciler.text.escape import escape_invisible, sanitize
from reconciler.text.files import read_file
from reconciler.traffic.sample import declared_traffic


def options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--live", action="store_true", help="test the tenant's live rules instead of the manifests")
    add("--junit", metavar="FILE", help="also write the results as JUnit XML")
    add("--adequacy", action="store_true", help="report which single edits of the rules move callers unnoticed")
    percent = "with --adequacy: exit 3 if the tests notice less than this share of the edits"
    add("--fail-under", metavar="PERCENT", help=percent)
    add("--write", metavar="FILE", help="with --adequacy: add the fewest route tests that notice them to this manifest")
    add("--format", choices=("text", "json"), default="text", help="output format (default: text)")


def run(options: argparse.Namespace, output: Output) -> int:
    """Check every test and promise in every environment (or in those of -e). Return 3 if one of them fails."""
    required, report = _required_percent(options), None
    if options.live:
        names = split_names(options.environment) if options.environment else (None,)
        sessions = [open_session(options, output, name) for name in names]
        sessions[0].terminal.print_banner(sessions[0].banner)
        tenants = ((each, read_tenant(each)) for each in sessions)
        checked = [check_live(s.manifests, s.environment, s.planner(live).desired, live) for s, live in tenants]
    else:
        manifests = load_manifests(Path(options.manifests))
        checked = _offline(manifests, options)
        report = _adequacy_report(options, manifests, checked)
    failed = failure_findings(checked, options.manifests)
    results = [result for each in checked for result in each.tried]
    promises = [result for each in checked for result in each.promises]
    if options.junit is not None:
        labels = {each.environment.name: each.labels for each in checked}
        write_text(Path(options.junit), junit_document(results, promises, labels, utc_now()))
    if output.form == "json":
        queues = {each.environment.name: each.queues for each in checked}
        further = {"adequacy": adequacy_document(report)} if report else {}
        output.document(tests_document(results, promises, queues) | further)
    else:
        output.findings(failed, sys.stdout)
        limit = sys.maxsize if output.loudness == "verbose" else MAX_SHOWN
        lines = [*([""] if failed else []), tests_line(results, promises)]
        output.result("\n".join([*lines, *(adequacy_lines(report, limit) if report else ())]) + "\n")
    if report and not report.reaches(required):
        output.warn(f"the tests notice less than {required:g} % of the edits (--fail-under)")
        return ManifestError.exit_code
    return ManifestError.exit_code if any(finding.severity == "error" for finding in failed) else 0


def _offline(manifests: Manifests, options: argparse.Namespace) -> list[Checked]:
    names = test_environments(manifests, options.environment)
    chosen = [name for name in names if runs_route_tests(manifests, options.environment, name)]
    checked = [with_promises(check(manifests, choose_environment(manifests, name))) for name in chosen]
    if wrong := [finding for each in checked for finding in each.findings if finding.severity == "error"]:
        raise ManifestError(list(dict.fromkeys(wrong)))
    return checked


def _required_percent(options: argparse.Namespace) -> float:
    """Return the number of `--fail-under`, 0 without it. Raises UsageError if the options do not fit together."""
    if options.adequacy and options.live:
        raise UsageError("--adequacy is about the rules of the manifests: omit --live")
    if not options.adequacy and (options.fail_under is not None or options.write is not None):
        raise UsageError("--fail-under and --write need --adequacy")
    try:
        percent = parse_number(options.fail_under or "0")
    except ValueError:
        percent = -1
    if not 0 <= percent <= 100:  # noqa: PLR2004 - percent
        raise UsageError(f"--fail-under {sanitize(options.fail_under)}: must be a number from 0 to 100")
    return percent


def _adequacy_report(
    options: argparse.Namespace, manifests: Manifests, checked: Sequence[Checked]
) -> AdequacyReport | None:
    """Return the report of `--adequacy`, None without it; `--write` adds tests. Raises ManifestError and UsageError."""
    if not options.adequacy:
        return None
    loaded = [manifests.environments.get(each.environment.name) for each in checked]
    samples = [declared_traffic(each, Path(options.manifests)) if each else None for each in loaded]
    adequacies = [measure_adequacy(each, sample) for each, sample in zip(checked, samples, strict=True)]
    return AdequacyReport(adequacies) if options.write is None else _add_missing_tests(options, manifests, adequacies)


def _add_missing_tests(
    options: argparse.Namespace, manifests: Manifests, adequacies: Sequence[Adequacy]
) -> AdequacyReport:
    root, real = os.path.realpath(options.manifests), Path(os.path.realpath(options.write))
    parts = Path(os.path.relpath(real, root)).parts
    if real.suffix not in (".yaml", ".yml") or any(part.startswith(".") for part in parts) or not real.parent.is_dir():
        place = f"must be a .yaml file in a directory of {sanitize(options.manifests)}, where its tests run"
        raise UsageError(f"--write {sanitize(options.write)}: {place}")
    file = _TestFile(manifests, Path(options.manifests), Path(options.manifests, *parts))
    names = [each.checked.environment.name for each in adequacies]
    resolvers = [OfflineQueueResolver(name, resolve_aliases(manifests, name)) for name in names]
    tests = [test for pair in zip(adequacies, resolvers, strict=True) for test in candidate_tests(*pair)]
    tests = list({CANONICAL_JSON.encode(test): test for test in tests}.values())
    noticed = find_noticed(adequacies, results := file.try_tests(tests, names))
    chosen = choose_tests(noticed, [len(result.conversation) for result in results[0]])
    if chosen:
        write_text(file.path, file.with_tests([tests[at] for at in chosen]))
    return AdequacyReport(adequacies, file.name, len(chosen), union(noticed[at] for at in chosen).bit_count())


class _TestFile:
    """A manifest, existing or new, to whose last RouteTests document tests are added."""

    def __init__(self, manifests: Manifests, directory: Path, path: Path) -> None:
        self.directory, self.path, self.name = directory, path, escape_invisible(path.as_posix())
        documents = [loaded for loaded in manifests.route_tests if loaded.file == self.name]
        self.loaded = documents[-1] if documents else None
        used, name = {loaded.document.name for loaded in manifests.route_tests}, path.stem
        while name in used:
            name += "-2"
        self.document = self.loaded.document.name if self.loaded else name

    def try_tests(self, tests: Sequence[Json], names: Sequence[str]) -> list[list[RouteTestResult]]:
        """Return the results of the tests in these environments, then in the others that run tests."""
        manifests = load_with_changes(self.directory, {self.name: self.with_tests(tests).encode()}) if tests else None
        if manifests is None:
            return [[] for _ in names]
        others = [name for name in test_environments(manifests, None) if runs_route_tests(manifests, None, name)]
        environments = [choose_environment(manifests, name) for name in dict.fromkeys([*names, *others])]
        results = [check(manifests, environment).tried for environment in environments]
        return [[each for each in tried if self._has(each)][-len(tests) :] for tried in results]

    def _has(self, result: RouteTestResult) -> bool:
        return (result.source.file, result.document) == (self.name, self.document)

    def with_tests(self, tests: Sequence[Json]) -> str:
        """Return the text of the file with further tests; its comments and other documents stay. Raises UsageError."""
        try:
            text = read_file(self.path, MAX_FILE_BYTES).decode() if self.path.exists() else ""
        except (OSError, UnicodeDecodeError):
            raise UsageError(f"--write {sanitize(str(self.path))}: the file cannot be read") from None
        if self.loaded is None:
            fields = {"apiVersion": "routing/v1", "kind": "RouteTests", "name": self.document, "tests": tests}
            return "\n".join([*([text.rstrip(), "---"] if text.strip() else []), *format_mapping(fields, 0), ""])
        source_map = self.loaded.source_map
        old = dict(source_map.root)
        edits = compute_edits(
            text, find_mapping(text, source_map.index(())), old, old | {"tests": [*old["tests"], *tests]}
        )
        return apply_edits(text, edits)
