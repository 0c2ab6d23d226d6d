"""`--base DIR|REV`: the manifests before a change, in a git revision or in a directory."""

import os
import subprocess
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory

from reconciler.behaviour.endpoint_stage import FallbackPolicy
from reconciler.desired.desired import endpoint_stage
from reconciler.errors import ManifestError, UsageError
from reconciler.manifest.kinds.environment import Environment
from reconciler.manifest.load import Manifests, load_manifests
from reconciler.model.finding import Finding
from reconciler.text.escape import quote

_GIT_PLACES = {"GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_COMMON_DIR", "GIT_PREFIX"}


def load_base(name: str, directory: str) -> Manifests | Finding:
    """Return the manifests before the change, or why they cannot be compared. Raises UsageError for a wrong name."""
    with TemporaryDirectory(prefix="cxroute-") as folder:
        # A revision comes first: a pull request can contain a directory with the name of a revision.
        place = _write_revision(name, directory, Path(folder, "manifests")) or Path(name)
        if not name or not place.is_dir():
            reason = "is not a git revision and not a directory (a revision needs git, and its history)"
            raise UsageError(f"--base {quote(name)} {reason}")
        try:
            return load_manifests(place)
        except ManifestError as error:
            first = error.findings[0]
            if first.code == "CXR115":  # before the first manifest
                return Manifests(environments={})
            path = os.path.relpath(first.source.file, place) if first.source else "."
            where = f"{path}:{first.source.line}: " if first.source and path != "." else ""
            return _not_compared(name, f"its manifests are invalid: {where}{first.message}")


def _write_revision(revision: str, directory: str, base: Path) -> Path | None:
    """Write the manifests' directory, as it is in a git revision, and return it; None without such a commit."""
    # The files are written here and not by git, which would run filters and hooks of the repository.
    environment = {name: value for name, value in os.environ.items() if name not in _GIT_PLACES}

    def git(*words: str, text: bytes = b"") -> bytes:
        command = ["git", "-C", directory, "--literal-pathspecs", *words]
        done = subprocess.run(command, env=environment, input=text, check=True, capture_output=True, timeout=60)  # noqa: S603
        return done.stdout

    if revision.startswith("-"):  # it would be an option
        return None
    try:
        named = git("rev-parse", "--verify", "--quiet", revision).decode().strip()
        commit = git("rev-parse", "--verify", "--quiet", f"{named}^{{commit}}").decode().strip()
        prefix = os.fsdecode(git("rev-parse", "--show-prefix")).removesuffix("\n")
        top = Path(os.fsdecode(git("rev-parse", "--show-toplevel")).removesuffix("\n"))
    except (OSError, subprocess.SubprocessError):
        return None
    links = (path for path in Path(directory, "_").absolute().parents if path.is_symlink())
    if link := next((link for link in links if link.parent.resolve().is_relative_to(top)), None):  # a change's, perhaps
        raise UsageError(f"--base {quote(revision)}: {link} is a symbolic link, so the place before is not known")
    base.mkdir()
    try:
        listed = git("ls-tree", "-r", "-z", "--full-tree", commit, "--", *([prefix] if prefix else []))
        blobs = [line.partition(b"\t") for line in listed.split(b"\0") if b" blob " in line]
        blobs.sort(key=lambda blob: blob[0].startswith(b"120000"))  # links last: no file is written through one
        objects = BytesIO(git("cat-file", "--batch", text=b"".join(head.split()[2] + b"\n" for head, _, _ in blobs)))
        for head, _, name in blobs:
            content = objects.read(int(objects.readline().split()[2]) + 1)[:-1]
            path = base / os.fsdecode(name).removeprefix(prefix)
            if ".." not in path.parts:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.symlink_to(os.fsdecode(content)) if head.startswith(b"120000") else path.write_bytes(content)
    except (OSError, subprocess.SubprocessError, IndexError):
        raise UsageError(f"--base {quote(revision)}: git cannot read the manifests of that revision") from None
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
