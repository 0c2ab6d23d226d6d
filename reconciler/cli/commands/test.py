"""`cxroute test`: the RouteTests and Promises, offline in every environment, or on live rules."""

import argparse
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from reconciler.cli.command_line import (
    add_at_option,
    run_time,
    split_names,
    tested_environments,
    utc_now,
)
from reconciler.cli.conversation import failure_findings
from reconciler.cli.files import write_text
from reconciler.cli.options import SessionOptions
from reconciler.cli.output import Output
from reconciler.cli.parsing import add_format_option
from reconciler.cli.rule_lists import refuse_other_reading
from reconciler.cli.rule_sources import read_tenant
from reconciler.cli.session import open_session
from reconciler.cli.validation import note_assumed_steps
from reconciler.core.checks.adequacy import (
    Adequacy,
    candidate_tests,
    choose_tests,
    measure_adequacy,
)
from reconciler.core.checks.route_tests import (
    Checked,
    RouteTestResult,
    check,
    check_live,
    with_promises,
)
from reconciler.core.desired.queues import OfflineQueueResolver, resolve_aliases
from reconciler.core.errors import ManifestError, UsageError
from reconciler.core.export.names import find_free_name
from reconciler.core.manifest.load import Manifests, load_manifests, load_with_changes
from reconciler.core.manifest.yaml_patch import apply_edits, compute_edits
from reconciler.core.manifest.yaml_reader import MAX_FILE_BYTES
from reconciler.core.manifest.yaml_writer import format_mapping
from reconciler.core.model.finding import Finding
from reconciler.core.model.rule import CANONICAL_JSON, Json, parse_number
from reconciler.core.text.escape import escape_invisible, pluralize, sanitize
from reconciler.core.text.files import read_file
from reconciler.core.text.local_time import written_time
from reconciler.core.text.redact import REDACTOR
from reconciler.core.traffic.sample import declared_traffic
from reconciler.render.limits import MAX_SHOWN
from reconciler.render.text import route_tests as report


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteTestOptions(SessionOptions):
    """The options of `cxroute test`."""

    live: bool
    junit: str | None
    adequacy: bool
    fail_under: str | None
    write: str | None


def options(parser: argparse.ArgumentParser) -> type[RouteTestOptions]:
    add = parser.add_argument
    add(
        "--live",
        action="store_true",
        help="test the tenant's live rules instead of the manifests",
    )
    add("--junit", metavar="FILE", help="also write the results as JUnit XML")
    add(
        "--adequacy",
        action="store_true",
        help="report which single edits of the rules move callers unnoticed",
    )
    percent = (
        "with --adequacy: exit 3 if tests and promises notice less than this percentage of the "
        "edits"
    )
    add("--fail-under", metavar="PERCENT", help=percent)
    further = "with --adequacy: add a small set of route tests that notice them to this manifest"
    add("--write", metavar="FILE", help=further)
    add_format_option(parser)
    add_at_option(parser)
    return RouteTestOptions


def run(options: RouteTestOptions, output: Output) -> int:
    """Check every test and promise in every environment (or in those of -e).

    Return 3 if one of them fails.
    """
    required = _required_percent(options)
    adequacies: list[Adequacy] = []
    added = None
    if options.live:
        checked = _check_live(options, output)
    else:
        checked, adequacies, added = _check_and_add(options)
        note_assumed_steps([each.desired for each in checked], output)
    failed = failure_findings(checked, options.manifests)
    if options.junit is not None:
        _write_junit(Path(options.junit), checked)

    if output.form == "json":
        output.document(_document(options, checked, adequacies, added))
    else:
        output.findings(failed, sys.stdout)
        results = _lines(output, checked, adequacies)
        further = _lines_about_adding(options, adequacies, added)
        blank = [""] if failed else []
        output.result("\n".join([*blank, *results, *further]) + "\n")

    if not _notices_enough(adequacies, required):
        output.warn(
            f"the tests and promises notice less than {required:g} % of the edits (--fail-under)"
        )
        return ManifestError.exit_code
    return _exit_code(failed)


def _exit_code(failed: Iterable[Finding]) -> int:
    has_errors = any(finding.severity == "error" for finding in failed)
    return ManifestError.exit_code if has_errors else 0


def _check_and_add(
    options: RouteTestOptions,
) -> tuple[list[Checked], list[Adequacy], Json | None]:
    """Return what tests and promises result in, their adequacy, and what --write added before."""
    manifests, checked, adequacies = _check_offline(options)
    if options.write is None:
        return checked, adequacies, None
    file = _TestFile(manifests, options.manifests, options.write)
    added = file.add_missing(adequacies)
    _, checked, adequacies = _check_offline(options)
    return checked, adequacies, added


def _notices_enough(adequacies: Sequence[Adequacy], required: float) -> bool:
    """Return whether the tests and promises notice the required percentage of the edits."""
    noticed = sum(each.edits - len(each.unnoticed) for each in adequacies)
    # an undecided edit is not proven to be noticed
    edits = sum(each.edits + each.undecided for each in adequacies)
    return 100 * noticed >= required * edits


def _check_live(options: RouteTestOptions, output: Output) -> list[Checked]:
    """Return the tests and promises on the live rules of each environment."""
    names = split_names(options.environment) if options.environment else (None,)
    sessions = [open_session(options, output, name) for name in names]
    sessions[0].print_banner()
    checked = []
    for session in sessions:
        live = read_tenant(session)
        refuse_other_reading(session.manifests, session.environment, live)
        desired = session.planner(live).desired
        checked.append(
            check_live(session.manifests, session.environment, desired, live)
        )
    return checked


def _document(
    options: RouteTestOptions,
    checked: Sequence[Checked],
    adequacies: Sequence[Adequacy],
    added: Json | None,
) -> Json:
    """Return the results as JSON; `added` is about the tests that --write added."""
    results = [result for each in checked for result in each.tried]
    queues = {each.environment.name: each.queues for each in checked}
    document = report.tests_document(results, queues)
    if options.adequacy:
        adequacy = report.adequacy_document(adequacies)
        if added:
            adequacy |= {"added": added}
        document |= {"adequacy": adequacy}
    return document


def _lines(
    output: Output,
    checked: Sequence[Checked],
    adequacies: Sequence[Adequacy],
) -> list[str]:
    results = [result for each in checked for result in each.tried]
    limit = sys.maxsize if output.loudness == "verbose" else MAX_SHOWN
    return [report.tests_line(results), *report.adequacy_lines(adequacies, limit)]


def _lines_about_adding(
    options: RouteTestOptions, adequacies: Sequence[Adequacy], added: Json | None
) -> Iterator[str]:
    """Yield how many tests --write added, or that it can add some."""
    if added:
        tests = pluralize(added["tests"], "route test")
        yield f"{tests} added to {added['file']}."
    if not options.write and any(each.unnoticed for each in adequacies):
        yield (
            f"To add tests that notice them: cxroute test --adequacy --write "
            f"{options.manifests}/FILE.yaml"
        )


def _check_offline(
    options: RouteTestOptions,
) -> tuple[Manifests, list[Checked], list[Adequacy]]:
    """Return the manifests, their checked environments and, with --adequacy, the adequacy in each
    of these.
    """
    manifests = load_manifests(Path(options.manifests), run_time(options))
    environments = tested_environments(manifests, options.environment)
    checked = [
        with_promises(check(manifests, environment)) for environment in environments
    ]
    findings = [finding for each in checked for finding in each.findings]
    wrong = [finding for finding in findings if finding.severity == "error"]
    if wrong:
        raise ManifestError(list(dict.fromkeys(wrong)))
    if not options.adequacy:
        return manifests, checked, []

    samples = []
    for each in checked:
        loaded = manifests.environments.get(each.environment.name)
        sample = None
        if loaded:
            sample = declared_traffic(loaded, Path(options.manifests))
        samples.append(sample)
    adequacies = list(map(measure_adequacy, checked, samples))
    return manifests, checked, adequacies


def _write_junit(path: Path, checked: Sequence[Checked]) -> None:
    results = [result for each in checked for result in each.tried]
    labels = {each.environment.name: each.labels for each in checked}
    document = report.junit_document(results, labels, utc_now())
    write_text(path, REDACTOR.redact(document))


def _required_percent(options: RouteTestOptions) -> float:
    """Return the number of `--fail-under`, 0 without it.

    Raises UsageError if the options do not fit together.
    """
    if options.adequacy and options.live:
        raise UsageError("--adequacy is about the rules of the manifests: omit --live")
    if not options.adequacy and (
        options.fail_under is not None or options.write is not None
    ):
        raise UsageError("--fail-under and --write need --adequacy")
    text = "0" if options.fail_under is None else options.fail_under
    try:
        percent = parse_number(text)
    except ValueError:
        percent = -1
    if not 0 <= percent <= 100:  # noqa: PLR2004 - percent
        raise UsageError(
            f"--fail-under {sanitize(text)}: must be a number from 0 to 100"
        )
    return percent


def _test_at(test: Json, instant: datetime) -> Json:
    """Return a test about one time: where a rule has a date, a destination of today may be another
    one later.
    """
    return {**test, "given": {**test["given"], "at": written_time(instant)}}


class _TestFile:
    """A manifest, existing or new, to whose last RouteTests document tests are added."""

    def __init__(self, manifests: Manifests, directory: str, file: str) -> None:
        """Find the document of `--write`. Raises UsageError."""
        self.manifests = manifests
        self.directory = Path(directory)
        self.path = _path_within(directory, file)
        self.name = escape_invisible(self.path.as_posix())
        documents = [
            loaded for loaded in manifests.route_tests if loaded.file == self.name
        ]
        self.loaded = documents[-1] if documents else None
        if self.loaded:
            self.document = self.loaded.document.name
        else:
            names = [loaded.document.name for loaded in manifests.route_tests]
            self.document = find_free_name(self.path.stem, names)

    def add_missing(self, adequacies: Sequence[Adequacy]) -> Json:
        """Add the fewest tests that notice most edits. Return the file and their number."""
        names = [adequacy.checked.environment.name for adequacy in adequacies]
        tests_by_json = {}
        for name, adequacy in zip(names, adequacies, strict=True):
            aliases = resolve_aliases(self.manifests, name)
            resolver = OfflineQueueResolver(name, aliases)
            for test in candidate_tests(adequacy, resolver):
                tests_by_json[CANONICAL_JSON.encode(test)] = test
        tests = list(tests_by_json.values())
        instant = self.manifests.instant
        if instant and any(adequacy.checked.phases for adequacy in adequacies):
            tests += [_test_at(test, instant) for test in tests]
        chosen = []
        if tests:
            positions = choose_tests(adequacies, self._try_tests(tests, names))
            chosen = [tests[position] for position in positions]
        if chosen:
            write_text(self.path, self._with_tests(chosen))
        return {"file": self.name, "tests": len(chosen)}

    def _try_tests(
        self, tests: Sequence[Json], names: Sequence[str]
    ) -> list[list[RouteTestResult]]:
        """Return the results of the tests in these environments, then in the others that run
        tests.
        """
        content = self._with_tests(tests).encode()
        manifests = load_with_changes(
            self.directory, {self.name: content}, self.manifests.instant
        )
        tested = [
            environment.name for environment in tested_environments(manifests, None)
        ]
        results_by_environment = []
        for name in dict.fromkeys([*names, *tested]):
            checked = check(manifests, manifests.environment(name))
            results = [
                result
                for result in checked.tried
                if isinstance(result, RouteTestResult)
                and result.document == self.document
            ]
            results_by_environment.append(results[-len(tests) :])
        return results_by_environment

    def _with_tests(self, tests: Sequence[Json]) -> str:
        """Return the text of the file with further tests; its comments and other documents stay.

        Raises UsageError.
        """
        text = ""
        try:
            if self.path.exists():
                text = read_file(self.path, MAX_FILE_BYTES).decode()
        except (OSError, UnicodeDecodeError):
            raise UsageError(
                f"--write {sanitize(str(self.path))}: the file cannot be read"
            ) from None
        if self.loaded is None:
            fields = {
                "apiVersion": "routing/v1",
                "kind": "RouteTests",
                "name": self.document,
                "tests": tests,
            }
            lines = [*format_mapping(fields, 0), ""]
            if text.strip():
                lines = [text.rstrip(), "---", *lines]
            return "\n".join(lines)
        source_map = self.loaded.source_map
        old = dict(source_map.root)
        new = old | {"tests": [*old["tests"], *tests]}
        return apply_edits(text, compute_edits(text, source_map.index(()), old, new))


def _path_within(directory: str, file: str) -> Path:
    """Return the file of `--write`, below the directory as it is written.

    Raises UsageError for another place.
    """
    real = Path(os.path.realpath(file))
    parts = Path(os.path.relpath(real, os.path.realpath(directory))).parts
    is_hidden = any(part.startswith(".") for part in parts)
    is_yaml = real.suffix in (".yaml", ".yml")
    if not is_yaml or is_hidden or not real.parent.is_dir():
        place = (
            f"must be a .yaml file in a directory of {sanitize(directory)}, where its "
            f"tests run"
        )
        raise UsageError(f"--write {sanitize(file)}: {place}")
    return Path(directory, *parts)
