"""Other YAML tools, which share no code with cxroute: loaders, a linter, and a formatter."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final

import yaml
from ruamel.yaml import YAML

from tests.support.requirements import skip_or_fail

MODULES: Final = Path(__file__).parents[1] / "browser" / "node_modules"
PRETTIER: Final = MODULES / "prettier" / "bin" / "prettier.cjs"
_RELAXED: Final = "{extends: relaxed, rules: {line-length: disable}}"


def _ruamel(version: str) -> Callable[[str], list[Any]]:
    def load(text: str) -> list[Any]:
        loader = YAML(typ="safe", pure=True)
        loader.version = version
        return list(loader.load_all(text))

    return load


def _pyyaml(text: str) -> list[Any]:
    return list(yaml.load_all(text, yaml.SafeLoader))


LOADERS: Final[dict[str, Callable[[str], list[Any]]]] = {
    "PyYAML": _pyyaml,
    "ruamel 1.1": _ruamel("1.1"),
    "ruamel 1.2": _ruamel("1.2"),
}
"""Each loader returns the documents of a text, without empty ones.

All are written in Python, as most copies are.
"""


def node_module(file: Path) -> list[str]:
    """Return the command that runs a file of a Node package; without it, skip the test, or fail it
    in CI.
    """
    if shutil.which("node") is None:
        skip_or_fail("there is no node on the path")
    if not file.exists():
        skip_or_fail(f"{file.parent.name} is not here (make browser)")
    return ["node", str(file)]


def unstable_files(directory: Path) -> list[str]:
    """Return the files below a directory that Prettier, without any settings, would change."""
    files = [
        str(path)
        for pattern in ("*.y*ml", "*.json")
        for path in sorted(directory.rglob(pattern))
    ]
    assert files
    command = [
        *node_module(PRETTIER),
        "--no-config",
        "--no-editorconfig",
        "--ignore-path",
        "/dev/null",
    ]
    done = subprocess.run(
        [*command, "--list-different", *files],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode in (0, 1), done.stderr
    return done.stdout.splitlines()


def lint_problems(directory: Path) -> list[str]:
    """Return what yamllint's relaxed rules find below a directory; the length of a line is
    Prettier's.
    """
    command = [
        sys.executable,
        "-m",
        "yamllint",
        "--strict",
        "-f",
        "parsable",
        "-d",
        _RELAXED,
        str(directory),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1, 2), done.stderr
    return done.stdout.splitlines()


def differing_loaders(text: str, expected: Iterable[Any]) -> dict[str, Any]:
    """Return what each loader reads that does not read the expected documents."""
    desired_state = list(expected)
    read: dict[str, Any] = {}
    for name, load in LOADERS.items():
        try:
            read[name] = load(text)
        except Exception as error:  # noqa: BLE001 - whatever a loader raises, it does not read the text
            read[name] = error
    return {name: value for name, value in read.items() if value != desired_state}
