"""Which part of the program the tests run: `python -m tests.measure` reports it after runs under coverage.py.

Child processes are measured, too: started commands by their environment, forked ones because coverage.py goes on there.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from coverage import Coverage, CoverageData

if TYPE_CHECKING:
    from collections.abc import Iterator

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

UNMEASURED: Final = (
    "browser/",  # opens finished reports in a browser
    "campaign/",  # generated runs of lines that others run, too
    "crash/test_local_disk.py",  # no room for what coverage.py writes
    "test_start_up.py",  # interrupts a start at each import, and coverage.py imports, too
)
"""Tests that run without coverage.py, which would make them slow or wrong: the beginnings of their paths."""
MEASURED: Final = (
    "test_behaviour_order.py",
    "test_export",
    "test_hostile_manifests.py",
    "test_sarif.py",
    "test_watch_loop.py",
)
"""Files whose further cases, too, run lines that no other test runs."""

_SETTINGS: Final = "COVERAGE_PROCESS_CONFIG"
_PATIENCE: Final = 12
"""Seconds: `serve` may take ten to finish what it accepted."""


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
    """Return the modules without any data: the settings name what to measure, and a report holds what was met alone."""
    data = CoverageData(str(file))
    data.read()
    there = {str(path) for path in (ROOT / "reconciler").rglob("*.py")}
    return sorted(str(Path(path).relative_to(ROOT)) for path in there - data.measured_files())


@contextlib.contextmanager
def paused() -> Iterator[None]:
    """Pause coverage.py, if it runs, in this process and in those that are started."""
    measuring = Coverage.current()
    if measuring is None:
        yield
        return
    settings = os.environ.pop(_SETTINGS, None)
    measuring.stop()
    try:
        yield
    finally:
        measuring.start()
        if settings is not None:
            os.environ[_SETTINGS] = settings


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
    """Write down what was measured so far, or each process that is forked from this one would write it again."""
    if measuring := Coverage.current():
        measuring.save()


def end_process(process: subprocess.Popen[Any]) -> None:
    """Kill a process; one that is measured is first asked to end, because one that is killed writes nothing down."""
    if _SETTINGS in os.environ:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_PATIENCE)
    process.kill()


if __name__ == "__main__":
    sys.exit(main())
