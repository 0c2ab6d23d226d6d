"""The list of packages that come with a release (SBOM), in CycloneDX form, from the requirement
files.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any, Final

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.release.packages import NAME, ReleaseError

_PIN: Final = re.compile(r"([a-z0-9-]+)==([^\s;]+)")
_HASH: Final = re.compile(r"--hash=sha256:([0-9a-f]{64})")

Pins = dict[tuple[str, str], set[str]]
"""Name and version of each package, and its SHA-256 digests."""


def requirements_of_users(source: Path) -> str:
    """Return the pinned packages of the program and of all its extras, each once, as one
    requirement file.
    """
    files = [
        path
        for path in sorted(source.glob("requirements*.txt"))
        if path.name not in ("requirements-dev.txt", "requirements-site.txt")
    ]
    entries: dict[str, None] = {}
    for file in files:
        lines = [
            line
            for line in file.read_text(encoding="utf-8").splitlines()
            if not line.lstrip().startswith("#")
        ]
        text = "\n".join(lines).replace("\\\n", " ")
        entries |= dict.fromkeys(
            " ".join(line.split()) for line in text.splitlines() if line.strip()
        )
    return "".join(f"{entry}\n" for entry in sorted(entries))


def require_extras(source: Path, requirements: str) -> None:
    """Raise ReleaseError unless the requirement files of users pin what the program and each of its
    extras require.
    """
    project = tomllib.loads((source / "pyproject.toml").read_text(encoding="utf-8"))[
        "project"
    ]
    pinned = {name for name, _ in _pins(requirements)}
    for extra, expected in {
        "the program": project["dependencies"],
        **project["optional-dependencies"],
    }.items():
        if missing := sorted(
            {canonicalize_name(Requirement(item).name) for item in expected} - pinned
        ):
            raise ReleaseError(
                f"no requirements*.txt of users pins {', '.join(missing)}, which {extra} requires"
            )


def write_sbom(
    source: Path, version: str, file: Path, variables: dict[str, str]
) -> None:
    """Write the list for the requirement files of a folder.

    `variables` are added to the environment.
    """
    command = [
        str(Path(sys.executable).with_name("cyclonedx-py")),
        "requirements",
        "--output-reproducible",
        "-o",
        str(file),
    ]
    command += ["--sv", "1.6", "--pyproject", str(source / "pyproject.toml"), "-"]
    done = subprocess.run(
        command,
        input=requirements_of_users(source),
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise ReleaseError(f"cyclonedx-py failed: {done.stderr}")
    document = json.loads(file.read_text(encoding="utf-8"))
    # pyproject.toml has no version: the tool cannot know it.
    document["metadata"]["component"] |= {
        "version": version,
        "purl": f"pkg:pypi/{NAME}@{version}",
    }
    file.write_text(
        json.dumps(document, indent=1, sort_keys=True) + "\n", encoding="utf-8"
    )


def check_sbom(text: str, requirements: str) -> int:
    """Raise ReleaseError unless the list is valid and has each pinned package with its digests;
    return their number.
    """
    if error := JsonStrictValidator(SchemaVersion.V1_6).validate_str(text):
        raise ReleaseError(f"the SBOM is not CycloneDX 1.6: {error}")
    pinned = _pins(requirements)
    listed = _listed(json.loads(text))
    for pin, digests in pinned.items():
        if listed.get(pin) != digests:
            raise ReleaseError(
                f"the SBOM lacks {pin[0]} {pin[1]}, or some of its digests"
            )
    if surplus := listed.keys() - pinned.keys():
        raise ReleaseError(
            f"the SBOM has packages that are not pinned: {sorted(surplus)}"
        )
    return len(pinned)


def _pins(requirements: str) -> Pins:
    pins: Pins = {}
    for line in requirements.splitlines():
        actual = _PIN.match(line)
        if not actual or not _HASH.search(line):
            raise ReleaseError(f"not pinned by version and hash: {line[:80]}")
        pins.setdefault((actual[1], actual[2]), set()).update(_HASH.findall(line))
    return pins


def _listed(document: dict[str, Any]) -> Pins:
    return {
        (item["name"], item["version"]): {
            digest["content"]
            for reference in item.get("externalReferences", [])
            for digest in reference.get("hashes", [])
            if digest["alg"] == "SHA-256"
        }
        for item in document["components"]
    }
