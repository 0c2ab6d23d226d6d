"""A directory of manifests -> documents with their positions, or all errors of all files."""

import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

from pydantic import ValidationError

from reconciler.core.errors import ManifestError, UsageError
from reconciler.core.manifest import cross_checks as checks
from reconciler.core.manifest.documents import (
    ITEM_FIELDS,
    KINDS,
    AttributeEntry,
    Attributes,
    Intents,
    Promises,
    Queues,
    RouteTests,
    model_of,
)
from reconciler.core.manifest.error_messages import (
    ValidatedValue,
    is_misspelt,
    report_errors,
)
from reconciler.core.manifest.files import read_files
from reconciler.core.manifest.kinds.environment import SANDBOX, Environment
from reconciler.core.manifest.kinds.profile import DEFAULT_PROFILE, Profile
from reconciler.core.manifest.kinds.ruleset import RuleSet
from reconciler.core.manifest.misread_texts import warn_of_misread_texts
from reconciler.core.manifest.model_paths import field_names
from reconciler.core.manifest.secret_fields import is_secret_name
from reconciler.core.manifest.source_map import (
    ErrorCollector,
    List,
    LoadedDocument,
    Map,
    SourceMap,
)
from reconciler.core.manifest.yaml_reader import ParsedFile, parse_file
from reconciler.core.model.finding import Finding
from reconciler.core.text.escape import quote_name
from reconciler.core.text.local_time import InvalidTimeError
from reconciler.core.text.suggest import suggest_one

if TYPE_CHECKING:
    from pathlib import Path

T = TypeVar("T")

_MAX_PROBLEMS: Final = 5000  # the limit of one check of all documents


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifests:
    """All documents of a directory, each valid by itself and together with the others."""

    environments: Mapping[str, LoadedDocument[Environment]]
    queues: tuple[LoadedDocument[Queues], ...] = ()
    rulesets: tuple[LoadedDocument[RuleSet], ...] = ()
    intents: tuple[LoadedDocument[Intents], ...] = ()
    route_tests: tuple[LoadedDocument[RouteTests], ...] = ()
    promises: tuple[LoadedDocument[Promises], ...] = ()
    warnings: tuple[Finding, ...] = ()
    profiles: Mapping[str, LoadedDocument[Profile]] = field(default_factory=dict)
    attributes: tuple[LoadedDocument[Attributes], ...] = ()
    labelled: bool = True  # whether people read labels; with -v they read names
    base: "BaseManifests | None" = (
        None  # those before a change, for commands that compare with them
    )
    # errors of skipped documents: see `load_environment`
    errors: tuple[Finding, ...] = ()
    # the one time of a run, for rules with dates; a local one is that of each Environment
    instant: datetime | None = None

    @property
    def before(self) -> "Manifests | None":
        """Return the manifests before a change, if they are known."""
        return self.base.manifests if self.base else None

    def environment(self, name: str) -> Environment:
        """Return the Environment of that name; the sandbox needs no document. Raises UsageError."""
        if name in self.environments:
            return self.environments[name].document
        if name == SANDBOX:
            return Environment(name=SANDBOX, owner=SANDBOX)
        names = sorted({*self.environments, SANDBOX})
        hint = suggest_one(name, names)
        raise UsageError(
            f"no Environment is named {name!r}; available: {', '.join(names)}{hint and f'; {hint}'}"
        )

    def instant_in(self, environment: Environment) -> datetime | None:
        """Return the instant of the run in an Environment, if there is one. Raises UsageError."""
        try:
            return self.instant and environment.instant_of(self.instant)
        except InvalidTimeError as error:
            raise UsageError(f"--at: {error}") from None

    def at(self, instant: datetime | None) -> "Manifests":
        """Return the manifests, and those before the change, for the rules of an instant."""
        base = self.base
        if base and base.manifests:
            base = base.with_manifests(replace(base.manifests, instant=instant))
        return replace(self, instant=instant, base=base)

    @property
    def declared_attributes(self) -> Mapping[str, AttributeEntry]:
        """Return the entries of all Attributes documents, by name."""
        return {
            name: entry
            for loaded in self.attributes
            for name, entry in loaded.document.attributes.items()
        }

    def profile(self, environment: Environment) -> Profile:
        """Return the environment's profile; without one, the default profile."""
        name = environment.api.profile
        return self.profiles[name].document if name is not None else DEFAULT_PROFILE


@dataclass(frozen=True, slots=True, kw_only=True)
class BaseManifests:
    """The manifests before a change; without them, the `problem`."""

    name: str  # for messages: `--base "old"`, or `commit 1a2b3c4d, the merge base with origin/main`
    revision: str  # a git revision or a directory
    is_default: bool = False  # whether the command line does not name them
    manifests: Manifests | None = None
    problem: str = ""

    def with_manifests(self, manifests: Manifests) -> "BaseManifests":
        """Return the base with the manifests that were read."""
        return replace(self, manifests=manifests)

    def with_problem(self, problem: str) -> "BaseManifests":
        """Return the base with the reason why its manifests are unknown."""
        return replace(self, problem=problem)


class _CheckedFile(NamedTuple):
    """A readable file: its errors, its valid documents, and the positions of all documents."""

    parsed: ParsedFile
    valid: list[LoadedDocument[Any]]
    source_maps: list[SourceMap]

    def is_free_of_errors(self, loaded: LoadedDocument[Any]) -> bool:
        """Return whether a valid document has no error up to the start of the next document."""
        source = self.parsed.text.source
        start = loaded.source_map.start
        following = [
            source(each.start).line for each in self.source_maps if each.start > start
        ]
        lines = range(source(start).line, min(following, default=sys.maxsize))
        findings = self.parsed.collector.findings()
        return not any(
            item.severity == "error" and item.source and item.source.line in lines
            for item in findings
        )

    def copy(self) -> "_CheckedFile":
        """Return the file for one more check beside others, which adds errors to it."""
        collector = self.parsed.collector.copy()
        return self._replace(parsed=self.parsed._replace(collector=collector))


class FileCache:
    """The checked files of the last load, for a series of loads that differ in few files.

    A file with the same path and bytes is not read again.
    """

    def __init__(self) -> None:
        self._files: dict[tuple[str, bytes], _CheckedFile] = {}

    def check_files(
        self, contents: Iterable[tuple[str, bytes | Finding]]
    ) -> list[_CheckedFile | Finding]:
        """Return each file with the errors that it has by itself, or why it is unreadable."""
        known = self._files
        self._files = {}
        files: list[_CheckedFile | Finding] = []
        for name, data in contents:
            if isinstance(data, Finding):
                files.append(data)
                continue
            key = (name, data)
            checked = known.get(key) or _check_file(parse_file(data, name))
            self._files[key] = checked
            files.append(checked.copy())
        return files


def load_manifests(directory: "Path", instant: datetime | None = None) -> Manifests:
    """Return the manifests below a directory; `instant` is the time for rules with dates.

    ManifestError carries all findings, by file, line and column.
    """
    return load_contents(read_files(directory), instant=instant)


def load_with_changes(
    directory: "Path", changed: Mapping[str, bytes], instant: datetime | None = None
) -> Manifests:
    """Return the manifests with some files added or changed, by the paths in sources.

    `instant` is the time for rules with dates. The directory may be empty, or missing. Raises
    ManifestError.
    """
    contents = {
        file: content
        for file, content in read_files(directory)
        if not (changed and is_no_manifests(content))
    }
    return load_contents(sorted({**contents, **changed}.items()), instant=instant)


def is_no_manifests(content: object) -> bool:
    """Return whether a directory has no manifest, or does not exist, by what was read of it."""
    return isinstance(content, Finding) and content.code == "CXR115"


def load_contents(
    contents: Iterable[tuple[str, bytes | Finding]],
    cache: FileCache | None = None,
    instant: datetime | None = None,
) -> Manifests:
    """Return the manifests of files, by path: their bytes, or why they are unreadable.

    `cache` has the files of an earlier load; `instant` is the time for rules with dates. Raises
    ManifestError.
    """
    files, findings = _check_files(contents, cache or FileCache())
    if any(finding.severity == "error" for finding in findings):
        raise ManifestError(findings)
    valid = [loaded for file in files for loaded in file.valid]
    return Manifests(
        environments=_by_name(_documents_of(Environment, valid)),
        queues=_documents_of(Queues, valid),
        rulesets=_documents_of(RuleSet, valid),
        intents=_documents_of(Intents, valid),
        route_tests=_documents_of(RouteTests, valid),
        promises=_documents_of(Promises, valid),
        warnings=tuple(findings),
        profiles=_by_name(_documents_of(Profile, valid)),
        attributes=_documents_of(Attributes, valid),
        instant=instant,
    )


def defined_environments(directory: "Path") -> tuple[str, ...]:
    """Return the names of all Environments, of invalid files too, and the sandbox.

    Raises ManifestError.
    """
    contents = (
        parse_file(data, name)
        for name, data in read_files(directory)
        if isinstance(data, bytes)
    )
    roots = (document.value for parsed in contents for document in parsed.documents)
    names = (
        root.get("name")
        for root in roots
        if isinstance(root, Map) and root.get("kind") == "Environment"
    )
    return tuple(
        dict.fromkeys([*(name for name in names if isinstance(name, str)), SANDBOX])
    )


def load_environment(directory: "Path", name: str) -> Manifests:
    """Return an Environment and the profiles, despite `errors` in other documents.

    Raises ManifestError.
    """
    files, findings = _check_files(read_files(directory), FileCache())
    sound = [
        loaded
        for file in files
        for loaded in file.valid
        if file.is_free_of_errors(loaded)
    ]
    profiles = _by_name(_documents_of(Profile, sound))
    environments = _by_name(
        loaded
        for loaded in _documents_of(Environment, sound)
        if loaded.document.name == name
    )
    profile = environments[name].document.api.profile if name in environments else None

    roots = [source_map.root for file in files for source_map in file.source_maps]
    count = sum(
        root.get("name") == name and root.get("kind") == "Environment" for root in roots
    )
    is_missing = len(environments) < max(count, name != SANDBOX)
    is_profile_missing = profile not in {None, *profiles}
    if count > 1 or is_missing or is_profile_missing:
        raise ManifestError(findings)
    return Manifests(
        environments=environments,
        profiles=profiles,
        errors=tuple(findings),
    )


def _check_files(
    contents: Iterable[tuple[str, bytes | Finding]], cache: FileCache
) -> tuple[list[_CheckedFile], list[Finding]]:
    """Read files, and check each document by itself and against the others: the readable files, all
    findings.
    """
    files = cache.check_files(contents)
    checked = [file for file in files if isinstance(file, _CheckedFile)]
    source_maps = [source_map for file in checked for source_map in file.source_maps]
    problems = _cross_problems(checked, source_maps)
    # A name counts as unknown only if every document was read.
    if all(map(_is_fully_read, files)):
        problems += [
            checks.find_unknown_environments(source_maps),
            checks.find_unknown_profiles(source_maps),
        ]

    collectors = {file.parsed.text.file: file.parsed.collector for file in checked}
    for group in problems:
        for problem in islice(group, _MAX_PROBLEMS):
            _report_problems([problem], collectors[problem.source_map.text.file])

    return checked, _all_findings(files)


def _all_findings(files: Iterable[_CheckedFile | Finding]) -> list[Finding]:
    findings: list[Finding] = []
    for file in files:
        if isinstance(file, Finding):
            findings.append(file)
        else:
            findings += file.parsed.collector.findings()
    return findings


def _cross_problems(
    files: Iterable[_CheckedFile], source_maps: Iterable[SourceMap]
) -> list[Iterable[checks.DocumentProblem]]:
    """Return the problems of documents beside the others, by check."""
    valid = [loaded for file in files for loaded in file.valid]
    queues = _documents_of(Queues, valid)
    attributes = _documents_of(Attributes, valid)
    return [
        checks.find_duplicates(source_maps),
        checks.find_shared_owners(_documents_of(Environment, valid)),
        checks.find_shared_names(queues, "queues", "CXR118", "alias"),
        checks.find_shared_names(attributes, "attributes", "CXR124", "attribute"),
        checks.find_ambiguous_groups(attributes, _documents_of(Intents, valid)),
    ]


def _is_fully_read(file: _CheckedFile | Finding) -> bool:
    """Return whether every document of a file was read; a file of a warning has none."""
    if isinstance(file, Finding):
        return file.severity != "error"
    return file.parsed.is_complete and not file.parsed.collector.is_full


def _check_file(parsed: ParsedFile) -> _CheckedFile:
    checked = _CheckedFile(parsed, [], [])
    for document in parsed.documents:
        if parsed.collector.is_full:
            break
        if isinstance(document.value, Map):
            source_map = SourceMap(parsed.text, document.value, document.start)
            checked.source_maps.append(source_map)
            checked.valid.extend(_validate_document(source_map, parsed.collector))
        else:
            message = "a document must be a mapping with apiVersion, kind and name"
            parsed.collector.report("CXR013", document.start, message)
    warn_of_misread_texts(parsed.collector, checked.source_maps)
    return checked


def _validate_document(
    source_map: SourceMap, collector: ErrorCollector
) -> list[LoadedDocument[Any]]:
    """Return the document if its fields are valid, and report the fields that are not."""
    root = source_map.root
    kind = root.get("kind")
    model = model_of(root)
    _check_head(source_map, collector, model)
    if model is None:
        return []
    _warn_of_secrets(source_map, collector)
    check = checks.DOCUMENT_CHECKS.get(str(kind))
    if check:
        _report_problems(check(source_map), collector)
    try:
        fields = root | _validate_items(source_map, str(kind), collector)
        return [LoadedDocument(model.model_validate(fields), source_map)]
    except ValidationError as error:
        report_errors(error, ValidatedValue(source_map, model), collector)
        return []


def _check_head(
    source_map: SourceMap,
    collector: ErrorCollector,
    model: type[Any] | None,
) -> None:
    """Report a missing or unknown apiVersion and kind."""
    root = source_map.root
    hints = {
        "apiVersion": "write apiVersion: routing/v1",
        "kind": f"available: {', '.join(KINDS)}",
    }
    for name, hint in hints.items():
        if name in root:
            continue
        misspelt = next((key for key in root if key.casefold() == name.casefold()), "")
        if not misspelt:
            message = f"missing field {quote_name(name)}"
            collector.report("CXR103", source_map.start, message, hint)
        elif not model:  # a known kind reports its unknown fields itself
            message = f"unknown field {quote_name(misspelt)}"
            suggestion = f"did you mean {quote_name(name)}?"
            index = source_map.key_index((misspelt,))
            collector.report("CXR102", index, message, suggestion)
    if model is None and "kind" in root:
        _report_unknown_kind(source_map, collector)


def _report_unknown_kind(source_map: SourceMap, collector: ErrorCollector) -> None:
    kind = source_map.root["kind"]
    message = f'"kind" must be one of {", ".join(KINDS)}'
    hint = ""
    if isinstance(kind, str):
        message += f", not {quote_name(kind)}"
        hint = collector.suggest(kind, KINDS)
    collector.report("CXR101", source_map.index(("kind",)), message, hint)


def _warn_of_secrets(source_map: SourceMap, collector: ErrorCollector) -> None:
    """Warn about variables with the name of a secret: rules and outputs show the values of
    variables.
    """
    variables = source_map.root.get("vars")
    for name in variables if isinstance(variables, Map) else ():
        if is_secret_name(name):
            message = (
                f"the variable {quote_name(name)} has the name of a secret, and rules show its "
                f"value"
            )
            collector.warn("CXR140", source_map.key_index(("vars", name)), message)


def _validate_items(
    source_map: SourceMap,
    kind: str,
    collector: ErrorCollector,
) -> dict[str, tuple[Any, ...]]:
    """Return a long document's items, validated one by one: validation stops once enough errors are
    reported.
    """
    name, model = ITEM_FIELDS.get(kind, ("", None))
    items = source_map.root.get(name)
    if model is None or not isinstance(items, List):
        return {}
    valid: list[Any] = []
    for index, item in enumerate(items):
        if collector.is_full:
            break
        try:
            valid.append(model.__pydantic_validator__.validate_python(item))
        except ValidationError as error:
            validated = ValidatedValue(source_map, model, (name, index))
            report_errors(error, validated, collector)
    return {name: tuple(valid)}


def _report_problems(
    problems: Iterable[checks.DocumentProblem], collector: ErrorCollector
) -> None:
    for problem in problems:
        if problem.missing and _is_misspelt(problem, collector):
            continue  # the unknown field is the error
        hint = ""
        if problem.unknown_name:
            candidates = sorted(problem.candidates)
            hint = collector.suggest(problem.unknown_name, candidates)
        index = problem.source_map.index(problem.path)
        if problem.code == "CXR113" and not hint:
            # Not similar to an existing name: an environment of another repository, or a future
            # one.
            collector.warn(problem.code, index, problem.message)
        else:
            collector.report(problem.code, index, problem.message, hint)


def _is_misspelt(problem: checks.DocumentProblem, collector: ErrorCollector) -> bool:
    source_map = problem.source_map
    model = model_of(source_map.root)
    valid_names = field_names(model, problem.path) if model else ()
    fields = source_map.value(problem.path)
    return is_misspelt(fields, valid_names, problem.missing, collector)


def _by_name(documents: Iterable[LoadedDocument[T]]) -> dict[str, LoadedDocument[T]]:
    by_name: dict[str, LoadedDocument[T]] = {}
    for loaded in documents:
        name = str(loaded.source_map.root["name"])
        by_name[name] = loaded
    return by_name


def _documents_of(
    kind: type[T], documents: Iterable[LoadedDocument[Any]]
) -> tuple[LoadedDocument[T], ...]:
    of_kind = [loaded for loaded in documents if isinstance(loaded.document, kind)]
    return tuple(of_kind)
