"""`cxroute test --adequacy`: which single edits of the rules no route test notices, and the tests that would."""

import argparse
import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from reconciler.checks.adequacy import Adequacy, measure_adequacy
from reconciler.checks.missing_tests import candidate_tests, choose_tests, distinct_tests
from reconciler.checks.route_tests import Checked, RouteTestResult, check
from reconciler.cli.command_line import choose_environment, runs_route_tests, test_environments
from reconciler.cli.files import write_text
from reconciler.desired.queues import OfflineQueueResolver, resolve_aliases
from reconciler.errors import UsageError
from reconciler.export.names import find_free_name
from reconciler.manifest.add_tests import add_route_tests
from reconciler.manifest.load import Manifests, load_with_changes
from reconciler.manifest.yaml_reader import MAX_FILE_BYTES
from reconciler.model.rule import Json, parse_number
from reconciler.render.text.adequacy import AddedTests, added_line, adequacy_line, adequacy_lines
from reconciler.text.escape import escape_invisible, sanitize
from reconciler.text.files import read_file
from reconciler.traffic.sample import declared_traffic

_EXTENSIONS = (".yaml", ".yml")


class AdequacyResult(NamedTuple):
    """The adequacy in each environment, and the tests that `--write` added."""

    adequacies: list[Adequacy]
    added: AddedTests | None
    required: float  # percent of the edits that must be noticed

    @property
    def reaches(self) -> bool:
        """Return whether the tests, also those that were added, notice enough edits of all environments."""
        edits = sum(each.edits for each in self.adequacies)
        unnoticed = sum(len(each.unnoticed) for each in self.adequacies) - (self.added.noticed if self.added else 0)
        return 100 * (edits - unnoticed) >= self.required * edits

    def text(self, limit: int) -> str:
        """Return up to `limit` unnoticed edits, and the totals."""
        unnoticed = sum(len(each.unnoticed) for each in self.adequacies)
        lines = ["", *adequacy_lines(self.adequacies, limit), ""] if unnoticed else []
        lines += map(adequacy_line, self.adequacies)
        lines += [added_line(self.added, unnoticed)] if self.added else []
        lines += [] if self.reaches else [f"The noticed share is less than --fail-under {self.required:g}."]
        return "\n".join(lines) + "\n"


def add_adequacy_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `test` about adequacy."""
    add = parser.add_argument
    add("--adequacy", action="store_true", help="report which single edits of the rules move callers unnoticed")
    percent = "with --adequacy: exit 3 if the tests notice less than this share of the edits"
    add("--fail-under", metavar="PERCENT", help=percent)
    add("--write", metavar="FILE", help="with --adequacy: add the fewest route tests that notice them to this manifest")


def check_adequacy_options(options: argparse.Namespace) -> None:
    """Raise UsageError if the options do not fit together."""
    if not options.adequacy and (options.fail_under is not None or options.write is not None):
        raise UsageError(f"{'--write' if options.write is not None else '--fail-under'} needs --adequacy")
    if options.adequacy and options.live:
        raise UsageError("--adequacy is about the rules of the manifests: omit --live")
    _required_percent(options.fail_under)


def _required_percent(text: str | None) -> float:
    """Return the number of `--fail-under`. Raises UsageError."""
    try:
        percent = float(parse_number(text or "0"))
    except ValueError:
        percent = -1
    if not 0 <= percent <= 100:  # noqa: PLR2004 - percent
        raise UsageError(f"--fail-under {sanitize(str(text))}: must be a number from 0 to 100")
    return percent


def measure(options: argparse.Namespace, manifests: Manifests, checked: Sequence[Checked]) -> AdequacyResult:
    """Return the adequacy in each environment; `--write` adds the missing tests. Raises ManifestError, UsageError."""
    target = _manifest_path(options) if options.write is not None else None
    directory, adequacies = Path(options.manifests), []
    for each in checked:
        loaded = manifests.environments.get(each.environment.name)
        adequacies.append(measure_adequacy(each, declared_traffic(loaded, directory) if loaded else None))
    added = _TestWriter(manifests, directory, target).add(adequacies) if target else None
    return AdequacyResult(adequacies, added, _required_percent(options.fail_under))


def _manifest_path(options: argparse.Namespace) -> str:
    """Return the path of the file of `--write` as in messages: below the manifests' directory. Raises UsageError."""
    root, real = os.path.realpath(options.manifests), os.path.realpath(options.write)
    parts = Path(os.path.relpath(real, root)).parts
    if not real.endswith(_EXTENSIONS) or any(part.startswith(".") for part in parts) or not Path(real).parent.is_dir():
        place = f"must be a .yaml file in a directory of {sanitize(options.manifests)}, where its tests run"
        raise UsageError(f"--write {sanitize(options.write)}: {place}")
    return (Path(options.manifests) / Path(*parts)).as_posix()


class _TestWriter:
    """Adds tests to one file of a directory."""

    def __init__(self, manifests: Manifests, directory: Path, path: str) -> None:
        self.manifests, self.directory, self.path = manifests, directory, path
        self.file = escape_invisible(path)  # as in messages
        documents = [loaded for loaded in manifests.route_tests if loaded.file == self.file]
        self.document = documents[-1] if documents else None
        names = {loaded.document.name for loaded in manifests.route_tests}
        self.name = self.document.document.name if self.document else find_free_name(Path(path).stem, names)

    def add(self, adequacies: Sequence[Adequacy]) -> AddedTests:
        """Write the fewest tests that notice the unnoticed edits, and return their number."""
        candidates: list[Json] = []
        for adequacy in adequacies:
            name = adequacy.checked.environment.name
            resolver = OfflineQueueResolver(name, resolve_aliases(self.manifests, name))
            candidates += candidate_tests(adequacy, resolver)
        candidates = distinct_tests(candidates)
        results = self._try(candidates, adequacies) if candidates else []
        choice = choose_tests(adequacies, results)
        if choice.numbers:
            write_text(Path(self.path), self._text([candidates[number] for number in choice.numbers]))
        return AddedTests(self.file, len(choice.numbers), choice.noticed)

    def _try(self, tests: Sequence[Json], adequacies: Sequence[Adequacy]) -> list[list[RouteTestResult]]:
        """Return the results of the tests in these environments, then in the others that run tests."""
        manifests = load_with_changes(self.directory, {self.file: self._text(tests).encode()})
        environments = {each.checked.environment.name: each.checked.environment for each in adequacies}
        for name in test_environments(manifests, None):
            if runs_route_tests(manifests, None, name):
                environments.setdefault(name, choose_environment(manifests, name))
        results = (check(manifests, environment).tried for environment in environments.values())
        return [[each for each in tried if self._is_added(each)][-len(tests) :] for tried in results]

    def _is_added(self, result: RouteTestResult) -> bool:
        return result.document == self.name and result.source.file == self.file

    def _text(self, tests: Sequence[Json]) -> str:
        try:
            text = read_file(self.path, MAX_FILE_BYTES).decode() if Path(self.path).exists() else ""
        except (OSError, UnicodeDecodeError):
            raise UsageError(f"--write {sanitize(self.path)}: the file cannot be read") from None
        return add_route_tests(text, self.document, self.name, tests)
