"""Coverage includes the processes that tests fork, start and end; otherwise their lines would count
as not run.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest
from coverage import CoverageData

from tests.support.measure import ROOT, entry_of, never_imported, pure_modules

LINES: Final = """\
def forked():
    return "ended by os._exit"
def ended():
    return "ended by SIGTERM"
def started():
    return "a command in a separate environment"
"""
PARENT: Final = """\
import os, signal, subprocess, sys
from tests.support.measure import before_forking, measure_children
measure_children()
before_forking()
def child(end):
    if not (made := os.fork()):
        import lines
        end(lines)
    os.waitpid(made, 0)
child(lambda lines: (lines.forked(), os._exit(0)))
child(lambda lines: (lines.ended(), os.kill(os.getpid(), signal.SIGTERM), signal.pause()))
code = "import lines; lines.started()"
subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": os.environ["PYTHONPATH"]}, check=True)
"""


@pytest.mark.slow
def test_processes_that_are_forked_ended_or_started_are_measured(
    tmp_path: Path,
) -> None:
    """With the settings of pyproject.toml, the lines of a module that only such processes import
    count as run.
    """
    (tmp_path / "reconciler").mkdir()
    (tmp_path / "reconciler/lines.py").write_text(LINES, encoding="utf-8")
    (tmp_path / "parent.py").write_text(PARENT, encoding="utf-8")
    variables = {
        **os.environ,
        "PYTHONPATH": f"{tmp_path}/reconciler:{ROOT}",
        "COVERAGE_FILE": str(tmp_path / "data"),
    }
    settings = f"--rcfile={ROOT / 'pyproject.toml'}"
    for step in (["run", settings, "parent.py"], ["combine", "--quiet", settings]):
        subprocess.run(
            [sys.executable, "-m", "coverage", *step],
            cwd=tmp_path,
            env=variables,
            check=True,
        )
    data = CoverageData(str(tmp_path / "data"))
    data.read()
    assert [1, 2, 3, 4, 5, 6] == sorted(
        data.lines(str(tmp_path / "reconciler/lines.py")) or ()
    )


def test_a_module_without_imports_is_reported(tmp_path: Path) -> None:
    """It would be missing in the reports and would not lower the figures."""
    data = CoverageData(str(tmp_path / "data"))
    imported = set((ROOT / "reconciler").rglob("*.py")) - {
        ROOT / "reconciler/core/text/phrases.py"
    }
    data.add_arcs({str(path): [(-1, 1)] for path in imported})
    data.write()
    assert ["reconciler/core/text/phrases.py"] == never_imported(tmp_path / "data")


def test_a_module_belongs_to_the_longest_entry() -> None:
    """A pure module of an impure package is pure, and vice versa."""
    modules = [
        "core/apply/loop",
        "core/apply/progress",
        "core/text/files",
        "core/text/phrases",
        "core/plan/changes",
    ]
    entries = [
        "core/apply",
        "core/apply/progress",
        "core/text/files",
        "core",
        "core",
    ]
    assert entries == [entry_of(ROOT / f"reconciler/{name}.py") for name in modules]
    assert [
        "core/apply/progress",
        "core/text/phrases",
        "core/plan/changes",
    ] == [name for name in modules if ROOT / f"reconciler/{name}.py" in pure_modules()]
