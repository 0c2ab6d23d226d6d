"""Each feature is one folder: without it, the package works, less what the feature does."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import pytest

from tests.support.needed_features import FEATURES, needed_features
from tests.support.package_copy import CopyResult, PackageCopy

ROOT: Final = Path(__file__).parents[2]
CORE_TESTS: Final = sorted((ROOT / "tests/core").rglob("test_*.py"))
COMMANDS: Final = """\
import sys
from reconciler.cli.main import main

for command in sys.argv[1:]:
    print(f"{command}: {main(command.split())}", flush=True)
"""
IMPORTS: Final = """\
from importlib import import_module
from pkgutil import walk_packages

for part in ("core", "targets", "render", "cli"):
    package = import_module(f"reconciler.{part}")
    for module in walk_packages(package.__path__, f"{package.__name__}."):
        import_module(module.name)
"""
SAMPLE: Final = (
    "checks/test_watched_rules.py",
    "desired/test_desired.py",
    "plan/test_consent.py",
    "plan/test_plan.py",
)
"""Modules of tests/core that run for each feature that they do not need."""


class Project:
    """A copy of the package without some features, and a folder to run its commands in."""

    def __init__(self, folder: Path, removed: Iterable[str]) -> None:
        self.copy = PackageCopy(folder / "copy", removed)
        self.folder = folder / "project"
        self.folder.mkdir()

    def run(self, *commands: str, script: str = COMMANDS) -> CopyResult:
        """Run commands one after the other in a new process; their exit codes are in the text."""
        return self.copy.start(self.folder, "-c", script, *commands)


def test_the_package_works_without_any_feature(tmp_path: Path) -> None:
    """Commands of the core in a new process, then the import of every module below the features.

    The sandbox is a feature, so a command that needs it ends with a message.
    """
    project = Project(tmp_path, FEATURES)
    ended = project.run(
        "--help",
        "init",
        "validate -e sandbox",
        "explain -e sandbox --intent x",
        "plan -e sandbox",
        script=COMMANDS + IMPORTS,
    )
    assert 0 == ended.code, ended.text
    for command in ("--help", "init", "validate -e sandbox"):
        assert f"{command}: 0\n" in ended.text, ended.text
    assert "explain -e sandbox --intent x: 0\n" in ended.text
    message = "this installation has no feature that simulates the tenant of sandbox"
    assert message in ended.text
    assert "plan -e sandbox: 64\n" in ended.text


@pytest.mark.slow
def test_rules_are_applied_without_any_feature_but_the_sandbox(tmp_path: Path) -> None:
    """What the journal, the page of `explore`, forges and notifications do is missing alone.

    `notify:` of an Environment is valid, and has no effect.
    """
    project = Project(tmp_path, {*FEATURES} - {"practice"})
    project.run("init")
    environment = project.folder / "manifests/environments/sandbox.yaml"
    with environment.open("a", encoding="utf-8") as file:
        file.write("notify: {url: 'http://127.0.0.1:9/'}\n")
    ended = project.run(
        "plan -e sandbox --report out",
        "apply -e sandbox --yes",
        "drift -e sandbox",
        "plan -e sandbox --undo today",
        "completion --values runs",
        "init --github",
    )
    for command in ("plan -e sandbox --report out", "apply -e sandbox --yes"):
        assert f"{command}: 0\n" in ended.text, ended.text
    for command in ("drift -e sandbox", "completion --values runs"):
        assert f"{command}: 0\n" in ended.text, ended.text
    assert "Undo: " not in ended.text
    assert "notification" not in ended.text
    assert "plan -e sandbox --undo today: 64\n" in ended.text
    message = "--undo today: this installation has no feature that records runs"
    assert message in ended.text
    assert "init --github: 64\n" in ended.text

    assert not (project.folder / ".cxroute/journal.jsonl").exists()
    report = project.folder / "out"
    names = sorted(path.name for path in report.iterdir())
    assert ["plan.html", "plan.json", "plan.md"] == names
    assert "explore.html" not in (report / "plan.html").read_text(encoding="utf-8")


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_package_works_without_each_feature(tmp_path: Path) -> None:
    """Commands of the core, and `history`, which names artifacts if there are forges."""
    for feature in FEATURES:
        folder = tmp_path / feature
        folder.mkdir()
        check_commands_without(feature, folder)


def check_commands_without(feature: str, folder: Path) -> None:
    project = Project(folder, [feature])
    commands = ("--help", "init", "validate -e sandbox", "plan -e sandbox", "history")
    ended = project.run(*commands)
    assert 0 == ended.code, (feature, ended.text)
    for command in ("--help", "init", "validate -e sandbox"):
        assert f"{command}: 0\n" in ended.text, (feature, ended.text)
    for command, owner in (("plan -e sandbox", "practice"), ("history", "journal")):
        code = 64 if feature == owner else 0
        assert f"{command}: {code}\n" in ended.text, (feature, ended.text)


@pytest.mark.campaign
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("feature", FEATURES)
def test_the_core_passes_its_tests_without_a_feature(
    feature: str, tmp_path: Path
) -> None:
    """Commands that plan and apply, and functions that they use."""
    files = [ROOT / "tests/core" / name for name in SAMPLE]
    able = [path for path in files if feature not in needed_features(path)]
    assert len(able) >= len(SAMPLE) / 2
    run_tests(tmp_path, [feature], able)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_core_passes_its_tests_without_any_feature(tmp_path: Path) -> None:
    """All of those that need none."""
    able = [path for path in CORE_TESTS if not needed_features(path)]
    assert len(able) > len(CORE_TESTS) / 2
    run_tests(tmp_path, FEATURES, able)


def run_tests(folder: Path, removed: Iterable[str], files: Iterable[Path]) -> None:
    """Run tests in a copy of the repository whose package lacks features."""
    copy = PackageCopy(folder / "copy", removed)
    for path in ROOT.iterdir():
        if path.name == "tests":
            ignored = shutil.ignore_patterns("__pycache__", "node_modules")
            shutil.copytree(path, copy.home / "tests", ignore=ignored)
        elif path.name != "reconciler" and not path.name.startswith("."):
            (copy.home / path.name).symlink_to(path)
    names = [str(path.relative_to(ROOT)) for path in files]
    options = ("-q", "-x", "-p", "no:cacheprovider", "-m", "not slow and not root")
    ended = copy.start(copy.home, "-m", "pytest", *options, *names, seconds=1500)
    assert 0 == ended.code, ended.text[-4000:]
