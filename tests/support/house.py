"""Measures of the package's structure, names and density, with their goals.

`python -m tests.support.house` prints them.
"""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple

from tests.support.density import Density, measure_density, python_sources
from tests.support.imports import (
    floors,
    import_cycles,
    import_graph,
    inside,
    module_facts,
    room_imports,
)

ROOT: Final = Path(__file__).parents[2]
PACKAGE: Final = ROOT / "reconciler"
FOLDERS: Final = {"package": PACKAGE, "tests": ROOT / "tests"}
GOALS: Final = {
    "package, tokens per code line": 7.5,
    "package, parallel assignments in 1,000 lines": 2,
    "package, lines over 100 columns, percent": 1,
    "package, filler names, percent": 2,
    "package, AST nodes of the largest function": 250,
    "package, AST nodes per line, 90th percentile": 12,
    "tests, tokens per code line": 8,
    "tests, parallel assignments in 1,000 lines": 2,
    "tests, lines over 100 columns, percent": 1,
    "tests, filler names, percent": 2,
    "rooms": 14,
    "floors": 7,
    "arrows": 45,
    "import cycles": 0,
    "class names defined twice": 0,
}
"""The largest values that the house allows. A measure without a goal is only printed: the number of
tokens and the lines that `explain` loads also rise when a contributor adds what users need.
"""
TODAY: Final = {
    "package, AST nodes of the largest function": 403,
}
"""Bounds of the measures that exceed their goals. A bound may only fall; delete it at the goal."""
EXPLAIN: Final = (
    *("-m", "manifests", "-e", "sandbox", "explain"),
    *("--intent", "lost_or_stolen_card", "--confidence", "0.8"),
    *("--attr", "language=de"),
)
_LOADED: Final = """
import sys
from reconciler.cli.main import main
code = main(sys.argv[1:])
print(*(module.__file__ for name, module in sys.modules.items()
        if name.partition(".")[0] == "reconciler"), sep="\\n", file=sys.stderr)
sys.exit(code)
"""


class Measure(NamedTuple):
    """A figure, its goal, its bound until it reaches the goal, and the places that matter most."""

    name: str
    value: float
    goal: float | None = None
    today: float | None = None
    places: str = ""

    @property
    def state(self) -> str:
        """Return how the figure stands to its goal and its bound.

        "OVER" exceeds them; "DONE" has reached the goal, so its bound must be deleted.
        """
        if self.goal is None:
            return "-"
        if self.value <= self.goal:
            return "ok" if self.today is None else "DONE"
        return "open" if self.today is not None and self.value <= self.today else "OVER"

    @property
    def limit(self) -> str:
        """Return the bound and the goal in words."""
        if self.goal is None:
            return ""
        if self.state == "DONE":
            return f"goal {self.goal:,} reached: delete the bound in TODAY"
        if self.today is None:
            return f"at most {self.goal:,}"
        return f"at most {self.today:,}, goal {self.goal:,}"

    @property
    def holds(self) -> bool:
        """Return whether the figure is within its bound, and the bound is needed."""
        return self.state in {"-", "ok", "open"}

    def __str__(self) -> str:
        figure = f"{self.state:<4}  {self.name:<44}  {self.value:>7,}"
        return f"{figure}  {self.limit:<22}  {self.places}".rstrip()


def measures() -> list[Measure]:
    """Return all measures of `reconciler/` and `tests/`."""
    return [
        *(measure for part in FOLDERS for measure in part_measures(part)),
        *structure_measures(PACKAGE),
        explain_measure(),
    ]


def part_measures(part: str) -> list[Measure]:
    """Return the measures of the density of a part of the repository."""
    return density_measures(part, measure_density(python_sources(FOLDERS[part])))


def density_measures(part: str, density: Density) -> list[Measure]:
    """Return the measures of some files, rounded as they are printed."""
    fillers = ", ".join(
        f"{name} {count}" for name, count in density.fillers.most_common(6)
    )
    largest = density.largest_function
    dense = density.dense_function
    return [
        _measure(f"{part}, tokens", density.tokens),
        _measure(f"{part}, tokens per code line", density.tokens_per_line),
        _measure(
            f"{part}, parallel assignments in 1,000 lines",
            density.parallel_per_thousand,
        ),
        _measure(f"{part}, lines over 100 columns, percent", density.long_line_percent),
        _measure(f"{part}, filler names, percent", density.filler_percent, fillers),
        _measure(
            f"{part}, AST nodes of the largest function", largest.nodes, largest.place
        ),
        _measure(
            f"{part}, AST nodes per line, 90th percentile",
            dense.nodes_per_line,
            dense.place,
        ),
    ]


def structure_measures(package: Path) -> list[Measure]:
    """Return the measures of the imports and class names of a package.

    A room is a package or module at the top, an arrow is an import of one room by another, and a
    floor is a layer of rooms that do not import each other. The core is also measured by itself,
    so that the top is not simple because its parts are hidden one level below.
    """
    graph = import_graph(package)
    core = inside(graph, f"{package.name}.core")
    cycles = import_cycles(graph)
    repeated = repeated_classes(package)
    return [
        *_room_measures(graph, ""),
        *_room_measures(core, " of the core"),
        _measure("import cycles", len(cycles), " ".join(map(str, cycles[:1]))),
        _measure("class names defined twice", len(repeated), ", ".join(repeated)),
    ]


def _room_measures(graph: Mapping[str, set[str]], part: str) -> list[Measure]:
    imports = room_imports(graph)
    arrows = sum(map(len, imports.values()))
    busiest = max(imports, key=lambda room: len(imports[room]), default="")
    place = f"{busiest} {len(imports[busiest])}" if busiest else ""
    return [
        _measure(f"rooms{part}", len(imports)),
        _measure(f"floors{part}", len(floors(imports))),
        _measure(f"arrows{part}", arrows, place),
    ]


def repeated_classes(package: Path) -> list[str]:
    """Return the names that more than one class of a package has."""
    names = Counter(
        defined.name
        for path in package.rglob("*.py")
        for defined in module_facts(path).classes
    )
    return sorted(name for name, count in names.items() if count > 1)


def explain_measure() -> Measure:
    """Return the number of lines of the modules that `cxroute explain` loads."""
    files = explain_files()
    rooms = {path.relative_to(PACKAGE).parts[0] for path in files}
    lines = sum(len(path.read_text("utf-8").splitlines()) for path in files)
    return _measure("lines that explain loads", lines, " ".join(sorted(rooms)))


def explain_files() -> list[Path]:
    """Return the files of the package that explaining a conversation loads, in a new process."""
    ended = subprocess.run(
        [sys.executable, "-c", _LOADED, *EXPLAIN],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return [Path(line) for line in ended.stderr.splitlines()]


def _measure(name: str, value: float, places: str = "") -> Measure:
    return Measure(name, round(value, 1), GOALS.get(name), TODAY.get(name), places)


def main() -> int:
    """Print every measure; return 0 if all are within their bounds."""
    results = measures()
    sys.stdout.write("\n".join(map(str, results)) + "\n")
    return int(not all(result.holds for result in results))


if __name__ == "__main__":
    sys.exit(main())
