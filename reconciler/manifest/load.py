"""A directory of manifests -> documents with their places, or every error of every file at once."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

from pydantic import ValidationError

from reconciler.errors import ManifestError
from reconciler.manifest import cross_checks as checks
from reconciler.manifest.documents import ITEMS, KINDS, Intents, Queues
from reconciler.manifest.error_messages import Place, complain
from reconciler.manifest.files import contents
from reconciler.manifest.kinds.environment import SANDBOX, Environment
from reconciler.manifest.kinds.profile import TUTORIAL, Profile
from reconciler.manifest.kinds.route_tests import RouteTests
from reconciler.manifest.kinds.ruleset import RuleSet
from reconciler.manifest.source_map import Loaded, Origin
from reconciler.manifest.text import Complaints, List, Map
from reconciler.manifest.yaml_reader import Reading, read
from reconciler.model.finding import Finding
from reconciler.text.escape import quote_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path


T = TypeVar("T")

_LIKENESS: Final = {
    "rules": "RuleSet",
    "owner": "Environment",
    "tests": "RouteTests",
    "queues": "Queues",
    "intents": "Intents",
}
"""The field by which a document of a kind is known."""
_MOST_PROBLEMS: Final = 5000
"""That one comparison of all documents tells of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifests:
    """All documents of a directory, valid each by itself and beside the others."""

    environments: Mapping[str, Loaded[Environment]]
    queues: tuple[Loaded[Queues], ...]
    rulesets: tuple[Loaded[RuleSet], ...]
    intents: tuple[Loaded[Intents], ...]
    route_tests: tuple[Loaded[RouteTests], ...]
    warnings: tuple[Finding, ...] = ()
    profiles: Mapping[str, Loaded[Profile]] = field(default_factory=dict)
    errors: tuple[Finding, ...] = ()
    """What is wrong with documents that are not here: see `load_environment`."""

    def profile(self, environment: Environment) -> Profile:
        """Return how the environment's tenant is spoken with: the profile that it names, else the tutorial's."""
        name = environment.api.profile
        return self.profiles[name].document if name is not None else TUTORIAL


class _Checked(NamedTuple):
    """A file that could be read: its complaints, and its documents, valid ones and all."""

    reading: Reading
    valid: list[Loaded[Any]]
    origins: list[Origin]

    @property
    def whole(self) -> bool:
        """Tell whether all documents of the file were seen."""
        return self.reading.complete and not self.reading.complaints.full

    def is_sound(self, loaded: Loaded[Any]) -> bool:
        """Tell whether no error stands between the start of a valid document and that of the next."""
        source = self.reading.text.source
        starts = [source(origin.start).line for origin in self.origins if origin.start > loaded.origin.start]
        lines = range(source(loaded.origin.start).line, min(starts, default=sys.maxsize))
        found = self.reading.complaints.findings()
        return not any(one.severity == "error" and one.source and one.source.line in lines for one in found)


def load(directory: Path) -> Manifests:
    """Return the manifests below a directory. ManifestError carries all findings, by file, line and column."""
    return _loaded(contents(directory))


def load_with(directory: Path, changed: Mapping[str, bytes]) -> Manifests:
    """Return the manifests as they would be with some files added or changed, by the paths that sources have.

    Raises ManifestError, as `load` does.
    """
    return _loaded(sorted({**dict(contents(directory)), **changed}.items()))


def load_environment(directory: Path, name: str) -> Manifests:
    """Return an Environment and the profiles, whatever is wrong with other documents; `errors` says what that is.

    Raises ManifestError where the Environment itself, or its profile, is wrong or missing. The sandbox needs none.
    """
    files = _files(contents(directory))
    findings = [finding for file in files for finding in _findings(file)]
    checked = [file for file in files if isinstance(file, _Checked)]
    sound = [loaded for file in checked for loaded in file.valid if file.is_sound(loaded)]
    profiles = {loaded.document.name: loaded for loaded in _of(Profile, sound)}
    environments = {loaded.document.name: loaded for loaded in _of(Environment, sound) if loaded.document.name == name}
    profile = environments[name].document.api.profile if name in environments else None
    named = [one for file in checked for one in file.origins if one.root.get("name") == name and _is_environment(one)]
    if len(named) > 1 or len(environments) < max(len(named), name != SANDBOX) or profile not in {None, *profiles}:
        raise ManifestError(findings)
    return Manifests(
        environments=environments,
        queues=(),
        rulesets=(),
        intents=(),
        route_tests=(),
        profiles=profiles,
        errors=tuple(findings),
    )


def _is_environment(origin: Origin) -> bool:
    """Say whether a document is meant as an Environment."""
    return bool(origin.root.get("kind") == "Environment")


def _files(found: Iterable[tuple[str, bytes | Finding]]) -> list[Finding | _Checked]:
    """Read files, and check each document by itself and beside the others."""
    files = [what if isinstance(what, Finding) else _checked(read(what, name)) for name, what in found]
    _compare(files, [loaded for file in files if isinstance(file, _Checked) for loaded in file.valid])
    return files


def _loaded(found: Iterable[tuple[str, bytes | Finding]]) -> Manifests:
    files = _files(found)
    valid = [loaded for file in files if isinstance(file, _Checked) for loaded in file.valid]
    findings = [finding for file in files for finding in _findings(file)]
    if any(finding.severity == "error" for finding in findings):
        raise ManifestError(findings)
    return Manifests(
        environments={loaded.document.name: loaded for loaded in _of(Environment, valid)},
        queues=_of(Queues, valid),
        rulesets=_of(RuleSet, valid),
        intents=_of(Intents, valid),
        route_tests=_of(RouteTests, valid),
        warnings=tuple(findings),
        profiles={loaded.document.name: loaded for loaded in _of(Profile, valid)},
    )


def _checked(reading: Reading) -> _Checked:
    """Check each document of a file by itself."""
    checked = _Checked(reading, [], [])
    for document in reading.documents:
        if reading.complaints.full:
            break
        if not isinstance(document.value, Map):
            message = "a document must be a mapping with apiVersion, kind and name"
            reading.complaints.add("CXR013", document.start, message)
            continue
        origin = Origin(reading.text, document.value, document.start)
        checked.origins.append(origin)
        checked.valid.extend(_validated(origin, reading.complaints))
    return checked


def _validated(origin: Origin, complaints: Complaints) -> list[Loaded[Any]]:
    """Return the document if its fields are right by themselves, and complain of those that are not."""
    for name, hint in (("apiVersion", "write apiVersion: routing/v1"), ("kind", _kinds(origin.root))):
        if name not in origin.root:
            complaints.add("CXR103", origin.start, f"missing field {quote_name(name)}", hint)
    kind = origin.root.get("kind")
    model = KINDS.get(kind) if isinstance(kind, str) else None
    if model is None:
        _complain_of_kind(origin, complaints)
        return []
    _tell(checks.of_document(origin), complaints)
    try:
        return [Loaded(model.model_validate(origin.root | _items(origin, str(kind), complaints)), origin)]
    except ValidationError as error:
        complain(error, Place(origin, model), complaints)
        return []


def _items(origin: Origin, kind: str, complaints: Complaints) -> dict[str, tuple[Any, ...]]:
    """Return a long document's items, validated one by one: a file with very many errors need not be seen through."""
    name, model = ITEMS.get(kind, ("", None))
    items = origin.root.get(name)
    if model is None or not isinstance(items, List):
        return {}
    valid: list[Any] = []
    for place, item in enumerate(items):
        if complaints.full:
            break
        try:
            valid.append(model.__pydantic_validator__.validate_python(item))
        except ValidationError as error:
            complain(error, Place(origin, model, (name, place)), complaints)
    return {name: tuple(valid)}


def _kinds(fields: Mapping[str, object]) -> str:
    """Return which kinds there are, and which one a document without a kind looks like."""
    like = next((kind for field, kind in _LIKENESS.items() if field in fields), "")
    return f"there are {', '.join(KINDS)}{f'; by its fields this one is kind: {like}' if like else ''}"


def _complain_of_kind(origin: Origin, complaints: Complaints) -> None:
    if "kind" not in origin.root:
        return
    kind = origin.root["kind"]
    what = f", not {quote_name(kind)}" if isinstance(kind, str) else ""
    hint = complaints.nearest(kind, KINDS) if isinstance(kind, str) else ""
    complaints.add("CXR101", origin.index(("kind",)), f'"kind" must be one of {", ".join(KINDS)}{what}', hint)


def _compare(files: list[Finding | _Checked], valid: list[Loaded[Any]]) -> None:
    """Check the documents beside each other. Where some were not seen, no name can be called unknown."""
    checked = [file for file in files if isinstance(file, _Checked)]
    complaints = {file.reading.text.file: file.reading.complaints for file in checked}
    origins = [origin for file in checked for origin in file.origins]
    problems = [
        checks.duplicates(origins),
        checks.shared_owners(_of(Environment, valid)),
        checks.shared_aliases(_of(Queues, valid)),
    ]
    if len(checked) == len(files) and all(file.whole for file in checked):
        problems += [checks.unknown_environments(origins), checks.unknown_profiles(origins)]
    for problem in chain.from_iterable(islice(found, _MOST_PROBLEMS) for found in problems):
        _tell([problem], complaints[problem.origin.text.file])


def _tell(problems: Iterable[checks.Problem], complaints: Complaints) -> None:
    for problem in problems:
        hint = complaints.nearest(problem.unknown, sorted(problem.known)) if problem.unknown else ""
        if problem.code == "CXR113" and not hint:
            # Not like any name that there is: an environment of another repository, or one to come, and no typo.
            complaints.warn(problem.code, problem.origin.index(problem.path), problem.message)
        else:
            complaints.add(problem.code, problem.origin.index(problem.path), problem.message, hint)


def _findings(file: Finding | _Checked) -> list[Finding]:
    return [file] if isinstance(file, Finding) else file.reading.complaints.findings()


def _of(kind: type[T], documents: Iterable[Loaded[Any]]) -> tuple[Loaded[T], ...]:
    """Return the documents of one kind."""
    return tuple(loaded for loaded in documents if isinstance(loaded.document, kind))
