"""The manifests of a tree of git, written to a folder as a checkout has them.

The files are written here and not by git, which would run filters and hooks of the repository.
"""

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Final

from reconciler.cli.git import GitError, GitFile, GitObjects, GitRepository
from reconciler.core.manifest.files import EXTENSIONS, read_files
from reconciler.core.model.finding import Finding
from reconciler.core.text.escape import escape_invisible, sanitize

Contents = list[tuple[str, bytes | Finding]]
"""The files of a folder of manifests by path: their bytes, or why they are unreadable."""

_LFS_POINTER: Final = b"version https://git-lfs.github.com/spec/"


class UnreadableFileError(Exception):
    """A file or the folder of a tree cannot be read as a checkout has it. The text says why."""


def refuse_linked_folder(repository: GitRepository, directory: str) -> None:
    """Raise UnreadableFileError if a link of the repository leads to the folder.

    A change can make such a link, so the place of the manifests before it is not known.
    """
    for path in Path(directory, "_").absolute().parents:
        is_inside = path.parent.resolve().is_relative_to(repository.top)
        if path.is_symlink() and is_inside:
            raise UnreadableFileError(
                f"{path} is a symbolic link, so the place before is not known"
            )


def list_manifests(objects: GitObjects, tree: str) -> list[GitFile]:
    """Return the manifests below a tree, all links, and what these lead to. Raises GitError."""
    files = objects.list_files(tree)
    links = [file for file in files if file.is_link]
    targets = set(_link_targets(objects, links))
    return [
        file
        for file in files
        if file.is_link or _is_manifest(file.path) or file.path in targets
    ]


def write_files(objects: GitObjects, files: Sequence[GitFile], place: Path) -> None:
    """Write files below a folder. Raises GitError and UnreadableFileError."""
    # links last: no file is written through one
    for file in sorted(files, key=lambda file: file.is_link):
        content = objects.read(file.blob)
        if content.startswith(_LFS_POINTER):
            reason = (
                "is a pointer of Git LFS there: specify a directory with the manifests "
                "themselves"
            )
            raise UnreadableFileError(f"{sanitize(str(file.path))} {reason}")
        try:
            _write(place / file.path, content, file)
        except (OSError, ValueError):
            raise UnreadableFileError(
                f"{sanitize(str(file.path))} cannot be written as a checkout does"
            ) from None


def revision_contents(
    repository: GitRepository, revision: str, directory: str
) -> Contents:
    """Return the manifests of a commit, or of a tree of the whole repository, by the paths that
    they have in the directory.

    Raises GitError and UnreadableFileError.
    """
    with repository.open_objects() as objects:
        root = objects.tree_of(revision)
        tree = objects.find_folder(root, repository.prefix)
        return tree_contents(objects, tree, directory)


def tree_contents(objects: GitObjects, tree: str | None, directory: str) -> Contents:
    """Return the manifests of a tree by the paths that they have in a directory; None has none.

    Raises GitError and UnreadableFileError.
    """
    with TemporaryDirectory(prefix="cxroute-") as folder:
        place = Path(folder, "manifests")
        place.mkdir()
        files = list_manifests(objects, tree) if tree else []
        write_files(objects, files, place)
        start = len(escape_invisible(place.as_posix())) + 1
        contents: Contents = []
        for name, data in read_files(place):
            path = path_in(directory, name[start:])
            content = data
            if isinstance(data, Finding) and data.source:
                content = replace(data, source=data.source._replace(file=path))
            contents.append((path, content))
        return contents


def path_in(directory: str, path: str) -> str:
    """Return the path of a manifest as messages show it."""
    return escape_invisible(Path(directory, path).as_posix())


def has_contents(directory: str, contents: Contents) -> bool:
    """Return whether a directory has these files; how lines end does not count."""
    return _comparable(read_files(Path(directory))) == _comparable(contents)


def committed_manifests(directory: str) -> str:
    """Return the commit that is checked out, if the directory has its manifests.

    Otherwise, and without a repository, return an empty text.
    """
    try:
        repository = GitRepository.find(directory)
        refuse_linked_folder(repository, directory)
        commit = repository.find_commit("HEAD")
        contents = revision_contents(repository, commit, directory)
    except (GitError, UnreadableFileError):
        return ""
    return commit if has_contents(directory, contents) else ""


def _comparable(contents: Iterable[tuple[str, bytes | Finding]]) -> Contents:
    """Return contents with the line ends of git."""
    return [
        (name, data.replace(b"\r\n", b"\n") if isinstance(data, bytes) else data)
        for name, data in contents
    ]


def _write(path: Path, content: bytes, file: GitFile) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if file.is_link:
        path.symlink_to(os.fsdecode(content))
    else:
        path.write_bytes(content)


def _link_targets(
    objects: GitObjects, links: Sequence[GitFile]
) -> Iterator[PurePosixPath]:
    for link in links:
        target = link.path.parent / os.fsdecode(objects.read(link.blob))
        yield PurePosixPath(os.path.normpath(target))


def _is_manifest(path: PurePosixPath) -> bool:
    return path.name.endswith(EXTENSIONS) and not any(
        part.startswith(".") for part in path.parts
    )
