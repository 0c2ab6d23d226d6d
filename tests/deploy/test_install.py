"""The page of installation: each of its commands, with a wheel that is built from this checkout."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Final

import pytest
import yaml

from reconciler.cli.arguments import all_commands
from reconciler.features.forge.pipeline_files import PIPELINES
from reconciler.version import __version__
from tests.support.checkout import commit_checkout
from tests.support.requirements import skip_or_fail
from tests.tiers import FULL

ROOT: Final = Path(__file__).resolve().parents[2]
PAGE: Final = (ROOT / "docs/install.md").read_text(encoding="utf-8")
BLOCK: Final = re.compile(
    r"<!-- not run: tests/deploy/test_install.py runs it -->\n```sh\n(.*?)```",
    re.DOTALL,
)
COMMANDS: Final = "".join(BLOCK.findall(PAGE)).splitlines()
ADDRESS: Final = "git+https://git.example/OWNER/cxroute@COMMIT"
BUILD: Final = "python3 -m pip wheel "
DEMO: Final = "Simulated: no tenant was contacted."
WAYS: Final = ("pipx install ", "uv tool install ", "venv/bin/python -m pip install ")
REST: Final = {"cxroute version", "cxroute demo", "python3 -m venv venv"}


class Shell:
    """A reader's shell in a clone.

    What pipx, uv and venv install is below the clone, apart for each way.
    """

    def __init__(self, clone: Path, way: str = "build") -> None:
        self._clone, self._programs = (
            clone,
            clone / "venv/bin"
            if way.startswith("venv")
            else clone / way.partition(" ")[0],
        )
        python = Path(sys.executable)
        (clone / "home").mkdir(exist_ok=True)
        folders = {"PIPX_HOME": "pipx-home", "UV_TOOL_DIR": "uv-home"}
        self._variables = {
            **{
                name: value
                for name, value in os.environ.items()
                if name != "VIRTUAL_ENV"
            },
            **{name: str(clone / folder) for name, folder in folders.items()},
            **dict.fromkeys(("PIPX_BIN_DIR", "UV_TOOL_BIN_DIR"), str(self._programs)),
            **dict.fromkeys(("PIPX_DEFAULT_PYTHON", "UV_PYTHON"), sys.executable),
            "HOME": str(clone / "home"),  # the user's own may be closed
            "PIP_NO_COMPILE": "1",  # saves half of the time
            "PATH": os.pathsep.join(
                [str(self._programs), str(python.parent), os.environ["PATH"]]
            ),
        }

    def run(self, command: str) -> str:
        """Return what a command prints; if it fails, the test fails with that text."""
        done = subprocess.run(
            ["bash", "-euc", command],
            cwd=self._clone,
            env=self._variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert 0 == done.returncode, f"{command}\n{done.stdout}"
        return done.stdout

    def modules(self, *names: str) -> list[bool]:
        """Return which modules the environment of the installed command has."""
        actual = shutil.which("cxroute", path=self._variables["PATH"])
        assert actual
        environment = Path(actual).resolve().parent
        assert self._clone in environment.parents, (
            "the installed command, and not that of the tests"
        )
        assert f"cxroute {__version__}\n" == self.run("cxroute version")
        code = (
            f"from importlib.util import find_spec; print(*(int(find_spec(one) is not None) for "
            f"one in {names}))"
        )
        return [
            word == "1"
            for word in self.run(f'"{environment}/python" -I -c "{code}"').split()
        ]


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a clone in which the page's command has built the wheel, with the machine's package
    index.
    """
    folder = tmp_path_factory.mktemp("install")
    probe = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--quiet",
        "--no-deps",
        "--dest",
        str(folder / "probe"),
        "shtab",
    ]
    if subprocess.run(
        [*probe, "--timeout", "5", "--retries", "0"], capture_output=True, check=False
    ).returncode:
        skip_or_fail("the package index of this machine cannot be reached")
    clone = commit_checkout(folder / "cxroute")
    (build,) = (command for command in COMMANDS if command.startswith(BUILD))
    Shell(clone).run(build)
    return clone


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS)
def test_each_way_installs_the_wheel_and_its_extras(clone: Path, way: str) -> None:
    """By the page's commands, in order: first without extras, at last with them (pip alone only in
    the campaign).
    """
    shell = Shell(clone, way)
    if way.startswith("venv"):
        shell.run("python3 -m venv venv")
    first, *further = (command for command in COMMANDS if command.startswith(way))
    shell.run(first)
    assert DEMO in shell.run("cxroute demo | head -n 5")
    assert [False, False] == shell.modules("uvicorn", "openpyxl")
    if way.startswith("venv") and not FULL:  # pipx installs with pip, too
        return
    for command in further:
        # git.example cannot exist: the clone stands for the repository.
        commit = shell.run("git rev-parse HEAD").strip()
        shell.run(command.replace(ADDRESS, f"git+file://{clone}@{commit}"))
    assert [True, True] == shell.modules("uvicorn", "openpyxl")


def test_every_command_of_the_page_is_run() -> None:
    """A command is of one of the ways above; the others are those that the tests run by name."""
    assert REST == {
        command for command in COMMANDS if not command.startswith((BUILD, *WAYS))
    }
    assert 1 == sum(ADDRESS in command for command in COMMANDS)
    repository = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"][
        "metadata"
    ]["hooks"]["custom"]
    assert f"git+{repository['repository']}@COMMIT" == ADDRESS


def test_the_page_names_every_extra_and_its_ways() -> None:
    """Each extra of the project has a row; the action has the input that the row names."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))[
        "project"
    ]["optional-dependencies"]
    rows = dict(re.findall(r"^\| `(\w+)` \| (.+) \|$", PAGE, re.MULTILINE))
    assert {"serve", "sheets"} <= extras.keys() <= rows.keys()
    inputs = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))["inputs"]
    named = {name: re.findall(r"input `(\w+): ", row) for name, row in rows.items()}
    assert ["sheets"] == named["sheets"]
    assert {name for names in named.values() for name in names} <= inputs.keys()
    assert [name for name, row in rows.items() if row.split(" | ")[1] == "yes"] == [
        "serve"
    ]
    assert "requirements-serve.txt" in (ROOT / "Dockerfile").read_text(encoding="utf-8")


PAGE_OF_A_CHECKOUT: Final = re.compile(r"(?<!/)\bdocs/\w[^\s)`]*")
WITHOUT_EXTRAS: Final = """
import json, sys

sys.modules.update(dict.fromkeys(("fsspec", "mcp", "openpyxl", "pygls", "uvicorn")))  # an import of these fails
from reconciler.cli.main import main

for words in json.loads(sys.argv[1]):
    main(words)
"""
MESSAGES: Final = (
    *((name, "--help") for name in all_commands()),
    ("--help",),
    ("help", "options"),
    ("serve",),
    ("lsp",),
    ("mcp",),
    ("validate",),
    ("init",),
    ("table", "--to", "rules.xlsx"),
    ("plan", "-e", "prod"),
    ("validate",),
    ("plan",),
    ("history", "--journal", "s3://bucket/runs"),
    *(("init", f"--{forge}") for forge in PIPELINES),
    ("demo",),
)


@pytest.mark.slow
def test_a_wheel_names_no_page_that_it_does_not_have(tmp_path: Path) -> None:
    """Helps, errors where an extra is missing, what `init` and `demo` print, and the files that
    `init` writes.
    """
    build = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "--wheel-dir",
    ]
    clone = commit_checkout(tmp_path / "cxroute")
    subprocess.run([*build, str(tmp_path), str(clone)], check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    shutil.unpack_archive(wheel, tmp_path / "site", "zip")
    work = tmp_path / "work"
    work.mkdir()
    environment = {
        **os.environ,
        "PYTHONPATH": str(tmp_path / "site"),
        "HOME": str(tmp_path),
    }
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_EXTRAS, json.dumps(MESSAGES)],
        cwd=work,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=True,
    )
    printed = done.stdout
    assert "Traceback" not in printed
    stored = [
        path.read_text("utf-8")
        for path in work.rglob("*")
        if path.is_file() and path.suffix != ".json"
    ]
    for text in (printed, *stored):
        assert [] == PAGE_OF_A_CHECKOUT.findall(text)
    for page in (
        "install.md#extras",
        "connect.md",
        *(
            f"forges.md#{kind.forge.lower().replace(' ', '-')}"
            for kind in PIPELINES.values()
        ),
    ):
        assert (
            f"https://git.example/OWNER/cxroute/blob/v{__version__}/docs/{page}"
            in printed
        )
    assert 6 <= sum(f"/blob/v{__version__}/docs/" in text for text in stored), (
        "the pipelines name the pages, too"
    )
