"""The modules that mutants are made of: the core of what decides which rules are written, and who is affected."""

from __future__ import annotations

from pathlib import Path
from typing import Final

_PACKAGE: Final = Path(__file__).parents[2] / "reconciler"
_NAMES: Final = (
    "apply", "attempt", "compare", "cxone/listing", "desired", "guard", "marker", "ownership", "plan", "tally", "undo",
)  # fmt: skip

MODULES: Final = {
    name: _PACKAGE / f"{name}.py"
    for name in (
        *_NAMES,
        *sorted(f"behaviour/{path.stem}" for path in (_PACKAGE / "behaviour").glob("*.py") if path.stem != "__init__"),
    )
}
"""The file of each, by its name as `--only` takes it."""
