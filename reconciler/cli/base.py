"""`--base DIR|REV`: the endpoint before a change, from other manifests: a directory, or a git revision."""

import io
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple, NoReturn

from reconciler.desired.desired import endpoint_stage
from reconciler.errors import ManifestError, UsageError
from reconciler.manifest.kinds.environment import Environment
from reconciler.manifest.load import Manifests, load_contents, load_manifests
from reconciler.plan.plan import BaseEndpoint
from reconciler.text.files import MIB

_MAX_FILES: Final = 20_000
_MAX_FILE: Final = 64 * MIB
_SECONDS: Final = 60


class BaseManifests(NamedTuple):
    """The manifests before a change, and how `--base` names them."""

    name: str
    manifests: Manifests

    def endpoint(self, environment: Environment) -> BaseEndpoint | None:
        """Return the endpoint of an Environment; None if the Environment is new. Raises UsageError."""
        if environment.name not in self.manifests.environments:
            return None
        before = self.manifests.environments[environment.name].document
        names = {"attributes": (before.attributes, environment.attributes)}
        for field, (old, new) in (names | {"writer": (before.context.writer, environment.context.writer)}).items():
            if old != new:
                _refuse(self.name, f"the Environment has other `{field}` there, and rules on both cannot be compared")
        return BaseEndpoint(self.name, endpoint_stage(self.manifests, before).fallback)


def load_base(name: str | None, directory: str) -> BaseManifests | None:
    """Return the manifests of a directory or a git revision; None without a name. Raises UsageError."""
    if name is None:
        return None
    try:
        if name and Path(name).is_dir():
            return BaseManifests(name, load_manifests(Path(name)))
        return BaseManifests(name, load_contents(_files_of_revision(name, directory)))
    except ManifestError as error:
        _refuse(name, f"the manifests there are invalid: {str(error).splitlines()[0]}")


def _files_of_revision(revision: str, directory: str) -> Iterator[tuple[str, bytes]]:
    """Yield the manifests of a git revision, by path, without links and other special files."""
    commit = _git(revision, directory, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
    archive = _git(revision, directory, "archive", "--format=tar", commit.decode().strip())
    with tarfile.open(fileobj=io.BytesIO(archive)) as files:
        for count, member in enumerate(sorted(files, key=lambda member: member.name)):
            hidden = any(part.startswith(".") for part in Path(member.name).parts)
            if not member.isfile() or hidden or not member.name.endswith((".yaml", ".yml")):
                continue
            if count > _MAX_FILES or member.size > _MAX_FILE:
                _refuse(revision, "there are too many manifests, or one is too large")
            content = files.extractfile(member)
            yield f"{revision}:{member.name}", content.read() if content else b""


def _git(revision: str, directory: str, *words: str) -> bytes:
    try:
        done = subprocess.run(  # noqa: S603 - fixed words; the revision follows --end-of-options, or is a commit's id
            ["git", "-C", directory, *words],  # noqa: S607 - the user's git
            capture_output=True,
            check=False,
            timeout=_SECONDS,
        )
    except FileNotFoundError:
        _refuse(revision, "git is not installed; specify a directory with the manifests before the change")
    except (OSError, subprocess.TimeoutExpired):
        _refuse(revision, "git could not be run")
    if done.returncode:
        _refuse(revision, f"neither a directory nor a git revision with manifests in {directory}")
    return done.stdout


def _refuse(name: str, reason: str) -> NoReturn:
    raise UsageError(f"--base {name[:100]}: {reason}")
