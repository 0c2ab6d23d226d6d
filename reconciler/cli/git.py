"""Reads a git repository: its default branch, its commits, and the files of a tree.

No hook and no filter of it runs.
"""

import os
import re
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import IO, Final, Literal, NamedTuple

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
_NO_VARIABLES: Final[Mapping[str, str]] = MappingProxyType({})
_LONGEST_TEXT: Final = 300  # characters of git's own message
_MAX_ENTRIES: Final = 500_000  # of a tree, at all levels
_FOLDER: Final = b"40000"  # modes in a tree
_LINK: Final = b"120000"
_SUBMODULE: Final = b"160000"
_REFUSED_NAMES: Final = (b"", b".", b"..")
_PARTIAL: Final = re.compile(r"extensions\.partialclone|remote\..*\.promisor")
_COMMIT_FORMAT: Final = "%H%n%T%n%cI%n%an%n%s"
_DEFAULTS: Final = (
    "refs/remotes/origin/HEAD",
    "refs/remotes/origin/main",
    "refs/remotes/origin/master",
    "refs/heads/main",
    "refs/heads/master",
)
"""Where the default branch is, the likeliest first."""

Kind = Literal["blob", "tree", "commit"]


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


class NoFolderError(GitError):
    """A path in a tree is a symbolic link or a submodule, so what a checkout has there is not
    known.
    """


class DefaultBranch(NamedTuple):
    """The default branch of a repository, as people name it, and its commit."""

    name: str
    commit: str


class GitFile(NamedTuple):
    """A file of a tree: its path in there, and the name of its content."""

    path: PurePosixPath
    blob: str
    is_link: bool


class GitCommit(NamedTuple):
    """A commit. Everyone who can push chooses the texts."""

    name: str
    tree: str  # of the whole repository
    # of the committer, ISO 8601 with its offset: when it came into this history; empty if the
    # commit has none
    date: str
    author: str
    subject: str


class GitObjects:
    """The objects of a repository, read one by one from a process of git that stays open."""

    def __init__(self, process: subprocess.Popen[bytes], remedy: str) -> None:
        """`remedy` follows the message about an object that is missing."""
        assert process.stdin is not None  # noqa: S101 - both are pipes
        assert process.stdout is not None  # noqa: S101
        self._requests: IO[bytes] = process.stdin
        self._answers: IO[bytes] = process.stdout
        self._remedy = remedy

    def read(self, name: str, kind: Kind = "blob") -> bytes:
        """Return the content of an object of a kind. Raises GitError."""
        _, content = self._ask(name, kind)
        return content

    def tree_of(self, revision: str) -> str:
        """Return the name of the tree of a commit, or of a tree. Raises GitError."""
        name, _ = self._ask(f"{revision}^{{tree}}", "tree")
        return name

    def has_parents(self, commit: str) -> bool:
        """Return whether a commit has parents, in this clone or not. Raises GitError."""
        head = self.read(commit, "commit").partition(b"\n\n")[0]
        return b"\nparent " in head

    def find_folder(self, tree: str, path: str) -> str | None:
        """Return the name of the tree at a path in a tree; None if there is no folder.

        Raises GitError, and NoFolderError for a link or a submodule.
        """
        found = tree
        for part in PurePosixPath(path).parts:
            entries = {
                name: (mode, entry) for mode, name, entry in self._entries(found)
            }
            mode, found = entries.get(os.fsencode(part), (b"", ""))
            if mode in (_LINK, _SUBMODULE):
                place = sanitize(path.rstrip("/"))
                raise NoFolderError(f"{place} is a symbolic link or a submodule there")
            if mode != _FOLDER:
                return None
        return found

    def list_files(self, tree: str) -> list[GitFile]:
        """Return the files below a tree, without submodules, by path. Raises GitError."""
        files: list[GitFile] = []
        folders = [(b"", tree)]
        while folders:
            # a tree can contain itself many times over, and be small nevertheless
            if len(files) + len(folders) > _MAX_ENTRIES:
                raise GitError(f"a tree has more than {_MAX_ENTRIES:,} entries")
            path, folder = folders.pop()
            for mode, name, entry in self._entries(folder):
                if mode == _FOLDER:
                    folders.append((b"%b%b/" % (path, name), entry))
                elif mode != _SUBMODULE:
                    place = PurePosixPath(os.fsdecode(path + name))
                    files.append(GitFile(place, entry, mode == _LINK))
        return sorted(files)

    def _ask(self, name: str, kind: Kind) -> tuple[str, bytes]:
        """Return the full name and the content of an object. Raises GitError."""
        try:
            self._requests.write(f"{name}\n".encode())
            self._requests.flush()
            head = self._answers.readline().split()
        except OSError as error:
            raise GitError(f"git cannot be asked: {error.strerror}") from None
        if len(head) < 3:  # noqa: PLR2004 - "NAME missing"
            raise GitError(f"an object is missing{self._remedy}")
        content = self._answers.read(int(head[2]))
        self._answers.read(1)
        if head[1].decode() != kind:
            raise GitError(f"object {name} is of another kind than {kind}")
        return head[0].decode(), content

    def _entries(self, tree: str) -> Iterator[tuple[bytes, bytes, str]]:
        """Yield the mode, the name and the object of each entry of a tree."""
        content = self.read(tree, "tree")
        size = len(tree) // 2  # bytes of an object's name
        # a checkout refuses such names, and a name that stands twice; a push may bring them
        refused = {*_REFUSED_NAMES}
        at = 0
        while at < len(content):
            end = content.find(b"\0", at)
            if end < 0:
                raise GitError(f"tree {tree} cannot be read")
            mode, _, name = content[at:end].partition(b" ")
            at = end + 1 + size
            if name not in refused and b"/" not in name:
                refused.add(name)
                yield mode.lstrip(b"0"), name, content[end + 1 : at].hex()


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

    def ask(
        self,
        *words: str,
        variables: Mapping[str, str] = _NO_VARIABLES,
        seconds: int = _SECONDS,
    ) -> bytes:
        """Return what a command of git prints; `variables` are added to its environment.

        Raises GitError, also if the command takes longer than `seconds`.
        """
        return _git(self.directory, *words, variables=variables, seconds=seconds)

    def has_whole_history(self) -> bool:
        """Return whether this clone is known to have every object of its commits' history: it is
        neither shallow nor partial. Raises GitError.
        """
        if self._text("rev-parse", "--is-shallow-repository") == "true":
            return False
        settings = self._text("config", "--list", "--name-only").lower().splitlines()
        return not any(_PARTIAL.fullmatch(name) for name in settings)

    def find_merge_base(self, first: str, second: str) -> str:
        """Return the newest common ancestor of two commits. Raises GitError."""
        try:
            return self._text("merge-base", first, second)
        except GitError as error:
            text = str(error) or "these commits have no common ancestor"
            raise GitError(f"{text}{self._history_remedy()}") from None

    def list_first_parents(self, commit: str, limit: int) -> list[GitCommit]:
        """Return a commit and at most `limit` - 1 before it, along first parents, newest first.

        Raises GitError.
        """
        output = self._run(
            "log",
            "--first-parent",
            "-z",
            "--no-show-signature",
            "--encoding=UTF-8",
            f"--max-count={limit}",
            f"--format={_COMMIT_FORMAT}",
            commit,
            "--",
        )
        records = output.decode(errors="replace").split("\0")
        return [_parse_commit(record) for record in records if record]

    @contextmanager
    def open_objects(self) -> Iterator[GitObjects]:
        """Open the objects; they are closed at the end of the block. Raises GitError."""
        command = _command(self.directory, "cat-file", "--batch")
        try:
            process = subprocess.Popen(  # noqa: S603 - a fixed program, without a shell
                command,
                env=_environment(),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
        except OSError as error:
            raise NoRepositoryError(
                f"git cannot be started: {error.strerror}"
            ) from None
        with process:
            try:
                yield GitObjects(process, self._history_remedy())
            finally:
                process.kill()

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

    def _run(self, *words: str) -> bytes:
        return _git(self.directory, *words)


def _parse_commit(record: str) -> GitCommit:
    name, tree, date, author, subject = record.split("\n")
    if not date[:4].isdigit():  # a broken commit
        date = ""
    elif date.endswith("Z"):  # of a newer git
        date = f"{date.removesuffix('Z')}+00:00"
    return GitCommit(name, tree, date, author, subject)


def _command(directory: str, *words: str) -> list[str]:
    return ["git", "-C", directory, "--literal-pathspecs", *words]


def _environment() -> dict[str, str]:
    inherited = {
        name: value for name, value in os.environ.items() if name not in _PLACES
    }
    return inherited | _CALM


def _git(
    directory: str,
    *words: str,
    variables: Mapping[str, str] = _NO_VARIABLES,
    seconds: int = _SECONDS,
) -> bytes:
    try:
        done = subprocess.run(  # noqa: S603 - a fixed program, without a shell
            _command(directory, *words),
            env={**_environment(), **variables},
            stdin=subprocess.DEVNULL,
            check=True,
            capture_output=True,
            timeout=seconds,
        )
    except FileNotFoundError:
        raise NoRepositoryError("git is not installed here") from None
    except OSError as error:
        raise NoRepositoryError(f"git cannot be started: {error.strerror}") from None
    except subprocess.TimeoutExpired:
        raise GitError(f"git did not answer within {seconds} seconds") from None
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
