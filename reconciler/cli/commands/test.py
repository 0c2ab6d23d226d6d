"""`cxroute test`: the RouteTests and Promises, offline in every environment, or on live rules."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from reconciler.checks.adequacy import (
    Adequacy,
    candidate_tests,
    choose_tests,
    measure_adequacy,
)
from reconciler.checks.route_tests import (
    Checked,
    RouteTestResult,
    check,
    check_live,
    with_promises,
)
from reconciler.cli.command_line import split_names, tested_environments, utc_now
from reconciler.cli.conversation import failure_findings
from reconciler.cli.files import write_text
from reconciler.cli.output import Output
from reconciler.cli.rule_sources import read_tenant
from reconciler.cli.session import open_session
from reconciler.desired.queues import OfflineQueueResolver, resolve_aliases
from reconciler.errors import ManifestError, UsageError
from reconciler.export.names import find_free_name
from reconciler.manifest.load import Manifests, load_manifests, load_with_changes
from reconciler.manifest.yaml_patch import apply_edits, compute_edits
from reconciler.manifest.yaml_reader import MAX_FILE_BYTES
from reconciler.manifest.yaml_writer import format_mapping
from reconciler.model.rule import CANONICAL_JSON, Json, parse_number
from reconciler.render.limits import MAX_SHOWN
from reconciler.render.text import route_tests as report
from reconciler.text.escape import escape_invisible, pluralize, sanitize
from reconciler.text.files import read_file
from reconciler.text.redact import REDACTOR
from reconciler.traffic.sample import declared_traffic


def options(parser: argparse.ArgumentParser) -> None:
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
    add(
        "--format",
        choices=("text", "json"),
        default="text",
        help="output format (default: text)",
    )


def run(options: argparse.Namespace, output: Output) -> int:
    """Check every test and promise in every environment (or in those of -e).

    Return 3 if one of them fails.
    """
    required, adequacies, added = (
        _required_percent(options),
        list[Adequacy](),
        dict[str, Any](),
    )
    if options.live:
        names = split_names(options.environment) if options.environment else (None,)
        sessions = [open_session(options, output, name) for name in names]
        sessions[0].print_banner()
        tenants = ((each, read_tenant(each)) for each in sessions)
        checked = [
            check_live(s.manifests, s.environment, s.planner(live).desired, live)
            for s, live in tenants
        ]
    else:
        manifests, checked, adequacies = _check_offline(options)
        if options.write is not None:
            added = {"added": _TestFile(options, manifests).add_missing(adequacies)}
            _, checked, adequacies = _check_offline(options)
    failed = failure_findings(checked, options.manifests)
    results = [result for each in checked for result in each.tried]
    if options.junit is not None:
        _write_junit(Path(options.junit), checked)
    if output.form == "json":
        queues = {each.environment.name: each.queues for each in checked}
        further = (
            {"adequacy": report.adequacy_document(adequacies) | added}
            if options.adequacy
            else {}
        )
        output.document(report.tests_document(results, queues) | further)
    else:
        output.findings(failed, sys.stdout)
        limit = sys.maxsize if output.loudness == "verbose" else MAX_SHOWN
        lines = [
            *([""] if failed else []),
            report.tests_line(results),
            *report.adequacy_lines(adequacies, limit),
        ]
        lines += [
            f"{pluralize(each['tests'], 'route test')} added to {each['file']}."
            for each in added.values()
        ]
        if not options.write and any(each.unnoticed for each in adequacies):
            lines += [
                (
                    f"To add tests that notice them: cxroute test --adequacy --write "
                    f"{options.manifests}/FILE.yaml"
                )
            ]
        output.result("\n".join(lines) + "\n")
    edits = sum(
        each.edits + each.undecided for each in adequacies
    )  # an undecided edit is not proven to be noticed
    if (
        100 * sum(each.edits - len(each.unnoticed) for each in adequacies)
        < required * edits
    ):
        output.warn(
            f"the tests and promises notice less than {required:g} % of the edits (--fail-under)"
        )
        return ManifestError.exit_code
    return (
        ManifestError.exit_code
        if any(finding.severity == "error" for finding in failed)
        else 0
    )


def _check_offline(
    options: argparse.Namespace,
) -> tuple[Manifests, list[Checked], list[Adequacy]]:
    """Return the manifests, their checked environments and, with --adequacy, the adequacy in each
    of these.
    """
    manifests = load_manifests(Path(options.manifests))
    environments = tested_environments(manifests, options.environment)
    checked = [
        with_promises(check(manifests, environment)) for environment in environments
    ]
    if wrong := [
        finding
        for each in checked
        for finding in each.findings
        if finding.severity == "error"
    ]:
        raise ManifestError(list(dict.fromkeys(wrong)))
    loaded = [
        (each, manifests.environments.get(each.environment.name))
        for each in checked
        if options.adequacy
    ]
    samples = [
        (each, declared_traffic(at, Path(options.manifests)) if at else None)
        for each, at in loaded
    ]
    return (
        manifests,
        checked,
        [measure_adequacy(each, sample) for each, sample in samples],
    )


def _write_junit(path: Path, checked: Sequence[Checked]) -> None:
    results = [result for each in checked for result in each.tried]
    labels = {each.environment.name: each.labels for each in checked}
    write_text(path, REDACTOR.redact(report.junit_document(results, labels, utc_now())))


def _required_percent(options: argparse.Namespace) -> float:
    """Return the number of `--fail-under`, 0 without it.

    Raises UsageError if the options do not fit together.
    """
    if options.adequacy and options.live:
        raise UsageError("--adequacy is about the rules of the manifests: omit --live")
    if not options.adequacy and (
        options.fail_under is not None or options.write is not None
    ):
        raise UsageError("--fail-under and --write need --adequacy")
    try:
        percent = parse_number(
            "0" if options.fail_under is None else options.fail_under
        )
    except ValueError:
        percent = -1
    if not 0 <= percent <= 100:  # noqa: PLR2004 - percent
        raise UsageError(
            f"--fail-under {sanitize(options.fail_under)}: must be a number from 0 to 100"
        )
    return percent


class _TestFile:
    """A manifest, existing or new, to whose last RouteTests document tests are added."""

    def __init__(self, options: argparse.Namespace, manifests: Manifests) -> None:
        """Find the document of `--write`. Raises UsageError."""
        root, real = (
            os.path.realpath(options.manifests),
            Path(os.path.realpath(options.write)),
        )
        parts = Path(os.path.relpath(real, root)).parts
        is_hidden = any(part.startswith(".") for part in parts)
        if (
            real.suffix not in (".yaml", ".yml")
            or is_hidden
            or not real.parent.is_dir()
        ):
            place = (
                f"must be a .yaml file in a directory of {sanitize(options.manifests)}, where its "
                f"tests run"
            )
            raise UsageError(f"--write {sanitize(options.write)}: {place}")
        self.manifests, self.directory = manifests, Path(options.manifests)
        self.path = Path(self.directory, *parts)
        self.name = escape_invisible(self.path.as_posix())
        documents = [
            loaded for loaded in manifests.route_tests if loaded.file == self.name
        ]
        self.loaded = documents[-1] if documents else None
        names = [loaded.document.name for loaded in manifests.route_tests]
        self.document = (
            self.loaded.document.name
            if self.loaded
            else find_free_name(self.path.stem, names)
        )

    def add_missing(self, adequacies: Sequence[Adequacy]) -> Json:
        """Add the fewest tests that notice most edits. Return the file and their number."""
        names = [each.checked.environment.name for each in adequacies]
        resolvers = [
            OfflineQueueResolver(name, resolve_aliases(self.manifests, name))
            for name in names
        ]
        candidates = [
            test
            for pair in zip(adequacies, resolvers, strict=True)
            for test in candidate_tests(*pair)
        ]
        tests = list(
            {CANONICAL_JSON.encode(test): test for test in candidates}.values()
        )
        chosen = (
            choose_tests(adequacies, self._try_tests(tests, names)) if tests else []
        )
        if chosen:
            write_text(self.path, self._with_tests([tests[at] for at in chosen]))
        return {"file": self.name, "tests": len(chosen)}

    def _try_tests(
        self, tests: Sequence[Json], names: Sequence[str]
    ) -> list[list[RouteTestResult]]:
        """Return the results of the tests in these environments, then in the others that run
        tests.
        """
        manifests = load_with_changes(
            self.directory, {self.name: self._with_tests(tests).encode()}
        )
        others = (
            environment.name for environment in tested_environments(manifests, None)
        )
        environments = (
            manifests.environment(name) for name in dict.fromkeys([*names, *others])
        )
        tried = (check(manifests, environment).tried for environment in environments)
        results = (
            [each for each in some if isinstance(each, RouteTestResult)]
            for some in tried
        )
        return [
            [each for each in some if each.document == self.document][-len(tests) :]
            for some in results
        ]

    def _with_tests(self, tests: Sequence[Json]) -> str:
        """Return the text of the file with further tests; its comments and other documents stay.

        Raises UsageError.
        """
        try:
            text = (
                read_file(self.path, MAX_FILE_BYTES).decode()
                if self.path.exists()
                else ""
            )
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
            return "\n".join(
                [
                    *([text.rstrip(), "---"] if text.strip() else []),
                    *format_mapping(fields, 0),
                    "",
                ]
            )
        source_map, old = self.loaded.source_map, dict(self.loaded.source_map.root)
        new = old | {"tests": [*old["tests"], *tests]}
        return apply_edits(text, compute_edits(text, source_map.index(()), old, new))
