"""`--base DIR|REV`: the manifests before a change, in a git revision or in a directory."""

import contextlib
import os
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

from reconciler.behaviour.endpoint_stage import FallbackPolicy
from reconciler.desired.desired import endpoint_stage
from reconciler.errors import ManifestError, UsageError
from reconciler.manifest.kinds.environment import Environment
from reconciler.manifest.load import Manifests, load_manifests
from reconciler.model.finding import Finding
from reconciler.text.escape import quote

_SECONDS = 60


def load_base(name: str, directory: str) -> Manifests | Finding:
    """Return the manifests before the change, or why they cannot be compared. Raises UsageError for a wrong name."""
    with TemporaryDirectory(prefix="cxroute-") as folder:
        # A revision comes first: a pull request can contain a directory with the name of a revision.
        place = _check_out(name, directory, Path(folder)) or Path(name)
        if not name or not place.is_dir():
            reason = "is not a git revision and not a directory (a revision needs git, and its history)"
            raise UsageError(f"--base {quote(name)} {reason}")
        try:
            return load_manifests(place)
        except ManifestError as error:
            first = error.findings[0]
            path = os.path.relpath(first.source.file, place) if first.source else "."
            where = f"{path}:{first.source.line}: " if first.source and path != "." else ""
            return _not_compared(name, f"its manifests are invalid: {where}{first.message}")


def _check_out(revision: str, directory: str, folder: Path) -> Path | None:
    """Return the manifests' directory of a git revision, as files below `folder`; None without such a revision."""
    # The work tree is a folder of its own, so that .gitattributes of the change have no effect.
    base, environment = folder / "manifests", dict(os.environ)
    base.mkdir()

    def git(*words: str, at: str | Path = directory) -> str:
        command = ["git", "-C", os.fspath(at), *words]
        done = subprocess.run(command, env=environment, check=True, capture_output=True, timeout=_SECONDS)  # noqa: S603
        return os.fsdecode(done.stdout).strip("\n")

    if revision.startswith("-"):  # it would be an option
        return None
    try:
        commit = git("rev-parse", "--verify", "--quiet", revision)
        prefix, repository = git("rev-parse", "--show-prefix"), git("rev-parse", "--absolute-git-dir")
    except (OSError, subprocess.SubprocessError):
        return None
    environment |= {"GIT_DIR": repository, "GIT_WORK_TREE": str(base), "GIT_INDEX_FILE": str(folder / "index")}
    with contextlib.suppress(OSError, subprocess.SubprocessError):  # the revision does not have the directory
        git("read-tree", f"{commit}:{prefix}", at=base)
        git("checkout-index", "--all", "--quiet", at=base)
    return base


def fallback_before(base: Manifests | Finding, name: str, environment: Environment) -> FallbackPolicy | Finding:
    """Return the endpoint's fallback before the change, or why it cannot be compared. Raises UsageError."""
    if isinstance(base, Finding):
        return base
    if environment.name not in base.environments:
        return _not_compared(name, f"it has no Environment {quote(environment.name)}")
    before = base.environments[environment.name].document
    if (before.attributes, before.context.writer) != (environment.attributes, environment.context.writer):
        field = "context.writer" if before.attributes == environment.attributes else "attributes"
        reason = f"the Environment has other `{field}` there, and rules on both cannot be compared"
        raise UsageError(f"--base {quote(name)}: {reason}")
    return endpoint_stage(base, before).fallback


def _not_compared(name: str, reason: str) -> Finding:
    message = f"a change of the endpoint's fallback since --base {quote(name)} is not shown: {reason}"
    return Finding(code="CXR321", severity="warning", message=message)
