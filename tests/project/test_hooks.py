"""The pre-commit hook: its description is valid, and its command checks the manifests of a
repository.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
HOOKS: list[dict[str, Any]] = yaml.safe_load(
    (ROOT / ".pre-commit-hooks.yaml").read_text(encoding="utf-8")
)
REQUIRED = {"id": str, "name": str, "entry": str, "language": str}
OPTIONAL = {
    **dict.fromkeys(
        ("alias", "files", "exclude", "description", "language_version", "log_file"),
        str,
    ),
    **dict.fromkeys(
        (
            "types",
            "types_or",
            "exclude_types",
            "additional_dependencies",
            "args",
            "stages",
        ),
        list,
    ),
    **dict.fromkeys(
        ("always_run", "fail_fast", "pass_filenames", "require_serial", "verbose"), bool
    ),
    "minimum_pre_commit_version": str,
}
"""The fields of a hook's description and their types, from pre-commit's documentation."""


def run(entry: str, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run a hook as pre-commit does: its entry as the words of a command installed next to this
    Python.
    """
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }
    command = [*shlex.split(entry), *arguments]
    return subprocess.run(
        command,
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        encoding="utf-8",
    )


def test_the_description_of_the_hook_is_valid() -> None:
    """It has every required field, no unknown field, and valid types."""
    assert ["cxroute-validate"] == [hook["id"] for hook in HOOKS]
    for hook in HOOKS:
        assert {*REQUIRED} <= {*hook} <= {*REQUIRED, *OPTIONAL}
        assert {name: (REQUIRED | OPTIONAL)[name] for name in hook} == {
            name: type(value) for name, value in hook.items()
        }
        assert "python" == hook["language"]


def test_it_runs_once_for_all_files() -> None:
    """Duplicates concern several files, so no names are passed and files are not split between
    runs.
    """
    (hook,) = HOOKS
    assert (False, True) == (hook["pass_filenames"], hook["require_serial"])


def test_it_runs_in_every_commit() -> None:
    """Pre-commit passes over deleted files: with a pattern, a commit that only deletes a manifest
    is not checked.
    """
    (hook,) = HOOKS
    assert hook["always_run"] is True
    assert "files" not in hook


@pytest.mark.slow
@pytest.mark.parametrize("ci", ["", "true"])
def test_its_command_passes_on_this_repository(
    ci: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The manifests of the example are valid, locally and in CI."""
    monkeypatch.setenv("CI", ci)
    monkeypatch.delenv("CXROUTE_ENV", raising=False)
    (hook,) = HOOKS
    ended = run(hook["entry"], cwd=ROOT)
    assert (0, "") == (ended.returncode, ended.stderr)
    assert "No errors in " in ended.stdout


def test_its_command_fails_on_a_duplicate_across_files(tmp_path: Path) -> None:
    """Both positions are printed; `args` of a configuration set the directory of manifests."""
    for name in ("a", "b"):
        (tmp_path / "routing").mkdir(exist_ok=True)
        (tmp_path / "routing" / f"{name}.yaml").write_text(
            "apiVersion: routing/v1\nkind: RuleSet\nname: cards\nrules: []\n",
            encoding="utf-8",
        )
    (hook,) = HOOKS
    ended = run(hook["entry"], "-m", "routing", cwd=tmp_path)
    assert 3 == ended.returncode
    assert "routing/b.yaml" in ended.stdout
    assert "error[CXR111]" in ended.stdout
