"""Reads a git repository: its default branch, and the files of a commit.

No hook and no filter of it runs.
"""

import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import Final, NamedTuple

from reconciler.core.text.escape import sanitize

_PLACES: Final = {
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_COMMON_DIR",
    "GIT_PREFIX",
}
# texts to recognise, no question
_CALM: Final = {
    "LC_ALL": "C",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_OPTIONAL_LOCKS": "0",
}
_SECONDS: Final = 60
_LONGEST_TEXT: Final = 300  # characters of git's own message
_LINK: Final = "120000"  # the mode of a symbolic link
_DEFAULTS: Final = (
    "refs/remotes/origin/HEAD",
    "refs/remotes/origin/main",
    "refs/remotes/origin/master",
    "refs/heads/main",
    "refs/heads/master",
)
"""Where the default branch is, the likeliest first."""


class GitError(Exception):
    """Git did not answer. The text is git's own message, and a remedy where there is one.

    `code` is git's exit code, and `output` what it printed, if it ran.
    """

    def __init__(self, message: str, code: int = 0, output: bytes = b"") -> None:
        super().__init__(message)
        self.code = code
        self.output = output


class NoRepositoryError(GitError):
    """The directory is in no git repository, or there is no git."""


class DefaultBranch(NamedTuple):
    """The default branch of a repository, as people name it, and its commit."""

    name: str
    commit: str


class GitFile(NamedTuple):
    """A file of a commit: its path below the directory, and the name of its content."""

    path: PurePosixPath
    blob: str
    is_link: bool


@dataclass(frozen=True, slots=True)
class GitRepository:
    """The repository of a directory."""

    directory: str
    top: Path
    prefix: str  # of the directory, below the top; empty, or with a slash at its end

    @classmethod
    def find(cls, directory: str) -> "GitRepository":
        """Return the repository of a directory. Raises NoRepositoryError and GitError."""
        top = os.fsdecode(_git(directory, "rev-parse", "--show-toplevel")).removesuffix(
            "\n"
        )
        prefix = os.fsdecode(
            _git(directory, "rev-parse", "--show-prefix")
        ).removesuffix("\n")
        return cls(directory, Path(top), prefix)

    def find_commit(self, revision: str) -> str:
        """Return the commit of a revision. Raises GitError."""
        if revision.startswith("-"):  # it would be an option
            raise GitError("a revision does not begin with -")
        try:
            named = self._text("rev-parse", "--verify", revision)
            return self._text("rev-parse", "--verify", f"{named}^{{commit}}")
        except GitError as error:
            raise GitError(f"{error}{self._history_remedy()}") from None

    def find_default_branch(self) -> DefaultBranch | None:
        """Return the default branch: that of the remote `origin`, else main or master.

        None if there is none.
        """
        listed = self._text(
            "for-each-ref", "--format=%(objectname) %(refname) %(symref)", *_DEFAULTS
        )
        found = {words[1]: words for words in map(str.split, listed.splitlines())}
        for ref in filter(found.__contains__, _DEFAULTS):
            commit, *names = found[ref]
            name = names[-1]  # what the remote's HEAD leads to, else the branch itself
            return DefaultBranch(
                name.removeprefix("refs/remotes/").removeprefix("refs/heads/"), commit
            )
        return None

    def is_detached(self) -> bool:
        """Return whether no branch is checked out, as in many pipelines. Raises GitError."""
        return self._text("rev-parse", "--abbrev-ref", "HEAD") == "HEAD"

    def has_other_branches(self) -> bool:
        """Return whether there is a remote, or a branch in addition to the one that is checked out.

        Raises GitError.
        """
        branches = self._text(
            "for-each-ref", "--format=%(refname)", "refs/heads"
        ).splitlines()
        return len(branches) > 1 or bool(self._text("remote"))

    def ask(self, *words: str) -> bytes:
        """Return what a command of git prints. Raises GitError."""
        return self._run(*words)

    def find_merge_base(self, first: str, second: str) -> str:
        """Return the newest common ancestor of two commits. Raises GitError."""
        try:
            return self._text("merge-base", first, second)
        except GitError as error:
            text = str(error) or "these commits have no common ancestor"
            raise GitError(f"{text}{self._history_remedy()}") from None

    def list_files(self, commit: str) -> list[GitFile]:
        """Return the files of a commit below the directory. Raises GitError."""
        paths = ["--", self.prefix] if self.prefix else []
        tree = self._run("ls-tree", "-r", "-z", "--full-tree", commit, *paths)
        files = []
        for line in tree.split(b"\0"):
            if not line:
                continue
            head, _, name = line.partition(b"\t")
            mode, kind, blob = head.decode().split()
            if kind == "blob":
                path = os.fsdecode(name).removeprefix(self.prefix)
                files.append(GitFile(PurePosixPath(path), blob, mode == _LINK))
        return files

    def read_files(self, files: Sequence[GitFile]) -> list[bytes]:
        """Return the contents of files, as they are in the commit. Raises GitError."""
        names = "".join(f"{file.blob}\n" for file in files)
        content = self._run("cat-file", "--batch", text=names.encode())
        objects = BytesIO(content)
        return [self._read_object(objects) for _ in files]

    def _read_object(self, objects: BytesIO) -> bytes:
        head = objects.readline().split()
        if len(head) < 3:  # noqa: PLR2004 - "NAME missing"
            raise GitError(f"an object is missing{self._history_remedy()}")
        content = objects.read(int(head[2]))
        objects.read(1)
        return content

    def _history_remedy(self) -> str:
        """Return what helps if this clone does not have the whole history."""
        shallow = self._text("rev-parse", "--is-shallow-repository") == "true"
        remedy = (
            "This clone is shallow: fetch its history (`git fetch --unshallow`; `fetch-depth: 0` "
            "in a workflow)"
        )
        return f". {remedy}" if shallow else ""

    def _text(self, *words: str) -> str:
        output = self._run(*words)
        return output.decode(errors="replace").strip()

    def _run(self, *words: str, text: bytes = b"") -> bytes:
        return _git(self.directory, *words, text=text)


def _git(directory: str, *words: str, text: bytes = b"") -> bytes:
    environment = {
        name: value for name, value in os.environ.items() if name not in _PLACES
    } | _CALM
    command = ["git", "-C", directory, "--literal-pathspecs", *words]
    try:
        done = subprocess.run(  # noqa: S603 - a fixed program, without a shell
            command,
            env=environment,
            input=text,
            check=True,
            capture_output=True,
            timeout=_SECONDS,
        )
    except FileNotFoundError:
        raise NoRepositoryError("git is not installed here") from None
    except OSError as error:
        raise NoRepositoryError(f"git cannot be started: {error.strerror}") from None
    except subprocess.TimeoutExpired:
        raise GitError(f"git did not answer within {_SECONDS} seconds") from None
    except subprocess.CalledProcessError as error:
        message = _own_message(error.stderr.decode(errors="replace"))
        if "not a git repository" in message:
            raise NoRepositoryError("the manifests are in no git repository") from None
        raise GitError(message, error.returncode, error.stdout) from None
    return done.stdout


def _own_message(text: str) -> str:
    """Return git's message on one line: `fatal: ...`, and the command that it advises."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    message = sanitize(" ".join(lines))
    return message[:_LONGEST_TEXT].rstrip(".")
