"""Fetches refs of a repository on a server into a temporary repository, with a token.

What is fetched is untrusted: it is only read as objects, never checked out, and no hook runs.
"""

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from reconciler.cli.git import GitError, GitRepository
from reconciler.cli.git_merge import borrow_objects, create_bare

_SECONDS: Final = 300  # of one fetch, which can bring a whole history
_HEADER: Final = "FORGE_GIT_HEADER"
_KEPT: Final = "refs/cxroute/"  # fetched refs: refs/cxroute/heads/main
_SETTINGS: Final = (
    # the token is for this server alone, and is never asked for
    *("-c", "http.followRedirects=false"),
    *("-c", "credential.helper="),
    *("-c", "core.hooksPath=/dev/null"),
    *("-c", "protocol.version=2"),
)


class GitServer(NamedTuple):
    """A repository on a server: its address, and the header that authorizes to read it."""

    address: str  # http or https, without a user
    authorization: str  # "Bearer ..."


@contextmanager
def fetching_repository(repository: GitRepository) -> Iterator[GitRepository]:
    """Open a temporary repository without a work tree, which has the objects of another one if that
    one has its whole history. Raises GitError.
    """
    with TemporaryDirectory(prefix="cxroute-") as folder:
        if repository.has_whole_history():
            yield borrow_objects(repository, Path(folder))
        else:
            yield create_bare(repository, Path(folder))


def fetch_refs(
    repository: GitRepository, server: GitServer, refs: Sequence[str]
) -> dict[str, str]:
    """Fetch those refs that the server has, with their history, and return their commits.

    A ref whose name git does not allow is left out. Raises GitError.
    """
    wanted = [ref for ref in dict.fromkeys(refs) if _is_ref(repository, ref)]
    if not wanted:
        return {}
    listed = _ask_server(repository, server, "ls-remote", server.address, *wanted)
    pairs = (line.partition("\t") for line in listed.decode().splitlines())
    offered = {ref for _, _, ref in pairs}
    found = [ref for ref in wanted if ref in offered]
    if not found:
        return {}
    options = ("--quiet", "--no-tags", "--no-write-fetch-head", "--no-auto-maintenance")
    words = ("fetch", *options, "--no-recurse-submodules", server.address)
    _ask_server(repository, server, *words, *(f"+{ref}:{_kept(ref)}" for ref in found))
    return dict(_commits(repository, found))


def _commits(
    repository: GitRepository, refs: Iterable[str]
) -> Iterator[tuple[str, str]]:
    for ref in refs:
        yield ref, repository.find_commit(_kept(ref))


def _kept(ref: str) -> str:
    return _KEPT + ref.removeprefix("refs/")


def _is_ref(repository: GitRepository, ref: str) -> bool:
    if not ref.startswith("refs/") or not ref.isprintable():
        return False
    try:
        repository.ask("check-ref-format", ref)
    except GitError:
        return False
    return True


def _ask_server(
    repository: GitRepository, server: GitServer, command: str, *words: str
) -> bytes:
    """Return what a command prints that talks to the server. Raises GitError."""
    scheme = urlsplit(server.address).scheme
    # The header is in the environment: other processes can see arguments. It is for this address
    # alone: the settings of a machine can replace an address by another one.
    header = f"--config-env=http.{server.address}.extraHeader={_HEADER}"
    settings = (*_SETTINGS, header)
    variables = {
        _HEADER: f"Authorization: {server.authorization}",
        "GIT_ALLOW_PROTOCOL": scheme if scheme in ("http", "https") else "",
        "GIT_ASKPASS": os.devnull,
    }
    return repository.ask(
        *settings, command, *words, variables=variables, seconds=_SECONDS
    )
