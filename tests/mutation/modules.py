"""The modules to mutate, in groups: the core, and the packages that show, record, import and export
its results.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

_PACKAGE: Final = Path(__file__).parents[2] / "reconciler"
_NAMES: Final = (
    "core/apply/attempt", "core/apply/loop", "core/apply/progress", "core/desired/desired",
    "core/model/live", "core/plan/compare", "core/plan/guards", "core/plan/ownership",
    "core/plan/changes", "features/journal/undo", "targets/platform/listing",
)  # fmt: skip
PROCESSES: Final = (
    "features/endpoint/command", "features/practice/command_simulate", "features/watch/command",
)  # fmt: skip
"""Commands that run as processes of their own, which the slow tests start: no fast test runs their
lines."""


def _modules_of(folder: str) -> tuple[str, ...]:
    """Return the modules of a folder, except for those that run as processes."""
    paths = (
        path for path in (_PACKAGE / folder).rglob("*.py") if path.stem != "__init__"
    )
    names = (path.relative_to(_PACKAGE).with_suffix("").as_posix() for path in paths)
    return tuple(sorted(name for name in names if name not in PROCESSES))


CORE: Final = "core"
"""The group that decides the rules to write, and the affected conversations."""
SHARES: Final = {
    CORE: 20,
    "cli": 3,
    "render": 2,
    "targets/studio": 2,
    "core/export": 1,
    "features/journal": 1,
    "features/watch": 1,
}
"""The parts of a sample that each group has: a package has fewer, because a bug there moves no
conversation."""
GROUPS: Final = {CORE: (*_NAMES, *_modules_of("core/behaviour"))} | {
    package: tuple(name for name in _modules_of(package) if name not in _NAMES)
    for package in SHARES
    if package != CORE
}
"""The modules of each group."""
MODULES: Final = {
    name: _PACKAGE / f"{name}.py" for names in GROUPS.values() for name in names
}
"""The file of each module, by its name as `--only` takes it."""
GROUP_OF: Final = {name: group for group, names in GROUPS.items() for name in names}
