"""Git's own merge of two commits, without a work tree: its objects are in a temporary folder."""

import os
from pathlib import Path
from typing import Final, NamedTuple

from reconciler.cli.git import GitError, GitRepository

_CONFLICTS: Final = 1  # exit codes of `git merge-tree`
_WRONG_USAGE: Final = 129
_NEEDED: Final = "2.40"  # the first with --merge-base
# the author of a temporary commit
_PERSON: Final = ("-c", "user.name=cxroute", "-c", "user.email=cxroute@localhost")


class GitMerge(NamedTuple):
    """A merge: the repository with its objects, its tree, and the files with a text conflict.

    A file is named by its path below the top.
    """

    repository: GitRepository
    tree: str
    conflicts: tuple[str, ...]


def merge_commits(
    repository: GitRepository, base: str, sides: tuple[str, str], folder: Path
) -> GitMerge:
    """Return the merge of two commits, with objects below `folder`.

    Raises GitError.
    """
    return merge_sides(borrow_objects(repository, folder), sides, base)


def merge_sides(
    repository: GitRepository, sides: tuple[str, str], base: str | None = None
) -> GitMerge:
    """Return the merge of two commits; its objects are written to the repository.

    Without a base, git finds it: the newest common ancestors. Raises GitError.
    """
    words = ["--write-tree", "-z", "--name-only", "--no-messages"]
    if base is not None:
        words.append(f"--merge-base={base}")
    try:
        output = repository.ask("merge-tree", *words, *sides)
    except GitError as error:
        if error.code == _WRONG_USAGE:
            raise GitError(f"git {_NEEDED} or newer is needed to merge") from None
        if error.code != _CONFLICTS or not error.output:
            raise
        output = error.output
    tree, *paths = output.removesuffix(b"\0").split(b"\0")
    conflicts = dict.fromkeys(os.fsdecode(path) for path in paths if path)
    return GitMerge(repository, tree.decode(), tuple(conflicts))


def commit_tree(repository: GitRepository, tree: str, parent: str) -> str:
    """Write a commit of a tree, for the next merge, and return it. Raises GitError."""
    words = ("commit-tree", "--no-gpg-sign", "-p", parent, "-m", "merged", tree)
    return repository.ask(*_PERSON, *words).decode().strip()


def borrow_objects(repository: GitRepository, folder: Path) -> GitRepository:
    """Return a new repository without a work tree, which reads the objects of another one."""
    temporary = create_bare(repository, folder)
    alternates = folder / "objects" / "info" / "alternates"
    alternates.parent.mkdir(parents=True, exist_ok=True)
    alternates.write_bytes(os.fsencode(_objects_of(repository)) + b"\n")
    return temporary


def create_bare(repository: GitRepository, folder: Path) -> GitRepository:
    """Return a new, empty repository without a work tree, for the objects of another one."""
    created = GitRepository(os.fspath(folder), folder, repository.prefix)
    algorithm = f"--object-format={_hash_of(repository)}"
    created.ask("init", "--quiet", "--bare", "--template=", algorithm, ".")
    return created


def _objects_of(repository: GitRepository) -> Path:
    """Return the folder of a repository's objects."""
    answer = repository.ask("rev-parse", "--git-path", "objects")
    path = os.fsdecode(answer).removesuffix("\n")
    return Path(repository.directory, path).resolve()


def _hash_of(repository: GitRepository) -> str:
    """Return the name of the algorithm that names a repository's objects."""
    return repository.ask("rev-parse", "--show-object-format").decode().strip()
