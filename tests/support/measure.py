"""The coverage of the fast tests: `python -m tests.support.measure` reports it after `make test
COVER=1`.

Child processes are measured too: commands by their environment, forks because coverage.py continues
in them.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

from coverage import Coverage, CoverageData

ROOT: Final = Path(__file__).parents[2]
BOUNDS: Final = {"all": 95, "pure": 99}
"""Percent of lines and branches."""

_PURE: Final = (
    "core core/apply/first_contact core/apply/progress render version targets/studio"
    " features/cognigy/bot features/cognigy/check features/cognigy/document"
    " features/doctor/text"
    " features/explore/effects features/explore/page features/explore/tables"
    " features/journal/history features/journal/text features/journal/undo features/journal/undo_dates"
    " features/table features/traffic/cells features/traffic/prometheus"
    " features/watch/cycle features/watch/dates features/watch/slack features/watch/text"
    " targets/platform/diagnosis/entry_points targets/platform/diagnosis/observations targets/platform/diagnosis/reply"
)
PURE: Final = tuple(_PURE.split())
"""Decisions: no network, no clock, no process; only files that the caller names."""
_IMPURE: Final = (
    "__init__ __main__ cli core/apply core/text/files core/text/redact features"
    " features/table/__init__ features/table/command features/table/page"
    " features/table/xlsx_file rest targets targets/studio/client"
    " targets/studio/examination targets/studio/target"
)
IMPURE: Final = tuple(_IMPURE.split())
"""Actions and waits. A module belongs to the longest entry that contains it."""

_SETTINGS: Final = "COVERAGE_PROCESS_CONFIG"


def main() -> int:
    """Report the coverage, and return 0 if both bounds hold."""
    steps = [
        ["combine", "--quiet"],
        ["report", f"--fail-under={BOUNDS['all']}"],
        [
            "report",
            f"--fail-under={BOUNDS['pure']}",
            f"--include={','.join(str(path.relative_to(ROOT)) for path in pure_modules())}",
        ],
    ]
    codes = [
        subprocess.run(
            [sys.executable, "-m", "coverage", *step], cwd=ROOT, check=False
        ).returncode
        for step in steps
    ]
    modules = never_imported(ROOT / ".coverage/data")
    if modules:
        sys.stdout.write(f"never imported, so in no report: {', '.join(modules)}\n")
    return int(bool(modules or any(codes)))


def never_imported(file: Path) -> list[str]:
    """Return the modules that no test imports: a report lists only imported modules."""
    data = CoverageData(str(file))
    data.read()
    present = {str(path) for path in (ROOT / "reconciler").rglob("*.py")}
    return sorted(
        str(Path(path).relative_to(ROOT)) for path in present - data.measured_files()
    )


def entry_of(path: Path) -> str | None:
    """Return the longest entry of the two lists that contains the module."""
    name = path.relative_to(ROOT / "reconciler").with_suffix("").as_posix()
    entries = [
        entry
        for entry in (*PURE, *IMPURE)
        if name == entry or name.startswith(f"{entry}/")
    ]
    return max(entries, key=len, default=None)


def pure_modules() -> list[Path]:
    """Return the modules with the bound for pure ones."""
    return [
        path
        for path in sorted((ROOT / "reconciler").rglob("*.py"))
        if entry_of(path) in PURE
    ]


def measure_children() -> None:
    """Pass the settings of coverage.py, if it runs, to commands with another environment."""
    start = subprocess.Popen.__init__

    def started(process: Any, *arguments: Any, **options: Any) -> None:
        settings = os.environ.get(_SETTINGS)
        if settings is not None and options.get("env") is not None:
            options["env"] = {**options["env"], _SETTINGS: settings}
        start(process, *arguments, **options)

    subprocess.Popen.__init__ = started  # type: ignore[assignment, method-assign]


def before_forking() -> None:
    """Save the coverage so far. Otherwise each fork of this process would save it again."""
    if measuring := Coverage.current():
        measuring.save()


if __name__ == "__main__":
    sys.exit(main())
