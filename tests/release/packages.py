"""The wheel and the source archive: clean copies of a commit, builds, and what the two files must
contain.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import os
import re
import subprocess
import sys
import tarfile
from collections.abc import Collection
from pathlib import Path
from typing import Final
from zipfile import ZipFile

from packaging.metadata import Metadata
from packaging.utils import (
    canonicalize_name,
    parse_sdist_filename,
    parse_wheel_filename,
)

NAME: Final = "cxroute"
_ADDED_TO_SDIST: Final = {"PKG-INFO"}
_LINK: Final = re.compile(r"\]\((?!\w+:|#)[^)]*\)")


class ReleaseError(Exception):
    """A release must not be published as it is; the text says why."""


def commit_time(repository: Path) -> str:
    """Return the time of the last commit, in seconds since 1970."""
    return _git(repository, "log", "-1", "--format=%ct").decode().strip()


def unpack(archive: tarfile.TarFile, folder: Path) -> None:
    """Write the files of an archive that this project made; Python 3.11 before 3.11.4 has no
    filters.
    """
    if hasattr(tarfile, "data_filter"):
        archive.extractall(folder, filter="data")
    else:
        archive.extractall(folder)  # noqa: S202 - the archive is our own


def copy_commit(repository: Path, folder: Path, mode: int) -> Path:
    """Write the files of the last commit into a new folder, with the given permissions, and return
    it.
    """
    with tarfile.open(
        fileobj=io.BytesIO(_git(repository, "archive", "--format=tar", "HEAD"))
    ) as archive:
        unpack(archive, folder)
    for path in folder.rglob("*"):
        if path.is_file():
            path.chmod(mode | (0o111 if os.access(path, os.X_OK) else 0))
            # a time of its own for each copy: it must not get into a package
            os.utime(path, (mode, mode))
    return folder


def _git(repository: Path, *arguments: str) -> bytes:
    done = subprocess.run(
        ["git", *arguments], cwd=repository, capture_output=True, check=False
    )
    if done.returncode:
        raise ReleaseError(f"git {arguments[0]}: {done.stderr.decode().strip()}")
    return done.stdout


def build_packages(
    source: Path, folder: Path, variables: dict[str, str]
) -> dict[str, bytes]:
    """Build wheel and source archive of a folder, and return each file's content by its name.

    `variables` are added to the environment.
    """
    command = [sys.executable, "-m", "hatchling", "build", "-d", str(folder)]
    environment = {**os.environ, **variables}
    done = subprocess.run(
        command,
        cwd=source,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise ReleaseError(f"the build failed: {done.stderr}")
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def require_same(first: dict[str, bytes], second: dict[str, bytes], how: str) -> None:
    """Raise ReleaseError unless two builds have the same files, byte for byte."""
    if first.keys() != second.keys():
        raise ReleaseError(f"{how}: {sorted(first)} and {sorted(second)}")
    for name, content in first.items():
        if content != second[name]:
            parts = sorted(
                _differing(_contents(name, content), _contents(name, second[name]))
            )
            raise ReleaseError(
                f"{how}: {name} differs in {', '.join(parts) or 'the form of the archive'}"
            )


def _differing(first: dict[str, bytes], second: dict[str, bytes]) -> set[str]:
    return {
        name
        for name in first.keys() | second.keys()
        if first.get(name) != second.get(name)
    }


def _contents(name: str, content: bytes) -> dict[str, bytes]:
    """Return the files of a wheel or a source archive; those of the latter without its top
    folder.
    """
    if name.endswith(".whl"):
        with ZipFile(io.BytesIO(content)) as archive:
            return {item: archive.read(item) for item in archive.namelist()}
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        members = {
            item.name.partition("/")[2]: tar.extractfile(item)
            for item in tar
            if item.isfile()
        }
        return {path: file.read() for path, file in members.items() if file}


def extract_sdist(content: bytes, folder: Path) -> Path:
    """Write the files of a source archive into a new folder, and return the folder with
    pyproject.toml.
    """
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        unpack(archive, folder)
    (top,) = folder.iterdir()
    return top


def check_names(names: set[str], version: str) -> None:
    """Raise ReleaseError unless there is one wheel for every platform and one source archive, by
    normalized names.

    Attestations bind to these names.
    """
    expected = {f"{NAME}-{version}-py3-none-any.whl", f"{NAME}-{version}.tar.gz"}
    if names != expected:
        raise ReleaseError(
            f"the build has {sorted(names)} instead of {sorted(expected)}"
        )
    for name in names:
        project, actual = (
            parse_wheel_filename(name)[:2]
            if name.endswith(".whl")
            else parse_sdist_filename(name)
        )
        if (project, str(actual)) != (canonicalize_name(NAME), version):
            raise ReleaseError(f"{name} is not the normalized name of {NAME} {version}")


def check_wheel(content: bytes, source: Path, version: str) -> None:
    """Raise ReleaseError unless a wheel has exactly the package, the bank's manifests and its
    description.
    """
    files = _contents(".whl", content)
    info = f"{NAME}-{version}.dist-info"
    expected = {
        path.relative_to(source).as_posix()
        for path in (source / "reconciler").rglob("*")
        if path.is_file()
    }
    bank = source / "manifests"
    expected |= {
        f"reconciler/bank/{path.relative_to(bank).as_posix()}"
        for path in bank.rglob("*")
        if path.is_file()
    }
    expected |= {
        f"{info}/{name}"
        for name in (
            "METADATA",
            "WHEEL",
            "RECORD",
            "entry_points.txt",
            "licenses/LICENSE",
        )
    }
    _require_files(files.keys(), expected, "wheel")
    for path, digest, _ in csv.reader(files[f"{info}/RECORD"].decode().splitlines()):
        if digest and digest != f"sha256={_urlsafe_digest(files[path])}":
            raise ReleaseError(f"the wheel's RECORD has another digest of {path}")
    _check_metadata(files[f"{info}/METADATA"], version)


def check_sdist(content: bytes, wheel: bytes, source: Path, version: str) -> None:
    """Raise ReleaseError unless a source archive has every file of the commit, and the wheel's
    metadata.
    """
    files = _contents(".tar.gz", content)
    expected = {
        path.relative_to(source).as_posix()
        for path in source.rglob("*")
        if path.is_file()
    }
    # of building, beside the files of the commit
    expected = {path for path in expected if "__pycache__" not in path}
    _require_files(files.keys(), expected | _ADDED_TO_SDIST, "source archive")
    if (
        files["PKG-INFO"]
        != _contents(".whl", wheel)[f"{NAME}-{version}.dist-info/METADATA"]
    ):
        raise ReleaseError("wheel and source archive have different metadata")


def _require_files(names: Collection[str], wanted: set[str], where: str) -> None:
    surplus = sorted(set(names) - wanted)
    missing = sorted(wanted - set(names))
    if surplus or missing:
        raise ReleaseError(
            f"the {where} has {surplus[:5]} too much and lacks {missing[:5]}"
        )


def _urlsafe_digest(content: bytes) -> str:
    return (
        base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
    )


def _check_metadata(content: bytes, version: str) -> None:
    """Check the metadata by their specification, and that the description has no link to a file
    beside it.
    """
    try:
        metadata = Metadata.from_email(content, validate=True)
    except ExceptionGroup as error:
        raise ReleaseError(
            f"invalid metadata: {'; '.join(map(str, error.exceptions))}"
        ) from error
    if (metadata.name, str(metadata.version)) != (NAME, version):
        raise ReleaseError(
            f"the metadata are of {metadata.name} {metadata.version}, not of {NAME} {version}"
        )
    if metadata.description_content_type != "text/markdown":
        raise ReleaseError("the description is not Markdown")
    if links := _LINK.findall(metadata.description or "]()"):
        raise ReleaseError(
            f"the description has relative links, which lead nowhere on an index: {links[:3]}"
        )
    addresses = metadata.project_urls or {}
    if f"/v{version}/" not in addresses.get("Documentation", ""):
        raise ReleaseError(f"the address of the documentation does not name v{version}")
