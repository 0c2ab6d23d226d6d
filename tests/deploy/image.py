"""The Dockerfile, parsed as far as this project needs, and its build in a folder, without
Docker.
"""

from __future__ import annotations

import fnmatch
import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Final, NamedTuple

ROOT: Final = Path(__file__).resolve().parents[2]
HOME: Final = "/opt/cxroute"


class Instruction(NamedTuple):
    """One instruction: its name, and its arguments with continued lines joined."""

    name: str
    rest: str


def instructions(text: str) -> list[Instruction]:
    """Return the instructions of a Dockerfile, in order."""
    lines = [
        line for line in text.splitlines() if line.strip() and not line.startswith("#")
    ]
    joined = re.sub(r"\\\n\s*", " ", "\n".join(lines))
    return [Instruction(*line.split(None, 1)) for line in joined.splitlines()]


def stages(found: list[Instruction]) -> list[list[Instruction]]:
    """Split the instructions at each FROM; those before the first are dropped."""
    starts = [place for place, item in enumerate(found) if item.name == "FROM"]
    return [
        found[start:end]
        for start, end in zip(starts, [*starts[1:], len(found)], strict=True)
    ]


def command(found: list[Instruction], name: str) -> list[str]:
    """Return the words of ENTRYPOINT, CMD or HEALTHCHECK in JSON form."""
    rest = next(item.rest for item in found if item.name == name)
    words = json.loads(rest[rest.index("[") :])
    assert isinstance(words, list)
    return words


def copied(stage: list[Instruction]) -> list[tuple[list[str], str]]:
    """Return the sources in the build's context and the destination of each COPY of a stage."""
    actual = [
        item.rest.split()
        for item in stage
        if item.name == "COPY" and not item.rest.startswith("--from=")
    ]
    return [(words[:-1], words[-1]) for words in actual]


def is_sent(path: str, ignored: str) -> bool:
    """Return whether a file is in the build's context: the last matching line of .dockerignore
    decides.
    """
    parts = path.split("/")
    above = ["/".join(parts[:count]) for count in range(1, len(parts) + 1)]
    requests_sent = True
    for line in ignored.splitlines():
        pattern = line.strip().lstrip("!")
        candidates = parts if pattern.startswith("**/") else above
        if pattern and any(
            fnmatch.fnmatchcase(item, pattern.removeprefix("**/"))
            for item in candidates
        ):
            requests_sent = line.startswith("!")
    return requests_sent


def build(stage: list[Instruction], root: Path, python: str, pip: str | None) -> Path:
    """Execute a stage's COPYs and RUNs below `root`, and return its /opt/cxroute.

    `python` replaces the base image's Python; `pip`, if set, replaces the command that installs the
    packages.
    """
    home = root / HOME.lstrip("/")
    links = root / "bin"
    home.mkdir(parents=True)
    links.mkdir()
    (links / "python").write_text(
        f'#!/bin/sh\nexec "{python}" "$@"\n', encoding="utf-8"
    )
    (links / "python").chmod(0o755)
    variables = {**os.environ, "PATH": f"{links}:/usr/bin:/bin"}
    for item in stage:
        if item.name == "COPY":
            *sources, target = item.rest.split()
            for source in sources:
                _copy(ROOT / source, home / target)
        elif item.name == "RUN":
            text = item.rest.replace(HOME, str(home))
            text = re.sub(r"python -m pip .*", pip, text) if pip else text
            subprocess.run(
                ["/bin/sh", "-ec", text], cwd=home, env=variables, check=True
            )
    return home


def _copy(source: Path, target: Path) -> None:
    if source.is_file():
        shutil.copyfile(source, target / source.name)
        return
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8")

    def unsent(folder: str, names: list[str]) -> set[str]:
        return {
            name
            for name in names
            if not is_sent(str((Path(folder) / name).relative_to(ROOT)), ignored)
        }

    shutil.copytree(source, target, ignore=unsent)
