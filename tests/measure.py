"""Which part of the program the fast tests run: `python -m tests.measure` reports it after `make test COVER=1`.

Child processes are measured, too: started commands by their environment, forked ones because coverage.py goes on there.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

from coverage import Coverage, CoverageData

ROOT: Final = Path(__file__).parents[1]
BOUNDS: Final = {"all": 95, "pure": 99}
"""Percent of lines and branches."""

_PURE: Final = (
    "aftermath arrange behaviour behaviour_document canonical catalogue change compare desired diagnosis draft drift"
    " drift_document entries errors explain export exposition fields finding_document findings first_contact foresee"
    " guard hold kept_texts lint manifest marker model news options outbox ownership plan plan_schema recorded render"
    " round_metrics rounds saved_plan shares strict_json substitution tally traffic undo unknown_fields verify words"
)
PURE: Final = tuple(_PURE.split())
"""What decides: no network, no clock, no process; of files only those that it is told to read."""
_IMPURE: Final = (
    "__init__ __main__ apply attempt cli conduct context cxone github journal regular_file sight simulator watching"
    " webhook"
)
IMPURE: Final = tuple(_IMPURE.split())
"""What acts, or waits."""

_SETTINGS: Final = "COVERAGE_PROCESS_CONFIG"


def main() -> int:
    """Report what was measured, and return 0 when both bounds hold."""
    steps = [
        ["combine", "--quiet"],
        ["report", f"--fail-under={BOUNDS['all']}"],
        ["report", f"--fail-under={BOUNDS['pure']}", f"--include={','.join(map(pattern, PURE))}"],
    ]
    codes = [
        subprocess.run([sys.executable, "-m", "coverage", *step], cwd=ROOT, check=False).returncode for step in steps
    ]
    modules = never_imported(ROOT / ".coverage/data")
    if modules:
        sys.stdout.write(f"never imported, so in no report: {', '.join(modules)}\n")
    return int(bool(modules or any(codes)))


def never_imported(file: Path) -> list[str]:
    """Return the modules that no test imports: a report lists those alone that some test does."""
    data = CoverageData(str(file))
    data.read()
    there = {str(path) for path in (ROOT / "reconciler").rglob("*.py")}
    return sorted(str(Path(path).relative_to(ROOT)) for path in there - data.measured_files())


def pattern(name: str) -> str:
    """Return what `--include` calls a top-level module or package."""
    return f"reconciler/{name}/*" if (ROOT / "reconciler" / name).is_dir() else f"reconciler/{name}.py"


def measure_children() -> None:
    """Hand the settings of coverage.py, if it runs, to commands whose environment a test makes up."""
    start = subprocess.Popen.__init__

    def started(process: Any, *arguments: Any, **options: Any) -> None:
        settings = os.environ.get(_SETTINGS)
        if settings is not None and options.get("env") is not None:
            options["env"] = {**options["env"], _SETTINGS: settings}
        start(process, *arguments, **options)

    subprocess.Popen.__init__ = started  # type: ignore[assignment, method-assign]


def before_forking() -> None:
    """Save what was measured so far. Otherwise each process that is forked from this one would save it again."""
    if measuring := Coverage.current():
        measuring.save()


if __name__ == "__main__":
    sys.exit(main())
