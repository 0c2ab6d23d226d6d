"""The modules to mutate: the core, which decides the rules to write and the affected conversations."""

from __future__ import annotations

from pathlib import Path
from typing import Final

_PACKAGE: Final = Path(__file__).parents[2] / "reconciler"
_NAMES: Final = (
    "apply/attempt", "apply/loop", "apply/progress", "cxone/listing", "desired/desired",
    "journal/undo", "model/live", "plan/compare", "plan/guards", "plan/ownership", "plan/plan",
)  # fmt: skip

MODULES: Final = {
    name: _PACKAGE / f"{name}.py"
    for name in (
        *_NAMES,
        *sorted(
            path.relative_to(_PACKAGE).with_suffix("").as_posix()
            for path in (_PACKAGE / "behaviour").rglob("*.py")
            if path.stem != "__init__"
        ),
    )
}
"""The file of each, by its name as `--only` takes it."""
