"""Reads the versions of a merge: revisions of git or directories, and git's own merge of them."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Final, NamedTuple

from reconciler.cli.git import GitError, GitRepository
from reconciler.cli.git_manifests import (
    Contents,
    UnreadableFileError,
    list_manifests,
    path_in,
    refuse_linked_folder,
    revision_contents,
)
from reconciler.cli.git_merge import GitMerge, merge_commits
from reconciler.core.errors import CxrouteError, ManifestError, UsageError
from reconciler.core.manifest.files import EXTENSIONS, read_files
from reconciler.core.manifest.load import Manifests, load_contents
from reconciler.core.model.finding import Finding
from reconciler.core.text.escape import (
    MAX_ITEMS,
    join_first,
    quote,
    sanitize,
)
from reconciler.features.changes.merge_check import Version
from reconciler.features.changes.merge_winners import VERSIONS

_NO_MANIFESTS: Final = "CXR115"
_MARK: Final = b"<<<<<<<"  # the first line of a text conflict


class MergeConflictError(CxrouteError, kind="MergeConflict", exit_code=3):
    """Git cannot merge two changes; the message names the files."""


class VersionPlace(NamedTuple):
    """Where a version is: a commit, or a directory if there is none."""

    label: str  # of `VERSIONS`
    title: str
    commit: str


def read_versions(
    names: Sequence[str], merged: str | None, directory: str, instant: datetime
) -> list[Version]:
    """Return the versions `base`, `ours`, `theirs` and `merged`, with the rules of an instant.

    `names` are the first three, `merged` the last one; None: git merges the first three. Raises
    UsageError, ManifestError for an invalid version, and MergeConflictError.
    """
    given = [*names] if merged is None else [*names, merged]
    places = [
        _find_place(label, name, directory)
        for label, name in zip(VERSIONS, given, strict=False)
    ]
    if merged is not None:
        return [_load_place(place, directory, instant) for place in places]
    for place in places:
        if not place.commit:
            raise UsageError(
                f"{_phrase(place)} is a directory, and git merges revisions only: specify the "
                f"merged manifests as the last directory"
            )
    versions = [_load_place(place, directory, instant) for place in places]
    return [*versions, _load_merge(places, directory, instant)]


def _find_place(label: str, name: str, directory: str) -> VersionPlace:
    """Return where a version is. Raises UsageError."""
    # A revision comes first: a pull request can contain a directory with the name of a revision.
    try:
        return VersionPlace(
            label, name, GitRepository.find(directory).find_commit(name)
        )
    except GitError as error:
        if name and Path(name).is_dir():
            return VersionPlace(label, name, "")
        raise UsageError(
            f"{label} {quote(name)} is not a git revision and not a directory: {error}"
        ) from None


def _load_place(place: VersionPlace, directory: str, instant: datetime) -> Version:
    """Return a version. Raises UsageError and ManifestError."""
    if not place.commit:
        contents = list(read_files(Path(place.title)))
    else:
        try:
            repository = GitRepository.find(directory)
            refuse_linked_folder(repository, directory)
            contents = revision_contents(repository, place.commit, directory)
        except (GitError, UnreadableFileError) as error:
            raise UsageError(f"{_phrase(place)} cannot be read: {error}") from None
    return load_version(contents, place, instant)


def _load_merge(
    places: Sequence[VersionPlace], directory: str, instant: datetime
) -> Version:
    """Return git's own merge. Raises UsageError, ManifestError, and MergeConflictError."""
    base, ours, theirs = places
    place = VersionPlace(VERSIONS[-1], "merged by git", "")
    with TemporaryDirectory(prefix="cxroute-") as folder:
        try:
            repository = GitRepository.find(directory)
            sides = (ours.commit, theirs.commit)
            merge = merge_commits(repository, base.commit, sides, Path(folder))
            contents, conflicts = read_merge(merge, directory)
        except (GitError, UnreadableFileError) as error:
            raise UsageError(f"git cannot merge these revisions: {error}") from None
    if conflicts:
        raise MergeConflictError(
            f"{_phrase(ours)} and {_phrase(theirs)} change the same lines or files, and git cannot "
            f"merge them: {join_first(conflicts, MAX_ITEMS)}. Merge one of them into the other first"
        )
    return load_version(contents, place, instant)


def read_merge(merge: GitMerge, directory: str) -> tuple[Contents, list[str]]:
    """Return the manifests of a merge, and the file and line of each text conflict in them.

    Raises GitError and UnreadableFileError.
    """
    wanted = _conflicts_of_manifests(merge)
    contents = revision_contents(merge.repository, merge.tree, directory)
    return contents, [_conflict_place(path, contents, directory) for path in wanted]


def _conflicts_of_manifests(merge: GitMerge) -> list[PurePosixPath]:
    """Return the manifests, links, and targets of links with a text conflict, by their paths in
    the folder of the manifests. Other files do not matter. Raises GitError.
    """
    prefix = PurePosixPath(merge.repository.prefix)
    with merge.repository.open_objects() as objects:
        tree = objects.find_folder(merge.tree, merge.repository.prefix)
        files = list_manifests(objects, tree) if tree else []
    wanted = {file.path for file in files}
    below = [
        path.relative_to(prefix)
        for path in map(PurePosixPath, merge.conflicts)
        if path.is_relative_to(prefix)
    ]
    return [
        path
        for path in below
        if path in wanted or _name_before(path).endswith(EXTENSIONS)
    ]


def _name_before(path: PurePosixPath) -> str:
    """Return the name of a file before the merge: git adds "~SIDE" to one that a folder hides."""
    name, mark, _ = path.name.rpartition("~")
    return name if mark and name.endswith(EXTENSIONS) else path.name


def _conflict_place(path: PurePosixPath, contents: Contents, directory: str) -> str:
    """Return the file and line of a text conflict."""
    file = path_in(directory, str(path))
    return f"{sanitize(file)}:{_line_of_conflict(dict(contents).get(file))}"


def _line_of_conflict(text: bytes | Finding | None) -> int:
    """Return the line at which a text conflict begins; the first one if none is marked."""
    lines = text.splitlines() if isinstance(text, bytes) else []
    marked = (number for number, line in enumerate(lines, 1) if line.startswith(_MARK))
    return next(marked, 1)


def load_version(contents: Contents, place: VersionPlace, instant: datetime) -> Version:
    """Return a version; without manifests it is empty. Raises ManifestError."""
    try:
        return Version(place.title, load_contents(contents, instant=instant))
    except ManifestError as error:
        if [finding.code for finding in error.findings] == [_NO_MANIFESTS]:
            return Version(place.title, Manifests(environments={}))
        raise ManifestError(error.findings, _phrase(place)) from None


def _phrase(place: VersionPlace) -> str:
    return f"{place.label} ({sanitize(place.title)})"
