"""`make house` counts the rooms, floors and arrows of a package, and compares figures with goals."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support import house
from tests.support.cases import each_case
from tests.support.density import measure_density
from tests.support.house import (
    GOALS,
    PACKAGE,
    TODAY,
    Measure,
    density_measures,
    explain_files,
    structure_measures,
)
from tests.support.imports import floors, import_cycles, import_graph, room_imports

PackageWriter = Callable[..., Path]


@pytest.fixture
def write_package(tmp_path: Path) -> PackageWriter:
    """Return a function that writes a package `bank` from texts by the path of their file."""

    def write(files: dict[str, str]) -> Path:
        for name, text in files.items():
            path = tmp_path / "bank" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        return tmp_path / "bank"

    return write


BANK = {
    "__init__.py": "from bank.cli.main import run\n",
    "__main__.py": "import bank.cli\n",
    "errors.py": "class BankError(Exception): ...\n",
    "model/__init__.py": "",
    "model/account.py": "import bank.errors\nfrom bank.model import money\n",
    "model/money.py": "from decimal import Decimal\nclass Money: ...\n",
    "cli/__init__.py": "",
    "cli/main.py": (
        "from typing import TYPE_CHECKING\n"
        "from bank.model import account, money\n"
        "if TYPE_CHECKING:\n    from bank.errors import BankError\n"
        "class Money: ...\n"
    ),
}
"""Three rooms on three floors; an import for types counts, and the entrances do not."""


def test_an_arrow_is_an_import_of_one_room_by_another(
    write_package: PackageWriter,
) -> None:
    """Several imports of one room are one arrow, and imports within a room are none."""
    imports = room_imports(import_graph(write_package(BANK)))
    assert {"errors": set(), "model": {"errors"}, "cli": {"model", "errors"}} == imports
    assert [{"errors"}, {"model"}, {"cli"}] == floors(imports)


def test_modules_that_import_each_other_are_a_cycle(
    write_package: PackageWriter,
) -> None:
    """An import within a function counts; a module that imports from the cycle is not on it."""
    imports = {"a": "b", "b": "a", "c": "a"}
    files = {
        f"{module}.py": f"def run():\n    import bank.{below}\n"
        for module, below in imports.items()
    }
    cycle = ["bank.a", "bank.b"]
    assert [cycle, cycle] == import_cycles(import_graph(write_package(files)))


def test_rooms_without_imports_share_the_lowest_floor() -> None:
    """A room is as high as its longest chain of imports."""
    imports = {"a": set[str](), "b": set[str](), "c": {"a"}, "d": {"a", "c"}}
    assert [{"a", "b"}, {"c"}, {"d"}] == floors(imports)


def test_rooms_that_import_each_other_are_on_one_floor() -> None:
    """Their order is undefined, so all that need them are on the same floor."""
    imports = {"a": set[str](), "b": {"a", "c"}, "c": {"b"}, "d": {"c"}}
    assert [{"a"}, {"b", "c", "d"}] == floors(imports)


def test_the_structure_of_a_package_is_counted(write_package: PackageWriter) -> None:
    """Rooms, floors and arrows, the modules of a cycle, and the name of two classes."""
    cycle = {"model/money.py": "import bank.model.account\nclass Money: ...\n"}
    figures = {
        measure.name: (measure.value, measure.places)
        for measure in structure_measures(write_package(BANK | cycle))
    }
    assert {
        "rooms": (3, ""),
        "floors": (3, ""),
        "arrows": (3, "cli 2"),
        "rooms of the core": (0, ""),
        "floors of the core": (0, ""),
        "arrows of the core": (0, ""),
        "import cycles": (2, "['bank.model.account', 'bank.model.money']"),
        "class names defined twice": (1, "Money"),
    } == figures


@each_case(
    "value, goal, today, state, holds",
    [
        (9, None, None, "-", True),
        (7, 7, None, "ok", True),
        (8, 7, None, "OVER", False),
        (8, 7, 8, "open", True),
        (9, 7, 8, "OVER", False),
        (7, 7, 8, "DONE", False),
        (0, 0, None, "ok", True),
        (1, 0, None, "OVER", False),
    ],
)
def test_a_figure_is_compared_with_its_bound(
    value: float, goal: float | None, today: float | None, state: str, holds: object
) -> None:
    """The bound of today applies until the goal is reached; then the bound must be deleted."""
    measure = Measure("floors", value, goal, today)
    assert (state, holds) == (measure.state, measure.holds)


def test_a_figure_is_printed_with_its_bound_and_its_goal() -> None:
    """So is the place that matters most."""
    measures = (
        Measure("arrows", 154, 45, 154, "cli 25"),
        Measure("arrows", 44, 45, 154),
        Measure("arrows", 44, 45),
        Measure("tokens", 400_000),
    )
    assert [
        "open arrows 154 at most 154, goal 45 cli 25",
        "DONE arrows 44 goal 45 reached: delete the bound in TODAY",
        "ok arrows 44 at most 45",
        "- tokens 400,000",
    ] == [" ".join(str(measure).split()) for measure in measures]


def test_a_dense_package_exceeds_its_goals() -> None:
    """A function of one line with 800 nodes exceeds every goal but that of names."""
    source = f"def dense(x): a, b = {' + '.join(['x'] * 200)}, x\n"
    exceeded = {
        measure.name
        for measure in density_measures("package", measure_density({"x.py": source}))
        if measure.state == "OVER"
    }
    goals = {name for name in GOALS if name.startswith("package")}
    assert goals - {"package, filler names, percent"} == exceeded


def test_each_goal_and_bound_belongs_to_a_measure(write_package: PackageWriter) -> None:
    """A misspelt name would never be compared; a bound that does not exceed its goal is none."""
    small = measure_density({"small.py": "def pay(amount):\n    total = amount\n"})
    names = {
        measure.name
        for measures in (
            density_measures("package", small),
            density_measures("tests", small),
            structure_measures(write_package(BANK)),
        )
        for measure in measures
    }
    assert set() == GOALS.keys() - names
    assert [] == [name for name, bound in TODAY.items() if bound <= GOALS[name]]


@pytest.mark.slow
def test_explain_loads_its_command_and_no_client() -> None:
    """The files are those of a process that explains a conversation from the manifests."""
    files = {path.relative_to(PACKAGE).as_posix() for path in explain_files()}
    assert {"cli/commands/explain.py", "core/behaviour/evaluate.py"} <= files
    assert not [name for name in files if name.startswith("targets/studio/client")]


def test_the_command_fails_if_a_measure_does_not_hold(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It prints all measures first."""
    figures = [Measure("rooms", 14, 14), Measure("floors", 8, 7)]
    monkeypatch.setattr(house, "measures", lambda: figures)
    assert house.main() == 1
    assert [str(figure) for figure in figures] == capsys.readouterr().out.splitlines()
    figures.pop()
    assert house.main() == 0
