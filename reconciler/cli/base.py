"""The manifests before a change: those of `--base DIR|REV`, or of the merge base with the default
branch.
"""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha1, sha256
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from reconciler.cli.git import GitError, GitFile, GitRepository
from reconciler.cli.git_manifests import (
    UnreadableFileError,
    list_manifests,
    refuse_linked_folder,
    write_files,
)
from reconciler.cli.options import SelectionOptions
from reconciler.cli.output import Output
from reconciler.core.behaviour.endpoint_stage import FallbackPolicy
from reconciler.core.desired.desired import endpoint_stage
from reconciler.core.errors import ManifestError, UsageError
from reconciler.core.manifest.kinds.environment import Environment
from reconciler.core.manifest.load import BaseManifests, Manifests, load_manifests
from reconciler.core.manifest.source_map import LoadedDocument
from reconciler.core.manifest.yaml_reader import MAX_FILE_BYTES
from reconciler.core.model.finding import Finding
from reconciler.core.text.escape import escape_invisible, quote, sanitize
from reconciler.core.text.files import read_file

NO_BASE: Final = "none"  # the value of --base that compares with nothing
_SHORT: Final = 8  # characters of a commit's name
_LONG_HASH: Final = 64  # characters of a name in a repository with SHA-256


class _NotComparedError(Exception):
    """The manifests before the change cannot be read, or not be compared. The text says why."""


def load_base(options: SelectionOptions, manifests: Manifests) -> BaseManifests | None:
    """Return the manifests before the change, for commands with --base.

    Raises UsageError for a wrong --base.
    """
    if not options.has_base or options.base == NO_BASE:
        return None
    if options.base is not None:
        return _load_named(options.base, options.manifests, manifests)
    # neither depends on the manifests before a change
    if options.undo is not None or options.plan:
        return None
    return _load_default(options.manifests, manifests)


def announce_base(manifests: Manifests, output: Output) -> None:
    """Print the commit with which a plan compares, if no option names it and an endpoint's fallback
    differs.
    """
    base = manifests.base
    if base is None or not base.is_default or base.manifests is None:
        return
    environments = [loaded.document for loaded in manifests.environments.values()]
    if any(_is_changed(manifests, base, environment) for environment in environments):
        output.note(
            f"The endpoint's fallback is compared with {base.name} (--base none: with nothing)."
        )


def _is_changed(
    manifests: Manifests, base: BaseManifests, environment: Environment
) -> bool:
    """Return whether an Environment is compared, and has another fallback than before."""
    try:
        before = _compared_fallback(base, environment)
    except (UsageError, _NotComparedError):  # a warning says so
        return False
    return before.settings != endpoint_stage(manifests, environment).fallback.settings


def fallback_before(
    base: BaseManifests, environment: Environment
) -> FallbackPolicy | Finding | None:
    """Return the endpoint's fallback before the change, a finding if it is not known, or None if
    there was none.

    Raises UsageError for a named base whose Environment cannot be compared.
    """
    has_fallback = environment.context.below is not None
    try:
        return _compared_fallback(base, environment)
    except UsageError as error:
        if not base.is_default:
            raise
        return _not_compared(base, str(error)) if has_fallback else None
    except _NotComparedError as error:
        return (
            _not_compared(base, str(error))
            if has_fallback or not base.is_default
            else None
        )


def _compared_fallback(base: BaseManifests, environment: Environment) -> FallbackPolicy:
    if base.manifests is None:
        raise _NotComparedError(base.problem)
    if environment.name not in base.manifests.environments:
        raise _NotComparedError(
            f"the manifests have no Environment {quote(environment.name)} there"
        )
    before = base.manifests.environments[environment.name].document
    if (before.attributes, before.context.writer) != (
        environment.attributes,
        environment.context.writer,
    ):
        field = (
            "context.writer"
            if before.attributes == environment.attributes
            else "attributes"
        )
        reason = f"the Environment has other `{field}` there, and rules on both cannot be compared"
        raise UsageError(reason if base.is_default else f"{base.name}: {reason}")
    return endpoint_stage(base.manifests, before).fallback


def _not_compared(base: BaseManifests, reason: str) -> Finding:
    closing = "," if "," in base.name else ""
    since = f" since {base.name}{closing}" if base.name else ""
    message = f"a change of the endpoint's fallback{since} is not shown: {reason}"
    hint = (
        "specify --base DIR|REV, or --base none to omit this warning"
        if base.is_default
        else ""
    )
    return Finding(code="CXR321", severity="warning", message=message, hint=hint)


def _load_named(name: str, directory: str, manifests: Manifests) -> BaseManifests:
    # A revision comes first: a pull request can contain a directory with the name of a revision.
    place = f"--base {quote(name)}"
    try:
        commit = GitRepository.find(directory).find_commit(name)
    except GitError as error:
        if name and Path(name).is_dir():
            base = BaseManifests(name=place, revision=name)
            return _load_directory(Path(name), base, manifests.instant)
        reason = f"is not a git revision and not a directory: {error}"
        raise UsageError(
            f"{place} {reason}. Specify a revision of this clone, or a directory of manifests"
        ) from None
    try:
        return _load_commit(
            directory, commit, manifests, BaseManifests(name=place, revision=name)
        )
    except GitError as error:
        raise UsageError(
            f"{place}: git cannot read the manifests of that revision: {error}"
        ) from None
    except _NotComparedError as error:
        raise UsageError(f"{place}: {error}") from None


def _load_default(directory: str, manifests: Manifests) -> BaseManifests:
    name = commit = ""
    try:
        repository = GitRepository.find(directory)
        name, commit = _find_default(repository)
        return _load_commit(
            directory,
            commit,
            manifests,
            BaseManifests(name=name, revision=commit, is_default=True),
        )
    except (GitError, _NotComparedError) as error:
        problem = str(error)
    return BaseManifests(name=name, revision=commit, is_default=True, problem=problem)


def _find_default(repository: GitRepository) -> tuple[str, str]:
    """Return the name and the commit of the state before the change: the merge base with the
    default branch.
    """
    try:
        head = repository.find_commit("HEAD")
    except GitError:
        raise _NotComparedError("the repository has no commit yet") from None
    branch = repository.find_default_branch()
    if branch is None and (repository.is_detached() or repository.has_other_branches()):
        remedy = (
            "`git fetch origin` and `git remote set-head origin --auto` make it known"
        )
        raise _NotComparedError(f"git does not know the default branch here; {remedy}")
    if branch is None or branch.commit == head:
        return "HEAD", head
    commit = repository.find_merge_base(branch.commit, head)
    if commit == head:
        return "HEAD", head
    return (
        f"commit {commit[:_SHORT]}, the merge base with {sanitize(branch.name)}",
        commit,
    )


def _load_commit(
    directory: str, commit: str, manifests: Manifests, base: BaseManifests
) -> BaseManifests:
    """Return the base with its manifests. Raises GitError and _NotComparedError."""
    repository = GitRepository.find(directory)
    try:
        refuse_linked_folder(repository, directory)
        with repository.open_objects() as objects:
            root = objects.tree_of(commit)
            folder_tree = objects.find_folder(root, repository.prefix)
            listed = list_manifests(objects, folder_tree) if folder_tree else []
            tree = _Tree.compare(listed, directory, manifests)
            if tree.is_unchanged:
                return base.with_manifests(manifests)
            with TemporaryDirectory(prefix="cxroute-") as folder:
                place = Path(folder, "manifests")
                place.mkdir()
                write_files(objects, tree.files, place)
                return _load_directory(place, base, manifests.instant)
    except UnreadableFileError as error:
        raise _NotComparedError(str(error)) from None


def _load_directory(
    place: Path, base: BaseManifests, instant: datetime | None
) -> BaseManifests:
    """Return the base with the manifests of a directory, for rules at an instant."""
    try:
        return base.with_manifests(load_manifests(place, instant))
    except ManifestError as error:
        first = error.findings[0]
        if first.code == "CXR115":  # before the first manifest
            return base.with_manifests(Manifests(environments={}))
        message = first.message
        if first.source:
            path = os.path.relpath(first.source.file, place)
            if path != ".":
                message = f"{path}:{first.source.line}: {message}"
        return base.with_problem(f"its manifests are invalid: {message}")


@dataclass(frozen=True, slots=True)
class _Tree:
    """The manifests of a commit, compared with those of the directory, so that equal ones are not
    read again.
    """

    files: Sequence[GitFile]  # those to read
    is_unchanged: bool  # whether the directory has the same manifests

    @classmethod
    def compare(
        cls, listed: Sequence[GitFile], directory: str, manifests: Manifests
    ) -> "_Tree":
        names = {
            file.path: escape_invisible(Path(directory, file.path).as_posix())
            for file in listed
        }
        equal = {
            file.path
            for file in listed
            if _has_same_content(Path(directory, file.path), file)
        }
        decisive = _files_of(
            chain(manifests.environments.values(), manifests.profiles.values())
        )
        decisive |= _files_of(
            (*manifests.queues, *manifests.intents, *manifests.attributes)
        )
        others = _files_of(
            (*manifests.rulesets, *manifests.route_tests, *manifests.promises)
        )
        is_unchanged = len(equal) == len(listed) and decisive | others <= set(
            names.values()
        )
        # Rules, tests and promises do not decide what the endpoint writes: of these, only changed
        # files are read.
        rules_alone = others - decisive
        files = [
            file
            for file in listed
            if file.path not in equal or names[file.path] not in rules_alone
        ]
        return cls(files, is_unchanged)


def _has_same_content(path: Path, file: GitFile) -> bool:
    """Return whether a file has the content that git names by its hash; links count as changed."""
    if file.is_link:
        return False
    try:
        data = read_file(path, MAX_FILE_BYTES)
    except OSError:
        return False
    algorithm = sha256 if len(file.blob) == _LONG_HASH else sha1
    return algorithm(b"blob %d\0%b" % (len(data), data)).hexdigest() == file.blob


def _files_of(documents: Iterable[LoadedDocument[Any]]) -> set[str]:
    return {loaded.file for loaded in documents}
