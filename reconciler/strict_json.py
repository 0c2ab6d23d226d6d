"""What Python's decoder takes for JSON and is none: NaN, infinity, numbers that become infinite."""

from __future__ import annotations

import json
import math
from typing import Final, NoReturn


def refuse_constant(text: str) -> NoReturn:
    """Refuse NaN and Infinity. Raises ValueError."""
    raise ValueError(text)


def finite(text: str) -> float:
    """Return a number. Raises ValueError for one like 1e999: JSON has no infinity, but Python makes one of it."""
    found = float(text)
    return found if math.isfinite(found) else refuse_constant(text[:40])


STRICT: Final = json.JSONDecoder(parse_constant=refuse_constant, parse_float=finite)
"""What it gives can be shown, and written as JSON again."""
