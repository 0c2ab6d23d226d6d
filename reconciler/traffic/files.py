"""Where a traffic sample is read from: what the operator names, or what an Environment declares."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from reconciler.errors import ManifestError, UsageError
from reconciler.manifest.decode import LARGEST
from reconciler.manifest.names import named, visible
from reconciler.regular_file import read_start
from reconciler.traffic.sample import read_traffic

if TYPE_CHECKING:
    from reconciler.manifest.environment import Attributes, Environment
    from reconciler.manifest.origin import Loaded
    from reconciler.traffic.sample import Sample


def load_traffic(path: str, attributes: Attributes, period: str = "") -> Sample:
    """Return the sample of a file that the operator names. UsageError where it cannot be read, else ManifestError."""
    try:
        data = read_start(path, LARGEST + 1)
    except OSError as error:
        reason = (error.strerror or "no such path").lower()
        raise UsageError(f"--traffic {visible(path)}: the file cannot be read: {reason}") from error
    return read_traffic(data, path, attributes, period)


def declared_traffic(environment: Loaded[Environment], manifests: Path) -> Sample | None:
    """Return the sample that an Environment's `traffic` names; None where it names none.

    The path is looked for in the working directory, then in the manifests' (so `-m` works from anywhere). Raises
    ManifestError: at the field where there is no such file, in the file where its contents are wrong.
    """
    declared = environment.document.traffic
    if declared is None:
        return None
    try:
        path = _found(declared.file, manifests)
        data = read_start(path, LARGEST + 1)
    except PermissionError:
        raise _refused(environment, "CXR014", declared.file, "the file may not be read") from None
    except _OutsideError:
        problem = "the symbolic link leads out of the directory"
        raise _refused(environment, "CXR003", declared.file, problem) from None
    except OSError:
        problem = "no such file in the working directory or in the manifests'"
        raise _refused(environment, "CXR014", declared.file, problem) from None
    return read_traffic(data, path.as_posix(), environment.document.attributes, declared.period)


class _OutsideError(Exception):
    """Pull requests are untrusted: a link could name any file, and an error would then show its lines."""


def _found(file: str, manifests: Path) -> Path:
    for root in (Path(), manifests):
        path = root / file
        real = Path(os.path.realpath(path))
        # Not `open` at once: a pipe or a device, which a repository may hold a link to, would never end.
        if path.is_file():
            if real.is_relative_to(os.path.realpath(root)):
                return path
            raise _OutsideError
    raise FileNotFoundError


def _refused(environment: Loaded[Environment], code: str, file: str, problem: str) -> ManifestError:
    message = f"traffic sample {named(file)}: {problem}"
    return ManifestError([environment.finding(code, message, "traffic", "file")])
